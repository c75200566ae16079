"""Adaptor: can a frozen model, not trained for it, be made truncatable?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import adaptor as page
from mrl_viz.ui.charts import code_shown, draw, headline
from mrl_viz.ui.frame import title
from mrl_viz.ui.workspace import require_workspace

title("Can these vectors be made truncatable?", "adaptor", "overlap", "SVD")
st.markdown(
    "An adaptor is a small map learnt from vectors alone: the model stays as it is. Vectors go through it, and then a "
    "prefix is kept. It is fitted on most of your texts and judged on others, beside two rivals: the raw prefix, and "
    "SVD."
)
workspace = require_workspace()
choice = page.choose_adaptor(workspace)
code = page.adaptor_code(workspace, choice)
fit = page.adaptor_fit(workspace, choice, code)
headline(fit.takeaway())
page.fit_facts(fit)
if fit.n_held_out_queries:
    st.subheader("Ranking quality, for queries it has not seen")
    draw("adaptor_ndcg", figures.adaptor_curves, fit, "ndcg", workspace.focus_dim)
st.subheader("Neighbors kept, of texts it has not seen")
draw("adaptor_overlap", figures.adaptor_curves, fit, "overlap", workspace.focus_dim, takeaway=fit.overfitting())
st.subheader("Is it worth it?")
draw("adaptor_gains", figures.adaptor_gains, fit, is_said=True, rows=lambda: page.verdict_rows(fit))
if fit.stages:
    st.subheader("How the training went")
    draw("adaptor_losses", figures.adaptor_losses, fit, takeaway=fit.training_takeaway(), rows=fit.loss_rows)
st.subheader("Take it with you")
page.keep_adaptor(workspace, fit)
st.caption(
    "The Neighbors page now shows this adaptor as a further line among the controls, on texts it was not fitted on."
)
code_shown(code)
