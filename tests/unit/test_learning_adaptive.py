"""Adaptive classification end to end: three kinds of heads, cascades, coarse beside fine labels, what is refused."""

import json

import numpy as np
import pytest

from mrl_viz.errors import CancelledError, DimensionError, EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.heads.adaptive import PROMISED_SAVING, classify_adaptively, coarse_against_fine
from mrl_viz.heads.training import HeadTraining
from mrl_viz.measures.estimate import Estimate, columns

RNG = np.random.default_rng(0)
# The first two coordinates carry the coarse label, all twelve the fine one.
COARSE = np.repeat(np.arange(2), 120)
FINE = np.tile(np.arange(4), 60) + 4 * COARSE
DIRECTIONS = np.linalg.qr(RNG.normal(size=(10, 10)))[0]
ROWS = np.hstack([
    4 * np.eye(2)[COARSE] + 0.3 * RNG.normal(size=(240, 2)), 2 * DIRECTIONS[FINE % 4] + 0.3 * RNG.normal(size=(240, 10))
]).astype(np.float32)  # fmt: skip
LABELS = {"fine": [f"f{value}" for value in FINE], "coarse": [f"c{value}" for value in COARSE]}
OWN = HeadTraining(epochs=12, batch_size=32, projection=False, weight_decay=0.1)


@pytest.fixture(scope="module")
def results():
    return classify_adaptively(ROWS, LABELS, [2, 4, 8], training=OWN, n_splits=10)


def test_coarse_labels_come_first_and_exit_earlier(results):
    """The column with fewer classes is first; where two coordinates suffice for it, it exits after two."""
    coarse, fine = results
    assert (coarse.label, fine.label) == ("coarse", "fine") and coarse.dims == (2, 4, 8, 12)
    assert coarse.cascade.expected_dim[0] < 2.5 < fine.cascade.expected_dim[0]
    assert "coarse labels exit earlier" in coarse_against_fine(coarse, fine)
    assert "against what the paper finds" in coarse_against_fine(fine, coarse)
    assert "neither exits earlier" in coarse_against_fine(fine, fine)


def test_all_kinds_share_the_held_out_rows_and_separate_heads_are_the_zero(results):
    """Every kind and column is measured on the same rows; the difference of separate heads to themselves is 0."""
    coarse = results[0]
    for result in results:
        for heads in result.heads.values():
            np.testing.assert_array_equal(heads.held_out, coarse.rows)
        assert all(gain == Estimate(0, 0, 0) for gain in result.gain["separate"])
        mrl, separate = (columns(result.heads[kind].accuracy)[0] for kind in ("mrl", "separate"))
        np.testing.assert_allclose(columns(result.gain["mrl"])[0], mrl - separate, atol=1e-12)
    assert json.dumps([result.to_dict() for result in results])


def test_headline_compares_with_the_smallest_single_width_that_is_as_good(results):
    """The saving is against the smaller of MRL's and the separate heads' equal widths, and the sentence says which."""
    for result in results:
        equal = [dim for dim in (result.separate_dim, result.cascade.equal_fixed_dim) if dim]
        assert result.saving == pytest.approx(min(equal, default=12) / result.cascade.expected_dim[0])
        if result.separate_dim:
            level = result.dims.index(result.separate_dim)
            fixed = result.cascades["separate"].fixed_accuracy
            assert (
                fixed[level][0]
                >= result.cascade.accuracy[0]
                > max([pair[0] for pair in fixed[:level]], default=0) - 1e-12
            )
        assert result.saving < PROMISED_SAVING and "promise holds" not in result.takeaway()
        assert f"{len(result.classes)} classes" in result.takeaway()


def test_examples_are_held_out_rows_with_their_own_label(results):
    """Easy examples exit no later than hard ones; each names its row's true label."""
    fine = results[1]
    records = fine.example_rows(3)
    assert {record["row"] for record in records} <= set(fine.rows.tolist())
    assert all(LABELS["fine"][record["row"]] == record["label"] for record in records)
    easy, hard = ([r["mean_exit_dim"] for r in records if r["example"] == name] for name in ("easy", "hard"))
    assert max(easy) <= min(hard)


def test_rows_without_a_label_are_left_out():
    """A row that lacks one of the labels is neither trained on nor measured; numbers stay those of the input."""
    labels = {"coarse": [None if row < 5 else value for row, value in enumerate(LABELS["coarse"])]}
    (result,) = classify_adaptively(ROWS, labels, [2], training=OWN, n_splits=2)
    assert result.rows.min() >= 5
    assert result.heads["mrl"].n_train + len(result.rows) == 235


@pytest.mark.parametrize(
    ("labels", "dims", "error", "match"),
    [
        ({"one": ["a"] * 240}, [2], EmptyInputError, "`one` has 1 class"),
        ({"none": [None] * 240}, [2], EmptyInputError, "`none` has 0 class"),
        ({}, [2], EmptyInputError, "no column"),
        ({"short": ["a", "b"]}, [2], ShapeError, "`short` has 2 labels for 240 rows"),
        ({"unique": [str(row) for row in range(240)]}, [2], EmptyInputError, "one row per class"),
        ({"few": ["a"] * 3 + ["b"] * 3 + [None] * 234}, [2], EmptyInputError, "at least 8"),
        (LABELS, [12], InvalidInputError, "below the full one"),
        (LABELS, [13], DimensionError, "`dim` is 13"),
    ],
)
def test_bad_input_is_one_sentence(labels, dims, error, match):
    """What cannot be classified is refused with the column, the number and what to give."""
    with pytest.raises(error, match=match) as caught:
        classify_adaptively(ROWS, labels, dims, training=OWN)
    assert "\n" not in str(caught.value)


def test_stopping_is_an_error_of_ours_and_progress_counts_heads():
    """Progress counts every set of heads; a stopped run gives no half result."""
    seen = []
    classify_adaptively(ROWS, LABELS, [2], training=OWN, n_splits=2, progress=lambda *step: seen.append(step))
    assert seen == [(step, 6) for step in range(1, 7)]
    with pytest.raises(CancelledError, match="stopped; 0 of 6 were trained"):
        classify_adaptively(ROWS, LABELS, [2], training=OWN, cancelled=lambda: True)
