"""What every page shares: the current data, model, widths, k and focus width."""

from __future__ import annotations

import streamlit as st

from mrl_viz.data.corpus import Corpus
from mrl_viz.export.workspace import Source as Source
from mrl_viz.export.workspace import Workspace as Workspace
from mrl_viz.ui.charts import stop_with

CORPUS_KEY, SOURCE_KEY, WORKSPACE_KEY = "own_corpus", "own_source", "workspace"
# The session's own data among the choices.
OWN = "mine"


def own_corpus() -> Corpus | None:
    corpus: Corpus | None = st.session_state.get(CORPUS_KEY)
    return corpus


def own_source() -> Source:
    source: Source = st.session_state.get(SOURCE_KEY, Source(is_saved=False))
    return source


def use_corpus(corpus: Corpus, source: Source) -> None:
    """Make a corpus the session's own and show it from the next run on."""
    st.session_state[CORPUS_KEY], st.session_state[SOURCE_KEY] = corpus, source
    st.session_state["next_data"] = OWN


def current_workspace() -> Workspace:
    current: Workspace = st.session_state[WORKSPACE_KEY]
    return current


def require_workspace() -> Workspace:
    """The current workspace; a helpful message instead of the page when there are too few texts to compare."""
    current = current_workspace()
    if current.corpus.n_items < 2:
        stop_with("There is one text only. Neighbors need at least two: add more on the Start page.")
    return current
