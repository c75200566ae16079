"""How do similarities change with the width? Bands, truncated against full, and thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.measures.drift import MAX_COLUMNS, MAX_ROWS, each_pair_once, sampled_cosines, spearman
from mrl_viz.sweep import pair_similarities
from mrl_viz.truncation import check_dims, check_embeddings

# float32 cosines are good to about this many decimals; rounding keeps equal pairs equal, so that noise orders nothing.
DECIMALS = 6
# Many widths share this many cosines (80 MB); the sample of texts shrinks so that every integer width still fits.
MOST_COSINES = 20_000_000
N_BINS = 60
BAND = (5, 50, 95)


@dataclass(frozen=True)
class SampledPairs:
    """Cosines of seeded pairs of different items at each width, each pair once.

    `left`, `right` : rows of the pairs, shape (n_pairs,), `left` in the queries where there are any.
    `cosines` : float32 of shape (n_dims, n_pairs), rounded to six decimals, in [-1, 1].
    """

    dims: tuple[int, ...]
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    cosines: npt.NDArray[np.float32]


def sampled_pairs(
    corpus: npt.NDArray[np.floating[Any]],
    queries: npt.NDArray[np.floating[Any]] | None = None,
    *,
    dims: Iterable[int],
    seed: int = 0,
    max_rows: int = MAX_ROWS,
    max_columns: int = MAX_COLUMNS,
) -> SampledPairs:
    """Cosines at every width over the pairs of a seeded sample of texts and items; all pairs when they fit.

    Parameters
    ----------
    corpus, queries : ndarrays of shape (n_items, full_dim) and (n_queries, full_dim); without queries, pairs of
        different corpus items
    dims : widths in 1..full_dim; the full width is added
    seed : of the sample
    max_rows, max_columns : the sample's size at most; fewer rows when there are many widths (`MOST_COSINES`)

    Raises
    ------
    EmptyInputError : there is no pair of different items.
    DimensionError, ShapeError : unusable arrays or widths.
    """
    corpus = check_embeddings(corpus, "corpus")
    dims = check_dims((*dims, corpus.shape[1]), corpus.shape[1])
    require_pairs(corpus, queries)
    max_rows = max(1, min(max_rows, MOST_COSINES // (len(dims) * min(max_columns, len(corpus)))))
    dims, cosines, is_pair, rows, columns = sampled_cosines(corpus, queries, dims, seed, max_rows, max_columns)
    if queries is None:
        is_pair = each_pair_once(is_pair, rows, columns)
    left, right = np.nonzero(is_pair)
    kept = cosines[:, is_pair]
    return SampledPairs(dims, rows[left], columns[right], np.round(kept, DECIMALS, out=kept))


def require_pairs(corpus: npt.NDArray[Any], queries: npt.NDArray[Any] | None) -> None:
    """Raise EmptyInputError when a corpus on its own has one item only."""
    if queries is None and len(corpus) < 2:
        raise EmptyInputError(f"`corpus` has {len(corpus)} text, which makes no pair; add at least one more text.")


@dataclass(frozen=True)
class SimilarityBand:
    """Cosine against width: the 5th, 50th and 95th percentile of all sampled pairs, and chosen pairs.

    `low`, `median`, `high` : one entry per width, cosine in [-1, 1]. `n_pairs` : size of the sample.
    `pairs` : the chosen (left, right); `pair_cosines` : float32 of shape (n_chosen, n_dims); `pair_percentiles` : the
    share of sampled pairs less similar than the chosen one, ties counted half, in [0, 1], same shape.
    """

    dims: tuple[int, ...]
    n_pairs: int
    low: tuple[float, ...]
    median: tuple[float, ...]
    high: tuple[float, ...]
    pairs: tuple[tuple[int, int], ...]
    pair_cosines: npt.NDArray[np.float32]
    pair_percentiles: npt.NDArray[np.float64]

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data."""
        return vars(self) | {
            "pair_cosines": self.pair_cosines.tolist(), "pair_percentiles": self.pair_percentiles.tolist()
        }  # fmt: skip

    def rows(self) -> list[dict[str, float]]:
        """One record per width."""
        return [
            {"dim": dim, "low": low, "median": median, "high": high}
            for dim, low, median, high in zip(self.dims, self.low, self.median, self.high)
        ]

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
        """One sentence: how middle and width of the band move down to the smallest width."""
        full, here = (f"{self.low[level]:.2f}…{self.high[level]:.2f}" for level in (-1, 0))
        return (
            f"From {self.dims[-1]} down to {self.dims[0]} dims the median cosine of {_pairs_text(self.n_pairs)} goes "
            f"from {self.median[-1]:.2f} to {self.median[0]:.2f}, and the middle 90 % from {full} to {here}."
        )


@dataclass(frozen=True)
class SimilarityDensity:
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
    counts: npt.NDArray[np.int64]
    edges: npt.NDArray[np.float64]
    spearman: float
    bias: float
    spread: float
    slope: float
    intercept: float
    r2: float
    residual_spread: float

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data."""
        return vars(self) | {"counts": self.counts.tolist(), "edges": self.edges.tolist()}

    def rows(self) -> list[dict[str, float]]:
        """One record: the numbers beside the picture."""
        names = ("dim", "n_pairs", "spearman", "bias", "spread", "slope", "intercept", "r2", "residual_spread")
        return [{name: getattr(self, name) for name in names}]

    def takeaway(self) -> str:
        """One sentence: the move, what a rescaling mends, and the rank agreement that is left."""
        return (
            f"At {self.dim} dims cosines move by {self.bias:+.3f} ± {self.spread:.3f}; the best rescaling "
            f"(× {self.slope:.2f} {self.intercept:+.2f}) explains {self.r2:.0%} of their variance and leaves "
            f"± {self.residual_spread:.3f}; the order of pairs agrees to Spearman {self.spearman:.2f}."
        )


@dataclass(frozen=True)
class ThresholdMeaning:
    """What a fixed cosine threshold keeps at each width, and the threshold that keeps as many pairs as at full width.

    `threshold` : cosine in [-1, 1]; a pair is kept when its cosine is at least that.
    One entry per width: `share_above` of sampled pairs kept by `threshold`, in [0, 1]; `matched_threshold` : the
    highest one that keeps at least as many pairs as `threshold` does at full width; `same_pairs` : the share of the
    pairs kept at full width that it keeps, in [0, 1]. Both are None when `threshold` keeps no pair at full width.
    """

    dims: tuple[int, ...]
    threshold: float
    n_pairs: int
    share_above: tuple[float, ...]
    matched_threshold: tuple[float | None, ...]
    same_pairs: tuple[float | None, ...]

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data."""
        return dict(vars(self))

    def rows(self) -> list[dict[str, float | None]]:
        """One record per width."""
        return [
            {"dim": dim, "share_above": share, "matched_threshold": matched, "same_pairs": same}
            for dim, share, matched, same in zip(self.dims, self.share_above, self.matched_threshold, self.same_pairs)
        ]

    def takeaway(self) -> str:
        """One sentence: what the fixed threshold keeps at both ends, and the threshold to use instead."""
        text = (
            f"A threshold of {self.threshold:.2f} keeps {self.share_above[-1]:.2%} of {_pairs_text(self.n_pairs)} at "
            f"{self.dims[-1]} dims and {self.share_above[0]:.2%} at {self.dims[0]}"
        )
        matched, same = self.matched_threshold[0], self.same_pairs[0]
        if matched is None or same is None:
            return f"{text}; it keeps none at full width, so no other threshold matches it: choose a lower one."
        return f"{text}; {matched:.2f} would keep as many there, {same:.0%} of them the same pairs."


def similarity_band(
    corpus: npt.NDArray[np.floating[Any]],
    queries: npt.NDArray[np.floating[Any]] | None = None,
    *,
    dims: Iterable[int],
    pairs: Sequence[tuple[int, int]] = (),
    seed: int = 0,
) -> SimilarityBand:
    """Cosine against width for chosen pairs, over the 5-95 % band of all sampled pairs.

    Parameters
    ----------
    corpus, queries : ndarrays of shape (n_items, full_dim) and (n_queries, full_dim)
    dims : widths in 1..full_dim; the full width is added
    pairs : rows (left, right), `left` in `queries` where there are any, else in `corpus`; the same item twice is fine
    seed : of the sample

    Raises
    ------
    EmptyInputError : there is no pair of different items.
    InvalidInputError : a chosen pair is outside the data.
    DimensionError, ShapeError : unusable arrays or widths.

    Source: own definition.
    """
    sample = sampled_pairs(corpus, queries, dims=dims, seed=seed)
    corpus = check_embeddings(corpus, "corpus")
    lefts = corpus if queries is None else check_embeddings(queries, "queries")
    for left, right in pairs:
        for item, side in ((left, lefts), (right, corpus)):
            if not 0 <= item < len(side):
                last = len(side) - 1
                raise InvalidInputError(f"`pairs` names item {item} but there are {last + 1}; choose 0 to {last}.")
    low, median, high = np.percentile(sample.cosines, BAND, axis=1)
    chosen = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    cosines = np.empty((0, len(sample.dims)), dtype=np.float32)
    if len(chosen):
        cosines = pair_similarities(lefts[chosen[:, 0]], corpus[chosen[:, 1]], sample.dims).T
    percentiles = np.empty(cosines.shape)
    for level, others in enumerate(np.sort(sample.cosines, axis=1)):
        own = np.round(cosines[:, level], DECIMALS)
        both = np.searchsorted(others, own, "left") + np.searchsorted(others, own, "right")
        percentiles[:, level] = both / 2 / len(others)
    return SimilarityBand(
        dims=sample.dims,
        n_pairs=sample.cosines.shape[1],
        low=tuple(low.tolist()),
        median=tuple(median.tolist()),
        high=tuple(high.tolist()),
        pairs=tuple((int(left), int(right)) for left, right in chosen),
        pair_cosines=cosines,
        pair_percentiles=percentiles,
    )


def similarity_density(
    corpus: npt.NDArray[np.floating[Any]],
    queries: npt.NDArray[np.floating[Any]] | None = None,
    *,
    dim: int,
    n_bins: int = N_BINS,
    seed: int = 0,
) -> SimilarityDensity:
    """Cosine at `dim` against full width as a two-dimensional histogram, with Spearman, bias, spread and the best line.

    Parameters
    ----------
    corpus, queries : ndarrays of shape (n_items, full_dim) and (n_queries, full_dim)
    dim : width in 1..full_dim
    n_bins : bins per axis
    seed : of the sample

    Raises
    ------
    EmptyInputError : there is no pair of different items.
    InvalidInputError : `n_bins` is below 1. DimensionError, ShapeError : unusable arrays or width.

    Source: own definition; when all cosines at full width are equal the line is flat through the mean, and r2 is 1
    where nothing is left to explain, else 0.
    """
    check_at_least_one(n_bins, "n_bins")
    sample = sampled_pairs(corpus, queries, dims=[dim], seed=seed)
    here, full = sample.cosines[0].astype(np.float64), sample.cosines[-1].astype(np.float64)
    change, x, y = here - full, full - full.mean(), here - here.mean()
    slope = float(x @ y / (x @ x)) if x.any() else 0.0
    residuals = y - slope * x
    low, high = min(here.min(), full.min()), max(here.max(), full.max())
    margin = 0.0 if high > low else 0.05  # all cosines equal: a histogram still needs a range
    limits = (low - margin, high + margin)
    counts, edges, _ = np.histogram2d(here, full, bins=n_bins, range=(limits, limits))
    return SimilarityDensity(
        dim=sample.dims[0],
        full_dim=sample.dims[-1],
        n_pairs=len(here),
        counts=counts.astype(np.int64),
        edges=edges,
        spearman=spearman(here, full),
        bias=float(change.mean()),
        spread=float(change.std()),
        slope=slope,
        intercept=float(here.mean() - slope * full.mean()),
        r2=float(np.clip(1 - residuals @ residuals / (y @ y), 0, 1)) if y.any() else 1.0,
        residual_spread=float(np.sqrt(np.mean(residuals**2))),
    )


def threshold_meaning(
    corpus: npt.NDArray[np.floating[Any]],
    queries: npt.NDArray[np.floating[Any]] | None = None,
    *,
    dims: Iterable[int],
    threshold: float,
    seed: int = 0,
) -> ThresholdMeaning:
    """Share of pairs that a fixed threshold keeps at each width, and the threshold that keeps as many as at full width.

    Parameters
    ----------
    corpus, queries : ndarrays of shape (n_items, full_dim) and (n_queries, full_dim)
    dims : widths in 1..full_dim; the full width is added
    threshold : cosine in [-1, 1]
    seed : of the sample

    Raises
    ------
    EmptyInputError : there is no pair of different items.
    InvalidInputError : `threshold` outside [-1, 1]. DimensionError, ShapeError : unusable arrays or widths.

    Source: own definition.
    """
    if not -1 <= threshold <= 1:
        raise InvalidInputError(f"`threshold` is {threshold}; choose a cosine from -1 to 1.")
    sample = sampled_pairs(corpus, queries, dims=dims, seed=seed)
    n_pairs = sample.cosines.shape[1]
    rounded = np.float32(round(threshold, DECIMALS))  # as the cosines are, so that equal means kept
    kept_full = sample.cosines[-1] >= rounded
    n_kept = int(kept_full.sum())
    matched: list[float | None] = [None] * len(sample.dims)
    same: list[float | None] = [None] * len(sample.dims)
    if n_kept:
        for level, cosines in enumerate(sample.cosines):
            lowest = np.partition(cosines, n_pairs - n_kept)[n_pairs - n_kept]
            matched[level] = float(lowest)
            same[level] = float((cosines >= lowest)[kept_full].mean())
    return ThresholdMeaning(
        dims=sample.dims,
        threshold=float(threshold),
        n_pairs=n_pairs,
        share_above=tuple((sample.cosines >= rounded).mean(axis=1).tolist()),
        matched_threshold=tuple(matched),
        same_pairs=tuple(same),
    )


def check_at_least_one(value: int, name: str) -> None:
    """Raise InvalidInputError unless the count is 1 or more."""
    if value < 1:
        raise InvalidInputError(f"`{name}` is {value}; choose 1 or more.")


def _pairs_text(n_pairs: int) -> str:
    return f"{n_pairs:,} pair{'s' if n_pairs != 1 else ''}"
