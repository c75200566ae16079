"""Pictures of shortlists, and of what an exact search may leave out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from mrl_viz.figures.style import (
    BAND,
    BLUE,
    DASHED,
    GREEN,
    GREY,
    KEPT,
    ORANGE,
    add_band,
    add_estimates,
    add_line,
    add_mark,
    add_rings,
    by_width,
    finish,
    log_axis,
    shorten,
)
from mrl_viz.measures.estimate import columns

if TYPE_CHECKING:
    from mrl_viz.retrieval.early import EarlyOrders
    from mrl_viz.retrieval.funnel import FunnelLosses, NeighborPaths
    from mrl_viz.retrieval.layouts import LayoutReads
    from mrl_viz.retrieval.shortlist import ShortlistCurve
    from mrl_viz.retrieval.stopping import StopRule
    from mrl_viz.retrieval.width_prediction import WidthPrediction


def shortlist_overlap(curve: ShortlistCurve, chosen_size: int | None = None) -> go.Figure:
    """Overlap@k of shortlist + rerank against the shortlist's size (log scale), with its interval."""
    figure, (value, low, high) = go.Figure(), columns(curve.overlap)
    add_band(figure, curve.sizes, low, high)
    add_line(figure, curve.sizes, value, f"overlap@{curve.k}", BLUE, hover="shortlist of %{x}: %{y:.3f}")
    figure.add_hline(y=0.99, line=DASHED)
    if chosen_size is not None:
        add_mark(figure, chosen_size)
    log_axis(figure, f"shortlist size at {curve.shortlist_dim} dims", curve.sizes)
    return finish(figure, title="full-width neighbors found", **KEPT)


# How the orders of coordinates are named and drawn.
ORDERS = {
    "prefix": ("the model's order", BLUE, "solid", "circle"),
    "svd": ("after SVD", GREEN, "dash", "diamond"),
    "scrambled": ("scrambled", GREY, "dot", "square"),
}


def still_alive(orders: EarlyOrders) -> go.Figure:
    """Share of the vectors that can still be among the best after so many coordinates, in every order of them."""
    figure = go.Figure()
    for name, search in zip(orders.orders, orders.searches):
        said, colour, dash, symbol = ORDERS[name]
        add_estimates(figure, search.dims, columns(search.alive), said, colour, dash, symbol, number=".1%")
    figure.update_xaxes(title="coordinates read", rangemode="tozero")
    return finish(figure, title="vectors still in the running", **KEPT)


# Of a funnel's picture: what it takes without stages, and each of them.
FUNNEL_HEIGHT, STAGE_HEIGHT = 150, 75
RANK_HOVER = "rank %{x}, %{customdata[0]} kept"


def funnel(losses: FunnelLosses, paths: NeighborPaths, texts: Sequence[str], chosen: int | None = None) -> go.Figure:
    """A funnel from all items to those returned, and one query's true neighbors on their way down, by their ranks.

    The wall is how many each stage keeps, on a log scale; a neighbor whose rank lies outside falls out there.

    Parameters
    ----------
    texts : of the neighbors, best first
    chosen : the position of the neighbor that is drawn bold; None for none
    """
    figure, n_stages = go.Figure(), len(losses.stages)
    keeps = [losses.n_items, *(keep for _, keep in losses.stages)]
    floors = list(range(n_stages + 1))
    corners = {"x": [1, *keeps, 1], "y": [0, *floors, n_stages]}
    figure.add_scatter(
        **corners, mode="lines", fill="toself", fillcolor=BAND, hoverinfo="skip", name="still in the funnel",
        line={"color": BLUE, "width": 2},
    )  # fmt: skip
    named: set[str] = set()
    for place, stage in enumerate(paths.dropped_at):
        is_lost, is_chosen = stage >= 0, place == chosen
        ranks = paths.ranks[: stage + 1 if is_lost else n_stages, place]
        colour, name = (ORANGE, "falls out") if is_lost else (GREEN, "comes through")
        figure.add_scatter(
            x=ranks, y=floors[1 : len(ranks) + 1], name=name, legendgroup=name, showlegend=name not in named,
            mode="lines+markers", opacity=1 if is_chosen or chosen is None else 0.75,
            line={"color": colour, "width": 4 if is_chosen else 1.5, "dash": "dash" if is_lost else "solid"},
            marker={
                "color": colour, "size": 14 if is_chosen else 9,
                "symbol": ["circle"] * (len(ranks) - 1) + ["x" if is_lost else "circle"],
            },
            customdata=np.stack([[keep for _, keep in losses.stages[: len(ranks)]]], axis=1),
            hovertemplate=f"{place + 1}. {shorten(texts[place])}<br>{RANK_HOVER}<extra></extra>",
            cliponaxis=False,
        )  # fmt: skip
        named.add(name)
    rows = [f"all {losses.n_items:,}"]
    for (dim, keep), lost in zip(losses.stages, losses.lost):
        rows.append(f"{dim} dims, keep {keep:,}<br>loses {lost.value:.1%}")
    powers = 10 ** np.arange(int(np.log10(losses.n_items)) + 1)
    log_axis(figure, "rank in the stage", powers.tolist())
    figure.update_xaxes(range=[-0.05, np.log10(losses.n_items * 1.15)])
    return finish(
        figure, FUNNEL_HEIGHT + STAGE_HEIGHT * (n_stages + 1), tickvals=floors, ticktext=rows,
        range=[n_stages + 0.3, -0.2], zeroline=False,
    )  # fmt: skip


def stop_curves(rule: StopRule) -> go.Figure:
    """Recall against how many are reranked on average: lists of fixed lengths beside stops at every margin, of all
    queries; the ring is what learnt margins do on queries that they were not learnt on."""
    figure = go.Figure()
    fixed, margin = columns(rule.by_size), columns(rule.by_rule)
    add_band(figure, rule.sizes, *fixed[1:], name="95 % interval, fixed", fill="rgba(127, 127, 127, 0.20)")
    add_band(figure, rule.rule_sizes, *margin[1:], name="95 % interval, margin")
    add_line(figure, rule.sizes, fixed[0], "fixed length", GREY, "dash", "square", hover="%{x} reranked: %{y:.1%}")
    add_line(
        figure,
        rule.rule_sizes,
        margin[0],
        "stopped by the margin",
        BLUE,
        hover="%{x:.0f} reranked on average: %{y:.1%}",
    )
    add_rings(figure, [rule.reranked.value], [rule.recall.value], "learnt margin", 17)
    figure.add_hline(y=rule.target, line=DASHED)
    ticks = [size for size in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if rule.k <= size <= rule.sizes[-1]]
    log_axis(figure, f"reranked per query, after {rule.shortlist_dim} dims", ticks)
    return finish(figure, title="full-width neighbors found", tickformat=".0%")


def layout_bytes(reads: LayoutReads, focus_dim: int | None = None) -> go.Figure:
    """Bytes read from a disk for a search at each width, of vectors stored by rows and by columns; both axes log."""
    figure = go.Figure()
    for sizes, name, colour, dash, symbol in (
        (reads.by_rows, "stored by rows", GREY, "dash", "square"),
        (reads.by_chunks, f"by columns, {reads.chunk} together", ORANGE, "dot", "diamond"),
        (reads.by_widths, "by columns, cut at these widths", BLUE, "solid", "circle"),
    ):
        add_line(figure, reads.dims, sizes, name, colour, dash, symbol, hover="%{x} dims: %{y:,} bytes")
    return by_width(
        figure, reads.dims, focus_dim, title="bytes read", type="log", tickformat="~s", ticksuffix="B", dtick=1
    )


# How the rules that choose a width for each query are named and drawn, and how far apart.
RULES = {
    "list": ("reads the list's similarities", BLUE, "circle", 0.985),
    "qpp": ("reads performance-prediction scores too", ORANGE, "square", 1.015),
}


def width_gain(prediction: WidthPrediction) -> go.Figure:
    """What each rule gains over one width for all of the same mean cost, in points, and what knowing would gain."""
    figure = go.Figure()
    marks: dict[str, Any] = {"number": ".1f", "mode": "markers", "size": 11}
    for features, (said, colour, symbol, shift) in RULES.items():
        rules = [one for one in prediction.comparisons if one.features == features]
        gains = [100 * side for side in columns([one.gain for one in rules])]
        means = [one.predicted_dim for one in rules]
        add_estimates(figure, means, gains, said, colour, symbol=symbol, shift=shift, **marks)
    oracle = [100 * side for side in columns([prediction.oracle_gain])]
    add_estimates(figure, [prediction.oracle_dim], oracle, "knows it beforehand", GREEN, symbol="diamond", **marks)
    figure.add_hline(
        y=0, line=DASHED, annotation_text="one width for all, at the same cost", annotation_position="bottom left"
    )
    figure.update_xaxes(title="mean width, dims")
    return finish(figure, title=f"overlap@{prediction.k} gained, points")
