"""The judge of a comparison: one task and metric that every model can be measured by, at any width and dtype."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mrl_viz.comparison.neighbors import neighbor_lists
from mrl_viz.data.corpus import Corpus
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.measures.lists import knn_correct
from mrl_viz.sweep import pair_similarities
from mrl_viz.tasks.classes import N_NEIGHBORS, Classes, classes_from_labels
from mrl_viz.tasks.evaluation import available_tasks
from mrl_viz.tasks.pairs import FEWEST_PAIRS, correlation, mean_ranks
from mrl_viz.tasks.retrieval import METRICS, retrieval_scores
from mrl_viz.truncation import FloatMatrix

Floats = npt.NDArray[np.float64]
# Values of every judged item, (n_dims, n_judged), from the stored vectors, the model they are of, and the widths.
Measure = Callable[[FloatMatrix, Embedded, Sequence[int]], Floats]

# Each labelled text is classified among this many at most: every width and dtype is searched anew.
MOST_CLASSIFIED = 5000


@dataclass(frozen=True)
class Judge:
    """What quality is measured by.

    `metric` : as `evaluation.evaluate` calls its main one. `n_judged` : queries, pairs or texts.
    """

    task: str
    metric: str
    n_judged: int
    measure: Measure


def choose_judge(
    embedded: Sequence[Embedded],
    names: Sequence[str],
    *,
    task: str | None,
    binary_qrels: bool,
    seed: int,
    notes: list[str],
) -> Judge | None:
    """The judge of the asked task, or of the first that all models can be judged by; None, with a note why, if none.

    Raises
    ------
    InvalidInputError : the asked `task` cannot be judged. EmptyInputError : it has nothing that can be used.
    """
    source = next((one.corpus for one in embedded if available_tasks(one.corpus)), embedded[0].corpus)
    tasks = available_tasks(source)
    if task is not None and task not in tasks:
        has = f"has labels for {', '.join(tasks)}; choose one of them" if tasks else "has no labels; leave the task out"
        raise InvalidInputError(f"`task` is {task!r} but `{source.name}` {has}.")
    for name in tasks if task is None else (task,):
        try:
            if name == "retrieval":
                return _retrieval(source, embedded, names, binary_qrels, notes)
            return _pairs(source) if name == "pairs" else _classification(source, seed, notes)
        except InvalidInputError as error:
            if task is not None:
                raise
            notes.append(f"Not judged by {name}: {error}")
    return None


def _retrieval(
    source: Corpus, embedded: Sequence[Embedded], names: Sequence[str], binary_qrels: bool, notes: list[str]
) -> Judge:
    for name, one in zip(names, embedded):
        n_rows = 0 if one.queries is None else len(one.queries)
        if n_rows != len(source.query_ids):
            raise InvalidInputError(
                f"`{name}` has {n_rows} query vectors for {len(source.query_ids)} judged queries; embed the corpus "
                "with its own queries."
            )
    known = set(source.ids)
    is_judged = [
        any(grade > 0 and document in known for document, grade in source.qrels.get(query, {}).items())
        for query in source.query_ids
    ]
    if not any(is_judged):
        raise EmptyInputError(
            "`qrels` mark no text here as relevant to any query; check that their ids are those of the texts."
        )
    if not all(is_judged):
        notes.append(f"{len(is_judged) - sum(is_judged)} queries have no relevant text here and are left out.")
    metric = METRICS[0]

    def measure(stored: FloatMatrix, one: Embedded, dims: Sequence[int]) -> Floats:
        queries = one.queries[:, : stored.shape[1]]  # type: ignore[index]  # checked above
        scores = retrieval_scores(
            stored, queries, document_ids=source.ids, query_ids=source.query_ids, qrels=source.qrels, dims=dims,
            binary_qrels=binary_qrels,
        )  # fmt: skip
        return scores.metrics[metric]

    return Judge("retrieval", metric, sum(is_judged), measure)


def _pairs(source: Corpus) -> Judge:
    left, right = (np.array([pair[side] for pair in source.pairs]) for side in (0, 1))
    scores = np.array([score for _, _, score in source.pairs], dtype=np.float64)
    if len(scores) < FEWEST_PAIRS:
        raise EmptyInputError(f"`pairs` has {len(scores)}; a correlation needs at least {FEWEST_PAIRS}.")
    if not np.isfinite(scores).all():
        raise InvalidInputError("`pairs` has scores that are NaN or infinite; leave those pairs out.")
    if np.ptp(scores) == 0:
        raise InvalidInputError(
            f"`pairs` are all scored {scores[0]:g}; a correlation needs at least two different scores."
        )

    def measure(stored: FloatMatrix, one: Embedded, dims: Sequence[int]) -> Floats:
        return np.stack([spearman_values(row, scores) for row in pair_similarities(stored[left], stored[right], dims)])

    return Judge("pairs", "spearman", len(scores), measure)


def _classification(source: Corpus, seed: int, notes: list[str]) -> Judge:
    column, classes = _first_usable(source, seed, notes)
    rows, codes = classes.rows, classes.codes
    k = min(N_NEIGHBORS, len(rows) - 1)
    own = np.arange(len(rows))

    def measure(stored: FloatMatrix, one: Embedded, dims: Sequence[int]) -> Floats:
        queries = one.matrix[rows, : stored.shape[1]]
        lists = neighbor_lists(stored[rows], queries, own, dims, k)
        return knn_correct(lists, codes, codes)

    return Judge("classification", f"knn_accuracy:{column}", len(rows), measure)


def _first_usable(source: Corpus, seed: int, notes: list[str]) -> tuple[str, Classes]:
    """The first label column with two classes of two texts, or a sample of its texts where there are very many."""
    for column, labels in source.labels.items():
        try:
            classes = classes_from_labels(labels, column)
            if len(classes.rows) > MOST_CLASSIFIED:
                drawn = set(np.random.default_rng(seed).permutation(classes.rows)[:MOST_CLASSIFIED].tolist())
                classes = classes_from_labels(
                    [label if row in drawn else None for row, label in enumerate(labels)], column
                )
        except InvalidInputError as error:
            if len(source.labels) == 1:
                raise
            notes.append(str(error))
        else:
            n_left = len(labels) - len(classes.rows)
            if n_left:
                notes.append(
                    f"`{column}`: {n_left} texts without a label, alone in their class, or not sampled are left out."
                )
            return column, classes
    raise InvalidInputError(f"`{source.name}` has no label column with two classes of two texts.")


def spearman_values(cosines: npt.ArrayLike, scores: npt.ArrayLike) -> Floats:
    """Each pair's share in Spearman's correlation: the mean is the correlation, its bootstrap nearly the interval.

    A mean can be resampled as one matrix product for all widths and dtypes; ranking every resample anew takes minutes.

    Parameters
    ----------
    cosines, scores : array_like of shape (n_pairs,)

    Returns
    -------
    ndarray of shape (n_pairs,); zeros where either side is constant

    Source: influence function of Spearman's correlation: Croux & Dehon 2010, "Influence functions of the Spearman and
    Kendall correlation measures", here with mid-ranks, so that ties count as they do in the correlation.
    """
    a, b = np.asarray(cosines, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    place_a, place_b = ((mean_ranks(side) - 0.5) / len(side) - 0.5 for side in (a, b))
    spread_a, spread_b = float((place_a**2).mean()), float((place_b**2).mean())
    if spread_a == 0 or spread_b == 0:
        return np.zeros(len(a))
    rho = correlation(place_a, place_b)
    # What one more pair does by itself, and by moving the ranks of the pairs above it.
    joint = place_a * place_b + _moved(a, place_a, place_b) + _moved(b, place_b, place_a)
    own = [(place**2 + 2 * _moved(side, place, place)) / spread for side, place, spread in
           ((a, place_a, spread_a), (b, place_b, spread_b))]  # fmt: skip
    influence = joint / np.sqrt(spread_a * spread_b) - rho * (own[0] + own[1]) / 2
    return np.asarray(rho + influence - influence.mean())


def _moved(values: Floats, place: Floats, weight: Floats) -> Floats:
    """Mean over pairs of weight x the change of their place, when one more pair comes in at each value."""
    _, group = np.unique(values, return_inverse=True)
    sums = np.bincount(group, weights=weight)
    above = sums.sum() - np.cumsum(sums)
    return np.asarray((above + sums / 2)[group] / len(values) - (place * weight).mean())
