"""Similarity: how do scores drift with the width?"""

import streamlit as st

from mrl_viz import figures, ui

st.title("How do similarities drift with the width?")
workspace = ui.require_workspace()
focus = workspace.focus_dim
with ui.errors_shown():
    result = ui.analysis(workspace.embedded, workspace.dims, workspace.k)
    pairs = ui.chosen_pairs(workspace, result)
    band = ui.band(workspace, pairs)
    density, movers, flips = ui.at_focus(workspace)

st.subheader("Chosen pairs over all pairs")
ui.chart(
    figures.similarity_curves(band, ui.pair_texts(workspace, pairs), focus), key="band", takeaway=band.takeaway(),
    rows=band.rows() + band.pair_rows(),
)  # fmt: skip
ui.code_shown(ui.BAND_CODE)

st.subheader(f"{focus} dims against the full width")
ui.chart(figures.density_heatmap(density), key="density", takeaway=density.takeaway(), rows=density.rows())
st.caption("A shift or a rescaling changes every score and no ranking; what is left around the line reorders.")
ui.code_shown(ui.DENSITY_CODE)

st.subheader("Full, truncated, difference")
order, column = ui.choose_order(workspace)
with ui.errors_shown():
    matrices = ui.matrices(workspace, order, column)
ui.chart(
    figures.similarity_heatmaps(matrices, ui.texts_of(workspace, matrices.items)), key="matrices",
    takeaway=f"{matrices.sample_note()} {matrices.takeaway()}", rows=matrices.rows(),
)  # fmt: skip
ui.code_shown(ui.MATRICES_CODE)

st.subheader("The biggest movers, beside pairs like them")
st.caption(ui.plain(movers.takeaway()))
ui.table(
    ui.mover_rows(workspace, movers), key="movers",
    on_select=ui.chosen_in_table("movers_table", [pair[0] for pair in movers.pairs]),
)  # fmt: skip

st.subheader("Whose nearer neighbor changes")
st.caption(ui.plain(flips.takeaway()))
ui.table(
    ui.flip_rows(workspace, flips), key="flips",
    on_select=ui.chosen_in_table("flips_table", [flip[0] for flip in flips.flips]),
)  # fmt: skip
ui.code_shown(ui.MOVERS_CODE)

st.subheader("What a fixed threshold means")
st.write("Scores at different widths are not comparable: a threshold tuned at one width keeps other pairs at another.")
with ui.errors_shown():
    meaning = ui.threshold(workspace)
ui.chart(
    figures.threshold_shift(meaning, focus), key="threshold_shift", takeaway=meaning.takeaway(), rows=meaning.rows()
)
ui.code_shown(ui.THRESHOLD_CODE)
