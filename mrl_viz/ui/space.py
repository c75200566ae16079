"""Parts of the Inside the space page."""

from __future__ import annotations

import streamlit as st

from mrl_viz import figures
from mrl_viz.analysis import Analysis
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.measures.space import Geometry, Hubness, SpaceAgreement, geometry, hubness, space_agreement
from mrl_viz.ui.code import Code, Script
from mrl_viz.ui.workspace import Workspace

Space = tuple[SpaceAgreement, Geometry, Hubness]


def space(workspace: Workspace, result: Analysis) -> Space:
    """CKA and RSA with the full width, the cloud's shape, and hubs at every swept width."""
    return _space(workspace.embedded.fingerprint, workspace.dims, workspace.k, workspace.embedded, result)


@st.cache_resource(max_entries=8, scope="session", show_spinner="Looking inside the space…")
def _space(fingerprint: str, dims: tuple[int, ...], k: int, _embedded: Embedded, _result: Analysis) -> Space:
    return (
        space_agreement(_embedded.matrix, dims=dims),
        geometry(_embedded.matrix, dims=dims),
        hubness(_result.sweep),
    )


def space_code(workspace: Workspace) -> Script:
    """The three figures again."""
    script, focus = Script(workspace), workspace.focus_dim
    result = script.analysis()
    agreement = script.call(space_agreement, script.matrix, dims=workspace.dims)
    script.show(figures.space_agreement_curves, agreement, focus)
    script.show(figures.geometry_curves, script.call(geometry, script.matrix, dims=workspace.dims), focus)
    return script.show(figures.hubness_curves, script.call(hubness, Code(f"{result}.sweep")), focus)
