"""Pictures of the controls: the prefix over the random band, and how far it stands above it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from mrl_viz.figures.style import (
    BLUE,
    DASHED,
    GREEN,
    GREY,
    KEPT,
    MOST_MARKERS,
    ORANGE,
    PURPLE,
    add_band,
    add_chance,
    add_estimates,
    add_line,
    add_trained,
    asked,
    by_width,
    finish,
    shorten,
)
from mrl_viz.measures.estimate import columns

if TYPE_CHECKING:
    from mrl_viz.adaptor.importance import ImportanceOrder
    from mrl_viz.measures.controls import ControlComparison, Nestedness

RANDOM_BAND = "rgba(127, 127, 127, 0.30)"
# Name, colour, dash and marker of each line: three ways to tell them apart.
LINES = {
    "suffix": ("suffix", PURPLE, "dot", "square"),
    "svd": ("SVD, held out", GREEN, "dashdot", "diamond"),
    "centred": ("centred PCA, held out", "#56B4E9", "longdash", "triangle-down"),
    "prefix": ("prefix", BLUE, "solid", "circle"),
}
# A learnt map stands in this line; several differ in marker.
LEARNED_SYMBOLS = ("star", "hexagram", "cross", "triangle-up")
# Beyond this many standard deviations of the draws chance alone rarely reaches.
CLEAR_Z = 2


def controls_curve(controls: ControlComparison, focus_dim: int | None = None, trained: Sequence[int] = ()) -> go.Figure:
    """Overlap@k against width: prefix over the random band (mean ± sd over draws), suffix, held-out SVD, chance."""
    figure, curves = go.Figure(), controls.curves
    dims = next(iter(curves.values())).dims
    if random := curves.get("random"):
        mean, sd = columns(random.overlap)[0], np.asarray(random.sd)
        add_band(figure, dims, mean - sd, mean + sd, f"random ± sd of {random.draws} draws", RANDOM_BAND)
        add_line(
            figure, dims, mean, "random dims, mean", "#4D4D4D", "dash", "x", width=2, size=7, customdata=sd,
            hover="%{x} dims: %{y:.3f} ± %{customdata:.4f}",
        )  # fmt: skip
    learned = [name for name in curves if name not in LINES and name != "random"]
    looks = LINES | {
        name: (shorten(name), ORANGE, "solid", LEARNED_SYMBOLS[place % len(LEARNED_SYMBOLS)])
        for place, name in enumerate(learned)
    }
    for name in ("suffix", "svd", "centred", *learned, "prefix"):
        if curve := curves.get(name):
            beside = [f"<br>prefix on the same texts {value:.3f}" for value in curve.prefix_overlap or ()]
            width, size = (4, 9) if name == "prefix" else (2, 7)
            add_estimates(
                figure, dims, columns(curve.overlap), *looks[name], bars=False, width=width, size=size,
                text=beside or [""] * len(dims), hover="%{text}",
            )  # fmt: skip
    add_chance(figure, dims, controls.chance)
    if prefix := curves.get("prefix"):
        add_trained(figure, prefix.dims, columns(prefix.overlap)[0], trained)
    return by_width(figure, dims, focus_dim, title=f"overlap@{controls.k}, {asked(controls)}", **KEPT)


def coordinate_order(learnt: ImportanceOrder, focus_dim: int | None = None) -> go.Figure:
    """Each coordinate's place in the model's own order against its place in the learnt one; on the diagonal they agree.

    In the square: kept by both at the focus width.
    """
    places = np.arange(1, len(learnt.order) + 1)
    figure = go.Figure()
    figure.add_scatter(
        x=places[[0, -1]], y=places[[0, -1]], mode="lines", name="same place", line=DASHED, hoverinfo="skip"
    )
    figure.add_scatter(
        x=learnt.order + 1, y=places, mode="markers", name="coordinate",
        marker={"color": BLUE, "size": 7, "opacity": 0.8},
        hovertemplate="coordinate %{x}: the %{y}. most important<extra></extra>",
    )  # fmt: skip
    if focus_dim is not None:
        figure.add_shape(
            type="rect", x0=0.5, y0=0.5, x1=focus_dim + 0.5, y1=focus_dim + 0.5, line={"color": ORANGE, "width": 3}
        )
    figure.update_xaxes(title="place in the model's order")
    return finish(figure, title="place in the learnt order")


def nestedness_bars(nestedness: Nestedness) -> go.Figure:
    """Standard deviations of the random draws between the prefix and their mean, at each width below the full one."""
    below = zip(nestedness.dims[:-1], nestedness.z, nestedness.gap)
    shown = [(dim, value, gap) for dim, value, gap in below if value is not None]
    dims, z = [dim for dim, _, _ in shown], [value for _, value, _ in shown]
    figure = go.Figure().add_bar(
        x=[str(dim) for dim in dims], y=z,
        marker={
            "color": [BLUE if value > CLEAR_Z else GREY for value in z],
            "pattern_shape": ["" if dim in nestedness.decisive else "/" for dim in dims],
        },
        customdata=np.stack(columns([gap for _, _, gap in shown]), axis=1),
        text=[f"{value:+.1f}" for value in z] if len(dims) <= MOST_MARKERS else None,
        textposition="outside", cliponaxis=False,  # hatching makes letters on it unreadable
        hovertemplate=(
            "%{x} dims: z = %{y:.1f}<br>gap %{customdata[0]:+.3f}, 95 %: %{customdata[1]:+.3f} to "
            "%{customdata[2]:+.3f}<extra></extra>"
        ),
    )  # fmt: skip
    figure.add_hrect(y0=-CLEAR_Z, y1=CLEAR_Z, fillcolor=GREY, opacity=0.2, line_width=0, layer="below")
    figure.update_xaxes(title="width, dims (plain bars decide the verdict)", type="category")
    return finish(figure, 320, title="z of prefix among random draws")
