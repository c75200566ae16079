"""Parts of the Start and Neighbors pages: headline, text chooser, kept / lost / gained cards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from mrl_viz.analysis import Analysis
from mrl_viz.measures.overlap import nearest_level, neighbor_changes
from mrl_viz.ui.charts import plain
from mrl_viz.ui.workspace import Workspace

CARD_CHARACTERS = 220
OPTION_CHARACTERS = 90
BYTES_PER_FLOAT32 = 4

SWEEP_CODE = """from mrl_viz.analysis import analyse, embed_corpus
from mrl_viz.reading import read_corpus

corpus = read_corpus("sample")  # or your file
vectors = embed_corpus(corpus, "wordllama", queries=())
result = analyse(vectors, dims=[8, 16, 32, 64, 128, 256], k=10)
"""
OVERLAP_CODE = f"""{SWEEP_CODE}
from mrl_viz import figures

figures.overlap_curve(result.overlap).show()"""
BY_K_CODE = f"""{SWEEP_CODE}
from mrl_viz import figures

figures.overlap_by_k(result.overlap).show()"""
PER_ITEM_CODE = f"""{SWEEP_CODE}
from mrl_viz.measures.overlap import neighbor_changes

print(result.overlap.per_item[result.sweep.at(64)])
print(neighbor_changes(result.sweep, item=0, dim=64))"""
BUMP_CODE = f"""{SWEEP_CODE}
from mrl_viz import figures
from mrl_viz.measures.overlap import neighbor_ranks

ranks = neighbor_ranks(vectors.corpus, 0, result.sweep)
figures.neighbor_bump(ranks, [corpus.texts[j] for j in ranks.neighbors], k=10).show()"""


def headline(result: Analysis) -> None:
    """Overlap at a half, a quarter and an eighth of the width with intervals, bytes per vector, and what it means."""
    overlap, full_dim = result.overlap, result.sweep.full_dim
    cells = st.columns(4)
    for cell, (part, name) in zip(cells, ((2, "½"), (4, "¼"), (8, "⅛"))):
        level = nearest_level(overlap.dims, full_dim / part)
        dim = overlap.dims[level]
        cell.metric(f"Kept at {name} width ({dim} dims)", f"{overlap.overlap[level]:.1%}", border=True)
        cell.caption(
            f"95 %: {overlap.overlap_low[level]:.1%} to {overlap.overlap_high[level]:.1%}, "
            f"{dim * BYTES_PER_FLOAT32:,} bytes a vector"
        )
    cells[3].metric("Bytes per vector, full width", f"{full_dim * BYTES_PER_FLOAT32:,}", border=True)
    cells[3].caption(f"{full_dim} float32 coordinates")
    st.markdown(f"**{plain(overlap.takeaway())}**")


def every_width_wanted() -> bool:
    """Whether the curve should show every integer width."""
    return st.toggle("Every integer width", key="every_width", help="Measures 1, 2, 3, … up to the full width.")


def texts_of(workspace: Workspace, items: Sequence[int]) -> list[str]:
    """The texts of some items."""
    return [workspace.corpus.texts[item] for item in items]


def item_rows(workspace: Workspace, result: Analysis) -> list[dict[str, Any]]:
    """One record per text: how many of its neighbors it keeps at the focus width."""
    values = result.overlap.per_item[result.sweep.at(workspace.focus_dim)]
    return [
        {"id": identifier, "text": text, f"kept at {workspace.focus_dim}": float(value)}
        for identifier, text, value in zip(workspace.corpus.ids, workspace.corpus.texts, values)
    ]


def choose_item(workspace: Workspace, result: Analysis) -> int:
    """The text to look at: the most disturbed, the most stable, or any, found by typing part of it."""
    order = st.segmented_control(
        "Sort texts by", ["Most disturbed", "Most stable", "File order"], default="Most disturbed", key="item_order"
    )
    values = result.overlap.per_item[result.sweep.at(workspace.focus_dim)]
    items = list(range(len(values)))
    if order != "File order":
        items.sort(key=lambda item: (values[item] if order != "Most stable" else -values[item], item))
    texts = workspace.corpus.texts
    chosen: int | None = st.selectbox(
        "Text", items, key="item",
        format_func=lambda item: f"{values[item]:.0%} kept · {texts[item][:OPTION_CHARACTERS]}",
    )  # fmt: skip
    return items[0] if chosen is None else chosen


def change_cards(workspace: Workspace, result: Analysis, item: int) -> None:
    """The chosen text, and its neighbors in three parts: kept, lost, gained."""
    changes = neighbor_changes(result.sweep, item, workspace.focus_dim)
    st.markdown("**The text**")
    st.text(workspace.corpus.texts[item])
    st.caption(plain(changes.takeaway()))
    parts = (("Kept", changes.kept), ("Lost", changes.lost), ("Gained", changes.gained))
    for column, (name, entries) in zip(st.columns(3), parts):
        with column.container(border=True):
            st.markdown(f"**{name}** ({len(entries)})")
            for neighbor, before, after in entries:
                st.caption(_rank_change(before, after))
                text = workspace.corpus.texts[neighbor]
                st.text(text if len(text) <= CARD_CHARACTERS else f"{text[: CARD_CHARACTERS - 1]}…")


def _rank_change(before: int | None, after: int | None) -> str:
    if before is None:
        return f"enters at rank {after}"
    if after is None:
        return f"was rank {before}"
    return f"rank {before} → {after}"
