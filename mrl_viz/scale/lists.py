"""Neighbor lists of parts of a corpus, and how they become those of the whole.

Putting together is associative, commutative and idempotent: whichever parts come in whatever order, and how often, the
lists are the same; ties go to the lower row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import InvalidInputError
from mrl_viz.truncation import Ints

# A row's number has 32 bits beside its score's 32: one number orders both.
MOST_ITEMS = 2**32 - 1
MISSING = np.uint64(2**64 - 1)
SIGN, ALL = np.uint32(0x80000000), np.uint32(0xFFFFFFFF)


@dataclass(frozen=True)
class Lists:
    """Nearest rows by cosine at every width, best first, ties to the lower row.

    `items` : int64 of shape (n_dims, n_queries, k), -1 where there are fewer. `scores` : float32, the same shape, what
    orders them. `norms` : float32 of shape (n_dims, n_queries), by which a query's scores become cosines; None where
    they are. Of rows nearly alike the cosines are equal, rounded, and the scores are not: an order by cosines would be
    another one than that of a sweep over everything.
    """

    items: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    norms: npt.NDArray[np.float32] | None = None

    @property
    def similarities(self) -> npt.NDArray[np.float32]:
        """The cosines, shape (n_dims, n_queries, k); 0 where there is no row."""
        if self.norms is None:
            return self.scores
        cosines = np.clip(self.scores * self.norms[:, :, None], -1, 1)
        return np.where(self.items < 0, np.float32(0), cosines)


def merged(parts: Sequence[Lists], k: int) -> Lists:
    """The k best of all parts' lists for every query at every width; what is in several parts counts once.

    Parameters
    ----------
    parts : at least one; lists of the same queries and widths, of rows numbered below 2^32 - 1
    k : of the lists made; shorter where all parts together have fewer

    Raises
    ------
    InvalidInputError : a row's number is too high.
    """
    norms = parts[0].norms
    if any((part.norms is None) != (norms is None) for part in parts):  # of kernels of two kinds
        parts, norms = [Lists(part.items, part.similarities) for part in parts], None
    packed = np.concatenate([_packed(part) for part in parts], axis=-1)
    packed.sort(axis=-1)
    again = packed[..., 1:] == packed[..., :-1]
    if again.any():
        packed[..., 1:][again] = MISSING
        packed.sort(axis=-1)
    return replace(_unpacked(packed[..., :k]), norms=norms)


def without(lists: Lists, own: Ints, k: int) -> Lists:
    """The first k of each list without the query's own row, `own` of shape (n_queries,)."""
    is_own = lists.items == own[None, :, None]
    # Where it is not among them, the last one goes.
    order = np.argsort(is_own, axis=-1, kind="stable")[..., :k]
    items = np.take_along_axis(lists.items, order, axis=-1)
    scores = np.take_along_axis(lists.scores, order, axis=-1)
    gone = np.take_along_axis(is_own, order, axis=-1)
    return Lists(np.where(gone, -1, items), np.where(gone, np.float32(0), scores), lists.norms)


def _packed(lists: Lists) -> npt.NDArray[np.uint64]:
    """Score and row as one number that rises from the best to the worst."""
    if lists.items.size and lists.items.max() >= MOST_ITEMS:
        raise InvalidInputError(f"row {lists.items.max():,} is beyond {MOST_ITEMS:,}; split the source.")
    bits = (lists.scores.astype(np.float32) + np.float32(0)).view(np.uint32)  # -0 becomes 0
    rising = np.where(bits & SIGN, ~bits, bits | SIGN)
    packed = (~rising).astype(np.uint64) << np.uint64(32) | lists.items.astype(np.uint64) & np.uint64(ALL)
    return np.where(lists.items < 0, MISSING, packed)


def _unpacked(packed: npt.NDArray[np.uint64]) -> Lists:
    is_missing = packed == MISSING
    rising = ~(packed >> np.uint64(32)).astype(np.uint32)
    bits = np.where(rising & SIGN, rising & ~SIGN, ~rising)
    items = (packed & np.uint64(ALL)).astype(np.int64)
    return Lists(
        np.where(is_missing, -1, items), np.where(is_missing, np.float32(0), bits.astype(np.uint32).view(np.float32))
    )
