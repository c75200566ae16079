"""Parts of the Start and Neighbors pages: big numbers, extremes, kept / lost / gained of one text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from mrl_viz.analysis import Analysis
from mrl_viz.data.corpus import Corpus
from mrl_viz.export.scripts import bump_code as bump_code
from mrl_viz.export.scripts import by_k_code as by_k_code
from mrl_viz.export.scripts import overlap_code as overlap_code
from mrl_viz.export.scripts import per_item_code as per_item_code
from mrl_viz.measures.lists import (
    NeighborOverlap,
    NeighborRanks,
    nearest_level,
    neighbor_changes,
    neighbor_ranks,
)
from mrl_viz.ui import thumbnails
from mrl_viz.ui.charts import headline, metrics, plain, small_print
from mrl_viz.ui.results import measured
from mrl_viz.ui.selection import current_item, select, selection, shortened
from mrl_viz.ui.workspace import Workspace

ROW_CHARACTERS = 220
TEXT_CHARACTERS = 880
# Of the text beside the curve: about three lines.
BRIEF_CHARACTERS = 110
BYTES_PER_FLOAT32 = 4
N_EXTREMES = 3
# Neighbors kept, lost and gained that are shown unasked, each.
N_ROWS = 3
HOW_TO_READ = (
    "Choose another in the tab *Which texts?*, or by *Find a text*. Beside each neighbor: its rank at full width → at "
    "the focus width."
)
Entry = tuple[int, int | None, int | None]


def big_numbers(overlap: NeighborOverlap, focus_dim: int) -> None:
    """Overlap at about a half, a quarter and an eighth of the width, bytes per vector, and what it means."""
    full_dim, cells = overlap.dims[-1], []
    for level in sorted({nearest_level(overlap.dims, full_dim / part) for part in (2, 4, 8)}, reverse=True):
        dim, kept = overlap.dims[level], overlap.overlap[level]
        note = f"95 %: {kept.low:.1%} to {kept.high:.1%}, {dim * BYTES_PER_FLOAT32:,} bytes a vector"
        cells.append((f"Kept at {dim} dims, {dim / full_dim:.0%} of the width", f"{kept.value:.1%}", note))
    whole = f"{full_dim * BYTES_PER_FLOAT32:,}"
    metrics(*cells, ("Bytes per vector, full width", whole, f"{full_dim} float32 coordinates"), framed=True)
    headline(overlap.meaning(focus_dim))


def item_rows(workspace: Workspace, result: Analysis) -> list[dict[str, Any]]:
    """One record per text: how many of its neighbors it keeps at the focus width."""
    values = result.overlap.per_item[result.sweep.at(workspace.focus_dim)]
    return [
        {"id": identifier, "text": text, f"kept at {workspace.focus_dim}": float(value)}
        for identifier, text, value in zip(workspace.corpus.ids, workspace.corpus.texts, values)
    ]


def chosen_item(workspace: Workspace, result: Analysis) -> int:
    """The selected text, or the one whose neighbors change most at the focus width."""
    return current_item(workspace, _by_kept(workspace, result)[0])


def _by_kept(workspace: Workspace, result: Analysis) -> list[int]:
    """The texts by how many of their neighbors they keep at the focus width, the fewest first."""
    values = result.overlap.per_item[result.sweep.at(workspace.focus_dim)]
    return [int(item) for item in values.argsort(kind="stable")]


def extremes(workspace: Workspace, result: Analysis) -> None:
    """Cards of the most disturbed and the most stable texts, each a button."""
    values = result.overlap.per_item[result.sweep.at(workspace.focus_dim)]
    texts = workspace.corpus.texts
    items = _by_kept(workspace, result)
    n_shown, chosen = min(N_EXTREMES, len(items) // 2), selection(workspace)
    for column, (name, some) in zip(
        st.columns(2), (("Most disturbed", items[:n_shown]), ("Most stable", items[::-1][:n_shown]))
    ):
        with column.container(border=True, gap=thumbnails.gap(workspace.corpus)):
            st.markdown(f"**{name}**")
            for item in some:
                with thumbnails.beside(workspace.corpus, item):
                    st.button(
                        plain(f"{values[item]:.0%} kept: {shortened(texts[item])}"), key=f"extreme_{item}",
                        type="primary" if item in chosen else "tertiary", on_click=select, args=(item,), wrap=False,
                    )  # fmt: skip


def full_text(workspace: Workspace, item: int) -> None:
    st.markdown("**The text** (choose another above, in the picture, or by Find a text)")
    with thumbnails.beside(workspace.corpus, item, thumbnails.ALONE):
        st.text(shortened(workspace.corpus.texts[item], TEXT_CHARACTERS))


def changes_beside(workspace: Workspace, result: Analysis, item: int) -> None:
    """One text's neighbors kept, lost and gained at the focus width, a few rows each, and the others on request."""
    changes = neighbor_changes(result.sweep.indices, result.sweep.dims, item, workspace.focus_dim)
    chosen = "The chosen text" if selection(workspace) else "The most disturbed text"
    with st.container(gap=thumbnails.gap(workspace.corpus)):
        st.markdown(f"**{chosen}**", help=HOW_TO_READ)
        with thumbnails.beside(workspace.corpus, item, thumbnails.ALONE):
            st.text(shortened(workspace.corpus.texts[item], BRIEF_CHARACTERS))
        small_print(changes.takeaway())
        for name, entries in (("Kept", changes.kept), ("Lost", changes.lost), ("Gained", changes.gained)):
            st.markdown(f"**{name}** ({len(entries)})")
            # One more takes no more room than the word for it.
            n_shown = N_ROWS if len(entries) > N_ROWS + 1 else len(entries)
            _rows(workspace.corpus, entries[:n_shown])
            if entries[n_shown:]:
                _more(workspace.corpus, entries[n_shown:], f"more_{name.lower()}")


@st.fragment
def _more(corpus: Corpus, entries: Sequence[Entry], key: str) -> None:
    with st.expander(f"{len(entries)} more", key=key, type="compact", on_change="rerun") as more:
        if more.open:
            with st.container(gap=thumbnails.gap(corpus)):
                _rows(corpus, entries)


def _rows(corpus: Corpus, entries: Sequence[Entry]) -> None:
    """One line each, with its rank at full and at focus width; what is cut off is shown where the pointer rests."""
    for neighbor, before, after in entries:
        with thumbnails.beside(corpus, neighbor):
            text = shortened(corpus.texts[neighbor], ROW_CHARACTERS)
            st.text(f"{before or 'new'} → {after or 'out'}  {text}", wrap=False)


@measured(False)
def ranks_of(result: Analysis, item: int) -> NeighborRanks:
    """Where one text's neighbors stand at every width."""
    return neighbor_ranks(result.embedded.matrix, item, result.sweep)
