"""Parts of the Start page: one text and its nearest ones, cut live; what is kept and what stays as useful."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import streamlit as st

from mrl_viz.analysis import Analysis
from mrl_viz.data.corpus import Corpus
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.embedding.encoders.api import is_paid
from mrl_viz.errors import InvalidInputError
from mrl_viz.export import scripts
from mrl_viz.measures.lists import nearest_level, neighbor_lists
from mrl_viz.tasks.curves import MetricCurve
from mrl_viz.tasks.summary import MOST_ITEMS, MOST_JUDGED, WidthSummary, task_curve
from mrl_viz.tasks.task import available_tasks
from mrl_viz.truncation import FloatMatrix
from mrl_viz.ui import thumbnails
from mrl_viz.ui.charts import small_print
from mrl_viz.ui.code import Script
from mrl_viz.ui.models import encode_one
from mrl_viz.ui.results import measured, with_queries
from mrl_viz.ui.selection import Subject, current_item, shortened
from mrl_viz.ui.workspace import Workspace

# Texts listed at each width, and characters of each, which an ellipsis cuts where there is less room.
N_LISTED, ROW_CHARACTERS, TEXT_CHARACTERS = 4, 160, 130
BYTES_PER_FLOAT32 = 4
# Of the strip: pixels across at least, its width by its height, and the share of a faded colour that is left.
STRIP_PIXELS, STRIP_RATIO, EDGE_PIXELS, FADED = 1024, 28, 4, 0.16
# Colours end at this percentile of size: one outlying coordinate would turn all others white.
STRIP_PERCENTILE = 99.5
WHITE, RED, BLUE, GREY, ORANGE = (
    np.array(color, dtype=float) for color in ((247,) * 3, (178, 24, 43), (33, 102, 172), (140,) * 3, (213, 94, 0))
)
WORDS = (
    "A model turns a text into a list of numbers, its **embedding**. Its **width** is how many of them are kept. Texts "
    "whose lists point the same way are **neighbors**. Move the focus width (on a phone behind »): which of them stay?"
)


def subject_of(workspace: Workspace, result: Analysis) -> Subject:
    """The text to look at: typed, chosen, or one that keeps as many neighbors as most."""
    if not workspace.is_ready:
        typed = st.text_input(
            "Type a sentence of your own", key="own_sentence", placeholder="Type your own sentence",
            label_visibility="collapsed",
        )  # fmt: skip
        if text := (typed or "").strip():
            return Subject(encode_one(workspace.model, text, "document"), text)
    item = current_item(workspace, _usual(result))
    return Subject(workspace.embedded.matrix[item], workspace.corpus.texts[item], item)


def _usual(result: Analysis) -> int:
    """The text that keeps the median share of its neighbors at about a quarter of the width."""
    overlap = result.overlap
    kept = overlap.per_item[nearest_level(overlap.dims, overlap.dims[-1] / 4)]
    return int(kept.argsort(kind="stable")[len(kept) // 2])


def opening(workspace: Workspace, result: Analysis) -> None:
    """One text, its vector cut at the focus width, and its nearest texts before and after."""
    focus, full_dim, corpus = workspace.focus_dim, workspace.embedded.full_dim, workspace.corpus
    with st.container(border=True, gap="small"):
        left, whole, short = st.columns([4, 5, 5], gap="medium")
        with left:
            subject = subject_of(workspace, result)
            thumbnails.show(corpus, subject.item)
            st.text(shortened(subject.text, TEXT_CHARACTERS))
        k = min(N_LISTED, corpus.n_items - (subject.item is not None))
        own = None if subject.item is None else np.array([subject.item])
        lists = neighbor_lists(workspace.embedded.matrix, subject.vector[None], sorted({focus, full_dim}), k, own=own)
        before, after = lists[-1, 0].tolist(), lists[0, 0].tolist()
        with whole:
            st.markdown(f"**Nearest at {full_dim}**, all its numbers")
            _listed(corpus, before, [""] * k)
        with short:
            st.markdown(f"**Nearest at {focus}**")
            _listed(corpus, after, ["" if item in before else "new: " for item in after])
        st.image(
            cut_strip(subject.vector, focus),
            width="stretch",
            output_format="PNG",
            alt="the numbers of this text's vector, those after the focus width faded",
        )
        small_print(
            f"{focus} of {full_dim} numbers, {focus * BYTES_PER_FLOAT32:,} of {full_dim * BYTES_PER_FLOAT32:,} bytes; "
            f"{sum(item in before for item in after)} of these {k} texts stay.",
            *corpus.check.flattering,
        )


def cut_strip(vector: FloatMatrix, dim: int) -> npt.NDArray[np.uint8]:
    """A vector as a strip, a coordinate a bar, red below 0 and blue above; those after the first `dim` faded.

    An image (height, width, 3): a chart would take a browser a tenth of a second at every move.
    """
    sizes = np.abs(vector)
    share = (sizes / (np.percentile(sizes, STRIP_PERCENTILE) or 1.0)).clip(max=1.0)[:, None]
    colors = WHITE + share * (np.where(vector[:, None] < 0, RED, BLUE) - WHITE)
    colors[dim:] = GREY + FADED * (colors[dim:] - GREY)
    bars = np.repeat(colors, -(-STRIP_PIXELS // len(vector)), axis=0).round().astype(np.uint8)
    edge = min(len(bars) * dim // len(vector), len(bars) - 1)
    if dim < len(vector):
        bars[edge : edge + EDGE_PIXELS] = ORANGE
    return np.repeat(bars[None], len(bars) // STRIP_RATIO, axis=0)


def _listed(corpus: Corpus, items: Sequence[int], notes: Sequence[str]) -> None:
    """One line each; what is cut off is shown where the pointer rests."""
    with st.container(gap=thumbnails.gap(corpus)):
        for rank, (item, note) in enumerate(zip(items, notes), start=1):
            with thumbnails.beside(corpus, item):
                st.text(f"{rank} {note}{shortened(corpus.texts[item], ROW_CHARACTERS)}", wrap=False)


def summary(workspace: Workspace, result: Analysis) -> WidthSummary:
    """The same neighbors, and the same usefulness where the data have labels for it."""
    task = judged_by(workspace)
    if task is None:
        return _summary(result, None)
    vectors = with_queries(workspace) if task == "retrieval" else workspace.embedded
    return _summary(result, _useful(vectors, task, workspace.dims))


def judged_by(workspace: Workspace) -> str | None:
    """What usefulness is judged by; not by queries that nobody agreed to pay for."""
    tasks = available_tasks(workspace.corpus)
    if is_paid(workspace.model) and not workspace.is_ready:
        tasks = tuple(task for task in tasks if task != "retrieval")
    return tasks[0] if tasks else None


@measured(False)
def _summary(result: Analysis, useful: MetricCurve | None) -> WidthSummary:
    return WidthSummary(result.overlap, useful)


@measured("Judging every width by the labels…")
def _useful(vectors: Embedded, kind: str, dims: tuple[int, ...]) -> MetricCurve | None:
    try:
        return task_curve(vectors, dims=dims, kind=kind, most_judged=MOST_JUDGED, most_items=MOST_ITEMS)
    except InvalidInputError:  # labels that cannot judge: Task quality says why
        return None


def start_code(workspace: Workspace, shown: WidthSummary) -> Script:
    """Both curves again."""
    return scripts.start_code(workspace, None if shown.useful is None else judged_by(workspace))


def marks(workspace: Workspace) -> tuple[int, tuple[int, ...]]:
    """The focus width, and the widths that the model was trained at."""
    return workspace.focus_dim, workspace.trained
