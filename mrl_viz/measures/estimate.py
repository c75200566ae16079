"""A value with its interval: bootstrap over texts or queries, paired between widths, and paired tests with Holm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.result import Result
from mrl_viz.sweep.machine import single_threaded_blas
from mrl_viz.truncation import FloatMatrix, Floats, check_count

N_RESAMPLES = 2000
CONFIDENCE = 0.95
# Resample counts are drawn in slabs of about this many numbers: they stay in cache, and memory does not grow with
# n_resamples x n_items.
SLAB = 1_000_000
# Counts of the last resamples are kept up to so many numbers, 16 MB of int32: 2,000 resamples of 2,000 items.
MOST_KEPT = 4_000_000
Counts = npt.NDArray[np.int32]
# The widths people choose between differ by a few hundredths: an interval longer than this cannot tell them apart.
TOO_WIDE = 0.1


@dataclass(frozen=True)
class Estimate(Result):
    """A value and its interval, low <= value <= high; 95 % unless said otherwise.

    As a field of another result it is written as `name`, `name`_low and `name`_high, and so is one per width.
    Formatting one formats all three: f"{estimate:.2f}" is "0.50 [0.45, 0.55]".
    """

    _is_flat = True

    value: float
    low: float
    high: float

    @property
    def is_too_wide(self) -> bool:
        """Whether the interval of a share or score in [0, 1] is too long to choose a width by."""
        return self.high - self.low > TOO_WIDE

    def __format__(self, spec: str) -> str:
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


def columns(estimates: Sequence[Estimate]) -> tuple[Floats, Floats, Floats]:
    """Values, lower and upper ends of several estimates, each of shape (n_estimates,), for a picture."""
    table = np.array([(estimate.value, estimate.low, estimate.high) for estimate in estimates], dtype=np.float64)
    value, low, high = table.reshape(-1, 3).T
    return value, low, high


def bootstrap(
    values: FloatMatrix,
    *,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
    confidence: float = CONFIDENCE,
) -> tuple[Estimate, ...]:
    """Each row's mean with its percentile bootstrap interval, the same resamples for every row (paired between widths).

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_items), one value per item and width, or (n_items,) for one row; differences of
        two measurements of the same items give the paired interval of their difference
    seed, n_resamples : of the resampling
    confidence : coverage in (0, 1)

    Raises
    ------
    EmptyInputError : no items. InvalidInputError : `confidence` outside (0, 1) or `n_resamples` < 1.

    Source: Efron 1979, "Bootstrap methods: another look at the jackknife"; percentile interval.
    """
    values = _check_values(values)
    check_count("n_resamples", n_resamples)
    if not 0 < confidence < 1:
        raise InvalidInputError(f"`confidence` is {confidence}; choose a share above 0 and below 1, such as 0.95.")
    return _estimates(values.mean(axis=1), _resampled_means(values, seed, n_resamples), confidence)


@dataclass(frozen=True)
class PairedEstimate(Result):
    """One row's (width's) mean, and how it stands to that of the baseline row.

    `difference` : value - baseline's value. `retention` : value / baseline's value; None where the baseline is not
    above 0, since a share of it means nothing.
    """

    mean: Estimate
    difference: Estimate
    retention: Estimate | None


def paired_bootstrap(
    values: FloatMatrix,
    *,
    baseline: int = -1,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> tuple[PairedEstimate, ...]:
    """Each row's mean, its difference from and its share of the baseline row, from common resamples.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_items)
    baseline : row compared with, the last (full width) by default
    seed, n_resamples : as in `bootstrap`

    Raises
    ------
    EmptyInputError, InvalidInputError : as in `bootstrap`; `baseline` is no row.

    Source: Efron & Tibshirani 1993, "An introduction to the bootstrap", chapter 13; paired by resampling items, not
    values.
    """
    values = _check_values(values)
    check_count("n_resamples", n_resamples)
    if not -len(values) <= baseline < len(values):
        raise InvalidInputError(
            f"`baseline` is {baseline} but there are {len(values)} rows; choose 0 to {len(values) - 1}."
        )
    resampled = _resampled_means(values, seed, n_resamples)
    return paired_from_resamples(values.mean(axis=1), resampled, baseline=baseline)


def paired_from_resamples(observed: Floats, resampled: Floats, *, baseline: int = -1) -> tuple[PairedEstimate, ...]:
    """`paired_bootstrap` of any statistic, from its observed (n_rows,) and resampled values (n_resamples, n_rows)."""
    base = resampled[:, [baseline]]
    positive = base[:, 0] > 0
    retention: tuple[Estimate | None, ...] = (None,) * len(observed)
    if observed[baseline] > 0 and positive.any():
        retention = _estimates(observed / observed[baseline], resampled[positive] / base[positive])
    means = _estimates(observed, resampled)
    differences = _estimates(observed - observed[baseline], resampled - base)
    return tuple(map(PairedEstimate, means, differences, retention))


def share_of_means(after: Floats, before: Floats, *, is_paired: bool = True, seed: int = 0) -> Estimate | None:
    """The mean of some values as a share of that of others; None where the others' mean is not above 0.

    Parameters
    ----------
    after, before : ndarray of shape (n_items,) each; of the same items, in order, where `is_paired`
    is_paired : resample both together, else each by itself
    seed : of the bootstrap

    Raises
    ------
    EmptyInputError : no items.

    Source: percentile bootstrap of a ratio, Efron & Tibshirani 1993, chapters 8 and 13.
    """
    observed, drawn = _shares(after[None], before[None], is_paired, seed)
    return None if not np.isfinite(observed[0]) else _estimates(observed, drawn)[0]


def share_difference(
    after: Floats, before: Floats, other_after: Floats, other_before: Floats, *, is_paired: bool = True, seed: int = 0
) -> Estimate | None:
    """`share_of_means` of one model minus another's, from common resamples; None where either has none.

    Parameters
    ----------
    after, other_after : ndarray of shape (n_items,), both models' values of the same items
    before, other_before : likewise, of these items where `is_paired`, else of others
    is_paired, seed : as there

    Raises
    ------
    EmptyInputError : no items.
    """
    observed, drawn = _shares(np.stack([after, other_after]), np.stack([before, other_before]), is_paired, seed)
    if not np.isfinite(observed).all():
        return None
    return _estimates(observed[:1] - observed[1:], drawn[:, :1] - drawn[:, 1:])[0]


def _shares(after: Floats, before: Floats, is_paired: bool, seed: int) -> tuple[Floats, Floats]:
    """Means of rows as shares of others', (n_rows,), NaN where those are not above 0, and resampled."""
    after, before = _check_values(after), _check_values(before)
    if is_paired:
        drawn = _resampled_means(np.concatenate([after, before]), seed, N_RESAMPLES)
        drawn_after, drawn_before = drawn[:, : len(after)], drawn[:, len(after) :]
    else:
        drawn_after = _resampled_means(after, seed, N_RESAMPLES)
        drawn_before = _resampled_means(before, seed + 1, N_RESAMPLES)
    means = before.mean(axis=1)
    observed = after.mean(axis=1) / np.where(means > 0, means, np.nan)
    positive = (drawn_before > 0).all(axis=1)
    return observed, drawn_after[positive] / drawn_before[positive]


def paired_tests(values: FloatMatrix) -> Floats:
    """Two-sided p-values of a paired t-test of each row against the last, Holm-adjusted; 1 for the last itself.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_items)

    Returns
    -------
    ndarray of shape (n_rows,), in [0, 1]

    Raises
    ------
    EmptyInputError : no items.
    """
    values = _check_values(values)
    return np.append(difference_tests(values[:-1] - values[-1]), 1.0)


def difference_tests(differences: FloatMatrix) -> Floats:
    """Two-sided p-values of a paired t-test per row of differences, Holm-adjusted over the rows.

    Parameters
    ----------
    differences : ndarray of shape (n_rows, n_items), between two measurements of the same items

    Returns
    -------
    ndarray of shape (n_rows,), in [0, 1]; 1 for rows of zeros, and when there is one item only

    Raises
    ------
    EmptyInputError : no items.

    Source: Smucker, Allan & Carterette 2007, "A comparison of statistical significance tests for information retrieval
    evaluation": the t-test agrees with the bootstrap and randomisation; Wilcoxon and sign tests do not.
    """
    from scipy.special import stdtr

    changes = _check_values(differences)
    if changes.shape[1] < 2:
        return np.ones(len(changes))
    varies = np.ptp(changes, axis=1) > 0
    # The same change for every item has no spread to test with: it is certain unless it is 0.
    raw = np.where(changes[:, 0] != 0, 0.0, 1.0)
    if varies.any():
        n_items = changes.shape[1]
        t = changes[varies].mean(axis=1) / changes[varies].std(axis=1, ddof=1) * np.sqrt(n_items)
        raw[varies] = 2 * stdtr(n_items - 1, -np.abs(t))
    return holm(raw)


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


def slabs(n_rows: int, n_columns: int) -> Iterator[int]:
    """How many rows to draw at once, of so many columns each, until there are `n_rows`."""
    slab = max(1, SLAB // n_columns)
    return (min(slab, n_rows - start) for start in range(0, n_rows, slab))


def resample_counts(n_items: int, *, seed: int, n_resamples: int) -> Iterator[Counts]:
    """How often each item is drawn in each resample, in slabs of shape (n, n_items) that make up `n_resamples`."""
    if n_items * n_resamples > MOST_KEPT:
        return _drawn_counts(n_items, seed, n_resamples)
    return iter(_kept_counts(n_items, seed, n_resamples))


@lru_cache(maxsize=2)
def _kept_counts(n_items: int, seed: int, n_resamples: int) -> tuple[Counts, ...]:
    """The draws that every curve over the same items resamples it by; drawing takes longer than all else."""
    return tuple(_drawn_counts(n_items, seed, n_resamples))


def _drawn_counts(n_items: int, seed: int, n_resamples: int) -> Iterator[Counts]:
    rng = np.random.default_rng(seed)
    for n in slabs(n_resamples, n_items):
        draws = rng.integers(0, n_items, size=(n, n_items))
        draws += np.arange(n)[:, None] * n_items
        counts: Counts = np.bincount(draws.ravel(), minlength=n * n_items).reshape(n, n_items).astype(np.int32)
        counts.flags.writeable = False
        yield counts


def _resampled_means(values: Floats, seed: int, n_resamples: int) -> Floats:
    """Means of shape (n_resamples, n_rows)."""
    n_items = values.shape[1]
    resamples = resample_counts(n_items, seed=seed, n_resamples=n_resamples)
    with single_threaded_blas():
        return np.asarray(np.concatenate([counts.astype(np.float64) @ values.T for counts in resamples]) / n_items)


def _estimates(observed: Floats, resampled: Floats, confidence: float = CONFIDENCE) -> tuple[Estimate, ...]:
    """Observed values (n_rows,) with the percentiles of resampled ones (n_resamples, n_rows)."""
    tail = 50 * (1 - confidence)
    low, high = np.percentile(resampled, [tail, 100 - tail], axis=0)
    # The percentile interval of a skewed statistic can miss the observed value; a picture of that only confuses.
    ends = (observed, np.minimum(low, observed), np.maximum(high, observed))
    return tuple(map(Estimate, *(end.tolist() for end in ends)))


def _check_values(values: FloatMatrix) -> Floats:
    checked = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if checked.shape[1] == 0:
        raise EmptyInputError("`values` has no items; an interval needs at least one.")
    return checked
