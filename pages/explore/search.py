"""Search lab: what would a search return at each width, and with shortlist + rerank?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import search as page
from mrl_viz.ui.charts import chart, code_shown, errors_shown, plain, table
from mrl_viz.ui.workspace import require_workspace

st.title("What would a search return at each width?")
workspace = require_workspace()
with errors_shown():
    query = page.choose_query(workspace)
    found = page.results_by_width(workspace, query)
st.caption(plain(f"{page.search_takeaway(workspace, found)} Arrows compare with the rank at full width."))
table(page.result_rows(workspace, found), key="search_results")

st.subheader("Shortlist at a small width, rerank at a large one")
with errors_shown():
    measured_with = page.probes_of(workspace)
    plan = page.design(workspace, measured_with)
    curve = page.curve_of(workspace, plan, measured_with)
    miss = page.miss_of(workspace, query, plan)
st.markdown(f"**{plain(plan.takeaway())}**")
table(plan.rows(), key="stages")
st.caption(plain(f"{measured_with.takeaway()} Multiply-adds are not latency: both are shown."))
chart(
    figures.shortlist_overlap(curve, plan.stages[0][1]),
    key="shortlist_curve",
    takeaway=curve.takeaway(),
    rows=curve.rows(),
)
st.info(
    plain(miss.takeaway() if miss else "For this query the plan returns every full-width result."),
    icon=":material/search:",
)
code_shown(page.search_code(workspace, plan, curve))

st.subheader("Within a latency budget")
with errors_shown():
    answer = page.latency_dial(workspace, query, measured_with)
if answer is not None:
    st.markdown(f"**{plain(answer.takeaway())}**")
    table(page.adaptive_rows(workspace, answer), key="adaptive_results")
