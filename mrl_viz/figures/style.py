"""Colours, sizes and axes that all figures share."""

from __future__ import annotations

import html
from collections.abc import Sequence

import plotly.graph_objects as go

# Okabe-Ito colours, told apart under the common colour-vision deficiencies; dash and marker repeat the distinction.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#7F7F7F"
BAND = "rgba(0, 114, 178, 0.20)"
HEIGHT = 420
# What a room can read from the back of it.
TICK_SIZE, TITLE_SIZE = 14, 15
# Above this many widths every marker would touch the next: lines only.
MOST_MARKERS = 40
LABEL_CHARACTERS = 60


def shorten(text: str, most: int = LABEL_CHARACTERS) -> str:
    """A user's text for a hover or a legend: one line, escaped, at most `most` characters."""
    line = " ".join(text.split())
    return html.escape(line if len(line) <= most else f"{line[: most - 1]}…") or "(empty)"


def width_axis(figure: go.Figure, dims: Sequence[int]) -> None:
    """A logarithmic axis of widths, labelled where labels have room."""
    ticks = list(dims) if len(dims) <= 14 else [dim for dim in dims if dim & (dim - 1) == 0 or dim == dims[-1]]
    # Two labels closer than a quarter octave overlap on a projector.
    kept = [dim for n, dim in enumerate(ticks) if n == len(ticks) - 1 or ticks[n + 1] / dim > 1.19]
    figure.update_xaxes(title="width, dims (log scale)", type="log", tickvals=kept, ticktext=[str(dim) for dim in kept])


def finish(figure: go.Figure, height: int = HEIGHT) -> go.Figure:
    """The same margins, sizes and legend on every figure; returns it."""
    figure.update_layout(
        height=height, margin={"l": 60, "r": 20, "t": 40, "b": 50}, font_size=15, hovermode="closest",
        legend={"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0, "font_size": TICK_SIZE},
    )  # fmt: skip
    figure.update_xaxes(tickfont_size=TICK_SIZE, title_font_size=TITLE_SIZE)
    figure.update_yaxes(tickfont_size=TICK_SIZE, title_font_size=TITLE_SIZE)
    return figure
