"""Similarity: how do scores drift with the width?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import similarity as page
from mrl_viz.ui.charts import code_shown, draw, in_tabs, small_print, table
from mrl_viz.ui.frame import title
from mrl_viz.ui.results import analysis
from mrl_viz.ui.selection import take_row, texts_of
from mrl_viz.ui.workspace import require_workspace

title("How do similarities drift with the width?", "cosine", "drift", "Spearman")
workspace = require_workspace()
focus = workspace.focus_dim
result = analysis(workspace)
pairs = page.chosen_pairs(workspace, result)
band = page.band(result, pairs)
texts = tuple(texts_of(workspace, pair) for pair in pairs)
draw(
    "band", figures.similarity_curves, band, texts, focus, takeaway=band.takeaway_at(focus), alt=band.takeaway(),
    rows=lambda: [*band.rows(), *band.pair_rows()], code=page.band_code(workspace, pairs),
)  # fmt: skip


def against_full() -> None:
    draw("density", figures.density_heatmap, page.density(result, focus), code=page.density_code(workspace))
    st.caption("A shift or a rescaling changes every score and no ranking; what is left around the line reorders.")


def heat_maps() -> None:
    order, column = page.choose_order(workspace)
    matrices = page.matrices(workspace.embedded, focus, order, column)
    draw(
        "matrices", figures.similarity_heatmaps, matrices, texts_of(workspace, matrices.items),
        takeaway=f"{matrices.sample_note()} {matrices.takeaway()}", code=page.matrices_code(workspace, order, column),
    )  # fmt: skip


def movers() -> None:
    pairs, triples = page.movers(result, focus)
    st.subheader("The biggest movers, beside pairs like them")
    small_print(pairs.takeaway())
    chosen = take_row([pair[0] for pair in pairs.pairs])
    table(page.with_texts(workspace, pairs, "left", "right"), key="movers", on_select=chosen, widths=page.TEXT_WIDTHS)
    st.subheader("Whose nearer neighbor changes")
    small_print(triples.takeaway())
    chosen = take_row([flip[0] for flip in triples.flips])
    table(page.with_texts(workspace, triples, "text", "a", "b"), key="flips", on_select=chosen, widths=page.TEXT_WIDTHS)
    code_shown(page.movers_code(workspace), "movers")


def threshold() -> None:
    st.write(
        "Scores at different widths are not comparable: a threshold tuned at one width keeps other pairs at another."
    )
    meaning = page.threshold(result)
    draw("threshold_shift", figures.threshold_shift, meaning, focus, code=page.threshold_code(workspace, meaning))


in_tabs("similarity_tab", {
    "Against the full width": against_full, "Full, truncated, difference": heat_maps, "Biggest movers": movers,
    "What a fixed threshold means": threshold,
})  # fmt: skip
