"""Anatomy: what does truncating do to one vector?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import anatomy as page
from mrl_viz.ui.charts import code_shown, draw
from mrl_viz.ui.results import result_or_none
from mrl_viz.ui.workspace import current_workspace

st.title("What does truncating do to one vector?")
workspace = current_workspace()
focus = workspace.focus_dim
subject = page.subject_of(workspace)
anatomy = page.vector_anatomy(subject.vector, dims=workspace.dims)
result = result_or_none(workspace)
page.full_text(subject.text)

st.subheader("The coordinates, cut and renormalised")
draw("strip", figures.coordinate_strip, anatomy, focus)

st.subheader("A doll in a doll for each width")
draw("dolls", figures.nested_dolls, anatomy, focus, takeaway=anatomy.dolls_takeaway())

st.subheader("The norm before and after renormalising")
draw("norms", figures.prefix_norms, anatomy, focus, takeaway=anatomy.norms_takeaway())
code_shown(page.anatomy_code(workspace, subject), "strip")

st.subheader("Two texts at every width, with and without renormalising")
st.write(
    "A search that computes dot products of cut vectors without bringing their length back to 1 does not compute "
    "cosines. It is the most reported mistake with truncated embeddings: scores shrink, differently for every text, "
    "and the order changes."
)
other = page.other_item(workspace, result)
page.full_text(workspace.corpus.texts[other])
draw("pair", figures.pair_curve, page.pair_by_width(subject.vector, workspace.embedded.matrix[other]), focus)
code_shown(page.pair_code(workspace, subject, other), "pair")

short = page.api_short(workspace, subject)
if short is not None:
    st.subheader("The API's short vector against the full one cut here")
    draw("short", figures.short_vectors, short)
    st.caption(
        "Agreement shows that the API cuts and renormalises as we do. It says nothing about what truncation loses."
    )

st.subheader("Why the first coordinates carry more")
st.write(
    "A Matryoshka model is trained with its loss on several prefixes at once, each with its own weight. Every prefix "
    "has to work alone, so what matters most moves to the front. An ordinary model has no reason to order its "
    "coordinates."
)
st.latex(r"\mathcal{L}=\sum_{m\in\mathcal{M}} c_m\,\mathcal{L}\!\left(\frac{x_{1:m}}{\lVert x_{1:m}\rVert}\right)")
