"""Pictures of the workshop: how a class voted beside the truth, curves without their names, what may be promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mrl_viz.figures.controls import RANDOM_BAND
from mrl_viz.figures.style import (
    BAND,
    BLUE,
    DASHED,
    GREEN,
    GREY,
    KEPT,
    ORANGE,
    add_line,
    add_mark,
    finish,
    log_axis,
    shorten,
)
from mrl_viz.measures.estimate import columns

if TYPE_CHECKING:
    from mrl_viz.comparison.precision import PrecisionComparison
    from mrl_viz.lessons.lesson import Step, Truth
    from mrl_viz.lessons.room import Tally
    from mrl_viz.lessons.truth import Promise
    from mrl_viz.measures.controls import ControlComparison
    from mrl_viz.measures.lists import NeighborOverlap

ROUNDS = {"first": ("alone", GREY), "second": ("after talking", BLUE), "again": ("at the end", GREEN)}
OPTION_CHARACTERS = 24
# Unlabelled curves: colour, dash and marker of each.
BLIND = ((BLUE, "solid", "circle"), (ORANGE, "dash", "square"), (GREEN, "dot", "diamond"))


def votes(step: Step, tallies: Sequence[Tally], truth: Truth, height: int = 320) -> go.Figure:
    """Bars of how many gave each answer in each round, and where the truth lies, with its interval.

    Options stand one under the other, numbers along their slider.
    """
    figure = go.Figure()
    names = [shorten(option, OPTION_CHARACTERS) for option in step.options]
    most = max((count for tally in tallies for _, count in tally.counts), default=0)
    counts: dict[str, Any] = {"title": "votes", "range": [0, max(1, most) * 1.1], "dtick": 1 if most <= 6 else None}
    for tally in tallies:
        name, colour = ROUNDS[tally.round]
        answers = list(range(len(names))) if names else [answer for answer, _ in tally.counts]
        said, voices = [answer for answer, _ in tally.counts], [count for _, count in tally.counts]
        figure.add_bar(
            x=voices if names else answers, y=answers if names else voices, orientation="h" if names else "v",
            customdata=[[count, names[place] if names else f"{said[place]:g}"] for place, count in enumerate(voices)],
            marker={"color": colour, "pattern_shape": "/" if tally.round == "first" else ""},
            name=f"{name} ({tally.n_votes})",
            hovertemplate=f"{name}: %{{customdata[0]}} said %{{customdata[1]}}<extra></extra>",
        )  # fmt: skip
    if isinstance(truth.value, str):
        right = step.options.index(truth.value)
        ticks = [f"<b>✓ {name}</b>" if place == right else name for place, name in enumerate(names)]
        figure.update_xaxes(**counts)
        return finish(
            figure, height, tickvals=list(range(len(names))), ticktext=ticks, autorange="reversed", automargin=True
        )
    if step.range is not None:
        low, high, width = step.range
        figure.update_xaxes(range=[low - width, high + width], title=step.unit or None)
    if truth.low is not None and truth.high is not None:
        figure.add_vrect(x0=truth.low, x1=truth.high, fillcolor=ORANGE, opacity=0.25, line_width=0)
    add_mark(figure, truth.value, f"{truth.value:.1f}" if abs(truth.value) < 10 else f"{truth.value:.0f}", width=3)
    return finish(figure, height, **counts)


def blind_curves(curves: Mapping[str, NeighborOverlap], height: int = 320) -> go.Figure:
    """Overlap@k of several models against the share of their numbers that is kept, by letters instead of names."""
    figure = go.Figure()
    for (name, overlap), (colour, dash, symbol) in zip(curves.items(), BLIND):
        share = 100 * np.asarray(overlap.dims) / overlap.dims[-1]
        add_line(
            figure, share, columns(overlap.overlap)[0], name, colour, dash, symbol,
            hover="%{x:.3g} % of the numbers: %{y:.3f}",
        )  # fmt: skip
    k = next(iter(curves.values())).k
    log_axis(figure, "numbers kept, %", [100, 50, 25, 12, 6, 3])
    return finish(figure, height, title=f"neighbors kept, overlap@{k}", **KEPT)


def promised(promise: Promise, height: int = 320) -> go.Figure:
    """The lower bound of the same share against the number of queries it was measured on."""
    figure = go.Figure()
    edge, measured = np.asarray(promise.lows), 100 * promise.share
    figure.add_scatter(
        x=promise.sizes, y=edge, fill="tozeroy", fillcolor=BAND, mode="none", hoverinfo="skip", showlegend=False
    )
    add_line(figure, promise.sizes, edge, "may be promised (95 %)", BLUE, hover="%{x:,} queries: at least %{y:.1f} %")
    figure.add_hline(y=measured, line=DASHED)
    figure.add_annotation(
        x=0, xref="paper", y=measured, xanchor="left", yanchor="bottom", showarrow=False,
        text=f"measured: {measured:.3g} %",
    )  # fmt: skip
    add_mark(figure, promise.n)
    log_axis(figure, "queries", promise.sizes)
    return finish(figure, height, title="percent", range=[min(promise.lows) - 5, 101])


def trained_panels(panels: Mapping[str, ControlComparison], dim: int, height: int = 320) -> go.Figure:
    """Prefix over the band of random coordinates, a panel for each name; a mark at the width in question."""
    figure = make_subplots(1, len(panels), subplot_titles=list(map(shorten, panels)), shared_yaxes=True)
    for place, comparison in enumerate(panels.values(), start=1):
        own: dict[str, Any] = {"row": 1, "col": place, "showlegend": place == 1}
        random, prefix = comparison.curves["random"], comparison.curves["prefix"]
        mean, sd = columns(random.overlap)[0], np.asarray(random.sd)
        for edge, fill in ((mean - sd, None), (mean + sd, "tonexty")):
            figure.add_scatter(
                x=random.dims, y=edge, mode="lines", line_width=0, fill=fill, fillcolor=RANDOM_BAND, hoverinfo="skip",
                name=f"random numbers ± sd of {random.draws} draws", **own | {"showlegend": place == 1 and bool(fill)},
            )  # fmt: skip
        for name, dims, values, colour, dash, symbol in (
            ("random numbers, mean", random.dims, mean, GREY, "dash", "x"),
            ("the first numbers", prefix.dims, columns(prefix.overlap)[0], BLUE, "solid", "circle"),
        ):
            add_line(figure, dims, values, name, colour, dash, symbol, **own)
        figure.add_vline(x=dim, line={"color": ORANGE, "dash": "dot", "width": 2}, row=1, col=place)
        ticks = [tick for tick in prefix.dims if tick & (tick - 1) == 0 or tick == prefix.dims[-1]]
        log_axis(figure, "width, dims", ticks)
        figure.update_xaxes(tickvals=ticks, ticktext=list(map(str, ticks)), row=1, col=place)
    k = next(iter(panels.values())).k
    finish(figure, height, **KEPT)
    figure.update_yaxes(title=f"neighbors kept, overlap@{k}", row=1, col=1)
    return figure


def kept_in_bytes(comparison: PrecisionComparison, options: Sequence[str], height: int = 320) -> go.Figure:
    """Bars of the neighbors that ways to spend the same bytes keep, with their intervals."""
    points = {point.label: point for point in comparison.points if point.arrangement == "prefix"}
    shown = [points[option] for option in options if option in points]
    values, low, high = (np.asarray(side) for side in columns([point.kept for point in shown]))
    figure = go.Figure().add_bar(
        x=[point.label for point in shown], y=values, marker_color=BLUE,
        error_y={"array": high - values, "arrayminus": values - low, "color": GREY, "thickness": 2, "width": 6},
        text=[f"{value:.0%}" for value in values], textposition="inside", insidetextanchor="start",
        customdata=np.stack([low, high, [point.bytes_per_vector for point in shown]], axis=1),
        hovertemplate="%{x}, %{customdata[2]} bytes: %{y:.3f}<br>95 %: %{customdata[0]:.3f} to %{customdata[1]:.3f}"
        "<extra></extra>",
    )  # fmt: skip
    return finish(figure, height, title=f"neighbors kept, overlap@{comparison.k}", **KEPT)
