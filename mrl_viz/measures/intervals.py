"""Bootstrap intervals over texts or queries."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, InvalidInputError

N_RESAMPLES = 2000
CONFIDENCE = 0.95
# Resample counts are drawn in slabs of about this many numbers, so that memory does not grow with n_resamples x n_items.
SLAB = 4_000_000


def bootstrap_mean(
    values: npt.NDArray[np.floating[Any]],
    *,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
    confidence: float = CONFIDENCE,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Percentile bootstrap interval of each row's mean, the same resamples for every row (paired between widths).

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_items), one value per item and width
    seed : of the resampling
    n_resamples : how many
    confidence : coverage in (0, 1)

    Returns
    -------
    low, high : ndarrays of shape (n_rows,)

    Raises
    ------
    EmptyInputError : no items. InvalidInputError : `confidence` outside (0, 1) or `n_resamples` < 1.

    Source: Efron 1979, "Bootstrap methods: another look at the jackknife"; percentile interval.
    """
    values = np.atleast_2d(np.asarray(values, dtype=np.float64))
    n_items = values.shape[1]
    if n_items == 0:
        raise EmptyInputError("`values` has no items; an interval needs at least one.")
    if not 0 < confidence < 1:
        raise InvalidInputError(f"`confidence` is {confidence}; choose a share above 0 and below 1, such as 0.95.")
    if n_resamples < 1:
        raise InvalidInputError(f"`n_resamples` is {n_resamples}; choose 1 or more.")
    rng = np.random.default_rng(seed)
    slab = max(1, SLAB // n_items)
    means = np.empty((n_resamples, values.shape[0]))
    for start in range(0, n_resamples, slab):
        n = min(slab, n_resamples - start)
        draws = rng.integers(0, n_items, size=(n, n_items)) + np.arange(n)[:, None] * n_items
        counts = np.bincount(draws.ravel(), minlength=n * n_items).reshape(n, n_items)
        means[start : start + n] = counts @ values.T / n_items
    tail = 50 * (1 - confidence)
    low, high = np.percentile(means, [tail, 100 - tail], axis=0)
    return low, high
