"""The sample data have the shape their README promises, and their shipped vectors are the model's own."""

import csv
from collections import Counter

import numpy as np

from mrl_viz.data.reading import read_corpus
from mrl_viz.data.samples import sample_data_folder
from mrl_viz.embedding.embedded import embed
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.embedding.encoders.precomputed import shipped_encoder


def test_sample_corpus_has_two_levels_of_labels():
    """480 distinct passages in 8 domains of 6 topics of 10."""
    corpus = read_corpus("sample")
    assert corpus.n_items == 480 and corpus.check.n_duplicates == 0 and corpus.check.n_empty == 0
    topics = Counter(zip(corpus.labels["domain"], corpus.labels["topic"]))
    assert len(topics) == 48 and set(topics.values()) == {10}
    assert Counter(domain for domain, _ in topics) == dict.fromkeys(corpus.labels["domain"], 6)


def test_sample_queries_have_graded_answers_of_their_topic():
    """Each of 96 queries judges the ten passages of one topic, at least one of which answers it."""
    corpus = read_corpus("sample")
    topic = dict(zip(corpus.ids, corpus.labels["topic"]))
    assert len(corpus.query_ids) == len(set(corpus.query_texts)) == 96
    for query in corpus.query_ids:
        grades = corpus.qrels[query]
        assert len(grades) == 10 and len({topic[item] for item in grades}) == 1
        assert set(grades.values()) == {1, 2} and 1 <= sum(grade == 2 for grade in grades.values()) <= 3


def test_sample_prose_follows_no_template():
    """No two passages of a topic open with the same three words."""
    openings = Counter(
        " ".join(text.lower().split()[:3]) for text in read_corpus("sample").texts if len(text.split()) > 3
    )
    assert max(openings.values()) <= 2


def test_sample_pairs_cover_the_scale():
    """160 pairs of different sentences, scores 0 to 5, each whole score used at least 15 times."""
    with open(sample_data_folder() / "pairs.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    scores = [float(row["score"]) for row in rows]
    assert len(rows) == 160 and min(scores) == 0 and max(scores) == 5
    assert all(sum(abs(score - whole) <= 0.5 for score in scores) >= 15 for whole in range(6))
    assert len(read_corpus(sample_data_folder() / "pairs.csv").pairs) == 160


def test_sample_sentences_are_short():
    """40 distinct lines of at most ten words."""
    lines = (sample_data_folder() / "sentences.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(set(lines)) == 40
    assert all(2 < len(line.split()) <= 10 for line in lines)


def test_shipped_vectors_are_the_models_own():
    """Encoding the sample again gives the shipped vectors; they are used only when every text is among them."""
    corpus = read_corpus("sample")
    embedded = embed(corpus)
    encoder = load_encoder("wordllama")
    np.testing.assert_allclose(embedded.matrix, encoder.encode(corpus.texts), atol=1e-6)
    np.testing.assert_allclose(embedded.queries, encoder.encode(corpus.query_texts, kind="query"), atol=1e-6)
    assert shipped_encoder("wordllama", corpus.texts) is not None
    assert shipped_encoder("wordllama", (*corpus.texts, "a new text")) is None
    assert shipped_encoder("all-MiniLM-L6-v2", corpus.texts) is None
