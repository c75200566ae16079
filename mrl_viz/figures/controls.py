"""Pictures of the controls: the prefix over the random band, and how far it stands above it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from mrl_viz.figures.style import BLUE, GREEN, GREY, MOST_MARKERS, ORANGE, finish, shorten, width_axis
from mrl_viz.measures.controls import ControlComparison, Nestedness
from mrl_viz.measures.estimate import columns

PURPLE = "#CC79A7"
RANDOM_BAND = "rgba(127, 127, 127, 0.30)"
# Name, colour, dash and marker of each line: three ways to tell them apart.
LINES = {
    "prefix": ("prefix", BLUE, "solid", "circle"),
    "suffix": ("suffix", PURPLE, "dot", "square"),
    "svd": ("SVD, held out", GREEN, "dashdot", "diamond"),
}
# A learnt map stands in this line; several differ in marker.
LEARNED_SYMBOLS = ("star", "hexagram", "cross", "triangle-up")
# Beyond this many standard deviations of the draws chance alone rarely reaches.
CLEAR_Z = 2


def controls_curve(controls: ControlComparison, focus_dim: int | None = None, trained: Sequence[int] = ()) -> go.Figure:
    """Overlap@k against width: prefix over the random band (mean ± sd over draws), suffix, held-out SVD, chance."""
    figure = go.Figure()
    any_curve = next(iter(controls.curves.values()))
    dims = np.asarray(any_curve.dims)
    mode = "lines+markers" if len(dims) <= MOST_MARKERS else "lines"
    if random := controls.curves.get("random"):
        mean, sd = columns(random.overlap)[0], np.asarray(random.sd)
        figure.add_scatter(x=dims, y=mean + sd, mode="lines", line_width=0, hoverinfo="skip", showlegend=False)
        figure.add_scatter(
            x=dims, y=mean - sd, mode="lines", line_width=0, fill="tonexty", fillcolor=RANDOM_BAND, hoverinfo="skip",
            name=f"random ± sd of {random.draws} draws",
        )  # fmt: skip
        figure.add_scatter(
            x=dims, y=mean, mode=mode, name="random dims, mean", line={"color": "#4D4D4D", "width": 2, "dash": "dash"},
            marker={"size": 7, "symbol": "x"}, customdata=sd,
            hovertemplate="random %{x} dims: %{y:.3f} ± %{customdata:.4f}<extra></extra>",
        )  # fmt: skip
    learned = [name for name in controls.curves if name not in LINES and name != "random"]
    lines = LINES | {
        name: (shorten(name), ORANGE, "solid", LEARNED_SYMBOLS[position % len(LEARNED_SYMBOLS)])
        for position, name in enumerate(learned)
    }
    for name in ("suffix", "svd", *learned, "prefix"):
        if curve := controls.curves.get(name):
            label, colour, dash, symbol = lines[name]
            value, low, high = columns(curve.overlap)
            beside = [f"<br>prefix on the same texts {value:.3f}" for value in curve.prefix_overlap or ()]
            figure.add_scatter(
                x=dims, y=value, mode=mode, name=label,
                line={"color": colour, "width": 4 if name == "prefix" else 2, "dash": dash},
                marker={"size": 9 if name == "prefix" else 7, "symbol": symbol}, text=beside or [""] * len(dims),
                customdata=np.stack([low, high], axis=1),
                hovertemplate=(
                    f"{label}, %{{x}} dims: %{{y:.3f}}<br>95 %: %{{customdata[0]:.3f}} to %{{customdata[1]:.3f}}"
                    "%{text}<extra></extra>"
                ),
            )  # fmt: skip
    figure.add_scatter(
        x=dims[[0, -1]], y=np.full(2, controls.chance), mode="lines", name="chance",
        line={"color": GREY, "dash": "longdash"},
        hovertemplate="chance %{y:.4f}<extra></extra>",
    )  # fmt: skip
    prefix = controls.curves.get("prefix")
    shown = [dim for dim in trained if prefix is not None and dim in prefix.dims]
    if prefix is not None and shown:
        figure.add_scatter(
            x=shown, y=[prefix.overlap[prefix.dims.index(dim)].value for dim in shown], mode="markers", name="trained width",
            marker={"symbol": "diamond-open", "size": 17, "color": GREEN, "line_width": 3}, hoverinfo="skip",
        )  # fmt: skip
    if focus_dim is not None:
        figure.add_vline(x=focus_dim, line={"color": ORANGE, "dash": "dot", "width": 2})
    width_axis(figure, any_curve.dims)
    figure.update_yaxes(title=f"neighbors kept, overlap@{controls.k}", range=[0, 1.03], tickformat=".0%")
    return finish(figure)


def nestedness_bars(nestedness: Nestedness) -> go.Figure:
    """Standard deviations of the random draws between the prefix and their mean, at each width below the full one."""
    shown = [
        level for level, z in enumerate(nestedness.z) if z is not None and nestedness.dims[level] < nestedness.dims[-1]
    ]
    dims = [nestedness.dims[level] for level in shown]
    z = [nestedness.z[level] for level in shown]
    figure = go.Figure(
        go.Bar(
            x=[str(dim) for dim in dims], y=z,
            marker={
                "color": [BLUE if value is not None and value > CLEAR_Z else GREY for value in z],
                "pattern_shape": ["" if dim in nestedness.decisive else "/" for dim in dims],
            },
            customdata=np.stack(columns([nestedness.gap[at] for at in shown]), axis=1),
            text=[f"{value:+.1f}" for value in z] if len(dims) <= MOST_MARKERS else None,
            hovertemplate=(
                "%{x} dims: z = %{y:.1f}<br>gap %{customdata[0]:+.3f}, 95 %: %{customdata[1]:+.3f} to "
                "%{customdata[2]:+.3f}"
                "<extra></extra>"
            ),
        )
    )  # fmt: skip
    figure.add_hrect(y0=-CLEAR_Z, y1=CLEAR_Z, fillcolor=GREY, opacity=0.2, line_width=0, layer="below")
    figure.update_xaxes(title="width, dims (plain bars decide the verdict)", type="category")
    figure.update_yaxes(title="z of prefix among random draws")
    return finish(figure, height=320)
