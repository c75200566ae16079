"""Quality with relevance labels: nDCG, recall, MRR and MAP of every query at every width, by ir-measures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.sweep import Sweep, nested_sweep
from mrl_viz.truncation import check_embeddings

# One list this long per query serves every metric.
DEPTH = 100
METRICS = ("ndcg@10", "recall@10", "recall@100", "mrr@10", "map@100")
MRR_DEPTH = 10

Qrels = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class RetrievalScores:
    """Per-query retrieval quality at every width.

    `metrics` : name to ndarray of shape (n_dims, n_queries), each in [0, 1]. `query_ids` : the queries measured.
    `n_without_relevant` : queries left out because no item here is relevant to them. `n_unknown` : judgements left out
    because they name a query or item that is not here. `binary_qrels` : every positive grade counted as 1.
    """

    dims: tuple[int, ...]
    query_ids: tuple[str, ...]
    n_items: int
    n_without_relevant: int
    n_unknown: int
    binary_qrels: bool
    metrics: Mapping[str, npt.NDArray[np.float64]]

    def to_dict(self) -> dict[str, Any]:
        """Means over queries, and the counts."""
        return {
            "dims": self.dims,
            "n_queries": len(self.query_ids),
            "n_items": self.n_items,
            "n_without_relevant": self.n_without_relevant,
            "n_unknown": self.n_unknown,
            "binary_qrels": self.binary_qrels,
            "metrics": {name: values.mean(axis=1).tolist() for name, values in self.metrics.items()},
        }

    def takeaway(self) -> str:
        """One sentence: nDCG@10 at the smallest and the full width."""
        mean = self.metrics["ndcg@10"].mean(axis=1)
        return f"nDCG@10 is {mean[0]:.3f} at {self.dims[0]} dims and {mean[-1]:.3f} at {self.dims[-1]}."


def retrieval_scores(
    corpus: npt.ArrayLike,
    queries: npt.ArrayLike,
    *,
    document_ids: Sequence[str],
    query_ids: Sequence[str],
    qrels: Qrels,
    dims: Iterable[int],
    binary_qrels: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> RetrievalScores:
    """nDCG@10, recall@10, recall@100, MRR@10 and MAP@100 of exact cosine search at every width, from one nested sweep.

    Parameters
    ----------
    corpus, queries : array_like of shape (n_items, full_dim) and (n_queries, full_dim)
    document_ids, query_ids : their ids, in order
    qrels : query id to item id to whole-number grade; above 0 is relevant
    dims : widths in 1..full_dim; the full width is added
    binary_qrels : count every positive grade as 1, as sentence-transformers' evaluator does
    progress : called with (corpus tiles done, corpus tiles in all)

    Returns
    -------
    RetrievalScores : queries without a relevant item are left out, and so are judgements that name an unknown query or
        item; both are counted. Equal cosines go to the lower index.

    Raises
    ------
    EmptyInputError : no query has a relevant item.
    InvalidInputError : repeated ids, or a grade that is no whole number.
    DimensionError, ShapeError : unusable arrays or widths, or another number of ids.

    Source: measures as in trec_eval, through ir-measures: MacAvaney, Macdonald & Ounis 2022, arXiv:2111.13466.
    """
    corpus, queries = check_embeddings(corpus, "corpus"), check_embeddings(queries, "queries")
    rows = _index("document_ids", document_ids, len(corpus))
    places = _index("query_ids", query_ids, len(queries))
    judged, n_unknown = _judgements(qrels, rows, places, binary_qrels)
    relevant = {query: grades for query, grades in judged.items() if max(grades.values()) > 0}
    if not relevant:
        raise EmptyInputError(
            f"`qrels` mark no item here as relevant to any of {len(query_ids)} queries "
            f"({n_unknown} judgements name unknown ids); "
            "check that their ids are those of the queries and texts."
        )
    kept = sorted(relevant)
    sweep = nested_sweep(corpus, queries[kept], dims=dims, k=min(DEPTH, len(corpus)), progress=progress)
    return RetrievalScores(
        dims=sweep.dims,
        query_ids=tuple(query_ids[place] for place in kept),
        n_items=sweep.n_items,
        n_without_relevant=len(query_ids) - len(kept),
        n_unknown=n_unknown,
        binary_qrels=binary_qrels,
        metrics=_score(sweep, [relevant[place] for place in kept]),
    )


def _index(name: str, ids: Sequence[str], n_rows: int) -> dict[str, int]:
    if len(ids) != n_rows:
        raise ShapeError(f"`{name}` has {len(ids)} ids for {n_rows} vectors; give one each.")
    index = {identifier: row for row, identifier in enumerate(ids)}
    if len(index) < n_rows:
        raise InvalidInputError(
            f"`{name}` repeats {n_rows - len(index)} ids, so judgements are ambiguous; make each id unique."
        )
    return index


def _judgements(
    qrels: Qrels, rows: Mapping[str, int], places: Mapping[str, int], binary_qrels: bool
) -> tuple[dict[int, dict[int, int]], int]:
    """Grades by query and item position, and how many judgements named something unknown."""
    judged: dict[int, dict[int, int]] = {}
    n_unknown = 0
    for query, grades in qrels.items():
        for document, grade in grades.items():
            if query not in places or document not in rows:
                n_unknown += 1
                continue
            if grade != int(grade):
                raise InvalidInputError(f"`qrels` grade {document!r} for {query!r} as {grade}; give whole numbers.")
            judged.setdefault(places[query], {})[rows[document]] = int(grade > 0) if binary_qrels else int(grade)
    return judged, n_unknown


def _score(sweep: Sweep, relevant: Sequence[Mapping[int, int]]) -> dict[str, npt.NDArray[np.float64]]:
    """Metric name to (n_dims, n_queries)."""
    import ir_measures
    from ir_measures import AP, RR, R, nDCG

    measures = {nDCG @ 10: "ndcg@10", R @ 10: "recall@10", R @ 100: "recall@100", RR: "mrr@10", AP @ 100: "map@100"}
    names = [str(row) for row in range(sweep.n_items)]
    labels = {str(q): {names[row]: grade for row, grade in grades.items()} for q, grades in enumerate(relevant)}
    evaluator = ir_measures.pytrec_eval.evaluator(list(measures), labels)
    # trec_eval breaks ties by id, descending, so it is given ranks instead of cosines: the order is then ours.
    falling = [float(rank) for rank in range(sweep.k, 0, -1)]
    result = {name: np.zeros((len(sweep.dims), sweep.n_queries)) for name in METRICS}
    for level, lists in enumerate(sweep.indices):
        run = {str(q): dict(zip([names[row] for row in found], falling)) for q, found in enumerate(lists.tolist())}
        for metric in evaluator.iter_calc(run):
            result[measures[metric.measure]][level, int(metric.query_id)] = metric.value
    # The provider has no cut-off for the reciprocal rank; a first hit below it is one that was not found.
    reciprocal = result["mrr@10"]
    reciprocal[reciprocal < 1 / (MRR_DEPTH + 0.5)] = 0
    return result
