"""Parts of the Anatomy, Similarity and Map pages: cached results, choosers, and rows with texts instead of numbers."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import streamlit as st

from mrl_viz.analysis import Analysis
from mrl_viz.embedding.encoders import Encoder, Kind, load_encoder
from mrl_viz.embedding.encoders.api import is_paid
from mrl_viz.embedding.store import EmbeddingStore
from mrl_viz.errors import InvalidInputError
from mrl_viz.measures.anatomy import (
    PairByWidth,
    ShortVectorAgreement,
    VectorAnatomy,
    api_short_vs_local_short,
    pair_by_width,
    vector_anatomy,
)
from mrl_viz.measures.matrices import Order, SimilarityMatrices, similarity_matrices
from mrl_viz.measures.movers import FlippedTriples, RelativeMovers, flipped_triples, relative_movers
from mrl_viz.measures.similarity import (
    SimilarityBand,
    SimilarityDensity,
    ThresholdMeaning,
    similarity_band,
    similarity_density,
    threshold_meaning,
)
from mrl_viz.projection import MOST_WIDTHS, WidthMaps, load_map, map_key, pca_maps, save_map, umap_maps
from mrl_viz.truncation import FloatMatrix, truncate_and_normalize
from mrl_viz.ui.results import ENCODING
from mrl_viz.ui.selection import current_item, find_text, selection, shortened
from mrl_viz.ui.workspace import Workspace

CELL_CHARACTERS = 120
# Pairs of one text on the similarity curves: its nearest neighbors.
N_PAIRS = 4
UMAP_SEED = 0
# UMAP draws one map at a time and numba's threads are shared.
UMAP_LOCK = threading.Lock()


@st.cache_resource(max_entries=2, show_spinner="Loading the model…")
def _encoder(model: str) -> Encoder:
    return load_encoder(model)


def encoder_of(model: str) -> Encoder:
    """The loaded model, kept for all visitors."""
    return _encoder(model)


def encode_one(model: str, text: str, kind: Kind = "document") -> FloatMatrix:
    """The vector of one text by the current model, shape (full_dim,); never stored."""
    encoder = _encoder(model)
    with ENCODING:
        return np.asarray(encoder.encode([text], kind=kind)[0])


def typed_vector(workspace: Workspace) -> tuple[str, FloatMatrix] | None:
    """A sentence typed on the page and its vector by the current model; None while nothing is typed."""
    if workspace.corpus.embeddings is not None:
        st.caption("Ready vectors come without a model, so no sentence can be typed here.")
        return None
    text = st.text_input(
        "Type a sentence to take it apart", key="typed_sentence", placeholder="or look at a text of the data"
    )
    if not (text and text.strip()):
        return None
    return text, encode_one(workspace.model, text.strip())


def anatomy_of(workspace: Workspace) -> tuple[str, FloatMatrix, VectorAnatomy]:
    """The text to take apart (typed, selected, or the first), its vector and its anatomy."""
    typed = typed_vector(workspace)
    if typed is None:
        item = current_item(workspace)
        text, vector = workspace.corpus.texts[item], workspace.embedded.matrix[item]
    else:
        text, vector = typed
    return text, vector, vector_anatomy(vector, dims=workspace.dims)


def compared_pair(workspace: Workspace, vector: FloatMatrix, result: Analysis | None) -> tuple[str, PairByWidth]:
    """A second text, by default the first one's nearest neighbor, and the pair at every width."""
    item = current_item(workspace)
    chosen = selection(workspace)
    default = chosen[1] if len(chosen) > 1 else int(result.sweep.indices[-1, item, 0]) if result else item
    start = st.session_state.get("compare_with")
    other = find_text(workspace, "Compare with", key="compare_with", chosen=default if start is None else start)
    other = default if other is None or other >= workspace.corpus.n_items else other
    return workspace.corpus.texts[other], pair_by_width(vector, workspace.embedded.matrix[other])


def api_short(workspace: Workspace, text: str, vector: FloatMatrix) -> ShortVectorAgreement | None:
    """The API's own short vector against the full one cut here, on request; None for models on this machine."""
    model, dim = workspace.model, workspace.focus_dim
    if not is_paid(model) or workspace.corpus.embeddings is not None:
        return None
    if not st.button(f"Ask the API for {dim} dims of this text", key="ask_short"):
        return None
    return api_short_vs_local_short(
        encode_one(f"{model.split('@')[0]}@{dim}", text), truncate_and_normalize(vector[None], dim)[0]
    )


def full_text(text: str) -> None:
    """A text as it is, long ones cut."""
    st.text(shortened(text, 600))


def chosen_pairs(workspace: Workspace, result: Analysis) -> tuple[tuple[int, int], ...]:
    """All pairs of the selected texts, or one text with its nearest neighbors at full width."""
    chosen = selection(workspace)[: N_PAIRS - 1]
    if len(chosen) > 1:
        return tuple((a, b) for n, a in enumerate(chosen) for b in chosen[n + 1 :])
    item = current_item(workspace)
    return tuple((item, int(other)) for other in result.sweep.indices[-1, item, :N_PAIRS])


def pair_texts(workspace: Workspace, pairs: Sequence[tuple[int, int]]) -> list[tuple[str, str]]:
    """The two texts of each pair."""
    return [(workspace.corpus.texts[a], workspace.corpus.texts[b]) for a, b in pairs]


def choose_order(workspace: Workspace) -> tuple[Order, str | None]:
    """How the heat maps are ordered: by cluster, by a label column, or as given."""
    columns = list(workspace.corpus.labels)
    chosen = st.segmented_control(
        "Order", ["cluster", *columns, "as given"], default="cluster", key="matrix_order", required=True
    )
    if chosen in columns:
        return "label", chosen
    return ("given", None) if chosen == "as given" else ("cluster", None)


@st.cache_resource(max_entries=8, scope="session", show_spinner="Comparing pairs…")
def _band(
    fingerprint: str, dims: tuple[int, ...], pairs: tuple[tuple[int, int], ...], _rows: FloatMatrix
) -> SimilarityBand:
    return similarity_band(_rows, dims=dims, pairs=pairs)


def band(workspace: Workspace, pairs: tuple[tuple[int, int], ...]) -> SimilarityBand:
    """Cosine against width for chosen pairs over the band of all."""
    return _band(workspace.embedded.fingerprint, workspace.dims, pairs, workspace.embedded.matrix)


@st.cache_resource(max_entries=24, scope="session", show_spinner="Comparing pairs…")
def _at_width(
    fingerprint: str, dim: int, _rows: FloatMatrix
) -> tuple[SimilarityDensity, RelativeMovers, FlippedTriples]:
    return similarity_density(_rows, dim=dim), relative_movers(_rows, dim=dim), flipped_triples(_rows, dim=dim)


def at_focus(workspace: Workspace) -> tuple[SimilarityDensity, RelativeMovers, FlippedTriples]:
    """Density, movers and flips at the focus width."""
    return _at_width(workspace.embedded.fingerprint, workspace.focus_dim, workspace.embedded.matrix)


@st.cache_resource(max_entries=24, scope="session", show_spinner="Ordering texts…")
def _matrices(
    fingerprint: str, dim: int, order: Order, column: str | None, _rows: FloatMatrix, _labels: tuple[str, ...] | None
) -> SimilarityMatrices:
    return similarity_matrices(_rows, dim=dim, order=order, labels=_labels)


def matrices(workspace: Workspace, order: Order, column: str | None) -> SimilarityMatrices:
    """Full, truncated and difference heat maps' data."""
    labels = tuple(value or "(none)" for value in workspace.corpus.labels[column]) if column else None
    rows = workspace.embedded.matrix
    return _matrices(workspace.embedded.fingerprint, workspace.focus_dim, order, column, rows, labels)


@st.cache_resource(max_entries=24, scope="session", show_spinner=False)
def _threshold(fingerprint: str, dims: tuple[int, ...], threshold: float, _rows: FloatMatrix) -> ThresholdMeaning:
    return threshold_meaning(_rows, dims=dims, threshold=threshold)


def threshold(workspace: Workspace) -> ThresholdMeaning:
    """What a fixed threshold, chosen by a slider, keeps at each width."""
    value = st.slider("Cosine threshold", -1.0, 1.0, 0.3, 0.05, key="threshold", bind="query-params")
    return _threshold(workspace.embedded.fingerprint, workspace.dims, value, workspace.embedded.matrix)


def mover_rows(workspace: Workspace, movers: RelativeMovers) -> list[dict[str, Any]]:
    """The biggest movers with their texts."""
    return [_with_texts(workspace, row, ("left", "right")) for row in movers.rows()]


def flip_rows(workspace: Workspace, flips: FlippedTriples) -> list[dict[str, Any]]:
    """The clearest rank flips with their texts."""
    return [_with_texts(workspace, row, ("text", "a", "b")) for row in flips.rows()]


def _with_texts(workspace: Workspace, row: dict[str, float], names: Sequence[str]) -> dict[str, Any]:
    texts = {name: shortened(workspace.corpus.texts[int(row[name])], CELL_CHARACTERS) for name in names}
    return texts | {name: round(value, 4) for name, value in row.items() if name not in names}


ColorBy = Literal["none", "label", "overlap lost", "displacement"]


def map_colors(workspace: Workspace) -> tuple[ColorBy, list[str | None] | None]:
    """What the points' colour means: a label column, overlap lost, or displacement beyond the neighbors'."""
    columns = list(workspace.corpus.labels)
    chosen = st.segmented_control(
        "Colour", [*columns, "overlap lost", "displacement"], default=(columns or ["overlap lost"])[0], key="map_color",
        required=True,
    )  # fmt: skip
    if chosen in columns:
        return "label", list(workspace.corpus.labels[chosen])
    return ("displacement", None) if chosen == "displacement" else ("overlap lost", None)


@st.cache_resource(max_entries=4, scope="session", show_spinner="Projecting every width…")
def _pca(fingerprint: str, dims: tuple[int, ...], k: int, _rows: FloatMatrix, _result: Analysis) -> WidthMaps:
    return pca_maps(_rows, dims, k=k, sweep=_result.sweep)


def map_dims(workspace: Workspace) -> tuple[int, ...]:
    """The widths that have a map: the measured ones, thinned out evenly when there are too many, with the focus and full width."""
    dims = workspace.dims
    if len(dims) <= MOST_WIDTHS:
        return dims
    step = -(-len(dims) // (MOST_WIDTHS - 2))
    return tuple(sorted({*dims[::step], workspace.focus_dim, dims[-1]}))


def pca(workspace: Workspace, result: Analysis) -> WidthMaps:
    """Every width on one basis."""
    dims = map_dims(workspace)
    if dims != workspace.dims:
        return pca_maps(workspace.embedded.matrix, dims, k=workspace.k)
    return _pca(workspace.embedded.fingerprint, dims, workspace.k, workspace.embedded.matrix, result)


def umap(workspace: Workspace) -> WidthMaps | None:
    """UMAP of every width: a kept one at once, else a button that draws it with progress; None until there is one."""
    dims, folder = map_dims(workspace), map_folder()
    key = map_key(workspace.embedded.fingerprint, method="umap", dims=dims, k=workspace.k, seed=UMAP_SEED)
    kept = load_map(folder, key)
    if kept is not None:
        return kept
    st.info(
        f"UMAP draws {len(dims) + 3} maps of {min(workspace.corpus.n_items, 5000):,} texts: from seconds to minutes, and ten "
        "more seconds the first time. The result is kept.", icon=":material/info:",
    )  # fmt: skip
    if not st.button("Draw UMAP", key="draw_umap", type="primary"):
        return None
    area = st.empty()
    with area.container(border=True):
        bar = st.progress(0.0, text="Preparing the first map…")
        st.button("Stop", key="stop_umap")

    def progress(done: int, total: int) -> None:
        bar.progress(done / total, text=f"{done} of {total} maps")

    with UMAP_LOCK:
        maps = umap_maps(workspace.embedded.matrix, dims, k=workspace.k, seed=UMAP_SEED, progress=progress)
    save_map(maps, folder, key)
    area.empty()
    st.rerun()


def map_folder() -> Path:
    """Where maps are kept: beside the embeddings."""
    return EmbeddingStore().folder / "maps"


def refuse_paid_models(model: str) -> None:
    """Raise InvalidInputError for an API model in the app, unless the machine's owner allows it: it spends the owner's money."""
    if is_paid(model) and os.environ.get("MRL_VIZ_ALLOW_API") != "1":
        raise InvalidInputError(
            f"`{model}` is a paid API; the owner of this machine allows it with MRL_VIZ_ALLOW_API=1."
        )
