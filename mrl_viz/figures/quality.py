"""Pictures of task quality: the value itself and what is kept of it, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mrl_viz.figures.style import BLUE, GREEN, GREY, MOST_MARKERS, ORANGE, finish, width_axis
from mrl_viz.measures.estimate import Estimate, columns
from mrl_viz.tasks.evaluation import Quality

# Okabe-Ito again, with a marker and a dash each.
STYLES = (
    (BLUE, "circle", "solid"),
    ("#E69F00", "square", "dash"),
    (GREEN, "diamond", "dashdot"),
    ("#CC79A7", "x", "dot"),
    ("#56B4E9", "triangle-up", "longdash"),
    ("#4D4D4D", "cross", "longdashdot"),
)
SIGNIFICANT = 0.05


def quality_curves(quality: Quality, metrics: Sequence[str] | None = None, focus_dim: int | None = None) -> go.Figure:
    """Value (left) and share of the full width's value (right) against width, with 95 % intervals; one line a metric.

    Hollow markers are widths that differ from the full width at 5 %, Holm-adjusted. Several metrics, such as the same
    one for coarse and fine labels, share the axes.
    """
    chosen = [name for name in metrics or [quality.main_metric] if name in quality.curves]
    figure = make_subplots(cols=2, subplot_titles=("value", "share of full width's"), horizontal_spacing=0.1)
    dims = np.asarray(quality.dims)
    mode = "lines+markers" if len(dims) <= MOST_MARKERS else "lines"
    for number, name in enumerate(chosen):
        curve = quality.curves[name]
        colour, symbol, dash = STYLES[number % len(STYLES)]
        symbols = [f"{symbol}-open" if p < SIGNIFICANT else symbol for p in curve.p_holm]
        shares = [kept or Estimate(nan, nan, nan) for kept in curve.retention]
        for column, side in enumerate((curve.value, shares), start=1):
            values, lows, highs = columns(side)
            figure.add_scatter(
                x=dims, y=values, mode=mode, name=name, legendgroup=name, showlegend=column == 1,
                line={"color": colour, "width": 3, "dash": dash},
                marker={"symbol": symbols, "size": 10, "line_width": 2},
                error_y={"array": highs - values, "arrayminus": values - lows, "thickness": 1.5, "width": 4},
                customdata=np.stack([lows, highs, curve.p_holm], axis=1),
                hovertemplate=(
                    f"{name}, %{{x}} dims: %{{y:.4f}}<br>95 %: %{{customdata[0]:.4f}} to %{{customdata[1]:.4f}}"
                    "<br>p against full width %{customdata[2]:.3f}<extra></extra>"
                ),
                row=1, col=column,
            )  # fmt: skip
    figure.add_hline(y=1, line={"color": GREY, "dash": "dash"}, row=1, col=2)
    if focus_dim is not None:
        figure.add_vline(x=focus_dim, line={"color": ORANGE, "dash": "dot", "width": 2})
    width_axis(figure, quality.dims)
    figure.update_yaxes(tickformat=".0%", row=1, col=2)
    return finish(figure)
