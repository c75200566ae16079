"""Colours, sizes, axes and lines that all figures share."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import plotly.graph_objects as go

# Okabe-Ito colours, told apart under the common colour-vision deficiencies; dash and marker repeat the distinction.
BLUE, ORANGE, GREEN, GREY, PURPLE = "#0072B2", "#D55E00", "#009E73", "#7F7F7F", "#CC79A7"
# From one end to the other, all of middling lightness: seen on white and on black.
SHADES = (BLUE, GREEN, "#C99700")
# What stands above a point that differs significantly from what it is compared with.
STAR = "*"
BAND = "rgba(0, 114, 178, 0.20)"
DTYPE_SYMBOLS = {
    "float32": "circle", "float16": "square", "int8": "diamond", "int4": "pentagon", "int4-rotated": "hexagon",
    "binary": "triangle-up", "binary-rotated": "triangle-down",
}  # fmt: skip
# RaBitQ, TurboQuant and OPQ come in many bits.
FAMILY_SYMBOLS = {"rabitq": "star", "turboquant": "cross", "opq": "x"}
# A line that something is compared with.
DASHED = {"color": GREY, "dash": "dash"}
HEIGHT = 420
# Above this many points SVG is no longer fluid, WebGL is; its hovers know no <br>.
GL_ABOVE = 1_500
# The vertical axis of shares that are kept.
KEPT: dict[str, Any] = {"range": [0, 1.03], "tickformat": ".0%"}
# What a room can read from the back of it.
FONT_SIZE, TICK_SIZE = 15, 14
# Above this many widths every marker would touch the next: lines only.
MOST_MARKERS = 40
LABEL_CHARACTERS = 60
# Characters looked at when a text is shortened: enough for the visible ones, however long the text is.
READ_CHARACTERS = 400
# Joiners shape Persian, Indic and emoji text; every other invisible format character, the bidirectional ones above all,
# goes.
KEPT_FORMAT = "\u200c\u200d"


class Asking(Protocol):
    """A result about neighbor lists: `is_self` where texts search for each other."""

    @property
    def is_self(self) -> bool: ...


def asked(result: Asking) -> str:
    """What looks for its nearest among what, as an axis says it."""
    return "texts among texts" if result.is_self else "queries among texts"


def dtype_symbol(dtype: str) -> str:
    """The marker of a code."""
    return DTYPE_SYMBOLS.get(dtype) or FAMILY_SYMBOLS[dtype.rstrip("0123456789")]


def shorten(text: str, most: int = LABEL_CHARACTERS) -> str:
    """A user's text for a hover or a legend: one line of at most `most` characters, escaped; never empty."""
    read = text[:READ_CHARACTERS]
    if not read.isprintable():
        read = "".join(c for c in read if c.isspace() or c in KEPT_FORMAT or unicodedata.category(c)[0] != "C")
    line = " ".join(read.split())
    if len(line) > most or (line and len(text) > READ_CHARACTERS):
        line = f"{line[: most - 1]}…"
    return html.escape(line) or "(empty)"


def add_line(
    figure: go.Figure, x: Any, y: Any, name: str, colour: str | None, dash: str = "solid", symbol: Any = "circle", *,
    hover: str | None = "%{x} dims: %{y:.3f}", width: float = 3, size: int = 9, marker: dict[str, Any] | None = None,
    **trace: Any,
) -> None:  # fmt: skip
    """A line with markers while there is room for them; `hover` begins with the name, None leaves it out."""
    said = {"hoverinfo": "skip"} if hover is None else {"hovertemplate": f"{name}, {hover}<extra></extra>"}
    figure.add_scatter(**{
        "x": np.asarray(x), "y": np.asarray(y), "name": name, "line": {"color": colour, "dash": dash, "width": width},
        "mode": "lines+markers" if len(x) <= MOST_MARKERS else "lines",
        "marker": {"symbol": symbol, "size": size} | (marker or {}), "cliponaxis": False, **said, **trace,
    })  # fmt: skip


def add_estimates(
    figure: go.Figure, x: Any, columns: Sequence[Any], name: str, colour: str, dash: str = "solid",
    symbol: Any = "circle", *, number: str = ".3f", unit: str = "dims", hover: str = "", bars: bool = True,
    shift: float = 1, **line: Any,
) -> None:  # fmt: skip
    """A line of values with their lows and highs, as `columns` of estimates: in the hover, and as bars.

    `shift` : a factor for where the points stand, so that bars at the same width do not cover each other.
    """
    values, lows, highs = (np.asarray(side, dtype=float) for side in columns)
    low, high = (f"%{{customdata[{side}]:{number}}}" for side in (0, 1))
    said = f"%{{customdata[2]}} {unit}: %{{y:{number}}}<br>95 %: {low} to {high}"
    if bars:
        line["error_y"] = {
            "array": highs - values, "arrayminus": values - lows, "color": colour, "thickness": 1.5, "width": 4,
        }  # fmt: skip
    add_line(
        figure, np.asarray(x) * shift, values, name, colour, dash, symbol, hover=f"{said}{hover}",
        customdata=np.stack([lows, highs, x], axis=1), **line,
    )  # fmt: skip


def add_band(figure: go.Figure, x: Any, low: Any, high: Any, name: str = "95 % interval", fill: str = BAND) -> None:
    """The ground between two curves, under what is drawn after it."""
    edge: dict[str, Any] = {"x": np.asarray(x), "mode": "lines", "line_width": 0, "hoverinfo": "skip"}
    figure.add_scatter(y=np.asarray(high), showlegend=False, **edge)
    figure.add_scatter(y=np.asarray(low), name=name, fill="tonexty", fillcolor=fill, **edge)


def add_chance(figure: go.Figure, x: Any, chance: float) -> None:
    """What chance alone would keep, from the first to the last of `x`."""
    add_line(
        figure, [x[0], x[-1]], np.full(2, chance), "chance", GREY, "longdash", mode="lines", width=2, hover="%{y:.4f}"
    )


def add_rings(
    figure: go.Figure, x: Any, y: Any, name: str, size: int, colour: str = ORANGE, symbol: str = "circle-open",
    width: int = 3, **trace: Any,
) -> None:  # fmt: skip
    """Open markers around points that another trace draws; open markers are nothing but such rings."""
    marker = {"symbol": symbol, "size": size, "color": colour, "line_width": width}
    figure.add_scatter(x=x, y=y, mode="markers", name=name, hoverinfo="skip", marker=marker, cliponaxis=False, **trace)


def add_trained(figure: go.Figure, dims: Sequence[int], values: Any, trained: Sequence[int]) -> None:
    """Rings around the widths that the model was trained at."""
    if shown := [dim for dim in trained if dim in dims]:
        there = [values[dims.index(dim)] for dim in shown]
        add_rings(figure, shown, there, "trained width", 17, GREEN, "diamond-open")


def add_mark(
    figure: go.Figure, x: float, words: str | None = None, *, at: float | None = None, width: float = 2
) -> None:
    """A dotted vertical line with words above it, which stand `at` another number where the axis is not linear."""
    figure.add_vline(x=x, line={"color": ORANGE, "dash": "dot", "width": width})
    if words is not None:
        place = {"x": x if at is None else at, "y": 1.02, "yref": "paper", "yanchor": "bottom"}
        figure.add_annotation(**place, text=words, showarrow=False, font={"color": ORANGE})


def log_axis(figure: go.Figure, title: str, ticks: Sequence[int]) -> None:
    """A logarithmic horizontal axis with labels at `ticks`."""
    figure.update_xaxes(
        title=f"{title} (log scale)", type="log", tickvals=list(ticks), ticktext=[f"{tick:,}" for tick in ticks]
    )


def bytes_axis(figure: go.Figure, sizes: Sequence[int], title: str = "bytes per vector") -> None:
    """Bytes per vector, labelled at powers of two, or of four where those have no room."""
    first, last = int(np.floor(np.log2(min(sizes)))), int(np.ceil(np.log2(max(sizes))))
    step = 1 if last - first <= 8 else 2
    log_axis(figure, title, [2**power for power in range(first, last + 1, step)])


def by_width(
    figure: go.Figure, dims: Sequence[int], focus_dim: int | None = None, height: int = HEIGHT, **y: Any
) -> go.Figure:
    """The figure finished with a logarithmic axis of widths, labelled where labels have room, and the focus width."""
    if focus_dim is not None:
        # Titles of panels stand where the words would.
        words = None if figure.layout.annotations else f"focus {focus_dim}"
        # On a logarithmic axis plotly places annotations by the exponent.
        add_mark(figure, focus_dim, words, at=np.log10(focus_dim))
    ticks = list(dims) if len(dims) <= 14 else [dim for dim in dims if dim & (dim - 1) == 0 or dim == dims[-1]]
    # Two labels closer than a quarter octave overlap on a projector.
    log_axis(
        figure, "width, dims",
        [dim for n, dim in enumerate(ticks) if n == len(ticks) - 1 or ticks[n + 1] / dim > 1.19],
    )  # fmt: skip
    return finish(figure, height, **y)


def rising(sizes: Sequence[float], values: Sequence[float]) -> list[int]:
    """Positions of the points that no smaller one reaches, from the smallest on: the steps of a front."""
    steps: list[int] = []
    for place in sorted(range(len(sizes)), key=lambda place: (sizes[place], -values[place])):
        if not steps or values[place] > values[steps[-1]]:
            steps.append(place)
    return steps


def finish(figure: go.Figure, height: int = HEIGHT, **y: Any) -> go.Figure:
    """The figure with a vertical axis as `y` says, and the margins, sizes and legend of all figures."""
    figure.update_yaxes(**y)
    # At the figure's foot, where the legend's lines move the axes up instead of covering their titles.
    foot = {"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0, "x": 0, "font_size": TICK_SIZE}
    figure.update_layout(
        height=height, margin={"l": 60, "r": 20, "t": 40, "b": 50}, font_size=FONT_SIZE, hovermode="closest",
        legend=foot,
    )  # fmt: skip
    for axes in (figure.update_xaxes, figure.update_yaxes):
        axes(tickfont_size=TICK_SIZE, title_font_size=FONT_SIZE)
    return figure
