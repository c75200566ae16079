"""Lower bounds: exact for one yes-or-no plan, true for many at once, shrinking as more queries would do it."""

import numpy as np
import pytest
from scipy.stats import beta, pearsonr

from mrl_viz.decide import sequential_lower_bounds, simultaneous_lower_bounds
from mrl_viz.decide.bounds import SURELY_BELOW, quality
from mrl_viz.decide.choose import times_as_many
from mrl_viz.errors import EmptyInputError, InvalidInputError, ShapeError


@pytest.mark.parametrize(("right", "asked"), [(50, 50), (45, 50), (3, 10), (0, 10), (1, 1)])
def test_one_yes_or_no_plan_has_the_clopper_pearson_bound(right, asked):
    """For one plan whose queries are right or wrong the bound is that of a proportion, also where none is wrong."""
    values = np.r_[np.ones(right), np.zeros(asked - right)]
    (found,) = simultaneous_lower_bounds(values)
    exact = beta.ppf(0.05, right, asked - right + 1) if right else 0
    assert found == pytest.approx(exact, abs=0.01)


def test_bounds_of_many_plans_hold_together():
    """In 95 % of samples no bound of 20 plans is above its plan's true quality; bounds one by one are less safe."""
    rng = np.random.default_rng(0)
    truth = np.linspace(0.6, 0.99, 20)
    together = alone = 0
    n_samples = 100
    for _ in range(n_samples):
        values = (rng.random((20, 80)) < truth[:, None]).astype(float)
        together += (simultaneous_lower_bounds(values, n_draws=1000) <= truth).all()
        alone += all(simultaneous_lower_bounds(row, n_draws=300)[0] <= own for row, own in zip(values, truth))
    assert together / n_samples >= 0.93
    assert alone / n_samples < 0.75


def test_equal_plans_cost_nothing():
    """Ten times the same plan has the bound of one: what plans share is not paid for twice."""
    row = np.random.default_rng(1).random(60)
    one = simultaneous_lower_bounds(row)[0]
    assert simultaneous_lower_bounds(np.tile(row, (10, 1))) == pytest.approx(np.full(10, one))


def test_a_bound_is_never_above_the_quality_and_confidence_lowers_it():
    """Bounds lie below what was measured, further below the surer they are."""
    values = np.random.default_rng(2).random((5, 40))
    low, lower = (simultaneous_lower_bounds(values, confidence=share) for share in (0.8, 0.99))
    assert (lower < low).all() and (low <= quality(values)).all()


def test_a_share_of_the_full_width_is_bounded():
    """Quality is a share of the full width's mean, and a plan that is the full width is still not sure of all."""
    full = np.random.default_rng(3).random(100)
    assert quality([full / 2, full], full) == pytest.approx([0.5, 1])
    half, same = simultaneous_lower_bounds([full / 2, full], full)
    assert 0.4 < half < 0.5 and 0.9 < same < 1


def test_a_share_of_a_correlation_is_bounded():
    """With judged scores the quality is the correlation's share of the full width's."""
    rng = np.random.default_rng(4)
    gold = rng.random(300)
    full, plan = gold + 0.1 * rng.random(300), gold + 0.8 * rng.random(300)
    share = pearsonr(plan, gold)[0] / pearsonr(full, gold)[0]
    assert quality(plan, full, gold) == pytest.approx([share])
    assert share - 0.1 < simultaneous_lower_bounds(plan, full, gold=gold)[0] < share


def test_copies_are_more_queries_like_these():
    """Bounds of four copies are those of the queries written down four times."""
    values = np.random.default_rng(5).random((3, 50))
    written = simultaneous_lower_bounds(np.tile(values, 4))
    assert simultaneous_lower_bounds(values, copies=4) == pytest.approx(written, abs=0.01)


def test_one_plan_has_the_same_bound_in_a_path_of_its_own():
    """Without others to wait for, testing one after another is testing once, at all but the price of closing paths."""
    values = np.random.default_rng(6).random((1, 80))
    (once,) = simultaneous_lower_bounds(values, confidence=1 - 0.05 * SURELY_BELOW)
    assert sequential_lower_bounds(values, paths=[[0]]) == pytest.approx([once], abs=1e-4)


def families(truth, rng, *, n_queries, is_alike):
    """Yes-or-no values of families of plans of given true quality; alike where the same queries are hard for all."""
    hardness = rng.random(n_queries) if is_alike else rng.random((*truth.shape, n_queries))
    return (hardness < truth[:, :, None]).reshape(-1, n_queries).astype(float)


@pytest.mark.parametrize("is_alike", [True, False])
@pytest.mark.parametrize("first_false", [0, 1, 2])
def test_what_meets_a_target_set_before_does_so_truly(first_false, is_alike):
    """In 95 % of samples no plan just below the target is accepted, wherever in its path it stands."""
    rng = np.random.default_rng(first_false)
    target, n_samples = 0.9, 200
    truth = np.full((6, 4), 0.95)
    truth[:, first_false:] = target - 1e-9
    truth[3:, first_false + 1 :] = 0.5
    paths = np.arange(truth.size).reshape(truth.shape).tolist()
    broken = 0
    for _ in range(n_samples):
        values = families(truth, rng, n_queries=100, is_alike=is_alike)
        lows = sequential_lower_bounds(values, paths=paths, n_draws=1000)
        broken += ((lows >= target) & (truth.ravel() < target)).any()
    # Two standard errors of 200 samples are 3 points.
    assert broken / n_samples <= 0.05 + 0.03


def test_a_plan_that_is_good_where_another_is_bad_costs_the_promise_nothing():
    """Two plans just below the target of which one looks the better the worse the other does: still 95 %."""
    rng = np.random.default_rng(1)
    broken = 0
    for _ in range(300):
        right = rng.random(150) < 0.5
        lows = sequential_lower_bounds([right, ~right], paths=[[0], [1]], n_draws=1000)
        broken += (lows >= 0.5 + 1e-9).any()
    assert broken / 300 <= 0.05 + 0.025


def test_testing_every_plan_alone_would_break_the_promise():
    """Accepting whatever has a bound of its own above the target is wrong far too often, so the test above can fail."""
    rng = np.random.default_rng(0)
    truth = np.full((6, 4), 0.9 - 1e-9)
    broken = 0
    for _ in range(50):
        values = families(truth, rng, n_queries=100, is_alike=False)
        broken += any(simultaneous_lower_bounds(row, n_draws=1000)[0] >= 0.9 for row in values)
    assert broken / 50 > 0.3


def test_paths_that_come_to_their_end_cost_nothing():
    """Any number of paths that are far below leaves the bound of a good plan where it would be alone."""
    rng = np.random.default_rng(7)
    good = (rng.random((1, 150)) < 0.97).astype(float)
    alone = sequential_lower_bounds(good, paths=[[0]])[0]
    poor = rng.random((20, 150)) / 2
    together = sequential_lower_bounds(np.concatenate([good, poor]), paths=[[row] for row in range(21)])
    assert together[0] == pytest.approx(alone)
    assert simultaneous_lower_bounds(np.concatenate([good, poor]))[0] < alone - 0.01


def test_a_path_ends_at_its_first_failure():
    """A plan behind a worse one is promised no more than that one; in a path of its own it is."""
    rng = np.random.default_rng(8)
    values = (rng.random((2, 150)) < [[0.7], [0.95]]).astype(float)
    worse, behind = sequential_lower_bounds(values, paths=[[0, 1]])
    assert behind == worse < 0.7
    assert sequential_lower_bounds(values, paths=[[0], [1]])[1] > 0.85


def test_bounds_by_order_are_seldom_below_simultaneous_ones():
    """Falling widths of several families: every bound is at least the simultaneous one, on the whole clearly above."""
    rng = np.random.default_rng(9)
    truth = np.array([1, 0.98, 0.9, 0.75, 0.5]) * np.array([[1], [0.99], [0.9], [0.8]])
    values = families(truth, rng, n_queries=100, is_alike=True)
    paths = np.arange(truth.size).reshape(truth.shape).tolist()
    gain = sequential_lower_bounds(values, paths=paths) - simultaneous_lower_bounds(values)
    assert gain.min() >= 0 and gain.mean() > 0.005


@pytest.mark.parametrize("paths", [[], [[0]], [[0, 1, 1]], [[0], [1], [2]]])
def test_paths_hold_every_plan_once(paths):
    """A plan without a path, in two of them, or one that is not there is refused."""
    with pytest.raises(InvalidInputError, match="every row from 0 to 1 once"):
        sequential_lower_bounds([[1, 0], [1, 1]], paths=paths)


@pytest.mark.parametrize(
    ("gap", "with_more", "wanted", "times"),
    [(0.2, 0.1, 0.05, 16), (0.2, 0.05, 0.05, 4), (0.2, 0.1, 0.3, 1), (0.2, 0.25, 0.1, 4)],
)
def test_times_as_many_queries(gap, with_more, wanted, times):
    """A gap that halves with four times the queries falls with their root, one that quarters with their number."""
    assert times_as_many(gap, with_more, wanted) == pytest.approx(times)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"values": []}, EmptyInputError, "no plan or no query"),
        ({"values": [[1, 0]], "full": [1]}, ShapeError, "`full` has shape"),
        ({"values": [[1, 0]], "full": [0, 0]}, InvalidInputError, "own quality is 0"),
        ({"values": [[1, 0]], "gold": [1, 2]}, InvalidInputError, "without `full`"),
        ({"values": [[1, 0]], "confidence": 1}, InvalidInputError, "`confidence` is 1"),
        ({"values": [[1, 0]], "copies": 0}, InvalidInputError, "`copies` is 0"),
    ],
)
def test_unusable_values_are_refused(arguments, error, message):
    """Nothing to bound, lengths that differ, and a full width that is worth nothing are refused."""
    with pytest.raises(error, match=message):
        simultaneous_lower_bounds(**arguments)
