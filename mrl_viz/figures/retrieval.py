"""Pictures of shortlists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from mrl_viz.figures.style import BLUE, DASHED, KEPT, add_band, add_line, add_mark, finish, log_axis
from mrl_viz.measures.estimate import columns

if TYPE_CHECKING:
    from mrl_viz.retrieval.shortlist import ShortlistCurve


def shortlist_overlap(curve: ShortlistCurve, chosen_size: int | None = None) -> go.Figure:
    """Overlap@k of shortlist + rerank against the shortlist's size (log scale), with its interval."""
    figure, (value, low, high) = go.Figure(), columns(curve.overlap)
    add_band(figure, curve.sizes, low, high)
    add_line(figure, curve.sizes, value, f"overlap@{curve.k}", BLUE, hover="shortlist of %{x}: %{y:.3f}")
    figure.add_hline(y=0.99, line=DASHED)
    if chosen_size is not None:
        add_mark(figure, chosen_size)
    log_axis(figure, f"shortlist size at {curve.shortlist_dim} dims", curve.sizes)
    return finish(figure, title="full-width neighbors found", **KEPT)
