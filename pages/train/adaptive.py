"""Adaptive classification: how few dims per example, at which thresholds?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import adaptive as page
from mrl_viz.ui.charts import code_shown, draw, headline, table
from mrl_viz.ui.frame import title
from mrl_viz.ui.workspace import require_workspace

title("How few dims does each example need?", "accuracy", "width")
st.markdown(
    "A classifier that is sure after 8 dims need not read 256. The cascade answers at the first width where the "
    "highest probability passes a threshold, and reads on where it does not. The paper reports equal accuracy at up to "
    "14 times smaller expected width, on ImageNet. This page tests that on your labels."
)
workspace = require_workspace()
heads = page.choose_heads(workspace)
code = page.adaptive_code(workspace, heads)
results = page.adaptive_result(workspace, heads, code)
for each in results:
    headline(each.takeaway())

if len(results) > 1:
    st.subheader("Coarse labels and fine ones")
    said = page.coarse_against_fine(results[0], results[-1])
    draw("exits_by_label", figures.exits_by_label, results, takeaway=said, rows=lambda: page.exit_rows(results))
result = page.choose_label(results)

st.subheader("Accuracy against width")
said = result.heads_takeaway()
draw("accuracy_by_width", figures.accuracy_by_width, result, takeaway=said, rows=result.head_rows)
st.subheader("Where the cascade answers")
page.cost_metrics(result)
said = result.cascade.takeaway()
draw("exit_shares", figures.exit_shares, result, takeaway=said, rows=lambda: page.exit_rows([result]))
table(result.cascade_rows(), key="cascades")
st.subheader("Easy and hard examples")
st.caption(
    "Easy: always right, and answered earliest. Hard: answered last, wrong ones first. Right from: the smallest "
    "width whose head is right."
)
table(page.example_rows(workspace, result), key="examples")
code_shown(code)
