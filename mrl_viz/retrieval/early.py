"""Exact search that stops early: after m coordinates a bound says which vectors can no longer be among the best.

For unit vectors ⟨q, x⟩ ≤ Σ_{j≤m} q_j x_j + ‖q_{>m}‖‖x_{>m}‖, by Cauchy and Schwarz: what is left of two vectors after m
coordinates cannot add more than the product of its norms. The sooner norms are used up, the sooner vectors drop out, so
it pays to have the coordinates in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.arrangements import Arrangement, prefix_arrangement, random_arrangements, svd_rotation
from mrl_viz.errors import ShapeError
from mrl_viz.measures.estimate import Estimate, bootstrap
from mrl_viz.measures.lists import nearest_level
from mrl_viz.result import ByWidth, Result, records
from mrl_viz.retrieval.index import checked_queries
from mrl_viz.sweep import check_k
from mrl_viz.sweep.cosines import as_float32
from mrl_viz.truncation import Floats, Ints, check_dims, normalize

# Cosines that are as much apart may be equal once they are float32, and then the lower index decides.
MARGIN = float(np.finfo(np.float32).eps)
# A bound is looked at after 8 coordinates and then after each so many.
FIRST_STOP, STEP = 8, 16
# Orders of coordinates, and how a sentence says them.
ORDERS = {"prefix": "in the model's own order", "svd": "after SVD", "scrambled": "scrambled"}


@dataclass(frozen=True)
class EarlySearch(ByWidth):
    """The lists of exact search, found while reading less.

    `dims` : coordinates after which vectors are dropped. `alive` : share of the `n_items` that can still be among the k
    best after so many, mean over queries, in (0, 1]. `read` : share of all coordinates that the search read.
    `indices`, `similarities` : as `SearchResult` has them.
    """

    dims: tuple[int, ...]
    k: int
    n_items: int
    alive: tuple[Estimate, ...]
    read: Estimate
    indices: npt.NDArray[np.int32]
    similarities: npt.NDArray[np.float32]

    _columns = ("alive",)
    _without = ("indices", "similarities")

    def takeaway(self) -> str:
        middle = nearest_level(self.dims, self.dims[-1] / 2)
        return (
            f"After {self.dims[middle]} of {self.dims[-1]} coordinates {self.alive[middle].value:.1%} of "
            f"{self.n_items:,} vectors can still be among the {self.k} best; exact search reads {self.read.value:.0%} "
            "of all coordinates and loses nothing."
        )


@dataclass(frozen=True)
class EarlyOrders(Result):
    """The same exact search with the coordinates in every order of ORDERS; the lists are the same up to rounding.

    `searches` : what each read.
    """

    searches: tuple[EarlySearch, ...]

    _also = ("orders", "dims")

    @property
    def orders(self) -> tuple[str, ...]:
        """The names of the orders."""
        return tuple(ORDERS)

    @property
    def dims(self) -> tuple[int, ...]:
        """Coordinates after which vectors are dropped."""
        return self.searches[0].dims

    def rows(self) -> list[dict[str, Any]]:
        """One record per number of coordinates: the share alive in every order."""
        return records(dim=self.dims, **{name: one.alive for name, one in zip(self.orders, self.searches)})

    def takeaway(self) -> str:
        level, first = nearest_level(self.dims, self.dims[-1] / 2), self.searches[0]
        alive = [f"{one.alive[level].value:.0%} {said}" for said, one in zip(ORDERS.values(), self.searches)]
        read = [f"{one.read.value:.0%} {said}" for said, one in zip(ORDERS.values(), self.searches)]
        return (
            f"After {self.dims[level]} of {self.dims[-1]} coordinates the share of {first.n_items:,} vectors that can "
            f"still be among the {first.k} best is {', '.join(alive)}. Exact search reads {', '.join(read)} of all "
            "coordinates: order lets it stop early."
        )


def early_search(
    corpus: npt.ArrayLike,
    queries: npt.ArrayLike,
    k: int = 10,
    *,
    dims: Iterable[int] | None = None,
    own: npt.ArrayLike | None = None,
    seed: int = 0,
) -> EarlySearch:
    """The k items of highest cosine for each query, vectors dropped as soon as the bound allows.

    After each number of coordinates the k best so far are read to their end; what cannot reach the k-th of all that
    were read to their end is dropped.

    Parameters
    ----------
    corpus : array_like of shape (n_items, full_dim)
    queries : array_like of shape (n_queries, full_dim)
    k : 1 to n_items
    dims : coordinates after which vectors are dropped; 8, 16, 32, 48 and so on when None; the full width is added
    own : each query's row in the corpus, of shape (n_queries,), where queries are items themselves, to be left out
    seed : of the bootstrap over queries

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError : unusable arrays or widths. InvalidInputError : `k` out of range.

    Source: the bound is Cauchy's and Schwarz's; as an index, level by level: Panorama, arXiv:2510.00566.
    """
    # In float64, so that equal cosines come out equal after the rounding to float32.
    rows = as_float32(corpus, "corpus").astype(np.float64)
    n_items, full_dim = rows.shape
    wanted = checked_queries(queries, full_dim).astype(np.float64)
    items, asked = (normalize(each).astype(np.float64, copy=False) for each in (rows, wanted))
    check_k(k, n_items - (own is not None))
    stops = (FIRST_STOP, *range(STEP, full_dim, STEP)) if full_dim > FIRST_STOP else ()
    levels = check_dims((*(stops if dims is None else dims), full_dim), full_dim)
    left_out = np.full(len(asked), -1) if own is None else np.asarray(own)
    if left_out.shape != (len(asked),):
        raise ShapeError(f"`own` has shape {left_out.shape} for {len(asked)} queries; give each query's row.")
    tails, own_tails = _tails(items, levels), _tails(asked, levels)
    lengths, own_lengths = np.linalg.norm(rows, axis=1), np.linalg.norm(wanted, axis=1)
    indices, similarities = np.empty((len(asked), k), np.int32), np.empty((len(asked), k), np.float32)
    alive, read = np.empty((len(levels), len(asked))), np.empty(len(asked))
    for row, query in enumerate(asked):
        others = np.flatnonzero(np.arange(n_items) != left_out[row])

        def cosines(some: Ints, row: int = row) -> Floats:
            # Of the vectors as they are, whose products of whole numbers are exact.
            products = lengths[some] * own_lengths[row]
            dots = np.vecdot(rows[some], wanted[row])
            return np.asarray(np.clip(dots / np.where(products > 0, products, 1), -1, 1))

        found, scores, alive[:, row], n_read = _search(
            items, others, query, tails, own_tails[:, row], levels, k, cosines
        )
        order = np.argsort(-scores, kind="stable")[:k]
        indices[row], similarities[row] = found[order], scores[order]
        read[row] = n_read / (len(others) * full_dim)
    (read_share,) = bootstrap(read, seed=seed)
    n_searched = n_items - (own is not None)
    return EarlySearch(
        levels, k, n_searched, bootstrap(alive / n_searched, seed=seed), read_share, indices, similarities
    )


def early_orders(
    corpus: npt.ArrayLike,
    queries: npt.ArrayLike,
    k: int = 10,
    *,
    dims: Iterable[int] | None = None,
    own: npt.ArrayLike | None = None,
    seed: int = 0,
) -> EarlyOrders:
    """`early_search` with the coordinates in the model's own order, after SVD of the corpus, and scrambled.

    The SVD may be fitted on the corpus that is searched: every order gives the same lists, so nothing is flattered.

    Parameters
    ----------
    corpus, queries, k, dims, own : as in `early_search`
    seed : of the scrambled order and the bootstrap

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError, InvalidInputError : as in `early_search`.
    """
    items = as_float32(corpus, "corpus")
    full_dim = items.shape[1]
    asked, widths = checked_queries(queries, full_dim), None if dims is None else tuple(dims)
    ways = (
        prefix_arrangement(full_dim),
        Arrangement("svd", full_dim, rotation=np.ascontiguousarray(svd_rotation(items).T)),
        random_arrangements(full_dim, seed=seed)[0],
    )
    return EarlyOrders(
        tuple(early_search(way.apply(items), way.apply(asked), k, dims=widths, own=own, seed=seed) for way in ways)
    )


def _tails(rows: Floats, levels: tuple[int, ...]) -> Floats:
    """Norms of what is left after each number of coordinates, (n_levels, n_rows)."""
    # Summed from the end: a difference of large sums could make one too small.
    edges = zip(levels, (*levels[1:], rows.shape[1]))
    blocks = np.stack([np.einsum("ij,ij->i", rows[:, low:high], rows[:, low:high]) for low, high in edges])
    return np.asarray(np.sqrt(np.cumsum(blocks[::-1], axis=0)[::-1]))


def _search(
    items: Floats,
    others: Ints,
    query: Floats,
    tails: Floats,
    own_tails: Floats,
    levels: tuple[int, ...],
    k: int,
    cosines_of: Callable[[Ints], Floats],
) -> tuple[Ints, npt.NDArray[np.float32], Ints, int]:
    """Items read to their end that may be the best and their cosines, how many were alive, coordinates read."""
    cosines = np.full(len(items), np.nan)  # of items read to their end
    alive, partial = others, np.zeros(len(others))
    counts, n_read, low, threshold = np.empty(len(levels), np.int64), 0, 0, -np.inf
    for level, high in enumerate(levels):
        partial = partial + items[alive, low:high] @ query[low:high]
        n_read += int(np.isnan(cosines[alive]).sum()) * (high - low)
        best = alive[np.argpartition(-partial, k - 1)[:k]]
        fresh = best[np.isnan(cosines[best])]
        cosines[fresh] = cosines_of(fresh)
        n_read += len(fresh) * (len(query) - high)
        threshold = max(threshold, float(cosines[best].min()))
        is_alive = partial + tails[level, alive] * own_tails[level] >= threshold - MARGIN
        alive, partial, low = alive[is_alive], partial[is_alive], high
        counts[level] = len(alive)
    fresh = alive[np.isnan(cosines[alive])]
    cosines[fresh] = cosines_of(fresh)
    return alive, cosines[alive].astype(np.float32), counts, n_read
