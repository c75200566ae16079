"""Ready vectors with query vectors and judgements get what the same vectors get as embedded texts."""

from dataclasses import replace

import numpy as np
import pytest

from mrl_viz.comparison import compare_models, neighbors_side_by_side
from mrl_viz.data.corpus import corpus_from_texts, corpus_from_vectors, with_qrels, with_queries
from mrl_viz.decide import measure_candidates, plan_from_record, recommend
from mrl_viz.decide.monitoring import check_deployed_plan
from mrl_viz.decide.record import decision_record
from mrl_viz.embedding.embedded import Embedded, embed
from mrl_viz.errors import InvalidInputError
from mrl_viz.tasks.evaluation import evaluate

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(60, 16)).astype(np.float32)
QUERIES = (ROWS[:20] + 0.7 * RNG.normal(size=(20, 16))).astype(np.float32)
QRELS = {str(query): {str(query): 2, str(query + 20): 1} for query in range(20)}


def from_file(name="a.npz", rows=ROWS, queries=QUERIES, qrels=QRELS, **options):
    """Vectors as they come from a file, embedded as the product does it."""
    corpus = corpus_from_vectors(rows, name=name, **options)
    if queries is not None:
        corpus = with_queries(corpus, corpus_from_vectors(queries, unnamed="query"))
    return embed(with_qrels(corpus, qrels) if qrels else corpus)


@pytest.fixture(scope="module")
def from_texts():
    """The same vectors as a model's of texts."""
    corpus = corpus_from_texts([f"text {row}" for row in range(60)])
    names = tuple(map(str, range(20)))
    judged = replace(corpus, query_ids=names, query_texts=names, qrels=QRELS)
    return Embedded(judged, "a model", None, ROWS, QUERIES, 0.0, "")


def test_task_quality_is_that_of_texts(from_texts):
    """Every metric at every width, with its interval."""
    ours, theirs = (evaluate(one, dims=[4, 8]) for one in (from_file(), from_texts))
    assert ours.task == "retrieval" and ours.curves == theirs.curves


@pytest.mark.parametrize("metric", ["overlap@5", "ndcg@5"])
def test_choosing_is_that_of_texts(from_texts, metric):
    """Each plan's value of each query is the same, and queries are asked, not texts among themselves."""
    options = {"metric": metric, "dims": [8], "dtypes": ("float32", "int8"), "kinds": ("exact",), "n_runs": 1}
    ours, theirs = (measure_candidates(one, **options) for one in (from_file(), from_texts))
    assert not ours.texts_are_queries and ours.n_queries == 20
    np.testing.assert_array_equal(ours.values, theirs.values)


def test_the_monitor_is_that_of_texts(from_texts):
    """The vectors' own queries are what is sampled."""
    ours, theirs = (check_deployed_plan(one, 8, target=0.5, k=5, seed=0) for one in (from_file(), from_texts))
    assert ours == theirs and ours.n_queries == 20


def test_a_record_knows_the_judgements_of_vectors():
    """With one grade, label or query vector changed the same vectors are other evidence: the plan is refused."""
    labels = {"topic": ["a", "b"] * 30}
    decided = from_file(labels=labels)
    options = {"metric": "ndcg@5", "dims": [8], "dtypes": ("float32",), "kinds": ("exact",), "n_runs": 1}
    record = decision_record(recommend(decided, target=0.5, **options)).to_dict()
    assert plan_from_record(record, fingerprint=from_file(labels=labels).fingerprint).dim in (8, 16)
    changed = (
        from_file(labels=labels, qrels=QRELS | {"3": {"3": 1, "23": 1}}),
        from_file(labels={"topic": ["b", "b"] + ["a", "b"] * 29}),
        from_file(labels=labels, queries=QUERIES + np.float32(1e-3)),
    )
    for other in changed:
        with pytest.raises(InvalidInputError, match="other texts, labels, queries, judgements or another model"):
            plan_from_record(record, fingerprint=other.fingerprint)


def test_files_of_several_models_are_compared_by_what_one_of_them_knows(from_texts):
    """Judgements of the first file judge all, each called by its name; every number is that of texts."""
    other = RNG.normal(size=(60, 8)).astype(np.float32)
    asked = RNG.normal(size=(20, 8)).astype(np.float32)
    named = from_file(texts=[f"text {row}" for row in range(60)])
    files = [named, from_file("b.npz", other, asked, None)]
    theirs = compare_models([from_texts, replace(from_texts, model="other", matrix=other, queries=asked)], k=5)
    ours = compare_models(files, k=5)
    assert [model.name for model in ours.models] == ["a.npz", "b.npz"]
    assert (ours.task, ours.metric, ours.n_judged, ours.is_self) == ("retrieval", "ndcg@10", 20, False)
    assert [point.quality for point in ours.points] == [point.quality for point in theirs.points]
    assert [point.overlap for point in ours.points] == [point.overlap for point in theirs.points]
    assert neighbors_side_by_side(ours, 3, 8).shared == neighbors_side_by_side(theirs, 3, 8).shared


def test_a_comparison_is_known_by_all_that_it_depends_on():
    """Its fingerprint is repeated by the same files, and changes with a grade, and with any model's vectors."""
    other, asked = RNG.normal(size=(60, 8)).astype(np.float32), RNG.normal(size=(20, 8)).astype(np.float32)

    def compared(qrels=QRELS, shift=0.0):
        second = from_file("b.npz", other + np.float32(shift), asked, None)
        return compare_models([from_file(qrels=qrels), second], k=5, dims=[8]).to_dict()["fingerprint"]

    assert compared() == compared()
    assert len({compared(), compared(qrels=QRELS | {"0": {"0": 1}}), compared(shift=1e-3)}) == 3


def test_a_file_without_queries_is_compared_among_texts():
    """Where one file has no query vectors, texts are compared among themselves and notes say why nothing ranks them."""
    bare = from_file("b.npy", RNG.normal(size=(60, 8)).astype(np.float32), None, None)
    result = compare_models([from_file(), bare], k=5)
    assert result.is_self and result.metric is None
    assert "`b.npy` has 0 query vectors for 20 judged queries" in " ".join(result.notes)
