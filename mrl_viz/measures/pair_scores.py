"""Quantiles and shares of scores over pairs of texts, with intervals over the texts: pairs share them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError
from mrl_viz.measures.estimate import CONFIDENCE, Estimate, resample_counts
from mrl_viz.sweep.machine import single_threaded_blas
from mrl_viz.truncation import Flags, Floats, Ints

# Enough for the ends of an interval; twice as many move them by a tenth of its length.
N_RESAMPLES = 300
# Pairs looked through for a quantile in the tail, in multiples of those above it: resamples seldom reach further.
TAIL = 2
# Numbers held at once.
SLAB = 1_000_000

Counts = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class DrawnPairs:
    """Pairs of texts, and how often each text is drawn in each resample; a pair counts as often as both together.

    `is_pair` : bool of shape (n_rows, n_columns), the pairs that count, one at least. `rows`, `columns` : float32 of
    shape (n_resamples, n_rows) and (n_resamples, n_columns).
    """

    is_pair: Flags
    rows: Counts
    columns: Counts

    def upper_quantile(self, scores: npt.NDArray[np.float32], share: float) -> Estimate:
        """The score that so large a share of the pairs lies above, as numpy.quantile at 1 - share, with its interval.

        Parameters
        ----------
        scores : ndarray of shape (n_rows, n_columns)
        share : in (0, 1)

        Source: percentile bootstrap over texts; a quantile over pairs is a U-quantile: Serfling 1984, "Generalized L-,
        M-, and R-statistics".
        """
        values = scores[self.is_pair]
        n_pairs, drawn = len(values), self._totals > 0
        n_looked, found = TAIL * ceil(share * n_pairs) + TAIL, None
        while found is None:
            n_looked = min(n_looked, n_pairs)
            top = np.argpartition(-values, n_looked - 1)[:n_looked]
            top = top[np.argsort(-values[top], kind="stable")]
            ordered = values[top].astype(np.float64)
            found = self._read_off(ordered, top, share, drawn, is_all=n_looked == n_pairs)
            n_looked *= 4
        below, above, between = _places(np.array([float(n_pairs)]), share)
        (value,) = _between(ordered, below, above, between)
        return _interval(float(value), found)

    def share_above(self, is_above: Flags) -> Estimate:
        """The share of the pairs that is above something, in [0, 1], with its interval."""
        above, drawn = self._drawn(is_above & self.is_pair), self._totals > 0
        value = int((is_above & self.is_pair).sum()) / int(self.is_pair.sum())
        return _interval(value, above[drawn] / self._totals[drawn])

    @cached_property
    def _totals(self) -> Floats:
        """How many pairs each resample has."""
        return self._drawn(self.is_pair)

    @cached_property
    def _sides(self) -> tuple[Ints, Ints]:
        row, column = np.nonzero(self.is_pair)
        return row.astype(np.int64, copy=False), column.astype(np.int64, copy=False)

    def _drawn(self, which: Flags) -> Floats:
        with single_threaded_blas():
            products = self.rows @ which.astype(np.float32)
        return np.asarray(np.einsum("ij,ij->i", products, self.columns, dtype=np.float64))

    def _read_off(self, ordered: Floats, top: Ints, share: float, drawn: Flags, *, is_all: bool) -> Floats | None:
        """The quantile in every resample, from the best pairs; None where one reaches further down."""
        row, column = (side[top] for side in self._sides)
        # Whole numbers are exact in float32 up to this, and twice as quick to add up.
        sums = np.float32 if self._totals.max() < 1 << 24 else np.float64
        parts = []
        for part in _slabs(np.flatnonzero(drawn), len(top)):
            weights = self.rows[part][:, row]
            weights *= self.columns[part][:, column]
            counts = np.cumsum(weights, axis=1, dtype=sums)
            below, above, between = _places(self._totals[part], share)
            first, second = (
                np.array([np.searchsorted(own, place, side="right") for own, place in zip(counts, places)])
                for places in (below, above)
            )
            if not is_all and second.max() == len(top):
                return None
            last = len(top) - 1
            parts.append(_between(ordered, first.clip(max=last), second.clip(max=last), between))
        return np.concatenate(parts) if parts else np.empty(0)


def draw_pairs(is_pair: Flags, *, is_self: bool, seed: int = 0, n_resamples: int = N_RESAMPLES) -> DrawnPairs:
    """Pairs with resamples of the texts on both sides; of the same ones where both sides are the same texts.

    Parameters
    ----------
    is_pair : bool of shape (n_rows, n_columns); square where `is_self`
    seed, n_resamples : of the resampling

    Raises
    ------
    EmptyInputError : no pair counts.

    Source: two-way data resampled by either side: Owen 2007, "The pigeonhole bootstrap", arXiv:0712.1111.
    """
    if not is_pair.any():
        raise EmptyInputError("`is_pair` has no pair; an interval needs at least one.")

    def drawn(n_texts: int, seed: int) -> Counts:
        slabs = resample_counts(n_texts, seed=seed, n_resamples=n_resamples)
        return np.concatenate([counts.astype(np.float32) for counts in slabs])

    rows = drawn(is_pair.shape[0], seed)
    return DrawnPairs(is_pair, rows, rows if is_self else drawn(is_pair.shape[1], seed + 1))


def _slabs(numbers: Ints, n_each: int) -> Iterator[Ints]:
    step = max(1, SLAB // n_each)
    return (numbers[start : start + step] for start in range(0, len(numbers), step))


def _places(totals: Floats, share: float) -> tuple[Ints, Ints, Floats]:
    """Where the quantile lies among so many pairs, the best first: between which two, and how far along."""
    place = (totals - 1) * share
    below = np.floor(place).astype(np.int64)
    return below, np.ceil(place).astype(np.int64), place - below


def _between(ordered: Floats, below: Ints, above: Ints, between: Floats) -> Floats:
    return np.asarray(ordered[below] * (1 - between) + ordered[above] * between)


def _interval(value: float, drawn: Floats) -> Estimate:
    if not len(drawn):
        return Estimate(value, value, value)
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return Estimate(value, float(min(low, value)), float(max(high, value)))
