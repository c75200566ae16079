"""Adaptor: can a frozen model, not trained for it, be made truncatable?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import adaptor as page
from mrl_viz.ui.charts import chart, code_shown, errors_shown, plain
from mrl_viz.ui.workspace import require_workspace

st.title("Can these vectors be made truncatable?")
st.markdown(
    "An adaptor is a small map learnt from vectors alone: the model stays as it is. Vectors go through it, and then a "
    "prefix is kept. It is fitted on most of your texts and judged on others, beside two rivals: the raw prefix, and "
    "SVD."
)
workspace = require_workspace()
choice = page.choose_adaptor(workspace)
if choice is None:
    st.stop()
with errors_shown():
    fit = page.adaptor_fit(workspace, choice)
if fit is None:
    code_shown(page.adaptor_code(workspace, choice))
    st.stop()
st.markdown(f"**{plain(fit.takeaway())}**")
page.fit_facts(fit)
if fit.n_held_out_queries:
    st.subheader("Ranking quality, for queries it has not seen")
    chart(
        figures.adaptor_curves(fit, "ndcg", workspace.focus_dim),
        key="adaptor_ndcg",
        takeaway=fit.takeaway(),
        rows=fit.rows(),
    )
st.subheader("Neighbors kept, of texts it has not seen")
chart(
    figures.adaptor_curves(fit, "overlap", workspace.focus_dim),
    key="adaptor_overlap",
    takeaway=fit.overfitting(),
    rows=fit.rows(),
)
st.subheader("Is it worth it?")
chart(figures.adaptor_gains(fit), key="adaptor_gains", takeaway=fit.takeaway(), rows=page.verdict_rows(fit))
if fit.stages:
    st.subheader("How the training went")
    chart(figures.adaptor_losses(fit), key="adaptor_losses", takeaway=fit.training_takeaway(), rows=fit.loss_rows())
st.subheader("Take it with you")
with errors_shown():
    page.keep_adaptor(workspace, fit)
st.caption(
    "The Neighbors page now shows this adaptor as a further line among the controls, on texts it was not fitted on."
)
code_shown(page.adaptor_code(workspace, choice))
