"""Pictures of the space itself at each width: agreement with the full width, shape of the cloud, hubs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mrl_viz.figures.style import BLUE, GREEN, PURPLE, add_line, by_width

# An axis of shares reaches so high at least.
LEAST_SHARE = 0.05

if TYPE_CHECKING:
    from mrl_viz.measures.space import Geometry, Hubness, SpaceAgreement


def space_agreement_curves(agreement: SpaceAgreement, focus_dim: int | None = None) -> go.Figure:
    """Linear CKA and RSA of every width with the full width, against width."""
    figure = go.Figure()
    add_line(figure, agreement.dims, agreement.cka, "linear CKA", BLUE)
    add_line(figure, agreement.dims, agreement.rsa, "RSA, Spearman of all similarities", GREEN, "dash", "square")
    lowest = min(0.0, *agreement.cka, *agreement.rsa)
    return by_width(figure, agreement.dims, focus_dim, title="agreement with the full width", range=[lowest, 1.03])


def geometry_curves(geometry: Geometry, focus_dim: int | None = None) -> go.Figure:
    """Participation ratio (left) and anisotropy (right) of the renormalised prefixes, against width."""
    figure = _two("directions in use", "mean cosine of two texts")
    add_line(figure, geometry.dims, geometry.participation_ratio, "participation ratio", BLUE, row=1, col=1)
    add_line(figure, geometry.dims, geometry.anisotropy, "anisotropy", PURPLE, "dash", "square", row=1, col=2)
    figure.update_yaxes(rangemode="tozero")
    return by_width(figure, geometry.dims, focus_dim)


def hubness_curves(hubs: Hubness, focus_dim: int | None = None) -> go.Figure:
    """Skewness of how often a text is a neighbor (left), share of texts that are nobody's (right), against width."""
    figure = _two(f"skewness of {hubs.k}-occurrence", "nobody's neighbor")
    add_line(figure, hubs.dims, hubs.skewness, "hubness", BLUE, row=1, col=1)
    add_line(figure, hubs.dims, hubs.anti_hubs, "anti-hubs", PURPLE, "dash", "square", row=1, col=2)
    figure.update_yaxes(rangemode="tozero")
    # Steps of single texts are no trend.
    figure.update_yaxes(tickformat=".0%", range=[0, max(LEAST_SHARE, 1.1 * max(hubs.anti_hubs))], row=1, col=2)
    return by_width(figure, hubs.dims, focus_dim)


def _two(left: str, right: str) -> go.Figure:
    return make_subplots(cols=2, horizontal_spacing=0.14, subplot_titles=(left, right)).update_layout(showlegend=False)
