"""Parts of the Inside the space page."""

from __future__ import annotations

from mrl_viz import figures
from mrl_viz.analysis import Analysis
from mrl_viz.measures.space import Geometry, Hubness, SpaceAgreement, geometry, hubness, space_agreement
from mrl_viz.ui.code import Script
from mrl_viz.ui.results import measured
from mrl_viz.ui.workspace import Workspace


@measured("Looking inside the space…")
def space(result: Analysis) -> tuple[SpaceAgreement, Geometry, Hubness]:
    """CKA and RSA with the full width, the cloud's shape, and hubs at every swept width."""
    rows, dims = result.embedded.matrix, result.sweep.dims
    return space_agreement(rows, dims=dims), geometry(rows, dims=dims), hubness(result.sweep)


def space_code(workspace: Workspace) -> Script:
    script, focus = Script(workspace), workspace.focus_dim
    result = script.analysis()
    agreement = script.call(space_agreement, script.matrix, dims=workspace.dims)
    script.show(figures.space_agreement_curves, agreement, focus)
    script.show(figures.geometry_curves, script.call(geometry, script.matrix, dims=workspace.dims), focus)
    return script.show(figures.hubness_curves, script.call(hubness, result.sweep), focus)
