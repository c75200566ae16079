"""Compare models: which model at which width, per byte?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import compare as page
from mrl_viz.ui import precision
from mrl_viz.ui.charts import code_shown, draw, headline, small_print, table
from mrl_viz.ui.frame import title
from mrl_viz.ui.workspace import require_workspace

title("Which model at which width, per byte?", "neighbor", "nDCG", "interval", "code")
workspace = require_workspace()
chosen = page.choose_models(workspace)
comparison = page.comparison(workspace, chosen)
headline(comparison.takeaway())
if comparison.metric is not None:
    draw("quality_per_byte", figures.quality_per_byte, comparison, is_said=True)
table(comparison.model_rows(), key="compared")
small_print(*comparison.notes)
st.subheader("Agreement with oneself against bytes per vector")
st.caption(
    "Overlap with a model's own full-width neighbors says what truncation loses, not which model is better: a model "
    "that agrees with itself may be consistently wrong. Models are ranked by task quality only."
)
draw("overlap_per_byte", figures.overlap_per_byte, comparison, takeaway=comparison.self_takeaway())
st.subheader("Do the models agree with each other?")
said = comparison.agreement_takeaway()
draw("n2o", figures.n2o_heatmap, comparison, takeaway=said, rows=comparison.agreement_rows)
st.subheader(f"One {workspace.corpus.things[:-1] if comparison.is_self else 'query'}'s neighbors side by side")
side = page.side_by_side(workspace, comparison)
small_print(side.takeaway())
table(page.side_rows(workspace, side), key="side_by_side")
page.report_button(comparison)
code_shown(page.comparison_code(workspace, chosen, comparison))
precision.section(workspace)
