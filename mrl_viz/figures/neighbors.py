"""Pictures of neighbor overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from mrl_viz.figures.style import (
    BLUE,
    DASHED,
    GREEN,
    GREY,
    KEPT,
    MOST_MARKERS,
    add_band,
    add_chance,
    add_estimates,
    add_line,
    add_rings,
    add_trained,
    asked,
    by_width,
    finish,
    shorten,
)
from mrl_viz.measures.estimate import columns

if TYPE_CHECKING:
    from mrl_viz.measures.lists import NeighborOverlap, NeighborRanks
    from mrl_viz.tasks.summary import WidthSummary

DOT_SIZE = 5
KEPT_HEIGHT, USEFUL_BAND = 260, "rgba(0, 158, 115, 0.18)"
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
    return by_width(figure, overlap.dims, focus_dim, title=f"overlap@{overlap.k}, {asked(overlap)}", **KEPT)


def kept_and_useful(summary: WidthSummary, focus_dim: int | None = None, trained: Sequence[int] = ()) -> go.Figure:
    """The share of neighbors kept against width, and of the usefulness that the labels judge, with intervals."""
    overlap, useful, figure = summary.overlap, summary.useful, go.Figure()
    sides = kept, low, high = columns(overlap.overlap)
    shares = () if useful is None else tuple(share for share in useful.retention if share is not None)
    if useful is not None and len(shares) == len(useful.dims):
        judged, judged_low, judged_high = columns(shares)
        add_band(figure, useful.dims, judged_low, judged_high, fill=USEFUL_BAND)
        own = np.array([estimate.value for estimate in useful.value])
        add_line(
            figure, useful.dims, judged, f"same usefulness ({summary.judge})", GREEN, "dash", "square", customdata=own,
            hover="%{x} dims: %{y:.0%} of the full width's, which is %{customdata:.3f} here",
        )  # fmt: skip
    add_band(figure, overlap.dims, low, high)
    add_estimates(figure, overlap.dims, sides, f"same neighbors (overlap@{overlap.k})", BLUE, bars=False, number=".0%")
    add_chance(figure, overlap.dims, overlap.chance)
    add_trained(figure, overlap.dims, kept, trained)
    for trace in figure.data:
        trace.showlegend = bool(trace.name) and trace.name.startswith("same")
    by_width(figure, overlap.dims, focus_dim, KEPT_HEIGHT, title="kept of the full width", **KEPT)
    room = 0.04 * np.log10(overlap.dims[-1] / overlap.dims[0])
    figure.update_xaxes(range=[np.log10(overlap.dims[0]) - room, np.log10(overlap.dims[-1]) + room])
    if focus_dim is not None:  # inside, where no legend is, and on the side where there is room
        is_left = focus_dim**2 < overlap.dims[0] * overlap.dims[-1]
        side = {"xanchor": "left", "xshift": 4} if is_left else {"xanchor": "right", "xshift": -4}
        figure.layout.annotations[-1].update(y=0.9, **side)
    figure.add_annotation(
        x=np.log10(overlap.dims[-1]), y=overlap.chance, text=f"chance {overlap.chance:.1%}", showarrow=False,
        font={"color": GREY, "size": 13}, xanchor="right", yanchor="bottom",
    )  # fmt: skip
    return figure.update_layout(legend={"y": 1, "yanchor": "top"}, margin={"t": 20, "b": 46})


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
