"""Neighbors: do neighbors survive?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import evidence
from mrl_viz.ui import neighbors as page
from mrl_viz.ui.charts import code_shown, draw, headline, in_tabs, small_print
from mrl_viz.ui.results import analysis, every_width
from mrl_viz.ui.selection import take_points, texts_of
from mrl_viz.ui.workspace import require_workspace

st.title("Do neighbors survive?")
workspace = require_workspace()
focus, trained = workspace.focus_dim, workspace.trained
result = analysis(workspace)
overlap, item = result.overlap, page.chosen_item(workspace, result)
sentence, asked = st.columns([3, 1], vertical_alignment="center")
with sentence:
    headline(overlap.k_takeaway(focus))
every = asked.toggle("Every integer width", key="every_width", help="Measures 1, 2, 3, … up to the full width.")
curve, beside = st.columns([8, 5], gap="medium")
with curve:
    shown = every_width(workspace.embedded, workspace.k) if every else overlap
    draw("overlap_curve", figures.overlap_curve, shown, focus, trained, height=360)
    code_shown(page.overlap_code(workspace, every), "overlap_curve")
with beside:
    page.changes_beside(workspace, result, item)


def is_it_matryoshka() -> None:
    controls = evidence.controls(workspace, result)
    if controls is None:
        return
    headline(controls.takeaway())
    draw(
        "controls_curve", figures.controls_curve, controls, focus, trained, is_said=True,
        rows=lambda: evidence.control_rows(controls),
    )  # fmt: skip
    small_print(*controls.notes)
    if controls.nestedness is not None:
        draw("nestedness", figures.nestedness_bars, controls.nestedness, is_said=True)
    code_shown(evidence.controls_code(workspace, controls), "controls_curve")


def by_length() -> None:
    narrowest = overlap.k_takeaway(overlap.dims[0])
    draw("overlap_by_k", figures.overlap_by_k, overlap, takeaway=narrowest, rows=overlap.k_rows)
    code_shown(page.by_k_code(workspace), "overlap_by_k")


def which_texts() -> None:
    st.subheader(f"Which texts? At {focus} dims")
    page.extremes(workspace, result)
    draw(
        "per_item", figures.per_item_strip, overlap, focus, workspace.corpus.texts, item,
        takeaway=overlap.item_takeaway(focus), rows=lambda: page.item_rows(workspace, result),
        on_select=take_points,
    )  # fmt: skip
    page.full_text(workspace, item)
    code_shown(page.per_item_code(workspace, item), "per_item")


def where_they_go() -> None:
    ranks = page.ranks_of(result, item)
    draw("bump", figures.neighbor_bump, ranks, texts_of(workspace, ranks.neighbors), workspace.k)
    code_shown(page.bump_code(workspace, item), "bump")


in_tabs("neighbors_tab", {
    "Is it really Matryoshka?": is_it_matryoshka, "Every list length": by_length, "Which texts?": which_texts,
    "Where they go": where_they_go,
})  # fmt: skip
