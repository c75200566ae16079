"""Parts of the Search lab: the query, lists at every width, the designer of stages, misses, and the latency dial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from mrl_viz import figures
from mrl_viz.decide.recommendation import milliseconds
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.export import scripts
from mrl_viz.measures.lists import nearest_level
from mrl_viz.retrieval.adaptive import AdaptiveIndex, AdaptiveResult, default_plans
from mrl_viz.retrieval.cost import RetrievalCost, funnel_cost, funnel_presets
from mrl_viz.retrieval.early import EarlyOrders, early_orders
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.misses import MissExplanation, explain_miss
from mrl_viz.retrieval.probes import Probes, probes
from mrl_viz.retrieval.results import RecallVsFull, SearchResult, recall_vs_full
from mrl_viz.retrieval.shortlist import ShortlistCurve, funnel_search, shortlist_curve
from mrl_viz.truncation import FloatMatrix
from mrl_viz.ui.charts import small_print
from mrl_viz.ui.code import Code, Script
from mrl_viz.ui.results import measured, with_queries
from mrl_viz.ui.selection import Subject, choose_own_query, selected_subject, shortened, typed_subject
from mrl_viz.ui.workspace import Workspace

CELL_CHARACTERS = 80
# Widths side by side before the columns get too narrow to read.
MOST_COLUMNS = 5
# What texts have beside the sidebar, on a screen of 1,280.
COLUMNS_PIXELS = 830
# An early stop is shown for so many texts and queries; more take seconds and show the same.
MOST_EARLY_TEXTS, EARLY_QUERIES = 5_000, 50
PRESET_NAMES = {
    "three_steps": "Three steps",
    "paper": "The paper's",
    "double_and_halve": "Double the width, halve the list",
}


@dataclass(frozen=True)
class Design:
    """A schedule of (dim, keep) stages, what it finds, and what it costs."""

    stages: tuple[tuple[int, int], ...]
    result: SearchResult
    recall: RecallVsFull
    exact_ms: float
    cost: RetrievalCost

    def takeaway(self) -> str:
        return (
            f"{self.recall.takeaway()} It takes {1 / self.cost.speedup:.0%} of the multiply-adds of exact search at "
            f"full width and {milliseconds(self.result.milliseconds)} a query here, where that takes "
            f"{milliseconds(self.exact_ms)}."
        )

    def rows(self) -> list[dict[str, Any]]:
        return [
            {"dim": stage.dim, "scored": stage.n_scored, "kept": stage.n_kept, "multiply-adds": stage.multiply_adds,
             "bytes read": stage.bytes_read, "ms": float(f"{stage.milliseconds:.2g}")}
            for stage in self.result.stages
        ]  # fmt: skip


def choose_query(workspace: Workspace) -> Subject:
    """A typed query, one of the data's own queries, or the selected text."""
    if not workspace.is_ready:
        hint = "Type a question or a few words"
        if typed := typed_subject(workspace, "Search", key="query", placeholder=hint, kind="query"):
            return typed
    queries, texts = with_queries(workspace).queries, workspace.corpus.query_texts
    if queries is not None:
        chosen = choose_own_query(workspace, "own_query")
        return Subject(queries[chosen], texts[chosen])
    st.caption("Searching with the selected text; choose another by Find a text.")
    return selected_subject(workspace)


def index_of(workspace: Workspace) -> PrefixIndex:
    """The data as contiguous column blocks at the measured widths and those of the ready-made plans, laid out once."""
    presets = funnel_presets(workspace.dims[-1], k=workspace.k).values()
    dims = {*workspace.dims, *(dim for stages in presets for dim, _ in stages)}
    return _index(workspace.embedded, tuple(sorted(dims)))


@measured("Laying out the prefixes…")
def _index(vectors: Embedded, dims: tuple[int, ...]) -> PrefixIndex:
    return PrefixIndex(vectors.matrix, dims)


def results_by_width(workspace: Workspace, query: Subject) -> dict[int, list[int]]:
    """The items found at the full width, then at some smaller ones, the focus width among them; best first."""
    index, dims = index_of(workspace), workspace.dims
    wanted = {dims[nearest_level(dims, dims[-1] / part)] for part in (8, 4, 2)}
    columns = sorted({workspace.focus_dim, dims[-1], *sorted(wanted)[-(MOST_COLUMNS - 2) :]}, reverse=True)
    return {dim: index.search(query.vector, workspace.k, dim=dim, own=query.own).indices[0].tolist() for dim in columns}


def result_rows(workspace: Workspace, found: dict[int, list[int]]) -> list[dict[str, Any]]:
    """One record per rank: the text found at each width, with an arrow against its rank at full width."""
    full = {item: rank for rank, item in enumerate(found[workspace.dims[-1]])}
    return [
        {"rank": rank + 1} | {
            f"{dim} dims": f"{_arrow(full.get(item), rank)} {shortened(workspace.corpus.texts[item], CELL_CHARACTERS)}"
            for dim, item in zip(found, items)
        }
        for rank, items in enumerate(zip(*found.values()))
    ]  # fmt: skip


def result_widths(found: dict[int, list[int]]) -> dict[str, int]:
    """Pixels of the columns, so that all of them are seen."""
    return {"rank": 50} | dict.fromkeys((f"{dim} dims" for dim in found), COLUMNS_PIXELS // len(found))


def search_takeaway(workspace: Workspace, found: dict[int, list[int]]) -> str:
    """One sentence: how many of the full-width results stay at the focus width, and how many enter."""
    here, full = set(found[workspace.focus_dim]), set(found[workspace.dims[-1]])
    return (
        f"At {workspace.focus_dim} dims {len(here & full)} of the {len(full)} full-width results stay and "
        f"{len(here - full)} others enter."
    )


def _arrow(full_rank: int | None, rank: int) -> str:
    if full_rank is None:
        return "● new:"
    if full_rank == rank:
        return "·"
    return f"▲{full_rank - rank}" if full_rank > rank else f"▼{rank - full_rank}"


def probes_of(workspace: Workspace) -> Probes:
    vectors = with_queries(workspace)
    return probes(vectors.matrix, vectors.queries)


def design(workspace: Workspace, measured_with: Probes) -> Design:
    """Controls of a shortlist + rerank or a funnel, and what it finds and costs."""
    full, k, n_items = workspace.dims[-1], workspace.k, measured_with.n_items
    presets = {PRESET_NAMES[name]: stages for name, stages in funnel_presets(full, k=k, n_items=n_items).items()}
    kinds = ["Shortlist + rerank", *presets]
    kind = st.segmented_control("Plan", kinds, default=kinds[0], key="plan", required=True)
    if kind == kinds[0]:
        left, right = st.columns(2)
        smaller = tuple(dim for dim in workspace.dims if dim < full) or (full,)
        start = smaller[nearest_level(smaller, full / 4)]
        dim = left.select_slider("Shortlist width, dims", smaller, start, key="shortlist_dim")
        sizes = sorted({k, *(size for power in range(20) if k < (size := 2**power) < n_items), n_items})
        start = sizes[min(len(sizes) - 1, 3)]
        size = right.select_slider("Shortlist size", sizes, start, key="shortlist_size")
        stages: tuple[tuple[int, int], ...] = ((int(dim), int(size)), (full, k))
    else:
        stages = tuple(presets[str(kind)])
    small_print(" → ".join(f"{keep:,} kept at {dim} dims" for dim, keep in stages))
    return _measured(workspace.embedded, stages, k, measured_with, index_of(workspace))


@measured("Measuring…")
def _measured(
    vectors: Embedded, stages: tuple[tuple[int, int], ...], k: int, _probes: Probes, _index: PrefixIndex
) -> Design:
    exact = _index.search(_probes.rows, k, own=_probes.own)
    found = funnel_search(_index, _probes.rows, stages, own=_probes.own)
    recall = recall_vs_full(found.indices, exact.indices)
    return Design(stages, found, recall, exact.milliseconds, funnel_cost(_probes.n_items, stages, _index.full_dim))


def curve_of(workspace: Workspace, plan: Design, measured_with: Probes) -> ShortlistCurve:
    """Overlap against shortlist size at the plan's first width."""
    return _curve(workspace.embedded, plan.stages[0][0], workspace.k, measured_with, index_of(workspace))


@measured("Ranking…")
def _curve(vectors: Embedded, dim: int, k: int, _probes: Probes, _index: PrefixIndex) -> ShortlistCurve:
    return shortlist_curve(_index, _probes.rows, shortlist_dim=dim, k=k, own=_probes.own)


def miss_of(workspace: Workspace, query: Subject, plan: Design) -> MissExplanation | None:
    """Why the plan loses the best full-width result that it loses; None when it loses none."""
    index, most = index_of(workspace), workspace.corpus.n_items - (query.item is not None)
    stages = tuple((dim, min(keep, most)) for dim, keep in plan.stages)
    exact = index.search(query.vector, workspace.k, own=query.own).indices[0]
    found = funnel_search(index, query.vector, stages, own=query.own).indices[0]
    lost = [int(item) for item in exact if item not in found]
    return explain_miss(index, query.vector, lost[0], stages, own=query.item) if lost else None


def early_of(workspace: Workspace) -> EarlyOrders:
    """How many vectors an exact search can drop after so many coordinates, in several orders of them."""
    return _early(workspace.embedded, workspace.k, with_queries(workspace).queries)


@measured("Stopping early…")
def _early(vectors: Embedded, k: int, _queries: FloatMatrix | None) -> EarlyOrders:
    corpus = vectors.matrix[:MOST_EARLY_TEXTS]
    asked = probes(corpus, _queries, most=EARLY_QUERIES)
    return early_orders(corpus, asked.rows, k, own=asked.own)


def early_code(workspace: Workspace) -> Script:
    script = Script(workspace, queries=None)
    is_part = workspace.corpus.n_items > MOST_EARLY_TEXTS
    corpus = Code(f"{script.matrix}[:{MOST_EARLY_TEXTS}]") if is_part else script.matrix
    asked = script.let("asked", probes, corpus, script.vectors.queries, most=EARLY_QUERIES)
    found = script.let("found", early_orders, corpus, asked.rows, workspace.k, own=asked.own)
    return script.say(found).show(figures.still_alive, found)


@measured("Measuring the latency of every plan…")
def _adaptive(vectors: Embedded, dims: tuple[int, ...], k: int, _probes: Probes, _index: PrefixIndex) -> AdaptiveIndex:
    plans = default_plans(dims, k=k, n_items=_probes.n_items)
    return AdaptiveIndex(_index, _probes.rows, own=_probes.own, plans=plans, k=k)


def latency_dial(workspace: Workspace, query: Subject, measured_with: Probes) -> AdaptiveResult | None:
    """A budget in milliseconds and what the adaptive index answers within it; None until it was asked for."""
    if not st.toggle(
        "Measure every plan on this machine", key="adaptive", help="Takes some seconds, once per data set."
    ):
        return None
    index = _adaptive(workspace.embedded, workspace.dims, workspace.k, measured_with, index_of(workspace))
    times = [measurement.latency.p95_ms for measurement in index.measurements]
    budget = st.slider(
        "Latency budget, ms (95th percentile)", round(min(times) * 1.05, 3), round(max(times) * 1.2, 3),
        round(max(times) * 1.1, 3), key="latency_budget", format="%.3f",
    )  # fmt: skip
    return index.search(query.vector, workspace.k, max_latency_ms=budget, own=query.own)


def adaptive_rows(workspace: Workspace, answer: AdaptiveResult) -> list[dict[str, Any]]:
    return [
        {"rank": rank, "text": shortened(workspace.corpus.texts[int(item)], 2 * CELL_CHARACTERS)}
        for rank, item in enumerate(answer.result.indices[0], start=1)
    ]


def search_code(workspace: Workspace, plan: Design) -> Script:
    return scripts.search_code(workspace, plan.stages)
