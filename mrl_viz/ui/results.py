"""Cached results, keyed on fingerprints: moving the focus width recomputes nothing heavy."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from mrl_viz.analysis import Analysis, analyse
from mrl_viz.data.corpus import Corpus
from mrl_viz.data.reading import read_corpus
from mrl_viz.data.samples import SAMPLES
from mrl_viz.embedding.embedded import Embedded, embed
from mrl_viz.embedding.embedded import with_queries as searched_with
from mrl_viz.embedding.encoders import revision_of
from mrl_viz.measures.lists import NeighborOverlap, NeighborRanks, neighbor_overlap
from mrl_viz.measures.lists import neighbor_ranks as ranks_of
from mrl_viz.sweep import nested_sweep
from mrl_viz.ui.models import DEFAULT_MODEL, ENCODING, ask_to_pay, loaded, remember_model
from mrl_viz.ui.workspace import Workspace

T = TypeVar("T")

EMBEDDED_KEY, STOPPED_KEY = "embedded_corpora", "stopped_embedding"
# A session's corpora and models in memory; the others come back from the store.
MOST_EMBEDDED = 6
PROGRESS_EVERY_S = 0.1


@st.cache_resource(max_entries=len(SAMPLES), show_spinner=False)
def sample(word: str = "sample") -> Corpus:
    """A sample corpus by its word, read once per server."""
    return read_corpus(word)


def embedded(corpus: Corpus, model: str, area: DeltaGenerator) -> Embedded:
    """The corpus with its vectors; what takes time shows progress in `area` and can be stopped."""
    # A model trained again in the same folder is another model.
    key = (corpus.fingerprint, model, "" if corpus.embeddings is not None else revision_of(model))
    return kept(EMBEDDED_KEY, MOST_EMBEDDED, key, lambda: _embed(corpus, model, area))


def kept(shelf: str, most: int, key: Hashable, make: Callable[[], T]) -> T:
    """What `make` gives, made once a session for each key; of more than `most` on a shelf the oldest goes."""
    made: dict[Hashable, T] = st.session_state.setdefault(shelf, {})
    if key not in made:
        made[key] = make()
        while len(made) > most:
            del made[next(iter(made))]
    return made[key]


def _embed(corpus: Corpus, model: str, area: DeltaGenerator) -> Embedded:
    if st.session_state.get(STOPPED_KEY) == (corpus.fingerprint, model):
        _offer_to_continue(area)
    if corpus.embeddings is not None or (corpus is sample() and model == DEFAULT_MODEL):
        return embed(corpus, model, queries=())
    ask_to_pay(corpus, model, area, _take_the_default)
    with area.container(border=True):
        st.markdown(f"Embedding {corpus.n_items:,} texts; what is finished is kept, even when this page is closed.")
        bar = st.progress(0.0, text="Waiting for the model…")
        st.button("Stop", key="stop_embedding", on_click=_stop, args=((corpus.fingerprint, model),))
    try:
        with ENCODING:
            vectors = embed(corpus, loaded(model), queries=(), progress=shown(bar, "{done:,} of {total:,} texts"))
        remember_model(model)
        return vectors
    finally:
        area.empty()


def with_queries(workspace: Workspace) -> Embedded:
    """The data's vectors with those of their own queries, where there are any; embedded once."""
    vectors, corpus = workspace.embedded, workspace.corpus
    if corpus.embeddings is not None or not corpus.query_texts:
        return searched_with(vectors)
    return _with_queries(vectors.fingerprint, workspace.model, vectors)


@st.cache_resource(max_entries=4, scope="session", show_spinner="Embedding the queries…")
def _with_queries(fingerprint: str, model: str, _vectors: Embedded) -> Embedded:
    with ENCODING:
        return searched_with(_vectors, loaded(model))


def shown(bar: DeltaGenerator, words: str) -> Callable[[int, int], None]:
    """What a long piece of work calls with (done, total): moves the bar, not more often than an eye can follow."""
    shown_at = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal shown_at
        if done == total or time.monotonic() - shown_at > PROGRESS_EVERY_S:
            shown_at = time.monotonic()
            bar.progress(done / total, text=words.format(done=done, total=total))

    return progress


def _take_the_default() -> None:
    st.session_state["model"] = DEFAULT_MODEL


def _stop(key: tuple[str, str]) -> None:
    st.session_state[STOPPED_KEY] = key


def _offer_to_continue(area: DeltaGenerator) -> None:
    with area.container(border=True):
        st.warning("Embedding was stopped. What was finished is kept; continue, or choose other data or another model.")
        if st.button("Continue", key="continue_embedding", type="primary"):
            del st.session_state[STOPPED_KEY]
            st.rerun()
    st.stop()


def analysis(vectors: Embedded, dims: tuple[int, ...], k: int) -> Analysis:
    """Every measure of the first pages at the swept widths; the sample's once per server, so nobody waits for it."""
    measured = _sample_analysis if vectors.corpus is sample() else _analysis
    return measured(vectors.fingerprint, dims, k, vectors)


@st.cache_resource(max_entries=12, show_spinner="Measuring every width…")
def _sample_analysis(fingerprint: str, dims: tuple[int, ...], k: int, _vectors: Embedded) -> Analysis:
    return analyse(_vectors, dims=dims, k=k)


@st.cache_resource(max_entries=12, scope="session", show_spinner="Measuring every width…")
def _analysis(fingerprint: str, dims: tuple[int, ...], k: int, _vectors: Embedded) -> Analysis:
    return analyse(_vectors, dims=dims, k=k)


def result_or_none(workspace: Workspace) -> Analysis | None:
    """The analysis of the current workspace, None when there is one text only."""
    if workspace.corpus.n_items < 2:
        return None
    return analysis(workspace.embedded, workspace.dims, workspace.k)


def every_width(vectors: Embedded, k: int) -> NeighborOverlap:
    """Overlap at every integer width from 1 to the full one."""
    return _every_width(vectors.fingerprint, k, vectors)


@st.cache_resource(max_entries=4, scope="session", show_spinner="Measuring every integer width…")
def _every_width(fingerprint: str, k: int, _vectors: Embedded) -> NeighborOverlap:
    return neighbor_overlap(nested_sweep(_vectors.matrix, dims=range(1, _vectors.full_dim + 1), k=k))


def neighbor_ranks(result: Analysis, item: int) -> NeighborRanks:
    """Ranks of one text's full-width neighbors at every swept width."""
    return ranks_of(result.embedded.matrix, item, result.sweep)
