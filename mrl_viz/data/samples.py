"""The collections that come with the project, by the words that call them."""

from __future__ import annotations

from pathlib import Path

from mrl_viz.home import home

# The word to its folder below the sample data: a BEIR folder whose README says where it comes from, or what LIMIT is
# made from.
LIMIT = "sample:limit"
SAMPLES = {"sample": ".", "sample:hard": "hard", LIMIT: "limit"}


def sample_data_folder() -> Path:
    """Where the sample data lie."""
    return home() / "sample_data"


def sample_folder(word: str) -> Path | None:
    """The folder of a sample; None for a word that calls none."""
    return sample_data_folder() / SAMPLES[word] if word in SAMPLES else None
