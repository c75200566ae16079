"""Shortlist + rerank, funnels of any schedule, and how long a shortlist has to be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from time import perf_counter

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import InvalidInputError, ShapeError
from mrl_viz.measures.estimate import Estimate, bootstrap
from mrl_viz.result import Result, records
from mrl_viz.retrieval.cost import check_stages
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.results import SearchResult
from mrl_viz.sweep import check_k
from mrl_viz.truncation import Ints, check_count, check_share


def shortlist_search(
    index: PrefixIndex,
    queries: npt.ArrayLike,
    *,
    shortlist_dim: int,
    shortlist_size: int,
    rerank_dim: int | None = None,
    k: int = 10,
    own: npt.ArrayLike | None = None,
) -> SearchResult:
    """The k best at `rerank_dim` among the `shortlist_size` best at `shortlist_dim`, by cosine at each width.

    Parameters
    ----------
    queries : array_like of shape (n_queries, full_dim)
    shortlist_dim, rerank_dim : widths of the index, not falling; `rerank_dim` None is the full width
    shortlist_size : k to n_items
    k : items returned
    own : as in `PrefixIndex.search`

    Raises
    ------
    DimensionError : a width that the index does not hold, or falling widths. InvalidInputError : a size out of range.
    ShapeError, EmptyInputError : unusable queries.

    Source: adaptive retrieval, Kusupati et al. 2022, arXiv:2205.13147, section 4.3.1.
    """
    n_others = index.n_items - (own is not None)
    check_k(k, n_others)
    if isinstance(shortlist_size, (int, np.integer)) and shortlist_size < k:
        raise InvalidInputError(
            f"`shortlist_size` is {shortlist_size}, too few for `k` = {k}; choose {k} to {n_others}."
        )
    check_count("shortlist_size", shortlist_size, k, n_others)
    rerank_dim = index.full_dim if rerank_dim is None else rerank_dim
    return funnel_search(index, queries, ((shortlist_dim, shortlist_size), (rerank_dim, k)), own=own)


def funnel_search(
    index: PrefixIndex,
    queries: npt.ArrayLike,
    stages: Iterable[tuple[int, int]],
    *,
    own: npt.ArrayLike | None = None,
) -> SearchResult:
    """What is left after every stage has kept its best: all items at the first width, survivors at the next ones.

    Parameters
    ----------
    queries : array_like of shape (n_queries, full_dim)
    stages : (dim, keep) pairs, widths of the index that do not fall, keeps that do not grow; the last keep is k
    own : as in `PrefixIndex.search`

    Raises
    ------
    DimensionError, InvalidInputError, ShapeError, EmptyInputError : as in `shortlist_search`.

    Source: funnel retrieval, Kusupati et al. 2022, arXiv:2205.13147, section 4.3.1.
    """
    (dim, keep), *rest = laid_out_stages(index, stages, n_left_out=int(own is not None))
    rows = index.check_queries(queries)
    result = index.search(rows, keep, dim=dim, own=own)
    for dim, keep in rest:
        result = rerank(index, rows, result, dim=dim, k=keep)
    return result


def rerank(
    index: PrefixIndex, queries: npt.ArrayLike, found: SearchResult, *, dim: int | None = None, k: int = 10
) -> SearchResult:
    """The k best of another search's results by cosine at one width of the index; the traces are joined.

    Parameters
    ----------
    queries : array_like of shape (n_queries, full_dim), those of `found`
    found : any search over the same items, with at least k results per query
    dim : a width of the index; its full width when None

    Raises
    ------
    DimensionError, InvalidInputError, ShapeError, EmptyInputError : as in `shortlist_search`.
    """
    started = perf_counter()
    dim = index.full_dim if dim is None else dim
    index.level(dim)
    rows = index.check_queries(queries)
    n_queries, size = found.indices.shape
    if len(rows) != n_queries:
        raise ShapeError(
            f"`queries` has {len(rows)} rows but `found` holds results of {n_queries}; pass the same queries."
        )
    check_count("k", k, most=size)
    # -1: an approximate index found fewer
    indices, similarities = index.best_among(rows, np.sort(found.indices, axis=1).astype(np.int64), dim, k)
    work = size * dim
    return SearchResult.of_stage(
        started, dim, size, indices, similarities, multiply_adds=work, bytes_read=4 * work, before=found.stages
    )


def laid_out_stages(
    index: PrefixIndex, stages: Iterable[tuple[int, int]], *, n_left_out: int = 0
) -> tuple[tuple[int, int], ...]:
    """The (dim, keep) pairs of a funnel, as in `check_stages`, over all but `n_left_out` items and at widths held."""
    stages = check_stages(stages, index.n_items - n_left_out, index.full_dim)
    for dim, _ in stages:
        index.level(dim)
    return stages


@dataclass(frozen=True)
class ShortlistCurve(Result):
    """Overlap@k of shortlist + full-width rerank with exact full-width search, for every shortlist size.

    `sizes` : shortlist sizes; `overlap` : mean over queries with its 95 % bootstrap interval.
    `ranks` : int64 of shape (n_queries, k), rank at `shortlist_dim` of the full-width neighbors, best first.
    """

    _without = ("ranks",)

    shortlist_dim: int
    k: int
    sizes: tuple[int, ...]
    overlap: tuple[Estimate, ...]
    ranks: Ints

    def rows(self) -> list[dict[str, float]]:
        """One record per shortlist size."""
        return records(shortlist_size=self.sizes, overlap=self.overlap)

    def smallest_size(self, target: float) -> int:
        """The smallest shortlist whose mean overlap reaches `target`; InvalidInputError outside (0, 1]."""
        check_share("target", target)
        ranks = np.sort(self.ranks, axis=None)
        # A little less than a whole count must not ask for one more because of rounding in the product.
        return max(self.k, int(ranks[ceil(target * ranks.size - 1e-9) - 1]))

    def takeaway(self) -> str:
        size = self.smallest_size(0.99)
        return f"A shortlist of {size:,} at {self.shortlist_dim} dims keeps 99% of the {self.k} full-width neighbors."


def shortlist_curve(
    index: PrefixIndex,
    queries: npt.ArrayLike,
    *,
    shortlist_dim: int,
    k: int = 10,
    sizes: Iterable[int] | None = None,
    own: npt.ArrayLike | None = None,
    seed: int = 0,
) -> ShortlistCurve:
    """Overlap@k of shortlist + full-width rerank at every size, by the identity |full top-k ∩ shortlist|/k.

    A full-width neighbor is returned exactly when its rank at `shortlist_dim` is within the shortlist, so one ranking
    per query gives the whole curve.

    Parameters
    ----------
    queries : array_like of shape (n_queries, full_dim)
    shortlist_dim : a width of the index
    sizes : shortlist sizes in k..n_items; k, then doubling, when None
    own : as in `PrefixIndex.search`; sizes then end at n_items - 1
    seed : of the bootstrap

    Raises
    ------
    DimensionError, InvalidInputError, ShapeError, EmptyInputError : as in `shortlist_search`.

    Source: own definition.
    """
    n_others = index.n_items - (own is not None)
    check_k(k, n_others)
    index.level(shortlist_dim)
    if sizes is None:
        sizes = [*(k << power for power in range(40) if k << power < n_others), n_others]
    sizes = tuple(sorted(set(sizes)))
    for size in sizes:
        check_count("shortlist_size", size, k, n_others)
    rows = index.check_queries(queries)
    left_out = [None] * len(rows) if own is None else index.check_own(own, len(rows)).tolist()
    neighbors = index.search(rows, k, own=own).indices
    ranks = np.array(
        [index.rank(row, items, shortlist_dim, own=item) for row, items, item in zip(rows, neighbors, left_out)]
    )
    per_query = np.array([(ranks <= size).mean(axis=1) for size in sizes])
    return ShortlistCurve(shortlist_dim, k, sizes, bootstrap(per_query, seed=seed), ranks)
