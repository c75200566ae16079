"""Bits or width: the section of the pages that decide, where both are bought with the same bytes."""

from __future__ import annotations

from typing import Any

import streamlit as st

from mrl_viz import figures
from mrl_viz.adaptor.report import AdaptorFit
from mrl_viz.arrangements import Arrangement
from mrl_viz.comparison.precision import ARRANGEMENTS, CodedPoint, PrecisionComparison, compare_precisions
from mrl_viz.ui.adaptor import arrangement_code, session_adaptor
from mrl_viz.ui.background import Report, Stopped, asked_for, steps
from mrl_viz.ui.charts import code_shown, draw, headline, small_print, table
from mrl_viz.ui.code import Code, Script
from mrl_viz.ui.results import embed_queries, is_of_sample
from mrl_viz.ui.shipped import answer_key, at_hand
from mrl_viz.ui.workspace import Workspace

# What 16 float32 numbers take.
USUAL_BYTES = 64
TITLE = "Bits or width?"


def precisions(workspace: Workspace, fit: AdaptorFit | None) -> PrecisionComparison:
    """Every width in every code, also under that adaptor; the page ends while there is no answer."""

    def measure(report: Report, stopped: Stopped) -> PrecisionComparison:
        told = steps(report, stopped, "Measuring widths and codes")
        vectors = embed_queries(workspace.embedded, workspace.model)
        arrangements: tuple[str | Arrangement, ...] = ARRANGEMENTS
        if fit:
            arrangements += (fit.adaptor.arrangement(),)
        return compare_precisions(vectors, dims=workspace.dims, arrangements=arrangements, k=workspace.k, progress=told)

    made_of = (workspace.dims, workspace.k, *([fit.adaptor.fingerprint] if fit else []))
    return asked_for(
        f"precision {answer_key(workspace.embedded, *made_of)}", ("Measure the codes again", "Measure every code"),
        "run_precision", measure, "Every width is searched in every code, some seconds for a thousand texts.",
        at_hand=at_hand(PrecisionComparison, "precision", workspace, *made_of),
        is_shared=is_of_sample(workspace.embedded) and fit is None,
    )  # fmt: skip


def section(workspace: Workspace) -> None:
    """What so many bytes can hold, as a sentence, a figure, a table and a grid; ends the page while there is none."""
    st.subheader(TITLE)
    st.caption(
        "A vector costs width times bits, and both are chosen at once: 64 bytes hold 16 coordinates in float32, 64 in "
        "int8 or 128 in int4. Vectors are cut and renormalised before they are coded; after SVD the first coordinates "
        "vary most, and codes of few bits need a random rotation of what was kept."
    )
    fit = session_adaptor(workspace)
    if fit is not None and not st.toggle("Also under this session's adaptor", key="precision_adaptor"):
        fit = None
    found = precisions(workspace, fit)
    left, right = st.columns(2)
    sizes = found.sizes
    usual = USUAL_BYTES if USUAL_BYTES in sizes else sizes[0]
    n_bytes = left.select_slider("Bytes per vector", sizes, usual, key="precision_bytes")
    arrangement = right.segmented_control(
        "Arrangement", found.arrangements, default=found.arrangements[0], required=True, key="precision_arrangement"
    )
    headline(found.takeaway(n_bytes))
    draw(
        "kept_per_byte", figures.kept_per_byte, found, arrangement, n_bytes,
        takeaway=found.rotation_takeaway() or found.takeaway(n_bytes), is_said=not found.rotation_takeaway(),
    )  # fmt: skip
    table([_row(point) for point in found.within(n_bytes)], key="precision_within")
    draw("width_by_bits", figures.width_by_bits, found, arrangement, takeaway=found.takeaway(n_bytes), is_said=True)
    small_print(*found.notes)
    code_shown(precision_code(workspace, fit), key="precision_code")


def precision_code(workspace: Workspace, fit: AdaptorFit | None) -> Script:
    """The lines that measure it."""
    script = Script(workspace, queries=None)
    options: dict[str, object] = {"dims": workspace.dims, "k": workspace.k}
    if fit is not None:
        options["arrangements"] = Code(f"({', '.join(map(repr, ARRANGEMENTS))}, {arrangement_code(script)})")
    found = script.let("precisions", compare_precisions, script.vectors, **options)
    return script.say(found).show(figures.kept_per_byte, found).show(figures.width_by_bits, found)


def _row(point: CodedPoint) -> dict[str, Any]:
    named = {"dims": point.dim, "code": point.dtype, "arrangement": point.arrangement, "bytes": point.bytes_per_vector}
    quality = {} if point.quality is None else {"quality": f"{point.quality:.3f}"}
    return named | {"kept": f"{point.kept:.3f}"} | quality
