"""Parts of the Anatomy page: the text taken apart, a second text, the API's own short vector."""

from __future__ import annotations

import streamlit as st

from mrl_viz.analysis import Analysis
from mrl_viz.embedding.encoders.api import is_paid
from mrl_viz.export import scripts
from mrl_viz.measures.anatomy import ShortVectorAgreement, api_short_vs_local_short
from mrl_viz.measures.anatomy import pair_by_width as pair_by_width
from mrl_viz.measures.anatomy import vector_anatomy as vector_anatomy
from mrl_viz.truncation import truncate_and_normalize
from mrl_viz.ui.code import Script
from mrl_viz.ui.models import encode_one
from mrl_viz.ui.selection import Subject, current_item, find_text, selected_subject, selection, shortened, typed_subject
from mrl_viz.ui.workspace import Workspace

# Of charts whose sentence follows the focus width and whose picture does too; a browser would draw them twice.
DOLLS = "a doll in a doll for each width, with its bytes and the energy that it holds"
NORMS = "the norm of each prefix before and after renormalising, and the energy that it keeps"


def subject_of(workspace: Workspace) -> Subject:
    """The text to take apart: typed, selected, or the first."""
    if workspace.is_ready:
        st.caption("Ready vectors come without a model, so no sentence can be typed here.")
    elif typed := typed_subject(
        workspace, "Type a sentence to take it apart", key="typed_sentence", placeholder="or look at a text of the data"
    ):
        return typed
    return selected_subject(workspace)


def other_item(workspace: Workspace, result: Analysis | None) -> int:
    """A second text, by default the first one's nearest neighbor."""
    item = current_item(workspace)
    chosen = selection(workspace)
    default = chosen[1] if len(chosen) > 1 else int(result.sweep.indices[-1, item, 0]) if result else item
    start = st.session_state.get("compare_with")
    other = find_text(workspace, "Compare with", key="compare_with", chosen=default if start is None else start)
    return default if other is None or other >= workspace.corpus.n_items else other


def api_short(workspace: Workspace, subject: Subject) -> ShortVectorAgreement | None:
    """The API's own short vector against the full one cut here, on request; None for models on this machine."""
    model, dim = workspace.model, workspace.focus_dim
    if not is_paid(model) or workspace.is_ready:
        return None
    if not st.button(f"Ask the API for {dim} dims of this text", key="ask_short"):
        return None
    theirs = encode_one(f"{model.split('@')[0]}@{dim}", subject.text)
    return api_short_vs_local_short(theirs, truncate_and_normalize(subject.vector[None], dim)[0])


def full_text(text: str) -> None:
    """A text as it is, long ones cut."""
    st.text(shortened(text, 600))


def anatomy_code(workspace: Workspace, subject: Subject) -> Script:
    return scripts.anatomy_code(workspace, subject.item)


def pair_code(workspace: Workspace, subject: Subject, other: int) -> Script:
    return scripts.pair_code(workspace, subject.item, other)
