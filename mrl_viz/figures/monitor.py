"""Pictures of a deployed plan over time: its overlap against the target, and how far its canaries are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from mrl_viz.figures.style import BLUE, DASHED, GL_ABOVE, GREY, ORANGE, finish
from mrl_viz.measures.estimate import columns

if TYPE_CHECKING:
    from mrl_viz.decide.history import MonitorHistory

# What is nearer than this is where it was: a logarithm needs a floor, and sums of the same numbers differ so much.
FLOOR = 1e-9
MARGIN = 0.04
# That stand side by side in half a page.
MOST_DATES = 5


def monitor_overlap(history: MonitorHistory) -> go.Figure:
    """Overlap of each check with its interval over time, and the target; what is below it in another mark.

    Of checks of several things those of what the latest is of.
    """
    checks = history.latest.checks
    figure = go.Figure()
    dates = [check.measured_at for check in checks]
    values, lows, highs = columns([check.overlap for check in checks])
    targets = np.array([check.target for check in checks])
    figure.add_scatter(
        x=_axis(dates), y=values, mode="lines", line={"color": GREY, "width": 2}, showlegend=False, hoverinfo="skip"
    )
    is_below = values < targets
    for name, which, colour, symbol in (("held", ~is_below, BLUE, "circle"), ("below target", is_below, ORANGE, "x")):
        if not which.any():
            continue
        figure.add_scatter(
            x=_axis([date for date, is_here in zip(dates, which) if is_here]), y=values[which], name=name,
            mode="markers", marker={"color": colour, "symbol": symbol, "size": 11}, cliponaxis=False,
            error_y={
                "array": (highs - values)[which], "arrayminus": (values - lows)[which], "color": colour,
                "thickness": 1.5, "width": 4,
            },
            customdata=np.stack([lows, highs], axis=1)[which],
            hovertemplate=f"%{{x|%Y-%m-%d}}: %{{y:.1%}}<br>95 %: %{{customdata[0]:.1%}} to %{{customdata[1]:.1%}}"
            f"<extra>{name}</extra>",
        )  # fmt: skip
    figure.add_scatter(
        x=_axis(dates), y=targets, name="target", mode="lines" if len(checks) > 1 else "lines+markers",
        line={**DASHED, "color": ORANGE, "shape": "hv"}, marker={"symbol": "line-ew-open", "size": 24},
        hovertemplate="target %{y:.1%}<extra></extra>",
    )  # fmt: skip
    low = max(0.0, float(np.concatenate([lows, targets]).min(initial=1.0)) - MARGIN)
    _date_axis(figure, dates)
    title = f"neighbors kept, overlap@{checks[-1].k}" if checks else "neighbors kept"
    return finish(figure, title=title, range=[low, 1.0 + MARGIN / 2], tickformat=".0%")


def monitor_canaries(history: MonitorHistory) -> go.Figure:
    """1 - cosine of every canary in every check that asked some, against the tolerance; those that moved apart."""
    checks = [(check, check.canary) for check in history.latest.checks if check.canary is not None]
    figure = go.Figure()
    points = [
        (check.measured_at, max(change, FLOOR), row, row in moved)
        for check, canary in checks
        for moved in [set(canary.moved)]
        for row, change in enumerate(canary.change)
    ]  # fmt: skip
    add = figure.add_scattergl if len(points) > GL_ABOVE else figure.add_scatter
    for name, has_moved, colour, symbol in (("as it was", False, BLUE, "circle"), ("moved", True, ORANGE, "x")):
        here = [point for point in points if point[3] is has_moved]
        if here:
            add(
                x=_axis([point[0] for point in here]), y=np.array([point[1] for point in here]), name=name,
                mode="markers", marker={"color": colour, "symbol": symbol, "size": 9},
                customdata=np.array([point[2] for point in here]),
                hovertemplate=f"%{{x|%Y-%m-%d}}, canary %{{customdata}}: %{{y:.2g}}<extra>{name}</extra>",
            )  # fmt: skip
    dates = [check.measured_at for check, _ in checks]
    figure.add_scatter(
        x=_axis(dates), y=np.array([canary.tolerance for _, canary in checks]), name="tolerance",
        mode="lines" if len(checks) > 1 else "lines+markers", line={**DASHED, "shape": "hv"},
        marker={"symbol": "line-ew-open", "size": 24}, hovertemplate="tolerance %{y:.2g}<extra></extra>",
    )  # fmt: skip
    _date_axis(figure, [check.measured_at for check in history.latest.checks])
    return finish(
        figure, title="1 − cosine of then and now (log scale)", type="log", dtick=2, exponentformat="power",
        range=[np.log10(FLOOR) - 0.3, np.log10(2) + 0.2],
    )  # fmt: skip


def _axis(dates: Sequence[datetime]) -> list[str]:
    """Dates without their zone, UTC: a browser would move them to its own."""
    return [f"{date:%Y-%m-%dT%H:%M:%S}" for date in dates]


def _date_axis(figure: go.Figure, dates: Sequence[datetime]) -> None:
    """A date at every check, or at every few where there is no room for all."""
    shown = _axis(dates[:: -(-len(dates) // MOST_DATES)] if dates else [])
    figure.update_xaxes(title="checked on", type="date", tickformat="%b %d<br>%Y", tickvals=shown, tickangle=0)
