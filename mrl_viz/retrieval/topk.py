"""The best of many scores, exactly: fast float32 scores nominate, float64 scores of the nominated few decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.truncation import Floats, Ints

Items = Ints
Scores = npt.NDArray[np.float32]
# The maximum of a group says whether anything in it can be among the best; strided groups make it an elementwise one.
GROUP_LENGTH = 16
# Scores that are looked through at once: the nominated of these fit into the cache.
SCORES_LOOKED_THROUGH = 1 << 20
LOWEST = np.finfo(np.float32).min
UNIT_ROUNDOFF = float(np.finfo(np.float32).eps) / 2


def rounding_margin(dim: int, scale: float = 1.0) -> float:
    """How far apart two float32 scores of `dim` terms may lie whose true values are equal.

    `scale` : the largest possible sum of the terms' magnitudes, 1 for a cosine. Twice the error bound dim·u, and
    a little for norms and the final rounding.

    Source: Higham 2002, "Accuracy and Stability of Numerical Algorithms", section 3.1.
    """
    return 2 * (dim + 8) * UNIT_ROUNDOFF * scale


def best_of_each(
    scores: Scores,
    size: int,
    margins: Floats | float,
    decide: Callable[[Ints, Items], Scores] | None = None,
    *,
    candidates: Items | None = None,
) -> tuple[npt.NDArray[np.int32], Scores]:
    """The `size` best items of every row and their deciding scores, (n_rows, size), equal scores to the lower index.

    Parameters
    ----------
    scores : (n_rows, n_candidates), -inf where there is no candidate; a row with too few ends in -1 and -inf
    margins : of each row, (n_rows,), or of all
    decide : gives the deciding scores of rows and items, two arrays of as many; None when `scores` are exact already
    candidates : items of the scores, ascending in each row; None for 0, 1, 2, …
    """
    n_rows, n_candidates = scores.shape
    if n_rows == 1 and candidates is None:  # a query by itself does not pay for what several share
        return _best(scores[0], size, float(np.max(margins)), decide)
    columns = scores
    if size * GROUP_LENGTH**2 <= n_candidates:  # so many groups that the best seldom share one
        in_groups = scores[:, : n_candidates - n_candidates % GROUP_LENGTH].reshape(n_rows, GROUP_LENGTH, -1)
        columns = in_groups.max(axis=1)
    # At least `size` items reach the size-th column, so the size-th best does.
    floors = np.partition(columns, -size, axis=1)[:, -size] - margins
    nominated = np.flatnonzero(scores >= np.maximum(floors, LOWEST)[:, None])
    rows, places = np.divmod(nominated, n_candidates)
    items = places if candidates is None else candidates.ravel()[nominated]
    deciding = scores.ravel()[nominated] if decide is None else decide(rows, items)
    counts = np.bincount(rows, minlength=n_rows)
    to = rows, np.arange(len(rows)) - (np.cumsum(counts) - counts)[rows]
    width = max(size, int(counts.max()))
    falling, numbers = np.full((n_rows, width), np.inf, np.float32), np.full((n_rows, width), -1, np.int32)
    falling[to], numbers[to] = -deciding, items
    order = np.argsort(falling, axis=1, kind="stable")[:, :size]
    return np.take_along_axis(numbers, order, axis=1), -np.take_along_axis(falling, order, axis=1)


def _best(
    scores: Scores, size: int, margin: float, decide: Callable[[Ints, Items], Scores] | None
) -> tuple[npt.NDArray[np.int32], Scores]:
    """The same for one row that holds all items."""
    items = _nominate(scores, size, margin)
    deciding = scores[items] if decide is None else decide(np.zeros(len(items), dtype=np.int64), items)
    order = np.argsort(-deciding, kind="stable")[:size]
    return items[order].astype(np.int32)[None], deciding[order][None]


def _nominate(scores: Scores, size: int, margin: float) -> Items:
    """Every item that rounding could place among the `size` best, in ascending order."""
    n_items = len(scores)
    items = np.arange(n_items)
    if size <= n_items // GROUP_LENGTH:
        maxima = scores[: n_items - n_items % GROUP_LENGTH].reshape(GROUP_LENGTH, -1).max(axis=0)
        floor = np.partition(maxima, -size)[-size]  # at least `size` items reach it, so the size-th best does
        items = np.flatnonzero(scores >= floor - margin)
    values = scores[items]
    threshold: np.floating[Any] = np.partition(values, -size)[-size]
    return items[values >= threshold - margin]


def exact_ranks(scores: Scores, items: Items, margin: float, decide: Callable[[Items], Scores]) -> Ints:
    """Rank of each item among all, from 1, by deciding score, equal scores to the lower index."""
    own = decide(items)
    near = np.flatnonzero(scores >= own.min() - margin)
    values = scores[near]
    ranks = np.empty(len(items), dtype=np.int64)
    for position, (item, score) in enumerate(zip(items, own)):
        unclear = near[np.abs(values - score) <= margin]
        rivals = decide(unclear)
        better = (rivals > score) | ((rivals == score) & (unclear < item))
        ranks[position] = (values > score + margin).sum() + better.sum() + 1
    return ranks
