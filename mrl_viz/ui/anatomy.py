"""Parts of the Anatomy page: the text taken apart, a second text, the API's own short vector."""

from __future__ import annotations

import streamlit as st

from mrl_viz.analysis import Analysis
from mrl_viz.embedding.encoders.api import is_paid
from mrl_viz.measures.anatomy import (
    PairByWidth,
    ShortVectorAgreement,
    VectorAnatomy,
    api_short_vs_local_short,
    pair_by_width,
    vector_anatomy,
)
from mrl_viz.truncation import FloatMatrix, truncate_and_normalize
from mrl_viz.ui.models import encode_one
from mrl_viz.ui.selection import current_item, find_text, selection, shortened
from mrl_viz.ui.workspace import Workspace


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
