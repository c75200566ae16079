"""What every page shares: the current data, model, widths, k and focus width."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from mrl_viz.data.corpus import Corpus
from mrl_viz.embedding.embedded import Embedded

CORPUS_KEY, WORKSPACE_KEY = "own_corpus", "workspace"


@dataclass(frozen=True)
class Workspace:
    """The current choice: an embedded corpus, swept widths, k and the focus width."""

    corpus: Corpus
    embedded: Embedded
    dims: tuple[int, ...]
    k: int
    focus_dim: int
    model: str


def own_corpus() -> Corpus | None:
    """The corpus this session pasted or uploaded, if any."""
    corpus: Corpus | None = st.session_state.get(CORPUS_KEY)
    return corpus


def use_corpus(corpus: Corpus) -> None:
    """Make a corpus the session's own and show it from the next run on."""
    st.session_state[CORPUS_KEY] = corpus
    st.session_state["next_data"] = "mine"


def current_workspace() -> Workspace:
    """The current workspace."""
    current: Workspace = st.session_state[WORKSPACE_KEY]
    return current


def require_workspace() -> Workspace:
    """The current workspace; a helpful message instead of the page when there are too few texts to compare."""
    current = current_workspace()
    if current.corpus.n_items < 2:
        st.info(
            "There is one text only. Neighbors need at least two: add more on the Start page.", icon=":material/info:"
        )
        st.stop()
    return current
