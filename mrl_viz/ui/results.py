"""Cached results, keyed on fingerprints: moving the focus width recomputes nothing heavy."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Hashable
from contextlib import nullcontext
from functools import partial, wraps
from typing import Literal, ParamSpec, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from mrl_viz.analysis import Analysis, analyse
from mrl_viz.data.corpus import Corpus
from mrl_viz.data.reading import read_corpus
from mrl_viz.data.samples import SAMPLES
from mrl_viz.embedding.embedded import Embedded, embed
from mrl_viz.embedding.embedded import with_queries as searched_with
from mrl_viz.embedding.encoders import revision_of
from mrl_viz.embedding.encoders.precomputed import shipped_encoder
from mrl_viz.measures.lists import NeighborOverlap, neighbor_overlap
from mrl_viz.sweep import nested_sweep
from mrl_viz.ui.memory import SHARED, make_room, own_shelf
from mrl_viz.ui.models import DEFAULT_MODEL, ENCODING, ask_to_pay, loaded, remember_model, use_model
from mrl_viz.ui.workspace import Workspace

P = ParamSpec("P")
T = TypeVar("T")

STOPPED_KEY = "stopped_embedding"
PROGRESS_EVERY_S = 0.1
# The sample that vectors and finished answers come with.
SAMPLE = "sample"
# Of the samples that were read so far; an upload of the very same texts is one of them.
SAMPLE_FINGERPRINTS: set[str] = set()


def measured(words: str | Literal[False]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Keep what a function gives for its arguments; `words` stand beside the spinner, False shows none.

    What is measured of a sample is kept for everybody, so that a room computes it once; of a visitor's own data, for
    that session. Vectors and analyses among the arguments are told apart by what they are made of, and `_names` not at
    all; the others must be hashable.
    """

    def keeping(make: Callable[P, T]) -> Callable[P, T]:
        name = f"{make.__module__}.{make.__qualname__}"
        telling = [not parameter.startswith("_") for parameter in inspect.signature(make).parameters]

        @wraps(make)
        def kept_or_made(*args: P.args, **kwargs: P.kwargs) -> T:
            shelf = SHARED if any(map(is_of_sample, args)) else own_shelf()
            key = (name, *(_told_apart(value) for value, tells in zip(args, telling) if tells), *kwargs.items())

            def made() -> T:
                with st.spinner(words) if words else nullcontext():
                    return make(*args, **kwargs)

            found = shelf.take(key, made)
            make_room()
            return found

        return kept_or_made

    return keeping


def _told_apart(value: object) -> Hashable:
    """What an argument is made of."""
    if isinstance(value, Embedded):
        return value.fingerprint
    if isinstance(value, Analysis):
        return value.embedded.fingerprint, value.sweep.dims, value.sweep.k
    return value  # type: ignore[return-value] # an unhashable one is an error of ours


def is_of_sample(value: object) -> bool:
    """Whether vectors, or an analysis of some, are of one of the samples, and so everybody's."""
    vectors = value.embedded if isinstance(value, Analysis) else value
    return isinstance(vectors, Embedded) and vectors.corpus.fingerprint in SAMPLE_FINGERPRINTS


@st.cache_resource(max_entries=len(SAMPLES), show_spinner=False)
def sample(word: str) -> Corpus:
    """A sample corpus by its word, read once per server."""
    corpus = read_corpus(word)
    SAMPLE_FINGERPRINTS.add(corpus.fingerprint)
    return corpus


def embedded(corpus: Corpus, model: str, area: DeltaGenerator) -> Embedded:
    """The corpus with its vectors; what takes time shows progress in `area` and can be stopped."""
    if corpus is sample(SAMPLE) and (shipped := _sample_vectors(model)) is not None:
        return shipped
    # A model trained again in the same folder is another model.
    key = (corpus.fingerprint, model, "" if corpus.embeddings is not None else revision_of(model))
    vectors = own_shelf().take(("vectors", *key), lambda: _embed(corpus, model, area))
    make_room()
    return vectors


@st.cache_resource(max_entries=8, show_spinner=False)
def _sample_vectors(model: str) -> Embedded | None:
    """The vectors that come with the sample, read once per server; None where there are none by this model."""
    corpus = sample(SAMPLE)
    return embed(corpus, model, queries=()) if shipped_encoder(model, corpus.texts) is not None else None


def _embed(corpus: Corpus, model: str, area: DeltaGenerator) -> Embedded:
    if st.session_state.get(STOPPED_KEY) == (corpus.fingerprint, model):
        _offer_to_continue(area)
    if corpus.embeddings is not None:
        return embed(corpus, model, queries=())
    ask_to_pay(corpus, model, area, partial(use_model, DEFAULT_MODEL))
    with area.container(border=True):
        st.markdown(f"Embedding {corpus.n_items:,} texts; what is finished is kept, even when this page is closed.")
        bar = st.progress(0.0, text="Waiting for the model…")
        st.button("Stop", key="stop_embedding", on_click=_stop, args=((corpus.fingerprint, model),))
    try:
        with ENCODING:
            told = shown(bar, "{done:,} of {total:,} texts")
            vectors = embed(corpus, loaded(model, corpus), queries=(), progress=told)
        remember_model(model)
        return vectors
    finally:
        area.empty()


def with_queries(workspace: Workspace) -> Embedded:
    """The data's vectors with those of their own queries, where there are any; embedded once."""
    vectors, corpus = workspace.embedded, workspace.corpus
    if workspace.is_ready or not corpus.query_texts:
        return searched_with(vectors)
    return _with_queries(vectors, workspace.model)


@measured("Embedding the queries…")
def _with_queries(vectors: Embedded, model: str) -> Embedded:
    return embed_queries(vectors, model)


def embed_queries(vectors: Embedded, model: str) -> Embedded:
    """As `with_queries`, for work beside the page, which has no session to keep them in; the store has them then."""
    if vectors.corpus.embeddings is not None or not vectors.corpus.query_texts:
        return searched_with(vectors)
    with ENCODING:
        return searched_with(vectors, loaded(model, vectors.corpus))


def shown(bar: DeltaGenerator, words: str) -> Callable[[int, int], None]:
    """What a long piece of work calls with (done, total): moves the bar, not more often than an eye can follow."""
    shown_at = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal shown_at
        if done == total or time.monotonic() - shown_at > PROGRESS_EVERY_S:
            shown_at = time.monotonic()
            bar.progress(done / total, text=words.format(done=done, total=total))

    return progress


def _stop(key: tuple[str, str]) -> None:
    st.session_state[STOPPED_KEY] = key


def _offer_to_continue(area: DeltaGenerator) -> None:
    with area.container(border=True):
        st.warning("Embedding was stopped. What was finished is kept; continue, or choose other data or another model.")
        if st.button("Continue", key="continue_embedding", type="primary"):
            del st.session_state[STOPPED_KEY]
            st.rerun()
    st.stop()


def analysis(workspace: Workspace) -> Analysis:
    """Every measure of the first pages at the swept widths."""
    return _analysis(workspace.embedded, workspace.dims, workspace.k)


@measured("Measuring every width…")
def _analysis(vectors: Embedded, dims: tuple[int, ...], k: int) -> Analysis:
    return analyse(vectors, dims=dims, k=k)


def result_or_none(workspace: Workspace) -> Analysis | None:
    return None if workspace.corpus.n_items < 2 else analysis(workspace)


@measured("Measuring every integer width…")
def every_width(vectors: Embedded, k: int) -> NeighborOverlap:
    """Overlap at every integer width from 1 to the full one."""
    return neighbor_overlap(nested_sweep(vectors.matrix, dims=range(1, vectors.full_dim + 1), k=k))
