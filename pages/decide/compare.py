"""Compare models: which model at which width, per byte?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import compare as page
from mrl_viz.ui.charts import chart, code_shown, errors_shown, plain, table
from mrl_viz.ui.workspace import require_workspace

st.title("Which model at which width, per byte?")
workspace = require_workspace()
chosen = page.choose_models(workspace)
if chosen is None:
    st.stop()
with errors_shown():
    comparison = page.comparison(workspace, chosen)
if comparison is None:
    st.stop()
st.markdown(f"**{plain(comparison.takeaway())}**")
for note in comparison.notes:
    st.caption(plain(note))
table(comparison.model_rows(), key="compared")

if comparison.metric is not None:
    st.subheader("Task quality against bytes per vector")
    chart(
        figures.quality_per_byte(comparison),
        key="quality_per_byte",
        takeaway=comparison.takeaway(),
        rows=comparison.rows(),
    )
st.subheader("Agreement with oneself against bytes per vector")
st.caption(
    "Overlap with a model's own full-width neighbors says what truncation loses, not which model is better: a model "
    "that agrees with itself may be consistently wrong. Models are ranked by task quality only."
)
chart(
    figures.overlap_per_byte(comparison),
    key="overlap_per_byte",
    takeaway=comparison.self_takeaway(),
    rows=comparison.rows(),
)
st.subheader("Do the models agree with each other?")
chart(
    figures.n2o_heatmap(comparison),
    key="n2o",
    takeaway=comparison.agreement_takeaway(),
    rows=comparison.agreement_rows(),
)
st.subheader(f"One {'text' if comparison.is_self else 'query'}'s neighbors side by side")
side = page.side_by_side(workspace, comparison)
st.caption(plain(side.takeaway()))
table(page.side_rows(workspace, side), key="side_by_side")
page.report_button(comparison)
code_shown(page.comparison_code(workspace, chosen, comparison))
