"""Task quality at every width where a corpus has labels, and the controls of an embedded corpus."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mrl_viz.arrangements import ARRANGEMENTS, FEWEST_DRAWS, LearnedMap
from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.measures.controls import ControlComparison, compare_arrangements
from mrl_viz.measures.estimate import PairedIntervals, bootstrap_paired, is_too_wide, paired_tests
from mrl_viz.measures.lists import knn_correct
from mrl_viz.sweep import nested_sweep
from mrl_viz.tasks.classes import (
    N_NEIGHBORS,
    Classes,
    classes_from_labels,
    few_shot_correct,
    silhouette,
)
from mrl_viz.tasks.pairs import pair_correlations
from mrl_viz.tasks.retrieval import retrieval_scores
from mrl_viz.truncation import FloatMatrix, check_dims, normalize

if TYPE_CHECKING:
    from mrl_viz.data.corpus import Corpus
    from mrl_viz.embedding.embedded import Embedded

Progress = Callable[[int, int], None]

TASKS = ("retrieval", "pairs", "classification")
SHOTS = (1, 3, 5)
# Logistic regression takes time in proportion to texts x classes x width: above this many a seeded sample is used.
MOST_LOGISTIC_ITEMS = 5000
FOLDS = 5
# Enough for vectors of unit length under sklearn's default penalty; what does not converge is noted.
LOGISTIC_ITERATIONS = 500


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


def available_tasks(corpus: Corpus) -> tuple[str, ...]:
    """The tasks that a corpus has labels for, in the order of TASKS."""
    has = (bool(corpus.qrels), bool(corpus.pairs), bool(corpus.labels))
    return tuple(task for task, present in zip(TASKS, has) if present)


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
    source = embedded.corpus
    tasks = available_tasks(source)
    if not tasks:
        raise EmptyInputError(
            f"`{source.name}` has no labels to evaluate with; give relevance judgements, scored pairs or labels."
        )
    if task is not None and task not in tasks:
        raise InvalidInputError(
            f"`task` is {task!r} but `{source.name}` has labels for {', '.join(tasks)}; choose one of them."
        )
    checked = check_dims((*dims, embedded.full_dim), embedded.full_dim)
    chosen = task or tasks[0]
    if chosen == "retrieval":
        return _retrieval(embedded, checked, binary_qrels, seed, progress)
    if chosen == "pairs":
        return _pairs(embedded, checked, seed, progress)
    return _classification(embedded, checked, seed, progress)


def analyse_controls(
    embedded: Embedded,
    *,
    dims: Iterable[int],
    k: int = 10,
    seed: int = 0,
    n_draws: int = FEWEST_DRAWS,
    arrangements: Iterable[str] = ARRANGEMENTS,
    learned: Mapping[str, LearnedMap] | None = None,
    progress: Progress | None = None,
) -> ControlComparison:
    """The controls of an embedded corpus: see `compare_arrangements`.

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError, InvalidInputError : as there.
    """
    return compare_arrangements(
        embedded.matrix, embedded.queries, dims=dims, k=k, seed=seed, n_draws=n_draws, arrangements=arrangements,
        learned=learned, progress=progress,
    )  # fmt: skip


def logistic_correct(
    embeddings: FloatMatrix, codes: npt.NDArray[np.int64], *, dims: Sequence[int], seed: int = 0
) -> tuple[npt.NDArray[np.float64], int]:
    """Whether logistic regression, fitted on the other folds, gives each item its class, at every width.

    Parameters
    ----------
    embeddings : ndarray of shape (n_items, full_dim)
    codes : int64 of shape (n_items,); every class has two members or more
    dims : widths in 1..full_dim
    seed : of the stratified folds: five, or as many as the smallest class has members

    Returns
    -------
    correct : ndarray of shape (n_dims, n_items), 0 or 1
    n_unconverged : fits that ran out of iterations

    Raises
    ------
    InvalidInputError : a class with one member.

    Source: sklearn's LogisticRegression with its defaults on renormalised prefixes, as in MTEB, Muennighoff et al.
    2023, arXiv:2210.07316, but cross-validated.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    smallest = int(np.bincount(codes).min())
    if smallest < 2:
        raise InvalidInputError(
            "`codes` has a class with fewer than two members; leave it out, see `classes_from_labels`."
        )
    folds = StratifiedKFold(min(FOLDS, smallest), shuffle=True, random_state=seed)
    correct = np.empty((len(dims), len(codes)))
    n_unconverged = 0
    for level, dim in enumerate(dims):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            model = LogisticRegression(max_iter=LOGISTIC_ITERATIONS)
            correct[level] = cross_val_predict(model, normalize(embeddings[:, :dim]), codes, cv=folds) == codes
        n_unconverged += sum(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    return correct, n_unconverged


def _retrieval(
    embedded: Embedded, dims: tuple[int, ...], binary_qrels: bool, seed: int, progress: Progress | None
) -> Quality:
    source = embedded.corpus
    if embedded.queries is None or len(embedded.queries) != len(source.query_ids):
        n_queries = 0 if embedded.queries is None else len(embedded.queries)
        raise InvalidInputError(
            f"`queries` are {n_queries} vectors for {len(source.query_ids)} judged queries; "
            "embed the corpus with its own queries."
        )
    scores = retrieval_scores(
        embedded.matrix, embedded.queries, document_ids=source.ids, query_ids=source.query_ids, qrels=source.qrels,
        dims=dims, binary_qrels=binary_qrels, progress=progress,
    )  # fmt: skip
    notes = [note for note in source.check.notes if "judgements" in note]
    if scores.n_without_relevant:
        notes.append(f"{scores.n_without_relevant} queries have no relevant text here and are left out.")
    if scores.n_unknown:
        notes.append(
            f"{scores.n_unknown} relevance judgements name a query or text that is not here; they are left out."
        )
    curves = {name: _curve(name, dims, values, seed) for name, values in scores.metrics.items()}
    return Quality("retrieval", dims, curves, tuple(notes))


def _pairs(embedded: Embedded, dims: tuple[int, ...], seed: int, progress: Progress | None) -> Quality:
    left, right, scores = zip(*embedded.corpus.pairs)
    rows = embedded.matrix
    result = pair_correlations(rows[list(left)], rows[list(right)], scores, dims=dims, seed=seed)
    if progress is not None:
        progress(1, 1)
    curves = {
        "spearman": _from_intervals("spearman", dims, result.n_pairs, result.spearman, result.spearman_p),
        "pearson": _from_intervals("pearson", dims, result.n_pairs, result.pearson, result.pearson_p),
    }
    return Quality("pairs", dims, curves, tuple(note for note in embedded.corpus.check.notes if "pairs" in note))


def _classification(embedded: Embedded, dims: tuple[int, ...], seed: int, progress: Progress | None) -> Quality:
    notes: list[str] = []
    usable: dict[str, Classes] = {}
    for column, labels in embedded.corpus.labels.items():
        try:
            usable[column] = classes_from_labels(labels, column)
        except InvalidInputError as error:
            if len(embedded.corpus.labels) == 1:
                raise
            notes.append(str(error))
    if not usable:
        raise InvalidInputError(
            f"`{embedded.corpus.name}` has no label column with two classes of two texts; {notes[0]}"
        )
    curves: dict[str, MetricCurve] = {}
    n_steps = len(usable) * (3 + len(SHOTS))
    n_done = 0

    def add(name: str, values: npt.NDArray[np.float64] | None) -> None:
        nonlocal n_done
        n_done += 1
        if values is not None:
            curves[name] = _curve(name, dims, values, seed)
        if progress is not None:
            progress(n_done, n_steps)

    for column, classes in usable.items():
        rows, codes = embedded.matrix[classes.rows], classes.codes
        for n, what in ((classes.n_unlabelled, "without a label"), (classes.n_single, "alone in their class")):
            if n:
                notes.append(f"`{column}`: {n} texts {what} are left out.")
        n_neighbors = min(N_NEIGHBORS, len(rows) - 1)
        sweep = nested_sweep(rows, dims=dims, k=n_neighbors)
        add(f"knn_accuracy:{column}", knn_correct(sweep.indices, codes, codes))
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
    column: str, rows: FloatMatrix, codes: npt.NDArray[np.int64], dims: tuple[int, ...], seed: int, notes: list[str]
) -> npt.NDArray[np.float64] | None:
    if len(rows) > MOST_LOGISTIC_ITEMS:
        sample = np.sort(np.random.default_rng(seed).permutation(len(rows))[:MOST_LOGISTIC_ITEMS])
        counts = np.bincount(codes[sample], minlength=int(codes.max()) + 1)
        sample = sample[counts[codes[sample]] >= 2]
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


def _curve(name: str, dims: tuple[int, ...], values: npt.NDArray[np.float64], seed: int) -> MetricCurve:
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
