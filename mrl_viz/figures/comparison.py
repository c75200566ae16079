"""Pictures of models side by side: quality and overlap per byte, and how far models agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from mrl_viz.errors import InvalidInputError
from mrl_viz.figures.quality import STYLES
from mrl_viz.figures.style import (
    GREY,
    KEPT,
    add_chance,
    add_rings,
    asked,
    bytes_axis,
    dtype_symbol,
    finish,
    rising,
    shorten,
)
from mrl_viz.measures.estimate import Estimate, columns

if TYPE_CHECKING:
    from mrl_viz.comparison import ComparedPoint, ModelComparison

FRONT_SIZE, POINT_SIZE = 20, 10


def quality_per_byte(comparison: ModelComparison) -> go.Figure:
    """Task quality against bytes per vector: one line a model, one symbol a dtype, the Pareto front of all in rings.

    A model's line goes through its own best points for each number of bytes. Front points carry their 95 % intervals,
    the others show them on hover.

    Raises
    ------
    InvalidInputError : the comparison has no task quality; overlap must not stand in for it.
    """
    if comparison.metric is None:
        raise InvalidInputError(
            "`comparison` has no task quality; give texts with labels, or look at overlap_per_byte."
        )
    figure = go.Figure()
    front = comparison.front()
    middle, low, high = columns([point.quality for point in front if point.quality])
    add_rings(
        figure, [point.bytes_per_vector for point in front], middle, "Pareto front", FRONT_SIZE, GREY, width=2,
        error_y={"array": high - middle, "arrayminus": middle - low, "color": GREY, "thickness": 1.5, "width": 4},
    )  # fmt: skip
    return _per_byte(figure, comparison, "quality", title=shorten(comparison.metric))


def overlap_per_byte(comparison: ModelComparison) -> go.Figure:
    """Overlap@k of each model with its own full width against bytes per vector; like `quality_per_byte`, no front.

    A higher line is a model that keeps more of itself, not a better model.
    """
    title = f"own overlap@{comparison.k}, {asked(comparison)}"
    figure = _per_byte(go.Figure(), comparison, "overlap", title=title, **KEPT)
    add_chance(figure, sorted(point.bytes_per_vector for point in comparison.points), comparison.chance)
    return figure


def n2o_heatmap(comparison: ModelComparison, dim: int | None = None) -> go.Figure:
    """Share of neighbors that each two models have in common, at a common width or at full width for None.

    The diagonal is empty: every model agrees with itself.

    Raises
    ------
    InvalidInputError : that width was not measured for all models.
    """
    at = comparison.agreement_at(dim)
    labels = [shorten(model.name) for model in comparison.models]
    other = ~np.eye(len(labels), dtype=bool)
    middle, low, high = (side.reshape(other.shape) for side in columns([one for row in at.overlap for one in row]))
    shares = np.where(other, middle, np.nan)
    figure = go.Figure().add_heatmap(
        z=shares, x=labels, y=labels, zmin=0, zmax=1, colorscale="Viridis",
        colorbar={"title": "N2O", "tickformat": ".0%"},
        text=[[f"{value:.0%}" if is_other else "" for value, is_other in zip(*row)] for row in zip(shares, other)],
        texttemplate="%{text}", customdata=np.stack([low, high], axis=2), hoverongaps=False,
        hovertemplate=(
            "%{y} and %{x}: %{z:.3f}<br>95 %: %{customdata[0]:.3f} to %{customdata[1]:.3f}"
            f"<br>chance {comparison.chance:.4f}<extra></extra>"
        ),
    )  # fmt: skip
    figure.update_xaxes(title="at full width" if dim is None else f"at {dim} dims", type="category")
    return finish(figure, 140 + 80 * len(labels), type="category", autorange="reversed", automargin=True)


def _per_byte(figure: go.Figure, comparison: ModelComparison, what: str, **y: Any) -> go.Figure:
    """The figure finished with one line and its points for each model, and a legend of dtypes."""
    title = comparison.metric if what == "quality" else f"overlap@{comparison.k}"
    for (colour, dash, _), model in zip(STYLES, comparison.models):
        points = [point for point in comparison.points if point.model == model.name]
        sizes, values = [point.bytes_per_vector for point in points], [getattr(point, what).value for point in points]
        order = rising(sizes, values)
        label = shorten(model.name)
        figure.add_scatter(
            x=[sizes[place] for place in order], y=[values[place] for place in order], mode="lines", name=label,
            legendgroup=label, line={"color": colour, "width": 3, "dash": dash}, hoverinfo="skip",
        )  # fmt: skip
        figure.add_scatter(
            x=sizes, y=values, mode="markers", name=label, legendgroup=label, showlegend=False,
            marker={"symbol": [dtype_symbol(point.dtype) for point in points], "size": POINT_SIZE, "color": colour},
            text=[_hover(point, what, shorten(title or "")) for point in points],
            hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    for dtype in dict.fromkeys(point.dtype for point in comparison.points):
        figure.add_scatter(
            x=[None], y=[None], mode="markers", name=dtype, hoverinfo="skip",
            marker={"symbol": dtype_symbol(dtype), "size": POINT_SIZE, "color": GREY},
        )  # fmt: skip
    bytes_axis(figure, [point.bytes_per_vector for point in comparison.points])
    return finish(figure, 500, **y)


def _hover(point: ComparedPoint, what: str, title: str) -> str:
    estimate: Estimate = getattr(point, what)
    front = "<br>on the Pareto front" if what == "quality" and point.is_on_front else ""
    return (
        f"{shorten(point.model)}, {point.dim} x {point.dtype}: {point.bytes_per_vector:,} bytes"
        f"<br>{title} {estimate.value:.4f}<br>95 %: {estimate.low:.4f} to {estimate.high:.4f}{front}"
    )
