"""Quantiles and shares over pairs: numpy's, and intervals that hold the truth although pairs share their texts."""

import numpy as np
import pytest

from mrl_viz.errors import EmptyInputError
from mrl_viz.measures import pair_scores
from mrl_viz.measures.pair_scores import draw_pairs


@pytest.fixture
def pairs():
    """Scores of 30 x 50 pairs, a third of which count."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(30, 50)).astype(np.float32), rng.random((30, 50)) < 1 / 3


def naive(scores, is_pair, share, rows, columns):
    """numpy's quantile of the pairs written down as often as both texts are drawn."""
    written = [
        scores[row, column]
        for row, column in zip(*np.nonzero(is_pair))
        for _ in range(int(rows[row] * columns[column]))
    ]
    return np.quantile(np.array(written, dtype=np.float64), 1 - share)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.37])
@pytest.mark.parametrize("tail", [1, 2, 100])
def test_a_quantile_is_numpys_of_the_pairs_written_down(pairs, share, tail, monkeypatch):
    """The value, and every resample's, however many of the best pairs are looked through at first."""
    monkeypatch.setattr(pair_scores, "TAIL", tail)
    monkeypatch.setattr(pair_scores, "SLAB", 500)
    scores, is_pair = pairs
    drawn = draw_pairs(is_pair, is_self=False, seed=1, n_resamples=20)
    found = drawn.upper_quantile(scores, share)
    assert found.value == pytest.approx(np.quantile(scores[is_pair].astype(np.float64), 1 - share), abs=1e-12)
    each = [naive(scores, is_pair, share, rows, columns) for rows, columns in zip(drawn.rows, drawn.columns)]
    low, high = np.percentile(each, [2.5, 97.5])
    assert (found.low, found.high) == pytest.approx((min(low, found.value), max(high, found.value)), abs=1e-9)


def test_a_share_is_the_mean_over_the_pairs_drawn(pairs):
    """The share above a score, and its interval over resamples, by counting."""
    scores, is_pair = pairs
    drawn = draw_pairs(is_pair, is_self=False, seed=2, n_resamples=50)
    found = drawn.share_above(scores > 0.5)
    assert found.value == (scores[is_pair] > 0.5).mean()
    weights = drawn.rows[:, :, None] * drawn.columns[:, None, :] * is_pair
    each = (weights * (scores > 0.5)).sum(axis=(1, 2)) / weights.sum(axis=(1, 2))
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(each, [2.5, 97.5])), abs=1e-6)


def test_texts_among_each_other_are_drawn_together(pairs):
    """Where both sides are the same texts so are their draws; else they are not."""
    is_pair = np.triu(np.ones((20, 20), dtype=bool), 1)
    same = draw_pairs(is_pair, is_self=True, n_resamples=5)
    assert same.rows is same.columns and (same.rows.sum(axis=1) == 20).all()
    apart = draw_pairs(is_pair, is_self=False, n_resamples=5)
    assert (apart.rows != apart.columns).any()
    with pytest.raises(EmptyInputError, match="has no pair"):
        draw_pairs(np.zeros((3, 3), dtype=bool), is_self=True)


def of_a_population(rng, n_texts):
    """Vectors of texts some of which are near the middle of everything, as real ones are."""
    common = rng.gamma(2.0, 0.4, size=(n_texts, 1))
    return (rng.normal(size=(n_texts, 12)) + common * np.linspace(1, 0, 12)).astype(np.float64)


def cosines(one, other):
    one, other = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (one, other))
    return (one @ other.T).astype(np.float32)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Of 200 samples of 60 texts about 95 % have the population's score in their interval; over pairs, as if they were
    independent, far fewer would."""
    rng = np.random.default_rng(0)
    truth = np.quantile(cosines(of_a_population(rng, 3000), of_a_population(rng, 3000)), 0.95)
    is_pair = np.triu(np.ones((60, 60), dtype=bool), 1)
    held, held_by_pairs, n_samples = 0, 0, 200
    for seed in range(n_samples):
        texts = of_a_population(rng, 60)
        scores = cosines(texts, texts)
        found = draw_pairs(is_pair, is_self=True, seed=seed).upper_quantile(scores, 0.05)
        held += found.low <= truth <= found.high
        alone = np.sort(scores[is_pair])
        # Order statistics: what an interval over independent pairs would be.
        spread = 1.96 * np.sqrt(0.05 * 0.95 * len(alone))
        low, high = (alone[int(0.95 * len(alone) + side * spread)] for side in (-1, 1))
        held_by_pairs += low <= truth <= high
    assert 0.90 <= held / n_samples <= 0.99
    assert held_by_pairs / n_samples < 0.85
