"""How do similarities move with the width? Drift, bands, densities and thresholds over a sample of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import InvalidInputError
from mrl_viz.measures.correlation import correlations, mean_ranks, rank_correlations, ranks_of_kept
from mrl_viz.measures.sample import DECIMALS, PairSample
from mrl_viz.result import ByWidth, Result
from mrl_viz.sweep import pair_similarities
from mrl_viz.truncation import Floats, Ints, check_count

N_BINS = 60
BAND = (5, 50, 95)


@dataclass(frozen=True)
class SimilarityDrift(ByWidth):
    """Drift = cosine at a width - cosine at full width, over pairs of a seeded sample.

    One entry per width: `bias` mean, `mae` mean absolute, `rmse` root mean square, `largest` maximum absolute, all in
    cosine units [0, 2]; `spearman_per_text` mean over texts of its similarities' rank correlation with full width;
    `spearman_global` the same over all pairs at once; both in [-1, 1].
    `n_rows`, `n_columns` : size of the sample (n_rows texts against n_columns items).
    """

    dims: tuple[int, ...]
    n_rows: int
    n_columns: int
    bias: tuple[float, ...]
    mae: tuple[float, ...]
    rmse: tuple[float, ...]
    largest: tuple[float, ...]
    spearman_per_text: tuple[float, ...]
    spearman_global: tuple[float, ...]


def similarity_drift(sample: PairSample) -> SimilarityDrift:
    """Drift of cosines at each width against the full width, over a sample of texts and items.

    Source: own definition; Spearman as in `rank_correlations`.
    """
    full, is_pair = sample.cosines[-1], sample.is_pair
    ranks, ranks_of_all = ranks_of_kept(full, is_pair), mean_ranks(full[is_pair])

    def stats(here: npt.NDArray[np.float32]) -> tuple[float, ...]:
        change = (here - full)[is_pair].astype(np.float64)
        size = np.abs(change)
        per_text = correlations(ranks_of_kept(here, is_pair), ranks, is_pair, constant=1.0).mean()
        overall = correlations(mean_ranks(here[is_pair]), ranks_of_all, constant=1.0)
        found = (change.mean(), size.mean(), np.sqrt((change**2).mean()), size.max(), per_text, overall)
        return tuple(map(float, found))

    n_rows, n_columns = full.shape
    return SimilarityDrift(sample.dims, n_rows, n_columns, *zip(*map(stats, sample.cosines)))


@dataclass(frozen=True)
class SimilarityBand(ByWidth):
    """Cosine against width: the 5th, 50th and 95th percentile of all sampled pairs, and chosen pairs.

    `low`, `median`, `high` : one entry per width, cosine in [-1, 1]. `n_pairs` : size of the sample.
    `pairs` : the chosen (left, right); `pair_cosines` : float32 of shape (n_chosen, n_dims); `pair_percentiles` : the
    share of sampled pairs less similar than the chosen one, ties counted half, in [0, 1], same shape.
    """

    _columns = ("low", "median", "high")

    dims: tuple[int, ...]
    n_pairs: int
    low: tuple[float, ...]
    median: tuple[float, ...]
    high: tuple[float, ...]
    pairs: tuple[tuple[int, int], ...]
    pair_cosines: npt.NDArray[np.float32]
    pair_percentiles: Floats

    def pair_rows(self) -> list[dict[str, float]]:
        """One record per chosen pair and width."""
        return [
            {
                "left": left, "right": right, "dim": dim, "cosine": float(self.pair_cosines[position, level]),
                "percentile": float(self.pair_percentiles[position, level]),
            }
            for position, (left, right) in enumerate(self.pairs)
            for level, dim in enumerate(self.dims)
        ]  # fmt: skip

    def takeaway(self) -> str:
        full, here = (f"{self.low[level]:.2f}…{self.high[level]:.2f}" for level in (-1, 0))
        return (
            f"From {self.dims[-1]} down to {self.dims[0]} dims the median cosine of {_pairs_text(self.n_pairs)} goes "
            f"from {self.median[-1]:.2f} to {self.median[0]:.2f}, and the middle 90 % from {full} to {here}."
        )

    def takeaway_at(self, dim: int) -> str:
        """One sentence about one of the widths, beside the full one."""
        level, full_dim = self.dims.index(dim), self.dims[-1]
        text = f"At {dim} dims nine pairs of ten have cosines from {self.low[level]:.2f} to {self.high[level]:.2f}"
        if dim == full_dim:
            return f"{text}; that is the full width, so choose a smaller one to see them drift."
        return (
            f"{text}, at {full_dim} from {self.low[-1]:.2f} to {self.high[-1]:.2f}; the median is "
            f"{self.median[level]:.2f} instead of {self.median[-1]:.2f}."
        )


@dataclass(frozen=True)
class SimilarityDensity(Result):
    """Cosine at `dim` against cosine at full width over sampled pairs, binned, with what rescaling explains of it.

    `counts` : int64 of shape (n_bins, n_bins), pairs per cell, rows = bins at `dim`, columns = bins at full width;
    `edges` : shape (n_bins + 1,), the same for both axes.
    `spearman` : global rank correlation in [-1, 1]. `bias`, `spread` : mean and standard deviation of the drift.
    `slope`, `intercept` : least squares line, cosine at `dim` = slope x cosine at full + intercept; `r2` share of
    variance it explains, in [0, 1]; `residual_spread` root mean square distance from it, in cosine units.
    """

    dim: int
    full_dim: int
    n_pairs: int
    counts: Ints
    edges: Floats
    spearman: float
    bias: float
    spread: float
    slope: float
    intercept: float
    r2: float
    residual_spread: float

    def rows(self) -> list[dict[str, Any]]:
        """One record: the numbers beside the picture."""
        names = [field.name for field in fields(self) if field.name not in ("full_dim", "counts", "edges")]
        return [{name: getattr(self, name) for name in names}]

    def takeaway(self) -> str:
        return (
            f"At {self.dim} dims cosines move by {self.bias:+.3f} ± {self.spread:.3f}; the best rescaling "
            f"(× {self.slope:.2f} {self.intercept:+.2f}) explains {self.r2:.0%} of their variance and leaves "
            f"± {self.residual_spread:.3f}; the order of pairs agrees to Spearman {self.spearman:.2f}."
        )


@dataclass(frozen=True)
class ThresholdMeaning(ByWidth):
    """What a fixed cosine threshold keeps at each width, and the threshold that keeps as many pairs as at full width.

    `threshold` : cosine in [-1, 1]; a pair is kept when its cosine is at least that.
    One entry per width: `share_above` of sampled pairs kept by `threshold`, in [0, 1]; `matched_threshold` : the
    highest one that keeps at least as many pairs as `threshold` does at full width; `same_pairs` : the share of the
    pairs kept at full width that it keeps, in [0, 1]. Both are None when `threshold` keeps no pair at full width.
    """

    _columns = ("share_above", "matched_threshold", "same_pairs")

    dims: tuple[int, ...]
    threshold: float
    n_pairs: int
    share_above: tuple[float, ...]
    matched_threshold: tuple[float | None, ...]
    same_pairs: tuple[float | None, ...]

    def takeaway(self) -> str:
        text = (
            f"A threshold of {self.threshold:.2f} keeps {self.share_above[-1]:.2%} of {_pairs_text(self.n_pairs)} at "
            f"{self.dims[-1]} dims and {self.share_above[0]:.2%} at {self.dims[0]}"
        )
        matched, same = self.matched_threshold[0], self.same_pairs[0]
        if matched is None or same is None:
            return f"{text}; it keeps none at full width, so no other threshold matches it: choose a lower one."
        return f"{text}; {matched:.2f} would keep as many there, {same:.0%} of them the same pairs."


def similarity_band(sample: PairSample, pairs: Sequence[tuple[int, int]] = ()) -> SimilarityBand:
    """Cosine against width for chosen pairs, over the 5-95 % band of all sampled pairs.

    Parameters
    ----------
    pairs : rows (left, right), `left` in the queries where there are any, else in the corpus; the same item twice is
        fine

    Raises
    ------
    InvalidInputError : a chosen pair is outside the data.

    Source: own definition.
    """
    for left, right in pairs:
        for item, side in ((left, sample.texts), (right, sample.corpus)):
            if not 0 <= item < len(side):
                last = len(side) - 1
                raise InvalidInputError(f"`pairs` names item {item} but there are {last + 1}; choose 0 to {last}.")
    low, median, high = (tuple(line.tolist()) for line in np.percentile(sample.pair_cosines, BAND, axis=1))
    chosen = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    cosines = np.empty((0, len(sample.dims)), dtype=np.float32)
    if len(chosen):
        cosines = pair_similarities(sample.texts[chosen[:, 0]], sample.corpus[chosen[:, 1]], sample.dims).T
    percentiles = np.empty(cosines.shape)
    for level, others in enumerate(np.sort(sample.pair_cosines, axis=1)):
        own = np.round(cosines[:, level], DECIMALS)
        both = np.searchsorted(others, own, "left") + np.searchsorted(others, own, "right")
        percentiles[:, level] = both / 2 / len(others)
    n_pairs, named = sample.pair_cosines.shape[1], tuple((int(left), int(right)) for left, right in chosen)
    return SimilarityBand(sample.dims, n_pairs, low, median, high, named, cosines, percentiles)


def similarity_density(sample: PairSample, dim: int, *, n_bins: int = N_BINS) -> SimilarityDensity:
    """Cosine at `dim` against full width as a two-dimensional histogram, with Spearman, bias, spread and the best line.

    Parameters
    ----------
    dim : one of the sample's widths
    n_bins : bins per axis

    Raises
    ------
    InvalidInputError : `n_bins` is below 1, or `dim` not in the sample.

    Source: own definition; when all cosines at full width are equal the line is flat through the mean, and r2 is 1
    where nothing is left to explain, else 0.
    """
    check_count("n_bins", n_bins)
    here, full = sample.against_full(dim)
    change, x, y = here - full, full - full.mean(), here - here.mean()
    slope = float(x @ y / (x @ x)) if x.any() else 0.0
    residuals = y - slope * x
    low, high = min(here.min(), full.min()), max(here.max(), full.max())
    margin = 0.0 if high > low else 0.05  # all cosines equal: a histogram still needs a range
    limits = (low - margin, high + margin)
    counts, edges, _ = np.histogram2d(here, full, bins=n_bins, range=(limits, limits))
    return SimilarityDensity(
        dim=dim,
        full_dim=sample.dims[-1],
        n_pairs=len(here),
        counts=counts.astype(np.int64),
        edges=edges,
        spearman=float(rank_correlations(here, full)),
        bias=float(change.mean()),
        spread=float(change.std()),
        slope=slope,
        intercept=float(here.mean() - slope * full.mean()),
        r2=float(np.clip(1 - residuals @ residuals / (y @ y), 0, 1)) if y.any() else 1.0,
        residual_spread=float(np.sqrt(np.mean(residuals**2))),
    )


def threshold_meaning(sample: PairSample, threshold: float) -> ThresholdMeaning:
    """Share of pairs that a fixed threshold keeps at each width, and the threshold that keeps as many as at full width.

    Parameters
    ----------
    threshold : cosine in [-1, 1]

    Raises
    ------
    InvalidInputError : `threshold` outside [-1, 1].

    Source: own definition.
    """
    if not -1 <= threshold <= 1:
        raise InvalidInputError(f"`threshold` is {threshold}; choose a cosine from -1 to 1.")
    n_pairs = sample.pair_cosines.shape[1]
    rounded = np.float32(round(threshold, DECIMALS))  # as the cosines are, so that equal means kept
    kept_full = sample.pair_cosines[-1] >= rounded
    n_kept = int(kept_full.sum())
    matched: tuple[float | None, ...] = (None,) * len(sample.dims)
    same = matched
    if n_kept:
        lowest = np.partition(sample.pair_cosines, n_pairs - n_kept, axis=1)[:, n_pairs - n_kept]
        matched = tuple(lowest.tolist())
        same = tuple((sample.pair_cosines >= lowest[:, None])[:, kept_full].mean(axis=1).tolist())
    share_above = tuple((sample.pair_cosines >= rounded).mean(axis=1).tolist())
    return ThresholdMeaning(sample.dims, float(threshold), n_pairs, share_above, matched, same)


def _pairs_text(n_pairs: int) -> str:
    return f"{n_pairs:,} pair{'s' if n_pairs != 1 else ''}"
