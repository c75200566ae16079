"""Parts of the Map page: what colours mean, and the maps, kept beside the embeddings."""

from __future__ import annotations

from typing import Any

from mrl_viz import figures
from mrl_viz.analysis import Analysis
from mrl_viz.embedding.store import EmbeddingStore
from mrl_viz.projection import MOST_UMAP_ITEMS, MOST_WIDTHS, WidthMaps, load_map, map_key, pca_maps, save_map, umap_maps
from mrl_viz.ui.background import Report, Stopped, asked_for, steps
from mrl_viz.ui.code import Code, Script
from mrl_viz.ui.results import is_of_sample, measured
from mrl_viz.ui.selection import choose_column, selection
from mrl_viz.ui.shipped import at_hand
from mrl_viz.ui.workspace import Workspace

UMAP_SEED = 0


def choose_colors(workspace: Workspace) -> tuple[str, str | None]:
    """What the points' colour means: a label column, overlap lost, or displacement beyond the neighbors'."""
    options = [*workspace.corpus.labels, "overlap lost", "displacement"]
    return choose_column(workspace, "Colour", options, options[0], key="map_color")


def figure_options(workspace: Workspace, color_by: str, column: str | None) -> dict[str, Any]:
    """Colours and selected texts of both pictures."""
    labels = workspace.corpus.labels[column] if column else None
    return {"color_by": color_by, "labels": labels, "selected": selection(workspace)}


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


def umap(workspace: Workspace) -> WidthMaps:
    """UMAP of every width: a kept one, else one that is asked for; the page ends until there is one."""
    dims, folder = map_dims(workspace), EmbeddingStore().folder / "maps"
    key = map_key(workspace.embedded.fingerprint, method="umap", dims=dims, k=workspace.k, seed=UMAP_SEED)
    found = at_hand(WidthMaps, "umap", workspace, dims, workspace.k) or load_map(folder, key)
    if found is not None:
        return found

    def draw(report: Report, stopped: Stopped) -> WidthMaps:
        told = steps(report, stopped, "Maps drawn")
        maps = umap_maps(
            workspace.embedded.matrix, dims, k=workspace.k, seed=UMAP_SEED, progress=told, cancelled=stopped
        )
        save_map(maps, folder, key)
        return maps

    return asked_for(
        f"umap {key}", ("Draw again", "Draw UMAP"), "draw_umap", draw,
        f"UMAP draws {len(dims) + 3} maps of {min(workspace.corpus.n_items, MOST_UMAP_ITEMS):,} texts: from seconds to "
        "minutes, and ten more seconds the first time. The result is kept.",
        is_shared=is_of_sample(workspace.embedded),
    )  # fmt: skip


def map_code(workspace: Workspace, method: str, color_by: str, column: str | None) -> Script:
    script, dims = Script(workspace), map_dims(workspace)
    make, seed = (umap_maps, {"seed": UMAP_SEED}) if method == "UMAP" else (pca_maps, {})
    maps = script.let("maps", make, script.matrix, dims, k=workspace.k, **seed)
    options = figure_options(workspace, color_by, column) | {
        "labels": Code(f"corpus.labels[{column!r}]") if column else None
    }
    texts = script.corpus.texts
    script.show(figures.map_animation, maps, texts, **options, focus_dim=workspace.focus_dim)
    return script.show(figures.map_panels, maps, texts, **options)
