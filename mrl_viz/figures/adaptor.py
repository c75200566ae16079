"""Pictures of an adaptor: held-out quality beside raw prefix and SVD, gains with intervals, training losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from mrl_viz.figures.style import BLUE, DASHED, GREEN, GREY, ORANGE, add_estimates, add_line, by_width, finish
from mrl_viz.measures.estimate import columns

if TYPE_CHECKING:
    from mrl_viz.adaptor.report import AdaptorFit

# Name, colour, dash and marker of each line: three ways to tell them apart.
LINES = {
    "prefix": ("raw prefix, held out", BLUE, "dash", "circle"),
    "svd": ("SVD, held out", GREEN, "dashdot", "diamond"),
    "adaptor": ("adaptor, held out", ORANGE, "solid", "square"),
}
# The second comparison stands beside the first at every width, by this factor on the logarithmic axis.
BESIDE = 1.05


def adaptor_curves(fit: AdaptorFit, measure: str = "overlap", focus_dim: int | None = None) -> go.Figure:
    """Quality against width on held-out data with 95 % intervals, and the adaptor on what it was trained on.

    `measure` : "overlap", or "ndcg" where there are judgements.
    """
    figure = go.Figure()
    for row in fit.qualities:
        width = 4 if row.name == "adaptor" else 2
        add_estimates(figure, fit.dims, columns(getattr(row, measure)), *LINES[row.name], width=width)
    add_line(
        figure, fit.dims, getattr(fit.quality("adaptor"), f"{measure}_train"), "adaptor, what it was trained on",
        ORANGE, "dot", "x-thin", width=1, size=7, marker={"line": {"width": 1, "color": ORANGE}},
    )  # fmt: skip
    title = f"overlap@{fit.k}, held-out texts among each other" if measure == "overlap" else "nDCG@10"
    return by_width(figure, fit.dims, focus_dim, title=title, range=[0, 1.03])


def adaptor_gains(fit: AdaptorFit) -> go.Figure:
    """Difference to SVD and to the raw prefix at every width below the full one, paired, with 95 % intervals.

    Triangles up and down are differences whose interval leaves 0 out; circles are not told apart from 0.
    """
    figure = go.Figure()
    dims = fit.dims[:-1]
    for name, gains, colour, shift in (
        ("against SVD", fit.gain_over_svd, GREEN, 1),
        ("against the raw prefix", fit.gain_over_prefix, BLUE, BESIDE),
    ):
        mean, low, high = columns(gains[: len(dims)])
        symbols = np.select([low > 0, high < 0], ["triangle-up", "triangle-down"], "circle")
        add_estimates(
            figure, dims, (mean, low, high), name, colour, symbol=symbols, number="+.3f", shift=shift, size=12,
            mode="markers", marker={"color": colour}, text=np.select([low > 0, high < 0], ["better", "worse"], "equal"),
            hover="<br>%{text}",
        )  # fmt: skip
    figure.add_hline(y=0, line={"color": GREY, "width": 2})
    return by_width(figure, dims, height=340, title=f"difference in {fit.measure}", tickformat="+.2f")


def adaptor_losses(fit: AdaptorFit) -> go.Figure:
    """Training and validation loss of every epoch; a line where the next stage begins."""
    figure = go.Figure()
    epochs = np.arange(1, len(fit.stages) + 1)
    for name, values, colour, dash in (
        ("training rows", fit.train_losses, BLUE, "solid"),
        ("validation rows", fit.validation_losses, ORANGE, "dash"),
    ):
        add_line(
            figure, epochs, values, name, colour, dash, mode="lines+markers", width=2, size=6, text=list(fit.stages),
            hover="epoch %{x} (%{text}): %{y:.4f}",
        )  # fmt: skip
    for position, (before, after) in enumerate(zip(fit.stages, fit.stages[1:]), 1):
        if before != after:
            figure.add_vline(x=position + 0.5, line=DASHED)
    figure.update_xaxes(title="epoch", dtick=1 if len(epochs) <= 15 else None)
    return finish(figure, 320, title="loss", rangemode="tozero")
