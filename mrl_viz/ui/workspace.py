"""What every page shares: the current data, model, widths, k and focus width."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from mrl_viz.data.corpus import Corpus
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.ui.charts import stop_with

CORPUS_KEY, SOURCE_KEY, WORKSPACE_KEY = "own_corpus", "own_source", "workspace"
PASTED = "texts.txt"


@dataclass(frozen=True)
class Source:
    """Where the texts came from, as a user would read them again: a file's name and what was chosen for it.

    `texts_file` : the file of the texts of ready vectors. `queries`, `qrels` : files of their own. `is_saved` : whether
    the file is the user's own, not one she would have to make of what she pasted.
    """

    file: str = PASTED
    text_column: str | None = None
    label_column: str | None = None
    keep_duplicates: bool = False
    texts_file: str | None = None
    queries: str | None = None
    qrels: str | None = None
    is_saved: bool = True


@dataclass(frozen=True)
class Workspace:
    """The current choice: an embedded corpus, swept widths, k and the focus width."""

    corpus: Corpus
    embedded: Embedded
    dims: tuple[int, ...]
    k: int
    focus_dim: int
    model: str
    source: Source

    @property
    def is_ready(self) -> bool:
        """Whether the vectors came ready, without a model that could embed another text."""
        return self.corpus.embeddings is not None

    @property
    def trained(self) -> tuple[int, ...]:
        """The widths the model was trained at, where that is known."""
        return self.embedded.matryoshka_dims or ()


def own_corpus() -> Corpus | None:
    corpus: Corpus | None = st.session_state.get(CORPUS_KEY)
    return corpus


def own_source() -> Source:
    source: Source = st.session_state.get(SOURCE_KEY, Source(is_saved=False))
    return source


def use_corpus(corpus: Corpus, source: Source) -> None:
    """Make a corpus the session's own and show it from the next run on."""
    st.session_state[CORPUS_KEY], st.session_state[SOURCE_KEY] = corpus, source
    st.session_state["next_data"] = "mine"


def current_workspace() -> Workspace:
    current: Workspace = st.session_state[WORKSPACE_KEY]
    return current


def require_workspace() -> Workspace:
    """The current workspace; a helpful message instead of the page when there are too few texts to compare."""
    current = current_workspace()
    if current.corpus.n_items < 2:
        stop_with("There is one text only. Neighbors need at least two: add more on the Start page.")
    return current
