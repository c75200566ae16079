"""Pictures of adaptive classification: accuracy against width, where examples exit, classes, coarse beside fine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from mrl_viz.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, add_estimates, add_line, by_width, finish, shorten
from mrl_viz.measures.estimate import Estimate, columns

if TYPE_CHECKING:
    from mrl_viz.heads.adaptive import AdaptiveClassification
    from mrl_viz.heads.cascade import Cascade
    from mrl_viz.heads.classifiers import HeadKind

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


# Classes in the picture of their losses; more would be too thin to read.
MOST_CLASSES = 30


def accuracy_by_width(result: AdaptiveClassification, cascades: Mapping[HeadKind, Cascade]) -> go.Figure:
    """Held-out accuracy of every kind of head at every width; the cascades at the width they read; the oracle."""
    figure = go.Figure()
    for kind, heads in result.heads.items():
        width = 3 if kind == "mrl" else 2
        sides = columns(heads.accuracy)
        add_estimates(figure, heads.dims, sides, *LINES[kind], number=".1%", shift=SHIFTS[kind], width=width)
    for kind, cascade in cascades.items():
        label, colour = LINES[kind][:2]
        read, right = cascade.expected_dim, cascade.accuracy
        figure.add_scatter(
            x=[read.value], y=[right.value], mode="markers", name=f"cascade over {label}",
            marker={"symbol": "star", "size": 18, "color": colour, "line": {"width": 2, "color": ORANGE}},
            error_x=_sides(read), error_y=_sides(right),
            hovertemplate=f"cascade over {label}: {read:.1f} dims<br>{right:.1%}<extra></extra>",
        )  # fmt: skip
    cascade = cascades["mrl"]
    figure.add_scatter(
        x=[cascade.oracle_dim.value], y=[cascade.oracle_accuracy.value], mode="markers",
        name="oracle: the smallest right width",
        marker={"symbol": "cross", "size": 13, "color": GREY},
        hovertemplate="oracle: %{x:.1f} dims, %{y:.1%}<extra></extra>",
    )  # fmt: skip
    return by_width(figure, result.dims, height=460, title="accuracy on held-out rows", tickformat=".0%")


def _sides(estimate: Estimate) -> dict[str, Any]:
    """The interval of one point, as a trace takes it."""
    above, below = [estimate.high - estimate.value], [estimate.value - estimate.low]
    return {"array": above, "arrayminus": below, "symmetric": False, "color": ORANGE}


def exit_shares(cascade: Cascade) -> go.Figure:
    """Share of rows that the cascade answers at each width with its interval, and what it has read by then."""
    shares, low, high = columns(cascade.exit_share)
    read = np.cumsum(cascade.dims)
    labels = [str(dim) for dim in cascade.dims]
    figure = go.Figure().add_bar(
        x=labels, y=shares, name="answered here", marker_color=BLUE,
        error_y={
            "array": high - shares, "arrayminus": shares - low, "symmetric": False, "color": GREY, "thickness": 2
        },
        customdata=np.stack([low, high, read], axis=1),
        hovertemplate=(
            "%{x} dims: %{y:.1%} [%{customdata[0]:.1%}, %{customdata[1]:.1%}] of the rows<br>the heads up to here read "
            "%{customdata[2]:.0f} coordinates<extra></extra>"
        ),
    )  # fmt: skip
    add_line(
        figure, labels, np.cumsum(shares), "answered by here", ORANGE, "dot", "square", hover="%{x} dims: %{y:.1%}"
    )
    figure.update_xaxes(title="width, dims", type="category")
    return finish(figure, 360, title="share of rows", tickformat=".0%", range=[0, 1.05])


def class_losses(result: AdaptiveClassification) -> go.Figure:
    """What each class loses of its accuracy at full width at each width, those that lose most at the top."""
    accuracy = result.class_accuracy()
    loss = accuracy[:, -1:] - accuracy
    shown = [at for at in np.argsort(loss[:, :-1].sum(axis=1), kind="stable") if not np.isnan(loss[at, 0])]
    shown = shown[-MOST_CLASSES:]
    figure = go.Figure().add_heatmap(
        z=loss[shown], x=[str(dim) for dim in result.dims],
        y=[shorten(str(result.classes[at]), 24) for at in shown],
        customdata=accuracy[shown], colorscale="RdBu", reversescale=True, zmid=0,
        zmin=-np.abs(loss[shown]).max(), zmax=np.abs(loss[shown]).max() or 1,
        colorbar={"title": "accuracy lost", "tickformat": ".0%"},
        hovertemplate="%{y} at %{x} dims: right for %{customdata:.1%}, %{z:+.1%} lost<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title="width, dims", type="category")
    figure.update_yaxes(type="category")
    return finish(figure, 160 + 18 * len(shown), title=None)


def exits_by_class(rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Expected width of every coarse class when the coarse and when the fine label is asked for: a line between."""
    shown = list(rows)[:MOST_CLASSES][::-1]
    names = [shorten(row["class"], 24) for row in shown]
    figure = go.Figure()
    for name, row in zip(names, shown):
        ends = [row["coarse_dim"], row["fine_dim"]]
        figure.add_scatter(
            x=ends, y=[name, name], mode="lines", line={"color": GREY, "width": 2}, showlegend=False, hoverinfo="skip"
        )
    for key, label, colour, symbol in (
        ("coarse_dim", "coarse label asked for", ORANGE, "square"), ("fine_dim", "fine label asked for", BLUE, "circle")
    ):  # fmt: skip
        figure.add_scatter(
            x=[row[key] for row in shown], y=names, mode="markers", name=label,
            marker={"color": colour, "symbol": symbol, "size": 12}, customdata=[row["n"] for row in shown],
            hovertemplate=f"%{{y}} (%{{customdata}} rows), {label}: %{{x:.1f}} dims<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title="expected width, dims", rangemode="tozero")
    figure.update_yaxes(type="category")
    return finish(figure, 160 + 26 * len(shown), title=None)


def exits_by_label(results: Sequence[AdaptiveClassification], cascades: Sequence[Cascade]) -> go.Figure:
    """Share of rows answered by each width, a line per label column; dashed verticals are the expected widths."""
    figure = go.Figure()
    for position, (result, cascade) in enumerate(zip(results, cascades)):
        style = LABEL_STYLES[position % len(LABEL_STYLES)]
        name = f"{shorten(result.label, 24)}, {len(result.classes)} classes"
        answered = np.cumsum(columns(cascade.exit_share)[0])
        add_line(figure, cascade.dims, answered, name, *style, size=10, hover="%{y:.1%} answered by %{x} dims")
        figure.add_vline(x=cascade.expected_dim.value, line={"color": style[0], "dash": "dash", "width": 2})
    title = "rows answered by this width"
    return by_width(figure, results[0].dims, height=360, title=title, tickformat=".0%", range=[0, 1.05])
