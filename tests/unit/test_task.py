"""The one resolver of tasks: what is judged, among what, and by which labels."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from mrl_viz.data.corpus import corpus_from_texts
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.tasks.task import Task, class_tasks, find_task
from mrl_viz.truncation import truncate_and_normalize

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(40, 8)).astype(np.float32)
QUERIES = RNG.normal(size=(6, 8)).astype(np.float32)
LABELS = {"one": ("x",) * 40, "half": (*("ab" * 19), None, "c")}
QRELS = {"q1": {"3": 2, "4": 0}, "q2": {"9": 1}, "q4": {"7": 0}, "q5": {"1": 1, "2": 1}}
PAIRS = tuple((row, row + 20, float(row % 7)) for row in range(20))


def embedded(**parts):
    """Forty texts with whatever labels are asked for."""
    corpus = corpus_from_texts([f"text {row}" for row in range(40)])
    return Embedded(replace(corpus, **parts), "by hand", None, ROWS, parts.get("query_ids") and QUERIES, 0.0, "")


def judged():
    """The forty texts with six queries, three of which have a relevant text."""
    names = tuple(f"q{n}" for n in range(6))
    return embedded(query_ids=names, query_texts=names, qrels=QRELS, labels=LABELS, pairs=PAIRS)


def test_relevance_judges_the_queries_that_have_a_relevant_text():
    """The rows are positions of those queries, the grades positions of texts, and a note counts the others."""
    task = find_task(judged())
    assert (task.kind, task.metric, task.rows.tolist(), task.n_judged) == ("retrieval", "ndcg@10", [1, 2, 5], 3)
    assert task.grades == ({3: 2, 4: 0}, {9: 1}, {1: 1, 2: 1}) and task.own is None
    assert task.notes == ("3 queries have no relevant text here and are left out.",)
    cosines = truncate_and_normalize(QUERIES, 4)[[1, 2, 5]] @ truncate_and_normalize(ROWS, 4).T
    np.testing.assert_array_equal(task.lists(ROWS, QUERIES, [4])[0], np.argsort(-cosines, axis=1)[:, :10])


def test_classes_judge_the_texts_that_share_theirs():
    """Lists hold places among the labelled texts, never a text's own; the first usable column is taken."""
    task = find_task(judged(), "classification")
    assert task.metric == "knn_accuracy:half" and task.rows.tolist() == list(range(38)) == task.items.tolist()
    assert "`one` has one class only" in task.notes[0] and "1 texts without a label" in task.notes[1]
    lists = task.lists(ROWS, ROWS, [4, 8])
    assert lists.shape == (2, 38, 5) and not (lists == np.arange(38)[:, None]).any()
    votes = np.array(LABELS["half"][:38])[lists]
    right = [[(row == own).sum() >= 3 for row, own in zip(level, LABELS["half"])] for level in votes]
    np.testing.assert_array_equal(task.score(lists), right)
    np.testing.assert_array_equal(task.measure(ROWS, ROWS, [4, 8]), right)


def test_texts_can_be_judged_by_others_than_themselves():
    """Held-out texts among training texts are not among what is searched, so nothing is left out."""
    codes = np.arange(40) % 2
    task = Task("classification", "knn_accuracy", np.arange(30, 40), np.arange(30), codes=codes)
    unit = truncate_and_normalize(ROWS, 8)
    near = np.argsort(-(unit[30:] @ unit[:30].T), axis=1)[:, :5]
    expected = (codes[near].mean(axis=1) > 0.5) == codes[30:]
    np.testing.assert_array_equal(task.measure(ROWS, ROWS, [8])[0], expected)


def test_pairs_are_judged_from_vectors_alone():
    """The mean of the pairs' values is Spearman's correlation at that width; lists say nothing about pairs."""
    task = find_task(judged(), "pairs")
    unit = truncate_and_normalize(ROWS, 4)
    expected = spearmanr((unit[:20] * unit[20:]).sum(axis=1), [score for _, _, score in PAIRS]).statistic
    assert task.measure(ROWS, ROWS, [4]).mean() == pytest.approx(expected, abs=1e-4)
    with pytest.raises(InvalidInputError, match="cannot be scored by pairs"):
        task.score(np.zeros((1, 20, 5), dtype=np.int32))


def test_a_sample_judges_less_and_searches_as_much():
    """`most_judged` leaves the items as they are; `most_items` leaves out of both, and a note says so."""
    task = find_task(judged(), "classification", most_judged=10)
    whole = find_task(judged(), "classification")
    assert task.n_judged == 10 and task.items.tolist() == whole.items.tolist()
    places = np.searchsorted(whole.rows, task.rows)
    np.testing.assert_array_equal(task.measure(ROWS, ROWS, [4]), whole.measure(ROWS, ROWS, [4])[:, places])
    few = find_task(judged(), "classification", most_items=12)
    assert few.n_judged == len(few.items) == 12 and "sample of 12 of 38" in few.notes[-1]
    assert find_task(judged(), most_judged=2).n_judged == 2 == len(find_task(judged(), most_judged=2).grades)
    with pytest.raises(InvalidInputError, match="a sample of 2 texts has no two classes"):
        class_tasks(judged().corpus, "half", most_items=2)


@pytest.mark.parametrize(
    ("make", "asked", "error", "message"),
    [
        (embedded, {}, EmptyInputError, "no labels to evaluate with"),
        (lambda: embedded(labels=LABELS), {"kind": "pairs"}, InvalidInputError, "has labels for classification"),
        (judged, {"kind": "classification", "column": "hue"}, InvalidInputError, "no label column 'hue'"),
        (lambda: replace(judged(), queries=None), {}, InvalidInputError, "0 query vectors for 6 judged queries"),
    ],
)
def test_what_cannot_be_judged_is_refused(make, asked, error, message):
    """No labels, other labels, no such column and queries that were not embedded are one sentence each."""
    with pytest.raises(error, match=message):
        find_task(make(), **asked)
