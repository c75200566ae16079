"""Pictures of shortlists and their costs."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from mrl_viz.figures.style import BAND, BLUE, GREY, ORANGE, finish
from mrl_viz.measures.estimate import columns
from mrl_viz.retrieval.shortlist import ShortlistCurve


def shortlist_overlap(curve: ShortlistCurve, chosen_size: int | None = None) -> go.Figure:
    """Overlap@k of shortlist + rerank against the shortlist's size (log scale), with its interval."""
    sizes, (value, low, high) = np.asarray(curve.sizes), columns(curve.overlap)
    figure = go.Figure()
    figure.add_scatter(x=sizes, y=high, mode="lines", line_width=0, hoverinfo="skip", showlegend=False)
    figure.add_scatter(
        x=sizes, y=low, mode="lines", line_width=0, fill="tonexty", fillcolor=BAND, hoverinfo="skip",
        name="95 % interval",
    )  # fmt: skip
    figure.add_scatter(
        x=sizes, y=value, mode="lines+markers", name=f"overlap@{curve.k}", line={"color": BLUE, "width": 3},
        marker={"size": 9}, hovertemplate="shortlist of %{x}: %{y:.3f}<extra></extra>",
    )  # fmt: skip
    figure.add_hline(y=0.99, line={"color": GREY, "dash": "dash"})
    if chosen_size is not None:
        figure.add_vline(x=chosen_size, line={"color": ORANGE, "dash": "dot", "width": 2})
    figure.update_xaxes(title=f"shortlist size at {curve.shortlist_dim} dims (log scale)", type="log")
    figure.update_yaxes(title="full-width neighbors found", range=[0, 1.03], tickformat=".0%")
    return finish(figure)
