"""What changes the identity of a result, and what does not."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from mrl_viz.data.corpus import corpus_from_texts, corpus_from_vectors, with_queries, with_retrieval
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.fingerprint import fingerprint

VECTORS = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize(
    "one, other",
    [
        (("ab", "c"), ("a", "bc")),
        ((["a", "b"], ["c"]), (["a"], ["b", "c"])),
        ("1", 1),
        (1, 1.0),
        (None, ""),
        (b"a", "a"),
        ([None, "a"], ["", "a"]),
        ({"a": {"b": 1}}, {"a": {"b": 2}}),
        (VECTORS, VECTORS.T.reshape(3, 4)),
        (VECTORS, VECTORS.reshape(4, 3)),
        (VECTORS, VECTORS.astype(np.float64)),
        ([], [[]]),
    ],
)
def test_fingerprint_tells_values_apart(one, other):
    """No boundary, kind, shape or type can move unseen."""
    assert fingerprint(one) != fingerprint(other)


def test_fingerprint_ignores_the_order_of_mappings_and_the_kind_of_sequence():
    """Equal contents have one fingerprint; an array that is not contiguous is its values."""
    assert fingerprint({"a": 1, "b": 2}, ["x"]) == fingerprint({"b": 2, "a": 1}, ("x",))
    assert fingerprint(VECTORS.T.copy().T) == fingerprint(VECTORS)
    assert fingerprint(np.float64(0.5), np.int64(2)) == fingerprint(0.5, 2)


def test_fingerprint_refuses_what_it_does_not_know():
    """An object is no evidence."""
    with pytest.raises(TypeError, match="a object has no fingerprint"):
        fingerprint(object())


def judged_corpus(**changes):
    """Three texts with everything that a corpus can have."""
    made = corpus_from_texts(
        changes.get("texts", ["one", "two", "three"]),
        ids=changes.get("ids", ["a", "b", "c"]),
        labels=changes.get("labels", {"topic": ["x", "y", "x"]}),
        name=changes.get("name", "texts"),
    )
    queries = changes.get("queries", {"q1": "first", "q2": "second"})
    made = with_retrieval(made, queries, changes.get("qrels", {"q1": {"a": 1}, "q2": {"b": 2}}), {})
    return replace(made, pairs=changes.get("pairs", ((0, 1, 0.5),)))


CHANGES = [
    {"texts": ["one", "two", "tree"]},
    {"ids": ["a", "b", "d"]},
    {"labels": {"domain": ["x", "y", "x"]}},
    {"labels": {"topic": ["x", "y", "y"]}},
    {"labels": {"topic": ["x", "y", None]}},
    {"queries": {"q1": "first", "q2": "another"}},
    {"queries": {"q2": "second", "q1": "first"}},
    {"qrels": {"q1": {"a": 1}, "q2": {"b": 1}}},
    {"qrels": {"q1": {"a": 1}}},
    {"pairs": ((0, 1, 0.6),)},
    {"pairs": ()},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_corpus_fingerprint_changes_with_all_evidence(change):
    """The same texts with other ids, labels, queries, judgements or pairs are other evidence; the name is none."""
    known = judged_corpus()
    assert judged_corpus(**change).fingerprint != known.fingerprint
    assert judged_corpus(name="other").fingerprint == known.fingerprint


def test_corpus_fingerprint_changes_with_query_vectors():
    """Ready vectors searched with other vectors are other evidence."""
    corpus = corpus_from_vectors(VECTORS)
    one, other = (with_queries(corpus, corpus_from_vectors(rows)) for rows in (VECTORS[:2], VECTORS[1:]))
    assert len({corpus.fingerprint, one.fingerprint, other.fingerprint}) == 3


def test_corpus_fingerprint_is_the_same_in_every_process():
    """Nothing of it depends on a process, such as the seed of Python's own hashes."""
    code = "from tests.unit.test_fingerprint import judged_corpus; print(judged_corpus().fingerprint)"
    for seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        )
        assert found.stdout.strip() == judged_corpus().fingerprint


def test_embedded_fingerprint_changes_with_model_and_queries():
    """It is of the evidence, the model and whether the queries have vectors; of vectors where the model is unknown."""
    corpus = corpus_from_texts(["one", "two", "three"])
    known = Embedded(corpus, "model", None, VECTORS, None, 0.0, "identity")
    others = [
        replace(known, corpus=replace(corpus, ids=("x", "y", "z"))),
        replace(known, model="another"),
        replace(known, identity="another"),
        replace(known, queries=VECTORS),
        replace(known, identity=""),
        replace(known, identity="", matrix=VECTORS + 1),
    ]
    assert len({known.fingerprint, *(other.fingerprint for other in others)}) == 7
    assert replace(known, seconds=2.0).fingerprint == known.fingerprint
    assert replace(replace(known, queries=VECTORS), queries=None).fingerprint == known.fingerprint
