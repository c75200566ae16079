"""Parts of the Adaptive classification page: train heads, choose a label column, examples with their texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import streamlit as st

from mrl_viz import figures
from mrl_viz.embedding.embedded import embed
from mrl_viz.heads.adaptive import DIGIT_DIMS, DIGIT_HEADS, AdaptiveClassification, classify_adaptively
from mrl_viz.heads.adaptive import coarse_against_fine as coarse_against_fine
from mrl_viz.heads.adaptive import exits_by_class as exits_by_class
from mrl_viz.heads.cascade import PAPERS_RULE, Cascade, Confidence, ExitRule
from mrl_viz.heads.training import HeadTraining
from mrl_viz.ui import thumbnails
from mrl_viz.ui.background import Report, Stopped, asked_for
from mrl_viz.ui.charts import metrics, stop_with
from mrl_viz.ui.code import Code, Script
from mrl_viz.ui.results import SAMPLE, is_of_sample, sample
from mrl_viz.ui.selection import shortened
from mrl_viz.ui.shipped import answer_key, at_hand
from mrl_viz.ui.workspace import Source, Workspace

CELL_CHARACTERS = 160
MOST_COLUMNS = 3
DIGITS = "sample:digits-pixels"
ON_DIGITS, ON_DATA = "Handwritten digits", "These data"
FIXED, LEARNT = "The vectors' own prefixes", "A projection learnt before the prefix"
LOSS, PAPER = "Reads least, loses at most", "The paper's"
SURE_BY: dict[str, Confidence] = {"Lead over second": "margin", "Highest": "softmax"}
MOST_POINTS, POINTS_STEP = 5.0, 0.1


@dataclass(frozen=True)
class Heads:
    """What is asked of the page: label columns, and how heads are trained."""

    columns: tuple[str, ...]
    training: HeadTraining


def choose_data(workspace: Workspace) -> Workspace:
    """The digits, at first, beside the sample of texts; else the data of all pages."""
    if workspace.corpus is not sample(SAMPLE):
        return workspace
    chosen = st.segmented_control(
        "Shown on", (ON_DIGITS, ON_DATA), default=ON_DIGITS, required=True, key="adaptive_on",
        help="scikit-learn's digits: 1,797 pictures of 8 × 8 pixels, read by a small network with a head at every "
        "width.",
    )  # fmt: skip
    return _digits(workspace) if chosen == ON_DIGITS else workspace


def _digits(workspace: Workspace) -> Workspace:
    corpus = sample(DIGITS)
    return replace(
        workspace, corpus=corpus, embedded=embed(corpus), dims=DIGIT_DIMS, focus_dim=DIGIT_DIMS[-1],
        source=Source(DIGITS), model="",
    )  # fmt: skip


def choose_heads(workspace: Workspace) -> Heads:
    """The label columns and what the heads read; a sentence ends the page where nothing can be classified."""
    if workspace.corpus is sample(DIGITS):
        return Heads(("digit",), DIGIT_HEADS)
    labels = {name: workspace.corpus.labels[name] for name in workspace.corpus.class_columns}
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
    return Heads(tuple(columns), HeadTraining(projection=space == LEARNT))


def adaptive_result(workspace: Workspace, heads: Heads, code: Script) -> tuple[AdaptiveClassification, ...]:
    """The result for each column, coarsest first, once asked for; before, the page ends with a sentence or progress."""
    words = f"Train the heads on {workspace.corpus.n_items:,} {workspace.corpus.things}"
    made_of = (heads, workspace.dims)
    return asked_for(
        f"adaptive {answer_key(workspace.embedded, *made_of)}", ("Train again", words), "train_heads",
        lambda report, stopped: _train(workspace, heads, report, stopped),
        "Seven texts in ten of each class train the heads; what each answers on parts that it was not trained on is "
        "what thresholds are learnt on. The other three measure. Takes up to a minute and runs beside the page.", code,
        at_hand=at_hand(tuple[AdaptiveClassification, ...], _shipped(workspace), workspace, *made_of),
        is_shared=is_of_sample(workspace.embedded),
    )  # fmt: skip


def _shipped(workspace: Workspace) -> str:
    return "adaptive_digits" if workspace.corpus is sample(DIGITS) else "adaptive"


def _train(workspace: Workspace, heads: Heads, report: Report, stopped: Stopped) -> tuple[AdaptiveClassification, ...]:
    return classify_adaptively(
        workspace.embedded.matrix, {name: workspace.corpus.labels[name] for name in heads.columns}, workspace.dims,
        training=heads.training,
        progress=lambda done, total: report(done, total, f"{done} of {total} sets of heads trained"), cancelled=stopped,
    )  # fmt: skip


def choose_rule() -> ExitRule:
    """When the cascade answers; nothing is trained for it."""
    kind, points, sure = st.columns(3, vertical_alignment="bottom")
    chosen = kind.segmented_control(
        "The cascade's rule", (LOSS, PAPER), default=LOSS, required=True, key="adaptive_rule",
        help="One threshold for all widths, of those that lose no more than this of full width's accuracy the one that "
        "reads least. The paper has one threshold a width, the most accurate of each pair of widths, on the highest "
        "probability.",
    )  # fmt: skip
    if chosen == PAPER:
        return PAPERS_RULE
    lost = points.slider(
        "Points of accuracy to lose", 0.0, MOST_POINTS, 100 * ExitRule().loss, POINTS_STEP, key="adaptive_loss"
    )
    by = sure.segmented_control(
        "Sure by", tuple(SURE_BY), default=next(iter(SURE_BY)), required=True, key="sure_by",
        help="The highest probability, or its lead over the second class.",
    )  # fmt: skip
    return ExitRule(confidence=SURE_BY[str(by)], loss=lost / 100)


def adaptive_code(workspace: Workspace, heads: Heads, rule: ExitRule) -> Script:
    script = Script(workspace)
    labels = Code(f"{{name: {script.corpus}.labels[name] for name in {list(heads.columns)!r}}}")
    training = script.call(HeadTraining, **asdict(heads.training))
    results = script.let("results", classify_adaptively, script.matrix, labels, workspace.dims, training=training)
    how = script.let("rule", ExitRule, kind=rule.kind, confidence=rule.confidence, loss=rule.loss)
    fine = script.assign("fine", f"{results}[-1]")
    script.add(f"print({fine}.takeaway({how}))")
    script.show(figures.exit_shares, Code(f"{fine}.cascade({how})"))
    script.show(figures.accuracy_by_width, fine, Code(f"{fine}.cascades({how})"))
    script.show(figures.class_losses, fine)
    if len(heads.columns) > 1:
        script.show(figures.exits_by_label, results, Code(f"[each.cascade({how}) for each in {results}]"))
        script.show(figures.exits_by_class, script.call(exits_by_class, Code(f"{results}[0]"), fine, how))
    return script


def choose_label(results: tuple[AdaptiveClassification, ...]) -> AdaptiveClassification:
    names = [result.label for result in results]
    if len(names) == 1:
        return results[0]
    chosen = st.segmented_control("Label column", names, default=names[-1], key="adaptive_label", required=True)
    return results[names.index(str(chosen)) if chosen in names else -1]


def cost_metrics(cascade: Cascade) -> None:
    """What the cascade reads, against full width and the best fixed one, and what an oracle would read."""
    full, fixed = cascade.saving_full, cascade.saving_fixed
    level = cascade.dims.index(cascade.fixed_dim)
    metrics(
        ("Expected width", f"{cascade.expected_dim.value:.1f}", f"right for {cascade.accuracy:.1%}"),
        (
            "Times smaller than full width", f"{full.value:.1f}",
            f"[{full.low:.1f}, {full.high:.1f}]; accuracy {cascade.gain_full:+.1%}",
        ),
        (
            f"Than a fixed width of {cascade.fixed_dim}", f"{fixed.value:.1f}",
            f"[{fixed.low:.1f}, {fixed.high:.1f}]; that is right for {cascade.fixed_accuracy[level].value:.1%}",
        ),
        (
            "Oracle's width", f"{cascade.oracle_dim.value:.1f}",
            f"knows the smallest right one; {cascade.oracle_accuracy.value:.1%} right",
        ),
        framed=True,
    )  # fmt: skip


def example_rows(workspace: Workspace, result: AdaptiveClassification, cascade: Cascade) -> list[dict[str, Any]]:
    """The easiest and hardest texts, with what the narrowest and the full width took them for."""
    return [
        thumbnails.cells(workspace.corpus, text=record["row"])
        | {name: value for name, value in record.items() if name != "row"}
        | {"text": shortened(workspace.corpus.texts[record["row"]], CELL_CHARACTERS)}
        for record in result.example_rows(cascade)
    ]


def exit_rows(results: Sequence[AdaptiveClassification], rule: ExitRule) -> list[dict[str, Any]]:
    """One record per label column and width: the share that exits there, and the accuracy of that width alone."""
    return [{"labels": result.label} | row for result in results for row in result.cascade(rule).rows()]
