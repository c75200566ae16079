"""Train MRL: how do nested losses make a model truncatable?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import training as page
from mrl_viz.ui.charts import code_shown, draw, in_tabs
from mrl_viz.ui.frame import title
from mrl_viz.ui.workspace import require_workspace

title("How do nested losses make a model truncatable?", "Matryoshka", "loss", "plain twin", "Spearman", "interval")
workspace = require_workspace()
said = st.container()
st.markdown(
    "A **Matryoshka loss** is the usual loss, computed on several prefixes of the same vector and added up. Whatever "
    "the short prefixes need must then stand at the front. Its **plain twin** starts from the same numbers, sees the "
    "same batches and takes the same steps, but has the loss at full width only. What the two differ in is what "
    "nesting does."
)
page.new_run(workspace)
with st.expander("What the choices do"):
    st.markdown(
        "- **Doubling or even steps**: which widths have a loss. Doubling spends most of them on small widths.\n"
        "- **Weights**: what each width's loss counts. Equal is the original; the smallest twice (2, 1, 1 …) and "
        "α, α² … with α below 1 ask more of small widths.\n"
        "- **All widths in every step**: the original. Every step pays for every width.\n"
        "- **Progressive**: the two smallest widths first, the next larger ones join, all by half of the epochs.\n"
        "- **The full width first**: the same from the other end; the smallest width gets what is left of training.\n"
        "- **Sampled**: some random widths in each step, such as one. Cheaper steps, noisier losses.\n"
        "- **Scores of pairs** are learnt by CoSENT: of two pairs, the one with the higher score shall have the higher "
        "cosine. What is held out is judged by Spearman. Other data have in-batch negatives.\n\n"
        "The projection starts as a random rotation, so neither model inherits an order of coordinates. A static table "
        "or a whole model that was trained with a Matryoshka loss before keeps its order: then even the plain twin "
        "truncates well, and the page says so."
    )

st.divider()
status = page.choose_run()
run, epochs = page.finished_run(workspace, status)
with said:
    page.verdict(run)
st.subheader("The Matryoshka model against its plain twin")
page.twin_numbers(run)
comparison = run.comparison


def twin_part() -> None:
    st.caption(
        f"{comparison.measure} on {comparison.n_items} held-out items that neither model was trained on; intervals are "
        "95 % over them. With a star: the two differ at 5 %, Holm-adjusted over the widths."
    )
    draw("twin_curves", figures.twin_curves, comparison, is_said=True)
    draw("twin_gain", figures.twin_gain, comparison, takeaway=comparison.gain_takeaway())
    page.losses(epochs)


in_tabs("train_part", {
    "Nested or plain?": twin_part,
    "What 8.3 % keeps": lambda: page.kept_part(run),
    "Trained alone": lambda: page.alone_part(run),
    "Runs laid over each other": lambda: page.overlay_part(run, status, workspace),
})  # fmt: skip
if status is not None:
    st.subheader("Take it with you")
    page.take_away(run)
code_shown(page.training_code(status, run))
