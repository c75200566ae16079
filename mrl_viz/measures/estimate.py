"""Bootstrap intervals over texts or queries, paired between widths, and paired tests against the full width."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, InvalidInputError

N_RESAMPLES = 2000
CONFIDENCE = 0.95
# Resample counts are drawn in slabs of about this many numbers: they stay in cache, and memory does not grow with
# n_resamples x n_items.
SLAB = 1_000_000
# The widths people choose between differ by a few hundredths: an interval longer than this cannot tell them apart.
TOO_WIDE = 0.1

Floats = npt.NDArray[np.float64]


def bootstrap_mean(
    values: npt.NDArray[np.floating[Any]],
    *,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
    confidence: float = CONFIDENCE,
) -> tuple[Floats, Floats]:
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
    values = _check_values(values)
    _check_resampling(n_resamples, confidence)
    low, high = _percentiles(_resampled_means(values, seed, n_resamples), confidence)
    return low, high


@dataclass(frozen=True)
class PairedIntervals:
    """Means of several rows (widths), and how they stand to one baseline row, each with its interval.

    One entry per row. `value`, `low`, `high` : the mean. `difference`… : value - baseline's value.
    `retention`… : value / baseline's value; None where the baseline is not above 0, since a share of it means nothing.
    """

    value: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    difference: tuple[float, ...]
    difference_low: tuple[float, ...]
    difference_high: tuple[float, ...]
    retention: tuple[float | None, ...]
    retention_low: tuple[float | None, ...]
    retention_high: tuple[float | None, ...]

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data."""
        return asdict(self)

    def takeaway(self) -> str:
        """One sentence: the largest drop below the baseline."""
        worst = int(np.argmin(self.difference))
        return (
            f"The largest drop is {self.difference[worst]:+.3f} "
            f"[{self.difference_low[worst]:+.3f}, {self.difference_high[worst]:+.3f}]."
        )


def bootstrap_paired(
    values: npt.NDArray[np.floating[Any]],
    *,
    baseline: int = -1,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
    confidence: float = CONFIDENCE,
) -> PairedIntervals:
    """Intervals of each row's mean, and of its difference from and share of the baseline row, from common resamples.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_items)
    baseline : row compared with, the last (full width) by default
    seed, n_resamples, confidence : as in `bootstrap_mean`

    Raises
    ------
    EmptyInputError, InvalidInputError : as in `bootstrap_mean`; `baseline` is no row.

    Source: Efron & Tibshirani 1993, "An introduction to the bootstrap", chapter 13; paired by resampling items, not
    values.
    """
    values = _check_values(values)
    _check_resampling(n_resamples, confidence)
    baseline = _check_baseline(baseline, len(values))
    return intervals_from_resamples(
        values.mean(axis=1), _resampled_means(values, seed, n_resamples), baseline=baseline, confidence=confidence
    )


def intervals_from_resamples(
    observed: Floats, resampled: Floats, *, baseline: int = -1, confidence: float = CONFIDENCE
) -> PairedIntervals:
    """`PairedIntervals` of any statistic, from its observed (n_rows,) and resampled values (n_resamples, n_rows)."""
    base = resampled[:, [baseline]]
    low, high = _percentiles(resampled, confidence)
    change_low, change_high = _percentiles(resampled - base, confidence)
    kept: tuple[tuple[float | None, ...], ...] = ((None,) * len(observed),) * 3
    positive = base[:, 0] > 0
    if observed[baseline] > 0 and positive.any():
        share_low, share_high = _percentiles(resampled[positive] / base[positive], confidence)
        kept = tuple(tuple(row.tolist()) for row in (observed / observed[baseline], share_low, share_high))
    return PairedIntervals(
        # The percentile interval of a skewed statistic can miss the observed value; a picture of that only confuses.
        value=tuple(observed.tolist()),
        low=tuple(np.minimum(low, observed).tolist()),
        high=tuple(np.maximum(high, observed).tolist()),
        difference=tuple((observed - observed[baseline]).tolist()),
        difference_low=tuple(change_low.tolist()),
        difference_high=tuple(change_high.tolist()),
        retention=kept[0],
        retention_low=kept[1],
        retention_high=kept[2],
    )


def paired_tests(values: npt.NDArray[np.floating[Any]], *, baseline: int = -1) -> Floats:
    """Two-sided p-values of a paired t-test of each row against the baseline row, Holm-adjusted over the other rows.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_items)
    baseline : row compared with

    Returns
    -------
    ndarray of shape (n_rows,), in [0, 1]; 1 for the baseline, for rows equal to it, and when there is one item only.

    Raises
    ------
    EmptyInputError : no items. InvalidInputError : `baseline` is no row.

    Source: Smucker, Allan & Carterette 2007, "A comparison of statistical significance tests for information retrieval
    evaluation": the t-test agrees with the bootstrap and randomisation; Wilcoxon and sign tests do not.
    """
    from scipy.stats import ttest_rel

    values = _check_values(values)
    baseline = _check_baseline(baseline, len(values))
    result = np.ones(len(values))
    others = np.arange(len(values)) != baseline
    if values.shape[1] < 2 or not others.any():
        return result
    changes = values - values[baseline]
    varies = np.ptp(changes, axis=1) > 0
    # The same change for every item has no spread to test with: it is certain unless it is 0.
    raw = np.where(changes[:, 0] != 0, 0.0, 1.0)
    if varies.any():
        raw[varies] = ttest_rel(
            values[varies], np.broadcast_to(values[baseline], (varies.sum(), values.shape[1])), axis=1
        ).pvalue
    result[others] = holm(raw[others])
    return result


def holm(p_values: npt.ArrayLike) -> Floats:
    """The p-values adjusted so that the chance of any false alarm among them is the level they are compared with.

    Parameters
    ----------
    p_values : array_like of shape (n_tests,), in [0, 1]

    Returns
    -------
    ndarray of shape (n_tests,), in [0, 1], never smaller than the input

    Raises
    ------
    InvalidInputError : a value outside [0, 1].

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    raw = np.asarray(p_values, dtype=np.float64).ravel()
    if not ((raw >= 0) & (raw <= 1)).all():
        raise InvalidInputError("`p_values` has a value outside 0 to 1; give probabilities.")
    order = np.argsort(raw, kind="stable")
    stepped = np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1))
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def is_too_wide(low: float, high: float) -> bool:
    """Whether an interval of a share or score in [0, 1] is too long to choose a width by."""
    return high - low > TOO_WIDE


def resample_counts(n_items: int, *, seed: int, n_resamples: int) -> Iterator[npt.NDArray[np.int64]]:
    """How often each item is drawn in each resample, in slabs of shape (n, n_items) that make up `n_resamples`."""
    rng = np.random.default_rng(seed)
    slab = max(1, SLAB // n_items)
    for start in range(0, n_resamples, slab):
        n = min(slab, n_resamples - start)
        draws = rng.integers(0, n_items, size=(n, n_items))
        draws += np.arange(n)[:, None] * n_items
        yield np.bincount(draws.ravel(), minlength=n * n_items).reshape(n, n_items)


def _resampled_means(values: Floats, seed: int, n_resamples: int) -> Floats:
    """Means of shape (n_resamples, n_rows)."""
    n_items = values.shape[1]
    slabs = resample_counts(n_items, seed=seed, n_resamples=n_resamples)
    return np.asarray(np.concatenate([counts.astype(np.float64) @ values.T for counts in slabs]) / n_items)


def _percentiles(resampled: Floats, confidence: float) -> tuple[Floats, Floats]:
    tail = 50 * (1 - confidence)
    low, high = np.percentile(resampled, [tail, 100 - tail], axis=0)
    return low, high


def _check_values(values: npt.NDArray[np.floating[Any]]) -> Floats:
    checked = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if checked.shape[1] == 0:
        raise EmptyInputError("`values` has no items; an interval needs at least one.")
    return checked


def _check_resampling(n_resamples: int, confidence: float) -> None:
    if not 0 < confidence < 1:
        raise InvalidInputError(f"`confidence` is {confidence}; choose a share above 0 and below 1, such as 0.95.")
    if n_resamples < 1:
        raise InvalidInputError(f"`n_resamples` is {n_resamples}; choose 1 or more.")


def _check_baseline(baseline: int, n_rows: int) -> int:
    if not -n_rows <= baseline < n_rows:
        raise InvalidInputError(f"`baseline` is {baseline} but there are {n_rows} rows; choose 0 to {n_rows - 1}.")
    return baseline % n_rows
