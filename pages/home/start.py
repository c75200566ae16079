"""Start: what am I looking at?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import neighbors as page
from mrl_viz.ui.charts import chart, code_shown, errors_shown
from mrl_viz.ui.results import analysis
from mrl_viz.ui.sources import choose_data, data_check, model_card
from mrl_viz.ui.workspace import require_workspace

st.title("What does each embedding width keep?")
workspace = require_workspace()
with errors_shown():
    result = analysis(workspace.embedded, workspace.dims, workspace.k)

page.headline(result)
chart(
    figures.overlap_curve(result.overlap, workspace.focus_dim, workspace.embedded.matryoshka_dims or ()),
    key="start_overlap_curve",
    takeaway=result.overlap.takeaway(),
    rows=result.rows(),
)

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
