"""Cached results, keyed on fingerprints: moving the focus width recomputes nothing heavy."""

from __future__ import annotations

import threading

import streamlit as st

from mrl_viz.analysis import Analysis, EmbeddedCorpus, analyse, embed_corpus
from mrl_viz.corpus import Corpus
from mrl_viz.measures.overlap import NeighborOverlap, NeighborRanks, neighbor_overlap
from mrl_viz.measures.overlap import neighbor_ranks as ranks_of
from mrl_viz.reading import sample_corpus
from mrl_viz.sweep import nested_sweep

# One encoding at a time: models are not thread-safe and two cores gain nothing from two at once.
ENCODING = threading.Lock()


@st.cache_resource(max_entries=1, show_spinner=False)
def sample() -> Corpus:
    """The sample corpus, read once per server."""
    return sample_corpus()


def embedded(corpus: Corpus, model: str) -> EmbeddedCorpus:
    """The corpus with its vectors; encoding shows its progress."""
    return _embedded(corpus.fingerprint, model, corpus)


@st.cache_resource(max_entries=6, scope="session", show_spinner=False)
def _embedded(fingerprint: str, model: str, _corpus: Corpus) -> EmbeddedCorpus:
    with ENCODING:
        return embed_corpus(_corpus, model, queries=())


def analysis(vectors: EmbeddedCorpus, dims: tuple[int, ...], k: int) -> Analysis:
    """Every measure of the first pages at the swept widths."""
    return _analysis(vectors.fingerprint, dims, k, vectors)


@st.cache_resource(max_entries=12, scope="session", show_spinner="Measuring every width…")
def _analysis(fingerprint: str, dims: tuple[int, ...], k: int, _vectors: EmbeddedCorpus) -> Analysis:
    return analyse(_vectors, dims=dims, k=k)


def every_width(vectors: EmbeddedCorpus, k: int) -> NeighborOverlap:
    """Overlap at every integer width from 1 to the full one."""
    return _every_width(vectors.fingerprint, k, vectors)


@st.cache_resource(max_entries=4, scope="session", show_spinner="Measuring every integer width…")
def _every_width(fingerprint: str, k: int, _vectors: EmbeddedCorpus) -> NeighborOverlap:
    return neighbor_overlap(nested_sweep(_vectors.corpus, dims=range(1, _vectors.full_dim + 1), k=k))


def neighbor_ranks(result: Analysis, item: int) -> NeighborRanks:
    """Ranks of one text's full-width neighbors at every swept width."""
    return ranks_of(result.embedded.corpus, item, result.sweep)


