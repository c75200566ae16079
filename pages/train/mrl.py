"""Train MRL: how do nested losses make a model truncatable?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import training as page
from mrl_viz.ui.charts import code_shown, draw
from mrl_viz.ui.frame import title
from mrl_viz.ui.workspace import require_workspace

title("How do nested losses make a model truncatable?", "loss", "Matryoshka", "width")
workspace = require_workspace()
st.markdown(
    "A **Matryoshka loss** is the usual loss, computed on several prefixes of the same vector and added up. Whatever "
    "the short prefixes need must then stand at the front. Its **plain twin** starts from the same numbers, sees the "
    "same batches and takes the same steps, but has the loss at full width only. What the two differ in is what "
    "nesting does."
)
page.new_run(workspace)
with st.expander("What the schedules do"):
    st.markdown(
        "- **All widths in every step**: the original. Every step pays for every width.\n"
        "- **Progressive**: the two smallest widths first, the next larger ones join, all by half of the epochs.\n"
        "- **The full width first**: the same from the other end; the smallest width gets what is left of training.\n"
        "- **Sampled**: two random widths in each step. Cheaper steps, noisier losses.\n\n"
        "The projection starts as a random rotation, so neither model inherits an order of coordinates. A static table "
        "or a whole model that was trained with a Matryoshka loss before keeps its order: then even the plain twin "
        "truncates well, and the page says so."
    )

st.divider()
status = page.choose_run()
run = page.finished_run(workspace, status)
st.subheader("The Matryoshka model against its plain twin")
page.twin_numbers(run)
comparison = run.comparison
st.caption(
    f"{comparison.measure} on {comparison.n_items} held-out items that neither model was trained on; intervals are 95 "
    "% over them. With a star: the two differ at 5 %, Holm-adjusted over the widths."
)
draw("twin_curves", figures.twin_curves, comparison, is_said=True)
draw("twin_gain", figures.twin_gain, comparison, takeaway=comparison.gain_takeaway())
if status is not None:
    st.subheader("Take it with you")
    page.take_away(run)
code_shown(page.training_code(status, run))
