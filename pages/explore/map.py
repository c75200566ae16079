"""Map: where do texts move?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import map as page
from mrl_viz.ui.charts import code_shown, draw
from mrl_viz.ui.results import analysis
from mrl_viz.ui.selection import take_points
from mrl_viz.ui.workspace import require_workspace

st.title("Where do texts move?")
workspace = require_workspace()
method = st.segmented_control(
    "Method", ["PCA", "UMAP"], default="PCA", key="method", bind="query-params", required=True,
    help="PCA: one basis for all widths, at once. UMAP: neighborhoods, on request, beside its own noise.",
)  # fmt: skip
color_by, column = page.choose_colors(workspace)
maps = page.pca(analysis(workspace), page.map_dims(workspace)) if method == "PCA" else page.umap(workspace)

texts, options = workspace.corpus.texts, page.figure_options(workspace, color_by, column)
draw(
    "map", figures.map_animation, maps, texts, **options, focus_dim=workspace.focus_dim,
    on_select=take_points,
)  # fmt: skip
st.caption(
    "A picture of two coordinates illustrates; the numbers on other pages come from the true vectors. Trustworthiness "
    "and continuity say how far this one can be believed. Play runs in your browser; select points, or several with "
    "the lasso, to see their trails."
)
code_shown(page.map_code(workspace, method, color_by, column))

st.subheader("Side by side")
draw(
    "panels", figures.map_panels, maps, texts, **options, on_select=take_points,
    takeaway=f"{maps.takeaway()} Above each panel: true neighbors shown, T trustworthiness, C continuity.",
)  # fmt: skip
