"""Anatomy: what does truncating do to one vector?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import anatomy as page
from mrl_viz.ui.charts import draw
from mrl_viz.ui.frame import title
from mrl_viz.ui.results import result_or_none
from mrl_viz.ui.workspace import current_workspace

title("What does truncating do to one vector?", "embedding", "width", "norm", "renormalise", "cosine")
workspace = current_workspace()
focus = workspace.focus_dim
subject = page.subject_of(workspace)
anatomy = page.vector_anatomy(subject.vector, dims=workspace.dims)
result = result_or_none(workspace)
shown = page.summary_of(workspace, result)
page.full_text(subject.text)

draw(
    "strip", figures.coordinate_strip, anatomy, focus, takeaway=anatomy.takeaway_at(focus),
    code=page.anatomy_code(workspace, subject, shown),
)  # fmt: skip
draw(
    "dolls", figures.nested_dolls, anatomy, focus, shown, alt=page.DOLLS,
    takeaway=anatomy.dolls_takeaway(focus), on_select=page.take_doll,
)  # fmt: skip
st.caption("A click on a doll moves the focus width to it.")
draw("norms", figures.prefix_norms, anatomy, focus, takeaway=anatomy.norms_takeaway(focus), alt=page.NORMS)

st.subheader("Two texts at every width, with and without renormalising")
st.write(
    "A search that computes dot products of cut vectors without bringing their length back to 1 does not compute "
    "cosines. It is the most reported mistake with truncated embeddings: scores shrink, differently for every text, "
    "and the order changes."
)
other = page.other_item(workspace, result)
page.full_text(workspace.corpus.texts[other])
pair = page.pair_by_width(subject.vector, workspace.embedded.matrix[other])
draw(
    "pair", figures.pair_curve, pair, focus, takeaway=pair.takeaway_at(focus), alt=pair.takeaway(),
    code=page.pair_code(workspace, subject, other),
)  # fmt: skip

st.subheader("Which words does that come from?")
page.words_part(workspace, subject, other)

st.subheader("An API's short vectors against the full ones cut here")
if page.is_api(workspace):
    short = page.api_short(workspace, subject)
    if short is not None:
        draw("short", figures.short_vectors, short)
else:
    page.simulated_part(workspace)
st.caption("Agreement shows that the API cuts and renormalises as we do. It says nothing about what truncation loses.")

st.subheader("Why the first coordinates carry more")
st.write(
    "A Matryoshka model is trained with its loss on several prefixes at once, each with its own weight. Every prefix "
    "has to work alone, so what matters most moves to the front. An ordinary model has no reason to order its "
    "coordinates."
)
st.latex(r"\mathcal{L}=\sum_{m\in\mathcal{M}} c_m\,\mathcal{L}\!\left(\frac{x_{1:m}}{\lVert x_{1:m}\rVert}\right)")
