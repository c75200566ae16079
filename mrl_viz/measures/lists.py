"""Do neighbors survive truncation? Overlap, Jaccard, RBO, top-1 agreement and rank displacement against full width."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import InvalidInputError
from mrl_viz.measures.estimate import bootstrap_mean
from mrl_viz.sweep import Sweep, cosine_matrices

# RBO weight of the next rank: 0.9 puts about 86 % of the weight on the first ten.
RBO_PERSISTENCE = 0.9
# Queries compared at once: (CHUNK, k, k) booleans stay small.
CHUNK = 4096
# The share of neighbors that the sentence of `meaning` asks for.
MOST_KEPT = 0.8


@dataclass(frozen=True)
class NeighborOverlap:
    """How much of each top-k list at full width is still there at each width.

    Tuples have one entry per width of `dims`; all shares are in [0, 1].
    `overlap`, `overlap_low`, `overlap_high` : mean shared share of the top k and its 95 % bootstrap interval over queries.
    `corrected` : (overlap - chance)/(1 - chance), 0 at chance. `jaccard`, `rbo`, `top1_agreement` : means over queries.
    `rank_displacement` : mean absolute change of rank among the neighbors kept, in ranks.
    `by_k` : overlap at every list length 1..k, ndarray of shape (n_dims, k).
    `per_item` : overlap of every query, ndarray of shape (n_dims, n_queries).
    """

    dims: tuple[int, ...]
    k: int
    n_queries: int
    n_items: int
    chance: float
    overlap: tuple[float, ...]
    overlap_low: tuple[float, ...]
    overlap_high: tuple[float, ...]
    corrected: tuple[float, ...]
    jaccard: tuple[float, ...]
    rbo: tuple[float, ...]
    top1_agreement: tuple[float, ...]
    rank_displacement: tuple[float, ...]
    by_k: npt.NDArray[np.float64]
    per_item: npt.NDArray[np.float32]

    def to_dict(self) -> dict[str, Any]:
        """The summary as plain data, without the per-query values."""
        fields = asdict(self)
        fields.pop("per_item")
        return fields | {"by_k": self.by_k.tolist()}

    def rows(self) -> list[dict[str, float]]:
        """One record per width."""
        names = ("overlap", "overlap_low", "overlap_high", "corrected", "jaccard", "rbo", "top1_agreement",
                 "rank_displacement")  # fmt: skip
        return [
            {"dim": dim} | {name: getattr(self, name)[level] for name in names} for level, dim in enumerate(self.dims)
        ]

    def k_rows(self) -> list[dict[str, float]]:
        """One record per width and list length."""
        return [
            {"dim": dim, "k": k + 1, "overlap": float(self.by_k[level, k])}
            for level, dim in enumerate(self.dims)
            for k in range(self.k)
        ]

    def k_takeaway(self, dim: int) -> str:
        """One sentence: how the share kept depends on the length of the list at one width."""
        level = self.dims.index(dim)
        first, last = self.by_k[level, 0], self.by_k[level, -1]
        if self.k == 1:
            return f"At {dim} dims {first:.0%} of texts keep their nearest neighbor."
        return f"At {dim} dims {first:.0%} of texts keep their nearest neighbor, and {last:.0%} of the {self.k} nearest survive."

    def item_takeaway(self, dim: int) -> str:
        """One sentence: how many texts keep all and none of their neighbors at one width."""
        values = self.per_item[self.dims.index(dim)]
        return (
            f"At {dim} dims {int((values == 1).sum())} of {self.n_queries} texts keep all their {self.k} neighbors and "
            f"{int((values == 0).sum())} keep none."
        )

    def meaning(self) -> str:
        """One sentence for someone about to truncate: kept neighbors at a quarter of the width, and the width that keeps most."""
        full_dim = self.dims[-1]
        level = nearest_level(self.dims, full_dim / 4)
        if self.dims[level] == full_dim:
            return f"Only the full width {full_dim} was measured; add smaller widths to compare."
        enough = next((dim for dim, low in zip(self.dims, self.overlap_low) if low >= MOST_KEPT), full_dim)
        kept = self.overlap[level] * self.k
        smallest = (
            f"{enough} dims is the smallest measured width" if enough < full_dim else "no smaller measured width is one"
        )
        return (
            f"Cut to {self.dims[level]} dims ({self.dims[level] / full_dim:.0%} of the bytes), a text keeps {kept:.1f} of its {self.k} "
            f"nearest neighbors on average; {smallest} that surely (95 %) keeps {MOST_KEPT:.0%} of them."
        )

    def takeaway(self) -> str:
        """One sentence: what survives at half, a quarter and an eighth of the width, or the nearest widths there are."""
        full_dim = self.dims[-1]
        levels = sorted({nearest_level(self.dims, full_dim / part) for part in (2, 4, 8)}, reverse=True)
        shown = [level for level in levels if self.dims[level] < full_dim]
        if not shown:
            return f"Only the full width {full_dim} was measured; add smaller widths to compare."
        parts = [f"{self.overlap[level]:.0%} at {self.dims[level]}" for level in shown]
        listed = " and ".join(parts) if len(parts) < 3 else f"{', '.join(parts[:-1])} and {parts[-1]}"
        return (
            f"Of the {self.k} nearest neighbors at {full_dim} dims, {listed} dims survive (chance {self.chance:.1%})."
        )


@dataclass(frozen=True)
class NeighborChanges:
    """One query's neighbors at a width beside those at full width, as (item, rank at full width, rank at `dim`).

    Ranks count from 1. `kept` are in both lists, `lost` only at full width, `gained` only at `dim`.
    """

    item: int
    dim: int
    kept: tuple[tuple[int, int, int], ...]
    lost: tuple[tuple[int, int, None], ...]
    gained: tuple[tuple[int, None, int], ...]

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data."""
        return asdict(self)

    def takeaway(self) -> str:
        """One sentence: how many stay, leave and enter."""
        return f"At {self.dim} dims this text keeps {len(self.kept)} of its neighbors and swaps {len(self.lost)}."


def nearest_level(dims: tuple[int, ...], dim: float) -> int:
    """Position of the width closest to `dim` on a log scale."""
    return int(np.argmin(np.abs(np.log(np.asarray(dims) / dim))))


def neighbor_overlap(sweep: Sweep, *, seed: int = 0) -> NeighborOverlap:
    """Overlap@k with the full width, and its companions, at every swept width.

    Parameters
    ----------
    sweep : from `nested_sweep`
    seed : of the bootstrap

    Returns
    -------
    NeighborOverlap

    Source: overlap and Jaccard as sets; RBO extrapolated: Webber, Moffat & Zobel 2010, "A similarity measure for indefinite
    rankings", eq. 32, for two lists of the same length; rank displacement: own definition.
    """
    n_dims, n_queries, k = sweep.indices.shape
    full = sweep.indices[-1]
    per_item = np.empty((n_dims, n_queries), dtype=np.float32)
    by_k, jaccard, rbo, top1, displacement = np.empty((n_dims, k)), *(np.empty(n_dims) for _ in range(4))
    depths = np.arange(1, k + 1)
    for level in range(n_dims):
        agreement_sum, rbo_sum, moved, kept = np.zeros(k), 0.0, 0.0, 0
        for start in range(0, n_queries, CHUNK):
            rows = slice(start, start + CHUNK)
            match = sweep.indices[level, rows, :, None] == full[rows, None, :]
            # Shared items of the first d ranks of both lists, for every d.
            shared = np.diagonal(match.cumsum(axis=1).cumsum(axis=2), axis1=1, axis2=2)
            agreement = shared / depths
            per_item[level, rows] = agreement[:, -1]
            agreement_sum += agreement.sum(axis=0)
            weights = (1 - RBO_PERSISTENCE) / RBO_PERSISTENCE * RBO_PERSISTENCE**depths
            rbo_sum += float((agreement @ weights + agreement[:, -1] * RBO_PERSISTENCE**k).sum())
            _, rank_here, rank_full = np.nonzero(match)
            moved += float(np.abs(rank_here - rank_full).sum())
            kept += len(rank_here)
        by_k[level] = agreement_sum / n_queries
        overlap = per_item[level].astype(np.float64)
        jaccard[level] = (overlap / (2 - overlap)).mean()
        rbo[level] = rbo_sum / n_queries
        top1[level] = by_k[level, 0]
        displacement[level] = moved / kept if kept else 0.0
    low, high = bootstrap_mean(per_item, seed=seed)
    mean = by_k[:, -1]
    chance = sweep.chance
    corrected = (mean - chance) / (1 - chance) if chance < 1 else np.zeros(n_dims)
    return NeighborOverlap(
        dims=sweep.dims,
        k=k,
        n_queries=n_queries,
        n_items=sweep.n_items,
        chance=chance,
        overlap=_floats(mean),
        overlap_low=_floats(np.minimum(low, mean)),
        overlap_high=_floats(np.maximum(high, mean)),
        corrected=_floats(corrected),
        jaccard=_floats(jaccard),
        rbo=_floats(rbo),
        top1_agreement=_floats(top1),
        rank_displacement=_floats(displacement),
        by_k=by_k,
        per_item=per_item,
    )


def neighbor_changes(sweep: Sweep, item: int, dim: int) -> NeighborChanges:
    """The neighbors of one query that stay, leave and enter when the width goes from full to `dim`.

    Raises
    ------
    InvalidInputError : `item` is not a query, or `dim` was not swept.
    """
    _check_item(item, sweep.n_queries)
    here = {int(j): rank for rank, j in enumerate(sweep.indices[sweep.at(dim), item], start=1)}
    full = {int(j): rank for rank, j in enumerate(sweep.indices[-1, item], start=1)}
    return NeighborChanges(
        item=item,
        dim=dim,
        kept=tuple((j, rank, here[j]) for j, rank in full.items() if j in here),
        lost=tuple((j, rank, None) for j, rank in full.items() if j not in here),
        gained=tuple((j, None, rank) for j, rank in here.items() if j not in full),
    )


@dataclass(frozen=True)
class NeighborRanks:
    """Ranks of one query's full-width neighbors at every width.

    `neighbors` : the k items, best first; `ranks` : ndarray of shape (n_dims, k), from 1, among all possible neighbors.
    """

    dims: tuple[int, ...]
    neighbors: tuple[int, ...]
    ranks: npt.NDArray[np.int64]

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data."""
        return {"dims": self.dims, "neighbors": self.neighbors, "ranks": self.ranks.tolist()}

    def rows(self) -> list[dict[str, int]]:
        """One record per width and neighbor."""
        return [
            {"dim": dim, "item": item, "rank": int(self.ranks[level, position])}
            for level, dim in enumerate(self.dims)
            for position, item in enumerate(self.neighbors)
        ]

    def takeaway(self) -> str:
        """One sentence: how far the farthest of them falls at the smallest width."""
        return f"At {self.dims[0]} dims the worst placed of the {len(self.neighbors)} full-width neighbors has rank {self.ranks[0].max()}."


def neighbor_ranks(
    corpus: npt.NDArray[np.floating[Any]],
    item: int,
    sweep: Sweep,
    queries: npt.NDArray[np.floating[Any]] | None = None,
) -> NeighborRanks:
    """Where one query's full-width neighbors stand at every swept width, beyond the top k too.

    Parameters
    ----------
    corpus, queries : the embeddings that were swept, (n_items, full_dim) and (n_queries, full_dim)
    item : row of the query
    sweep : their sweep

    Raises
    ------
    InvalidInputError : `item` is not a query.
    """
    _check_item(item, sweep.n_queries)
    query = (corpus if queries is None else queries)[item : item + 1]
    cosines = cosine_matrices(query, corpus, sweep.dims)[:, 0]
    if sweep.is_self:
        cosines[:, item] = -np.inf
    neighbors = sweep.indices[-1, item]
    own = cosines[:, neighbors]
    better = (cosines[:, None, :] > own[:, :, None]).sum(axis=2)
    earlier = np.arange(cosines.shape[1]) < neighbors[:, None]
    ties = ((cosines[:, None, :] == own[:, :, None]) & earlier).sum(axis=2)
    return NeighborRanks(sweep.dims, tuple(int(j) for j in neighbors), better + ties + 1)


def _check_item(item: int, n_queries: int) -> None:
    if not 0 <= item < n_queries:
        raise InvalidInputError(f"`item` is {item} but there are {n_queries} texts; choose 0 to {n_queries - 1}.")


def _floats(values: npt.NDArray[np.floating[Any]]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
