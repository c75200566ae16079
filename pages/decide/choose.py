"""Choose a dimension: the smallest plan whose lower confidence bound meets a target."""

import streamlit as st

from mrl_viz import figures, ui

st.title("Which is the smallest plan that is good enough?")
workspace = ui.require_workspace()
with ui.errors_shown():
    measured = ui.measured_plans(workspace)
if measured is None:
    st.stop()
st.caption(ui.plain(measured.takeaway()))
with ui.errors_shown():
    decision = ui.chosen_plan(measured)
ui.decision_shown(decision)
ui.table(ui.runner_up_rows(decision), key="plans")

st.subheader("Quality against bytes and time")
st.caption(
    "Faint plans are beaten by another in quality, bytes and time at once. Whiskers reach down to the 95 % lower bounds, which hold "
    "for all plans together. Open markers rerank; colour is the measured median time of a query."
)
ui.chart(figures.pareto(decision), key="pareto", takeaway=decision.takeaway(), rows=decision.rows())

st.subheader("What if the list were longer, or the target another?")
ui.chart(
    figures.sensitivity_heatmap(decision.sensitivity), key="sensitivity", takeaway=decision.sensitivity.takeaway(),
    rows=decision.sensitivity.rows(),
)  # fmt: skip

st.subheader("Storage")
storage = ui.storage_of(decision)
if storage is not None:
    st.markdown(ui.plain(storage.takeaway()))
    st.code(storage.formula, language=None)
    ui.table(ui.storage_rows(storage), key="storage")
else:
    st.info("No plan, no storage: relax a budget or the target.", icon=":material/info:")

st.subheader("What more vectors do to it")
st.caption(
    "Overlap with the full width, measured again on parts of the texts, each part of the next. What lies beyond the texts there "
    "are is extrapolated along two curves, with an interval; nobody has seen it."
)
with ui.errors_shown():
    grown = ui.crowding_of(workspace, decision)
if grown is not None:
    ui.chart(figures.crowding_curve(grown), key="crowding", takeaway=grown.takeaway(), rows=grown.rows())

st.subheader("Deploy it")
ui.snippet_shown(decision)

st.subheader("The decision record")
st.caption(
    "Data fingerprint, model, plan, evidence and caveats, for a reader who was not there; the JSON is what `search --plan` takes."
)
ui.record_buttons(decision, grown, storage)
ui.code_shown(ui.CHOOSE_CODE)
