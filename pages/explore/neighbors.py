"""Neighbors: do neighbors survive?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import evidence
from mrl_viz.ui import neighbors as page
from mrl_viz.ui.charts import draw, headline, in_tabs, small_print
from mrl_viz.ui.frame import title
from mrl_viz.ui.results import analysis, every_width
from mrl_viz.ui.selection import take_points, texts_of
from mrl_viz.ui.workspace import require_workspace

title("Do neighbors survive?", "neighbor", "overlap", "chance", "interval", "controls")
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
    code = page.overlap_code(workspace, every)
    draw("overlap_curve", figures.overlap_curve, shown, focus, trained, height=360, is_said=True, code=code)
with beside:
    page.changes_beside(workspace, result, item)


def is_it_matryoshka() -> None:
    controls = evidence.controls(workspace, result)
    if controls is None:
        return
    headline(controls.takeaway())
    draw(
        "controls_curve", figures.controls_curve, controls, focus, trained, is_said=True,
        rows=lambda: evidence.control_rows(controls), code=evidence.controls_code(workspace, controls),
    )  # fmt: skip
    small_print(*controls.notes)
    if controls.nestedness is not None:
        draw("nestedness", figures.nestedness_bars, controls.nestedness, is_said=True)
    if evidence.wants_order():
        learnt = evidence.learnt_order(workspace)
        said = learnt.order_takeaway(focus)
        draw("order", figures.coordinate_order, learnt, focus, takeaway=said, rows=learnt.rows)


def by_length() -> None:
    narrowest = overlap.k_takeaway(overlap.dims[0])
    code = page.by_k_code(workspace)
    draw("overlap_by_k", figures.overlap_by_k, overlap, takeaway=narrowest, rows=overlap.k_rows, code=code)


def which_texts() -> None:
    st.subheader(f"Which {workspace.corpus.things}? At {focus} dims")
    page.extremes(workspace, result)
    draw(
        "per_item", figures.per_item_strip, overlap, focus, workspace.corpus.texts, item,
        takeaway=overlap.item_takeaway(focus), rows=lambda: page.item_rows(workspace, result),
        on_select=take_points, code=page.per_item_code(workspace, item),
    )  # fmt: skip
    page.full_text(workspace, item)


def where_they_go() -> None:
    ranks = page.ranks_of(result, item)
    code = page.bump_code(workspace, item)
    draw("bump", figures.neighbor_bump, ranks, texts_of(workspace, ranks.neighbors), workspace.k, code=code)


in_tabs("neighbors_tab", {
    "Is it really Matryoshka?": is_it_matryoshka, "Every list length": by_length, "Which texts?": which_texts,
    "Where they go": where_they_go,
})  # fmt: skip
