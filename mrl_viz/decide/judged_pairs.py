"""Pairs of texts that should not be found for each other, and those that should, by the labels there are."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.measures.pair_scores import DrawnPairs, draw_pairs
from mrl_viz.tasks.task import TASKS, available_tasks, find_task, sample_rows
from mrl_viz.truncation import Flags, FloatMatrix, Ints

# Pairs of queries and texts: 160,000; of texts: 80,000. The score above a hundredth of them is known to about 0.01.
MOST_QUERIES, MOST_ITEMS, MOST_TEXTS = 160, 1000, 400
MOST_POSITIVES = 2000
_NONE: Ints = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class JudgedPairs:
    """A seeded sample of pairs: each of `asking` with each of `items`, where `is_negative` or named in `positives`.

    `asking`, `items` : vectors of shape (n_asking, full_dim) and (n_items, full_dim). `is_negative` : bool of shape
    (n_asking, n_items). `positives` : rows and columns of the pairs that should be found, two arrays; empty where
    nothing is judged. `negatives` : what the negatives are, in words. `asks` : "query" or "text". `is_self` : both
    sides are the same texts, or sides of the same scored pairs, and are drawn together.
    """

    asking: FloatMatrix
    items: FloatMatrix
    is_negative: Flags
    negatives: str
    asks: str
    is_self: bool
    positives: tuple[Ints, Ints] = field(default_factory=lambda: (_NONE, _NONE))
    _counts_columns: bool = False

    @property
    def n_negatives(self) -> int:
        """How many pairs should not be found."""
        return int(self.is_negative.sum())

    @property
    def n_positives(self) -> int:
        """How many pairs should."""
        return len(self.positives[0])

    def drawn(self, seed: int) -> tuple[DrawnPairs, DrawnPairs | None]:
        """The negatives, and the positives in a row, in the same resamples of the texts; None without positives.

        A positive is drawn with its query or its scored pair, or, of texts among each other, with both texts.
        """
        negatives = draw_pairs(self.is_negative, is_self=self.is_self, seed=seed)
        if not self.n_positives:
            return negatives, None
        rows, columns = self.positives
        weights = negatives.rows[:, rows]
        if self._counts_columns:
            weights *= negatives.columns[:, columns]
        once = np.ones((len(weights), 1), dtype=np.float32)
        return negatives, DrawnPairs(np.ones((1, self.n_positives), dtype=bool), once, weights)


def judged_pairs(
    embedded: Embedded, task: str | None = None, *, column: str | None = None, seed: int = 0
) -> JudgedPairs:
    """The pairs that labels tell apart; random pairs where there are none.

    Parameters
    ----------
    embedded : with its queries, where relevance is judged
    task : whose labels, one of TASKS; None takes the first that the data have usable labels for
    column : of classes; None takes the first that can be used
    seed : of the sample

    Relevance: a query and a text that is not judged relevant to it, judged irrelevant or not judged at all. Classes:
    texts of two classes. Scored pairs: texts of different pairs, save translations of each other; positives are pairs
    with a score in the upper half of the range. Without labels: a query and any text, or two different texts.

    Raises
    ------
    InvalidInputError : another task, or one without labels. EmptyInputError : labels that cannot be used.
    """
    there = available_tasks(embedded.corpus)
    if embedded.queries is None:
        there = tuple(kind for kind in there if kind != "retrieval")
    if task is not None and task not in there:
        raise InvalidInputError(f"`task` is {task!r}; the data have labels for {list(there)} of {list(TASKS)}.")
    for kind in (task,) if task else there:
        try:
            if kind == "retrieval":
                return _of_relevance(embedded, seed)
            return _of_scored(embedded, seed) if kind == "pairs" else _of_classes(embedded, column, seed)
        except InvalidInputError:
            # Labels that nobody asked for and that say nothing, such as a class for each text.
            if task:
                raise
    return _of_any(embedded, seed)


def _of_relevance(embedded: Embedded, seed: int) -> JudgedPairs:
    task = find_task(embedded, "retrieval", most_judged=MOST_QUERIES, seed=seed)
    relevant = [
        (row, item) for row, grades in enumerate(task.grades) for item, grade in grades.items() if grade > 0
    ]  # fmt: skip
    rows, texts = np.array(relevant, dtype=np.int64).T
    sampled = sample_rows(len(embedded.matrix), MOST_ITEMS, seed)
    kept = sample_rows(len(rows), MOST_POSITIVES, seed)
    # Relevant texts that were not sampled are scored too, but make no negatives: they are no sample of the texts.
    items = np.concatenate([sampled, np.setdiff1d(texts[kept], sampled)])
    place = np.full(len(embedded.matrix), -1, dtype=np.int64)
    place[items] = np.arange(len(items))
    is_negative = np.zeros((len(task.rows), len(items)), dtype=bool)
    is_negative[:, : len(sampled)] = True
    is_there = place[texts] >= 0
    is_negative[rows[is_there], place[texts[is_there]]] = False
    return JudgedPairs(
        task.asking(embedded)[task.rows], embedded.matrix[items], is_negative,
        "pairs of a query and a text that is not judged relevant to it", "query", False,
        (rows[kept], place[texts[kept]]),
    )  # fmt: skip


def _of_classes(embedded: Embedded, column: str | None, seed: int) -> JudgedPairs:
    task = find_task(embedded, "classification", column=column)
    texts = task.rows[sample_rows(len(task.rows), MOST_TEXTS, seed)]
    codes = task.codes[texts]
    is_same = codes[:, None] == codes
    is_pair = np.triu(_are_others(embedded, texts), 1)
    rows, columns = np.nonzero(is_pair & is_same)
    kept = sample_rows(len(rows), MOST_POSITIVES, seed)
    vectors, name = embedded.matrix[texts], task.metric.partition(":")[2]
    return JudgedPairs(
        vectors, vectors, is_pair & ~is_same, f"pairs of texts with different `{name}`", "text", True,
        (rows[kept], columns[kept]), True,
    )  # fmt: skip


def _of_scored(embedded: Embedded, seed: int) -> JudgedPairs:
    task = find_task(embedded, "pairs", most_judged=MOST_TEXTS, seed=seed)
    left, right, scores = task.pairs or (_NONE, _NONE, np.empty(0))
    texts = np.array(embedded.corpus.texts, dtype=object)
    is_negative = (texts[left][:, None] != texts[right]) & ~np.eye(len(left), dtype=bool)
    if embedded.corpus.pair_ids:
        ids = np.array(embedded.corpus.pair_ids, dtype=object)[task.rows]
        is_negative &= (ids[:, None] != ids) | (ids == "")
    positive = np.flatnonzero(scores >= (scores.min() + scores.max()) / 2)
    return JudgedPairs(
        embedded.matrix[left], embedded.matrix[right], is_negative, "pairs of texts of different scored pairs", "text",
        True, (positive, positive),
    )  # fmt: skip


def _of_any(embedded: Embedded, seed: int) -> JudgedPairs:
    if embedded.queries is not None:
        asking = sample_rows(len(embedded.queries), MOST_QUERIES, seed)
        items = sample_rows(len(embedded.matrix), MOST_ITEMS, seed)
        return JudgedPairs(
            embedded.queries[asking], embedded.matrix[items], np.ones((len(asking), len(items)), dtype=bool),
            "pairs of any query and any text, a few of which may belong together", "query", False,
        )  # fmt: skip
    texts = sample_rows(len(embedded.matrix), MOST_TEXTS, seed)
    vectors, is_negative = embedded.matrix[texts], np.triu(_are_others(embedded, texts), 1)
    if not is_negative.any():
        raise EmptyInputError("`embedded` has no two different texts; add some.")
    words = "pairs of any two different texts, a few of which may belong together"
    return JudgedPairs(vectors, vectors, is_negative, words, "text", True)


def _are_others(embedded: Embedded, rows: Ints) -> Flags:
    """Where two of the texts are different texts."""
    texts = [embedded.corpus.texts[row] for row in rows]
    _, codes = np.unique(np.array(texts, dtype=object), return_inverse=True)
    return np.asarray(codes[:, None] != codes)
