"""Pictures of bits beside width: what is kept per byte, a line a code, and the grid of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from mrl_viz.figures.style import (
    BLUE,
    GREEN,
    GREY,
    KEPT,
    ORANGE,
    PURPLE,
    add_chance,
    add_line,
    asked,
    bytes_axis,
    finish,
)
from mrl_viz.retrieval.codes import BITS, family

if TYPE_CHECKING:
    from mrl_viz.comparison.precision import CodedPoint, PrecisionComparison

# A line's colour is its bits, its dash how they are made.
COLOURS = {32: GREY, 16: "#56B4E9", 8: BLUE, 4: GREEN, 3: "#E69F00", 2: ORANGE, 1: PURPLE}
DASHES = {"rabitq": "dot", "turboquant": "dashdot", "opq": "longdash"}


def kept_per_byte(
    comparison: PrecisionComparison, arrangement: str = "prefix", n_bytes: int | None = None
) -> go.Figure:
    """Neighbors kept against bytes per vector under one arrangement: one line a code, its widths as points.

    Colour says how many bits a coordinate has, the dash how they are made. The steps join the points that none of fewer
    bytes reaches, under any arrangement. `n_bytes` : a size to be marked.
    """
    figure, points = go.Figure(), comparison.points
    front = comparison.front()
    figure.add_scatter(
        x=[point.bytes_per_vector for point in front], y=[point.kept.value for point in front], mode="lines",
        name="best of all", hoverinfo="skip", line={"color": GREY, "dash": "dot", "shape": "hv", "width": 2},
    )  # fmt: skip
    for dtype in comparison.dtypes:
        own = [point for point in points if (point.arrangement, point.dtype) == (arrangement, dtype)]
        dash = "dash" if dtype.endswith("-rotated") else DASHES.get(family(dtype), "solid")
        add_line(
            figure, [point.bytes_per_vector for point in own], [point.kept.value for point in own], dtype,
            COLOURS.get(BITS[dtype], GREY), dash, hover=None, width=2, size=8, text=[_hover(point) for point in own],
            hoverinfo=None, hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    if n_bytes is not None:
        figure.add_vline(x=n_bytes, line={"color": ORANGE, "dash": "dot", "width": 2})
    sizes = [point.bytes_per_vector for point in points]
    add_chance(figure, sorted(sizes), comparison.chance)
    bytes_axis(figure, sizes)
    return finish(figure, 520, title=f"overlap@{comparison.k}, {asked(comparison)}", **KEPT)


def width_by_bits(comparison: PrecisionComparison, arrangement: str = "prefix") -> go.Figure:
    """Neighbors kept at every width (columns) in every code (rows), under one arrangement."""
    found = {(point.dtype, point.dim): point for point in comparison.points if point.arrangement == arrangement}
    rows = [[found[dtype, dim] for dim in comparison.dims] for dtype in comparison.dtypes]
    figure = go.Figure().add_heatmap(
        z=np.array([[point.kept.value for point in row] for row in rows]), x=[str(dim) for dim in comparison.dims],
        y=list(comparison.dtypes), zmin=0, zmax=1, colorscale="Viridis", xgap=2, ygap=2,
        text=[[f"{point.kept.value:.0%}" for point in row] for row in rows], texttemplate="%{text}",
        customdata=[[_hover(point) for point in row] for row in rows],
        hovertemplate="%{customdata}<extra></extra>", colorbar={"title": "kept", "tickformat": ".0%"},
    )  # fmt: skip
    figure.update_xaxes(title="width, dims", type="category")
    return finish(figure, 120 + 34 * len(rows), type="category", autorange="reversed", automargin=True)


def _hover(point: CodedPoint) -> str:
    quality = "" if point.quality is None else f"<br>quality {point.quality:.3f}"
    return (
        f"{point.label}: {point.bytes_per_vector:,} bytes<br>kept {point.kept.value:.3f}, 95 %: "
        f"{point.kept.low:.3f} to {point.kept.high:.3f}{quality}"
    )
