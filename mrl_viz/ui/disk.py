"""Vectors on this machine's disk: what the owner's folders hold, a sample of it, and the sweep of all its rows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from mrl_viz import figures
from mrl_viz.errors import CancelledError, DataFormatError
from mrl_viz.export.scripts import whole_code
from mrl_viz.files import cache_folder
from mrl_viz.measures.lists import NeighborOverlap, neighbor_overlap
from mrl_viz.scale.folders import DRAWN, found_sources, sample_of
from mrl_viz.scale.rows import open_rows
from mrl_viz.scale.streaming import job_of, sampled_queries, stream_slice, sweep_of
from mrl_viz.ui.background import Report, Stopped, asked_for, finished
from mrl_viz.ui.charts import draw, errors_shown, headline, hint, small_print
from mrl_viz.ui.neighbors import big_numbers
from mrl_viz.ui.workspace import Source, Workspace, use_corpus

# What the server's owner offers to every visitor; without it nothing is.
FOLDERS = "MRL_VIZ_FOLDERS"
SAMPLED, FEWEST_SAMPLED, MOST_SAMPLED = 5000, 100, 20_000
QUERIES, FEWEST_QUERIES, MOST_QUERIES = 1000, 10, 10_000


def is_offered() -> bool:
    """Whether the server's owner named folders."""
    return bool(os.environ.get(FOLDERS, "").strip(os.pathsep))


def _sources() -> dict[str, Path]:
    return found_sources(filter(None, os.environ.get(FOLDERS, "").split(os.pathsep)))


def choose() -> None:
    """A list of what lies in the folders, and a sample of one of them as the session's data."""
    found = _sources()
    if not found:
        hint("There are no vectors (.npy, .zarr, .parquet, or a folder of them) in the folders that the server offers.")
        return
    name = st.selectbox("Vectors", list(found), key="disk_source")
    wanted = st.number_input(
        "Rows to look at", FEWEST_SAMPLED, MOST_SAMPLED, SAMPLED, step=1000, key="disk_rows",
        help="Drawn from all of them, with seed 0. All rows are swept by a button further down, when they are chosen.",
    )  # fmt: skip
    rows = open_rows(found[name], name=name)
    small_print(f"{rows.n_rows:,} rows of {rows.full_dim:,} {rows.dtype} coordinates.")
    if st.button("Use a sample of these rows", key="use_disk", type="primary"):
        with st.spinner("Reading…"):
            corpus = sample_of(found[name], int(wanted), name=name)
        use_corpus(corpus, Source(name, n_sampled=int(wanted)))
        st.rerun()


def caveat(workspace: Workspace) -> None:
    """That the page is of a sample, and what all rows gave where they were swept."""
    if workspace.source.n_sampled is None:
        return
    small_print(*(note for note in workspace.corpus.check.notes if DRAWN in note))
    found = finished(_key(workspace, int(st.session_state.get("disk_queries") or QUERIES)))
    if found is not None:
        headline(f"Among all {found.n_items:,}: {found.takeaway()}")


def whole(workspace: Workspace) -> None:
    """The overlap of sampled queries among all rows of the source, when somebody asks for it; ends the page before."""
    if workspace.source.n_sampled is None:
        return
    with errors_shown():
        path = _sources().get(workspace.source.file)
        if path is None:
            raise DataFormatError(f"`{workspace.source.file}` is not offered by this server any more; choose another.")
        rows = open_rows(path, name=workspace.source.file)
        st.subheader(f"All {rows.n_rows:,} rows")
        most = max(1, min(MOST_QUERIES, rows.n_rows - 1))
        asked = st.number_input(
            "Rows that search for their neighbors", min(FEWEST_QUERIES, most), most, min(QUERIES, most),
            key="disk_queries", help="Drawn from all of them; 1,000 give an interval of about ± 1 point.",
        )  # fmt: skip
        n_queries, dims, k, seed = int(asked), workspace.dims, workspace.k, workspace.seed

        def sweep(report: Report, stopped: Stopped) -> NeighborOverlap:
            queries = sampled_queries(rows, n_queries, seed=seed)
            job = job_of(rows, queries, dims=dims, k=k)
            state = cache_folder() / "sweeps" / f"{job.key}-0-{rows.n_rows}.npz"
            lists = stream_slice(rows, queries, job, state=state, progress=_told(report, stopped))
            state.unlink(missing_ok=True)
            return neighbor_overlap(sweep_of(job, lists), seed=seed)

        found = asked_for(
            _key(workspace, n_queries),
            ("Sweep them again", f"Sweep all {rows.n_rows:,} rows"), "sweep_disk", sweep,
            "Every row is read once from the disk and scored against the sampled ones at every width.",
            code=whole_code(workspace, n_queries),
        )  # fmt: skip
        small_print(
            f"{n_queries:,} rows searched among all {rows.n_rows:,}, each left out of its own list. The interval is "
            "over queries; nothing else is uncertain."
        )
        draw(
            "whole_curve", figures.overlap_curve, found, workspace.focus_dim, workspace.trained,
            code=whole_code(workspace, n_queries),
        )  # fmt: skip
        big_numbers(found, workspace.focus_dim)


def _key(workspace: Workspace, n_queries: int) -> str:
    return f"whole {workspace.corpus.fingerprint} {workspace.dims} {workspace.k} {n_queries} {workspace.seed}"


def _told(report: Report, stopped: Stopped) -> Callable[[int, int], None]:
    """Rows done, how many a second and how long still; a stop ends the sweep between two blocks, which are kept."""
    began: list[tuple[float, int]] = []

    def progress(done: int, total: int) -> None:
        if stopped():
            raise CancelledError(f"Stopped after {done:,} of {total:,} rows, which are kept; it goes on from there.")
        began.append((time.monotonic(), done))
        seconds, more = began[-1][0] - began[0][0], done - began[0][1]
        left = f", {more / seconds:,.0f} rows/s, {seconds * (total - done) / more:,.0f} s left" if more else ""
        report(done, total, f"{done:,} of {total:,} rows{left}")

    return progress
