"""Start: what am I looking at?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import neighbors as page
from mrl_viz.ui.charts import code_shown, draw
from mrl_viz.ui.results import analysis
from mrl_viz.ui.sources import choose_data, data_check, model_card
from mrl_viz.ui.workspace import require_workspace

st.title("What does each embedding width keep?")
workspace = require_workspace()
result = analysis(workspace)
overlap = result.overlap
page.big_numbers(overlap)
draw("start_overlap_curve", figures.overlap_curve, overlap, workspace.focus_dim, workspace.trained, rows=result.rows)

st.subheader("Your own texts")
choose_data()

left, right = st.columns([3, 2])
with left:
    st.subheader("Data check")
    data_check(workspace)
with right:
    st.subheader("Model")
    model_card(workspace)
code_shown(page.overlap_code(workspace))
