"""What a plan is judged by: the metric's name, the queries and labels it needs, and each query's value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mrl_viz.decide.bounds import Floats
from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.measures.lists import knn_correct, shares_by_length, without_own
from mrl_viz.tasks.classes import N_NEIGHBORS, classes_from_labels
from mrl_viz.tasks.pairs import mean_ranks
from mrl_viz.truncation import FloatMatrix

if TYPE_CHECKING:
    from mrl_viz.data.corpus import Corpus
    from mrl_viz.embedding.embedded import Embedded
    from mrl_viz.retrieval.plan import PlannedIndex

AT_K = ("overlap", "ndcg", "recall", "mrr")
# More queries than this make no interval that matters shorter, and every plan searches for all of them.
MOST_QUERIES = 1000

Lists = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Metric:
    """A metric by its parts: `kind`; `k` where it looks at that many results; `column` of class labels."""

    name: str
    kind: str
    k: int | None = None
    column: str | None = None


def parse_metric(name: str) -> Metric:
    """The metric of a name such as overlap@10, ndcg@10, recall@100, mrr@10, accuracy, accuracy:topic, spearman.

    Raises
    ------
    InvalidInputError : any other name.
    """
    kind, at, number = str(name).partition("@")
    if at and kind in AT_K and number.isdecimal() and int(number) > 0:
        return Metric(name, kind, int(number))
    kind, _, column = str(name).partition(":")
    if kind == "accuracy" or name == "spearman":
        return Metric(name, kind, column=column or None)
    raise InvalidInputError(
        f"`metric` is {name!r}; choose {', '.join(f'{kind}@10' for kind in AT_K)} (any k), accuracy, accuracy:COLUMN or "
        "spearman."
    )


@dataclass(frozen=True)
class Target:
    """The data that a metric needs.

    `corpus` : (n_items, full_dim); `queries` : (n_queries, full_dim). `own` : each query's row in the corpus, where
    texts search for each other. `pairs` : rows of both sides; `gold` : ranks of the pairs' scores, (n_pairs,).
    """

    metric: Metric
    corpus: FloatMatrix
    queries: FloatMatrix
    own: npt.NDArray[np.int64] | None = None
    grades: tuple[Mapping[int, int], ...] = ()
    codes: npt.NDArray[np.int64] | None = None
    pairs: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = None
    gold: Floats | None = None
    notes: tuple[str, ...] = ()

    @property
    def n_voters(self) -> int | None:
        """How many neighbors vote on a class; None for other metrics."""
        return None if self.codes is None else min(N_NEIGHBORS, len(self.corpus) - 1)

    def values(self, found: Lists, full: Lists, ks: Sequence[int]) -> Floats:
        """Each query's value at every list length, shape (n_ks, n_queries), from its results and those at full width."""
        if self.codes is not None and self.own is not None:
            return knn_correct(found, self.codes, self.codes[self.own])[None]
        if self.metric.kind == "overlap":
            return shares_by_length(found, full)[:, np.array(ks) - 1].T
        return graded_values(self.metric.kind, found, self.grades, ks)


def find_target(embedded: Embedded, metric: Metric, seed: int) -> Target:
    """The queries and labels for a metric; at most MOST_QUERIES of them, a seeded sample.

    Raises
    ------
    EmptyInputError : the corpus has no labels for the metric. InvalidInputError : labels that cannot be used.
    """
    if metric.kind == "accuracy":
        return _classes(embedded, metric, seed)
    if metric.kind == "spearman":
        return _pairs(embedded, metric, seed)
    if metric.kind == "overlap":
        return _neighbors(embedded, metric, seed)
    return _relevance(embedded, metric, seed)


def search_lists(built: PlannedIndex, queries: FloatMatrix, own: npt.NDArray[np.int64] | None, depth: int) -> Lists:
    """The `depth` items that a plan finds for every query, best first, its own text left out; (n_queries, depth).

    Parameters
    ----------
    own : each query's row in the corpus, where texts search for each other

    Raises
    ------
    InvalidInputError : the plan's lists or the corpus are shorter.
    """
    if own is None:
        return built.search(queries, depth).indices
    return without_own(built.search(queries, depth + 1).indices, own)


def graded_values(kind: str, found: Lists, grades: Sequence[Mapping[int, int]], ks: Sequence[int]) -> Floats:
    """nDCG, recall or reciprocal rank of every result list at every length, shape (n_ks, n_queries), in [0, 1].

    Parameters
    ----------
    kind : ndcg (gain = grade, discount log2(rank + 1)), recall or mrr
    found : int32 of shape (n_queries, >= max(ks)); -1 stands for nothing found
    grades : for each query, item to grade; at least one above 0

    Source: as trec_eval defines them; nDCG: Järvelin & Kekäläinen 2002.
    """
    result = np.zeros((len(ks), len(found)))
    discounts = 1 / np.log2(np.arange(2, found.shape[1] + 2))
    for query, (items, judged) in enumerate(zip(found.tolist(), grades)):
        gains = np.array([max(0, judged.get(item, 0)) for item in items], dtype=np.float64)
        ideal = np.sort([grade for grade in judged.values() if grade > 0])[::-1]
        for level, k in enumerate(ks):
            if kind == "ndcg":
                best = ideal[:k] @ (1 / np.log2(np.arange(2, len(ideal[:k]) + 2)))
                result[level, query] = gains[:k] @ discounts[:k] / best
            elif kind == "recall":
                result[level, query] = (gains[:k] > 0).sum() / len(ideal)
            else:
                hits = np.flatnonzero(gains[:k] > 0)
                result[level, query] = 1 / (hits[0] + 1) if len(hits) else 0
    return result


def _neighbors(embedded: Embedded, metric: Metric, seed: int) -> Target:
    if embedded.queries is None:
        own = _sample(len(embedded.matrix), seed)
        note = "There are no queries, so texts search for their own neighbors; real queries may behave otherwise."
        return Target(metric, embedded.matrix, embedded.matrix[own], own, notes=(note,))
    return Target(metric, embedded.matrix, embedded.queries[_sample(len(embedded.queries), seed)])


def _relevance(embedded: Embedded, metric: Metric, seed: int) -> Target:
    source = embedded.corpus
    if not source.qrels or embedded.queries is None:
        raise EmptyInputError(
            f"`{source.name}` has no relevance judgements for {metric.name}; give a BEIR folder, or use overlap@{metric.k}."
        )
    if len(embedded.queries) != len(source.query_ids):
        raise InvalidInputError(
            f"`queries` are {len(embedded.queries)} vectors for {len(source.query_ids)} judged queries; embed the corpus with "
            "its own queries."
        )
    grades = _grades(source)
    judged = [row for row, given in enumerate(grades) if given and max(given.values()) > 0]
    if not judged:
        raise EmptyInputError(f"`{source.name}` judges no text here as relevant to any query; check the ids.")
    rows = np.array(judged)[_sample(len(judged), seed)]
    n_without = len(grades) - len(judged)
    notes = (f"{n_without} queries have no relevant text here and are left out.",) if n_without else ()
    return Target(
        metric, embedded.matrix, embedded.queries[rows], grades=tuple(grades[row] for row in rows), notes=notes
    )


def _grades(source: Corpus) -> list[dict[int, int]]:
    """For every query, row of the text to grade."""
    rows = {identifier: row for row, identifier in enumerate(source.ids)}
    return [
        {rows[item]: int(grade) for item, grade in source.qrels.get(query, {}).items() if item in rows}
        for query in source.query_ids
    ]


def _classes(embedded: Embedded, metric: Metric, seed: int) -> Target:
    labels = embedded.corpus.labels
    if not labels:
        raise EmptyInputError(f"`{embedded.corpus.name}` has no label column for {metric.name}; use overlap@10.")
    column = metric.column or next(iter(labels))
    if column not in labels:
        raise InvalidInputError(f"`metric` names the label column {column!r}; choose one of {list(labels)}.")
    classes = classes_from_labels(labels[column], column)
    own = _sample(len(classes.rows), seed)
    corpus = embedded.matrix[classes.rows]
    left_out = len(embedded.matrix) - len(corpus)
    notes = (f"{left_out} texts without a label, or alone in their class, are left out.",) if left_out else ()
    return Target(metric, corpus, corpus[own], own, codes=classes.codes, notes=notes)


def _pairs(embedded: Embedded, metric: Metric, seed: int) -> Target:
    if len(embedded.corpus.pairs) < 3:
        raise EmptyInputError(
            f"`{embedded.corpus.name}` has {len(embedded.corpus.pairs)} scored pairs; spearman needs at least 3."
        )
    chosen = _sample(len(embedded.corpus.pairs), seed)
    left, right, scores = zip(*(embedded.corpus.pairs[row] for row in chosen))
    if len(set(scores)) == 1:
        raise InvalidInputError(f"The scores are all {scores[0]:g}; a correlation needs at least two different scores.")
    sides = (np.array(left), np.array(right))
    return Target(
        metric, embedded.matrix, embedded.matrix[sides[0]], pairs=sides, gold=mean_ranks(np.array(scores, dtype=float)),
        notes=("Index and rerank play no part in spearman: both texts of a pair are stored in the plan's dtype.",),
    )  # fmt: skip


def _sample(n_items: int, seed: int) -> npt.NDArray[np.int64]:
    """All positions, or a seeded sample of them, ascending."""
    return np.sort(np.random.default_rng(seed).permutation(n_items)[:MOST_QUERIES]).astype(np.int64)
