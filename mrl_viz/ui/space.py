"""Parts of the Inside the space page."""

from __future__ import annotations

from mrl_viz.analysis import Analysis
from mrl_viz.export.scripts import space_code as space_code
from mrl_viz.measures.space import Geometry, Hubness, SpaceAgreement, geometry, hubness, space_agreement
from mrl_viz.ui.results import measured


@measured("Looking inside the space…")
def space(result: Analysis) -> tuple[SpaceAgreement, Geometry, Hubness]:
    """CKA and RSA with the full width, the cloud's shape, and hubs at every swept width."""
    rows, dims = result.embedded.matrix, result.sweep.dims
    return space_agreement(rows, dims=dims), geometry(rows, dims=dims), hubness(result.sweep)
