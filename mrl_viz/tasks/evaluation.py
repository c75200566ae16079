"""Task quality at every width where a corpus has labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mrl_viz.measures.estimate import PairedIntervals, bootstrap_paired, is_too_wide, paired_tests
from mrl_viz.tasks.classes import (
    MOST_LOGISTIC_ITEMS,
    Floats,
    Rows,
    few_shot_correct,
    logistic_correct,
    sample_of_classes,
    silhouette,
)
from mrl_viz.tasks.pairs import pair_correlations
from mrl_viz.tasks.retrieval import DEPTH
from mrl_viz.tasks.task import class_tasks, find_task
from mrl_viz.truncation import FloatMatrix, check_dims

if TYPE_CHECKING:
    from mrl_viz.embedding.embedded import Embedded

Progress = Callable[[int, int], None]

SHOTS = (1, 3, 5)


@dataclass(frozen=True)
class MetricCurve:
    """One metric at every width, with its interval, its share of the full width's value, and the test against it.

    `value`, `low`, `high` : in the metric's unit. `retention`… : value / value at full width, None where that is not
    above 0.
    `p_holm` : paired two-sided test against full width, Holm-adjusted over widths; 1 at full width. `n_items` :
    queries, pairs or texts. Intervals are 95 % bootstrap intervals over them, paired between widths.
    """

    name: str
    dims: tuple[int, ...]
    n_items: int
    value: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    retention: tuple[float | None, ...]
    retention_low: tuple[float | None, ...]
    retention_high: tuple[float | None, ...]
    p_holm: tuple[float, ...]

    @property
    def is_too_wide(self) -> bool:
        """Whether the interval at full width is too long to choose a width by."""
        return is_too_wide(self.low[-1], self.high[-1])

    def rows(self) -> list[dict[str, Any]]:
        """One record per width: dim, value, low, high, retention, p_holm."""
        names = ("value", "low", "high", "retention", "p_holm")
        return [
            {"dim": dim} | {name: getattr(self, name)[level] for name in names} for level, dim in enumerate(self.dims)
        ]

    def takeaway(self) -> str:
        """One sentence: what is kept at the width nearest a quarter of the full one, and whether the data suffice."""
        full_dim = self.dims[-1]
        level = int(np.argmin(np.abs(np.log(np.asarray(self.dims) / (full_dim / 4)))))
        kept = self.retention[level]
        share = (
            ""
            if kept is None
            else f", {kept:.0%} of it [{self.retention_low[level]:.0%}, {self.retention_high[level]:.0%}]"
        )
        sentence = f"{self.name} is {self.value[-1]:.3f} at {full_dim} dims [{self.low[-1]:.3f}, {self.high[-1]:.3f}]"
        if self.dims[level] != full_dim:
            sentence += f" and {self.value[level]:.3f} at {self.dims[level]}{share}"
        if self.is_too_wide:
            sentence += f"; with {self.n_items} judged the intervals are too wide to choose a width by"
        return f"{sentence}."


@dataclass(frozen=True)
class Quality:
    """Task quality at every width; agreement with the full-width vector plays no part in it.

    `task` : one of TASKS. `curves` : metric name to its curve; class-label metrics are called metric:label column.
    `notes` : what was left out and why.
    """

    task: str
    dims: tuple[int, ...]
    curves: Mapping[str, MetricCurve]
    notes: tuple[str, ...]

    @property
    def main_metric(self) -> str:
        """The metric to look at first."""
        return next(iter(self.curves))

    def rows(self) -> list[dict[str, Any]]:
        """One record per metric and width."""
        return [{"metric": name} | row for name, curve in self.curves.items() for row in curve.rows()]

    def to_dict(self) -> dict[str, Any]:
        """`task` and `metrics`: metric name to one record per width."""
        return {"task": self.task, "metrics": {name: curve.rows() for name, curve in self.curves.items()}}

    def takeaway(self) -> str:
        """One sentence on the main metric."""
        return self.curves[self.main_metric].takeaway()


def evaluate(
    embedded: Embedded,
    *,
    dims: Iterable[int],
    task: str | None = None,
    binary_qrels: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Quality:
    """Task quality of an embedded corpus at the chosen widths, all from the one encoding it holds.

    Parameters
    ----------
    embedded : from `embed`, with its queries where relevance is judged
    dims : widths in 1..full_dim; the full width is added
    task : one of TASKS; None takes the first that the corpus has labels for
    binary_qrels : count every positive relevance grade as 1
    seed : of bootstrap, folds and example draws
    progress : called with (steps done, steps in all)

    Raises
    ------
    EmptyInputError : no labels, or none that can be used.
    InvalidInputError : a task without labels, constant scores, one class.
    DimensionError, ShapeError : unusable widths or arrays.
    """
    checked = check_dims((*dims, embedded.full_dim), embedded.full_dim)
    judge = find_task(embedded, task, binary_qrels=binary_qrels)
    if judge.kind == "retrieval":
        lists = judge.lists(embedded.matrix, judge.asking(embedded), checked, k=DEPTH, progress=progress)
        curves = {name: _curve(name, checked, values, seed) for name, values in judge.scores(lists).items()}
        return Quality("retrieval", checked, curves, judge.notes)
    if judge.pairs is not None:
        left, right, scores = judge.pairs
        result = pair_correlations(embedded.matrix[left], embedded.matrix[right], scores, dims=checked, seed=seed)
        if progress is not None:
            progress(1, 1)
        curves = {
            "spearman": _from_intervals("spearman", checked, result.n_pairs, result.spearman, result.spearman_p),
            "pearson": _from_intervals("pearson", checked, result.n_pairs, result.pearson, result.pearson_p),
        }
        return Quality("pairs", checked, curves, judge.notes)
    return _classification(embedded, checked, seed, progress)


def _classification(embedded: Embedded, dims: tuple[int, ...], seed: int, progress: Progress | None) -> Quality:
    notes: list[str] = []
    curves: dict[str, MetricCurve] = {}
    tasks = class_tasks(embedded.corpus)
    n_steps = len(tasks) * (3 + len(SHOTS))
    n_done = 0

    def add(name: str, values: Floats | None) -> None:
        nonlocal n_done
        n_done += 1
        if values is not None:
            curves[name] = _curve(name, dims, values, seed)
        if progress is not None:
            progress(n_done, n_steps)

    for task in tasks:
        column = task.metric.split(":", 1)[1]
        notes += task.notes
        rows, codes = embedded.matrix[task.rows], task.codes[task.rows]
        add(task.metric, task.measure(embedded.matrix, embedded.matrix, dims))
        add(f"logistic_accuracy:{column}", _logistic(column, rows, codes, dims, seed, notes))
        for n_shots in SHOTS:
            values = few_shot_correct(rows, codes, dims=dims, n_shots=n_shots, seed=seed)
            add(f"{n_shots}_shot_accuracy:{column}", values)
            if values is None:
                notes.append(
                    f"`{column}`: fewer than two classes have more than {n_shots} texts, so {n_shots}-shot is left out."
                )
        add(f"silhouette:{column}", silhouette(rows, codes, dims=dims))
    return Quality("classification", dims, curves, tuple(notes))


def _logistic(
    column: str, rows: FloatMatrix, codes: Rows, dims: tuple[int, ...], seed: int, notes: list[str]
) -> Floats | None:
    if len(rows) > MOST_LOGISTIC_ITEMS:
        sample = sample_of_classes(codes, MOST_LOGISTIC_ITEMS, seed)
        rows, (kept, codes) = rows[sample], np.unique(codes[sample], return_inverse=True)
        if len(kept) < 2:
            notes.append(
                f"`{column}`: a sample of {MOST_LOGISTIC_ITEMS} texts has no two classes for logistic regression."
            )
            return None
        notes.append(f"`{column}`: logistic regression is measured on a sample of {len(rows)} texts.")
    correct, n_unconverged = logistic_correct(rows, codes, dims=dims, seed=seed)
    if n_unconverged:
        notes.append(f"`{column}`: {n_unconverged} logistic regressions stopped before they converged.")
    return correct


def _curve(name: str, dims: tuple[int, ...], values: Floats, seed: int) -> MetricCurve:
    """The curve of a metric that is a mean over items, from its values (n_dims, n_items)."""
    intervals = bootstrap_paired(values, seed=seed)
    return _from_intervals(name, dims, values.shape[1], intervals, tuple(paired_tests(values).tolist()))


def _from_intervals(
    name: str, dims: tuple[int, ...], n_items: int, intervals: PairedIntervals, p_values: tuple[float, ...]
) -> MetricCurve:
    return MetricCurve(
        name=name,
        dims=dims,
        n_items=n_items,
        value=intervals.value,
        low=intervals.low,
        high=intervals.high,
        retention=intervals.retention,
        retention_low=intervals.retention_low,
        retention_high=intervals.retention_high,
        p_holm=p_values,
    )
