"""Adaptive classification end to end: three kinds of heads, cascades, coarse beside fine labels, what is refused."""

import json

import numpy as np
import pytest

from mrl_viz.errors import CancelledError, DimensionError, EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.heads.adaptive import (
    CLASS_LOSS,
    NESTED,
    PROMISED_SAVING,
    classify_adaptively,
    coarse_against_fine,
    exits_by_class,
)
from mrl_viz.heads.cascade import PAPERS_RULE, ExitRule
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
    return classify_adaptively(ROWS, LABELS, [2, 4, 8], training=OWN, n_folds=3)


def test_coarse_labels_come_first_and_exit_earlier(results):
    """The column with fewer classes is first; where two coordinates suffice for it, it exits after two."""
    coarse, fine = results
    assert (coarse.label, fine.label) == ("coarse", "fine") and coarse.dims == (2, 4, 8, 12)
    assert coarse.cascade().expected_dim.value < 2.5 < fine.cascade().expected_dim.value
    assert "coarse labels exit earlier" in coarse_against_fine(coarse, fine)
    assert "against what the paper finds" in coarse_against_fine(fine, coarse)
    assert "neither surely exits earlier" in coarse_against_fine(fine, fine)


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


def test_thresholds_are_learnt_on_answers_of_heads_that_have_not_seen_the_row(results):
    """Out of fold every training row is answered once, by heads trained on the other parts; the held-out by all."""
    fine = results[1]
    train = np.setdiff1d(np.arange(240), fine.rows)
    for kind in NESTED:
        assert fine.folded[kind].correct.shape == (4, len(train)) and fine.cascade(kind=kind).n_learnt == len(train)
        # Heads that were trained on a row are right about it more often than those that were not.
        seen = fine.heads[kind].accuracy_train[-1]
        assert fine.folded[kind].correct[-1].mean() < seen or seen == 1
        np.testing.assert_array_equal(fine.held_out[kind].correct, fine.heads[kind].correct)


def test_headline_says_what_is_saved_and_whether_the_promise_holds(results):
    """The sentence has the saving against full width with its interval, the best fixed width, and the verdict."""
    for result in results:
        for rule in (ExitRule(), ExitRule(loss=0.2), PAPERS_RULE):
            cascade, said = result.cascade(rule), result.takeaway(rule)
            full = cascade.saving_full
            assert f"{full.value:.1f} times fewer [{full.low:.1f}, {full.high:.1f}]" in said
            assert f"than a fixed width of {cascade.fixed_dim}." in said and f"{len(result.classes)} classes" in said
            # Two of twelve dims at best: six times.
            assert full.value < PROMISED_SAVING and "does not hold here" in said
            assert cascade.rule == rule


def test_more_loss_reads_no_more(results):
    """The more accuracy may be lost, the lower the threshold and the smaller the expected width."""
    for result in results:
        read = [result.cascade(ExitRule(loss=loss)).expected_dim.value for loss in (0, 0.02, 0.1, 0.4)]
        assert read == sorted(read, reverse=True)


def test_a_class_lives_where_it_has_its_accuracy_for_good(results):
    """From that width on it is within two points of full width; the rows of all classes are all held-out rows."""
    fine = results[1]
    accuracy, dims = fine.class_accuracy(), fine.class_dims()
    for row, dim in zip(accuracy, dims):
        level = fine.dims.index(dim)
        assert (row[level:] >= row[-1] - CLASS_LOSS).all()
        assert level == 0 or row[level - 1] < row[-1] - CLASS_LOSS
    records = fine.class_rows(fine.cascade())
    assert sum(record["n"] for record in records) == len(fine.rows)
    at = fine.classes.index("f5")
    assert records[at]["accuracy_4"] == pytest.approx(fine.held_out["mrl"].correct[1, fine.targets == at].mean())


def test_exits_of_coarse_classes_are_of_the_same_rows(results):
    """Means of each coarse class over its rows, of the cascade for either label, add up to the expected widths."""
    coarse, fine = results
    records = exits_by_class(coarse, fine)
    n_rows = [record["n"] for record in records]
    for key, result in (("coarse_dim", coarse), ("fine_dim", fine)):
        mean = np.average([record[key] for record in records], weights=n_rows)
        assert mean == pytest.approx(result.cascade().expected_dim.value)


def test_examples_are_held_out_rows_with_their_own_label(results):
    """Easy examples exit no later than hard ones; each names its row's true label."""
    fine = results[1]
    found = fine.example_rows(fine.cascade(), 3)
    assert {record["row"] for record in found} <= set(fine.rows.tolist())
    assert all(LABELS["fine"][record["row"]] == record["label"] for record in found)
    easy, hard = ([r["exit_dim"] for r in found if r["example"] == name] for name in ("easy", "hard"))
    assert max(easy) <= min(hard)


def test_a_cascade_is_over_nested_heads(results):
    """Separately trained heads are no one model."""
    with pytest.raises(InvalidInputError, match="`kind` is 'separate'"):
        results[0].cascade(kind="separate")


def test_rows_without_a_label_are_left_out():
    """A row that lacks one of the labels is neither trained on nor measured; numbers stay those of the input."""
    labels = {"coarse": [None if row < 5 else value for row, value in enumerate(LABELS["coarse"])]}
    (result,) = classify_adaptively(ROWS, labels, [2], training=OWN, n_folds=2)
    assert result.rows.min() >= 5
    assert result.heads["mrl"].n_train + len(result.rows) == 235


@pytest.mark.parametrize(
    ("labels", "dims", "error", "match"),
    [
        ({"one": ["a"] * 240}, [2], EmptyInputError, "`one` has 1 class"),
        ({"none": [None] * 240}, [2], EmptyInputError, "`none` has 0 class"),
        ({}, [2], EmptyInputError, "no column"),
        ({"short": ["a", "b"]}, [2], ShapeError, "`short` has 2 labels for 240 rows"),
        ({"unique": [str(row) for row in range(99)] + [None] * 141}, [2], EmptyInputError, "one row per class"),
        ({"few": ["a"] * 3 + ["b"] * 3 + [None] * 234}, [2], EmptyInputError, "at least 8"),
        ({"many": [str(row) for row in range(239)] + ["0"]}, [2], InvalidInputError, "`many` has 239 classes; choose"),
        (LABELS, [12], InvalidInputError, "below the full one"),
        (LABELS, [13], DimensionError, "`dim` is 13"),
    ],
)
def test_bad_input_is_one_sentence(labels, dims, error, match, monkeypatch):
    """What cannot be classified is refused with the column, the number and what to give."""
    monkeypatch.setattr("mrl_viz.heads.adaptive.MOST_CLASSES", 100)
    with pytest.raises(error, match=match) as caught:
        classify_adaptively(ROWS, labels, dims, training=OWN)
    assert "\n" not in str(caught.value)


def test_stopping_is_an_error_of_ours_and_progress_counts_heads():
    """Progress counts every set of heads; a stopped run gives no half result."""
    seen = []
    classify_adaptively(ROWS, LABELS, [2], training=OWN, n_folds=2, progress=lambda *step: seen.append(step))
    assert seen == [(step, 14) for step in range(1, 15)]
    with pytest.raises(CancelledError, match="stopped; 0 of 26 were trained"):
        classify_adaptively(ROWS, LABELS, [2], training=OWN, cancelled=lambda: True)
