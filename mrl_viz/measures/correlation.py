"""Linear and rank correlation along the last axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.truncation import Flags, Floats

# Below this product of root sums of squares a side is constant up to rounding.
SMALLEST_SPREAD = 1e-12


def correlations(
    a: npt.NDArray[Any], b: npt.NDArray[Any], weights: npt.NDArray[Any] | None = None, *, constant: float = 0.0
) -> Floats:
    """Pearson correlation along the last axis, in [-1, 1]; `constant` where both sides are constant, 0 where one is.

    Parameters
    ----------
    a, b : ndarrays of shapes (..., n) that broadcast
    weights : of the same shape, such as counts of a resample, or booleans that leave entries out; None weighs all alike
    """
    weight = np.ones(a.shape[-1]) if weights is None else weights
    n = np.maximum(weight.sum(axis=-1, keepdims=True), 1)
    a = a - (weight * a).sum(axis=-1, keepdims=True) / n
    b = b - (weight * b).sum(axis=-1, keepdims=True) / n
    weighted = weight * a
    size_a, size_b = np.sqrt((weighted * a).sum(axis=-1)), np.sqrt((weight * b * b).sum(axis=-1))
    size = size_a * size_b
    both = (size_a <= SMALLEST_SPREAD) & (size_b <= SMALLEST_SPREAD)
    found = (weighted * b).sum(axis=-1) / np.where(size > SMALLEST_SPREAD, size, 1)
    return np.asarray(np.where(size > SMALLEST_SPREAD, np.clip(found, -1, 1), np.where(both, constant, 0.0)))


def mean_ranks(values: npt.NDArray[Any]) -> Floats:
    """Ranks from 1 along the last axis, the mean rank for ties: SciPy's `rankdata`, whose import takes long."""
    order = np.argsort(values, axis=-1)
    ascending = np.take_along_axis(values, order, axis=-1)
    n = values.shape[-1]
    places = np.arange(n, dtype=np.float64)
    begins = np.ones(values.shape, dtype=bool)
    begins[..., 1:] = ascending[..., 1:] != ascending[..., :-1]
    ends = np.roll(begins, -1, axis=-1)
    first = np.maximum.accumulate(np.where(begins, places, 0), axis=-1)
    last = np.minimum.accumulate(np.where(ends, places, n)[..., ::-1], axis=-1)[..., ::-1]
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, (first + last) / 2 + 1, axis=-1)
    return ranks


def rank_correlations(a: npt.NDArray[Any], b: npt.NDArray[Any], is_kept: Flags | None = None) -> Floats:
    """Spearman correlation along the last axis, ties at mean ranks, 1 where both sides are constant, 0 where one is.

    `is_kept` : entries that count, of the same shape; None keeps all.
    """
    if is_kept is None:
        return correlations(mean_ranks(a), mean_ranks(b), constant=1.0)
    return correlations(ranks_of_kept(a, is_kept), ranks_of_kept(b, is_kept), is_kept, constant=1.0)


def ranks_of_kept(values: npt.NDArray[Any], is_kept: Flags) -> Floats:
    """`mean_ranks` of the entries that count; the others rank last, and are to weigh nothing."""
    return mean_ranks(np.where(is_kept, values, np.inf))
