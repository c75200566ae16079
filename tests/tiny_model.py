"""A real sentence-transformers model small enough to train in a second: sixteen coordinates, 24 words, four topics."""

import numpy as np

WORDS = (
    "sun moon star comet orbit rocket",
    "bread soup salt onion pepper rice",
    "bond loan tax rent wage bank",
    "lute drum flute song choir harp",
)
DIM = 16


def save_tiny_model(folder, broken_word=None):
    """Write the model as a folder; its table is random, so no order of coordinates is better than another.

    A broken word has infinities for a vector, as a damaged table may.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {word: number for number, word in enumerate([*" ".join(WORDS).split(), "[UNK]"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    table = np.random.default_rng(0).normal(size=(len(words), DIM)).astype(np.float32)
    if broken_word is not None:
        table[words[broken_word]] = np.inf
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=table)], device="cpu")
    model.save(str(folder), create_model_card=False)
    return folder


def tiny_texts(n_of_class=12, seed=0):
    """Texts of three words of one topic, all different, and their topics."""
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for topic, words in enumerate(WORDS):
        found = {}
        while len(found) < n_of_class:
            found[" ".join(rng.choice(words.split(), 3))] = None
        texts += found
        labels += [f"topic {topic}"] * n_of_class
    return texts, labels
