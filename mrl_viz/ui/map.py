"""Parts of the Map page: what colours mean, and the maps, kept beside the embeddings."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from mrl_viz import figures
from mrl_viz.analysis import Analysis
from mrl_viz.embedding.store import EmbeddingStore
from mrl_viz.figures.maps import selection_frames
from mrl_viz.figures.style import GL_ABOVE
from mrl_viz.projection import MOST_UMAP_ITEMS, MOST_WIDTHS, WidthMaps, load_map, map_key, pca_maps, save_map, umap_maps
from mrl_viz.ui import thumbnails
from mrl_viz.ui.background import Report, Stopped, asked_for, steps
from mrl_viz.ui.charts import draw
from mrl_viz.ui.code import Code, Script
from mrl_viz.ui.results import analysis, is_of_sample, measured
from mrl_viz.ui.selection import choose_column, selection, take_points
from mrl_viz.ui.shipped import at_hand
from mrl_viz.ui.sidebar import ask_for
from mrl_viz.ui.workspace import Workspace

UMAP_SEED = 0
PCA, UMAP = "PCA", "UMAP"
CHART, TOGETHER_KEY, BEGAN_KEY, CHOSEN_KEY = "map", "map_together", "map_began", "map_method_chosen"
PICTURES_KEY = "map_pictures"


def choose_maps(workspace: Workspace) -> tuple[str, WidthMaps]:
    """The method and its maps: UMAP first where its maps are at hand, else PCA, which needs no waiting."""
    ready = _ready_umap(workspace)
    first, state = PCA if ready is None else UMAP, st.session_state
    if not state.get(CHOSEN_KEY) and "method" not in st.query_params and state.get("method", first) != first:
        state["method"] = first
    method = st.segmented_control(
        "Method", [UMAP, PCA], default=first, key="method", bind="query-params", required=True, on_change=_chosen,
        help="PCA: one basis for all widths, at once. UMAP: neighborhoods, on request, beside its own noise.",
    )  # fmt: skip
    return str(method), _maps(workspace, str(method), ready)


def _chosen() -> None:
    """From here on the method is the visitor's, whatever is at hand."""
    st.session_state[CHOSEN_KEY] = True


def _maps(workspace: Workspace, method: str, ready: WidthMaps | None) -> WidthMaps:
    if method == PCA:
        return pca(analysis(workspace), map_dims(workspace))
    return umap(workspace) if ready is None else ready


def choose_colors(workspace: Workspace) -> tuple[str, str | None]:
    """What the points' colour means: a label column, overlap lost, or displacement beyond the neighbors'."""
    options = [*workspace.corpus.labels, "overlap lost", "displacement"]
    chosen = choose_column(workspace, "Colour", options, options[0], key="map_color")
    if workspace.corpus.images is not None:
        said = (
            "Pictures where there is room for one; zoom in for more. The chosen text and its neighbors have one always."
        )
        st.toggle("Pictures", value=True, key=PICTURES_KEY, persist_state="session", help=said)
    return chosen


def figure_options(workspace: Workspace, color_by: str, column: str | None) -> dict[str, Any]:
    """Colours of both pictures."""
    return {"color_by": color_by, "labels": workspace.corpus.labels[column] if column else None}


def selected(workspace: Workspace, options: dict[str, Any]) -> dict[str, Any]:
    """The options with the selected texts."""
    return options | {"selected": selection(workspace)}


def draw_moving(workspace: Workspace, method: str, maps: WidthMaps, options: dict[str, Any], code: object) -> None:
    """The map that plays, at the focus width: either moves the other, and the browser keeps one chart all the while.

    What is drawn of the selected texts goes after it, some kilobytes; a figure that held it would be drawn anew.
    """
    texts, dims, n_shown = workspace.corpus.texts, maps.dims, maps.n_shown
    made_of = (workspace.embedded.fingerprint, method, dims, maps.k, str(options["color_by"]), options["labels"])
    if st.session_state.get(BEGAN_KEY, (None,))[0] != made_of:
        st.session_state[BEGAN_KEY] = made_of, workspace.focus_dim
    began = st.session_state[BEGAN_KEY][1]
    # The browser draws a chart again whose alt text is another.
    draw(
        CHART, figures.map_animation, maps, texts, **options, focus_dim=began, on_select=take_points, code=code,
        takeaway=maps.takeaway_at(workspace.focus_dim), alt=maps.takeaway(),
    )  # fmt: skip
    frames = selection_frames(maps, texts, selection(workspace), _neighbors(workspace, dims))
    is_small = n_shown <= GL_ABOVE
    with st.container(gap=None):
        _script("map")(
            key=TOGETHER_KEY, on_width_change=_follow, height=0,
            data={"chart": CHART, "width": str(workspace.focus_dim), "frames": frames, "glides": is_small},
        )  # fmt: skip
        if is_small:
            near = _all_neighbors(analysis(workspace), dims, tuple(maps.items.tolist()))
            _script("near")(key="map_near", height=0, data={"chart": CHART, **near})
        if workspace.corpus.images is not None:
            items = tuple(maps.items.tolist())
            shown = {"all": bool(st.session_state.get(PICTURES_KEY, True)), "chosen": list(selection(workspace))}
            _script("pictures")(
                key="map_thumbnails", height=0, data={"chart": CHART, **shown, **_sheet(analysis(workspace), items)}
            )


def _script(name: str) -> Any:
    """A script of ours beside a chart. Registered in every run: a module lives longer than the app of a test."""
    return st.components.v2.component(f"mrl_viz_{name}", js=(Path(__file__).with_name(f"{name}.js")).read_text("utf-8"))


def _follow() -> None:
    """The map plays: the focus width goes with it."""
    ask_for("focus", int(st.session_state[TOGETHER_KEY]["width"]))


def _neighbors(workspace: Workspace, dims: tuple[int, ...]) -> list[list[int]] | None:
    """The true neighbors of the first selected text, at every width that has a map."""
    chosen = selection(workspace)
    if not chosen:
        return None
    sweep = analysis(workspace).sweep
    return [sweep.indices[sweep.dims.index(dim), chosen[0]].tolist() for dim in dims]


@measured(False)
def _all_neighbors(result: Analysis, dims: tuple[int, ...], items: tuple[int, ...]) -> dict[str, Any]:
    """The true neighbors of every shown text at every width that has a map: places among the shown ones, int16 of shape
    (n_dims, n_shown, k) as base64, -1 for a text that is not shown; the same in every run, so that it is sent once."""
    sweep, shown = result.sweep, np.array(items)
    places = np.full(sweep.n_items, -1, dtype="<i2")
    places[shown] = np.arange(len(shown))
    levels = np.array([sweep.dims.index(dim) for dim in dims])
    near = places[sweep.indices[np.ix_(levels, shown)]]
    return {"items": list(items), "k": sweep.k, "neighbors": b64encode(near.tobytes()).decode()}


@measured(False)
def _sheet(result: Analysis, items: tuple[int, ...]) -> dict[str, Any]:
    """The pictures of the shown texts, in their order; the same in every run, so that it is sent once."""
    images = result.embedded.corpus.images
    return {} if images is None else {"items": list(items), **thumbnails.sheet(images, items)}


def map_dims(workspace: Workspace) -> tuple[int, ...]:
    """The widths that have a map: the measured ones, thinned out when too many, with the focus and full width."""
    dims = workspace.dims
    if len(dims) <= MOST_WIDTHS:
        return dims
    step = -(-len(dims) // (MOST_WIDTHS - 2))
    return tuple(sorted({*dims[::step], workspace.focus_dim, dims[-1]}))


@measured("Projecting every width…")
def pca(result: Analysis, dims: tuple[int, ...]) -> WidthMaps:
    """Those widths on one basis."""
    sweep = result.sweep
    return pca_maps(result.embedded.matrix, dims, k=sweep.k, sweep=sweep if dims == sweep.dims else None)


def _ready_umap(workspace: Workspace) -> WidthMaps | None:
    """UMAP of every width that came with the sample or was drawn before."""
    shipped = at_hand(WidthMaps, "umap", workspace, map_dims(workspace), workspace.k)
    return shipped or load_map(*_place_of(workspace))


def _place_of(workspace: Workspace) -> tuple[Path, str]:
    """The folder of drawn maps, and the name of these there."""
    made_of = {"dims": map_dims(workspace), "k": workspace.k, "seed": UMAP_SEED}
    return EmbeddingStore().folder / "maps", map_key(workspace.embedded.fingerprint, method="umap", **made_of)


def umap(workspace: Workspace) -> WidthMaps:
    """UMAP of every width, once asked for; the page ends until there is one."""
    dims, (folder, key) = map_dims(workspace), _place_of(workspace)

    def made(report: Report, stopped: Stopped) -> WidthMaps:
        told = steps(report, stopped, "Maps drawn")
        maps = umap_maps(
            workspace.embedded.matrix, dims, k=workspace.k, seed=UMAP_SEED, progress=told, cancelled=stopped
        )
        save_map(maps, folder, key)
        return maps

    return asked_for(
        f"umap {key}", ("Draw again", "Draw UMAP"), "draw_umap", made,
        f"UMAP draws {len(dims) + 3} maps of {min(workspace.corpus.n_items, MOST_UMAP_ITEMS):,} "
        f"{workspace.corpus.things}: from seconds to minutes, and ten more seconds the first time. The result is kept.",
        is_shared=is_of_sample(workspace.embedded),
    )  # fmt: skip


def map_code(workspace: Workspace, method: str, color_by: str, column: str | None) -> Script:
    script, dims = Script(workspace), map_dims(workspace)
    make, seed = (umap_maps, {"seed": UMAP_SEED}) if method == UMAP else (pca_maps, {})
    maps = script.let("maps", make, script.matrix, dims, k=workspace.k, **seed)
    options = selected(workspace, figure_options(workspace, color_by, column)) | {
        "labels": Code(f"corpus.labels[{column!r}]") if column else None
    }
    texts = script.corpus.texts
    script.show(figures.map_animation, maps, texts, **options, focus_dim=workspace.focus_dim)
    return script.show(figures.map_panels, maps, texts, **options)
