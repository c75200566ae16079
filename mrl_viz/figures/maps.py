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
# With its controls it fits a screen of 720 pixels.
ANIMATION_HEIGHT, PANEL_HEIGHT = 465, 320
# More labels of widths along a trail would cover each other: the ends alone have one.
MOST_TRAIL_LABELS = 8
SELECTED_SIZE = 13
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
    labels: Sequence[object | None] | None = None, selected: Sequence[int] = (),
    neighbors: Sequence[Sequence[int]] | None = None, focus_dim: int | None = None,
) -> go.Figure:  # fmt: skip
    """The map of one width with a slider and a play button over all of them; the browser needs no server to play it.

    The last three traces are the selected texts': lines to neighbors, trails, rings. Each width's frame has them from
    a frame of their own, which `selection_frames` makes anew for others without the points.

    Parameters
    ----------
    maps : from `pca_maps` or `umap_maps`
    texts : all `n_items` texts, for the hovers; `customdata` of a point is its item number
    color_by : "label" needs `labels`; "overlap lost" and "displacement" change with the width
    labels : one per text
    selected : up to 8 items whose trail through all widths is drawn, its dots growing with the width; those that are
        not shown are left out
    neighbors : shape (n_dims, k), the items near the first selected one at every width; lines run to those shown
    focus_dim : the width to begin at, None for the full one

    Raises
    ------
    ShapeError : another number of texts or labels than items. InvalidInputError : an unknown `color_by`, a label
    colouring without labels, too many or unknown items selected, or a width without a map.
    """
    n_shown = maps.positions.shape[1]
    groups = _groups(maps, texts, color_by, labels, n_shown)
    chosen = selection_frames(maps, texts, selected, neighbors)
    if focus_dim is not None and focus_dim not in maps.dims:
        raise InvalidInputError(f"`focus_dim` is {focus_dim}, which has no map; choose one of {list(maps.dims)}.")
    active = maps.dims.index(focus_dim) if focus_dim is not None else len(maps.dims) - 1
    # One kind for all: WebGL points would cover SVG rings.
    kind = go.Scattergl if n_shown > GL_ABOVE else go.Scatter
    figure = go.Figure([kind(**group.trace(active, True)) for group in groups])
    figure.add_traces([kind(**trace) for trace in chosen[active]["data"]])
    there = list(range(len(groups), len(figure.data)))
    figure.frames = [*(
        go.Frame(name=frame["name"], traces=there, data=[kind(**trace) for trace in frame["data"]]) for frame in chosen
    ), *(
        go.Frame(
            name=str(dim), baseframe=chosen[level]["name"], traces=list(range(len(groups))),
            layout={"title": {"text": _title(maps, level)}}, data=[group.step(level) for group in groups],
        )
        for level, dim in enumerate(maps.dims)
    )]  # fmt: skip
    title = {"text": _title(maps, active), "font_size": FONT_SIZE, "x": 0.02, "y": 1, "yanchor": "top", "pad_t": 17}
    figure.update_layout(dragmode="pan", title=title)
    _finish(figure, maps, color_by, ANIMATION_HEIGHT, below=20).update_layout(margin_t=54)
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
    groups = _groups(maps, texts, color_by, labels, n_shown * n_dims)
    chosen = selection_frames(maps, texts, selected)
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
        if selected:
            rings = kind(**chosen[level]["data"][-1])
            figure.add_trace(rings, row=level // columns + 1, col=level % columns + 1)
    figure.update_annotations(font_size=13, yshift=8)
    return _finish(figure, maps, color_by, PANEL_HEIGHT * n_rows + 160, below=110)


def selection_frames(
    maps: WidthMaps, texts: Sequence[str], selected: Sequence[int],
    neighbors: Sequence[Sequence[int]] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """What the last three traces of `map_animation` show at every width: names of frames and traces, as plain data.

    Parameters and errors as there.
    """
    _check_one_each("text", texts, maps)
    trails = _trail_items(maps, selected)
    return [
        {"name": f"{dim} selected", "data": _selection(maps, texts, trails, neighbors, level)}
        for level, dim in enumerate(maps.dims)
    ]


def _selection(
    maps: WidthMaps, texts: Sequence[str], trails: list[int], neighbors: Sequence[Sequence[int]] | None, level: int
) -> list[dict[str, Any]]:
    """The three traces of selected texts at one width; plain lists, in which None breaks a line."""
    names = [
        f"{place + 1}: {shorten(texts[maps.items[index]], HOVER_CHARACTERS)}" for place, index in enumerate(trails)
    ]
    colors = list(COLORS[: len(trails)])
    ends = (0, len(maps.dims) - 1) if len(maps.dims) > MOST_TRAIL_LABELS else range(len(maps.dims))
    near = _trail_items(maps, neighbors[level], most=None) if trails and neighbors is not None else []
    spokes = [index for there in near for index in (trails[0], there, None)]
    path = [(place, index, step) for place, index in enumerate(trails) for step in [*range(len(maps.dims)), None]]
    sizes = np.linspace(4, 9, len(maps.dims)).round(1).tolist()

    def there(step: int | None, index: int | None) -> list[float | None]:
        return [None, None] if step is None or index is None else maps.positions[step, index].round(4).tolist()

    def trace(places: list[list[float | None]], **look: Any) -> dict[str, Any]:
        xs, ys = ([place[axis] for place in places] for axis in (0, 1))
        return {"x": xs, "y": ys, "showlegend": False} | look

    return [
        trace(
            [there(level, index) for index in spokes], mode="lines+markers", name="neighbors",
            line={"color": COLORS[0], "width": 1.5}, hovertemplate="%{text}<extra>neighbor</extra>",
            marker={"symbol": "circle-open", "size": 13, "color": COLORS[0], "line": {"width": 2}},
            text=["" if index is None else shorten(texts[maps.items[index]], HOVER_CHARACTERS) for index in spokes],
            customdata=[-1 if index is None else int(maps.items[index]) for index in spokes],
        ),
        trace(
            [there(step, index) for _, index, step in path], mode="lines+markers+text", name="trails",
            line={"color": GREY, "width": 2}, hovertemplate="%{customdata}<extra></extra>", textposition="bottom right",
            text=[str(maps.dims[step]) if step in ends else "" for _, _, step in path], textfont={"size": 11},
            marker={
                "size": [0 if step is None else sizes[step] for _, _, step in path],
                "color": [colors[place] for place, _, _ in path],
            },
            customdata=["" if step is None else f"{names[place]}, {maps.dims[step]} dims" for place, _, step in path],
        ),
        # Numbered as they were chosen.
        trace(
            [there(level, index) for index in trails], mode="markers+text", name="selected", hoverinfo="skip",
            marker={"symbol": "circle-open", "size": 17, "color": colors, "line": {"width": 3}},
            text=[str(place + 1) for place in range(len(trails))], textposition="top center",
        ),
    ]  # fmt: skip


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
    maps: WidthMaps, texts: Sequence[str], color_by: str, labels: Sequence[object | None] | None, n_hovers: int
) -> list[_Group]:
    """The points by what colours them; hover texts when there are few, else numbers."""
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
            # A click is answered before the server answers; the other points stay as they are.
            "selected": {"marker": {"size": SELECTED_SIZE}},
            "unselected": {"marker": {"opacity": (size | marker)["opacity"]}},
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
    return groups


def _check_one_each(name: str, given: Sequence[object], maps: WidthMaps) -> None:
    if len(given) != maps.n_items:
        raise ShapeError(
            f"`{name}s` has {len(given)} entries but the maps are of {maps.n_items} items; give one {name} per item."
        )


def _trail_items(maps: WidthMaps, selected: Sequence[int], most: int | None = MOST_TRAILS) -> list[int]:
    """Positions among the shown items of the selected ones."""
    chosen = list(dict.fromkeys(int(item) for item in selected))
    if most is not None and len(chosen) > most:
        raise InvalidInputError(f"`selected` has {len(chosen)} items; choose at most {most}.")
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
        return f"<b>{maps.dims[level]} dims</b><br>{kept:.0%} visible<br>T {trust:.2f} C {cont:.2f}"
    return (
        f"<b>{maps.dims[level]} dims</b> · {kept:.0%} of the {maps.k} true neighbors visible"
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
        # Below the horizontal one lies the slider.
        figure.update_yaxes(title="axes: {:.0%} and {:.0%} of the variance".format(*maps.explained), title_font_size=13)
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
    """Play from full width down and pause, and beside them a slider over the widths."""
    playing = {"frame": {"duration": STEP_MS, "redraw": True}, "mode": "immediate"}
    playing |= {"transition": {"duration": GLIDE_MS if glide else 0, "easing": "cubic-in-out"}}
    jump = {"frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}, "mode": "immediate"}
    shrinking = [str(dim) for dim in reversed(maps.dims)]
    steps = [{"label": str(dim), "method": "animate", "args": [[str(dim)], jump]} for dim in maps.dims]
    buttons = [
        {"label": "▶ Play", "method": "animate", "args": [shrinking, playing]},
        {"label": "Pause", "method": "animate", "args": [[None], jump]},
    ]
    figure.update_layout(
        sliders=[{
            "active": active, "steps": steps, "x": 1, "xanchor": "right", "len": 0.6, "y": 0, "yanchor": "top",
            "pad": {"t": 8}, "currentvalue": {"visible": False},
        }],
        updatemenus=[{
            "type": "buttons", "direction": "left", "buttons": buttons, "showactive": False,
            "x": 0, "xanchor": "left", "y": 0, "yanchor": "top", "pad": {"t": 10},
        }],
    )  # fmt: skip
