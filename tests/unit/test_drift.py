"""Similarity drift against scipy and plain loops; intervals against theory."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.measures.estimate import bootstrap, columns
from mrl_viz.measures.sample import pair_sample
from mrl_viz.measures.similarity import similarity_drift
from mrl_viz.truncation import prefix_energy, truncate_and_normalize

CORPUS = np.random.default_rng(0).normal(size=(40, 16)).astype(np.float32)


def test_drift_equals_naive_pairs():
    """bias, MAE, RMSE, largest and both Spearmans are the definitions over all ordered pairs."""
    result = similarity_drift(pair_sample(CORPUS, dims=[4]))
    here, full = (truncate_and_normalize(CORPUS, dim) @ truncate_and_normalize(CORPUS, dim).T for dim in (4, 16))
    off = ~np.eye(40, dtype=bool)
    change = (here - full)[off]
    assert result.bias[0] == pytest.approx(change.mean(), abs=1e-6)
    assert result.mae[0] == pytest.approx(np.abs(change).mean(), abs=1e-6)
    assert result.rmse[0] == pytest.approx(np.sqrt((change**2).mean()), abs=1e-6)
    assert result.largest[0] == pytest.approx(np.abs(change).max(), abs=1e-6)
    rows = [spearmanr(here[i, off[i]], full[i, off[i]]).statistic for i in range(40)]
    assert result.spearman_per_text[0] == pytest.approx(np.mean(rows), abs=1e-4)
    assert result.spearman_global[0] == pytest.approx(spearmanr(here[off], full[off]).statistic, abs=1e-3)


def test_full_width_does_not_drift():
    """m = D: drift 0, rank correlation 1."""
    result = similarity_drift(pair_sample(CORPUS, dims=[4]))
    assert (result.bias[-1], result.largest[-1]) == (0, 0)
    assert result.spearman_per_text[-1] == pytest.approx(1)


def test_constant_vectors_give_numbers():
    """Equal vectors have no drift and no NaN."""
    result = similarity_drift(pair_sample(np.ones((6, 4)), dims=[2]))
    assert np.isfinite([result.bias, result.spearman_per_text, result.spearman_global]).all()


def test_bootstrap_covers_like_the_normal_interval():
    """For many items the percentile interval is mean ± 1.96 standard errors."""
    values = np.random.default_rng(2).normal(size=(2, 900))
    value, low, high = columns(bootstrap(values))
    np.testing.assert_array_equal(value, values.mean(axis=1))
    error = values.std(axis=1) / 30
    np.testing.assert_allclose(low, values.mean(axis=1) - 1.96 * error, atol=0.012)
    np.testing.assert_allclose(high, values.mean(axis=1) + 1.96 * error, atol=0.012)


def test_bootstrap_is_paired_and_seeded():
    """Equal rows get equal intervals, and the same seed the same bytes."""
    values = np.tile(np.random.default_rng(3).random(50), (2, 1))
    first, second = bootstrap(values, seed=7)
    assert first == second
    assert bootstrap(values, seed=7) == (first, second)


def test_bootstrap_refuses_nonsense():
    """No items, no confidence, no resamples: one clear error each."""
    with pytest.raises(EmptyInputError, match="no items"):
        bootstrap(np.empty((2, 0)))
    with pytest.raises(InvalidInputError, match="`confidence` is 95"):
        bootstrap(np.ones((1, 3)), confidence=95)
    with pytest.raises(InvalidInputError, match="`n_resamples` is 0"):
        bootstrap(np.ones((1, 3)), n_resamples=0)


def test_energy_is_the_share_of_squared_norm():
    """Energy kept equals the naive ratio, ends at 1, and flags zero prefixes."""
    energy = prefix_energy(CORPUS, [4, 16])
    naive = (CORPUS[:, :4] ** 2).sum(1) / (CORPUS**2).sum(1)
    assert energy.mean[0] == pytest.approx(naive.mean(), abs=1e-6)
    assert energy.mean[1] == pytest.approx(1)
    assert prefix_energy([[0, 1], [1, 0]], [1]).n_zero == (1,)
