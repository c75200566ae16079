"""Is a map to be trusted? Trustworthiness, continuity, the neighbors it shows, and how alike two maps are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, ShapeError
from mrl_viz.measures.lists import Indices, ranks_in, shared_share, without_own
from mrl_viz.result import Result
from mrl_viz.sweep import check_k
from mrl_viz.truncation import FloatMatrix, Ints, check_embeddings, normalize

# Entries of a block of all-pairs comparisons: 4 MB of float64.
BLOCK = 500_000


@dataclass(frozen=True)
class MapQuality(Result):
    """How well a map keeps neighborhoods, all in [0, 1] and 1 when nothing is lost.

    `trustworthiness` : low when texts stand together that are no neighbors. `continuity` : low when neighbors stand
    apart. Both are over `n_judged` texts. `kept_in_map` : mean share of the k true neighbors among the k on the map.
    """

    trustworthiness: float
    continuity: float
    kept_in_map: float
    n_judged: int


def map_quality(
    vectors: npt.ArrayLike, positions: npt.ArrayLike, neighbors: Indices, *, judged: Indices | None = None
) -> MapQuality:
    """Trustworthiness, continuity and kept neighbors of a map, from neighbor lists that are already there.

    Parameters
    ----------
    vectors : array_like of shape (n_items, dim), compared by cosine
    positions : array_like of shape (n_items, 2)
    neighbors : ndarray of shape (n_items, k), each item's k nearest by cosine without itself
    judged : items to take the mean of trustworthiness and continuity over; None takes all. Ranks are among all items
    either way.

    Raises
    ------
    ShapeError : the three do not belong together. EmptyInputError : no rows, or none judged.

    Source: Venna & Kaski 2001, "Neighborhood preservation in nonlinear projection methods: an experimental study"; for
    k >= n/2, where their normaliser is not the worst case, the worst case itself: own derivation.
    """
    unit, places = normalize(vectors), check_embeddings(positions, "positions").astype(np.float64)
    n_items = len(unit)
    if (
        len(places) != n_items
        or neighbors.ndim != 2
        or len(neighbors) != n_items
        or not 1 <= neighbors.shape[1] < n_items
    ):
        raise ShapeError(
            f"`vectors`, `positions` and `neighbors` have shapes {unit.shape}, {places.shape} and {neighbors.shape}; "
            "they need a row per item and fewer neighbors than items."
        )
    k = neighbors.shape[1]
    on_map = picture_neighbors(places, k)
    judged = np.arange(n_items) if judged is None else np.asarray(judged)
    if len(judged) == 0:
        raise EmptyInputError("`judged` is empty; give at least one item.")
    false_ranks = missed_ranks = 0
    chunk = max(1, BLOCK // n_items)

    def too_far(lists: Indices, others: Indices, closeness: FloatMatrix, own: Indices) -> int:
        """By how many ranks beyond k, in all, the entries stand that only `lists` has."""
        ranks = np.maximum(_ranks(closeness, own, lists[own]) - k, 0)
        return int(ranks[ranks_in(lists[own], others[own]) < 0].sum())

    for first in range(0, len(judged), chunk):
        own = judged[first : first + chunk]
        squares = (places[own, :1] - places[:, 0]) ** 2 + (places[own, 1:] - places[:, 1]) ** 2
        false_ranks += too_far(on_map, neighbors, unit[own] @ unit.T, own)
        missed_ranks += too_far(neighbors, on_map, -squares, own)
    worst = k * (2 * n_items - 3 * k - 1) if 2 * k < n_items else (n_items - k) * (n_items - k - 1)
    scale = 2 / (len(judged) * worst) if worst else 0.0
    kept = float(shared_share(neighbors, on_map).mean())
    return MapQuality(max(0.0, 1 - scale * false_ranks), max(0.0, 1 - scale * missed_ranks), kept, len(judged))


def picture_neighbors(positions: npt.ArrayLike, k: int) -> Ints:
    """The k nearest points of each point on a map, shape (n_items, k), without itself, ties to the lower index.

    Raises
    ------
    InvalidInputError : `k` out of 1..n_items - 1. ShapeError, EmptyInputError : as in `check_embeddings`.
    """
    from scipy.spatial import KDTree

    places = check_embeddings(positions, "positions").astype(np.float64)
    n_items = len(places)
    check_k(k, n_items - 1)
    tree = KDTree(places)
    distances, found = tree.query(places, k=min(k + 2, n_items))
    own = np.arange(n_items)
    result = np.empty((n_items, k), dtype=np.int64)
    # Any equal distances, or the point itself not being first, may be listed in another order than that of the index.
    plain = (np.diff(distances, axis=1) > 0).all(axis=1) & (found[:, 0] == own)
    result[plain] = found[plain, 1 : k + 1]
    tied = np.flatnonzero(~plain)
    spots, inverse = np.unique(places[tied], axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    by_spot = np.split(
        tied[np.argsort(inverse, kind="stable")], np.bincount(inverse, minlength=len(spots)).cumsum()[:-1]
    )
    for spot, members in zip(spots, by_spot if len(tied) else []):  # points on one spot share one sorted list
        reach = distances[members[0], min(k, n_items - 1)] * (1 + 1e-9)
        near = np.sort(np.asarray(tree.query_ball_point(spot, reach), dtype=np.int64))
        near = near[np.argsort(((places[near] - spot) ** 2).sum(axis=1), kind="stable")][: k + 1]
        result[members] = without_own(np.broadcast_to(near, (len(members), len(near))), members)
    return result


def _ranks(closeness: FloatMatrix, own: Indices, members: Indices) -> Ints:
    """Rank from 1 of each member (n, k) by closeness (n, n_items), the row's own item left out (its entry is lost)."""
    row = np.arange(len(own))
    closeness[row, own] = -np.inf
    ranks = np.empty(members.shape, dtype=np.int64)
    for place, member in enumerate(members.T):
        value = closeness[row, member][:, None]
        above, level = (np.count_nonzero(test, axis=1) for test in (closeness > value, closeness >= value))
        ranks[:, place] = above + 1
        for i in np.flatnonzero(level > above + 1):  # equals: those of a lower index come first
            ranks[i, place] += np.count_nonzero(closeness[i, : member[i]] == value[i])
    return ranks


def align(positions: FloatMatrix, onto: FloatMatrix) -> FloatMatrix:
    """`positions` (n_items, 2) moved, rotated and mirrored, never scaled, to lie closest to `onto` (n_items, 2).

    Source: Schönemann 1966, "A generalized solution of the orthogonal Procrustes problem".
    """
    left, right = positions.mean(axis=0), onto.mean(axis=0)
    u, _, vt = np.linalg.svd((positions - left).T.astype(np.float64) @ (onto - right))
    return np.asarray((positions - left) @ (u @ vt) + right)


def procrustes_disparity(left: FloatMatrix, right: FloatMatrix) -> float:
    """The squared distance left between two maps after the best move, rotation, mirroring and scaling, in [0, 1].

    0 means the same layout, 1 nothing in common; also 1 when one of them has all its points on one spot.

    Source: Gower 1975, "Generalized Procrustes analysis"; equals `scipy.spatial.procrustes`.
    """
    a, b = (m.astype(np.float64) - m.mean(axis=0, dtype=np.float64) for m in (left, right))
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    if norms == 0:
        return 1.0
    return float(np.clip(1 - (np.linalg.svd(a.T @ b, compute_uv=False).sum() / norms) ** 2, 0, 1))
