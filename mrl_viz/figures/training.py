"""Pictures of nested training: losses per width as they fall, and a Matryoshka model against its plain twin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from mrl_viz.errors import InvalidInputError
from mrl_viz.figures.style import BLUE, GREEN, GREY, ORANGE, finish, width_axis
from mrl_viz.measures.estimate import Estimate, columns
from mrl_viz.training.loop import EpochLosses
from mrl_viz.training.twins import TwinComparison

# From narrow to wide; all of middling lightness, to be seen on white and on black.
WIDTH_SHADES = (BLUE, GREEN, "#C99700")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star", "pentagon")
TWIN_STYLES = {
    "matryoshka": ("Matryoshka", BLUE, "circle", "solid"),
    "plain": ("plain twin", ORANGE, "square", "dash"),
    "before": ("before training", GREY, "diamond", "dot"),
}


def training_losses(epochs: Sequence[EpochLosses]) -> go.Figure:
    """Mean loss of each finished epoch, nats: one line a width of the Matryoshka model, one dashed line for its plain twin.

    Raises
    ------
    InvalidInputError : no epoch is finished yet.
    """
    if not epochs:
        raise InvalidInputError("`epochs` is empty; wait until the first epoch is finished.")
    figure = go.Figure()
    nested = [epoch for epoch in epochs if epoch.run == "matryoshka"]
    dims = nested[0].dims if nested else ()
    shades = sample_colorscale(list(WIDTH_SHADES), np.linspace(0, 1, max(len(dims), 2)))
    for level, dim in enumerate(dims):
        _loss_line(figure, nested, level, f"{dim} dims", shades[level], SYMBOLS[level % len(SYMBOLS)], "solid")
    if plain := [epoch for epoch in epochs if epoch.run == "plain"]:
        _loss_line(figure, plain, 0, f"plain twin, {plain[0].dims[0]} dims", ORANGE, "square-open", "dash")
    last = epochs[-1].n_epochs
    figure.update_xaxes(title="epoch", range=[0.5, last + 0.5], tickformat="d", nticks=min(last, 10) + 1)
    figure.update_yaxes(title="mean loss, nats", rangemode="tozero")
    return finish(figure)


def twin_curves(comparison: TwinComparison) -> go.Figure:
    """Quality on held-out data against width, with 95 % intervals: the Matryoshka model, its plain twin, the start.

    Hollow markers are widths at which the two differ at 5 %, Holm-adjusted; the dotted line is 8.3 % of the size.
    """
    figure = go.Figure()
    differs = [verdict != "equal" for verdict in comparison.verdicts()]
    for name, curve in reversed(list(comparison.curves.items())):
        label, colour, symbol, dash = TWIN_STYLES[name]
        hollow = differs if name == "matryoshka" else [False] * len(differs)
        symbols = [f"{symbol}-open" if own else symbol for own in hollow]
        _with_intervals(figure, comparison.dims, curve, label, colour, symbols, dash)
    _small_line(figure, comparison)
    width_axis(figure, comparison.dims)
    figure.update_yaxes(title=comparison.measure, rangemode="tozero")
    figure.update_layout(legend_traceorder="reversed")
    return finish(figure)


def twin_gain(comparison: TwinComparison) -> go.Figure:
    """Matryoshka minus plain twin at every width, paired, with 95 % intervals; above 0 the nested loss pays."""
    figure = go.Figure()
    symbols = ["circle-open" if verdict != "equal" else "circle" for verdict in comparison.verdicts()]
    _with_intervals(figure, comparison.dims, comparison.gain, "Matryoshka − plain", BLUE, symbols, "solid")
    figure.add_hline(y=0, line={"color": GREY, "dash": "dash"})
    _small_line(figure, comparison)
    width_axis(figure, comparison.dims)
    figure.update_yaxes(title=f"gain in {comparison.measure}", tickformat="+.2f")
    figure.update_layout(showlegend=False)
    return finish(figure)


def _loss_line(
    figure: go.Figure, epochs: Sequence[EpochLosses], level: int, label: str, colour: str, symbol: str, dash: str
) -> None:
    figure.add_scatter(
        x=[epoch.epoch for epoch in epochs], y=[epoch.losses[level] for epoch in epochs], mode="lines+markers", name=label,
        line={"color": colour, "width": 2.5, "dash": dash}, marker={"symbol": symbol, "size": 8},
        hovertemplate=f"{label}, epoch %{{x}}: %{{y:.3f}}<extra></extra>",
    )  # fmt: skip


def _with_intervals(
    figure: go.Figure,
    dims: tuple[int, ...],
    curve: Sequence[Estimate],
    label: str,
    colour: str,
    symbols: list[str],
    dash: str,
) -> None:
    values, lows, highs = columns(curve)
    figure.add_scatter(
        x=dims, y=values, mode="lines+markers", name=label, line={"color": colour, "width": 3, "dash": dash},
        marker={"symbol": symbols, "size": 11, "color": colour, "line": {"width": 2, "color": colour}},
        error_y={"array": highs - values, "arrayminus": values - lows, "thickness": 1.5, "width": 4},
        customdata=np.stack([lows, highs], axis=1),
        hovertemplate=f"{label}, %{{x}} dims: %{{y:.3f}}<br>95 %: %{{customdata[0]:.3f}} to %{{customdata[1]:.3f}}<extra></extra>",
    )  # fmt: skip


def _small_line(figure: go.Figure, comparison: TwinComparison) -> None:
    figure.add_vline(x=comparison.small_dim, line={"color": GREY, "dash": "dot", "width": 2})
    figure.add_annotation(
        # On a logarithmic axis plotly places annotations by the exponent.
        x=np.log10(comparison.small_dim), y=1, yref="paper", yanchor="bottom", showarrow=False,
        text=f"{comparison.small_dim / comparison.dims[-1]:.1%} of the size",
    )  # fmt: skip
