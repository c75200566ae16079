"""Pictures of shortlists, and of what an exact search may leave out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from mrl_viz.figures.style import (
    BLUE,
    DASHED,
    GREEN,
    GREY,
    KEPT,
    add_band,
    add_estimates,
    add_line,
    add_mark,
    finish,
    log_axis,
)
from mrl_viz.measures.estimate import columns

if TYPE_CHECKING:
    from mrl_viz.retrieval.early import EarlyOrders
    from mrl_viz.retrieval.shortlist import ShortlistCurve


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
