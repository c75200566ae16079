"""Quality with relevance labels: nDCG, recall, MRR and MAP of ranked lists, by ir-measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.truncation import Floats, Ints

# One list this long per query serves every metric.
DEPTH = 100
METRICS = ("ndcg@10", "recall@10", "recall@100", "mrr@10", "map@100")

Qrels = Mapping[str, Mapping[str, int]]
# One query's judgements: position of an item to its whole-number grade, above 0 is relevant.
Grades = Mapping[int, int]


def ranking_scores(
    indices: npt.NDArray[np.integer[Any]], grades: Sequence[Grades], metrics: Sequence[str] = METRICS
) -> dict[str, Floats]:
    """Every metric of ranked lists: name to ndarray of shape (n_dims, n_queries), in [0, 1].

    Parameters
    ----------
    indices : (n_dims, n_queries, depth), positions of items, best first; -1 stands for nothing found
    grades : for each query, position of an item to its grade; a query without one above 0 scores 0
    metrics : ndcg, recall, mrr, map or success, each at a depth, such as "ndcg@10"

    Source: as in trec_eval, through ir-measures: MacAvaney, Macdonald & Ounis 2022, arXiv:2111.13466; nDCG: gain =
    grade, discount log2(rank + 1), Järvelin & Kekäläinen 2002.
    """
    import ir_measures

    families = {
        "ndcg": ir_measures.nDCG, "recall": ir_measures.R, "map": ir_measures.AP, "success": ir_measures.Success,
    }  # fmt: skip
    parts = {name: name.split("@") for name in metrics}
    wanted = {
        name: ir_measures.RR if kind == "mrr" else families[kind] @ int(depth) for name, (kind, depth) in parts.items()
    }
    labels = {str(q): {str(item): grade for item, grade in judged.items()} for q, judged in enumerate(grades)}
    evaluator = ir_measures.pytrec_eval.evaluator(list(set(wanted.values())), labels)
    # trec_eval breaks ties by id, descending, so it is given ranks instead of cosines: the order is then ours.
    falling = [float(rank) for rank in range(indices.shape[2], 0, -1)]
    found = {measure: np.zeros(indices.shape[:2]) for measure in wanted.values()}
    for level, lists in enumerate(indices.tolist()):
        run = {
            str(q): {str(item): rank for item, rank in zip(items, falling) if item >= 0}
            for q, items in enumerate(lists)
        }
        for value in evaluator.iter_calc(run):
            found[value.measure][level, int(value.query_id)] = value.value
    # The provider has no cut-off for the reciprocal rank; a first hit below it is one that was not found.
    floors = {name: 1 / (int(depth) + 0.5) if kind == "mrr" else 0.0 for name, (kind, depth) in parts.items()}
    return {name: np.where(found[measure] < floors[name], 0, found[measure]) for name, measure in wanted.items()}


def read_judgements(
    qrels: Qrels, document_ids: Sequence[str], query_ids: Sequence[str], *, binary: bool = False
) -> tuple[Ints, tuple[dict[int, int], ...], tuple[str, ...]]:
    """The queries with a relevant item here, each one's grades by the item's position, and notes on what is left out.

    Parameters
    ----------
    qrels : query id to item id to whole-number grade; above 0 is relevant
    document_ids, query_ids : in order
    binary : count every positive grade as 1, as sentence-transformers' evaluator does

    Returns
    -------
    rows : positions of those queries, ascending, (n_judged,)
    grades : for each of them position of an item to grade
    notes : how many queries and judgements are left out, where any are

    Raises
    ------
    EmptyInputError : no query has a relevant item. InvalidInputError : repeated ids, or a grade that is not whole.
    """
    items, queries = _positions("document_ids", document_ids), _positions("query_ids", query_ids)
    judged: dict[int, dict[int, int]] = {}
    n_unknown = 0
    for query, given in qrels.items():
        for document, grade in given.items():
            if query not in queries or document not in items:
                n_unknown += 1
                continue
            if grade != int(grade):
                raise InvalidInputError(f"`qrels` grade {document!r} for {query!r} as {grade}; give whole numbers.")
            judged.setdefault(queries[query], {})[items[document]] = int(grade > 0) if binary else int(grade)
    rows = [row for row in sorted(judged) if max(judged[row].values()) > 0]
    if not rows:
        raise EmptyInputError(
            f"`qrels` mark no item here as relevant to any of {len(query_ids)} queries ({n_unknown} judgements name "
            "unknown ids); check that their ids are those of the queries and texts."
        )
    notes = []
    if n_without := len(query_ids) - len(rows):
        notes.append(f"{n_without} queries have no relevant text here and are left out.")
    if n_unknown:
        notes.append(f"{n_unknown} relevance judgements name a query or text that is not here; they are left out.")
    return np.array(rows, dtype=np.int64), tuple(judged[row] for row in rows), tuple(notes)


def _positions(name: str, ids: Sequence[str]) -> dict[str, int]:
    positions = {identifier: row for row, identifier in enumerate(ids)}
    if len(positions) < len(ids):
        raise InvalidInputError(
            f"`{name}` repeats {len(ids) - len(positions)} ids, so judgements are ambiguous; make each id unique."
        )
    return positions
