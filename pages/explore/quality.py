"""Task quality: does the task still work at a smaller width?"""

import streamlit as st

from mrl_viz import figures, ui

st.title("Does the task still work at a smaller width?")
workspace = ui.require_workspace()
st.write(
    "Measured against labels, not against the full-width vectors: a width may move many neighbors and still answer as well, or "
    "the other way round. The absolute value stands beside its share of the full width's, because a share hides a poor start."
)
with ui.errors_shown():
    quality = ui.task_quality(workspace)
if quality is None:
    st.stop()
metrics = ui.choose_metrics(quality)
ui.chart(
    figures.quality_curves(quality, metrics, workspace.focus_dim), key="quality", takeaway=quality.takeaway(),
    rows=quality.rows(),
)  # fmt: skip
for note in quality.notes:
    st.caption(ui.plain(note))
st.caption(
    "Intervals: 95 % bootstrap, paired between widths. p (Holm): paired test against the full width, adjusted over widths."
)
ui.code_shown(ui.QUALITY_CODE)
