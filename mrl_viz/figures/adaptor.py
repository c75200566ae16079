"""Pictures of an adaptor: held-out quality beside raw prefix and SVD, gains with intervals, training losses."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from mrl_viz.adaptor.report import AdaptorFit, verdict
from mrl_viz.figures.style import BLUE, GREEN, GREY, ORANGE, finish, width_axis
from mrl_viz.measures.estimate import columns

# Name, colour, dash and marker of each line: three ways to tell them apart.
LINES = {
    "prefix": ("raw prefix", BLUE, "dash", "circle"),
    "svd": ("SVD", GREEN, "dashdot", "diamond"),
    "adaptor": ("adaptor", ORANGE, "solid", "square"),
}
VERDICT_SYMBOLS = {"better": "triangle-up", "equal": "circle-open", "worse": "triangle-down"}
# Two comparisons stand beside each other at every width, as factors on the logarithmic axis.
BESIDE = 1.05


def adaptor_curves(fit: AdaptorFit, measure: str = "overlap", focus_dim: int | None = None) -> go.Figure:
    """Quality against width on held-out data with 95 % intervals, and the adaptor on what it was trained on.

    `measure` : "overlap", or "ndcg" where there are judgements.
    """
    figure = go.Figure()
    dims = np.asarray(fit.dims)
    for row in fit.qualities:
        label, colour, dash, symbol = LINES[row.name]
        values, low, high = columns(getattr(row, measure))
        figure.add_scatter(
            x=dims, y=values, mode="lines+markers", name=f"{label}, held out",
            line={"color": colour, "dash": dash, "width": 4 if row.name == "adaptor" else 2},
            marker={"symbol": symbol, "size": 9},
            error_y={"array": high - values, "arrayminus": values - low, "color": colour, "thickness": 1, "width": 3},
            customdata=np.stack([low, high], axis=1),
            hovertemplate=(
                f"{label}, %{{x}} dims: %{{y:.3f}}<br>95 %: %{{customdata[0]:.3f}} to %{{customdata[1]:.3f}}<extra></extra>"
            ),
        )  # fmt: skip
    own = fit.quality("adaptor")
    figure.add_scatter(
        x=dims, y=np.asarray(getattr(own, f"{measure}_train")), mode="lines+markers", name="adaptor, what it was trained on",
        line={"color": ORANGE, "dash": "dot", "width": 1}, marker={"symbol": "x-thin", "size": 7, "line": {"width": 1, "color": ORANGE}},
        hovertemplate="adaptor on its training data, %{x} dims: %{y:.3f}<extra></extra>",
    )  # fmt: skip
    if focus_dim is not None:
        figure.add_vline(x=focus_dim, line={"color": GREY, "dash": "dot", "width": 2})
    width_axis(figure, fit.dims)
    title = f"neighbors kept, overlap@{fit.k}" if measure == "overlap" else "nDCG@10"
    figure.update_yaxes(title=title, range=[0, 1.03])
    return finish(figure)


def adaptor_gains(fit: AdaptorFit) -> go.Figure:
    """Difference to SVD and to the raw prefix at every width below the full one, paired, with 95 % intervals.

    Triangles up and down are differences whose interval leaves 0 out; circles are not told apart from 0.
    """
    figure = go.Figure()
    shown = [level for level, dim in enumerate(fit.dims) if dim < fit.adaptor.full_dim]
    comparisons = (
        ("against SVD", fit.gain_over_svd, GREEN, 1 / BESIDE),
        ("against the raw prefix", fit.gain_over_prefix, BLUE, BESIDE),
    )
    for name, gains, colour, factor in comparisons:
        mean, low, high = columns([gains[level] for level in shown])
        verdicts = [verdict(gains[level]) for level in shown]
        figure.add_scatter(
            x=[fit.dims[level] * factor for level in shown], y=mean, mode="markers", name=name,
            marker={"symbol": [VERDICT_SYMBOLS[found] for found in verdicts], "size": 12, "color": colour},
            error_y={"array": high - mean, "arrayminus": mean - low, "color": colour, "thickness": 2, "width": 5},
            customdata=[[fit.dims[level], found, a, b] for level, found, a, b in zip(shown, verdicts, low, high)],
            hovertemplate=(
                f"%{{customdata[0]}} dims, {name}: %{{y:+.3f}}<br>95 %: %{{customdata[2]:+.3f}} to %{{customdata[3]:+.3f}}"
                "<br>%{customdata[1]}<extra></extra>"
            ),
        )  # fmt: skip
    figure.add_hline(y=0, line={"color": GREY, "width": 2})
    width_axis(figure, [fit.dims[level] for level in shown])
    figure.update_yaxes(title=f"difference in {fit.measure}", tickformat="+.2f")
    return finish(figure, height=340)


def adaptor_losses(fit: AdaptorFit) -> go.Figure:
    """Training and validation loss of every epoch; a line where the next stage begins."""
    figure = go.Figure()
    epochs = np.arange(1, len(fit.stages) + 1)
    for name, values, colour, dash in (
        ("training rows", fit.train_losses, BLUE, "solid"),
        ("validation rows", fit.validation_losses, ORANGE, "dash"),
    ):
        figure.add_scatter(
            x=epochs, y=np.asarray(values), mode="lines+markers", name=name, text=list(fit.stages),
            line={"color": colour, "dash": dash, "width": 2}, marker_size=6,
            hovertemplate=f"{name}, epoch %{{x}} (%{{text}}): %{{y:.4f}}<extra></extra>",
        )  # fmt: skip
    for position, (before, after) in enumerate(zip(fit.stages, fit.stages[1:]), 1):
        if before != after:
            figure.add_vline(x=position + 0.5, line={"color": GREY, "dash": "dash"})
    figure.update_xaxes(title="epoch", dtick=1 if len(epochs) <= 15 else None)
    figure.update_yaxes(title="loss", rangemode="tozero")
    return finish(figure, height=320)
