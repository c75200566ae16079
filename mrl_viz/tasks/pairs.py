"""Quality with scored sentence pairs: correlation of cosine and score at every width, with paired intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.measures.correlation import correlations, mean_ranks
from mrl_viz.measures.estimate import N_RESAMPLES, holm, paired_from_resamples, resample_counts
from mrl_viz.sweep import pair_similarities
from mrl_viz.tasks.curves import MetricCurve, curve_of
from mrl_viz.truncation import Floats

# With two pairs every correlation is -1 or 1.
FEWEST_PAIRS = 3


def pair_correlations(
    left: npt.ArrayLike,
    right: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    dims: Iterable[int],
    names: Sequence[str] = ("spearman", "pearson"),
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> dict[str, MetricCurve]:
    """Curves "spearman" and "pearson" of cosine against the score at every width.

    Parameters
    ----------
    left, right : array_like of shape (n_pairs, full_dim), the two sides of each pair
    scores : array_like of shape (n_pairs,), the higher the more similar
    dims : widths in 1..full_dim; the full width is added
    names : which of the two curves
    seed, n_resamples : of the bootstrap over pairs

    Returns
    -------
    dict of MetricCurve : correlations in [-1, 1], 0 at a width where every cosine is the same, which orders nothing;
        p-values are two-sided bootstrap ones of the difference from the full width

    Raises
    ------
    EmptyInputError : fewer than three pairs. InvalidInputError : the scores are all equal or not finite.
    DimensionError, ShapeError : unusable arrays or widths.

    Source: the STS protocol, Cer et al. 2017, arXiv:1708.00055; bootstrap test: Efron & Tibshirani 1993, chapter 16.
    """
    left = np.asarray(left)
    judged = check_scores(scores)
    if left.ndim != 2 or len(judged) != len(left):
        raise ShapeError(f"`scores` has {len(judged)} values for pairs of shape {left.shape}; give one score a pair.")
    full_dim = left.shape[1]
    dims = tuple(sorted({*dims, full_dim}))
    cosines = pair_similarities(left, right, dims).astype(np.float64)
    return {name: _curve(name, dims, cosines, judged, seed, n_resamples, by_rank=name == "spearman") for name in names}


def check_scores(scores: npt.ArrayLike) -> Floats:
    """The scores of pairs as float64, (n_pairs,), when something can be correlated with them.

    Raises
    ------
    EmptyInputError : fewer than three pairs. InvalidInputError : the scores are all equal or not finite.
    """
    judged = np.asarray(scores, dtype=np.float64).ravel()
    if len(judged) < FEWEST_PAIRS:
        raise EmptyInputError(f"`scores` has {len(judged)} pairs; a correlation needs at least {FEWEST_PAIRS}.")
    if not np.isfinite(judged).all():
        raise InvalidInputError("`scores` has NaN or infinity; leave those pairs out.")
    if np.ptp(judged) == 0:
        raise InvalidInputError(f"`scores` are all {judged[0]:g}; a correlation needs at least two different scores.")
    return judged


def spearman_values(cosines: npt.ArrayLike, scores: npt.ArrayLike) -> Floats:
    """Each pair's share in Spearman's correlation: the mean is the correlation, its bootstrap nearly the interval.

    A mean is resampled as one matrix product for all widths and dtypes; ranking every resample anew takes minutes.

    Parameters
    ----------
    cosines, scores : array_like of shape (n_pairs,)

    Returns
    -------
    ndarray of shape (n_pairs,); zeros where either side is constant

    Source: influence function of Spearman's correlation: Croux & Dehon 2010, "Influence functions of the Spearman and
    Kendall correlation measures", here with mid-ranks, so that ties count as they do in the correlation.
    """
    a, b = np.asarray(cosines, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    place_a, place_b = ((mean_ranks(side) - 0.5) / len(side) - 0.5 for side in (a, b))
    spread_a, spread_b = float((place_a**2).mean()), float((place_b**2).mean())
    if spread_a == 0 or spread_b == 0:
        return np.zeros(len(a))
    rho = float(correlations(place_a, place_b))
    # What one more pair does by itself, and by moving the ranks of the pairs above it.
    joint = place_a * place_b + _moved(a, place_a, place_b) + _moved(b, place_b, place_a)
    own_a = (place_a**2 + 2 * _moved(a, place_a, place_a)) / spread_a
    own_b = (place_b**2 + 2 * _moved(b, place_b, place_b)) / spread_b
    influence = joint / np.sqrt(spread_a * spread_b) - rho * (own_a + own_b) / 2
    return np.asarray(rho + influence - influence.mean())


def _moved(values: Floats, place: Floats, weight: Floats) -> Floats:
    """Mean over pairs of weight x the change of their place, when one more pair comes in at each value."""
    _, group = np.unique(values, return_inverse=True)
    sums = np.bincount(group, weights=weight)
    above = sums.sum() - np.cumsum(sums)
    return np.asarray((above + sums / 2)[group] / len(values) - (place * weight).mean())


def _curve(
    name: str, dims: tuple[int, ...], cosines: Floats, scores: Floats, seed: int, n_resamples: int, *, by_rank: bool
) -> MetricCurve:
    """Correlation of each row of `cosines` with the scores: intervals, and adjusted p-values against the last row."""
    columns = np.vstack([cosines, scores])
    ranked = mean_ranks(columns) if by_rank else columns
    observed = correlations(ranked[:-1], ranked[-1])
    # Resamples are counts: ranks of a resample then follow from one sort of the whole, instead of one sort each.
    ranks = [_CountedRanks(row) for row in columns] if by_rank else None
    resampled = np.empty((n_resamples, len(cosines)))
    start = 0
    for counts in resample_counts(len(scores), seed=seed, n_resamples=n_resamples):
        weights = counts.astype(np.float64)
        score_values = ranks[-1].of(weights) if ranks else np.broadcast_to(scores, weights.shape)
        for level, row in enumerate(cosines):
            values = ranks[level].of(weights) if ranks else np.broadcast_to(row, weights.shape)
            resampled[start : start + len(weights), level] = correlations(values, score_values, weights)
        start += len(weights)
    changes = resampled[:, :-1] - resampled[:, -1:]
    # One added on both sides keeps a p-value from being 0, which no number of resamples can show.
    below, above = (((side <= 0).sum(axis=0) + 1) / (n_resamples + 1) for side in (changes, -changes))
    adjusted = holm(np.minimum(1, 2 * np.minimum(below, above)))
    return curve_of(name, dims, len(scores), paired_from_resamples(observed, resampled), np.append(adjusted, 1.0))


class _CountedRanks:
    """Mean ranks of one vector's values in resamples given as counts."""

    def __init__(self, values: Floats) -> None:
        self.order = np.argsort(values, kind="stable")
        ordered = values[self.order]
        self.starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        self.group = np.repeat(np.arange(len(self.starts)), np.diff(np.r_[self.starts, len(values)]))
        self.back = np.argsort(self.order, kind="stable")

    def of(self, counts: Floats) -> Floats:
        """Shape (n_resamples, n_items): the rank that an item has, wherever it was drawn at all."""
        sizes = np.add.reduceat(counts[:, self.order], self.starts, axis=1)
        middle = np.cumsum(sizes, axis=1) - (sizes - 1) / 2
        return np.asarray(middle[:, self.group[self.back]])
