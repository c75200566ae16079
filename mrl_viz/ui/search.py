"""Parts of the Search lab: the query, lists at every width, an exact search stopped early, and the latency dial."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import streamlit as st

from mrl_viz import figures
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.export import scripts
from mrl_viz.measures.lists import nearest_level
from mrl_viz.retrieval.adaptive import AdaptiveIndex, AdaptiveResult, default_plans
from mrl_viz.retrieval.cost import funnel_presets
from mrl_viz.retrieval.early import EarlyOrders, early_orders
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.layouts import LayoutReads, layout_reads
from mrl_viz.retrieval.probes import Probes, probes
from mrl_viz.retrieval.stopping import StopRule, learn_stop
from mrl_viz.truncation import FloatMatrix
from mrl_viz.ui import thumbnails
from mrl_viz.ui.charts import stop_with
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
# What a search reads of a disk is shown on so many numbers; of more it grows in proportion.
MOST_STORED = 2_000_000
TARGETS = (0.8, 0.9, 0.95, 0.98, 0.99)


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


def index_of(workspace: Workspace, dims: Iterable[int] = ()) -> PrefixIndex:
    """The data as contiguous column blocks at the measured widths and those of the ready-made funnels, laid out once;
    once more where `dims` holds another width."""
    presets = funnel_presets(workspace.dims[-1], k=workspace.k).values()
    held = {*workspace.dims, *(dim for stages in presets for dim, _ in stages)}
    return _index(workspace.embedded, tuple(sorted(held | set(dims))))


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
    full, corpus = {item: rank for rank, item in enumerate(found[workspace.dims[-1]])}, workspace.corpus

    def cells(rank: int, dim: int, item: int) -> dict[str, Any]:
        text = f"{_arrow(full.get(item), rank)} {shortened(corpus.texts[item], CELL_CHARACTERS)}"
        return thumbnails.cells(corpus, **{f"{dim} dims": item}) | {f"{dim} dims": text}

    return [
        {"rank": rank + 1} | {
            name: cell for dim, item in zip(found, items) for name, cell in cells(rank, dim, item).items()
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


def choose_stop(workspace: Workspace) -> tuple[int, float]:
    """The width of the first pass, and the share of the neighbors that is to be found."""
    full = workspace.dims[-1]
    smaller = tuple(dim for dim in workspace.dims if dim < full)
    if not smaller:
        stop_with("Only the full width is measured, and nothing to rerank from: add a smaller one under Widths.")
    left, right = st.columns(2)
    start = smaller[nearest_level(smaller, full / 4)]
    dim = left.select_slider("First ranked at, dims", smaller, start, key="stop_dim")
    target = right.select_slider(
        "Share of neighbors to find", TARGETS, 0.95, key="stop_target", format_func=lambda share: f"{share:.0%}"
    )
    return int(dim), float(target)


def stop_rule(workspace: Workspace, dim: int, target: float, measured_with: Probes) -> StopRule:
    """A stop by the margin, learnt on half of the queries and measured on the other half."""
    return _stop(workspace.embedded, dim, workspace.k, target, workspace.seed, measured_with, index_of(workspace))


@measured("Learning when to stop…")
def _stop(
    vectors: Embedded, dim: int, k: int, target: float, seed: int, _probes: Probes, _index: PrefixIndex
) -> StopRule:
    return learn_stop(_index, _probes.rows, shortlist_dim=dim, k=k, target=target, own=_probes.own, seed=seed)


def _most_stored(workspace: Workspace) -> int:
    return max(1, MOST_STORED // workspace.dims[-1])


def reads_of(workspace: Workspace) -> LayoutReads:
    """Bytes read for a search at each width, of a part where the data are large."""
    return _reads(workspace.embedded, workspace.dims, _most_stored(workspace))


@measured("Writing and reading…")
def _reads(vectors: Embedded, dims: tuple[int, ...], most: int) -> LayoutReads:
    return layout_reads(vectors.matrix[:most], dims)


def layout_code(workspace: Workspace) -> Script:
    return scripts.layout_code(workspace, _most_stored(workspace))


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
        {"rank": rank}
        | thumbnails.cells(workspace.corpus, text=int(item))
        | {"text": shortened(workspace.corpus.texts[int(item)], 2 * CELL_CHARACTERS)}
        for rank, item in enumerate(answer.result.indices[0], start=1)
    ]


def own_query_of(workspace: Workspace, query: Subject) -> int | None:
    """Which of the data's own queries it is, for shown code; None for a text of the data and for a typed one."""
    texts = workspace.corpus.query_texts
    return texts.index(query.text) if query.item is None and query.text in texts else None


def stop_code(workspace: Workspace, dim: int, target: float) -> Script:
    return scripts.stop_code(workspace, dim, target)
