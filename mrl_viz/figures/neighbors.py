"""Pictures of neighbor overlap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from mrl_viz.figures.style import BAND, BLUE, GREEN, GREY, MOST_MARKERS, ORANGE, finish, shorten, width_axis
from mrl_viz.measures.estimate import columns
from mrl_viz.measures.lists import NeighborOverlap, NeighborRanks

DOT_SIZE = 5
PILE_HEIGHT, PILE_WIDTH = 10, 0.8


def overlap_curve(overlap: NeighborOverlap, focus_dim: int | None = None, trained: Sequence[int] = ()) -> go.Figure:
    """Overlap@k against width with its interval, the chance line, the focus width and the trained widths."""
    dims = np.asarray(overlap.dims)
    value, low, high = columns(overlap.overlap)
    mode = "lines+markers" if len(dims) <= MOST_MARKERS else "lines"
    figure = go.Figure()
    figure.add_scatter(x=dims, y=high, mode="lines", line_width=0, hoverinfo="skip", showlegend=False)
    figure.add_scatter(
        x=dims, y=low, mode="lines", line_width=0, fill="tonexty", fillcolor=BAND,
        hoverinfo="skip", name="95 % interval",
    )  # fmt: skip
    figure.add_scatter(
        x=dims, y=value, mode=mode, name=f"overlap@{overlap.k}", line={"color": BLUE, "width": 3},
        marker={"size": 9}, customdata=np.stack([low, high], axis=1),
        hovertemplate="%{x} dims: %{y:.3f}<br>95 %: %{customdata[0]:.3f} to %{customdata[1]:.3f}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=dims[[0, -1]], y=np.full(2, overlap.chance), mode="lines", name="chance", line={"color": GREY, "dash": "dash"},
        hovertemplate="chance %{y:.4f}<extra></extra>",
    )  # fmt: skip
    shown = [(dim, value[overlap.dims.index(dim)]) for dim in trained if dim in overlap.dims]
    if shown:
        figure.add_scatter(
            x=[dim for dim, _ in shown], y=[value for _, value in shown], mode="markers", name="trained width",
            marker={"symbol": "diamond-open", "size": 17, "color": GREEN, "line_width": 3}, hoverinfo="skip",
        )  # fmt: skip
    if focus_dim is not None:
        figure.add_vline(x=focus_dim, line={"color": ORANGE, "dash": "dot", "width": 2})
        figure.add_annotation(
            x=np.log10(focus_dim), y=1.02, yref="paper", text=f"focus {focus_dim}", showarrow=False, yanchor="bottom",
            font={"color": ORANGE},
        )  # fmt: skip
    width_axis(figure, overlap.dims)
    figure.update_yaxes(title=f"neighbors kept, overlap@{overlap.k}", range=[0, 1.03], tickformat=".0%")
    return finish(figure)


def overlap_by_k(overlap: NeighborOverlap) -> go.Figure:
    """Heat map of overlap at every list length (rows) and width (columns), in shares of 1."""
    labels = [str(dim) for dim in overlap.dims]
    text = np.round(100 * overlap.by_k.T).astype(int) if len(labels) <= MOST_MARKERS and overlap.k <= 20 else None
    figure = go.Figure(
        go.Heatmap(
            z=overlap.by_k.T, x=labels, y=np.arange(1, overlap.k + 1), zmin=0, zmax=1, colorscale="Viridis",
            text=text, texttemplate="%{text}" if text is not None else None,
            colorbar={"title": "overlap", "tickformat": ".0%"},
            hovertemplate="%{x} dims, first %{y} neighbors: %{z:.3f}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(title="width, dims", type="category")
    figure.update_yaxes(title="list length k", autorange="reversed", dtick=1 if overlap.k <= 20 else None)
    return finish(figure)


def per_item_strip(overlap: NeighborOverlap, dim: int, texts: Sequence[str], chosen: int | None = None) -> go.Figure:
    """One dot a text, piled over the number of neighbors it keeps at one width; `customdata` is the text's position."""
    kept = np.round(overlap.per_item[overlap.dims.index(dim)] * overlap.k).astype(int)
    order = np.argsort(kept, kind="stable")
    place = np.empty(len(kept), dtype=int)
    place[order] = np.arange(len(kept)) - np.searchsorted(kept[order], kept[order])
    # A pile is as many dots wide as makes the highest one about ten dots high.
    width = max(1, -(-int(place.max() + 1) // PILE_HEIGHT))
    across = kept + PILE_WIDTH * ((place % width + 0.5) / width - 0.5)
    height = place // width + 1
    figure = go.Figure()
    figure.add_trace(
        go.Scattergl(
            x=across, y=height, mode="markers", customdata=np.arange(len(kept)), marker={"color": BLUE, "size": DOT_SIZE},
            text=[f"{n} kept: {shorten(text)}" for n, text in zip(kept, texts)], hovertemplate="%{text}<extra></extra>", name="a text",
        )
    )  # fmt: skip
    if chosen is not None:
        figure.add_scatter(
            x=across[[chosen]], y=height[[chosen]], mode="markers", name="the chosen text", hoverinfo="skip",
            marker={"symbol": "circle-open", "size": 15, "color": ORANGE, "line_width": 3},
        )  # fmt: skip
    figure.update_xaxes(
        title=f"neighbors kept of {overlap.k} at {dim} dims",
        range=[-0.5, overlap.k + 0.5],
        dtick=1 if overlap.k <= 20 else None,
    )
    figure.update_yaxes(title=f"texts, {width} a row" if width > 1 else "texts", rangemode="tozero")
    return finish(figure, height=320)


def neighbor_bump(ranks: NeighborRanks, labels: Sequence[str], k: int) -> go.Figure:
    """Rank of one text's full-width neighbors at each width, on a log scale; the line marks rank k."""
    dims = np.asarray(ranks.dims)
    figure = go.Figure()
    symbols = ("circle", "square", "diamond", "cross", "x", "triangle-up")
    for position, label in enumerate(labels):
        short = shorten(label)
        figure.add_scatter(
            x=dims, y=ranks.ranks[:, position], mode="lines+markers" if len(dims) <= MOST_MARKERS else "lines",
            name=f"{position + 1}. {short[:28]}", text=np.full(len(dims), short),
            marker={"symbol": symbols[position % len(symbols)], "size": 8},
            hovertemplate="rank %{y} at %{x} dims<br>%{text}<extra></extra>",
        )  # fmt: skip
    figure.add_hline(y=k + 0.5, line={"color": GREY, "dash": "dash"})
    width_axis(figure, ranks.dims)
    figure.update_yaxes(
        title="rank among all texts", type="log", autorange="reversed", dtick=1 if ranks.ranks.max() > 100 else None
    )
    return finish(figure)
