"""What the labels of a corpus can judge, and the value of every query, pair or text that they judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.data.corpus import SPLIT, Corpus
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.measures.lists import knn_correct, neighbor_lists
from mrl_viz.sweep import pair_similarities
from mrl_viz.tasks.classes import N_NEIGHBORS, Classes, classes_from_labels, sample_of_classes
from mrl_viz.tasks.pairs import check_scores, spearman_values
from mrl_viz.tasks.retrieval import METRICS, Grades, ranking_scores, read_judgements
from mrl_viz.truncation import FloatMatrix, Floats, Ints, Progress

TASKS = ("retrieval", "pairs", "classification")

Lists = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Task:
    """What is judged, and by which labels; `find_task` makes it from a corpus.

    `kind` : one of TASKS. `metric` : what a value is called, such as ndcg@10, spearman, knn_accuracy:topic.
    `rows` : what is judged, ascending: positions of queries, of scored pairs, or of texts.
    `items` : positions of the texts that lists are made of; lists hold places among them. None : all texts.
    `own` : for texts that search for each other, the place of each of `rows` among the items; else None.
    `grades` : of retrieval, for each of `rows`: place of an item to its grade. `codes` : of classes: class of every
    text, int64 of shape (n_texts,). `pairs` : of pairs: left and right positions and the score of each of `rows`.
    `notes` : what is left out, and why.
    """

    kind: str
    metric: str
    rows: Ints
    items: Ints | None = None
    own: Ints | None = None
    grades: tuple[Grades, ...] = ()
    codes: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    pairs: tuple[Ints, Ints, Floats] | None = None
    notes: tuple[str, ...] = ()

    @property
    def n_judged(self) -> int:
        """How many queries, pairs or texts are judged."""
        return len(self.rows)

    def searched(self, corpus: FloatMatrix) -> FloatMatrix:
        """The vectors that are searched, (n_items, dim), from those of all texts."""
        return corpus if self.items is None else corpus[self.items]

    def asking(self, embedded: Embedded) -> FloatMatrix:
        """The vectors that `rows` are positions in: of the queries, or of the texts."""
        return embedded.queries if self.kind == "retrieval" and embedded.queries is not None else embedded.matrix

    def list_length(self, n_items: int) -> int:
        """How many entries of a list the metric looks at."""
        if self.kind == "retrieval":
            return min(int(self.metric.split("@")[1]), n_items)
        return min(N_NEIGHBORS, n_items - (self.own is not None))

    def lists(
        self,
        corpus: FloatMatrix,
        asking: FloatMatrix,
        dims: Sequence[int],
        *,
        k: int | None = None,
        progress: Progress | None = None,
    ) -> Lists:
        """The nearest items of everything judged, (n_dims, n_judged, k), one's own text left out.

        Parameters
        ----------
        corpus : vectors of all texts, (n_texts, dim)
        asking : the vectors that `rows` are positions in, see `asking`
        dims : widths of the lists
        k : list length; what the metric looks at when None
        """
        searched = self.searched(corpus)
        k = self.list_length(len(searched)) if k is None else min(k, len(searched))
        return neighbor_lists(
            searched, asking[self.rows, : searched.shape[1]], dims, k, own=self.own, progress=progress
        )

    def score(self, indices: Lists) -> Floats:
        """The value of everything judged, (n_dims, n_judged) in [0, 1], from its ranked lists.

        Parameters
        ----------
        indices : (n_dims, n_judged, k), places among the items, best first; -1 stands for nothing found

        Raises
        ------
        InvalidInputError : scored pairs have no lists.
        """
        if self.pairs is not None:
            raise InvalidInputError("`indices` cannot be scored by pairs; use `measure`.")
        if self.kind == "retrieval":
            return self.scores(indices, (self.metric,))[self.metric]
        return knn_correct(indices, self.codes if self.items is None else self.codes[self.items], self.codes[self.rows])

    def scores(self, indices: Lists, metrics: Sequence[str] = METRICS) -> dict[str, Floats]:
        """Several metrics of retrieval by name, from lists as in `score`; see `ranking_scores`."""
        return ranking_scores(indices, self.grades, metrics)

    def measure(self, corpus: FloatMatrix, asking: FloatMatrix, dims: Sequence[int]) -> Floats:
        """The value of everything judged at every width, (n_dims, n_judged), from vectors as in `lists`.

        The mean is the metric; pairs compare texts of `corpus`.
        """
        if self.pairs is None:
            return self.score(self.lists(corpus, asking, dims))
        left, right, scores = self.pairs
        cosines = pair_similarities(corpus[left], corpus[right], dims)
        return np.stack([spearman_values(row, scores) for row in cosines])


def available_tasks(corpus: Corpus) -> tuple[str, ...]:
    """The tasks that a corpus has labels for, in the order of TASKS."""
    return tuple(task for task, labels in zip(TASKS, (corpus.qrels, corpus.pairs, corpus.labels)) if labels)


def find_task(
    embedded: Embedded,
    kind: str | None = None,
    *,
    metric: str = METRICS[0],
    column: str | None = None,
    binary_qrels: bool = False,
    most_judged: int | None = None,
    most_items: int | None = None,
    seed: int = 0,
) -> Task:
    """The task that an embedded corpus can be judged by.

    Parameters
    ----------
    embedded : with its queries where relevance is judged
    kind : one of TASKS; None takes the first that the corpus has labels for
    metric : of retrieval: ndcg, recall, mrr or map at a depth
    column : of classes; None takes the first label column that can be used
    binary_qrels : count every positive relevance grade as 1
    most_judged : a seeded sample of so many is judged where there are more
    most_items : so many labelled texts are searched where there are more, a seeded sample too

    Raises
    ------
    EmptyInputError : no labels, or none that can be used.
    InvalidInputError : a task without labels, queries that were not embedded, constant scores, one class.
    """
    source = embedded.corpus
    tasks = available_tasks(source)
    if not tasks:
        raise EmptyInputError(
            f"`{source.name}` has no labels to evaluate with; give relevance judgements, scored pairs or labels."
        )
    kind = tasks[0] if kind is None else kind
    if kind not in tasks:
        raise InvalidInputError(
            f"`task` is {kind!r} but `{source.name}` has labels for {', '.join(tasks)}; choose one of them."
        )
    if kind == "retrieval":
        task = _retrieval(embedded, metric, binary_qrels)
    elif kind == "pairs":
        task = _pairs(source, most_judged, seed)
    else:
        task = class_tasks(source, column, most_items=most_items, seed=seed)[0]
    return _sampled(task, most_judged, seed)


def check_queries(embedded: Embedded, source: Corpus, name: str = "queries") -> None:
    """Raise InvalidInputError for another number of query vectors than the corpus has judged queries."""
    n_queries = 0 if embedded.queries is None else len(embedded.queries)
    if n_queries != len(source.query_ids):
        raise InvalidInputError(
            f"`{name}` has {n_queries} query vectors for {len(source.query_ids)} judged queries; embed the corpus with "
            "its own queries."
        )


def class_tasks(
    source: Corpus, column: str | None = None, *, most_items: int | None = None, seed: int = 0
) -> tuple[Task, ...]:
    """Recognising the class of a text by its nearest others: one task per label column that can be used.

    Notes of the first say which columns cannot, and whether the vectors were trained on these labels.

    Raises
    ------
    InvalidInputError : no such column, or none with two classes of two texts.
    """
    if column is not None and column not in source.labels:
        raise InvalidInputError(f"`{source.name}` has no label column {column!r}; choose one of {list(source.labels)}.")
    columns = {name: source.labels[name] for name in (source.class_columns if column is None else (column,))}
    tasks, unusable = [], []
    if column is None and len(columns) < len(source.labels):
        unusable.append(f"`{SPLIT}` says what {source.things} were used for in training, which is no class to name.")
    for name, labels in columns.items():
        try:
            tasks.append(_classes(name, classes_from_labels(labels, name), len(labels), most_items, seed))
        except InvalidInputError as error:
            if len(columns) == 1:
                raise
            unusable.append(str(error))
    if not tasks:
        raise InvalidInputError(f"`{source.name}` has no label column with two classes of two texts; {unusable[-1]}")
    return (replace(tasks[0], notes=(*source.check.flattering, *unusable, *tasks[0].notes)), *tasks[1:])


def _retrieval(embedded: Embedded, metric: str, binary: bool) -> Task:
    source = embedded.corpus
    check_queries(embedded, source)
    rows, grades, notes = read_judgements(source.qrels, source.ids, source.query_ids, binary=binary)
    read = tuple(note for note in source.check.notes if "judgements" in note)
    return Task("retrieval", metric, rows, grades=grades, notes=(*read, *notes))


def _pairs(source: Corpus, most: int | None, seed: int) -> Task:
    rows = sample_rows(len(source.pairs), most, seed)
    left, right, scores = (np.array([source.pairs[row][part] for row in rows]) for part in range(3))
    checked = check_scores(scores)
    notes = tuple(note for note in source.check.notes if "pairs" in note)
    return Task("pairs", "spearman", rows, pairs=(left, right, checked), notes=notes)


def _classes(column: str, classes: Classes, n_texts: int, most_items: int | None, seed: int) -> Task:
    notes = [
        f"`{column}`: {n:,} texts {what} are left out."
        for n, what in ((classes.n_unlabelled, "without a label"), (classes.n_single, "alone in their class"))
        if n
    ]
    rows = classes.rows
    if most_items is not None and len(rows) > most_items:
        kept = sample_of_classes(classes.codes, most_items, seed)
        if len(np.unique(classes.codes[kept])) < 2:
            raise InvalidInputError(f"`{column}`: a sample of {most_items:,} texts has no two classes of two texts.")
        notes.append(f"`{column}`: a seeded sample of {len(kept):,} of {len(rows):,} labelled texts is used.")
        rows = rows[kept]
    codes = np.full(n_texts, -1, dtype=np.int64)
    codes[classes.rows] = classes.codes
    own = np.arange(len(rows), dtype=np.int64)
    return Task("classification", f"knn_accuracy:{column}", rows, rows, own, codes=codes, notes=tuple(notes))


def _sampled(task: Task, most: int | None, seed: int) -> Task:
    """The task with a seeded sample of what is judged; everything is searched still."""
    kept = sample_rows(task.n_judged, most, seed)
    if len(kept) == task.n_judged:
        return task
    return replace(
        task,
        rows=task.rows[kept],
        own=None if task.own is None else task.own[kept],
        grades=tuple(task.grades[place] for place in kept) if task.grades else (),
    )


def sample_rows(n_items: int, most: int | None, seed: int) -> Ints:
    """All positions, or a seeded sample of `most` of them, ascending."""
    if most is None or n_items <= most:
        return np.arange(n_items, dtype=np.int64)
    return np.sort(np.random.default_rng(seed).permutation(n_items)[:most]).astype(np.int64)
