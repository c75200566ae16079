"""Pictures of nested training: losses per width as they fall, and a Matryoshka model against its plain twin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from mrl_viz.errors import InvalidInputError
from mrl_viz.figures.style import (
    BLUE,
    DASHED,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SHADES,
    STAR,
    add_estimates,
    add_line,
    by_width,
    finish,
    shorten,
)
from mrl_viz.measures.estimate import Estimate, columns

if TYPE_CHECKING:
    from mrl_viz.training.loop import EpochLosses
    from mrl_viz.training.overlay import Overlay
    from mrl_viz.training.twins import TwinComparison

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star", "pentagon")
OVERLAY_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SHADES[-1], GREY)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
TWIN_STYLES = {
    "matryoshka": ("Matryoshka", BLUE, "solid", "circle"),
    "plain": ("plain twin", ORANGE, "dash", "square"),
    "before": ("before training", GREY, "dot", "diamond"),
}


def training_losses(epochs: Sequence[EpochLosses]) -> go.Figure:
    """Mean loss of each finished epoch, nats: one line a width of the Matryoshka model, dashed its plain twin.

    Raises
    ------
    InvalidInputError : no epoch is finished yet.
    """
    if not epochs:
        raise InvalidInputError("`epochs` is empty; wait until the first epoch is finished.")
    figure = go.Figure()
    nested = [epoch for epoch in epochs if epoch.run == "matryoshka"]
    dims = nested[0].dims if nested else ()
    shades = sample_colorscale(list(SHADES), np.linspace(0, 1, max(len(dims), 2)))
    lines = [
        (nested, level, f"{dim} dims", shades[level], "solid", SYMBOLS[level % len(SYMBOLS)])
        for level, dim in enumerate(dims)
    ]
    if plain := [epoch for epoch in epochs if epoch.run == "plain"]:
        lines.append((plain, 0, f"plain twin, {plain[0].dims[0]} dims", ORANGE, "dash", "square"))
    for those, level, *look in lines:
        add_line(
            figure, [epoch.epoch for epoch in those], [epoch.losses[level] for epoch in those], *look,
            hover="epoch %{x}: %{y:.3f}", mode="lines+markers", width=2.5, size=8,
        )  # fmt: skip
    last = epochs[-1].n_epochs
    figure.update_xaxes(title="epoch", range=[0.5, last + 0.5], tickformat="d", nticks=min(last, 10) + 1)
    return finish(figure, title="mean loss, nats", rangemode="tozero")


def twin_curves(comparison: TwinComparison) -> go.Figure:
    """Quality on held-out data against width, with 95 % intervals: the Matryoshka model, its plain twin, the start.

    A star stands above widths at which the two differ at 5 %, Holm-adjusted; the dotted line is 8.3 % of the size.
    """
    figure = go.Figure()
    differs = [verdict != "equal" for verdict in comparison.verdicts()]
    for name, curve in reversed(list(comparison.curves.items())):
        starred = differs if name == "matryoshka" else [False] * len(differs)
        _with_intervals(figure, comparison, curve, *TWIN_STYLES[name], starred)
    figure.update_layout(legend_traceorder="reversed")
    return _finished(figure, comparison, title=comparison.measure, rangemode="tozero")


def twin_gain(comparison: TwinComparison) -> go.Figure:
    """Matryoshka minus plain twin at every width, paired, with 95 % intervals; above 0 the nested loss pays."""
    figure = go.Figure()
    differs = [verdict != "equal" for verdict in comparison.verdicts()]
    _with_intervals(figure, comparison, comparison.gain, "Matryoshka − plain", BLUE, "solid", "circle", differs)
    figure.add_hline(y=0, line=DASHED)
    figure.update_layout(showlegend=False)
    return _finished(figure, comparison, title=f"gain in {comparison.measure}", tickformat="+.2f")


def twin_kept(comparison: TwinComparison) -> go.Figure:
    """The share of its own full width that each width keeps, with 95 % intervals: the Matryoshka model, its twin.

    Raises
    ------
    InvalidInputError : neither is above 0 at full width, or the run is of an earlier version.
    """
    figure = go.Figure()
    for name in ("plain", "matryoshka"):
        curve = [share for share in comparison.shares.get(name, ()) if share is not None]
        if len(curve) == len(comparison.dims):
            label, colour, dash, symbol = TWIN_STYLES[name]
            add_estimates(
                figure, comparison.dims, columns(curve), label, colour, dash, symbol, size=11, number=".1%",
                shift=1.01 if name == "plain" else 0.99,
            )  # fmt: skip
    if not figure.data:
        raise InvalidInputError("`comparison` has no shares of the full width; train again, or choose other data.")
    figure.update_layout(legend_traceorder="reversed")
    figure.add_hline(y=1, line=DASHED)
    return _finished(figure, comparison, title=f"{comparison.measure}, share of own full width", tickformat=".0%")


def overlay_curves(overlay: Overlay) -> go.Figure:
    """Quality on held-out items against width, with 95 % intervals: one line a model.

    A star stands above widths at which a model surely differs from the first.
    """
    figure = go.Figure()
    for place, (label, curve) in enumerate(overlay.curves.items()):
        starred = [label in overlay.gain and verdict != "equal" for verdict in _verdicts(overlay, label)]
        _laid(figure, overlay, label, curve, place, starred)
    return by_width(figure, overlay.dims, title=overlay.measure)


def overlay_gains(overlay: Overlay) -> go.Figure:
    """Each model minus the first at every width, paired; the intervals hold all together at 95 %."""
    figure = go.Figure()
    for place, label in enumerate(overlay.curves):
        if label in overlay.gain:
            starred = [verdict != "equal" for verdict in _verdicts(overlay, label)]
            _laid(figure, overlay, label, overlay.gain[label], place, starred)
    figure.add_hline(y=0, line=DASHED)
    figure.update_layout(showlegend=True)
    # Plain words: a label of settings would be longer than the axis.
    return by_width(figure, overlay.dims, title=f"gain in {overlay.measure} over the first", tickformat="+.2f")


def _verdicts(overlay: Overlay, label: str) -> tuple[str, ...]:
    return overlay.verdicts(label) if label in overlay.gain else ("equal",) * len(overlay.dims)


def _laid(
    figure: go.Figure, overlay: Overlay, label: str, curve: Sequence[Estimate], place: int, starred: Sequence[bool]
) -> None:
    """One model's line, a little aside of the others so that intervals do not cover each other."""
    colour = OVERLAY_COLOURS[place % len(OVERLAY_COLOURS)]
    n_seeds = overlay.n_seeds[label]
    name = shorten(label) if n_seeds == 1 else f"{shorten(label)} (mean of {n_seeds} trainings)"
    middle = (len(overlay.curves) - 1) / 2
    add_estimates(
        figure, overlay.dims, columns(curve), name, colour, DASHES[place % len(DASHES)],
        SYMBOLS[place % len(SYMBOLS)], size=10, shift=1 + 0.02 * (place - middle), mode="lines+markers+text",
        text=[STAR if star else "" for star in starred], textposition="top right",
        textfont={"size": 20, "color": colour},
    )  # fmt: skip


def _with_intervals(
    figure: go.Figure, comparison: TwinComparison, curve: Sequence[Estimate], label: str, colour: str,
    dash: str, symbol: str, starred: Sequence[bool],
) -> None:  # fmt: skip
    add_estimates(
        figure, comparison.dims, columns(curve), label, colour, dash,
        symbol, size=11, mode="lines+markers+text", text=[STAR if star else "" for star in starred],
        textposition="top right", textfont={"size": 20, "color": colour},
    )  # fmt: skip


def _finished(figure: go.Figure, comparison: TwinComparison, **y: Any) -> go.Figure:
    """With a line at the small width, as far along as 8.3 % of the size."""
    figure.add_vline(x=comparison.small_dim, line={"color": GREY, "dash": "dot", "width": 2})
    figure.add_annotation(
        # On a logarithmic axis plotly places annotations by the exponent.
        x=np.log10(comparison.small_dim), y=1, yref="paper", yanchor="bottom", showarrow=False,
        text=f"{comparison.small_dim / comparison.dims[-1]:.1%} of the size",
    )  # fmt: skip
    return by_width(figure, comparison.dims, **y)
