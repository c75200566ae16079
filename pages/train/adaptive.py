"""Adaptive classification: how few dims per example, at which thresholds?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import adaptive as page
from mrl_viz.ui.charts import chart, code_shown, errors_shown, table
from mrl_viz.ui.workspace import require_workspace

st.title("How few dims does each example need?")
st.markdown(
    "A classifier that is sure after 8 dims need not read 256. The cascade answers at the first width where the "
    "highest probability passes a threshold, and reads on where it does not. The paper reports equal accuracy at up to "
    "14 times smaller expected width, on ImageNet. This page tests that on your labels."
)
workspace = require_workspace()
heads = page.choose_heads(workspace)
if heads is None:
    st.stop()
with errors_shown():
    results = page.adaptive_result(workspace, heads)
if results is None:
    code_shown(page.adaptive_code(workspace, heads))
    st.stop()
page.plain_takeaways(results)

if len(results) > 1:
    st.subheader("Coarse labels and fine ones")
    chart(
        figures.exits_by_label(results), key="exits_by_label",
        takeaway=page.coarse_against_fine(results[0], results[-1]),
        rows=page.exit_rows(results),
    )  # fmt: skip
result = page.choose_label(results)

st.subheader("Accuracy against width")
chart(
    figures.accuracy_by_width(result),
    key="accuracy_by_width",
    takeaway=result.heads_takeaway(),
    rows=result.head_rows(),
)
st.subheader("Where the cascade answers")
page.cost_metrics(result)
chart(figures.exit_shares(result), key="exit_shares", takeaway=result.cascade.takeaway(), rows=page.exit_rows([result]))
table(result.cascade_rows(), key="cascades")
st.subheader("Easy and hard examples")
st.caption(
    "Easy: always right, and answered earliest. Hard: answered last, wrong ones first. `right_from` is the smallest "
    "width whose head is right."
)
table(page.example_rows(workspace, result), key="examples")
code_shown(page.adaptive_code(workspace, heads))
