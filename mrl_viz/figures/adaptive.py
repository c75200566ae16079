"""Pictures of adaptive classification: accuracy against width, where examples exit, coarse beside fine labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from mrl_viz.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, add_estimates, add_line, by_width, finish, shorten
from mrl_viz.measures.estimate import columns

if TYPE_CHECKING:
    from mrl_viz.heads.adaptive import AdaptiveClassification

LINES = {
    "mrl": ("MRL heads", BLUE, "solid", "circle"),
    "mrl-e": ("MRL-E heads", PURPLE, "dot", "square"),
    "separate": ("separately trained heads", GREEN, "dash", "diamond"),
}
LABEL_STYLES = (
    (ORANGE, "solid", "square"),
    (BLUE, "dash", "circle"),
    (GREEN, "dot", "diamond"),
    (PURPLE, "dashdot", "x"),
)
# Three lines share each width: shifted by these factors their intervals do not cover each other.
SHIFTS = {"mrl": 1.0, "mrl-e": 1.04, "separate": 0.96}


def accuracy_by_width(result: AdaptiveClassification) -> go.Figure:
    """Held-out accuracy of every kind of head at every width; the cascades at the width they read; the oracle."""
    figure = go.Figure()
    for kind, heads in result.heads.items():
        width = 3 if kind == "mrl" else 2
        sides = columns(heads.accuracy)
        add_estimates(figure, heads.dims, sides, *LINES[kind], number=".1%", shift=SHIFTS[kind], width=width)
    for kind in ("mrl", "mrl-e"):
        cascade = result.cascades[kind]
        label, colour = LINES[kind][:2]
        figure.add_scatter(
            x=[cascade.expected_dim[0]], y=[cascade.accuracy[0]], mode="markers", name=f"cascade over {label}",
            marker={"symbol": "star", "size": 18, "color": colour, "line": {"width": 2, "color": ORANGE}},
            error_x={"array": [cascade.expected_dim[1]], "color": ORANGE},
            error_y={"array": [cascade.accuracy[1]], "color": ORANGE},
            hovertemplate=(
                f"cascade over {label}: %{{x:.1f}} ± {cascade.expected_dim[1]:.1f} dims<br>%{{y:.1%}} ± "
                f"{cascade.accuracy[1]:.1%} over {cascade.n_splits} splits<extra></extra>"
            ),
        )  # fmt: skip
    cascade = result.cascade
    figure.add_scatter(
        x=[cascade.oracle_dim[0]], y=[cascade.oracle_accuracy[0]], mode="markers",
        name="oracle: the smallest right width",
        marker={"symbol": "cross", "size": 13, "color": GREY},
        hovertemplate="oracle: %{x:.1f} dims, %{y:.1%}<extra></extra>",
    )  # fmt: skip
    return by_width(figure, result.dims, height=460, title="accuracy on held-out texts", tickformat=".0%")


def exit_shares(result: AdaptiveClassification) -> go.Figure:
    """Share of texts that the cascade answers at each width, its deviation over splits, what it has read by then."""
    cascade = result.cascade
    shares = np.array([mean for mean, _ in cascade.exit_share])
    spreads = np.array([sd for _, sd in cascade.exit_share])
    read = np.cumsum(cascade.dims)
    labels = [str(dim) for dim in cascade.dims]
    figure = go.Figure().add_bar(
        x=labels, y=shares, name="texts answered here", marker_color=BLUE,
        error_y={"array": spreads, "color": GREY, "thickness": 2},
        customdata=np.stack([spreads, read], axis=1),
        hovertemplate=(
            "%{x} dims: %{y:.1%} ± %{customdata[0]:.1%} of the texts<br>the heads up to here read "
            "%{customdata[1]:.0f} coordinates<extra></extra>"
        ),
    )  # fmt: skip
    add_line(
        figure, labels, np.cumsum(shares), "answered by here", ORANGE, "dot", "square", hover="%{x} dims: %{y:.1%}"
    )
    figure.update_xaxes(title="width, dims", type="category")
    return finish(figure, 360, title="share of texts", tickformat=".0%", range=[0, 1.05])


def exits_by_label(results: Sequence[AdaptiveClassification]) -> go.Figure:
    """Share of texts answered by each width, a line per label column; dashed verticals are the expected widths."""
    figure = go.Figure()
    for position, result in enumerate(results):
        cascade, style = result.cascade, LABEL_STYLES[position % len(LABEL_STYLES)]
        name = f"{shorten(result.label, 24)}, {len(result.classes)} classes"
        answered = np.cumsum([mean for mean, _ in cascade.exit_share])
        add_line(figure, cascade.dims, answered, name, *style, size=10, hover="%{y:.1%} answered by %{x} dims")
        figure.add_vline(x=cascade.expected_dim[0], line={"color": style[0], "dash": "dash", "width": 2})
    title = "texts answered by this width"
    return by_width(figure, results[0].dims, height=360, title=title, tickformat=".0%", range=[0, 1.05])
