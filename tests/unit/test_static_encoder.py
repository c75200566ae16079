"""The default model without PyTorch gives what sentence-transformers gives with it."""

import subprocess
import sys

import numpy as np

from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.embedding.encoders.sentence_transformers import as_sentence_transformer

ODD = [
    "", "   ", " a ", "same", "same", "\ud800 a lone surrogate",
    "ünïcödé 🎉👩‍👩‍👧", "日本語のテキスト", "\x00\x01", "word " * 5000,
]  # fmt: skip


def test_vectors_and_tokens_are_those_of_sentence_transformers():
    """Mean token vectors agree to 1e-6 for the sample and for odd texts; without a token a text is zero."""
    texts = [*ODD, *read_corpus("sample").texts]
    ours = load_encoder("wordllama")
    theirs = as_sentence_transformer(ours)
    np.testing.assert_allclose(ours.encode(texts), theirs.encode(texts), atol=1e-6)
    assert ours.count_tokens(texts) == theirs.count_tokens(texts)
    assert (ours.encode([""]) == 0).all()
    assert (ours.revision, ours.full_dim, ours.matryoshka_dims) == (
        theirs.revision, theirs.full_dim, theirs.matryoshka_dims,
    )  # fmt: skip


def test_sweeping_a_file_loads_neither_torch_nor_transformers(tmp_path):
    """From a file of texts to its numbers with the default model, nothing heavy is imported."""
    source = tmp_path / "texts.txt"
    source.write_text("\n".join(f"text number {i} about {'cats' if i % 2 else 'dogs'}" for i in range(40)))
    program = f"""
import sys
from mrl_viz.cli.main import main
assert main(["sweep", {str(source)!r}]) == 0
print(sorted({{"torch", "transformers", "sentence_transformers", "sklearn", "umap", "plotly"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout
