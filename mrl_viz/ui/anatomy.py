"""Parts of the Anatomy page: the text taken apart, a second text, the API's own short vector."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from mrl_viz import figures
from mrl_viz.analysis import Analysis
from mrl_viz.embedding.encoders.api import is_paid
from mrl_viz.errors import EmptyInputError
from mrl_viz.export import scripts
from mrl_viz.measures.anatomy import (
    ShortVectorAgreement,
    api_short_vs_local_short,
    short_vectors_over_texts,
    simulated_short,
)
from mrl_viz.measures.anatomy import pair_by_width as pair_by_width
from mrl_viz.measures.anatomy import vector_anatomy as vector_anatomy
from mrl_viz.measures.words import without_each_word, word_influence
from mrl_viz.tasks.summary import WidthSummary
from mrl_viz.truncation import truncate_and_normalize
from mrl_viz.ui.charts import draw, headline, hint, plain, table
from mrl_viz.ui.code import Script
from mrl_viz.ui.models import DEFAULT_MODEL, encode_all, encode_one
from mrl_viz.ui.selection import Subject, current_item, find_text, selected_subject, selection, shortened, typed_subject
from mrl_viz.ui.sidebar import ask_for
from mrl_viz.ui.start import judged_by, summary
from mrl_viz.ui.workspace import Workspace

# Of charts whose sentence follows the focus width and whose picture does too; a browser would draw them twice.
DOLLS = "a doll in a doll for each width, with its bytes and the energy that it holds"
WORDS = "words against widths: what the cosine of both texts loses without each word"
# Of an API's short vectors: what it might do, and how many texts are looked at.
SIMULATED: dict[str, dict[str, Any]] = {
    "cut and renormalise": {}, "only cut": {"renormalizes": False}, "cut, renormalise, round to 8 bits": {"bits": 8},
}  # fmt: skip
MOST_SIMULATED = 2000
NORMS = "the norm of each prefix before and after renormalising, and the energy that it keeps"


def subject_of(workspace: Workspace) -> Subject:
    """The text to take apart: typed, selected, or the first."""
    if workspace.is_ready:
        st.caption("Ready vectors come without a model, so no sentence can be typed here.")
    elif typed := typed_subject(
        workspace, "Type a sentence to take it apart", key="typed_sentence", placeholder="or look at a text of the data"
    ):
        return typed
    return selected_subject(workspace)


def other_item(workspace: Workspace, result: Analysis | None) -> int:
    """A second text, by default the first one's nearest neighbor."""
    item = current_item(workspace)
    chosen = selection(workspace)
    default = chosen[1] if len(chosen) > 1 else int(result.sweep.indices[-1, item, 0]) if result else item
    start = st.session_state.get("compare_with")
    other = find_text(workspace, "Compare with", key="compare_with", chosen=default if start is None else start)
    return default if other is None or other >= workspace.corpus.n_items else other


def is_api(workspace: Workspace) -> bool:
    """Whether an API can be asked for short vectors."""
    return is_paid(workspace.model) and not workspace.is_ready


def api_short(workspace: Workspace, subject: Subject) -> ShortVectorAgreement | None:
    """The API's own short vector against the full one cut here, on request."""
    model, dim = workspace.model, workspace.focus_dim
    if not st.button(f"Ask the API for {dim} dims of this text", key="ask_short"):
        return None
    theirs = encode_one(f"{model.split('@')[0]}@{dim}", subject.text)
    return api_short_vs_local_short(theirs, truncate_and_normalize(subject.vector[None], dim)[0])


def summary_of(workspace: Workspace, result: Analysis | None) -> WidthSummary | None:
    """What the widths keep over all texts; None where there are too few."""
    return None if result is None else summary(workspace, result)


def take_doll(key: str) -> None:
    """What the chart calls when a doll is clicked: its width becomes the focus width."""
    for point in st.session_state[key]["selection"]["points"]:
        ask_for("focus", int(np.ravel(point["customdata"])[0]))


def words_part(workspace: Workspace, subject: Subject, other: int) -> None:
    """Each word's part in the cosine of both texts: at once for a static table, else when it is asked for."""
    if workspace.is_ready:
        st.caption("Ready vectors come without a model, so no word can be left out.")
        return
    try:
        words, texts = without_each_word(subject.text)
    except EmptyInputError as error:  # the rest of the page goes on
        hint(plain(str(error)))
        return
    if is_paid(workspace.model):
        st.caption(f"The API would be sent {len(words)} texts; choose a model on this machine.")
        return
    # The default model is a table of token vectors: leaving out a word takes no model run.
    if workspace.model != DEFAULT_MODEL and not st.toggle(
        f"Embed this text {len(words)} times, each time without one word", key="leave_words_out"
    ):
        return
    rows = encode_all(workspace.model, texts)
    focus = workspace.focus_dim
    found = word_influence(words, subject.vector, rows, workspace.embedded.matrix[other], dims=workspace.dims)
    draw(
        "words", figures.word_influence_map, found, focus, takeaway=found.takeaway_at(focus), alt=WORDS,
        code=scripts.words_code(workspace, subject.item, other),
    )  # fmt: skip


def simulated_part(workspace: Workspace) -> None:
    """What an API's short vectors would say over all texts, made here and called so; for models on this machine."""
    dim, rows = workspace.focus_dim, workspace.embedded.matrix[:MOST_SIMULATED]
    st.caption(
        "No API was asked: these short vectors are simulated here, from this model's full ones, in three ways that an "
        "API may go. To check a real one, record its vectors: `mrl_viz embed` writes them, `mrl_viz evaluate "
        "--api-short` compares."
    )
    found = {
        words: short_vectors_over_texts(
            simulated_short(rows, dim, **options), truncate_and_normalize(rows, dim), origin="simulated here"
        )
        for words, options in SIMULATED.items()
    }
    records = [
        {"the API would": words, "mean cosine": one.cosine.value, "lowest": one.lowest_cosine,
         "wMAPE": f"{one.wmape.value:.2%}", "texts apart": one.n_turned, "of other length": one.n_other_length}
        for words, one in found.items()
    ]  # fmt: skip
    headline(next(iter(found.values())).takeaway())
    table(records, key="simulated")


def full_text(text: str) -> None:
    """A text as it is, long ones cut."""
    st.text(shortened(text, 600))


def anatomy_code(workspace: Workspace, subject: Subject, shown: WidthSummary | None) -> Script:
    task = None if shown is None or shown.useful is None else judged_by(workspace)
    return scripts.anatomy_code(workspace, subject.item, summarises=shown is not None, task=task)


def pair_code(workspace: Workspace, subject: Subject, other: int) -> Script:
    return scripts.pair_code(workspace, subject.item, other)
