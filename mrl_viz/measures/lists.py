"""Neighbor lists: what two share, a list without its own item, votes; and what truncation leaves of them.

Lists are `indices` of shape (n_queries, k) or (n_dims, n_queries, k), best first, no item twice in a list; -1 stands
for nothing found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import InvalidInputError, ShapeError
from mrl_viz.measures.estimate import Estimate, bootstrap
from mrl_viz.result import ByWidth, Result
from mrl_viz.sweep import Sweep, cosine_matrices, level_of, nested_sweep
from mrl_viz.truncation import Flags, FloatMatrix, Floats, Ints, Progress

# RBO weight of the next rank: 0.9 puts about 86 % of the weight on the first ten.
RBO_PERSISTENCE = 0.9
# The share of neighbors that the sentence of `meaning` asks for.
MOST_KEPT = 0.8

Indices = npt.NDArray[np.integer[Any]]


def ranks_in(lists: Indices, others: Indices) -> npt.NDArray[np.int32]:
    """Where each entry of `lists` stands in its counterpart among `others`, from 0; -1 where it is not there.

    `others` : lists of the same queries, broadcast against `lists` (..., n_queries, k); they may be longer or shorter.
    """
    ranks = np.full(np.broadcast_shapes(lists.shape[:-1], others.shape[:-1]) + lists.shape[-1:], -1, dtype=np.int32)
    for rank in range(others.shape[-1]):
        np.copyto(ranks, rank, where=lists == others[..., rank, None])
    np.copyto(ranks, -1, where=lists < 0)
    return ranks


def shared_share(lists: Indices, others: Indices) -> Floats:
    """The share |A∩B|/k of each list (..., n_queries, k) in its counterpart, shape (..., n_queries), in [0, 1]."""
    return np.asarray((ranks_in(lists, others) >= 0).mean(axis=-1))


def shares_by_length(lists: Indices, others: Indices) -> Floats:
    """The share that the first 1, 2, ..., k entries of both lists have in common, shape (..., n_queries, k)."""
    return _shares_by_length(ranks_in(lists, others[..., : lists.shape[-1]]))


def _shares_by_length(ranks: npt.NDArray[np.int32]) -> Floats:
    """The same from the `ranks_in` of two lists of one length."""
    k = ranks.shape[-1]
    lengths = np.arange(1, k + 1)
    # An entry is shared from the length on at which both lists have it.
    reached = np.where(ranks < 0, k, np.maximum(ranks, lengths - 1)).reshape(-1, k)
    rows = np.arange(len(reached))[:, None] * (k + 1)
    counts = np.bincount((reached + rows).ravel(), minlength=len(reached) * (k + 1)).reshape(-1, k + 1)
    return np.asarray(counts[:, :k].cumsum(axis=1).reshape(ranks.shape) / lengths)


def without_own(lists: Indices, own: Ints) -> Indices:
    """Lists (..., n_queries, k + 1) without each query's `own` item (n_queries,), shape (..., n_queries, k).

    An item that exact duplicates or coarse codes pushed out of its own list loses the last entry instead.
    """
    return np.asarray(lists[are_others(lists, own)].reshape(*lists.shape[:-1], lists.shape[-1] - 1))


def are_others(lists: Indices, own: Ints) -> Flags:
    """Which entries `without_own` keeps: all but one of each list."""
    is_own = lists == own[:, None]
    is_own[..., -1] |= ~is_own.any(axis=-1)
    return np.asarray(~is_own)


def neighbor_lists(
    stored: FloatMatrix,
    queries: FloatMatrix,
    dims: Sequence[int],
    k: int,
    *,
    own: Ints | None = None,
    progress: Progress | None = None,
) -> Indices:
    """The k nearest stored vectors of each query at each of `dims`, (n_dims, n_queries, k), without its `own` row."""
    sweep = nested_sweep(stored, queries, dims=dims, k=k + (own is not None), progress=progress)
    lists = sweep.indices[[sweep.at(dim) for dim in dims]]
    return lists if own is None else without_own(lists, own)


def knn_correct(lists: Indices, codes: Ints, own: Ints) -> Floats:
    """Whether the class that most of a list's items have is the query's own: 0 or 1, shape (..., n_queries).

    Parameters
    ----------
    lists : (..., n_queries, k), every entry votes; -1, nothing found, votes for a class of its own
    codes, own : int64 of shape (n_items,) and (n_queries,), class of each item and query, from 0; of classes with
        equally many votes the first in order is taken

    Raises
    ------
    ShapeError : `codes` has no entry for an item of the lists.

    Source: Cover & Hart 1967; tie rule as in sklearn's KNeighborsClassifier.
    """
    if lists.max(initial=-1) >= len(codes):
        raise ShapeError(
            f"`codes` has {len(codes)} labels but the lists name item {lists.max()}; give one label an item."
        )
    votes = np.append(codes, codes.max() + 1)[lists]
    support = np.stack([(votes == vote[..., None]).sum(axis=-1) for vote in np.moveaxis(votes, -1, 0)], axis=-1)
    is_most = support == support.max(axis=-1, keepdims=True)
    winner = np.where(is_most, votes, np.iinfo(np.int64).max).min(axis=-1)
    return np.asarray(winner == own, dtype=np.float64)


@dataclass(frozen=True)
class NeighborOverlap(ByWidth):
    """How much of each top-k list at full width is still there at each width.

    `is_self` : texts search for each other, none in its own list.
    Tuples have one entry per width of `dims`; all shares are in [0, 1].
    `overlap` : mean shared share of the top k, with its 95 % bootstrap interval over queries.
    `corrected` : (overlap - chance)/(1 - chance), 0 at chance. `jaccard`, `rbo`, `top1_agreement` : means over queries.
    `rank_displacement` : mean absolute change of rank among the neighbors kept, in ranks.
    `by_k` : overlap at every list length 1..k, ndarray of shape (n_dims, k).
    `per_item` : overlap of every query, ndarray of shape (n_dims, n_queries).
    """

    _without = ("per_item",)
    _columns = ("overlap", "corrected", "jaccard", "rbo", "top1_agreement", "rank_displacement")

    dims: tuple[int, ...]
    k: int
    n_queries: int
    n_items: int
    is_self: bool
    chance: float
    overlap: tuple[Estimate, ...]
    corrected: tuple[float, ...]
    jaccard: tuple[float, ...]
    rbo: tuple[float, ...]
    top1_agreement: tuple[float, ...]
    rank_displacement: tuple[float, ...]
    by_k: Floats
    per_item: npt.NDArray[np.float32]

    def k_rows(self) -> list[dict[str, float]]:
        """One record per width and list length."""
        return [
            {"dim": dim, "k": k + 1, "overlap": float(self.by_k[level, k])}
            for level, dim in enumerate(self.dims)
            for k in range(self.k)
        ]

    def k_takeaway(self, dim: int) -> str:
        level = self.dims.index(dim)
        first, last = self.by_k[level, 0], self.by_k[level, -1]
        if self.k == 1:
            return f"At {dim} dims {first:.0%} of texts keep their nearest neighbor."
        return (
            f"At {dim} dims {first:.0%} of texts keep their nearest neighbor, and {last:.0%} of the {self.k} nearest "
            "survive."
        )

    def item_takeaway(self, dim: int) -> str:
        values = self.per_item[self.dims.index(dim)]
        return (
            f"At {dim} dims {int((values == 1).sum())} of {self.n_queries} texts keep all their {self.k} neighbors and "
            f"{int((values == 0).sum())} keep none."
        )

    def meaning(self, dim: int | None = None) -> str:
        """One sentence for someone about to truncate: what `dim` keeps, else a quarter of the width, and which keeps
        most."""
        full_dim = self.dims[-1]
        level = nearest_level(self.dims, full_dim / 4) if dim is None else self.dims.index(dim)
        if self.dims[level] == full_dim and dim is None:
            return f"Only the full width {full_dim} was measured; add smaller widths to compare."
        enough = next((dim for dim, kept in zip(self.dims, self.overlap) if kept.low >= MOST_KEPT), full_dim)
        kept = self.overlap[level].value * self.k
        smallest = (
            f"{enough} dims is the smallest measured width" if enough < full_dim else "no smaller measured width is one"
        )
        return (
            f"Cut to {self.dims[level]} dims ({self.dims[level] / full_dim:.0%} of the bytes), a text keeps "
            f"{kept:.1f} of its {self.k} nearest neighbors on average; {smallest} that surely (95 %) keeps "
            f"{MOST_KEPT:.0%} of them."
        )

    def takeaway(self) -> str:
        full_dim = self.dims[-1]
        levels = sorted({nearest_level(self.dims, full_dim / part) for part in (2, 4, 8)}, reverse=True)
        shown = [level for level in levels if self.dims[level] < full_dim]
        if not shown:
            return f"Only the full width {full_dim} was measured; add smaller widths to compare."
        parts = [f"{self.overlap[level].value:.0%} at {self.dims[level]}" for level in shown]
        listed = " and ".join(parts) if len(parts) < 3 else f"{', '.join(parts[:-1])} and {parts[-1]}"
        return (
            f"Of the {self.k} nearest neighbors at {full_dim} dims, {listed} dims survive (chance {self.chance:.1%})."
        )


@dataclass(frozen=True)
class NeighborChanges(Result):
    """One query's neighbors at a width beside those at full width, as (item, rank at full width, rank at `dim`).

    Ranks count from 1. `kept` are in both lists, `lost` only at full width, `gained` only at `dim`.
    """

    item: int
    dim: int
    kept: tuple[tuple[int, int, int], ...]
    lost: tuple[tuple[int, int, None], ...]
    gained: tuple[tuple[int, None, int], ...]

    def takeaway(self) -> str:
        return f"At {self.dim} dims this text keeps {len(self.kept)} of its neighbors and swaps {len(self.lost)}."


def nearest_level(dims: tuple[int, ...], dim: float) -> int:
    """Position of the width closest to `dim` on a log scale."""
    return int(np.argmin(np.abs(np.log(np.asarray(dims) / dim))))


def neighbor_overlap(sweep: Sweep, *, seed: int = 0) -> NeighborOverlap:
    """Overlap@k with the full width, and its companions, at every swept width; `seed` is of the bootstrap.

    Source: overlap and Jaccard as sets; RBO extrapolated: Webber, Moffat & Zobel 2010, "A similarity measure for
    indefinite rankings", eq. 32, for two lists of the same length; rank displacement: own definition.
    """
    n_dims, n_queries, k = sweep.indices.shape
    full, chance = sweep.indices[-1], sweep.chance
    per_item, by_k = np.empty((n_dims, n_queries)), np.empty((n_dims, k))
    weights = (1 - RBO_PERSISTENCE) / RBO_PERSISTENCE * RBO_PERSISTENCE ** np.arange(1, k + 1)
    means = []
    for level, lists in enumerate(sweep.indices):
        ranks = ranks_in(lists, full)
        agreement = _shares_by_length(ranks)
        per_item[level] = overlap = agreement[:, -1]
        by_k[level] = agreement.mean(axis=0)
        moved = np.abs(ranks - np.arange(k))[ranks >= 0]
        jaccard, rbo = overlap / (2 - overlap), agreement @ weights + overlap * RBO_PERSISTENCE**k
        displacement = moved.mean() if len(moved) else 0.0
        beyond_chance = (overlap.mean() - chance) / (1 - chance) if chance < 1 else 0.0
        means.append((beyond_chance, jaccard.mean(), rbo.mean(), by_k[level, 0], displacement))
    corrected, jaccards, rbos, top1, displacements = (tuple(map(float, column)) for column in zip(*means))
    return NeighborOverlap(
        sweep.dims, k, n_queries, sweep.n_items, sweep.is_self, chance, bootstrap(per_item, seed=seed), corrected,
        jaccards, rbos, top1, displacements, by_k, per_item.astype(np.float32),
    )  # fmt: skip


def neighbor_changes(indices: Indices, dims: tuple[int, ...], item: int, dim: int) -> NeighborChanges:
    """The neighbors of one query that stay, leave and enter when the width goes from full to `dim`.

    `indices` : (n_dims, n_queries, k), the lists at `dims`, of which the last is the full width.

    Raises
    ------
    InvalidInputError : `item` is not a query, or `dim` not among `dims`.
    """
    check_item(item, indices.shape[1])
    here, full = (
        {int(j): rank for rank, j in enumerate(lists[item], start=1)}
        for lists in (indices[level_of(dim, dims)], indices[-1])
    )
    return NeighborChanges(
        item=item,
        dim=dim,
        kept=tuple((j, rank, here[j]) for j, rank in full.items() if j in here),
        lost=tuple((j, rank, None) for j, rank in full.items() if j not in here),
        gained=tuple((j, None, rank) for j, rank in here.items() if j not in full),
    )


@dataclass(frozen=True)
class NeighborRanks(Result):
    """Ranks of one query's full-width neighbors at every width.

    `neighbors` : the k items, best first; `ranks` : ndarray of shape (n_dims, k), from 1, among all possible neighbors.
    """

    dims: tuple[int, ...]
    neighbors: tuple[int, ...]
    ranks: Ints

    def rows(self) -> list[dict[str, int]]:
        """One record per width and neighbor."""
        return [
            {"dim": dim, "item": item, "rank": int(self.ranks[level, position])}
            for level, dim in enumerate(self.dims)
            for position, item in enumerate(self.neighbors)
        ]

    def takeaway(self) -> str:
        n, worst = len(self.neighbors), self.ranks[0].max()
        return f"At {self.dims[0]} dims the worst placed of the {n} full-width neighbors has rank {worst}."


def neighbor_ranks(corpus: FloatMatrix, item: int, sweep: Sweep) -> NeighborRanks:
    """Where one text's full-width neighbors stand at every swept width, beyond the top k too.

    `corpus` : the embeddings that were swept against themselves, (n_items, full_dim).

    Raises
    ------
    InvalidInputError : `item` is not one of them.
    """
    check_item(item, sweep.n_queries)
    cosines = cosine_matrices(corpus[item : item + 1], corpus, sweep.dims)[:, 0]
    if sweep.is_self:
        cosines[:, item] = -np.inf
    neighbors = sweep.indices[-1, item]
    own = cosines[:, neighbors]
    better = (cosines[:, None, :] > own[:, :, None]).sum(axis=2)
    earlier = np.arange(cosines.shape[1]) < neighbors[:, None]
    ties = ((cosines[:, None, :] == own[:, :, None]) & earlier).sum(axis=2)
    return NeighborRanks(sweep.dims, tuple(int(j) for j in neighbors), better + ties + 1)


def check_item(item: int, n_items: int, what: str = "texts") -> None:
    """Raise InvalidInputError unless `item` is the position of one of so many."""
    if not 0 <= item < n_items:
        raise InvalidInputError(f"`item` is {item} but there are {n_items} {what}; choose 0 to {n_items - 1}.")
