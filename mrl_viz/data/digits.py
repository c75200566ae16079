"""The sample of pictures: scikit-learn's digits, as pixels and as embeddings of ours, one Matryoshka and one plain."""

from __future__ import annotations

import gzip
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mrl_viz.data.content import Options
from mrl_viz.data.corpus import HELD_OUT, SPLIT, Corpus
from mrl_viz.data.samples import DIGITS, MATRYOSHKA, PIXELS, PLAIN
from mrl_viz.data.vectors import Parts
from mrl_viz.errors import DataFormatError
from mrl_viz.truncation import FloatMatrix

# What the embeddings were trained at; the plain one at the last alone.
TRAINED_DIMS = (2, 4, 8, 16, 32, 64)
# Ink has 16 steps.
MOST_INK = 16


def pixels_and_digits() -> tuple[FloatMatrix, npt.NDArray[np.int64]]:
    """The 64 pixels of each picture, float32 of shape (1797, 64) in 0..16, row after row; and the digit it shows.

    Source: the test part of Optical Recognition of Handwritten Digits, Alpaydin and Kaynak 1998, UCI, as
    `sklearn.datasets.load_digits` has it; its file is read here, because importing that module takes 1.5 seconds, of
    the first visitor's too.

    Raises
    ------
    DataFormatError : scikit-learn is not installed, or has them elsewhere.
    """
    found = find_spec("sklearn")
    file = Path(found.origin if found and found.origin else "").parent / "datasets" / "data" / "digits.csv.gz"
    if not file.is_file():
        raise DataFormatError(f"`{file.name}` is not where scikit-learn has it; install scikit-learn 1.6 or later.")
    with gzip.open(file, "rt", encoding="ascii") as lines:
        rows = np.loadtxt(lines, delimiter=",", dtype=np.float32)
    return np.ascontiguousarray(rows[:, :-1]), rows[:, -1].astype(np.int64)


def digits_corpus(folder: Path, word: str, options: Options) -> Corpus:
    """The digits with the vectors that a word calls; `split` says which pictures the embeddings were trained on.

    Raises
    ------
    DataFormatError : no such label column.
    """
    from safetensors.numpy import load_file

    vectors, digits = pixels_and_digits()
    shipped = load_file(folder / "embeddings.safetensors")
    held_out = np.isin(np.arange(len(digits)), shipped["held_out"])
    images = (vectors.reshape(-1, 8, 8) * (255 / MOST_INK)).round().astype(np.uint8)
    labels = {
        "digit": [str(digit) for digit in digits],
        "parity": ["odd" if digit % 2 else "even" for digit in digits],
        SPLIT: [HELD_OUT if is_held_out else "train" for is_held_out in held_out],
    }
    if options.label_column is not None and options.label_column not in labels:
        raise DataFormatError(f"`{word}` has no label {options.label_column!r}; choose one of {', '.join(labels)}.")
    kind, notes = DIGITS[word], []
    if kind != PIXELS:
        vectors = shipped[kind].astype(np.float32)
        notes.append(
            f"The embedding was trained on {(~held_out).sum():,} of these pictures by their digit, which flatters it "
            f"there; the label `split` tells the {held_out.sum()} held out."
        )
    corpus = Parts(
        vectors,
        texts=[f"digit {digit}, picture {row}" for row, digit in enumerate(digits)],
        labels={name: labels[name] for name in ([options.label_column] if options.label_column else labels)},
        images=images,
        notes=notes,
    ).corpus(word, options)
    trained = {MATRYOSHKA: TRAINED_DIMS, PLAIN: TRAINED_DIMS[-1:], PIXELS: None}[kind]
    return replace(corpus, matryoshka_dims=trained)
