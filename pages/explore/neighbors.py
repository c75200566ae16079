"""Neighbors: do neighbors survive?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import evidence
from mrl_viz.ui import neighbors as page
from mrl_viz.ui.charts import chart, code_shown, errors_shown, plain
from mrl_viz.ui.results import analysis, every_width, neighbor_ranks
from mrl_viz.ui.selection import chosen_in_chart
from mrl_viz.ui.workspace import require_workspace

st.title("Do neighbors survive?")
workspace = require_workspace()
focus, trained = workspace.focus_dim, workspace.embedded.matryoshka_dims or ()
with errors_shown():
    result = analysis(workspace.embedded, workspace.dims, workspace.k)
    every = page.every_width_wanted()
    overlap = every_width(workspace.embedded, workspace.k) if every else result.overlap

chart(
    figures.overlap_curve(overlap, focus, trained),
    key="overlap_curve",
    takeaway=overlap.takeaway(),
    rows=overlap.rows(),
)
code_shown(page.overlap_code(workspace, every))

st.subheader("Is it really Matryoshka?")
with errors_shown():
    controls = evidence.controls(workspace)
if controls is not None:
    st.markdown(f"**{plain(controls.takeaway())}**")
    chart(
        figures.controls_curve(controls, focus, trained), key="controls_curve", takeaway=controls.takeaway(),
        rows=evidence.control_rows(controls),
    )  # fmt: skip
    for note in controls.notes:
        st.caption(plain(note))
    if controls.nestedness is not None:
        chart(
            figures.nestedness_bars(controls.nestedness), key="nestedness", takeaway=controls.nestedness.takeaway(),
            rows=controls.nestedness.rows(),
        )  # fmt: skip
    code_shown(evidence.controls_code(workspace, controls.nestedness is not None))

st.subheader("At every list length")
chart(
    figures.overlap_by_k(result.overlap), key="overlap_by_k", takeaway=result.overlap.k_takeaway(focus),
    rows=result.overlap.k_rows(),
)  # fmt: skip
code_shown(page.by_k_code(workspace))

st.subheader(f"Which texts? At {focus} dims")
item = page.extremes(workspace, result)
chart(
    figures.per_item_strip(result.overlap, focus, workspace.corpus.texts, item), key="per_item",
    takeaway=result.overlap.item_takeaway(focus), rows=page.item_rows(workspace, result),
    on_select=chosen_in_chart("per_item"),
)  # fmt: skip
code_shown(page.per_item_code(workspace, item))
page.change_cards(workspace, result, item)

st.subheader("Where this text's neighbors go")
ranks = neighbor_ranks(result, item)
chart(
    figures.neighbor_bump(ranks, page.texts_of(workspace, ranks.neighbors), workspace.k), key="bump",
    takeaway=ranks.takeaway(), rows=ranks.rows(),
)  # fmt: skip
code_shown(page.bump_code(workspace, item))
