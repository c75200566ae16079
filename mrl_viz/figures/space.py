"""Pictures of the space itself at each width: agreement with the full width, shape of the cloud, hubs."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mrl_viz.figures.style import BLUE, GREEN, MOST_MARKERS, ORANGE, finish, width_axis
from mrl_viz.measures.space import Geometry, Hubness, SpaceAgreement

PURPLE = "#CC79A7"


def space_agreement_curves(agreement: SpaceAgreement, focus_dim: int | None = None) -> go.Figure:
    """Linear CKA and RSA of every width with the full width, against width."""
    figure = go.Figure()
    for name, values, colour, dash, symbol in (
        ("linear CKA", agreement.cka, BLUE, "solid", "circle"),
        ("RSA, Spearman of all similarities", agreement.rsa, GREEN, "dash", "square"),
    ):
        _line(figure, agreement.dims, values, name, colour, dash, symbol)
    figure.update_yaxes(title="agreement with the full width")
    return _widths(figure, agreement.dims, focus_dim)


def geometry_curves(geometry: Geometry, focus_dim: int | None = None) -> go.Figure:
    """Participation ratio (left) and anisotropy (right) of the renormalised prefixes, against width."""
    figure = make_subplots(
        cols=2, horizontal_spacing=0.14, subplot_titles=("directions in use", "mean cosine of two texts")
    )
    _line(figure, geometry.dims, geometry.participation_ratio, "participation ratio", BLUE, "solid", "circle", column=1)
    _line(figure, geometry.dims, geometry.anisotropy, "anisotropy", PURPLE, "dash", "square", column=2)
    figure.update_yaxes(rangemode="tozero", row=1, col=1)
    return _widths(figure, geometry.dims, focus_dim).update_layout(showlegend=False)


def hubness_curves(hubs: Hubness, focus_dim: int | None = None) -> go.Figure:
    """Skewness of how often a text is a neighbor (left) and share of texts that are nobody's neighbor (right), against width."""
    figure = make_subplots(
        cols=2, horizontal_spacing=0.14, subplot_titles=(f"skewness of {hubs.k}-occurrence", "nobody's neighbor")
    )
    _line(figure, hubs.dims, hubs.skewness, "hubness", BLUE, "solid", "circle", column=1)
    _line(figure, hubs.dims, hubs.anti_hubs, "anti-hubs", PURPLE, "dash", "square", column=2)
    figure.update_yaxes(tickformat=".1%", rangemode="tozero", row=1, col=2)
    return _widths(figure, hubs.dims, focus_dim).update_layout(showlegend=False)


def _line(
    figure: go.Figure, dims: Sequence[int], values: Sequence[float], name: str, colour: str, dash: str, symbol: str,
    column: int | None = None,
) -> None:  # fmt: skip
    figure.add_scatter(
        x=list(dims), y=list(values), mode="lines+markers" if len(dims) <= MOST_MARKERS else "lines", name=name,
        line={"color": colour, "width": 3, "dash": dash}, marker={"size": 9, "symbol": symbol},
        hovertemplate=f"{name}, %{{x}} dims: %{{y:.3f}}<extra></extra>",
        **({"row": 1, "col": column} if column else {}),
    )  # fmt: skip


def _widths(figure: go.Figure, dims: Sequence[int], focus_dim: int | None) -> go.Figure:
    if focus_dim is not None:
        figure.add_vline(x=focus_dim, line={"color": ORANGE, "dash": "dot", "width": 2})
    width_axis(figure, dims)
    return finish(figure)
