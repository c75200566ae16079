"""Pictures of task quality: the value itself and what is kept of it, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import TYPE_CHECKING

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mrl_viz.figures.style import BLUE, DASHED, GREEN, PURPLE, STAR, add_estimates, by_width
from mrl_viz.measures.estimate import Estimate, columns

if TYPE_CHECKING:
    from mrl_viz.tasks.evaluation import Quality

# Okabe-Ito again, with a dash and a marker each.
STYLES = (
    (BLUE, "solid", "circle"),
    ("#E69F00", "dash", "square"),
    (GREEN, "dashdot", "diamond"),
    (PURPLE, "dot", "x"),
    ("#56B4E9", "longdash", "triangle-up"),
    ("#8C8C8C", "longdashdot", "cross"),
)
SIGNIFICANT = 0.05


def quality_curves(quality: Quality, metrics: Sequence[str] | None = None, focus_dim: int | None = None) -> go.Figure:
    """Value (left) and share of the full width's value (right) against width, with 95 % intervals; one line a metric.

    A star stands above widths that differ from the full width at 5 %, Holm-adjusted. Several metrics, such as the same
    one for coarse and fine labels, share the axes.
    """
    chosen = [name for name in metrics or [quality.main_metric] if name in quality.curves]
    figure = make_subplots(cols=2, subplot_titles=("value", "share of full width's"), horizontal_spacing=0.1)
    for number, name in enumerate(chosen):
        curve = quality.curves[name]
        colour, dash, symbol = STYLES[number % len(STYLES)]
        stars = [STAR if p < SIGNIFICANT else "" for p in curve.p_holm]
        shares = [kept or Estimate(nan, nan, nan) for kept in curve.retention]
        for column, side in enumerate((curve.value, shares), start=1):
            add_estimates(
                figure, quality.dims, columns(side), name, colour, dash, symbol, number=".3f", size=9, text=stars,
                textposition="top right", textfont={"size": 20, "color": colour}, mode="lines+markers+text",
                hovertext=[f"{p:.3f}" for p in curve.p_holm], hover="<br>p against full width %{hovertext}",
                legendgroup=name, showlegend=column == 1, row=1, col=column,
            )  # fmt: skip
    figure.add_hline(y=1, line=DASHED, row=1, col=2)
    figure.update_yaxes(tickformat=".0%", row=1, col=2)
    return by_width(figure, quality.dims, focus_dim)
