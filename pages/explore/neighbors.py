"""Neighbors: do neighbors survive?"""

import streamlit as st

from mrl_viz import figures, ui

st.title("Do neighbors survive?")
workspace = ui.require_workspace()
focus, trained = workspace.focus_dim, workspace.embedded.matryoshka_dims or ()
with ui.errors_shown():
    result = ui.analysis(workspace.embedded, workspace.dims, workspace.k)
    overlap = ui.every_width(workspace.embedded, workspace.k) if ui.every_width_wanted() else result.overlap

ui.chart(
    figures.overlap_curve(overlap, focus, trained),
    key="overlap_curve",
    takeaway=overlap.takeaway(),
    rows=overlap.rows(),
)
ui.code_shown(ui.OVERLAP_CODE)

st.subheader("Is it really Matryoshka?")
with ui.errors_shown():
    controls = ui.controls(workspace)
if controls is not None:
    st.markdown(f"**{ui.plain(controls.takeaway())}**")
    ui.chart(
        figures.controls_curve(controls, focus, trained), key="controls_curve", takeaway=controls.takeaway(),
        rows=ui.control_rows(controls),
    )  # fmt: skip
    for note in controls.notes:
        st.caption(ui.plain(note))
    if controls.nestedness is not None:
        ui.chart(
            figures.nestedness_bars(controls.nestedness), key="nestedness", takeaway=controls.nestedness.takeaway(),
            rows=controls.nestedness.rows(),
        )  # fmt: skip
    ui.code_shown(ui.CONTROLS_CODE)

st.subheader("At every list length")
ui.chart(
    figures.overlap_by_k(result.overlap), key="overlap_by_k", takeaway=result.overlap.k_takeaway(focus),
    rows=result.overlap.k_rows(),
)  # fmt: skip
ui.code_shown(ui.BY_K_CODE)

st.subheader(f"Which texts? At {focus} dims")
item = ui.extremes(workspace, result)
ui.chart(
    figures.per_item_strip(result.overlap, focus, workspace.corpus.texts, item), key="per_item",
    takeaway=result.overlap.item_takeaway(focus), rows=ui.item_rows(workspace, result),
    on_select=ui.chosen_in_chart("per_item"),
)  # fmt: skip
ui.code_shown(ui.PER_ITEM_CODE)
ui.change_cards(workspace, result, item)

st.subheader("Where this text's neighbors go")
ranks = ui.neighbor_ranks(result, item)
ui.chart(
    figures.neighbor_bump(ranks, ui.texts_of(workspace, ranks.neighbors), workspace.k), key="bump",
    takeaway=ranks.takeaway(), rows=ranks.rows(),
)  # fmt: skip
ui.code_shown(ui.BUMP_CODE)
