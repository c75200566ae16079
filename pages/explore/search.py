"""Search lab: what would a search return at each width, and with shortlist + rerank?"""

import streamlit as st

from mrl_viz import figures, ui

st.title("What would a search return at each width?")
workspace = ui.require_workspace()
with ui.errors_shown():
    query = ui.choose_query(workspace)
    rows = ui.results_side_by_side(workspace, query)
    takeaway = ui.search_takeaway(workspace, query)
st.caption(ui.plain(f"{takeaway} Arrows compare with the rank at full width."))
ui.table(rows, key="search_results")

st.subheader("Shortlist at a small width, rerank at a large one")
with ui.errors_shown():
    plan = ui.design(workspace)
    curve = ui.curve_of(workspace, plan)
    miss = ui.miss_of(workspace, query, plan)
st.markdown(f"**{ui.plain(plan.takeaway())}**")
ui.table(plan.rows(), key="stages")
st.caption(
    "Measured with up to 200 of your own texts as queries, each finding itself too. Multiply-adds are not latency: both are shown."
)
ui.chart(
    figures.shortlist_overlap(curve, plan.stages[0][1]),
    key="shortlist_curve",
    takeaway=curve.takeaway(),
    rows=curve.rows(),
)
st.info(
    ui.plain(miss.takeaway() if miss else "For this query the plan returns every full-width result."),
    icon=":material/search:",
)
ui.code_shown(ui.SHORTLIST_CODE)

st.subheader("Within a latency budget")
with ui.errors_shown():
    answer = ui.latency_dial(workspace, query)
if answer is not None:
    st.markdown(f"**{ui.plain(answer.takeaway())}**")
    ui.table(ui.adaptive_rows(workspace, answer), key="adaptive_results")
