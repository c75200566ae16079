"""Lower bounds: exact for one yes-or-no plan, true for many at once, shrinking as more queries would do it."""

import numpy as np
import pytest
from scipy.stats import beta, pearsonr

from mrl_viz.decide import simultaneous_lower_bounds
from mrl_viz.decide.bounds import quality
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
