"""Choose a dimension: the smallest plan whose lower confidence bound meets a target."""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import choose as page
from mrl_viz.ui import precision
from mrl_viz.ui.charts import code_shown, draw, hint, plain, small_print, table
from mrl_viz.ui.workspace import require_workspace

st.title("Which is the smallest plan that is good enough?")
workspace = require_workspace()
measured = page.measured_plans(workspace)
small_print(measured.takeaway())
options = page.choose_options(measured)
decision = page.choose(measured, **options)
page.decision_shown(decision)
table(page.runner_up_rows(decision), key="plans")

st.subheader("Quality against bytes and time")
st.caption(
    "Faint plans are beaten by another in quality, memory, disk and time at once. Whiskers reach down to the 95 % "
    "lower bounds: all plans whose bound reaches a target set beforehand truly reach it. Open markers rerank, from "
    "vectors that lie on disk; colour is the measured median time of a query."
)
draw("pareto", figures.pareto, decision)

st.subheader("What if the list were longer, or the target another?")
draw("sensitivity", figures.sensitivity_heatmap, decision.sensitivity)

st.subheader("Storage")
storage = page.storage_of(decision)
if storage is not None:
    st.markdown(plain(storage.takeaway()))
    st.code(storage.formula, language=None)
    table(page.storage_rows(storage), key="storage")
else:
    hint("No plan, no storage: relax a budget or the target.")

st.subheader("What more vectors do to it")
st.caption(
    "Overlap with the full width, measured again on parts of the texts, each part of the next. What lies beyond the "
    "texts there are is extrapolated along two curves, with an interval; nobody has seen it."
)
grown = page.corpus_size_of(workspace, decision)
if grown is not None:
    draw("corpus_size", figures.corpus_size_curve, grown)

st.subheader("Deploy it")
page.snippet_shown(decision)

st.subheader("The decision record")
st.caption(
    "Data fingerprint, model, plan, evidence and caveats, for a reader who was not there; the JSON is what "
    "`search --plan` takes."
)
page.record_buttons(decision, grown, storage)
code_shown(page.decision_code(workspace, measured, options, grown))
precision.section(workspace)
