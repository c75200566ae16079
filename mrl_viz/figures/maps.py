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
from mrl_viz.figures.style import BLUE, FONT_SIZE, GREEN, GREY, ORANGE, PURPLE, shorten

if TYPE_CHECKING:
    from mrl_viz.projection import WidthMaps

ColorBy = Literal["none", "label", "overlap lost", "displacement"]

# Okabe-Ito's colours, yellow darkened so that it shows on white, and three more; the symbol repeats the distinction.
COLORS = (BLUE, ORANGE, GREEN, "#56B4E9", PURPLE, "#E69F00", "#8A7F00", "#6A51A3", "#882255", "#44AA99")
SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up", "triangle-down", "star", "pentagon", "hexagram")
NO_LABEL = "(none)"
# Above this many points SVG is no longer fluid, WebGL is; its hovers know no <br>.
GL_ABOVE = 1_500
HOVER_CHARACTERS = 80
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
    points = _points(maps, texts, color_by, labels, maps.positions.shape[1])
    trails = _trail_items(maps, selected)
    if focus_dim is not None and focus_dim not in maps.dims:
        raise InvalidInputError(f"`focus_dim` is {focus_dim}, which has no map; choose one of {list(maps.dims)}.")
    active = maps.dims.index(focus_dim) if focus_dim is not None else len(maps.dims) - 1
    # One kind for all: WebGL points would cover SVG rings.
    kind = go.Scattergl if maps.positions.shape[1] > GL_ABOVE else go.Scatter
    figure = go.Figure()
    for group in points:
        figure.add_trace(kind(**group.trace(active, True)))
    if trails:
        figure.add_trace(kind(**_rings(maps, trails, active)))
    moving = len(figure.data)
    for place, index in enumerate(trails):
        trail = {
            "x": maps.positions[:, index, 0],
            "y": maps.positions[:, index, 1],
            "mode": "lines+markers",
            "line": {"color": COLORS[place], "width": 2},
            "marker": {"size": np.linspace(4, 9, len(maps.dims)).astype(np.float32), "symbol": SYMBOLS[place]},
            "text": [f"{dim} dims" for dim in maps.dims],
            "name": f"{place + 1}: {shorten(texts[maps.items[index]], LEGEND_CHARACTERS)}",
            "hovertemplate": "%{text}<extra></extra>",
        }
        figure.add_trace(kind(**trail))
    figure.frames = [
        go.Frame(
            name=str(dim), traces=list(range(moving)), layout={"title": {"text": _title(maps, level)}},
            data=[*(group.step(level) for group in points), *([_ring_places(maps, trails, level)] if trails else [])],
        )
        for level, dim in enumerate(maps.dims)
    ]  # fmt: skip
    _frame_axes(figure, maps)
    figure.update_layout(
        height=ANIMATION_HEIGHT, margin={"l": 20, "r": 20, "t": 70, "b": 20}, font_size=FONT_SIZE, hovermode="closest",
        dragmode="pan", title={"text": _title(maps, active), "font_size": FONT_SIZE, "x": 0.02}, legend=LEGEND_BELOW,
        coloraxis=_color_axis(maps, color_by),
    )  # fmt: skip
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
    points = _points(maps, texts, color_by, labels, n_shown * n_dims)
    trails = _trail_items(maps, selected)
    columns = max(1, min(columns, n_dims))
    n_rows = math.ceil(n_dims / columns)
    figure = make_subplots(
        n_rows, columns, subplot_titles=[_title(maps, level, short=True) for level in range(n_dims)],
        horizontal_spacing=0.02, vertical_spacing=min(0.2, 0.5 / n_rows), shared_xaxes="all", shared_yaxes="all",
    )  # fmt: skip
    kind = go.Scattergl if n_shown * n_dims > GL_ABOVE else go.Scatter
    for level in range(n_dims):
        place = {"row": level // columns + 1, "col": level % columns + 1}
        for group in points:
            figure.add_trace(kind(**group.trace(level, level == 0)), **place)
        if trails:
            figure.add_trace(kind(**_rings(maps, trails, level)), **place)
    _frame_axes(figure, maps)
    figure.update_annotations(font_size=13, yshift=8)
    figure.update_layout(
        height=PANEL_HEIGHT * n_rows + 160, margin={"l": 20, "r": 20, "t": 70, "b": 110}, font_size=FONT_SIZE,
        hovermode="closest", legend=LEGEND_BELOW,
        coloraxis=_color_axis(maps, color_by),
    )  # fmt: skip
    return figure


@dataclass(frozen=True)
class _Points:
    """The points that share a marker: where they are at every width, and what colours them."""

    positions: npt.NDArray[np.float32]
    items: npt.NDArray[np.int32]
    hover: list[str] | None
    name: str
    marker: dict[str, Any]
    values: npt.NDArray[np.float32] | None

    def step(self, level: int) -> dict[str, Any]:
        """What changes from width to width."""
        changing: dict[str, Any] = {"x": self.positions[level, :, 0], "y": self.positions[level, :, 1]}
        return changing if self.values is None else changing | {"marker": {"color": self.values[level]}}

    def trace(self, level: int, in_legend: bool) -> dict[str, Any]:
        """The whole trace at one width."""
        step = self.step(level)
        extra = "%{marker.color:.2f}" if self.values is not None else self.name
        return step | {
            "mode": "markers", "name": self.name, "legendgroup": self.name,
            "showlegend": in_legend and self.values is None,
            "customdata": self.items, "text": self.hover, "marker": self.marker | step.get("marker", {}),
            "hovertemplate": f"{'%{text}' if self.hover else 'text %{customdata}'}<extra>{extra}</extra>",
        }  # fmt: skip


def _points(
    maps: WidthMaps, texts: Sequence[str], color_by: str, labels: Sequence[object | None] | None, n_hovers: int
) -> list[_Points]:
    """The traces' contents; hover texts when there are few enough, else numbers."""
    if len(texts) != maps.n_items:
        raise ShapeError(
            f"`texts` has {len(texts)} entries but the maps are of {maps.n_items} items; give one text per item."
        )
    with_texts = n_hovers <= max(MOST_PANEL_TEXTS, maps.positions.shape[1])
    hover = (
        np.array([shorten(texts[item], HOVER_CHARACTERS) for item in maps.items], dtype=object) if with_texts else None
    )
    # Many points, or several panels of them, are small ones.
    size = {"size": next((size for most, size in ((600, 8), (GL_ABOVE, 6)) if n_hovers <= most), 4), "opacity": 0.8}

    def some(members: npt.NDArray[np.bool_], name: str, marker: dict[str, Any], values: Any = None) -> _Points:
        chosen = None if hover is None else hover[members].tolist()
        return _Points(
            maps.positions[:, members], maps.items[members].astype(np.int32), chosen, name, size | marker, values
        )

    everyone = np.ones(len(maps.items), dtype=bool)
    if color_by == "none":
        return [some(everyone, "texts", {"color": BLUE})]
    if color_by in COLOR_TITLES:
        values = maps.overlap_lost if color_by == "overlap lost" else maps.relative_displacement
        return [some(everyone, "texts", {"coloraxis": "coloraxis"}, values)]
    if color_by != "label":
        raise InvalidInputError(
            f"`color_by` is {color_by!r}; choose 'none', 'label', 'overlap lost' or 'displacement'."
        )
    if labels is None:
        raise InvalidInputError("`labels` is None but `color_by` is 'label'; give one label per text.")
    if len(labels) != maps.n_items:
        raise ShapeError(
            f"`labels` has {len(labels)} entries but the maps are of {maps.n_items} items; give one label per item."
        )
    groups = group_labels([labels[item] for item in maps.items])
    markers = [{"color": color, "symbol": symbol} for color, symbol in zip(COLORS, SYMBOLS)]
    result = []
    # The collecting groups are drawn first, under the others.
    for code in sorted(range(len(groups.names)), key=lambda code: (code not in groups.collecting, code)):
        marker = {"color": GREY, "opacity": 0.45} if code in groups.collecting else markers[code]
        if code in groups.collecting and groups.names[code] == NO_LABEL:
            marker = marker | {"symbol": "circle-open"}
        result.append(some(groups.codes == code, f"{groups.names[code]} · {groups.counts[code]}", marker))
    return result


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


def _ring_places(maps: WidthMaps, trails: list[int], level: int) -> dict[str, Any]:
    return {"x": maps.positions[level, trails, 0], "y": maps.positions[level, trails, 1]}


def _rings(maps: WidthMaps, trails: list[int], level: int) -> dict[str, Any]:
    """The selected texts, ringed and numbered as they were chosen."""
    return _ring_places(maps, trails, level) | {
        "mode": "markers+text", "name": "selected", "showlegend": False,
        "text": [str(place + 1) for place in range(len(trails))],
        "textposition": "top center", "hoverinfo": "skip",
        "marker": {"symbol": "circle-open", "size": 17, "color": list(COLORS[: len(trails)]), "line": {"width": 3}},
    }  # fmt: skip


def _title(maps: WidthMaps, level: int, short: bool = False) -> str:
    kept, trust, cont = maps.kept_in_map[level], maps.trustworthiness[level], maps.continuity[level]
    if short:
        # Three short lines stay apart on a phone.
        return f"<b>{maps.dims[level]} dims</b><br>{kept:.0%} kept<br>T {trust:.2f} C {cont:.2f}"
    return (
        f"<b>{maps.dims[level]} dims</b> · shows {kept:.0%} of the {maps.k} true neighbors"
        f"<br>trustworthiness {trust:.3f} · continuity {cont:.3f}"
    )


def _frame_axes(figure: go.Figure, maps: WidthMaps) -> None:
    """The same frame at every width, one unit as long upwards as sidewards; places on a map have no numbers to read."""
    low, high = (bound(maps.positions, axis=(0, 1)).astype(float) for bound in (np.min, np.max))
    margin = 0.06 * max(float((high - low).max()), 1e-6)
    plain: dict[str, Any] = {
        "showticklabels": False,
        "zeroline": False,
        "showgrid": False,
        "showline": True,
        "mirror": True,
    }
    plain |= {"linecolor": GREY}
    figure.update_xaxes(range=[low[0] - margin, high[0] + margin], **plain)
    figure.update_yaxes(range=[low[1] - margin, high[1] + margin], **plain)
    for axis in figure.select_yaxes():
        if axis.matches is None:  # the other panels match this one, and plotly allows them no anchor of their own
            axis.update(scaleanchor=axis.anchor or "x", scaleratio=1)
    if maps.explained is not None and len(figure.frames):
        figure.update_xaxes(title=f"axis 1, {maps.explained[0]:.0%} of the variance at full width")
        figure.update_yaxes(title=f"axis 2, {maps.explained[1]:.0%}")


def _color_axis(maps: WidthMaps, color_by: str) -> dict[str, Any] | None:
    if color_by not in COLOR_TITLES:
        return None
    # The legend stands above the bar. A few texts move very far; they take the last colour.
    most = 1.0 if color_by == "overlap lost" else max(float(np.quantile(maps.relative_displacement, 0.98)), 1e-6)
    bar = {
        "title": COLOR_TITLES[color_by],
        "tickformat": ".0%" if color_by == "overlap lost" else None,
        "thickness": 14,
        "len": 0.5,
        "y": 0,
        "yanchor": "bottom",
    }
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
