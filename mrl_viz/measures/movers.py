"""Which pairs move most relative to the pairs around them, and which texts swap their nearer item?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mrl_viz.measures.sample import DECIMALS, PairSample
from mrl_viz.result import Result
from mrl_viz.truncation import Flags, Floats, Ints, check_count

# A pair is compared with this many pairs of about its own similarity; odd, so that a median is one of them.
WINDOW = 101
# Enough that the share of flips is known to 0.3 percentage points and every text of the sample has hundreds of triples.
N_TRIPLES = 200_000


@dataclass(frozen=True)
class RelativeMovers(Result):
    """The pairs whose drift differs most from the median drift of the pairs around them.

    `pairs` : (left, right, cosine at full width, cosine at `dim`, local median drift, relative move), the largest
    relative move in size first; relative move = drift - local median drift, in cosine units.
    `typical` : median size of the relative move over all `n_pairs` sampled pairs, what an ordinary pair does.
    """

    dim: int
    full_dim: int
    n_pairs: int
    typical: float
    pairs: tuple[tuple[int, int, float, float, float, float], ...]

    def rows(self) -> list[dict[str, Any]]:
        """One record per pair, the largest relative move first."""
        names = ("left", "right", "full", "truncated", "local_median_drift", "relative_move")
        return [dict(zip(names, pair)) | {"drift": pair[3] - pair[2]} for pair in self.pairs]

    def takeaway(self) -> str:
        _, _, full, here, around, move = self.pairs[0]
        return (
            f"At {self.dim} dims the biggest mover goes from {full:.2f} to {here:.2f} while pairs like it move by "
            f"{around:+.2f}: {move:+.2f} relative to them, where an ordinary pair moves by {self.typical:.2f} either "
            "way."
        )


@dataclass(frozen=True)
class FlippedTriples(Result):
    """Texts whose nearer item of two changes between full width and `dim`.

    `flips` : (text, a, b, margin at full width, margin at `dim`), the margin being cosine(text, a) - cosine(text, b):
    above 0 at full width, below 0 at `dim`; the clearest flip of each text, ordered by the smaller of its two margins.
    `share` : of `n_triples` triples that flip, in [0, 1], 0 when there is no triple; ties do not flip.
    """

    dim: int
    full_dim: int
    n_triples: int
    share: float
    flips: tuple[tuple[int, int, int, float, float], ...]

    def rows(self) -> list[dict[str, Any]]:
        """One record per listed triple, the clearest first."""
        names = ("text", "a", "b", "margin_full", "margin_truncated")
        return [dict(zip(names, flip)) for flip in self.flips]

    def takeaway(self) -> str:
        if self.n_triples == 0:
            return "A flip needs a text and two others; add texts to see any."
        text = (
            f"At {self.dim} dims {self.share:.1%} of {self.n_triples:,} triples swap which of two items is nearer "
            "(chance 50%)"
        )
        if not self.flips:
            return f"{text}."
        _, _, _, before, after = self.flips[0]
        return f"{text}; in the clearest a margin of {before:+.2f} becomes {after:+.2f}."


def relative_movers(sample: PairSample, dim: int, *, n_movers: int = 20) -> RelativeMovers:
    """The pairs whose cosine moves most at `dim`, relative to the pairs that are about as similar at full width.

    What moves all pairs alike (a shift, a bent scale) reorders nothing and is taken out: the local median drift is the
    median over the 101 pairs nearest in full-width similarity rank, the pair itself among them.

    Parameters
    ----------
    dim : one of the sample's widths
    n_movers : pairs listed at most

    Raises
    ------
    InvalidInputError : `n_movers` is below 1, or `dim` not in the sample.

    Source: own definition. With 101 pairs or fewer the local median is the median of all.
    """
    check_count("n_movers", n_movers)
    here, full = sample.against_full(dim)
    left, right = sample.pairs
    change = here - full
    around = _local_median(change, full)
    move = change - around
    top = np.argsort(-np.abs(move).round(DECIMALS), kind="stable")[:n_movers]
    columns = (left[top], right[top], full[top], here[top], around[top], move[top])
    pairs = tuple(zip(*(column.tolist() for column in columns)))
    return RelativeMovers(dim, sample.dims[-1], len(change), typical=float(np.median(np.abs(move))), pairs=pairs)


def flipped_triples(sample: PairSample, dim: int, *, n_flips: int = 20, n_triples: int = N_TRIPLES) -> FlippedTriples:
    """Triples (text, a, b) where a is nearer at full width and b at `dim`: their share, and the clearest of each text.

    Parameters
    ----------
    dim : one of the sample's widths
    n_flips : triples listed at most, one a text
    n_triples : triples looked at: all of the sampled texts when there are no more, else so many seeded draws, of which
        those that name an item twice are dropped

    Raises
    ------
    InvalidInputError : `n_flips` or `n_triples` is below 1, or `dim` not in the sample.

    Source: own definition.
    """
    check_count("n_flips", n_flips)
    check_count("n_triples", n_triples)
    text, a, b = _triples(sample.is_pair, n_triples, sample.seed)
    before, after = (
        cosines[text, a].astype(np.float64) - cosines[text, b] for cosines in sample.cosines[[-1, sample.at(dim)]]
    )
    flips = np.flatnonzero(np.sign(before) * np.sign(after) < 0)
    clearness = np.minimum(np.abs(before), np.abs(after))[flips].round(DECIMALS)
    ordered = flips[np.argsort(-clearness, kind="stable")]
    _, first = np.unique(text[ordered], return_index=True)
    listed = ordered[np.sort(first)][:n_flips]
    sign = np.where(before[listed] < 0, -1, 1)  # the nearer item at full width comes first
    nearer, farther = np.where(sign > 0, (a[listed], b[listed]), (b[listed], a[listed]))
    rows, columns = sample.rows, sample.columns
    fields = (rows[text[listed]], columns[nearer], columns[farther], sign * before[listed], sign * after[listed])
    share = len(flips) / len(text) if len(text) else 0.0
    return FlippedTriples(dim, sample.dims[-1], len(text), share, tuple(zip(*(field.tolist() for field in fields))))


def _local_median(values: Floats, positions: Floats) -> Floats:
    """Median of `values` over the WINDOW entries nearest in the order of `positions`; one-sided at the ends."""
    from scipy.ndimage import median_filter

    n = len(values)
    if n <= WINDOW:
        return np.full(n, np.median(values))
    order = np.argsort(positions, kind="stable")
    half = WINDOW // 2
    # Only windows that lie inside are used, so the filter's treatment of the ends does not matter.
    medians = median_filter(values[order], size=WINDOW)[np.clip(np.arange(n), half, n - 1 - half)]
    result = np.empty(n)
    result[order] = medians
    return result


def _triples(is_pair: Flags, n_triples: int, seed: int) -> tuple[Ints, Ints, Ints]:
    """Positions (row, a, b) with both (row, a) and (row, b) pairs: every one with a < b, or seeded draws of a, b."""
    n_rows, n_columns = is_pair.shape
    n_twos = n_columns * (n_columns - 1) // 2
    if n_rows * n_twos <= n_triples:
        first, second = np.triu_indices(n_columns, 1)
        row, a, b = np.repeat(np.arange(n_rows), n_twos), np.tile(first, n_rows), np.tile(second, n_rows)
    else:
        rng = np.random.default_rng(seed)
        row = rng.integers(0, n_rows, n_triples)
        a, b = rng.integers(0, n_columns, (2, n_triples))
    valid = is_pair[row, a] & is_pair[row, b] & (a != b)
    return row[valid], a[valid], b[valid]
