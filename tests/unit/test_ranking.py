"""Retrieval metrics per query and width against naive loops; judgements that cannot be used."""

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from mrl_viz.errors import DimensionError, EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.tasks.retrieval import METRICS, retrieval_scores
from mrl_viz.truncation import truncate_and_normalize

RNG = np.random.default_rng(0)
CORPUS = RNG.normal(size=(150, 16)).astype(np.float32)
QUERIES = (CORPUS[:12] + 0.8 * RNG.normal(size=(12, 16))).astype(np.float32)
IDS, QUERY_IDS = [f"d{i}" for i in range(150)], [f"q{i}" for i in range(12)]
QRELS = {
    q: {IDS[i]: int(RNG.integers(-1, 4)) for i in {n, *RNG.choice(150, 9, replace=False).tolist()}}
    for n, q in enumerate(QUERY_IDS)
}
ARGUMENTS = {"document_ids": IDS, "query_ids": QUERY_IDS, "qrels": QRELS}


def naive(order, grades, binary):
    """All five metrics of one ranked list, term by term."""
    gains = {doc: (min(grade, 1) if binary else grade) for doc, grade in grades.items() if grade > 0}
    gain = [gains.get(doc, 0) for doc in order]
    discount = 1 / np.log2(np.arange(2, 12))
    ideal = sorted(gains.values(), reverse=True)[:10]
    hits = [g > 0 for g in gain]
    first = next((rank for rank, hit in enumerate(hits[:10], start=1) if hit), None)
    return {
        "ndcg@10": (np.array(gain[:10]) * discount).sum() / (np.array(ideal) * discount[: len(ideal)]).sum(),
        "recall@10": sum(hits[:10]) / len(gains),
        "recall@100": sum(hits[:100]) / len(gains),
        "mrr@10": 1 / first if first else 0,
        "map@100": sum(sum(hits[:r]) / r for r in range(1, 101) if hits[r - 1]) / len(gains),
    }


@pytest.mark.parametrize("binary", [False, True])
def test_every_metric_of_every_query_equals_a_naive_loop(binary):
    """nDCG, recall, MRR and MAP at each width are the textbook sums over the ranking by cosine, graded or binary."""
    result = retrieval_scores(CORPUS, QUERIES, dims=[2, 8], binary_qrels=binary, **ARGUMENTS)
    assert result.dims == (2, 8, 16) and tuple(result.metrics) == METRICS
    for level, dim in enumerate(result.dims):
        cosines = truncate_and_normalize(QUERIES, dim) @ truncate_and_normalize(CORPUS, dim).T
        for column, query in enumerate(result.query_ids):
            order = [IDS[i] for i in np.argsort(-cosines[QUERY_IDS.index(query)], kind="stable")]
            for name, value in naive(order, QRELS[query], binary).items():
                assert result.metrics[name][level, column] == pytest.approx(value, abs=1e-6), (name, dim, query)


def test_ndcg_agrees_with_sklearn():
    """Without ties, sklearn's graded nDCG@10 is the same number."""
    result = retrieval_scores(CORPUS, QUERIES, dims=[8], **ARGUMENTS)
    cosines = truncate_and_normalize(QUERIES, 8) @ truncate_and_normalize(CORPUS, 8).T
    for column, query in enumerate(result.query_ids):
        row = QUERY_IDS.index(query)
        grades = [max(QRELS[query].get(doc, 0), 0) for doc in IDS]
        assert result.metrics["ndcg@10"][0, column] == pytest.approx(
            ndcg_score([grades], [cosines[row]], k=10), abs=1e-6
        )


def test_ties_go_to_the_lower_index_whatever_the_ids():
    """Duplicates rank by position, not by id as trec_eval would."""
    corpus = np.tile(np.eye(2, dtype=np.float32)[:1], (3, 1))
    for ids in (["a", "b", "c"], ["c", "b", "a"]):
        result = retrieval_scores(
            corpus, corpus[:1], document_ids=ids, query_ids=["q"], qrels={"q": {ids[1]: 1}}, dims=[2]
        )
        assert result.metrics["mrr@10"][0, 0] == 0.5


def test_first_hit_below_rank_ten_counts_nothing():
    """MRR@10 is 1/10 at rank 10 and 0 at rank 11."""
    angles = np.linspace(0, 1, 12)
    corpus = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for relevant, expected in (("9", 0.1), ("10", 0.0)):
        result = retrieval_scores(
            corpus,
            corpus[:1],
            document_ids=[str(i) for i in range(12)],
            query_ids=["q"],
            qrels={"q": {relevant: 1}},
            dims=[2],
        )
        assert result.metrics["mrr@10"][0, 0] == pytest.approx(expected)


def test_unusable_judgements_are_left_out_and_counted():
    """Unknown items and queries and queries without a relevant item change the counts, and nothing else."""
    qrels = {**QRELS, "nobody": {"d1": 1}, "q3": {"d1": 0, "d2": -1}, "q4": {**QRELS["q4"], "gone": 2}}
    qrels.pop("q5")
    result = retrieval_scores(CORPUS, QUERIES, document_ids=IDS, query_ids=QUERY_IDS, qrels=qrels, dims=[8])
    assert (result.n_unknown, result.n_without_relevant) == (2, 2)
    assert result.query_ids == tuple(q for q in QUERY_IDS if q not in ("q3", "q5"))
    base = retrieval_scores(CORPUS, QUERIES, dims=[8], **ARGUMENTS)
    kept = [base.query_ids.index(q) for q in result.query_ids]
    np.testing.assert_array_equal(result.metrics["ndcg@10"], base.metrics["ndcg@10"][:, kept])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"qrels": {"q0": {"gone": 1}}},
            EmptyInputError,
            r"no item here as relevant to any of 12 queries \(1 judgements",
        ),
        ({"qrels": {}}, EmptyInputError, "`qrels` mark no item"),
        ({"qrels": {"q0": {"d1": 0.5}}}, InvalidInputError, "`qrels` grade 'd1' for 'q0' as 0.5"),
        ({"document_ids": ["d"] * 150}, InvalidInputError, "`document_ids` repeats 149 ids"),
        ({"query_ids": ["q0"]}, ShapeError, "`query_ids` has 1 ids for 12 vectors"),
        ({"dims": [17]}, DimensionError, "`dim` is 17"),
    ],
)
def test_bad_input_is_one_clear_error(change, error, message):
    """Unknown ids only, fractional grades, repeated or missing ids, and widths beyond the vectors are refused."""
    with pytest.raises(error, match=message):
        retrieval_scores(CORPUS, QUERIES, **({"dims": [8]} | ARGUMENTS | change))


def test_plain_data_are_means():
    """The summary holds means over queries and the counts."""
    result = retrieval_scores(CORPUS, QUERIES, dims=[8], **ARGUMENTS)
    data = result.to_dict()
    assert data["metrics"]["map@100"][0] == pytest.approx(result.metrics["map@100"][0].mean())
    assert data["n_queries"] == 12 and f"{result.metrics['ndcg@10'][0].mean():.3f} at 8" in result.takeaway()
