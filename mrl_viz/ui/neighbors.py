"""Parts of the Start and Neighbors pages: big numbers, extremes, kept / lost / gained cards."""

from __future__ import annotations

from typing import Any

import streamlit as st

from mrl_viz import figures
from mrl_viz.analysis import Analysis
from mrl_viz.measures.lists import (
    NeighborOverlap,
    NeighborRanks,
    nearest_level,
    neighbor_changes,
    neighbor_overlap,
    neighbor_ranks,
)
from mrl_viz.sweep import nested_sweep
from mrl_viz.ui.charts import headline, metrics, plain, small_print
from mrl_viz.ui.code import Code, Script
from mrl_viz.ui.results import measured
from mrl_viz.ui.selection import current_item, select, shortened
from mrl_viz.ui.workspace import Workspace

CARD_CHARACTERS = 220
BYTES_PER_FLOAT32 = 4
N_EXTREMES = 3


def big_numbers(overlap: NeighborOverlap) -> None:
    """Overlap at a half, a quarter and an eighth of the width with intervals, bytes per vector, and what it means."""
    full_dim, cells = overlap.dims[-1], []
    for part, name in ((2, "½"), (4, "¼"), (8, "⅛")):
        level = nearest_level(overlap.dims, full_dim / part)
        dim, kept = overlap.dims[level], overlap.overlap[level]
        note = f"95 %: {kept.low:.1%} to {kept.high:.1%}, {dim * BYTES_PER_FLOAT32:,} bytes a vector"
        cells.append((f"Kept at {name} width ({dim} dims)", f"{kept.value:.1%}", note))
    whole = f"{full_dim * BYTES_PER_FLOAT32:,}"
    metrics(*cells, ("Bytes per vector, full width", whole, f"{full_dim} float32 coordinates"), framed=True)
    headline(overlap.meaning())


def item_rows(workspace: Workspace, result: Analysis) -> list[dict[str, Any]]:
    """One record per text: how many of its neighbors it keeps at the focus width."""
    values = result.overlap.per_item[result.sweep.at(workspace.focus_dim)]
    return [
        {"id": identifier, "text": text, f"kept at {workspace.focus_dim}": float(value)}
        for identifier, text, value in zip(workspace.corpus.ids, workspace.corpus.texts, values)
    ]


def extremes(workspace: Workspace, result: Analysis) -> int:
    """Cards of the most disturbed and the most stable texts, each a button; returns the text to look at."""
    values = result.overlap.per_item[result.sweep.at(workspace.focus_dim)]
    texts = workspace.corpus.texts
    items = sorted(range(len(values)), key=lambda item: (values[item], item))
    n_shown = min(N_EXTREMES, len(items) // 2)
    for column, (name, some) in zip(
        st.columns(2), (("Most disturbed", items[:n_shown]), ("Most stable", items[::-1][:n_shown]))
    ):
        with column.container(border=True):
            st.markdown(f"**{name}**")
            for item in some:
                st.button(
                    plain(f"{values[item]:.0%} kept: {shortened(texts[item])}"), key=f"extreme_{item}", type="tertiary",
                    on_click=select, args=(item,),
                )  # fmt: skip
    return current_item(workspace, items[0])


def change_cards(workspace: Workspace, result: Analysis, item: int) -> None:
    changes = neighbor_changes(result.sweep.indices, result.sweep.dims, item, workspace.focus_dim)
    st.markdown("**The text** (choose another above, in the picture, or by Find a text)")
    st.text(shortened(workspace.corpus.texts[item], 4 * CARD_CHARACTERS))
    small_print(changes.takeaway())
    parts = (("Kept", changes.kept), ("Lost", changes.lost), ("Gained", changes.gained))
    for column, (name, entries) in zip(st.columns(3), parts):
        with column.container(border=True):
            st.markdown(f"**{name}** ({len(entries)})")
            for neighbor, before, after in entries:
                st.caption(_rank_change(before, after))
                st.text(shortened(workspace.corpus.texts[neighbor], CARD_CHARACTERS))


def _rank_change(before: int | None, after: int | None) -> str:
    if before is None:
        return f"enters at rank {after}"
    if after is None:
        return f"was rank {before}"
    return f"rank {before} → {after}"


def overlap_code(workspace: Workspace, every_width: bool = False) -> Script:
    script = Script(workspace)
    if every_width:
        widths = Code(f"range(1, {workspace.embedded.full_dim + 1})")
        sweep = script.let("sweep", nested_sweep, script.matrix, dims=widths, k=workspace.k)
        overlap = script.call(neighbor_overlap, sweep)
    else:
        overlap = script.analysis().overlap
    return script.show(figures.overlap_curve, overlap, workspace.focus_dim, workspace.trained)


def by_k_code(workspace: Workspace) -> Script:
    script = Script(workspace)
    return script.show(figures.overlap_by_k, script.analysis().overlap)


def per_item_code(workspace: Workspace, item: int) -> Script:
    script = Script(workspace)
    overlap = script.analysis().overlap
    return script.show(figures.per_item_strip, overlap, workspace.focus_dim, script.corpus.texts, item)


@measured(False)
def ranks_of(result: Analysis, item: int) -> NeighborRanks:
    """Where one text's neighbors stand at every width."""
    return neighbor_ranks(result.embedded.matrix, item, result.sweep)


def bump_code(workspace: Workspace, item: int) -> Script:
    script = Script(workspace)
    ranks = script.let("ranks", neighbor_ranks, script.matrix, item, script.analysis().sweep)
    return script.show(figures.neighbor_bump, ranks, Code("[corpus.texts[j] for j in ranks.neighbors]"), workspace.k)
