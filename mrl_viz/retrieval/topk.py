"""The best of many scores, exactly: fast float32 scores nominate, float64 scores of the nominated few decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.truncation import Ints

Items = Ints
Scores = npt.NDArray[np.float32]
# The maximum of a group says whether anything in it can be among the best; strided groups make it an elementwise one.
GROUP_LENGTH = 16
UNIT_ROUNDOFF = float(np.finfo(np.float32).eps) / 2


def rounding_margin(dim: int, scale: float = 1.0) -> float:
    """How far apart two float32 scores of `dim` terms may lie whose true values are equal.

    `scale` : the largest possible sum of the terms' magnitudes, 1 for a cosine. Twice the error bound dim·u, and
    a little for norms and the final rounding.

    Source: Higham 2002, "Accuracy and Stability of Numerical Algorithms", section 3.1.
    """
    return 2 * (dim + 8) * UNIT_ROUNDOFF * scale


def best(
    scores: Scores, size: int, margin: float, decide: Callable[[Items], Scores] | None = None
) -> tuple[Items, Scores]:
    """The `size` best items and their deciding scores, best first, equal scores to the lower index.

    `decide` gives the deciding scores of items in ascending order; None when the fast scores are exact already.
    """
    items = _nominate(scores, size, margin)
    deciding = scores[items] if decide is None else decide(items)
    order = np.argsort(-deciding, kind="stable")[:size]
    return items[order], deciding[order]


def _nominate(scores: Scores, size: int, margin: float) -> Items:
    """Every item that rounding could place among the `size` best, in ascending order."""
    n_items = len(scores)
    if size >= n_items:
        return np.arange(n_items)
    items: Items
    if size <= n_items // GROUP_LENGTH:
        maxima = scores[: n_items - n_items % GROUP_LENGTH].reshape(GROUP_LENGTH, -1).max(axis=0)
        floor = np.partition(maxima, -size)[-size]  # at least `size` items reach it, so the size-th best does
        items = np.flatnonzero(scores >= floor - margin)
    else:
        items = np.arange(n_items)
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
