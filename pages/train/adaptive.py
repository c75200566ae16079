"""Adaptive classification: how few dims per example, at which thresholds?"""

import streamlit as st

from mrl_viz import figures, ui

st.title("How few dims does each example need?")
st.markdown(
    "A classifier that is sure after 8 dims need not read 256. The cascade answers at the first width where the highest "
    "probability passes a threshold, and reads on where it does not. The paper reports equal accuracy at up to 14 times smaller "
    "expected width, on ImageNet. This page tests that on your labels."
)
workspace = ui.require_workspace()
with ui.errors_shown():
    results = ui.adaptive_result(workspace)
if results is None:
    ui.code_shown(ui.ADAPTIVE_CODE)
    st.stop()
ui.plain_takeaways(results)

if len(results) > 1:
    st.subheader("Coarse labels and fine ones")
    ui.chart(
        figures.exits_by_label(results), key="exits_by_label", takeaway=ui.coarse_against_fine(results[0], results[-1]),
        rows=ui.exit_rows(results),
    )  # fmt: skip
result = ui.choose_label(results)

st.subheader("Accuracy against width")
ui.chart(
    figures.accuracy_by_width(result),
    key="accuracy_by_width",
    takeaway=result.heads_takeaway(),
    rows=result.head_rows(),
)
st.subheader("Where the cascade answers")
ui.cost_metrics(result)
ui.chart(
    figures.exit_shares(result), key="exit_shares", takeaway=result.cascade.takeaway(), rows=ui.exit_rows([result])
)
ui.table(result.cascade_rows(), key="cascades")
st.subheader("Easy and hard examples")
st.caption(
    "Easy: always right, and answered earliest. Hard: answered last, wrong ones first. `right_from` is the smallest width whose "
    "head is right."
)
ui.table(ui.example_rows(workspace, result), key="examples")
ui.code_shown(ui.ADAPTIVE_CODE)
