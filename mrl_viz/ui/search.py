"""Parts of the Search lab: the query, lists at every width, the designer of stages, misses, and the latency dial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from mrl_viz import figures
from mrl_viz.measures.lists import nearest_level
from mrl_viz.retrieval.adaptive import AdaptiveIndex, AdaptiveResult
from mrl_viz.retrieval.cost import funnel_cost, funnel_presets
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.misses import MissExplanation, explain_miss
from mrl_viz.retrieval.results import RecallVsFull, SearchResult, recall_vs_full
from mrl_viz.retrieval.shortlist import ShortlistCurve, funnel_search, shortlist_curve
from mrl_viz.truncation import FloatMatrix
from mrl_viz.ui.charts import plain
from mrl_viz.ui.code import Code, Script
from mrl_viz.ui.models import encode_one
from mrl_viz.ui.selection import current_item, shortened
from mrl_viz.ui.workspace import Workspace

CELL_CHARACTERS = 80
# Widths side by side before the columns get too narrow to read.
MOST_COLUMNS = 5
# Texts used as queries to measure a plan: recall is then known to about two percentage points.
N_PROBES = 200
PRESET_NAMES = {
    "three_steps": "Three steps",
    "paper": "The paper's",
    "double_and_halve": "Double the width, halve the list",
}


@dataclass(frozen=True)
class Query:
    """What is searched with: a text and its vector, or an item of the data, which is then left out of its own results."""

    text: str
    vector: FloatMatrix
    item: int | None


@dataclass(frozen=True)
class Design:
    """A schedule of (dim, keep) stages, what it finds, and what it costs."""

    stages: tuple[tuple[int, int], ...]
    result: SearchResult
    recall: RecallVsFull
    exact_ms: float
    n_items: int
    full_dim: int

    def takeaway(self) -> str:
        """One sentence: recall, multiply-adds and measured time."""
        cost = funnel_cost(self.n_items, self.stages, self.full_dim)
        return (
            f"{self.recall.takeaway()} {cost.speedup:.1f}x fewer multiply-adds, {cost.bytes_read:,} bytes read, measured "
            f"{self.result.milliseconds:.3f} ms a query against {self.exact_ms:.3f} ms exact at full width on this machine."
        )

    def rows(self) -> list[dict[str, Any]]:
        """One record per stage."""
        return [
            {"dim": stage.dim, "scored": stage.n_scored, "kept": keep, "multiply-adds": stage.multiply_adds,
             "bytes read": stage.bytes_read, "ms": round(stage.milliseconds, 4)}
            for stage, (_, keep) in zip(self.result.stages, self.stages)
        ]  # fmt: skip


def choose_query(workspace: Workspace) -> Query:
    """A typed query, one of the data's own queries, or the selected text."""
    corpus = workspace.corpus
    if corpus.embeddings is None:
        typed = st.text_input("Search", key="query", placeholder="Type a question or a few words")
        if typed and typed.strip():
            return Query(typed, encode_one(workspace.model, typed.strip(), "query"), None)
        if corpus.query_texts:
            chosen = st.selectbox("or one of the data's queries", corpus.query_texts, key="own_query")
            return Query(chosen, encode_one(workspace.model, chosen, "query"), None)
    item = current_item(workspace)
    st.caption("Searching with the selected text; choose another by Find a text.")
    return Query(corpus.texts[item], workspace.embedded.matrix[item], item)


def index_of(workspace: Workspace) -> PrefixIndex:
    """The data as contiguous column blocks at the measured widths."""
    return _index(workspace.embedded.fingerprint, workspace.dims, workspace.embedded.matrix)


@st.cache_resource(max_entries=3, scope="session", show_spinner="Laying out the prefixes…")
def _index(fingerprint: str, dims: tuple[int, ...], _rows: FloatMatrix) -> PrefixIndex:
    return PrefixIndex(_rows, dims)


def results_side_by_side(workspace: Workspace, query: Query) -> list[dict[str, Any]]:
    """One record per rank: the text found at each of a few widths, with an arrow against its rank at full width."""
    index, dims = index_of(workspace), _column_dims(workspace)
    lists = {
        dim: _without(index.search(query.vector[None], _length(workspace, query), dim=dim), query, workspace.k)
        for dim in dims
    }
    full = {item: rank for rank, item in enumerate(lists[dims[-1]])}
    rows = []
    for rank in range(len(lists[dims[-1]])):
        row: dict[str, Any] = {"rank": rank + 1}
        for dim in dims:
            item = lists[dim][rank]
            row[f"{dim} dims"] = (
                f"{_arrow(full.get(item), rank)} {shortened(workspace.corpus.texts[item], CELL_CHARACTERS)}"
            )
        rows.append(row)
    return rows


def search_takeaway(workspace: Workspace, query: Query) -> str:
    """One sentence: how many of the full-width results stay at the focus width, and how many enter."""
    index, k = index_of(workspace), workspace.k
    length = _length(workspace, query)
    full = _without(index.search(query.vector[None], length), query, k)
    here = _without(index.search(query.vector[None], length, dim=workspace.focus_dim), query, k)
    kept = len(set(full) & set(here))
    return f"At {workspace.focus_dim} dims {kept} of the {len(full)} full-width results stay and {len(here) - kept} others enter."


def _length(workspace: Workspace, query: Query) -> int:
    return min(workspace.k + (query.item is not None), workspace.corpus.n_items)


def _without(result: SearchResult, query: Query, k: int) -> list[int]:
    return [int(item) for item in result.indices[0] if item != query.item][:k]


def _column_dims(workspace: Workspace) -> tuple[int, ...]:
    full = workspace.dims[-1]
    wanted = {workspace.focus_dim, full} | {
        workspace.dims[nearest_level(workspace.dims, full / part)] for part in (8, 4, 2)
    }
    return tuple(sorted(wanted))[-MOST_COLUMNS:]


def _arrow(full_rank: int | None, rank: int) -> str:
    if full_rank is None:
        return "● new:"
    if full_rank == rank:
        return "·"
    return f"▲{full_rank - rank}" if full_rank > rank else f"▼{rank - full_rank}"


def probes(workspace: Workspace) -> FloatMatrix:
    """Vectors to measure plans with: the data's own texts, a seeded sample of them."""
    rows = workspace.embedded.matrix
    chosen = np.sort(np.random.default_rng(0).permutation(len(rows))[:N_PROBES])
    return np.asarray(rows[chosen])


def design(workspace: Workspace) -> Design:
    """Controls of a shortlist + rerank or a funnel, and what it finds and costs."""
    n_items, full, k = workspace.corpus.n_items, workspace.dims[-1], workspace.k
    presets = funnel_presets(full, k=k, n_items=n_items)
    kinds = ["Shortlist + rerank", *(PRESET_NAMES[name] for name in presets)]
    kind = st.segmented_control("Plan", kinds, default=kinds[0], key="plan", required=True)
    if kind == kinds[0]:
        left, right = st.columns(2)
        smaller = tuple(dim for dim in workspace.dims if dim < full) or (full,)
        dim = left.select_slider(
            "Shortlist width, dims", smaller, smaller[nearest_level(smaller, full / 4)], key="shortlist_dim"
        )
        sizes = sorted({k, *(size for power in range(20) if k < (size := 2**power) < n_items), n_items})
        size = right.select_slider("Shortlist size", sizes, sizes[min(len(sizes) - 1, 3)], key="shortlist_size")
        stages: tuple[tuple[int, int], ...] = ((int(dim), int(size)), (full, k))
    else:
        name = next(name for name, shown in PRESET_NAMES.items() if shown == kind)
        stages = tuple(presets[name])
    st.caption(plain(" → ".join(f"{keep:,} kept at {dim} dims" for dim, keep in stages)))
    return _measured(workspace.embedded.fingerprint, stages, k, workspace)


@st.cache_resource(max_entries=16, scope="session", show_spinner="Measuring…")
def _measured(fingerprint: str, stages: tuple[tuple[int, int], ...], k: int, _workspace: Workspace) -> Design:
    rows, n_items, full = probes(_workspace), _workspace.corpus.n_items, _workspace.dims[-1]
    index = PrefixIndex(_workspace.embedded.matrix, sorted({dim for dim, _ in stages} | {full}))
    exact = index.search(rows, k)
    found = funnel_search(index, rows, stages)
    return Design(stages, found, recall_vs_full(found.indices, exact.indices), exact.milliseconds, n_items, full)


@st.cache_resource(max_entries=16, scope="session", show_spinner="Ranking…")
def _curve(fingerprint: str, dim: int, k: int, _workspace: Workspace) -> ShortlistCurve:
    return shortlist_curve(index_of(_workspace), probes(_workspace), shortlist_dim=dim, k=k)


def curve_of(workspace: Workspace, plan: Design) -> ShortlistCurve:
    """Overlap against shortlist size at the plan's first width."""
    dim = plan.stages[0][0]
    if dim not in workspace.dims:
        dim = workspace.dims[nearest_level(workspace.dims, dim)]
    return _curve(workspace.embedded.fingerprint, dim, workspace.k, workspace)


def miss_of(workspace: Workspace, query: Query, plan: Design) -> MissExplanation | None:
    """Why the plan loses the best full-width result that it loses; None when it loses none."""
    full = workspace.dims[-1]
    index = PrefixIndex(workspace.embedded.matrix, sorted({dim for dim, _ in plan.stages} | {full}))
    exact = index.search(query.vector[None], workspace.k).indices[0]
    found = set(funnel_search(index, query.vector[None], plan.stages).indices[0].tolist())
    lost = [int(item) for item in exact if int(item) not in found]
    return explain_miss(index, query.vector, lost[0], plan.stages) if lost else None


@st.cache_resource(max_entries=2, scope="session", show_spinner="Measuring the latency of every plan…")
def _adaptive(fingerprint: str, dims: tuple[int, ...], k: int, _workspace: Workspace) -> AdaptiveIndex:
    return AdaptiveIndex(index_of(_workspace), probes(_workspace), k=k)


def latency_dial(workspace: Workspace, query: Query) -> AdaptiveResult | None:
    """A budget in milliseconds and what the adaptive index answers within it; None until it was asked for."""
    if not st.toggle(
        "Measure every plan on this machine", key="adaptive", help="Takes some seconds, once per data set."
    ):
        return None
    index = _adaptive(workspace.embedded.fingerprint, workspace.dims, workspace.k, workspace)
    fastest = min(measurement.latency.p95_ms for measurement in index.measurements)
    slowest = max(measurement.latency.p95_ms for measurement in index.measurements)
    budget = st.slider(
        "Latency budget, ms (95th percentile)", round(fastest * 1.05, 3), round(max(slowest, fastest) * 1.2, 3),
        round(slowest * 1.1, 3), key="latency_budget", format="%.3f",
    )  # fmt: skip
    return index.search(query.vector[None], workspace.k, max_latency_ms=budget)


def adaptive_rows(workspace: Workspace, answer: AdaptiveResult) -> list[dict[str, Any]]:
    """The answer's texts."""
    return [
        {"rank": rank, "text": shortened(workspace.corpus.texts[int(item)], 2 * CELL_CHARACTERS)}
        for rank, item in enumerate(answer.result.indices[0], start=1)
    ]


def search_code(workspace: Workspace, plan: Design, curve: ShortlistCurve) -> Script:
    """The plan's measurement and the figure of the shortlist again."""
    script, full, k = Script(workspace), workspace.dims[-1], workspace.k
    dims = sorted({*workspace.dims, *(dim for dim, _ in plan.stages)})
    index = script.let("index", PrefixIndex, script.matrix, dims)
    script.add("import numpy as np")
    rows = f"np.sort(np.random.default_rng(0).permutation(len({script.matrix}))[:{N_PROBES}])"
    queries = script.assign("queries", f"{script.matrix}[{rows}]")
    found = script.let("found", funnel_search, index, queries, plan.stages)
    exact = script.assign("exact", f"{index}.search({queries}, {k}, dim={full})")
    script.say(script.call(recall_vs_full, Code(f"{found}.indices"), Code(f"{exact}.indices")))
    again = script.call(shortlist_curve, index, queries, shortlist_dim=curve.shortlist_dim, k=k)
    return script.show(figures.shortlist_overlap, again, plan.stages[0][1])
