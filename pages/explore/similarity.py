"""Similarity: how do scores drift with the width?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import similarity as page
from mrl_viz.ui.charts import chart, code_shown, errors_shown, plain, table
from mrl_viz.ui.neighbors import texts_of
from mrl_viz.ui.results import analysis
from mrl_viz.ui.selection import chosen_in_table
from mrl_viz.ui.workspace import require_workspace

st.title("How do similarities drift with the width?")
workspace = require_workspace()
focus = workspace.focus_dim
with errors_shown():
    result = analysis(workspace.embedded, workspace.dims, workspace.k)
    pairs = page.chosen_pairs(workspace, result)
    band = page.band(workspace, pairs)
    density, movers, flips = page.at_focus(workspace)

st.subheader("Chosen pairs over all pairs")
chart(
    figures.similarity_curves(band, page.pair_texts(workspace, pairs), focus), key="band", takeaway=band.takeaway(),
    rows=band.rows() + band.pair_rows(),
)  # fmt: skip
code_shown(page.band_code(workspace, pairs))

st.subheader(f"{focus} dims against the full width")
chart(figures.density_heatmap(density), key="density", takeaway=density.takeaway(), rows=density.rows())
st.caption("A shift or a rescaling changes every score and no ranking; what is left around the line reorders.")
code_shown(page.density_code(workspace))

st.subheader("Full, truncated, difference")
order, column = page.choose_order(workspace)
with errors_shown():
    matrices = page.matrices(workspace, order, column)
chart(
    figures.similarity_heatmaps(matrices, texts_of(workspace, matrices.items)), key="matrices",
    takeaway=f"{matrices.sample_note()} {matrices.takeaway()}", rows=matrices.rows(),
)  # fmt: skip
code_shown(page.matrices_code(workspace, order, column))

st.subheader("The biggest movers, beside pairs like them")
st.caption(plain(movers.takeaway()))
table(
    page.mover_rows(workspace, movers), key="movers",
    on_select=chosen_in_table("movers_table", [pair[0] for pair in movers.pairs]),
)  # fmt: skip

st.subheader("Whose nearer neighbor changes")
st.caption(plain(flips.takeaway()))
table(
    page.flip_rows(workspace, flips), key="flips",
    on_select=chosen_in_table("flips_table", [flip[0] for flip in flips.flips]),
)  # fmt: skip
code_shown(page.movers_code(workspace))

st.subheader("What a fixed threshold means")
st.write("Scores at different widths are not comparable: a threshold tuned at one width keeps other pairs at another.")
with errors_shown():
    meaning = page.threshold(workspace)
chart(figures.threshold_shift(meaning, focus), key="threshold_shift", takeaway=meaning.takeaway(), rows=meaning.rows())
code_shown(page.threshold_code(workspace, meaning))
