"""Classification measures against sklearn and naive loops; labels that cannot be used."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import silhouette_samples
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier

from mrl_viz.errors import InvalidInputError, ShapeError
from mrl_viz.measures.lists import knn_correct
from mrl_viz.sweep import nested_sweep
from mrl_viz.tasks.classes import (
    class_average_precision,
    classes_from_labels,
    few_shot_correct,
    logistic_correct,
    silhouette,
)
from mrl_viz.truncation import normalize, truncate_and_normalize

RNG = np.random.default_rng(0)
CODES = np.repeat(np.arange(4), [8, 10, 12, 15])
ROWS = (RNG.normal(size=(45, 12)) + 1.2 * RNG.normal(size=(4, 12))[CODES]).astype(np.float32)
DIMS = (3, 12)


@pytest.mark.parametrize("n_neighbors", [1, 4, 5])
def test_knn_equals_sklearn_with_each_item_left_out(n_neighbors):
    """The vote over the sweep's lists is KNeighborsClassifier's on the other items, tied votes included."""
    correct = knn_correct(nested_sweep(ROWS, dims=DIMS, k=6).indices[..., :n_neighbors], CODES, CODES)
    for level, dim in enumerate(DIMS):
        unit = truncate_and_normalize(ROWS, dim)
        for item in range(45):
            others = np.arange(45) != item
            model = KNeighborsClassifier(n_neighbors, metric="cosine", algorithm="brute").fit(
                unit[others], CODES[others]
            )
            assert correct[level, item] == (model.predict(unit[[item]])[0] == CODES[item])


def test_average_precision_by_class_equals_a_naive_loop():
    """Precision at the rank of every member of the class found, over those that could be; nothing found counts 0."""
    lists = np.stack([[np.random.default_rng(row).permutation(45)[:6] for row in range(45)] for _ in range(2)])
    lists[1, 3, 2:] = -1
    result, members = class_average_precision(lists, CODES, CODES), [8, 10, 12, 15]
    for level in range(2):
        for row in range(45):
            hits, total = 0, 0.0
            for rank, item in enumerate(lists[level, row], start=1):
                if item >= 0 and CODES[item] == CODES[row]:
                    hits += 1
                    total += hits / rank
            findable = min(6, members[CODES[row]] - 1)
            assert result[level, row] == pytest.approx(total / findable)
    first = np.cumsum([0, *members])
    others = [
        [item for item in range(first[code], first[code + 1]) if item != row][:4] for row, code in enumerate(CODES)
    ]
    perfect = np.array(others)
    np.testing.assert_allclose(class_average_precision(perfect, CODES, CODES), 1)


def test_silhouette_equals_sklearn():
    """Silhouette from class sums is sklearn's from the distance matrix."""
    result = silhouette(ROWS, CODES, dims=DIMS)
    for level, dim in enumerate(DIMS):
        expected = silhouette_samples(truncate_and_normalize(ROWS.astype(float), dim), CODES, metric="cosine")
        np.testing.assert_allclose(result[level], expected, atol=1e-6)


def test_silhouette_of_duplicates_is_a_number():
    """Classes that are one point each are perfectly apart; everything in one point is 0."""
    points = np.repeat(np.eye(2), 3, axis=0)
    np.testing.assert_allclose(silhouette(points, np.repeat([0, 1], 3), dims=[2]), 1)
    np.testing.assert_array_equal(silhouette(np.ones((6, 2)), np.repeat([0, 1], 3), dims=[2]), 0)


def test_logistic_regression_equals_sklearn_fold_by_fold():
    """Out-of-fold predictions are those of a plain loop over the same folds."""
    correct, n_unconverged = logistic_correct(ROWS, CODES, dims=DIMS, seed=3)
    for level, dim in enumerate(DIMS):
        unit = truncate_and_normalize(ROWS, dim)
        for train, test in StratifiedKFold(5, shuffle=True, random_state=3).split(unit, CODES):
            model = LogisticRegression(max_iter=500).fit(unit[train], CODES[train])
            np.testing.assert_array_equal(correct[level, test], model.predict(unit[test]) == CODES[test])
    assert n_unconverged == 0


def test_few_shot_equals_a_naive_loop():
    """Each draw sends the other items to the nearest class mean; an item's value is its mean over draws."""
    result = few_shot_correct(ROWS, CODES, dims=DIMS, n_shots=3, n_draws=7, seed=2)
    rng = np.random.default_rng(2)
    draws = [[rng.choice(np.flatnonzero(code == CODES), 3, replace=False) for code in range(4)] for _ in range(7)]
    for level, dim in enumerate(DIMS):
        unit = truncate_and_normalize(ROWS, dim)
        right, times = np.zeros(45), np.zeros(45)
        for examples in draws:
            means = normalize(np.array([unit[group].mean(axis=0) for group in examples]))
            for item in set(range(45)) - set(np.concatenate(examples).tolist()):
                right[item] += (means @ unit[item]).argmax() == CODES[item]
                times[item] += 1
        np.testing.assert_allclose(result[level], right[times > 0] / times[times > 0])


def test_few_shot_leaves_out_classes_without_a_test_item():
    """A class needs more members than shots; fewer than two such classes give nothing."""
    codes = np.repeat([0, 1, 2], [3, 20, 22])
    assert few_shot_correct(ROWS, codes, dims=[3], n_shots=3).shape == (1, 42)
    assert few_shot_correct(ROWS, codes, dims=[3], n_shots=21) is None
    np.testing.assert_array_equal(
        few_shot_correct(ROWS, codes, dims=[3], n_shots=1, seed=1),
        few_shot_correct(ROWS, codes, dims=[3], n_shots=1, seed=1),
    )


def test_singles_and_unlabelled_items_are_left_out_and_counted():
    """A class with one member cannot be recognised by its others."""
    classes = classes_from_labels(["b", None, "a", "b", "c", "a", "a"])
    assert (
        classes.names == ("a", "b")
        and classes.rows.tolist() == [0, 2, 3, 5, 6]
        and classes.codes.tolist() == [1, 0, 1, 0, 0]
    )
    assert (classes.n_unlabelled, classes.n_single) == (1, 1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: classes_from_labels(["a", "a", "a"], "topic"),
            InvalidInputError,
            "`topic` has one class only; classification needs two classes with two texts",
        ),
        (lambda: classes_from_labels(["a", "a", "b"]), InvalidInputError, "2 classes, 1 of them with two texts"),
        (lambda: classes_from_labels([None, None]), InvalidInputError, "0 classes"),
        (
            lambda: knn_correct(nested_sweep(ROWS, dims=[3], k=5).indices, CODES[:9], CODES),
            ShapeError,
            "9 labels but the lists name item 44",
        ),
        (lambda: few_shot_correct(ROWS, CODES, dims=[3], n_shots=0), InvalidInputError, "`n_shots` is 0"),
        (lambda: silhouette(ROWS, CODES[:9], dims=[3]), ShapeError, "9 labels for 45 items"),
        (lambda: silhouette(ROWS, np.zeros(45, int), dims=[3]), InvalidInputError, "two classes or more"),
        (lambda: logistic_correct(ROWS, np.r_[CODES[:-1], 4], dims=[3]), InvalidInputError, "fewer than two members"),
    ],
)
def test_bad_input_is_one_clear_error(call, error, message):
    """One class, too few neighbors, other lengths and single members are refused."""
    with pytest.raises(error, match=message):
        call()
