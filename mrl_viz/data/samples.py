"""The collections that come with the project, by the words that call them."""

from __future__ import annotations

from pathlib import Path

from mrl_viz.home import home

# The word to its place below the sample data, whose README says where it comes from: a BEIR folder, what LIMIT is made
# from, a table, or the vectors of the digits.
LIMIT = "sample:limit"
# Pictures, and which of their vectors: their pixels, or those of an embedding.
PIXELS, MATRYOSHKA, PLAIN = "pixels", "mrl", "plain"
DIGITS = {"sample:digits": MATRYOSHKA, "sample:digits-plain": PLAIN, "sample:digits-pixels": PIXELS}
# The vectors of a model trained for short vectors, and those of the same data by one trained the same way without.
PLAIN_TWINS = {"sample:digits": "sample:digits-plain"}
SAMPLES = {
    "sample": ".", "sample:hard": "hard", LIMIT: "limit", "sample:languages": "languages/pairs.csv",
    **dict.fromkeys(DIGITS, "digits"),
}  # fmt: skip


def sample_data_folder() -> Path:
    """Where the sample data lie."""
    return home() / "sample_data"


def sample_path(word: str) -> Path | None:
    """The folder or the table of a sample; None for a word that calls none."""
    return sample_data_folder() / SAMPLES[word] if word in SAMPLES else None
