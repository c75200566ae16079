"""Controls and task quality: cached results and choosers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from mrl_viz.adaptor.importance import ImportanceOrder, learn_importance
from mrl_viz.analysis import Analysis
from mrl_viz.analysis import controls as measure_controls
from mrl_viz.arrangements import ARRANGEMENTS, FITTED, GAMMA, Arrangement
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.export import scripts
from mrl_viz.measures.controls import ControlComparison
from mrl_viz.tasks.between import MOST_BETWEEN, BetweenWidths, between_widths
from mrl_viz.tasks.evaluation import Quality, evaluate
from mrl_viz.tasks.languages import LanguageQuality, by_language, languages_of
from mrl_viz.tasks.summary import MOST_ITEMS
from mrl_viz.tasks.task import available_tasks
from mrl_viz.ui.adaptor import session_adaptor
from mrl_viz.ui.background import Report, Stopped, asked_for, finished, steps
from mrl_viz.ui.charts import errors_shown, stop_with
from mrl_viz.ui.code import Script
from mrl_viz.ui.hybrid import fusion_chosen
from mrl_viz.ui.results import is_of_sample, measured, with_queries
from mrl_viz.ui.shipped import answer_key, at_hand
from mrl_viz.ui.workspace import Workspace

IMPORTANCE = "importance"
# Thirteen sweeps of this many texts take about as long as a page may; more are measured on request.
MOST_UNASKED = 3000
FURTHER = {
    "centred": "PCA, centred", "tempered": "spectral tempering Λ^(−γ/2)Vᵀ", "importance": "learnt order of coordinates",
}  # fmt: skip


def controls(workspace: Workspace, result: Analysis) -> ControlComparison | None:
    """Prefix against random, suffix, SVD and this session's adaptor; above 3,000 texts on request, None until then."""
    n_items = workspace.corpus.n_items
    if n_items > MOST_UNASKED and not st.toggle(
        f"Measure the controls on {n_items:,} {workspace.corpus.things}", key="controls", persist_state="session"
    ):
        return None
    fit, chosen = session_adaptor(workspace), _further_arrangements()
    learned = [] if fit is None else [(fit.adaptor.fingerprint, fit.adaptor.arrangement())]
    if IMPORTANCE in chosen:
        learned.append((IMPORTANCE, learnt_order(workspace).arrangement))
    names, maps = tuple(name for name, _ in learned), tuple(found for _, found in learned)
    return _controls(result, " ".join(names), tuple(name for name in chosen if name != IMPORTANCE), maps)


def wants_order() -> bool:
    """Whether a visitor chose to see the learnt order of coordinates."""
    return IMPORTANCE in st.session_state.get("further_arrangements", ())


def learnt_order(workspace: Workspace) -> ImportanceOrder:
    """The order of coordinates that keeps neighbors best, learnt beside the page; until then the page ends here."""
    made_of = (workspace.dims, workspace.k)

    def learn(report: Report, stopped: Stopped) -> ImportanceOrder:
        narrow = [dim for dim in workspace.dims if dim < workspace.embedded.full_dim]
        return learn_importance(workspace.embedded.matrix, narrow, k=workspace.k, cancelled=stopped)

    return asked_for(
        f"importance {answer_key(workspace.embedded, *made_of)}", ("", "Learn the order"), "learn_order", learn,
        "Which coordinates to keep first is learnt on three texts in four and measured on the others.", starts=True,
        is_shared=is_of_sample(workspace.embedded),
    )  # fmt: skip


def plain_controls(result: Analysis) -> ControlComparison:
    """Prefix against random, suffix and SVD alone, whatever this session chose to see beside them."""
    return _controls(result, "", (), ())


def _further_arrangements() -> tuple[str, ...]:
    """What a visitor wants to see beside the controls."""
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    chosen = left.pills(
        "Also", list(FURTHER), selection_mode="multi", key="further_arrangements", format_func=FURTHER.__getitem__,
        help="PCA and tempering change cosine itself, so that even the full width finds other neighbors. Measured when "
        "chosen.", persist_state="session",
    )  # fmt: skip
    if "tempered" in chosen:
        gamma = right.slider(
            "γ", 0.0, 1.0, GAMMA, 0.05, key="gamma", help="0 is SVD, 1 whitening.", persist_state="session"
        )
        chosen = [f"tempered:{gamma:g}" if name == "tempered" else name for name in chosen]
    return tuple(chosen)


@measured("Measuring random, suffix and SVD controls…")
def _controls(
    result: Analysis, adaptor: str, further: tuple[str, ...], _learned: tuple[Arrangement, ...]
) -> ControlComparison:
    return measure_controls(result, arrangements=(*ARRANGEMENTS, *further, *_learned))


def control_rows(comparison: ControlComparison) -> list[dict[str, Any]]:
    return [{"arrangement": name} | row for name, curve in comparison.curves.items() for row in curve.rows()]


def task_quality(workspace: Workspace) -> Quality:
    """Task quality by the labels there are, one task at a time; a hint ends the page where there are none."""
    tasks = available_tasks(workspace.corpus)
    if not tasks:
        stop_with(
            "Task quality needs labels: queries with relevance judgements (a BEIR folder), sentence pairs with scores, "
            "or a label column. Without them only agreement with the full width can be measured."
        )
    left, right = st.columns([2, 5], vertical_alignment="bottom")
    task, fusion_k = tasks[0], None
    if len(tasks) > 1:
        task = left.segmented_control("Task", tasks, default=tasks[0], key="task", required=True)
    if task == "retrieval":
        with right:
            fusion_k = fusion_chosen(workspace.corpus, "quality_hybrid")
    vectors = with_queries(workspace) if task == "retrieval" else workspace.embedded
    made_of, key = _quality_key(workspace, task, fusion_k)

    def measure(report: Report, stopped: Stopped) -> Quality:
        progress = steps(report, stopped, "Measuring task quality at every width")
        return evaluate(vectors, dims=workspace.dims, task=task, fusion_k=fusion_k, seed=0, progress=progress)

    return asked_for(
        key, ("", "Measure task quality"), "measure_quality", measure,
        "Classifiers are trained on every width, which takes seconds for a thousand texts.", starts=True,
        at_hand=at_hand(Quality, f"quality_{task}", workspace, *made_of), is_shared=is_of_sample(workspace.embedded),
    )  # fmt: skip


def _quality_key(workspace: Workspace, task: str, fusion_k: int | None = None) -> tuple[tuple[Any, ...], str]:
    """What task quality is made of, and the name of the work."""
    made_of = (task, workspace.dims, *(() if fusion_k is None else (fusion_k,)))
    return made_of, f"quality {answer_key(workspace.embedded, *made_of)}"


def qualities_at_hand(workspace: Workspace) -> dict[str, Quality]:
    """What is measured of task quality already, by task: by this session, or for the sample."""
    found = {}
    for task in available_tasks(workspace.corpus):
        made_of, key = _quality_key(workspace, task)
        found[task] = finished(key) or at_hand(Quality, f"quality_{task}", workspace, *made_of)
    return {task: quality for task, quality in found.items() if quality is not None}


def has_between(workspace: Workspace) -> bool:
    """Whether there are labels, and a model that was trained at several widths."""
    return len(workspace.trained) > 1 and bool(available_tasks(workspace.corpus))


def quality_between(workspace: Workspace) -> BetweenWidths:
    """The first task that there are labels for, at widths between the trained ones."""
    task = available_tasks(workspace.corpus)[0]
    return _between(with_queries(workspace) if task == "retrieval" else workspace.embedded, workspace.trained, task)


@measured("Measuring between the trained widths…")
def _between(vectors: Embedded, trained: tuple[int, ...], kind: str) -> BetweenWidths:
    return between_widths(vectors, trained=trained, kind=kind, most_judged=MOST_BETWEEN, most_items=MOST_ITEMS)


def between_code(workspace: Workspace) -> Script:
    return scripts.between_code(workspace, available_tasks(workspace.corpus)[0])


def choose_metrics(quality: Quality) -> Sequence[str]:
    """Which metrics to draw; by default the first with all labels, coarse and fine, and hybrid beside vectors alone."""
    default = list(quality.main_metrics)
    key = f"metrics_{quality.task}" + ("" if quality.fusion_k is None else "_hybrid")
    return st.multiselect("Metrics", list(quality.curves), default=default, key=key, max_selections=4) or default


def tells_languages(workspace: Workspace) -> bool:
    """Whether the scored pairs are in several languages."""
    return len(languages_of(workspace.corpus)) > 1


def choose_source(workspace: Workspace) -> str | None:
    """The language that translations are searched from; None where it is not known what translates what."""
    if not workspace.corpus.pair_ids:
        return None
    return st.selectbox(
        "Search with the sentences in", languages_of(workspace.corpus), key="language_source", width=320
    )


def quality_by_language(workspace: Workspace, source: str | None) -> LanguageQuality:
    """What each width keeps in each language."""

    def measure(report: Report, stopped: Stopped) -> LanguageQuality:
        progress = steps(report, stopped, "Measuring every language")
        return by_language(workspace.embedded, dims=workspace.dims, source=source, seed=0, progress=progress)

    with errors_shown():
        return asked_for(
            f"languages {answer_key(workspace.embedded, workspace.dims, source)}", ("", "Measure every language"),
            "measure_languages", measure,
            "Intervals come from 2,000 resamples of every language's pairs, which takes seconds for a thousand pairs.",
            starts=True, is_shared=is_of_sample(workspace.embedded),
        )  # fmt: skip


def controls_code(workspace: Workspace, shown: ControlComparison) -> Script:
    """The curves beside their controls again, with the bars of nestedness where they were shown."""
    further = [name for name in shown.curves if name not in ARRANGEMENTS and name.partition(":")[0] in FITTED]
    has_adaptor, has_bars = session_adaptor(workspace) is not None, shown.nestedness is not None
    has_order = IMPORTANCE in shown.curves
    return scripts.controls_code(workspace, further, has_adaptor=has_adaptor, has_bars=has_bars, has_order=has_order)


def quality_code(workspace: Workspace, quality: Quality, metrics: Sequence[str]) -> Script:
    return scripts.quality_code(workspace, quality.task, metrics, quality.fusion_k)


def languages_code(workspace: Workspace, found: LanguageQuality) -> Script:
    return scripts.languages_code(workspace, found.source, has_translations=bool(found.found))
