"""Parts of the Similarity page: cached results, choosers, and rows with texts instead of numbers."""

from __future__ import annotations

from typing import Any

import streamlit as st

from mrl_viz.analysis import Analysis
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.export import scripts
from mrl_viz.export.scripts import N_MATRIX
from mrl_viz.export.scripts import band_code as band_code
from mrl_viz.export.scripts import density_code as density_code
from mrl_viz.export.scripts import matrices_code as matrices_code
from mrl_viz.export.scripts import movers_code as movers_code
from mrl_viz.measures.matrices import Order, SimilarityMatrices, similarity_matrices
from mrl_viz.measures.movers import FlippedTriples, RelativeMovers, flipped_triples, relative_movers
from mrl_viz.measures.sample import PairSample, pair_sample
from mrl_viz.measures.similarity import (
    SimilarityBand,
    SimilarityDensity,
    ThresholdMeaning,
    similarity_band,
    similarity_density,
    threshold_meaning,
)
from mrl_viz.ui import thumbnails
from mrl_viz.ui.code import Script
from mrl_viz.ui.results import measured
from mrl_viz.ui.selection import choose_column, current_item, selection, shortened
from mrl_viz.ui.workspace import Workspace

CELL_CHARACTERS = 120
# Pixels of the columns with texts: all columns of a table fit beside the sidebar.
TEXT_WIDTHS = dict.fromkeys(("left", "right", "text", "a", "b"), 180)
# Pairs of one text on the similarity curves: its nearest neighbors.
N_PAIRS = 4


def chosen_pairs(workspace: Workspace, result: Analysis) -> tuple[tuple[int, int], ...]:
    """All pairs of the selected texts, or one text with its nearest neighbors at full width."""
    chosen = selection(workspace)[: N_PAIRS - 1]
    if len(chosen) > 1:
        return tuple((a, b) for n, a in enumerate(chosen) for b in chosen[n + 1 :])
    item = current_item(workspace)
    return tuple((item, int(other)) for other in result.sweep.indices[-1, item, :N_PAIRS])


def choose_order(workspace: Workspace) -> tuple[Order, str | None]:
    """How the heat maps are ordered: by cluster, by a label column, or as given."""
    options = ["cluster", *workspace.corpus.labels, "as given"]
    chosen, column = choose_column(workspace, "Order", options, "cluster", key="matrix_order")
    orders: dict[str, Order] = {"label": "label", "as given": "given"}
    return orders.get(chosen, "cluster"), column


def _sample(result: Analysis) -> PairSample:
    """The analysis' own sample of pairs of texts; where it is of queries, one of texts."""
    vectors = result.embedded
    return result.sample if vectors.queries is None else _drawn(vectors, result.sweep.dims)


@measured("Comparing pairs…")
def _drawn(vectors: Embedded, dims: tuple[int, ...]) -> PairSample:
    return pair_sample(vectors.matrix, dims=dims)


@measured("Comparing pairs…")
def band(result: Analysis, pairs: tuple[tuple[int, int], ...]) -> SimilarityBand:
    """Cosine against width for chosen pairs over the band of all."""
    return similarity_band(_sample(result), pairs)


@measured("Comparing pairs…")
def density(result: Analysis, dim: int) -> SimilarityDensity:
    """Cosine at one width against cosine at full width."""
    return similarity_density(_sample(result), dim)


@measured("Comparing pairs…")
def movers(result: Analysis, dim: int) -> tuple[RelativeMovers, FlippedTriples]:
    """The pairs and the triples that change most at one width."""
    sample = _sample(result)
    return relative_movers(sample, dim), flipped_triples(sample, dim)


@measured("Ordering texts…")
def matrices(vectors: Embedded, dim: int, order: Order, column: str | None) -> SimilarityMatrices:
    """Full, truncated and difference heat maps' data."""
    labels = tuple(value or "(none)" for value in vectors.corpus.labels[column]) if column else None
    return similarity_matrices(vectors.matrix, dim=dim, order=order, labels=labels, max_items=N_MATRIX)


def threshold(result: Analysis) -> ThresholdMeaning:
    """What a fixed threshold, chosen by a slider, keeps at each width."""
    fixed = st.slider(
        "Cosine threshold", -1.0, 1.0, 0.3, 0.05, key="threshold", bind="query-params", persist_state="session"
    )
    return _threshold(result, fixed)


@measured(False)
def _threshold(result: Analysis, threshold: float) -> ThresholdMeaning:
    return threshold_meaning(_sample(result), threshold)


def with_texts(workspace: Workspace, result: RelativeMovers | FlippedTriples, *names: str) -> list[dict[str, Any]]:
    """The records of a result; last, where they may be cut off, texts for the items in the columns of those names."""
    corpus = workspace.corpus
    return [
        {name.replace("_", " "): round(value, 4) for name, value in row.items() if name not in names}
        | {
            column: cell
            for name in names
            for column, cell in (
                thumbnails.cells(corpus, **{name: int(row[name])})
                | {name: shortened(corpus.texts[int(row[name])], CELL_CHARACTERS)}
            ).items()
        }
        for row in result.rows()
    ]


def threshold_code(workspace: Workspace, meaning: ThresholdMeaning) -> Script:
    return scripts.threshold_code(workspace, meaning.threshold)
