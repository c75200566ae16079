"""Retrieval metrics per query and width against naive loops; judgements that cannot be used."""

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.sweep import nested_sweep
from mrl_viz.tasks.retrieval import DEPTH, METRICS, ranking_scores, read_judgements
from mrl_viz.tasks.task import Task
from mrl_viz.truncation import truncate_and_normalize

RNG = np.random.default_rng(0)
CORPUS = RNG.normal(size=(150, 16)).astype(np.float32)
QUERIES = (CORPUS[:12] + 0.8 * RNG.normal(size=(12, 16))).astype(np.float32)
IDS, QUERY_IDS = [f"d{i}" for i in range(150)], [f"q{i}" for i in range(12)]
QRELS = {
    q: {IDS[i]: int(RNG.integers(-1, 4)) for i in {n, *RNG.choice(150, 9, replace=False).tolist()}}
    for n, q in enumerate(QUERY_IDS)
}


def scored(corpus, queries, *, dims, document_ids=IDS, query_ids=QUERY_IDS, qrels=QRELS, binary=False):
    """The ids of the queries judged, every metric of them (n_dims, n_judged), and the notes."""
    rows, grades, notes = read_judgements(qrels, document_ids, query_ids, binary=binary)
    task = Task("retrieval", "ndcg@10", rows, grades=grades)
    scores = task.scores(task.lists(corpus, queries, dims, k=DEPTH))
    np.testing.assert_array_equal(task.measure(corpus, queries, dims), scores["ndcg@10"])
    return [query_ids[row] for row in rows], scores, notes


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
    dims = (2, 8, 16)
    judged, scores, _ = scored(CORPUS, QUERIES, dims=dims, binary=binary)
    assert tuple(scores) == METRICS
    for level, dim in enumerate(dims):
        cosines = truncate_and_normalize(QUERIES, dim) @ truncate_and_normalize(CORPUS, dim).T
        for column, query in enumerate(judged):
            order = [IDS[i] for i in np.argsort(-cosines[QUERY_IDS.index(query)], kind="stable")]
            for name, value in naive(order, QRELS[query], binary).items():
                assert scores[name][level, column] == pytest.approx(value, abs=1e-6), (name, dim, query)


def test_ndcg_agrees_with_sklearn():
    """Without ties, sklearn's graded nDCG@10 is the same number."""
    judged, scores, _ = scored(CORPUS, QUERIES, dims=[8])
    cosines = truncate_and_normalize(QUERIES, 8) @ truncate_and_normalize(CORPUS, 8).T
    for column, query in enumerate(judged):
        row = QUERY_IDS.index(query)
        grades = [max(QRELS[query].get(doc, 0), 0) for doc in IDS]
        assert scores["ndcg@10"][0, column] == pytest.approx(ndcg_score([grades], [cosines[row]], k=10), abs=1e-6)


def test_ties_go_to_the_lower_index_whatever_the_ids():
    """Duplicates rank by position, not by id as trec_eval would."""
    corpus = np.tile(np.eye(2, dtype=np.float32)[:1], (3, 1))
    for ids in (["a", "b", "c"], ["c", "b", "a"]):
        _, scores, _ = scored(corpus, corpus[:1], document_ids=ids, query_ids=["q"], qrels={"q": {ids[1]: 1}}, dims=[2])
        assert scores["mrr@10"][0, 0] == 0.5


def test_first_hit_below_rank_ten_counts_nothing():
    """MRR@10 is 1/10 at rank 10 and 0 at rank 11."""
    angles = np.linspace(0, 1, 12)
    corpus = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for relevant, expected in (("9", 0.1), ("10", 0.0)):
        ids = [str(i) for i in range(12)]
        _, scores, _ = scored(
            corpus, corpus[:1], document_ids=ids, query_ids=["q"], qrels={"q": {relevant: 1}}, dims=[2]
        )
        assert scores["mrr@10"][0, 0] == pytest.approx(expected)


def test_unusable_judgements_are_left_out_and_counted():
    """Unknown items and queries and queries without a relevant item change the counts, and nothing else."""
    qrels = {**QRELS, "nobody": {"d1": 1}, "q3": {"d1": 0, "d2": -1}, "q4": {**QRELS["q4"], "gone": 2}}
    qrels.pop("q5")
    judged, scores, notes = scored(CORPUS, QUERIES, qrels=qrels, dims=[8])
    assert notes[0].startswith("2 queries have no relevant text") and notes[1].startswith("2 relevance judgements name")
    assert judged == [q for q in QUERY_IDS if q not in ("q3", "q5")]
    everyone, base, _ = scored(CORPUS, QUERIES, dims=[8])
    kept = [everyone.index(q) for q in judged]
    np.testing.assert_array_equal(scores["ndcg@10"], base["ndcg@10"][:, kept])


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
    ],
)
def test_bad_input_is_one_clear_error(change, error, message):
    """Unknown ids only, fractional grades and repeated ids are refused."""
    with pytest.raises(error, match=message):
        read_judgements(**({"qrels": QRELS, "document_ids": IDS, "query_ids": QUERY_IDS} | change))


def test_lists_with_gaps_and_ties_are_scored_as_ir_measures_scores_them():
    """Each metric of each list, also of one that found too little, is the reference implementation's own."""
    import ir_measures

    found = nested_sweep(np.round(CORPUS), np.round(QUERIES), dims=[3], k=20).indices
    found[0, ::2, 15:] = -1
    _, grades, _ = read_judgements(QRELS, IDS, QUERY_IDS)
    qrels = [ir_measures.Qrel(str(q), str(i), g) for q, judged in enumerate(grades) for i, g in judged.items()]
    run = [
        ir_measures.ScoredDoc(str(q), str(item), -float(rank))
        for q, items in enumerate(found[0])
        for rank, item in enumerate(items)
        if item >= 0
    ]
    named = {"ndcg@5": "nDCG@5", "ndcg@20": "nDCG@20", "recall@20": "R@20", "mrr@5": "RR@5", "map@10": "AP@10"}
    ours = ranking_scores(found, grades, tuple(named))
    for name, theirs in named.items():
        reference = ir_measures.iter_calc([ir_measures.parse_measure(theirs)], qrels, run)
        expected = {int(one.query_id): one.value for one in reference}
        assert ours[name][0] == pytest.approx([expected[q] for q in range(len(grades))]), name
