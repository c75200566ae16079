"""Parts of the Adaptive classification page: train heads, choose a label column, examples with their texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import streamlit as st

from mrl_viz.heads.adaptive import AdaptiveClassification, classify_adaptively, coarse_against_fine
from mrl_viz.heads.classifiers import HeadTraining
from mrl_viz.ui.background import Report, begin, finished, task
from mrl_viz.ui.charts import plain
from mrl_viz.ui.selection import shortened
from mrl_viz.ui.workspace import Workspace

__all__ = [
    "adaptive_result",
    "choose_label",
    "coarse_against_fine",
    "cost_metrics",
    "example_rows",
    "exit_rows",
    "plain_takeaways",
]

CELL_CHARACTERS = 160
MOST_COLUMNS = 3
FIXED, LEARNT = "The vectors' own prefixes", "A projection learnt before the prefix"


def adaptive_result(workspace: Workspace) -> tuple[AdaptiveClassification, ...] | None:
    """The result for the chosen label columns, coarsest first, once asked for; None, with a sentence or progress, before."""
    labels = workspace.corpus.labels
    usable = sorted(
        (name for name, values in labels.items() if 2 <= len(set(values) - {None, ""}) < len(values)),
        key=lambda name: len(set(labels[name])),
    )
    if not usable:
        what = (
            "Its label columns have one class, or no text twice in a class."
            if labels
            else "Your data have no label column."
        )
        st.info(
            f"{what} Adaptive classification needs texts with labels, such as a topic, with several texts in each class.",
            icon=":material/info:",
        )  # fmt: skip
        return None
    left, right = st.columns(2)
    columns = left.multiselect(
        "Label columns", usable, default=list(dict.fromkeys((usable[0], usable[-1]))), key="adaptive_labels",
        max_selections=MOST_COLUMNS, help="Two columns, coarse and fine, show whether coarse labels exit earlier.",
    )  # fmt: skip
    space = right.radio(
        "What the heads read", (LEARNT, FIXED), key="adaptive_space",
        help="Your vectors' own prefixes say what these embeddings give as they are, but then MRL's heads share nothing and equal "
        "separate ones. Behind a learnt projection all widths are trained together, as in the paper.",
    )  # fmt: skip
    if not columns:
        st.info("Choose a label column.", icon=":material/info:")
        return None
    learnt, dims = space == LEARNT, workspace.dims
    key = f"adaptive_{workspace.embedded.fingerprint}_{'_'.join(columns)}_{learnt}_{'_'.join(map(str, dims))}"
    if (known := task(key)) is None or not known.is_running:
        words = "Train again" if known else f"Train the heads on {workspace.corpus.n_items:,} texts"
        if st.button(words, key="train_heads", type="primary"):
            begin(key, lambda report, stopped: _train(workspace, tuple(columns), dims, learnt, report, stopped))
            known = task(key)
    if known is None:
        st.info(
            "Seven texts in ten of each class train the heads; on the others thresholds are learnt and measured, over 30 random "
            "splits. Takes some seconds and runs beside the page.", icon=":material/info:",
        )  # fmt: skip
        return None
    return cast("tuple[AdaptiveClassification, ...] | None", finished(key))


def _train(
    workspace: Workspace, columns: tuple[str, ...], dims: tuple[int, ...], learnt: bool, report: Report, stopped: Any
) -> tuple[AdaptiveClassification, ...]:
    return classify_adaptively(
        workspace.embedded.matrix, {name: workspace.corpus.labels[name] for name in columns}, dims,
        training=HeadTraining(projection=learnt),
        progress=lambda done, total: report(done, total, f"{done} of {total} sets of heads trained"), cancelled=stopped,
    )  # fmt: skip


def choose_label(results: tuple[AdaptiveClassification, ...]) -> AdaptiveClassification:
    """Which label column the details are of."""
    names = [result.label for result in results]
    if len(names) == 1:
        return results[0]
    chosen = st.segmented_control("Label column", names, default=names[-1], key="adaptive_label", required=True)
    return results[names.index(str(chosen)) if chosen in names else -1]


def cost_metrics(result: AdaptiveClassification) -> None:
    """What the cascade reads, what it costs when every head up to the exit is run, and what an oracle would read."""
    cascade = result.cascade
    cells = st.columns(4)
    for cell, name, value, note in (
        (
            cells[0],
            "Expected width",
            f"{cascade.expected_dim[0]:.1f}",
            f"± {cascade.expected_dim[1]:.1f} over {cascade.n_splits} splits",
        ),
        (cells[1], "Accuracy", f"{cascade.accuracy[0]:.1%}", f"± {cascade.accuracy[1]:.1%}"),
        (
            cells[2],
            "Coordinates read, all heads",
            f"{cascade.cumulative_dim[0]:.1f}",
            "each head up to the exit reads its own prefix",
        ),
        (
            cells[3],
            "Oracle's width",
            f"{cascade.oracle_dim[0]:.1f}",
            f"knows the smallest right one; {cascade.oracle_accuracy[0]:.1%} right",
        ),
    ):
        cell.metric(name, value, border=True)
        cell.caption(note)


def example_rows(workspace: Workspace, result: AdaptiveClassification) -> list[dict[str, Any]]:
    """The easiest and hardest texts, with what the narrowest and the full width took them for."""
    return [
        {name: value for name, value in record.items() if name != "row"}
        | {"text": shortened(workspace.corpus.texts[record["row"]], CELL_CHARACTERS)}
        for record in result.example_rows()
    ]


def exit_rows(results: Sequence[AdaptiveClassification]) -> list[dict[str, Any]]:
    """One record per label column and width: the share that exits there, and the accuracy of that width alone."""
    return [{"labels": result.label} | row for result in results for row in result.cascade.rows()]


def plain_takeaways(results: tuple[AdaptiveClassification, ...]) -> None:
    """The test of the headline for every label column."""
    for result in results:
        st.markdown(f"**{plain(result.takeaway())}**")
