"""Start: what am I looking at?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import disk, neighbors
from mrl_viz.ui import start as page
from mrl_viz.ui.charts import draw, headline
from mrl_viz.ui.frame import title
from mrl_viz.ui.keeping import offer_to_keep
from mrl_viz.ui.results import result_or_none
from mrl_viz.ui.sources import choose_data, data_check, model_card, too_few
from mrl_viz.ui.workspace import current_workspace

title("What does each embedding width keep?", "embedding", "width", "neighbor", "overlap", "nDCG", "interval")
workspace = current_workspace()
result = result_or_none(workspace)
st.markdown(page.WORDS)
disk.caveat(workspace)
if result is not None:
    page.opening(workspace, result)
    shown = page.summary(workspace, result)
    headline(shown.takeaway_at(workspace.focus_dim))
else:
    too_few(workspace)
curve, own = st.columns([8, 5], gap="medium")
if result is not None:
    with curve:
        draw(
            "start_curve", figures.kept_and_useful, shown, *page.marks(workspace), is_said=True,
            code=page.start_code(workspace, shown),
        )  # fmt: skip
with own:
    choose_data()

left, right = st.columns([3, 2])
with left:
    st.subheader("Data check")
    data_check(workspace)
    offer_to_keep()
with right:
    st.subheader("Model")
    model_card(workspace)
if workspace.source.n_sampled is not None:
    disk.whole(workspace)
elif result is not None:
    neighbors.big_numbers(result.overlap, workspace.focus_dim)
