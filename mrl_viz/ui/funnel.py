"""The Search lab's funnel: its designer, what it finds and loses, and where a neighbor falls out."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from mrl_viz.embedding.embedded import Embedded
from mrl_viz.export import scripts
from mrl_viz.measures.estimate import Estimate
from mrl_viz.measures.lists import nearest_level
from mrl_viz.retrieval.cost import Stages, funnel_presets
from mrl_viz.retrieval.funnel import (
    FunnelLosses,
    NeighborPaths,
    check_design,
    funnel_losses,
    neighbor_paths,
    with_stage,
)
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.misses import explain_miss
from mrl_viz.retrieval.probes import Probes
from mrl_viz.retrieval.shortlist import ShortlistCurve, shortlist_curve
from mrl_viz.ui import thumbnails
from mrl_viz.ui.charts import plain
from mrl_viz.ui.code import Script
from mrl_viz.ui.results import measured
from mrl_viz.ui.search import index_of, own_query_of
from mrl_viz.ui.selection import Subject, shortened
from mrl_viz.ui.selection import texts_of as texts_of
from mrl_viz.ui.workspace import Workspace

OWN_KEY, START_KEY = "funnel_stages", "plan"
CELL_CHARACTERS = 80
SHORTLIST = "Shortlist + rerank"
PRESET_NAMES = {
    "three_steps": "Three steps",
    "paper": "The paper's",
    "double_and_halve": "Double the width, halve the list",
}
# Between a stage's width and its list there is room for both on a telephone.
FIELD_PIXELS = 130


def named_starts(workspace: Workspace, n_items: int) -> dict[str, Stages]:
    """Funnels to begin with, by name."""
    full, k = workspace.dims[-1], workspace.k
    presets = {PRESET_NAMES[name]: stages for name, stages in funnel_presets(full, k=k, n_items=n_items).items()}
    smaller = tuple(dim for dim in workspace.dims if dim < full)
    sizes = sorted({k, *(size for power in range(20) if k < (size := 2**power) < n_items), n_items})
    first = [(smaller[nearest_level(smaller, full / 4)], sizes[min(len(sizes) - 1, 3)])] if smaller else []
    return {SHORTLIST: (*first, (full, k))} | presets


def choose_stages(workspace: Workspace, n_items: int, start: DeltaGenerator, designer: DeltaGenerator) -> Stages:
    """A start by name, and rows of widgets, one a stage; what they say may be no funnel."""
    starts = named_starts(workspace, n_items)
    name = start.segmented_control(
        "Start from", list(starts), default=SHORTLIST, key=START_KEY, persist_state="session",
        help="A funnel by name, to be changed below. The last stage returns k texts.",
    )  # fmt: skip
    stages = starts[name] if name else _own(workspace, n_items) or starts[SHORTLIST]
    for number, (dim, keep) in enumerate(stages):
        _row(designer, workspace, n_items, stages, number, dim, keep)
    more = with_stage(stages, n_items, workspace.dims)
    designer.button(
        "Add a stage", key="stage_add", icon=":material/add:", disabled=more is None, on_click=_keep,
        args=(workspace, n_items, more),
    )  # fmt: skip
    return stages


def _row(
    designer: DeltaGenerator, workspace: Workspace, n_items: int, stages: Stages, number: int, dim: int, keep: int
) -> None:
    """One stage: its width, how many it keeps, and a button that takes it away."""
    is_last = number == len(stages) - 1
    keys = (f"stage_dim_{number}", f"stage_keep_{number}")
    st.session_state[keys[0]], st.session_state[keys[1]] = dim, keep
    change, about = partial(_edit, workspace, n_items, stages, number), f"stage {number + 1}"
    with designer.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        full = workspace.dims[-1]
        st.number_input(f"Dims, {about}", 1, full, step=8, key=keys[0], width=FIELD_PIXELS, on_change=change)
        st.number_input(
            f"Returns, {about}" if is_last else f"Keeps, {about}", 1, n_items, step=10, key=keys[1],
            width=FIELD_PIXELS, disabled=is_last, on_change=change,
        )  # fmt: skip
        st.button(
            "Remove", key=f"stage_remove_{number}", type="tertiary", disabled=len(stages) == 1, on_click=_keep,
            args=(workspace, n_items, (*stages[:number], *stages[number + 1 :])),
        )  # fmt: skip


def _own(workspace: Workspace, n_items: int) -> Stages | None:
    """The stages that were designed for such data; the last returns what is asked for now."""
    made_for, stages = st.session_state.get(OWN_KEY, (None, ()))
    if made_for != (workspace.dims[-1], n_items) or not stages:
        return None
    return (*stages[:-1], (stages[-1][0], workspace.k))


def _keep(workspace: Workspace, n_items: int, stages: Stages) -> None:
    st.session_state[OWN_KEY] = ((workspace.dims[-1], n_items), stages)
    st.session_state[START_KEY] = None


def _edit(workspace: Workspace, n_items: int, stages: Stages, number: int) -> None:
    """A stage as its widgets say it now; an emptied field changes nothing."""
    dim, keep = st.session_state[f"stage_dim_{number}"], st.session_state[f"stage_keep_{number}"]
    if dim is not None and keep is not None:
        _keep(workspace, n_items, (*stages[:number], (int(dim), int(keep)), *stages[number + 1 :]))


def losses_of(workspace: Workspace, stages: Stages, measured_with: Probes) -> FunnelLosses:
    """What the funnel finds and loses; an error in one sentence where it is none."""
    check_design(stages, measured_with.n_items, workspace.dims[-1])
    return _losses(workspace.embedded, stages, measured_with, _index_for(workspace, stages))


@measured("Measuring…")
def _losses(vectors: Embedded, stages: Stages, _probes: Probes, _index: PrefixIndex) -> FunnelLosses:
    return funnel_losses(_index, _probes.rows, stages, own=_probes.own)


def _index_for(workspace: Workspace, stages: Stages) -> PrefixIndex:
    return index_of(workspace, (dim for dim, _ in stages))


def paths_of(workspace: Workspace, query: Subject, losses: FunnelLosses) -> NeighborPaths:
    """The query's true neighbors on their way; a text of the data is one less to search among."""
    return neighbor_paths(
        _index_for(workspace, losses.stages), query.vector, _fitted(workspace, query, losses.stages), own=query.item
    )


def _fitted(workspace: Workspace, query: Subject, stages: Stages) -> Stages:
    most = workspace.corpus.n_items - (query.item is not None)
    return tuple((dim, min(keep, most)) for dim, keep in stages)


def choose_neighbor(workspace: Workspace, paths: NeighborPaths) -> int:
    """The position of a neighbor to follow; the first that falls out, or the best, until one is chosen."""
    texts = texts_of(workspace, paths.items)
    positions = range(len(paths.items))
    first = paths.lost[0] if paths.lost else 0
    chosen: int | None = st.selectbox(
        "Follow a true neighbor of this query", positions, index=None, key="funnel_neighbor",
        placeholder=_named(first, texts[first], paths), format_func=lambda place: _named(place, texts[place], paths),
    )  # fmt: skip
    return first if chosen is None or chosen not in positions else chosen


def _named(place: int, text: str, paths: NeighborPaths) -> str:
    stage = paths.dropped_at[place]
    said = "comes through" if stage < 0 else f"falls out at {paths.stages[stage][0]} dims"
    return f"{place + 1}. {shortened(text, CELL_CHARACTERS)}: {said}"


def about_neighbor(workspace: Workspace, query: Subject, paths: NeighborPaths, chosen: int) -> None:
    """Where the chosen neighbor stands, and the lists that would find it."""
    index = _index_for(workspace, paths.stages)
    told = explain_miss(index, query.vector, paths.items[chosen], paths.stages, own=query.item)
    text = shortened(workspace.corpus.texts[paths.items[chosen]], CELL_CHARACTERS)
    st.info(plain(f"Neighbor {chosen + 1}, “{text}”: {told.takeaway()}"), icon=":material/search:")


def neighbor_rows(workspace: Workspace, paths: NeighborPaths) -> list[dict[str, Any]]:
    """One record per neighbor: its text, and its rank in every stage, a cross where that drops it."""
    return [
        {"rank": place + 1}
        | thumbnails.cells(workspace.corpus, text=item)
        | {"text": shortened(workspace.corpus.texts[item], CELL_CHARACTERS)}
        | {
            f"at {dim} dims": _said(int(paths.ranks[stage, place]), keep)
            for stage, (dim, keep) in enumerate(paths.stages)
        }
        for place, item in enumerate(paths.items)
    ]


def _said(rank: int, keep: int) -> str:
    return "" if not rank else f"{rank:,} ✕" if rank > keep else f"{rank:,}"


def stage_rows(losses: FunnelLosses) -> list[dict[str, Any]]:
    """What each stage does for a query, all of them together, and exact search."""
    share, k = losses.recall.share, losses.recall.k
    missed = Estimate(1 - share.value, 1 - share.high, 1 - share.low)
    dims, kept = zip(*losses.stages)
    rows = [
        *zip(
            (f"{dim} dims" for dim in dims), losses.scored, kept, losses.lost,
            (row["multiply_adds"] for row in losses.rows()), losses.milliseconds,
        ),
        ("all stages", losses.n_items, k, missed, losses.cost.multiply_adds, sum(losses.milliseconds)),
        (
            "exact search", losses.n_items, k, Estimate(0, 0, 0), losses.cost.exact_multiply_adds, losses.exact_ms
        ),
    ]  # fmt: skip
    return [
        {"stage": stage, "scored": scored, "kept": keep, "loses": f"{lost:.1%}", "multiply-adds": work,
         "bytes read": 4 * work, "ms": float(f"{taken:.2g}")}
        for stage, scored, keep, lost, work, taken in rows
    ]  # fmt: skip


def curve_of(workspace: Workspace, stages: Stages, measured_with: Probes) -> ShortlistCurve:
    """Overlap against shortlist size at the funnel's first width."""
    return _curve(workspace.embedded, stages[0][0], workspace.k, measured_with, _index_for(workspace, stages))


@measured("Ranking…")
def _curve(vectors: Embedded, dim: int, k: int, _probes: Probes, _index: PrefixIndex) -> ShortlistCurve:
    return shortlist_curve(_index, _probes.rows, shortlist_dim=dim, k=k, own=_probes.own)


def funnel_code(workspace: Workspace, query: Subject, paths: NeighborPaths, stages: Stages, chosen: int) -> Script:
    return scripts.funnel_code(workspace, stages, query.item, own_query_of(workspace, query), chosen)


def curve_code(workspace: Workspace, stages: Stages) -> Script:
    return scripts.search_code(workspace, stages)
