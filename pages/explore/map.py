"""Map: where do texts move?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import map as page
from mrl_viz.ui.charts import draw, in_tabs, small_print
from mrl_viz.ui.frame import title
from mrl_viz.ui.selection import take_points
from mrl_viz.ui.workspace import require_workspace

title("Where do texts move?", "PCA", "UMAP", "neighbor", "trustworthiness")
workspace = require_workspace()
with st.container(horizontal=True):
    color_by, column = page.choose_colors(workspace)
    method, maps = page.choose_maps(workspace)
options = page.figure_options(workspace, color_by, column)
code = page.map_code(workspace, method, color_by, column)
page.draw_moving(workspace, method, maps, options, code)


def _worth() -> None:
    small_print(
        "A picture of two coordinates illustrates; the numbers on other pages come from the true vectors. Visible: of "
        "a text's neighbors at that width, by the vectors, the share that is near it in the picture too. "
        "Trustworthiness and continuity, of at most 1, say how far nearness in the picture can be believed.",
        "Play goes from the full width down and takes the focus width along. A selected text has lines to its "
        "neighbors at that width, by the vectors, and a trail whose dots grow with the width. The lasso selects "
        "several.",
    )


def _panels() -> None:
    draw(
        "panels", figures.map_panels, maps, workspace.corpus.texts, **page.selected(workspace, options),
        on_select=take_points,
        takeaway="Above each panel: true neighbors visible, T trustworthiness, C continuity.",
    )  # fmt: skip


in_tabs("map_part", {"How far to believe it": _worth, "Side by side": _panels})
