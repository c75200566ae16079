"""Task quality at every width where a corpus has labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from mrl_viz.arrangements import fitted_arrangement
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import InvalidInputError
from mrl_viz.measures.lists import knn_correct, nearest_level
from mrl_viz.result import Result
from mrl_viz.sweep.machine import single_threaded_blas
from mrl_viz.tasks.classes import (
    MOST_CLASSES,
    MOST_LOGISTIC_ITEMS,
    class_average_precision,
    few_shot_correct,
    logistic_correct,
    sample_of_classes,
    silhouette,
    some_classes,
)
from mrl_viz.tasks.curves import MetricCurve, mean_curve
from mrl_viz.tasks.hybrid import HYBRID, hybrid_of
from mrl_viz.tasks.pairs import pair_correlations
from mrl_viz.tasks.retrieval import DEPTH
from mrl_viz.tasks.task import Lists, Task, class_tasks, find_task
from mrl_viz.truncation import FloatMatrix, Floats, Ints, Progress, check_dims

SHOTS = (1, 3, 5)
# As deep as the paper's mAP@10 looks.
CLASS_DEPTH = 10


@dataclass(frozen=True)
class Quality(Result):
    """Task quality at every width; agreement with the full-width vector plays no part in it.

    `task` : one of TASKS. `curves` : metric name to its curve; class-label metrics are called metric:label column,
    those of fused lists HYBRID metric, and come first. `notes` : what was left out and why. `fusion_k` : the constant
    of the fusion, None where only vectors searched.
    """

    task: str
    dims: tuple[int, ...]
    curves: Mapping[str, MetricCurve]
    notes: tuple[str, ...]
    fusion_k: int | None = None

    @property
    def main_metric(self) -> str:
        """The metric to look at first."""
        return next(iter(self.curves))

    @property
    def main_metrics(self) -> tuple[str, ...]:
        """The main metric with the same of other labels, coarse and fine, and of vectors alone; three at most."""
        first = _bare(self.main_metric)
        return tuple(name for name in self.curves if _bare(name) == first)[:3]

    def rows(self) -> list[dict[str, Any]]:
        """One record per metric and width."""
        return [{"metric": name} | row for name, curve in self.curves.items() for row in curve.rows()]

    def to_dict(self) -> dict[str, Any]:
        """`task`, `fusion_k` where lists were fused, and `metrics`: metric name to one record per width."""
        fused = {} if self.fusion_k is None else {"fusion_k": self.fusion_k}
        return {"task": self.task, **fused, "metrics": {name: curve.rows() for name, curve in self.curves.items()}}

    def takeaway(self) -> str:
        """One sentence on the main metric; where lists were fused, one more on the vectors alone."""
        return self.takeaway_at(self.dims[nearest_level(self.dims, self.dims[-1] / 4)])

    def takeaway_at(self, dim: int) -> str:
        """The same at one width."""
        main = self.curves[self.main_metric].takeaway_at(dim)
        if self.fusion_k is None:
            return main
        return f"{main} By vectors alone {self.curves[self.main_metric.removeprefix(HYBRID)].takeaway_at(dim)}"


def _bare(metric: str) -> str:
    """A metric's name without its label column, and without HYBRID."""
    return metric.removeprefix(HYBRID).split(":")[0]


def evaluate(
    embedded: Embedded,
    *,
    dims: Iterable[int],
    task: str | None = None,
    binary_qrels: bool = False,
    fusion_k: int | None = None,
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
    fusion_k : also measure retrieval as hybrid: every width's lists fused with BM25's by reciprocal rank with this
        constant, such as 60, see `hybrid_of`; None leaves the words out
    seed : of bootstrap, folds and example draws
    progress : called with (steps done, steps in all)

    Raises
    ------
    EmptyInputError : no labels, or none that can be used.
    InvalidInputError : a task without labels, constant scores, one class; hybrid without texts, or another task.
    DimensionError, ShapeError : unusable widths or arrays.
    """
    checked = check_dims((*dims, embedded.full_dim), embedded.full_dim)
    judge = find_task(embedded, task, binary_qrels=binary_qrels)
    if judge.kind == "retrieval":
        lists = judge.lists(embedded.matrix, judge.asking(embedded), checked, k=DEPTH, progress=progress)
        curves = {name: mean_curve(name, checked, values, seed=seed) for name, values in judge.scores(lists).items()}
        notes = judge.notes
        if fusion_k is not None:
            hybrid, said = _hybrid_curves(embedded, judge, lists, checked, fusion_k, seed)
            curves, notes = hybrid | curves, (*notes, *said)
        return Quality("retrieval", checked, curves, notes, fusion_k)
    if fusion_k is not None:
        raise InvalidInputError(f"`task` is {judge.kind!r}, and hybrid fuses lists that answer queries; use retrieval.")
    if judge.pairs is not None:
        left, right, scores = judge.pairs
        curves = pair_correlations(embedded.matrix[left], embedded.matrix[right], scores, dims=checked, seed=seed)
        if progress is not None:
            progress(1, 1)
        return Quality("pairs", checked, curves, judge.notes)
    with single_threaded_blas():
        return _classification(embedded, checked, seed, progress)


def searched_in(embedded: Embedded, arrangement: str, *, task: str | None = None) -> Embedded:
    """The same in an arrangement fitted on the texts that are searched, for retrieval by queries that it has not seen.

    Parameters
    ----------
    arrangement : svd, centred or tempered:GAMMA
    task : that is to be judged, as in `evaluate`

    Raises
    ------
    InvalidInputError : another arrangement, or a task that judges the very texts it would be fitted on.
    EmptyInputError : fewer texts than coordinates, or no labels.
    """
    kind = find_task(embedded, task).kind
    if kind != "retrieval":
        raise InvalidInputError(
            f"`arrangement` is {arrangement}, which would be fitted on the texts that {kind} judges; use retrieval."
        )
    return embedded.arranged(fitted_arrangement(arrangement, embedded.matrix))


def _hybrid_curves(
    embedded: Embedded, judge: Task, lists: Lists, dims: tuple[int, ...], fusion_k: int, seed: int
) -> tuple[dict[str, MetricCurve], tuple[str, str]]:
    hybrid = hybrid_of(embedded.corpus, judge.rows, fusion_k=fusion_k)
    fused = judge.scores(hybrid.fuse(lists))
    curves = {HYBRID + name: mean_curve(HYBRID + name, dims, values, seed=seed) for name, values in fused.items()}
    words = judge.score(hybrid.words[None]).mean()
    below = [str(dim) for dim, value in zip(dims, fused[judge.metric].mean(axis=1)) if value < words]
    worse = f", more than hybrid reaches at {', '.join(below)} dims" if below else ""
    return curves, (hybrid.about(), f"By words alone, BM25, {judge.metric} is {words:.3f}{worse}.")


def _classification(embedded: Embedded, dims: tuple[int, ...], seed: int, progress: Progress | None) -> Quality:
    notes: list[str] = []
    curves: dict[str, MetricCurve] = {}
    tasks = class_tasks(embedded.corpus)
    n_steps = len(tasks) * (5 + len(SHOTS))
    done = count(1)

    def add(name: str, values: Floats | None) -> None:
        if values is not None:
            curves[name] = mean_curve(name, dims, values, seed=seed)
        if progress is not None:
            progress(next(done), n_steps)

    for task in tasks:
        column = task.metric.split(":", 1)[1]
        notes += task.notes
        rows, codes = embedded.matrix[task.rows], task.codes[task.rows]
        lists = task.lists(embedded.matrix, embedded.matrix, dims, k=min(CLASS_DEPTH, len(rows) - 1))
        add(task.metric, task.score(lists[..., : task.list_length(len(rows))]))
        add(f"1nn_accuracy:{column}", knn_correct(lists[..., :1], codes, codes))
        add(f"map@{lists.shape[-1]}:{column}", class_average_precision(lists, codes, codes))
        some, codes = some_classes(codes, seed)
        if len(some) < len(rows):
            rows = rows[some]
            notes.append(
                f"`{column}`: classifiers and silhouette are measured on a sample of {MOST_CLASSES} classes, "
                f"{len(some):,} {embedded.corpus.things}; neighbors on all."
            )
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
    column: str, rows: FloatMatrix, codes: Ints, dims: tuple[int, ...], seed: int, notes: list[str]
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
