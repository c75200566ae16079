"""Compare models: which model at which width, per byte?"""

import streamlit as st

from mrl_viz import figures, ui

st.title("Which model at which width, per byte?")
workspace = ui.require_workspace()
models = ui.choose_models(workspace)
if models is None:
    st.stop()
with ui.errors_shown():
    comparison = ui.comparison(workspace, models)
if comparison is None:
    st.stop()
st.markdown(f"**{ui.plain(comparison.takeaway())}**")
for note in comparison.notes:
    st.caption(ui.plain(note))
ui.table(comparison.model_rows(), key="compared")

if comparison.metric is not None:
    st.subheader("Task quality against bytes per vector")
    ui.chart(
        figures.quality_per_byte(comparison),
        key="quality_per_byte",
        takeaway=comparison.takeaway(),
        rows=comparison.rows(),
    )
st.subheader("Agreement with oneself against bytes per vector")
st.caption(
    "Overlap with a model's own full-width neighbors says what truncation loses, not which model is better: a model that agrees "
    "with itself may be consistently wrong. Models are ranked by task quality only."
)
ui.chart(
    figures.overlap_per_byte(comparison),
    key="overlap_per_byte",
    takeaway=comparison.self_takeaway(),
    rows=comparison.rows(),
)
st.subheader("Do the models agree with each other?")
ui.chart(
    figures.n2o_heatmap(comparison),
    key="n2o",
    takeaway=comparison.agreement_takeaway(),
    rows=comparison.agreement_rows(),
)
side = ui.side_by_side(workspace, comparison)
if side is not None:
    st.subheader("One text's neighbors side by side")
    st.caption(ui.plain(side.takeaway()))
    ui.table(ui.side_rows(workspace, side), key="side_by_side")
ui.report_button(comparison)
ui.code_shown(ui.COMPARE_CODE)
