"""Hard cases on the Task quality page: few examples for most classes, and texts that are changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from mrl_viz.data.samples import PLAIN_TWINS
from mrl_viz.embedding.embedded import Embedded, embed
from mrl_viz.embedding.encoders.api import is_paid
from mrl_viz.export import scripts
from mrl_viz.tasks.long_tail import By, LongTail, long_tail, tail_columns
from mrl_viz.tasks.robustness import DROPPED, MISSPELT, Change, Robustness, changes_of, robustness
from mrl_viz.tasks.task import available_tasks
from mrl_viz.training.twins import plain_twin_of
from mrl_viz.ui.background import Report, Stopped, asked_for, steps
from mrl_viz.ui.charts import errors_shown, hint, small_print, stop_with
from mrl_viz.ui.code import Script
from mrl_viz.ui.models import ENCODING, encoder_of
from mrl_viz.ui.results import SAMPLE, is_of_sample, sample, with_queries
from mrl_viz.ui.shipped import answer_key, at_hand
from mrl_viz.ui.workspace import Workspace

BY_NAMES: dict[By, str] = {"mean": "the nearest mean of examples", "example": "the nearest example"}
CHANGE_NAMES: dict[Change, str] = {
    "typos": "typing errors", "dropped words": "dropped words", "paraphrases": "paraphrases",
    "another domain": "another domain's texts",
}  # fmt: skip
ABOUT: dict[Change, str] = {
    "typos": f"Two neighboring letters are swapped in {MISSPELT:.0%} of the words of four letters or more, and the "
    "changed text looks for its own original among all. What the labels judge is asked with changed texts or queries "
    "too; what is searched stays as it is.",
    "dropped words": f"{DROPPED:.0%} of the words are left out, and the changed text looks for its own original among "
    "all. What the labels judge is asked with changed texts or queries too; what is searched stays as it is.",
    "paraphrases": "Of the pairs that people scored as saying the same, each text looks for the other among all of its "
    "language.",
    "another domain": "Texts of another collection lie among these: how many of a text's ten nearest are still of its "
    "own? Where both have the same classes, the foreign texts are named by their neighbors here; else the queries "
    "search among both.",
}
# The sample whose texts are foreign to all other data, and the one whose are foreign to it.
FOREIGN, OTHER_FOREIGN = SAMPLE, "sample:hard"


@dataclass(frozen=True)
class Twin:
    """The plain twin of the model at hand: what to call it in code, and what makes its vectors of the same data."""

    name: str
    made: Callable[[], Embedded]


def plain_twin(workspace: Workspace) -> Twin | None:
    """The twin trained the same way for full width alone, where there is one: of a sample, or of a training here."""
    word = PLAIN_TWINS.get(workspace.source.file)
    if word is not None and workspace.corpus is sample(workspace.source.file):
        return Twin(word, lambda: embed(sample(word)))
    folder = None if workspace.is_ready else plain_twin_of(workspace.model)
    if folder is None:
        return None

    def made() -> Embedded:
        with ENCODING:
            return embed(workspace.corpus, encoder_of(folder))

    return Twin(folder, made)


def has_long_tail(workspace: Workspace) -> bool:
    """Whether a label has enough classes."""
    return bool(tail_columns(workspace.corpus))


def choose_long_tail(workspace: Workspace) -> tuple[str, By]:
    """The label, and what a text goes to."""
    columns = tail_columns(workspace.corpus)
    left, right = st.columns([1, 2], vertical_alignment="bottom") if len(columns) > 1 else (None, st)
    column = columns[0] if left is None else left.selectbox("Label", columns, key="tail_column")
    by: By = right.segmented_control(
        "Named by", [*BY_NAMES], format_func=BY_NAMES.__getitem__, default="mean", key="tail_by",
        required=True,
    )  # fmt: skip
    return column, by


def few_examples(workspace: Workspace, column: str, by: By) -> LongTail:
    """Few-shot accuracy with a long tail of classes, some of them added later."""
    twin = plain_twin(workspace)
    made_of = (workspace.dims, column, by, *(() if twin is None else (twin.name,)))

    def measure(report: Report, stopped: Stopped) -> LongTail:
        return long_tail(
            workspace.embedded, dims=workspace.dims, column=column, by=by, twin=None if twin is None else twin.made(),
            seed=0, progress=steps(report, stopped, "Widths measured"),
        )  # fmt: skip

    with errors_shown():
        return asked_for(
            f"long tail {answer_key(workspace.embedded, *made_of)}", ("", "Measure few examples"), "measure_tail",
            measure, "Examples are drawn a hundred times, which takes seconds for a thousand texts.", starts=True,
            at_hand=at_hand(LongTail, "long_tail", workspace, *made_of), is_shared=is_of_sample(workspace.embedded),
        )  # fmt: skip


def about_long_tail(found: LongTail) -> None:
    """What was drawn, under the figure."""
    shots, share = ", ".join(map(str, found.shots[:5])), len(found.shots) // found.n_novel + 1
    st.caption(
        f"In each of {found.n_draws} draws the classes are ranked at random, and the largest gives the most examples: "
        f"{shots} … 1, falling as one over the rank (Zipf). One class in {share} is added after the "
        f"others, by {found.novel_shots} examples; nothing is trained again. The other {found.things} are "
        f"named. Intervals: 95 % over {found.things}; other draws move a value by a hundredth or two."
    )
    small_print(*found.notes)


def _choose_change(workspace: Workspace) -> tuple[Change, str | None]:
    """How texts are changed, and the task that judges, None for none; where nothing can be changed, a sentence ends
    the page."""
    corpus = workspace.corpus
    changes = changes_of(corpus)
    cannot = (
        f"These {corpus.things} came as ready vectors, and no model here can embed a changed one: typing errors, "
        "dropped words and another domain's texts need texts and their model."
    )
    if not changes:
        stop_with(cannot)
    if workspace.is_ready:
        hint(cannot)
    elif is_paid(workspace.model):
        stop_with("Changed texts are not sent to a paid API. Choose a model that runs on this machine to measure them.")
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    change: Change = left.segmented_control(
        "What is changed", changes, format_func=CHANGE_NAMES.__getitem__, default=changes[0], key="change",
        required=True,
    )  # fmt: skip
    tasks = available_tasks(corpus)
    if change == "paraphrases" or not tasks:
        return change, None
    task = tasks[0]
    if len(tasks) > 1 and change != "another domain":
        task = right.segmented_control("Judged by", tasks, default=tasks[0], key="changed_task", required=True)
    return change, task


def changed(workspace: Workspace) -> tuple[Robustness, str | None]:
    """What a change of the texts leaves at every width, and the task that was asked for."""
    change, task = _choose_change(workspace)
    twin, foreign = plain_twin(workspace), _foreign(workspace, change)
    made_of = (change, task, workspace.dims, *(() if twin is None else (twin.name,)))
    vectors = with_queries(workspace) if task == "retrieval" else workspace.embedded

    def measure(report: Report, stopped: Stopped) -> Robustness:
        others = None if twin is None else twin.made()
        with ENCODING:
            return robustness(
                vectors, change, dims=workspace.dims, task=task,
                model=None if workspace.is_ready else encoder_of(workspace.model), twin=others,
                foreign=None if foreign is None else sample(foreign), seed=0,
                progress=steps(report, stopped, "Changed texts embedded"), cancelled=stopped,
            )  # fmt: skip

    with errors_shown():
        return asked_for(
            f"robustness {answer_key(workspace.embedded, *made_of)}", ("", "Measure changed texts"), "measure_changed",
            measure, "Changed texts are embedded, which takes a large model some seconds.", starts=True,
            at_hand=at_hand(Robustness, f"robustness_{change.replace(' ', '_')}", workspace, *made_of),
            is_shared=is_of_sample(workspace.embedded),
        ), task  # fmt: skip


def _foreign(workspace: Workspace, change: Change) -> str | None:
    """The sample whose texts are foreign to these."""
    if change != "another domain":
        return None
    return OTHER_FOREIGN if workspace.corpus is sample(FOREIGN) else FOREIGN


def about_change(found: Robustness) -> None:
    """What was changed, under the figure."""
    draws = f", each {found.n_draws} times" if found.n_draws > 1 else ""
    st.caption(f"{ABOUT[found.change]} {found.n_changed:,} texts{draws}. Intervals: 95 % over them.")
    small_print(*found.notes)


def long_tail_code(workspace: Workspace, found: LongTail) -> Script:
    twin = plain_twin(workspace)
    return scripts.long_tail_code(workspace, found.column, found.by, None if twin is None else twin.name)


def robustness_code(workspace: Workspace, found: Robustness, task: str | None) -> Script:
    twin = plain_twin(workspace)
    name, foreign = None if twin is None else twin.name, _foreign(workspace, found.change)
    return scripts.robustness_code(workspace, found.change, task, name, foreign)
