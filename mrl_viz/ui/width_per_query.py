"""The part of the Search lab that asks whether a width for each query pays."""

from __future__ import annotations

import streamlit as st

from mrl_viz import figures
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import EmptyInputError
from mrl_viz.export.code import Code, Script
from mrl_viz.retrieval.width_prediction import WidthPrediction, predict_widths
from mrl_viz.truncation import FloatMatrix, default_dims
from mrl_viz.ui.charts import draw, hint, plain, small_print
from mrl_viz.ui.results import measured, with_queries
from mrl_viz.ui.workspace import Workspace

# A list that shares eight of ten with full width's.
TARGET = 0.8
# Rules of so many queries are told apart to half a point; where texts search for each other, it is so many texts.
MOST_QUERIES = 2_000
# A rule needs a classifier per width.
MOST_WIDTHS = 12

ABOUT = (
    f"A width suffices where the list shares {TARGET:.0%} with full width's. Each point is a rule that takes the first "
    "width whose predicted probability of that is 30, 50, 70 or 90 %. What it is held against costs as much and knows "
    "nothing: one width for all, or two given to queries at random, whichever keeps more."
)


def part(workspace: Workspace) -> None:
    """Rules that choose a width for each query, judged out of fold; a sentence where queries are too few for that."""
    st.caption(
        "An easy query needs few coordinates, a hard one many: after a search at the smallest width, can one tell? "
        "Rules learnt on four fifths of the queries choose for the others."
    )
    try:
        found = _predicted(workspace.embedded, widths(workspace), workspace.k, with_queries(workspace).queries)
    except EmptyInputError as error:  # the rest of the page goes on
        hint(plain(str(error)))
        return
    draw("width_gain", figures.width_gain, found, code=prediction_code(workspace))
    small_print(ABOUT)


def widths(workspace: Workspace) -> tuple[int, ...]:
    """The widths on all pages, or the usual ones where those are many."""
    if len(workspace.dims) <= MOST_WIDTHS:
        return workspace.dims
    return default_dims(workspace.embedded.full_dim, workspace.embedded.matryoshka_dims)


@measured("Predicting the width of each query…")
def _predicted(vectors: Embedded, dims: tuple[int, ...], k: int, _queries: FloatMatrix | None) -> WidthPrediction:
    if _queries is None:
        return predict_widths(vectors.matrix[:MOST_QUERIES], dims=dims, k=k, target=TARGET)
    return predict_widths(vectors.matrix, _queries[:MOST_QUERIES], dims=dims, k=k, target=TARGET)


def prediction_code(workspace: Workspace) -> Script:
    script, queries = Script(workspace, queries=None), with_queries(workspace).queries
    corpus, asked = script.matrix, script.vectors.queries
    if queries is None and workspace.corpus.n_items > MOST_QUERIES:
        corpus = Code(f"{corpus}[:{MOST_QUERIES}]")
    if queries is not None and len(queries) > MOST_QUERIES:
        asked = Code(f"{asked}[:{MOST_QUERIES}]")
    options = {"dims": widths(workspace), "k": workspace.k, "target": TARGET}
    found = script.let("found", predict_widths, corpus, asked, **options)
    return script.say(found).show(figures.width_gain, found)
