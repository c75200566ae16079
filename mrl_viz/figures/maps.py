"""Pictures of the maps: an animation over the widths, and the widths side by side."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mrl_viz.errors import InvalidInputError, ShapeError
from mrl_viz.figures.style import BLUE, FONT_SIZE, GL_ABOVE, GREEN, GREY, ORANGE, PURPLE, shorten

if TYPE_CHECKING:
    from mrl_viz.projection import WidthMaps

ColorBy = Literal["none", "label", "overlap lost", "displacement"]

# Okabe-Ito's colours, yellow darkened so that it shows on white, and three more; the symbol repeats the distinction.
COLORS = (BLUE, ORANGE, GREEN, "#56B4E9", PURPLE, "#E69F00", "#8A7F00", "#6A51A3", "#882255", "#44AA99")
SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up", "triangle-down", "star", "pentagon", "hexagram")
NO_LABEL = "(none)"
HOVER_CHARACTERS = 48
LEGEND_CHARACTERS = 28
# Every panel repeats its hover texts; with more than this many in all a panel shows the text's number instead.
MOST_PANEL_TEXTS = 4_000
# More trails cross each other too often to be followed.
MOST_TRAILS = 8
ANIMATION_HEIGHT, PANEL_HEIGHT = 760, 320
# Below the figure it leaves a phone the whole width.
LEGEND_BELOW = {
    "orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "itemsizing": "constant",
    "font_size": 13,
}  # fmt: skip
STEP_MS, GLIDE_MS = 1_000, 600
COLOR_TITLES = {"overlap lost": "neighbors<br>lost", "displacement": "moved beyond<br>its neighbors"}


@dataclass(frozen=True)
class LabelGroups:
    """A label column cut down to what colours can tell apart.

    `names` : display names, the most frequent label first, then "other (… labels)" and "(none)" where there are such
    texts. `counts` : texts in each. `codes` : int of shape (n_items,), each text's group. `collecting` : codes of the
    two collecting groups, where they are needed.
    """

    names: tuple[str, ...]
    counts: tuple[int, ...]
    codes: npt.NDArray[np.int64]
    collecting: frozenset[int]


def group_labels(labels: Sequence[object | None]) -> LabelGroups:
    """The most frequent labels, the rest as "other", empty ones as "(none)"; equal counts in order of name.

    `labels` : one per text; None, a blank string and NaN are no label.
    """
    values = ["" if label is None or label != label else str(label).strip() for label in labels]
    counts = Counter(value for value in values if value)
    ordered = sorted(counts, key=lambda value: (-counts[value], value))
    colored = ordered[: len(COLORS)]
    names = [shorten(value, LEGEND_CHARACTERS) for value in colored]
    code = dict.fromkeys(ordered, len(colored)) | {value: place for place, value in enumerate(colored)}
    if len(ordered) > len(colored):
        names.append(f"other ({len(ordered) - len(colored)} labels)")
    code[""] = len(names)
    if counts.total() < len(values):
        names.append(NO_LABEL)
    codes = np.array([code[value] for value in values], dtype=np.int64)
    sizes = np.bincount(codes, minlength=len(names)).tolist()
    return LabelGroups(tuple(names), tuple(sizes), codes, frozenset(range(len(colored), len(names))))


def map_animation(
    maps: WidthMaps, texts: Sequence[str], *, color_by: ColorBy = "overlap lost",
    labels: Sequence[object | None] | None = None, selected: Sequence[int] = (), focus_dim: int | None = None,
) -> go.Figure:  # fmt: skip
    """The map of one width with a slider and a play button over all of them; the browser needs no server to play it.

    Parameters
    ----------
    maps : from `pca_maps` or `umap_maps`
    texts : all `n_items` texts, for the hovers; `customdata` of a point is its item number
    color_by : "label" needs `labels`; "overlap lost" and "displacement" change with the width
    labels : one per text
    selected : up to 8 items whose trail through all widths is drawn; those that are not shown are left out
    focus_dim : the width to begin at, None for the full one

    Raises
    ------
    ShapeError : another number of texts or labels than items. InvalidInputError : an unknown `color_by`, a label
    colouring without labels, too many or unknown items selected, or a width without a map.
    """
    n_shown = maps.positions.shape[1]
    trails = _trail_items(maps, selected)
    groups = _groups(maps, texts, color_by, labels, trails, n_shown)
    if focus_dim is not None and focus_dim not in maps.dims:
        raise InvalidInputError(f"`focus_dim` is {focus_dim}, which has no map; choose one of {list(maps.dims)}.")
    active = maps.dims.index(focus_dim) if focus_dim is not None else len(maps.dims) - 1
    # One kind for all: WebGL points would cover SVG rings.
    kind = go.Scattergl if n_shown > GL_ABOVE else go.Scatter
    figure = go.Figure([kind(**group.trace(active, True)) for group in groups])
    for place, index in enumerate(trails):
        sizes = np.linspace(4, 9, len(maps.dims)).astype(np.float32)
        figure.add_trace(kind(
            x=maps.positions[:, index, 0], y=maps.positions[:, index, 1], mode="lines+markers",
            line={"color": COLORS[place], "width": 2}, marker={"size": sizes, "symbol": SYMBOLS[place]},
            text=[f"{dim} dims" for dim in maps.dims], hovertemplate="%{text}<extra></extra>",
            name=f"{place + 1}: {shorten(texts[maps.items[index]], LEGEND_CHARACTERS)}",
        ))  # fmt: skip
    figure.frames = [
        go.Frame(
            name=str(dim), traces=list(range(len(groups))), layout={"title": {"text": _title(maps, level)}},
            data=[group.step(level) for group in groups],
        )
        for level, dim in enumerate(maps.dims)
    ]  # fmt: skip
    title = {"text": _title(maps, active), "font_size": FONT_SIZE, "x": 0.02}
    figure.update_layout(dragmode="pan", title=title)
    _finish(figure, maps, color_by, ANIMATION_HEIGHT, below=20)
    if len(maps.dims) > 1:
        _add_player(figure, maps, active, glide=kind is go.Scatter)
    return figure


def map_panels(
    maps: WidthMaps, texts: Sequence[str], *, color_by: ColorBy = "overlap lost",
    labels: Sequence[object | None] | None = None, selected: Sequence[int] = (), columns: int = 4,
) -> go.Figure:  # fmt: skip
    """Every width's map in one figure, zoomed together; parameters and errors as in `map_animation`.

    A hover shows the text while all panels together have at most 4,000 points, else the text's number.
    """
    n_dims, n_shown, _ = maps.positions.shape
    groups = _groups(maps, texts, color_by, labels, _trail_items(maps, selected), n_shown * n_dims)
    columns = max(1, min(columns, n_dims))
    n_rows = math.ceil(n_dims / columns)
    figure = make_subplots(
        n_rows, columns, subplot_titles=[_title(maps, level, short=True) for level in range(n_dims)],
        horizontal_spacing=0.02, vertical_spacing=min(0.2, 0.5 / n_rows), shared_xaxes="all", shared_yaxes="all",
    )  # fmt: skip
    kind = go.Scattergl if n_shown * n_dims > GL_ABOVE else go.Scatter
    for level in range(n_dims):
        for group in groups:
            trace = kind(**group.trace(level, level == 0))
            figure.add_trace(trace, row=level // columns + 1, col=level % columns + 1)
    figure.update_annotations(font_size=13, yshift=8)
    return _finish(figure, maps, color_by, PANEL_HEIGHT * n_rows + 160, below=110)


@dataclass(frozen=True)
class _Group:
    """Points that are drawn alike: where they are and, where that changes too, what colours them at every width."""

    positions: npt.NDArray[np.float32]
    look: dict[str, Any]
    values: npt.NDArray[np.float32] | None = None

    def step(self, level: int) -> dict[str, Any]:
        """What changes from width to width."""
        changing: dict[str, Any] = {"x": self.positions[level, :, 0], "y": self.positions[level, :, 1]}
        return changing if self.values is None else changing | {"marker": {"color": self.values[level]}}

    def trace(self, level: int, in_legend: bool) -> dict[str, Any]:
        """The whole trace at one width."""
        step = self.step(level)
        marker = self.look["marker"] | step.get("marker", {})
        return {"showlegend": in_legend and self.values is None} | self.look | step | {"marker": marker}


def _groups(
    maps: WidthMaps, texts: Sequence[str], color_by: str, labels: Sequence[object | None] | None, trails: list[int],
    n_hovers: int,
) -> list[_Group]:  # fmt: skip
    """The points by what colours them, and the selected ones ringed; hover texts when there are few, else numbers."""
    _check_one_each("text", texts, maps)
    with_texts = n_hovers <= max(MOST_PANEL_TEXTS, maps.positions.shape[1])
    hover = np.array(
        [shorten(texts[item], HOVER_CHARACTERS) if with_texts else "" for item in maps.items], dtype=object
    )
    # Many points, or several panels of them, are small ones.
    size = {"size": next((size for most, size in ((600, 8), (GL_ABOVE, 6)) if n_hovers <= most), 4), "opacity": 0.8}

    def some(members: Any, name: str, marker: dict[str, Any], values: Any = None) -> _Group:
        extra = "%{marker.color:.2f}" if values is not None else name
        return _Group(maps.positions[:, members], {
            "mode": "markers", "name": name, "legendgroup": name, "marker": size | marker,
            "customdata": maps.items[members].astype(np.int32), "text": hover[members].tolist() if with_texts else None,
            "hovertemplate": f"{'%{text}' if with_texts else 'text %{customdata}'}<extra>{extra}</extra>",
        }, values)  # fmt: skip

    if color_by == "none":
        groups = [some(slice(None), "texts", {"color": BLUE})]
    elif color_by in COLOR_TITLES:
        values = maps.overlap_lost if color_by == "overlap lost" else maps.relative_displacement
        groups = [some(slice(None), "texts", {"coloraxis": "coloraxis"}, values)]
    elif color_by != "label":
        raise InvalidInputError(
            f"`color_by` is {color_by!r}; choose 'none', 'label', 'overlap lost' or 'displacement'."
        )
    elif labels is None:
        raise InvalidInputError("`labels` is None but `color_by` is 'label'; give one label per text.")
    else:
        _check_one_each("label", labels, maps)
        grouped = group_labels([labels[item] for item in maps.items])
        looks = [{"color": color, "symbol": symbol} for color, symbol in zip(COLORS, SYMBOLS)]
        collected = {"color": GREY, "opacity": 0.45}
        # The collecting groups are drawn first, under the others.
        codes = sorted(range(len(grouped.names)), key=lambda code: (code not in grouped.collecting, code))
        groups = []
        for code in codes:
            name, look = grouped.names[code], collected if code in grouped.collecting else looks[code]
            if look is collected and name == NO_LABEL:
                look = collected | {"symbol": "circle-open"}
            groups.append(some(grouped.codes == code, f"{name} · {grouped.counts[code]}", look))
    if trails:
        marker = {"symbol": "circle-open", "size": 17, "color": list(COLORS[: len(trails)]), "line": {"width": 3}}
        # Numbered as they were chosen.
        groups.append(_Group(maps.positions[:, trails], {
            "mode": "markers+text", "name": "selected", "showlegend": False, "marker": marker, "hoverinfo": "skip",
            "text": [str(place + 1) for place in range(len(trails))], "textposition": "top center",
        }))  # fmt: skip
    return groups


def _check_one_each(name: str, given: Sequence[object], maps: WidthMaps) -> None:
    if len(given) != maps.n_items:
        raise ShapeError(
            f"`{name}s` has {len(given)} entries but the maps are of {maps.n_items} items; give one {name} per item."
        )


def _trail_items(maps: WidthMaps, selected: Sequence[int]) -> list[int]:
    """Positions among the shown items of the selected ones."""
    chosen = list(dict.fromkeys(int(item) for item in selected))
    if len(chosen) > MOST_TRAILS:
        raise InvalidInputError(f"`selected` has {len(chosen)} items; choose at most {MOST_TRAILS}.")
    for item in chosen:
        if not 0 <= item < maps.n_items:
            raise InvalidInputError(
                f"`selected` has {item} but there are {maps.n_items} texts; choose 0 to {maps.n_items - 1}."
            )
    return [int(np.searchsorted(maps.items, item)) for item in chosen if item in maps.items]


def _title(maps: WidthMaps, level: int, short: bool = False) -> str:
    kept, trust, cont = maps.kept_in_map[level], maps.trustworthiness[level], maps.continuity[level]
    if short:
        # Three short lines stay apart on a phone.
        return f"<b>{maps.dims[level]} dims</b><br>{kept:.0%} kept<br>T {trust:.2f} C {cont:.2f}"
    return (
        f"<b>{maps.dims[level]} dims</b> · shows {kept:.0%} of the {maps.k} true neighbors"
        f"<br>trustworthiness {trust:.3f} · continuity {cont:.3f}"
    )


def _finish(figure: go.Figure, maps: WidthMaps, color_by: str, height: int, below: int) -> go.Figure:
    """The same frame at every width, one unit as long upwards as sidewards; places on a map have no numbers to read."""
    figure.update_layout(
        height=height, margin={"l": 20, "r": 20, "t": 70, "b": below}, font_size=FONT_SIZE, hovermode="closest",
        legend=LEGEND_BELOW, coloraxis=_color_axis(maps, color_by),
    )  # fmt: skip
    low, high = (bound(maps.positions, axis=(0, 1)).astype(float) for bound in (np.min, np.max))
    margin = 0.06 * max(float((high - low).max()), 1e-6)
    plain: dict[str, Any] = {"showticklabels": False, "zeroline": False, "showgrid": False}
    plain |= {"showline": True, "mirror": True, "linecolor": GREY}
    figure.update_xaxes(range=[low[0] - margin, high[0] + margin], **plain)
    figure.update_yaxes(range=[low[1] - margin, high[1] + margin], **plain)
    for axis in figure.select_yaxes():
        if axis.matches is None:  # the other panels match this one, and plotly allows them no anchor of their own
            axis.update(scaleanchor=axis.anchor or "x", scaleratio=1)
    if maps.explained is not None and len(figure.frames):
        figure.update_xaxes(title=f"axis 1, {maps.explained[0]:.0%} of the variance at full width")
        figure.update_yaxes(title=f"axis 2, {maps.explained[1]:.0%}")
    return figure


def _color_axis(maps: WidthMaps, color_by: str) -> dict[str, Any] | None:
    if color_by not in COLOR_TITLES:
        return None
    # The legend stands above the bar. A few texts move very far; they take the last colour.
    most = 1.0 if color_by == "overlap lost" else max(float(np.quantile(maps.relative_displacement, 0.98)), 1e-6)
    bar = {
        "title": COLOR_TITLES[color_by], "tickformat": ".0%" if color_by == "overlap lost" else None,
        "thickness": 14, "len": 0.5, "y": 0, "yanchor": "bottom",
    }  # fmt: skip
    return {"cmin": 0.0, "cmax": most, "colorscale": "Cividis", "colorbar": bar}


def _add_player(figure: go.Figure, maps: WidthMaps, active: int, glide: bool) -> None:
    """A slider over the widths, play from full width down, and pause."""
    playing = {"frame": {"duration": STEP_MS, "redraw": True}, "fromcurrent": True, "mode": "immediate"}
    playing |= {"transition": {"duration": GLIDE_MS if glide else 0, "easing": "cubic-in-out"}}
    jump = {"frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}, "mode": "immediate"}
    shrinking = [str(dim) for dim in reversed(maps.dims)]
    steps = [{"label": str(dim), "method": "animate", "args": [[str(dim)], jump]} for dim in maps.dims]
    buttons = [
        {"label": "▶ Play", "method": "animate", "args": [shrinking, playing]},
        {"label": "Pause", "method": "animate", "args": [[None], jump]},
    ]
    figure.update_layout(
        margin_b=215,
        sliders=[{
            "active": active, "steps": steps, "x": 0.02, "len": 0.96, "y": -0.04, "yanchor": "top", "pad": {"t": 20},
            "currentvalue": {"prefix": "width ", "suffix": " dims", "xanchor": "right"},
        }],
        updatemenus=[{
            "type": "buttons", "direction": "left", "buttons": buttons, "showactive": False,
            "x": 0.02, "xanchor": "left", "y": -0.04, "yanchor": "top", "pad": {"t": 14},
        }],
    )  # fmt: skip
