"""Task quality: does the task still work at a smaller width?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import evidence as page
from mrl_viz.ui.charts import draw, small_print
from mrl_viz.ui.frame import title
from mrl_viz.ui.workspace import require_workspace

title("Does the task still work at a smaller width?", "nDCG", "accuracy", "Spearman", "interval")
workspace = require_workspace()
quality = page.task_quality(workspace)
metrics = page.choose_metrics(quality)
draw(
    "quality", figures.quality_curves, quality, metrics, workspace.focus_dim, alt=quality.takeaway(),
    takeaway=quality.takeaway_at(workspace.focus_dim), code=page.quality_code(workspace, quality, metrics),
)  # fmt: skip
small_print(*quality.notes)
st.caption(
    "Intervals: 95 % bootstrap, paired between widths. With a star: differs from the full width at 5 %, by a paired "
    "test, Holm-adjusted over the widths."
)
st.write(
    "Measured against labels, not against the full-width vectors: a width may move many neighbors and still answer as "
    "well, or the other way round. The absolute value stands beside its share of the full width's, because a share "
    "hides a poor start."
)
