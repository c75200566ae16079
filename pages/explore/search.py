"""Search lab: what would a search return at each width, and with shortlist + rerank?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import search as page
from mrl_viz.ui.charts import code_shown, draw, headline, plain, small_print, table
from mrl_viz.ui.frame import title
from mrl_viz.ui.workspace import require_workspace

title("What would a search return at each width?", "neighbor", "shortlist", "recall", "overlap")
workspace = require_workspace()
query = page.choose_query(workspace)
found = page.results_by_width(workspace, query)
headline(page.search_takeaway(workspace, found))
table(page.result_rows(workspace, found), key="search_results", widths=page.result_widths(found))
small_print("Arrows compare with the rank at full width.")

st.subheader("Shortlist at a small width, rerank at a large one")
measured_with = page.probes_of(workspace)
plan = page.design(workspace, measured_with)
curve = page.curve_of(workspace, plan, measured_with)
miss = page.miss_of(workspace, query, plan)
headline(plan.takeaway())
table(plan.rows(), key="stages")
small_print(f"{measured_with.takeaway()} Multiply-adds are not latency: both are shown.")
draw("shortlist_curve", figures.shortlist_overlap, curve, plan.stages[0][1])
st.info(
    plain(miss.takeaway() if miss else "For this query the plan returns every full-width result."),
    icon=":material/search:",
)
code_shown(page.search_code(workspace, plan))

st.subheader("Exact, and yet not read to the end")
st.caption(
    "What is left of two unit vectors after some coordinates cannot add more to their product than the product of "
    "the norms left: ⟨q, x⟩ ≤ Σⱼ≤ₘ qⱼxⱼ + ‖q_{>m}‖‖x_{>m}‖. A vector whose bound is below the k-th best so far is out, "
    "and no result is lost. The sooner the coordinates that count come, the sooner that happens."
)
draw("still_alive", figures.still_alive, page.early_of(workspace))
code_shown(page.early_code(workspace), key="early_code")

st.subheader("Within a latency budget")
answer = page.latency_dial(workspace, query, measured_with)
if answer is not None:
    headline(answer.takeaway())
    table(page.adaptive_rows(workspace, answer), key="adaptive_results")
