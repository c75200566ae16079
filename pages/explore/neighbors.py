"""Neighbors: do neighbors survive?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import evidence
from mrl_viz.ui import neighbors as page
from mrl_viz.ui.charts import code_shown, draw, headline, small_print
from mrl_viz.ui.results import analysis, every_width
from mrl_viz.ui.selection import take_points, texts_of
from mrl_viz.ui.workspace import require_workspace

st.title("Do neighbors survive?")
workspace = require_workspace()
focus, trained = workspace.focus_dim, workspace.trained
result = analysis(workspace)
every = st.toggle("Every integer width", key="every_width", help="Measures 1, 2, 3, … up to the full width.")
overlap = every_width(workspace.embedded, workspace.k) if every else result.overlap
draw("overlap_curve", figures.overlap_curve, overlap, focus, trained)
code_shown(page.overlap_code(workspace, every), "overlap_curve")

st.subheader("Is it really Matryoshka?")
controls = evidence.controls(workspace, result)
if controls is not None:
    headline(controls.takeaway())
    draw(
        "controls_curve", figures.controls_curve, controls, focus, trained,
        rows=lambda: evidence.control_rows(controls),
    )  # fmt: skip
    small_print(*controls.notes)
    if controls.nestedness is not None:
        draw("nestedness", figures.nestedness_bars, controls.nestedness)
    code_shown(evidence.controls_code(workspace, controls), "controls_curve")

overlap = result.overlap
st.subheader("At every list length")
draw(
    "overlap_by_k", figures.overlap_by_k, overlap, takeaway=overlap.k_takeaway(focus),
    alt=overlap.k_takeaway(overlap.dims[0]), rows=overlap.k_rows,
)  # fmt: skip
code_shown(page.by_k_code(workspace), "overlap_by_k")

st.subheader(f"Which texts? At {focus} dims")
item = page.extremes(workspace, result)
draw(
    "per_item", figures.per_item_strip, overlap, focus, workspace.corpus.texts, item,
    takeaway=overlap.item_takeaway(focus), rows=lambda: page.item_rows(workspace, result),
    on_select=take_points,
)  # fmt: skip
code_shown(page.per_item_code(workspace, item), "per_item")
page.change_cards(workspace, result, item)

st.subheader("Where this text's neighbors go")
ranks = page.ranks_of(result, item)
draw("bump", figures.neighbor_bump, ranks, texts_of(workspace, ranks.neighbors), workspace.k)
code_shown(page.bump_code(workspace, item), "bump")
