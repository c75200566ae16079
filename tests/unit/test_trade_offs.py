"""Bits or dims at equal bytes: named where the queries tell, and only there."""

import numpy as np
import pytest

from mrl_viz.decide import trade_offs
from mrl_viz.errors import EmptyInputError
from mrl_viz.retrieval.plan import Plan

WIDE, NARROW = Plan(64, "int8"), Plan(16)


def values(*shares, n_queries=200, seed=0):
    """Yes-or-no values, one row per share of right answers."""
    rng = np.random.default_rng(seed)
    return (rng.random((len(shares), n_queries)) < np.array(shares)[:, None]).astype(float)


def test_the_better_of_two_equally_large_plans_is_named():
    """More dims or more bits, whichever keeps more, with the difference and its lower bound."""
    measured = values(0.8, 0.5)
    (wider,) = trade_offs([WIDE, NARROW], measured, metric="overlap@10")
    assert (wider.better, wider.worse, wider.bytes_per_vector) == (WIDE, NARROW, 64) and wider.is_wider_better
    assert wider.gain == pytest.approx(measured[0].mean() - measured[1].mean()) and 0.1 < wider.gain_low < wider.gain
    said = f"In 64 bytes a vector more dims beat more bits: overlap@10 is {measured[0].mean():.3f} with 64 dims int8"
    assert wider.takeaway().startswith(said)
    (finer,) = trade_offs([WIDE, NARROW], measured[::-1], metric="overlap@10")
    assert finer.better == NARROW and not finer.is_wider_better and "more bits beat more dims" in finer.takeaway()


def test_what_is_undecided_is_not_said():
    """Too small a difference, or too few queries for a large one, names nobody."""
    assert trade_offs([WIDE, NARROW], values(0.52, 0.5), metric="overlap@10") == ()
    assert trade_offs([WIDE, NARROW], [[1, 1, 1], [0, 0, 1]], metric="overlap@10") == ()


def test_equal_plans_are_seldom_told_apart():
    """In 95 % of samples no pair is named where all plans are equally good."""
    plans = [Plan(dim, dtype) for dim, dtype in ((8, "float32"), (16, "float16"), (32, "int8"), (256, "binary"))]
    named = [
        bool(trade_offs(plans, values(*[0.6] * 4, n_queries=60, seed=seed), metric="overlap@10")) for seed in range(60)
    ]
    # Two standard errors of 60 samples are 6 points.
    assert np.mean(named) <= 0.05 + 0.06


def test_only_comparable_plans_are_compared():
    """Plans of other sizes, with a rerank, or of one width are no pair."""
    others = [Plan(64), Plan(16, rerank=((50, 64),)), Plan(16, kind="hnsw"), Plan(64, "int8")]
    assert trade_offs([WIDE, *others], values(0.9, *[0.1] * 4), metric="overlap@10") == ()


def test_no_queries_are_refused():
    """Without a query there is nothing to tell plans apart by."""
    with pytest.raises(EmptyInputError, match="no plan or no query"):
        trade_offs([WIDE, NARROW], np.empty((2, 0)), metric="overlap@10")
