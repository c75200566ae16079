"""Cached results, keyed on fingerprints: moving the focus width recomputes nothing heavy."""

from __future__ import annotations

import time

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from mrl_viz.analysis import Analysis, analyse
from mrl_viz.data.corpus import Corpus
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import Embedded, embed
from mrl_viz.embedding.encoders import revision_of
from mrl_viz.embedding.encoders.api import estimate_cost, is_paid
from mrl_viz.measures.lists import NeighborOverlap, NeighborRanks, neighbor_overlap
from mrl_viz.measures.lists import neighbor_ranks as ranks_of
from mrl_viz.sweep import nested_sweep
from mrl_viz.ui.models import ENCODING
from mrl_viz.ui.workspace import Workspace

DEFAULT_MODEL = "wordllama"
EMBEDDED_KEY, STOPPED_KEY, AGREED_KEY = "embedded_corpora", "stopped_embedding", "agreed_to_pay"
# A session's corpora and models in memory; the others come back from the store.
MOST_EMBEDDED = 6
PROGRESS_EVERY_S = 0.1


@st.cache_resource(max_entries=1, show_spinner=False)
def sample() -> Corpus:
    """The sample corpus, read once per server."""
    return read_corpus("sample")


def embedded(corpus: Corpus, model: str, area: DeltaGenerator) -> Embedded:
    """The corpus with its vectors; what takes time shows its progress in `area` and can be stopped, keeping what is finished."""
    key = (corpus.fingerprint, model)
    # A model trained again in the same folder is another model.
    place = (*key, "" if corpus.embeddings is not None else revision_of(model))
    kept: dict[tuple[str, ...], Embedded] = st.session_state.setdefault(EMBEDDED_KEY, {})
    if place not in kept:
        if st.session_state.get(STOPPED_KEY) == key:
            _offer_to_continue(area)
        kept[place] = _embed(corpus, model, area)
        while len(kept) > MOST_EMBEDDED:
            del kept[next(iter(kept))]
    return kept[place]


def _embed(corpus: Corpus, model: str, area: DeltaGenerator) -> Embedded:
    if corpus.embeddings is not None or (corpus is sample() and model == DEFAULT_MODEL):
        return embed(corpus, model, queries=())
    if is_paid(model):
        _ask_to_pay(corpus, model, area)
    with area.container(border=True):
        st.markdown(f"Embedding {corpus.n_items:,} texts; what is finished is kept, even when this page is closed.")
        bar = st.progress(0.0, text="Waiting for the model…")
        st.button("Stop", key="stop_embedding", on_click=_stop, args=((corpus.fingerprint, model),))
    shown_at = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal shown_at
        if done == total or time.monotonic() - shown_at > PROGRESS_EVERY_S:
            shown_at = time.monotonic()
            bar.progress(done / total, text=f"{done:,} of {total:,} texts")

    try:
        with ENCODING:
            return embed(corpus, model, queries=(), progress=progress)
    finally:
        area.empty()


def _ask_to_pay(corpus: Corpus, model: str, area: DeltaGenerator) -> None:
    """What an API would be sent and may cost; goes on only after a press, once for these texts and this model."""
    agreed: set[tuple[str, str]] = st.session_state.setdefault(AGREED_KEY, set())
    key = (corpus.fingerprint, model)
    if key in agreed:
        return
    with area.container(border=True):
        price = st.number_input(
            "Price of a million tokens, your currency", 0.0, value=0.02, format="%.4f", key="api_price"
        )
        estimate = estimate_cost(corpus.texts, price)
        st.markdown(
            f"Up to {estimate.n_texts:,} texts, about {estimate.tokens:,} tokens, would be sent to the API: about "
            f"{estimate.cost:.4f}, at most {estimate.cost_at_most:.4f}."
        )
        if st.button("Send them", key="api_agree", type="primary"):
            agreed.add(key)
            st.rerun()
    st.stop()


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
    """Every measure of the first pages at the swept widths; the sample's once per server, so that a first visit waits for nothing."""
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
