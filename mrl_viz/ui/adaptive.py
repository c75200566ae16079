"""Parts of the Adaptive classification page: train heads, choose a label column, examples with their texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from mrl_viz import figures
from mrl_viz.heads.adaptive import AdaptiveClassification, classify_adaptively
from mrl_viz.heads.adaptive import coarse_against_fine as coarse_against_fine
from mrl_viz.heads.training import HeadTraining
from mrl_viz.ui.background import Report, Stopped, asked_for
from mrl_viz.ui.charts import metrics, stop_with
from mrl_viz.ui.code import Code, Script
from mrl_viz.ui.results import is_of_sample
from mrl_viz.ui.selection import shortened
from mrl_viz.ui.shipped import answer_key, at_hand
from mrl_viz.ui.workspace import Workspace

CELL_CHARACTERS = 160
MOST_COLUMNS = 3
FIXED, LEARNT = "The vectors' own prefixes", "A projection learnt before the prefix"


@dataclass(frozen=True)
class Heads:
    """What is asked of the page: label columns, and whether a projection is learnt before the prefix."""

    columns: tuple[str, ...]
    learns_projection: bool


def choose_heads(workspace: Workspace) -> Heads:
    """The label columns and what the heads read; a sentence ends the page where nothing can be classified."""
    labels = workspace.corpus.labels
    usable = sorted(
        (name for name, values in labels.items() if 2 <= len(set(values) - {None, ""}) < len(values)),
        key=lambda name: len(set(labels[name])),
    )
    if not usable:
        what = "Your data have no label column."
        if labels:
            what = "Its label columns have one class, or no text twice in a class."
        stop_with(
            f"{what} Adaptive classification needs texts with labels, such as a topic, with "
            "several texts in each class."
        )
    left, right = st.columns(2)
    columns = left.multiselect(
        "Label columns", usable, default=list(dict.fromkeys((usable[0], usable[-1]))), key="adaptive_labels",
        max_selections=MOST_COLUMNS, help="Two columns, coarse and fine, show whether coarse labels exit earlier.",
    )  # fmt: skip
    space = right.radio(
        "What the heads read", (LEARNT, FIXED), key="adaptive_space",
        help="Your vectors' own prefixes say what these embeddings give as they are, but then MRL's heads share "
        "nothing and equal separate ones. Behind a learnt projection all widths are trained together, as in the paper.",
    )  # fmt: skip
    if not columns:
        stop_with("Choose a label column.")
    return Heads(tuple(columns), space == LEARNT)


def adaptive_result(workspace: Workspace, heads: Heads, code: Script) -> tuple[AdaptiveClassification, ...]:
    """The result for each column, coarsest first, once asked for; before, the page ends with a sentence or progress."""
    words = f"Train the heads on {workspace.corpus.n_items:,} texts"
    made_of = (heads, workspace.dims)
    return asked_for(
        f"adaptive {answer_key(workspace.embedded, *made_of)}", ("Train again", words), "train_heads",
        lambda report, stopped: _train(workspace, heads, report, stopped),
        "Seven texts in ten of each class train the heads; on the others thresholds are learnt and measured, over 30 "
        "random splits. Takes some seconds and runs beside the page.", code,
        at_hand=at_hand(tuple[AdaptiveClassification, ...], "adaptive", workspace, *made_of),
        is_shared=is_of_sample(workspace.embedded),
    )  # fmt: skip


def _train(workspace: Workspace, heads: Heads, report: Report, stopped: Stopped) -> tuple[AdaptiveClassification, ...]:
    return classify_adaptively(
        workspace.embedded.matrix, {name: workspace.corpus.labels[name] for name in heads.columns}, workspace.dims,
        training=HeadTraining(projection=heads.learns_projection),
        progress=lambda done, total: report(done, total, f"{done} of {total} sets of heads trained"), cancelled=stopped,
    )  # fmt: skip


def adaptive_code(workspace: Workspace, heads: Heads) -> Script:
    script = Script(workspace)
    labels = Code(f"{{name: {script.corpus}.labels[name] for name in {list(heads.columns)!r}}}")
    training = script.call(HeadTraining, projection=heads.learns_projection)
    results = script.let("results", classify_adaptively, script.matrix, labels, workspace.dims, training=training)
    fine = script.assign("fine", f"{results}[-1]")
    script.say(fine)
    if len(heads.columns) > 1:
        script.show(figures.exits_by_label, results)
    return script.show(figures.accuracy_by_width, fine).show(figures.exit_shares, fine)


def choose_label(results: tuple[AdaptiveClassification, ...]) -> AdaptiveClassification:
    names = [result.label for result in results]
    if len(names) == 1:
        return results[0]
    chosen = st.segmented_control("Label column", names, default=names[-1], key="adaptive_label", required=True)
    return results[names.index(str(chosen)) if chosen in names else -1]


def cost_metrics(result: AdaptiveClassification) -> None:
    """What the cascade reads, what it costs when every head up to the exit is run, and what an oracle would read."""
    cascade = result.cascade
    (width, width_sd), (accuracy, accuracy_sd) = cascade.expected_dim, cascade.accuracy
    every = "each head up to the exit reads its own prefix"
    oracle = f"knows the smallest right one; {cascade.oracle_accuracy[0]:.1%} right"
    metrics(
        ("Expected width", f"{width:.1f}", f"± {width_sd:.1f} over {cascade.n_splits} splits"),
        ("Accuracy", f"{accuracy:.1%}", f"± {accuracy_sd:.1%}"),
        ("Coordinates read, all heads", f"{cascade.cumulative_dim[0]:.1f}", every),
        ("Oracle's width", f"{cascade.oracle_dim[0]:.1f}", oracle),
        framed=True,
    )


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
