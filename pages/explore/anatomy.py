"""Anatomy: what does truncating do to one vector?"""

import streamlit as st

from mrl_viz import figures, ui

st.title("What does truncating do to one vector?")
workspace, focus = ui.workspace(), ui.workspace().focus_dim
with ui.errors_shown():
    text, vector, anatomy = ui.anatomy_of(workspace)
    result = ui.result_or_none(workspace)
ui.full_text(text)

st.subheader("The coordinates, cut and renormalised")
ui.chart(figures.coordinate_strip(anatomy, focus), key="strip", takeaway=anatomy.takeaway(), rows=anatomy.rows())

st.subheader("A doll in a doll for each width")
ui.chart(figures.nested_dolls(anatomy, focus), key="dolls", takeaway=anatomy.dolls_takeaway(), rows=anatomy.rows())

st.subheader("The norm before and after renormalising")
ui.chart(figures.prefix_norms(anatomy, focus), key="norms", takeaway=anatomy.norms_takeaway(), rows=anatomy.rows())
ui.code_shown(ui.ANATOMY_CODE)

st.subheader("Two texts at every width, with and without renormalising")
st.write(
    "A search that computes dot products of cut vectors without bringing their length back to 1 does not compute cosines. It is "
    "the most reported mistake with truncated embeddings: scores shrink, differently for every text, and the order changes."
)
with ui.errors_shown():
    other, pair = ui.compared_pair(workspace, vector, result)
ui.full_text(other)
ui.chart(figures.pair_curve(pair, focus), key="pair", takeaway=pair.takeaway(), rows=pair.rows())
ui.code_shown(ui.PAIR_CODE)

with ui.errors_shown():
    short = ui.api_short(workspace, text, vector)
if short is not None:
    st.subheader("The API's short vector against the full one cut here")
    ui.chart(figures.short_vectors(short), key="short", takeaway=short.takeaway(), rows=short.rows())
    st.caption(
        "Agreement shows that the API cuts and renormalises as we do. It says nothing about what truncation loses."
    )

st.subheader("Why the first coordinates carry more")
st.write(
    "A Matryoshka model is trained with its loss on several prefixes at once, each with its own weight. Every prefix has to work "
    "alone, so what matters most moves to the front. An ordinary model has no reason to order its coordinates."
)
st.latex(r"\mathcal{L}=\sum_{m\in\mathcal{M}} c_m\,\mathcal{L}\!\left(\frac{x_{1:m}}{\lVert x_{1:m}\rVert}\right)")
