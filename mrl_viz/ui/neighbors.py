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
N_EXTREMES = 3

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
    st.markdown(f"**{plain(overlap.meaning())}**")


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
    """The text to look at: one of the most disturbed or most stable by a press, or any, found by typing part of it."""
    values = result.overlap.per_item[result.sweep.at(workspace.focus_dim)]
    texts = workspace.corpus.texts
    items = sorted(range(len(values)), key=lambda item: (values[item], item))
    n_shown = min(N_EXTREMES, len(items) // 2)
    for column, (name, some) in zip(
        st.columns(2), (("Most disturbed", items[:n_shown]), ("Most stable", items[::-1][:n_shown])), strict=True
    ):
        with column.container(border=True):
            st.markdown(f"**{name}**")
            for item in some:
                st.button(
                    plain(f"{values[item]:.0%} kept: {shortened(texts[item])}"), key=f"extreme_{item}", type="tertiary",
                    on_click=select, args=(item,),
                )  # fmt: skip
    if not 0 <= st.session_state.get("item", -1) < len(texts):
        st.session_state["item"] = items[0]
    chosen: int = st.selectbox(
        "Text", range(len(texts)), key="item", filter_mode="contains",
        format_func=lambda item: f"{values[item]:.0%} kept · {shortened(texts[item])}",
    )  # fmt: skip
    return chosen


def select(item: int) -> None:
    """Choose a text from the next run on."""
    st.session_state["item"] = item


def shortened(text: str) -> str:
    """The text on one line, cut for a list."""
    line = " ".join(text.split())
    return line if len(line) <= OPTION_CHARACTERS else f"{line[: OPTION_CHARACTERS - 1]}…"


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
