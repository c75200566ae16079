"""Start: what am I looking at?"""

import streamlit as st

from mrl_viz import figures, ui

st.title("What does each embedding width keep?")
workspace = ui.require_workspace()
with ui.errors_shown():
    result = ui.analysis(workspace.embedded, workspace.dims, workspace.k)

ui.headline(result)
ui.chart(
    figures.overlap_curve(result.overlap, workspace.focus_dim, workspace.embedded.matryoshka_dims or ()),
    key="start_overlap_curve",
    takeaway=result.overlap.takeaway(),
    rows=result.rows(),
)

st.subheader("Your own texts")
ui.choose_data()

left, right = st.columns([3, 2])
with left:
    st.subheader("Data check")
    ui.data_check(workspace)
with right:
    st.subheader("Model")
    ui.model_card(workspace)
ui.code_shown(ui.OVERLAP_CODE)
