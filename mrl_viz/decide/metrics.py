"""What a plan is judged by: the metric's name, the queries and labels it needs, and each query's value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.measures.lists import shares_by_length
from mrl_viz.tasks.hybrid import Hybrid, hybrid_of
from mrl_viz.tasks.task import Task, available_tasks, find_task, sample_rows
from mrl_viz.truncation import FloatMatrix, Floats, Ints

AT_K = ("overlap", "ndcg", "recall", "mrr")
# More queries than this make no interval that matters shorter, and every plan searches for all of them.
MOST_QUERIES = 1000

NEEDS = {"accuracy": ("classification", "label column"), "spearman": ("pairs", "scored pairs")}

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
        f"`metric` is {name!r}; choose {', '.join(f'{kind}@10' for kind in AT_K)} (any k), accuracy, accuracy:COLUMN "
        "or spearman."
    )


@dataclass(frozen=True, eq=False)
class Target:
    """What plans search, and how their lists are judged.

    `corpus` : (n_items, full_dim); `queries` : (n_queries, full_dim). `own` : each query's row in the corpus, where
    texts search for each other. `task` : the labels; None for overlap, which full-width lists judge. `hybrid` : what
    lists are fused with before they are judged; None where only vectors search.
    """

    metric: Metric
    corpus: FloatMatrix
    queries: FloatMatrix
    own: Ints | None = None
    task: Task | None = None
    notes: tuple[str, ...] = ()
    hybrid: Hybrid | None = None

    @property
    def pairs(self) -> tuple[Ints, Ints, Floats] | None:
        """Rows of both sides of the scored pairs, and their scores; None for other metrics."""
        return None if self.task is None else self.task.pairs

    @property
    def n_voters(self) -> int | None:
        """How many neighbors vote on a class; None for other metrics."""
        if self.task is None or self.task.kind != "classification":
            return None
        return self.task.list_length(len(self.corpus))

    def values(self, found: Lists, full: Lists, ks: Sequence[int]) -> Floats:
        """Each query's value at every list length, (n_ks, n_queries), from its results and those at full width."""
        if self.hybrid is not None:
            found, full = (self.hybrid.fuse(lists, max(ks)) for lists in (found, full))
        if self.task is None:
            return shares_by_length(found, full)[:, np.array(ks) - 1].T
        if self.task.kind == "classification":
            return self.task.score(found[None])
        names = [f"{self.metric.kind}@{k}" for k in ks]
        return np.concatenate(list(self.task.scores(found[None], names).values()))


def find_target(embedded: Embedded, metric: Metric, seed: int, fusion_k: int | None = None) -> Target:
    """The queries and labels for a metric; at most MOST_QUERIES of them, a seeded sample.

    Parameters
    ----------
    fusion_k : judge lists fused with those of BM25, see `hybrid_of`; None judges those of the vectors

    Raises
    ------
    EmptyInputError : the corpus has no labels for the metric. InvalidInputError : labels that cannot be used, or hybrid
    without texts or with another metric than one at k.
    """
    if fusion_k is not None and metric.k is None:
        raise InvalidInputError(
            f"`metric` is {metric.name}, and hybrid fuses lists of results; use {', '.join(f'{at}@10' for at in AT_K)}."
        )
    target, asking = _target(embedded, metric, seed)
    if fusion_k is None:
        return target
    hybrid = hybrid_of(embedded.corpus, asking, texts_ask=target.own is not None, fusion_k=fusion_k)
    return replace(target, hybrid=hybrid, notes=(*target.notes, hybrid.about()))


def _target(embedded: Embedded, metric: Metric, seed: int) -> tuple[Target, Ints]:
    """The target, and the positions of its queries among all, or of the texts that search."""
    corpus = embedded.matrix
    if metric.kind == "overlap":
        if embedded.queries is not None:
            asking = sample_rows(len(embedded.queries), MOST_QUERIES, seed)
            return Target(metric, corpus, embedded.queries[asking]), asking
        own = sample_rows(len(corpus), MOST_QUERIES, seed)
        note = "There are no queries, so texts search for their own neighbors; real queries may behave otherwise."
        return Target(metric, corpus, corpus[own], own, notes=(note,)), own
    kind, needs = NEEDS.get(metric.kind, ("retrieval", "relevance judgements"))
    if kind not in available_tasks(embedded.corpus) or (kind == "retrieval" and embedded.queries is None):
        raise EmptyInputError(
            f"`{embedded.corpus.name}` has no {needs} for {metric.name}; give a file with them (judgements with their "
            f"queries), or use overlap@{metric.k or 10}."
        )
    task = find_task(embedded, kind, metric=metric.name, column=metric.column, most_judged=MOST_QUERIES, seed=seed)
    if task.pairs is not None:
        note = "Index and rerank play no part in spearman: both texts of a pair are stored in the plan's dtype."
        return Target(metric, corpus, corpus[task.pairs[0]], task=task, notes=(*task.notes, note)), task.rows
    found = Target(metric, task.searched(corpus), task.asking(embedded)[task.rows], task.own, task, task.notes)
    return found, task.rows
