"""Pictures of neighbor overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from mrl_viz.figures.style import (
    BLUE,
    DASHED,
    KEPT,
    MOST_MARKERS,
    add_band,
    add_chance,
    add_estimates,
    add_line,
    add_rings,
    add_trained,
    by_width,
    finish,
    shorten,
)
from mrl_viz.measures.estimate import columns

if TYPE_CHECKING:
    from mrl_viz.measures.lists import NeighborOverlap, NeighborRanks

DOT_SIZE = 5
# Above this many dots WebGL draws them: they change with every focus width, and an SVG gives each a style of its own.
GL_DOTS = 1_000
PILE_HEIGHT, PILE_WIDTH = 10, 0.8
SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up")


def overlap_curve(overlap: NeighborOverlap, focus_dim: int | None = None, trained: Sequence[int] = ()) -> go.Figure:
    """Overlap@k against width with its interval, the chance line, the focus width and the trained widths."""
    sides = value, low, high = columns(overlap.overlap)
    figure = go.Figure()
    add_band(figure, overlap.dims, low, high)
    add_estimates(figure, overlap.dims, sides, f"overlap@{overlap.k}", BLUE, bars=False)
    add_chance(figure, overlap.dims, overlap.chance)
    add_trained(figure, overlap.dims, value, trained)
    return by_width(figure, overlap.dims, focus_dim, title=f"neighbors kept, overlap@{overlap.k}", **KEPT)


def overlap_by_k(overlap: NeighborOverlap) -> go.Figure:
    """Heat map of overlap at every list length (rows) and width (columns), in shares of 1."""
    labels = [str(dim) for dim in overlap.dims]
    text = np.round(100 * overlap.by_k.T).astype(int) if len(labels) <= MOST_MARKERS and overlap.k <= 20 else None
    figure = go.Figure().add_heatmap(
        z=overlap.by_k.T, x=labels, y=np.arange(1, overlap.k + 1), zmin=0, zmax=1, colorscale="Viridis",
        text=text, texttemplate="%{text}" if text is not None else None,
        colorbar={"title": "overlap", "tickformat": ".0%"},
        hovertemplate="%{x} dims, first %{y} neighbors: %{z:.3f}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title="width, dims", type="category")
    return finish(figure, title="list length k", autorange="reversed", dtick=1 if overlap.k <= 20 else None)


def per_item_strip(overlap: NeighborOverlap, dim: int, texts: Sequence[str], chosen: int | None = None) -> go.Figure:
    """One dot a text, piled over the neighbors it keeps at one width; `customdata` is the text's position."""
    kept = np.round(overlap.per_item[overlap.dims.index(dim)] * overlap.k).astype(int)
    order = np.argsort(kept, kind="stable")
    place = np.empty(len(kept), dtype=int)
    place[order] = np.arange(len(kept)) - np.searchsorted(kept[order], kept[order])
    # A pile is as many dots wide as makes the highest one about ten dots high.
    width = max(1, -(-int(place.max() + 1) // PILE_HEIGHT))
    across = kept + PILE_WIDTH * ((place % width + 0.5) / width - 0.5)
    height = place // width + 1
    kind = go.Scattergl if len(kept) > GL_DOTS else go.Scatter
    figure = go.Figure().add_trace(kind(
        x=across, y=height, mode="markers", customdata=np.arange(len(kept)), name="a text",
        text=[f"{n} kept: {shorten(text)}" for n, text in zip(kept, texts)],
        marker={"color": BLUE, "size": DOT_SIZE}, hovertemplate="%{text}<extra></extra>",
    ))  # fmt: skip
    if chosen is not None:
        add_rings(figure, across[[chosen]], height[[chosen]], "the chosen text", 15)
    axis = {"range": [-0.5, overlap.k + 0.5], "dtick": 1 if overlap.k <= 20 else None}
    figure.update_xaxes(title=f"neighbors kept of {overlap.k} at {dim} dims", **axis)
    return finish(figure, 320, title=f"texts, {width} a row" if width > 1 else "texts", rangemode="tozero")


def neighbor_bump(ranks: NeighborRanks, labels: Sequence[str], k: int) -> go.Figure:
    """Rank of one text's full-width neighbors at each width, on a log scale; the line marks rank k."""
    figure, hover = go.Figure(), "rank %{y} at %{x} dims<br>%{text}<extra></extra>"
    for position, label in enumerate(labels):
        short, symbol = shorten(label), SYMBOLS[position % len(SYMBOLS)]
        add_line(
            figure, ranks.dims, ranks.ranks[:, position], f"{position + 1}. {short[:28]}", None, symbol=symbol, width=2,
            size=8, text=np.full(len(ranks.dims), short), hovertemplate=hover,
        )  # fmt: skip
    figure.add_hline(y=k + 0.5, line=DASHED)
    dtick = 1 if ranks.ranks.max() > 100 else None
    return by_width(figure, ranks.dims, title="rank among all texts", type="log", autorange="reversed", dtick=dtick)
