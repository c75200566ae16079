"""The Search lab's widening: one query answered at ever larger widths while its time lasts, and seen to settle."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from mrl_viz.decide.recommendation import milliseconds
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.retrieval.adaptive import AdaptiveIndex
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.plan import Plan
from mrl_viz.retrieval.probes import Probes
from mrl_viz.retrieval.results import SearchResult
from mrl_viz.retrieval.settling import Settling, settling
from mrl_viz.ui import thumbnails
from mrl_viz.ui.charts import headline, hint, small_print, table
from mrl_viz.ui.results import measured
from mrl_viz.ui.search import index_of
from mrl_viz.ui.selection import Subject, shortened
from mrl_viz.ui.workspace import Workspace

KEY = "widening"
# The browser asks for the next width so often: the work itself would be over before anybody sees it.
PACE_S = 0.8
USUAL_S, MOST_S = 8, 20
CELL_CHARACTERS = 110


@dataclass
class Widening:
    """One query under way. `answers` : what `refine` gives, not yet asked to its end; `found` : what it gave so far.

    `of` : the data, query and k that it is about. `n_widths` : how many there are to read.
    """

    of: tuple[Any, ...]
    answers: Iterator[SearchResult]
    n_widths: int
    budget_s: float
    found: list[SearchResult] = field(default_factory=list)
    last: float = 0.0
    is_over: bool = False
    is_stopped: bool = False

    def step(self) -> None:
        """The next answer, where the last one has stood for its time; the end, where there is no further one."""
        # Another run of the page may come between two looks of the browser, which are not on the dot.
        if self.is_over or (self.found and time.monotonic() - self.last < PACE_S / 2):
            return
        answer = next(self.answers, None)
        if answer is None:
            self.is_over = True
        else:
            self.found.append(answer)
            self.last, self.is_over = time.monotonic(), len(self.found) == self.n_widths

    def stop(self) -> None:
        self.is_over = self.is_stopped = True

    def ending(self, so_far: Settling) -> str:
        """Why there is no further answer, and since when the ranks stand."""
        if self.is_stopped:
            return f"Stopped at {so_far.dims[-1]} dims."
        if len(self.found) < self.n_widths:
            return f"The time was up after {so_far.dims[-1]} dims: the next width would not have fitted."
        return f"All {so_far.dims[-1]} dims are read: this is the answer of exact search."


def widening(workspace: Workspace, query: Subject, measured_with: Probes) -> None:
    """A time, a button, and the answers as they come."""
    of = (workspace.embedded.fingerprint, workspace.dims, workspace.k, query.text, query.item)
    refiner = _refiner(workspace.embedded, workspace.dims, workspace.k, measured_with, index_of(workspace))
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    budget = left.slider("Time for the answer, s", 1, MOST_S, USUAL_S, key="widening_s")
    under_way: Widening | None = st.session_state.get(KEY)
    if under_way is not None and under_way.of != of:
        under_way = None
    if under_way is not None and not under_way.is_over:
        right.button("Stop", key="widening_stop", on_click=under_way.stop, width="stretch")
    else:
        right.button(
            f"Widen from {refiner.index.dims[0]} dims", key="widening_start", type="primary", on_click=_start,
            args=(refiner, query, workspace.k, float(budget), of), width="stretch",
        )  # fmt: skip
    if under_way is None:
        hint(
            "One width after the other is read, each continuing the dot products of the one before; its best 200 are "
            "ranked again at full width. It ends by itself when the next width does not fit into the time."
        )
        return
    # Only while there is more to come does the browser ask again.
    st.fragment(_shown, run_every=None if under_way.is_over else PACE_S)(workspace, under_way)


@measured("Timing every width…")
def _refiner(vectors: Embedded, dims: tuple[int, ...], k: int, _probes: Probes, _index: PrefixIndex) -> AdaptiveIndex:
    # Widening needs no other plan; one there must be.
    return AdaptiveIndex(_index, _probes.rows, own=_probes.own, plans=[Plan(_index.full_dim)], k=k)


def _start(refiner: AdaptiveIndex, query: Subject, k: int, budget_s: float, of: tuple[Any, ...]) -> None:
    answers = refiner.refine(query.vector, k, max_latency_ms=1e3 * budget_s, own=query.own)
    st.session_state[KEY] = Widening(of, answers, len(refiner.index.dims), budget_s)


def _shown(workspace: Workspace, under_way: Widening) -> None:
    """The answer so far, a width further where it is time for it."""
    was_over = under_way.is_over
    under_way.step()
    so_far = settling(under_way.found)
    st.progress(len(under_way.found) / under_way.n_widths, text=so_far.takeaway())
    if under_way.is_over:
        headline(under_way.ending(so_far) + (f" {so_far.settled_takeaway()}" if len(under_way.found) > 1 else ""))
    table(answer_rows(workspace, so_far, under_way.is_over), key="widening_answer")
    small_print(
        f"The work took {milliseconds(float(so_far.milliseconds[-1]))} so far; a width is read every {PACE_S:g} s, so "
        "that one can follow."
    )
    if under_way.is_over and not was_over:
        st.rerun()


def answer_rows(workspace: Workspace, so_far: Settling, is_over: bool) -> list[dict[str, Any]]:
    """One record per rank: its text, what the last width did to it, and since when it stands."""
    return [
        {
            "rank": row["rank"],
            "change": _change(row["rank"], row["before"], len(so_far.dims)),
            "settled at" if is_over else "stands since": f"{row['since']} dims",
            **thumbnails.cells(workspace.corpus, text=row["item"]),
            "text": shortened(workspace.corpus.texts[row["item"]], CELL_CHARACTERS),
        }
        for row in so_far.rows()
    ]


def _change(rank: int, before: int | None, n_answers: int) -> str:
    if n_answers == 1:
        return "first"
    if before is None:
        return "● new"
    return "· as before" if before == rank else f"▲{before - rank}" if before > rank else f"▼{rank - before}"
