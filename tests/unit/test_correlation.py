"""Ranks are SciPy's."""

import numpy as np
import pytest
from scipy.stats import rankdata

from mrl_viz.measures.correlation import mean_ranks


@pytest.mark.parametrize("shape", [(1,), (2,), (50,), (3, 40), (2, 3, 17)])
def test_mean_ranks_are_scipys(shape):
    """Ranks from 1 along the last axis, with the mean rank for ties, are what SciPy gives."""
    values = np.random.default_rng(len(shape)).integers(0, 12, size=shape).astype(np.float32)
    values.flat[-1] = np.inf
    np.testing.assert_array_equal(mean_ranks(values), rankdata(values, axis=-1))
