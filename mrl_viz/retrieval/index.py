"""Exact search at any laid-out width, reading no more memory than that width has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from time import perf_counter

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import DimensionError, InvalidInputError, ShapeError
from mrl_viz.retrieval.results import SearchResult
from mrl_viz.retrieval.topk import (
    SCORES_LOOKED_THROUGH,
    Items,
    Scores,
    best_of_each,
    exact_ranks,
    rounding_margin,
)
from mrl_viz.sweep import check_k
from mrl_viz.sweep.cosines import as_float32
from mrl_viz.truncation import FloatMatrix, Floats, Ints, check_dims, default_dims

# Scores held at once: queries are taken in tiles of this many numbers over n_items (64 MB of float32).
SCORES_AT_ONCE = 1 << 24
# Coordinates widened to float64 at once when few items are scored exactly: 2 MB.
COORDINATES_AT_ONCE = 1 << 18
# For several queries, the product with all items is faster than picking candidates out up to so many items for each.
MOST_PER_CANDIDATE = 32


class PrefixIndex:
    """Vectors cut into column blocks at the chosen widths, each block contiguous: a narrow pass reads narrow memory.

    All widths together take no more memory than the vectors, and a dot product at one width continues the one at the
    width before. Fewer widths make wider blocks, which multiply faster.

    Parameters
    ----------
    corpus : array_like of shape (n_items, full_dim); copied, never written
    dims : widths that can be searched; `default_dims(full_dim)` when None; `full_dim` is always added

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError : unusable arrays or widths.
    """

    dtype = "float32"

    def __init__(self, corpus: npt.ArrayLike, dims: Iterable[int] | None = None) -> None:
        rows = as_float32(corpus, "corpus")
        self._lay_out(len(rows), rows.shape[1], dims)
        for low, high in self._spans:
            self._add(rows[:, low:high])

    def _lay_out(self, n_items: int, full_dim: int, dims: Iterable[int] | None) -> None:
        """The widths, and no block yet."""
        self.n_items, self.full_dim = n_items, full_dim
        self.dims = check_dims((*(default_dims(full_dim) if dims is None else dims), full_dim), full_dim)
        self._spans = list(zip((0, *self.dims[:-1]), self.dims))
        self._blocks: list[FloatMatrix] = []
        self._squares = np.zeros(n_items)
        self._inverse_norms: list[Scores] = []

    def _add(self, columns: FloatMatrix) -> None:
        """The next block, and the norms of the prefixes that end with it."""
        self._blocks.append(np.ascontiguousarray(columns, dtype=np.float32))
        self._squares += np.einsum("ij,ij->i", columns, columns, dtype=np.float64)
        norms = np.sqrt(self._squares)
        self._inverse_norms.append(np.where(norms > 0, 1 / np.where(norms > 0, norms, 1), 0).astype(np.float32))

    @property
    def nbytes(self) -> int:
        """Bytes in memory: the vectors and one float32 norm per item and width."""
        return sum(part.nbytes for part in (*self._blocks, *self._inverse_norms))

    def nbytes_up_to(self, dim: int) -> int:
        """Bytes that searches up to one width need; DimensionError where it is not laid out."""
        levels = self.level(dim) + 1
        return sum(part.nbytes for part in (*self._blocks[:levels], *self._inverse_norms[:levels]))

    def search(
        self, queries: npt.ArrayLike, k: int = 10, *, dim: int | None = None, own: npt.ArrayLike | None = None
    ) -> SearchResult:
        """The k items of highest cosine at one width.

        Parameters
        ----------
        queries : array_like of shape (n_queries, full_dim), or one query of shape (full_dim,)
        k : 1 to n_items
        dim : one of `dims`; `full_dim` when None
        own : each query's row here, of shape (n_queries,), where queries are items themselves: only the other
            items are searched, and `k` ends at n_items - 1

        Raises
        ------
        DimensionError : `dim` is not laid out. ShapeError, EmptyInputError : unusable queries.
        InvalidInputError : `k` or `own` out of range.
        """
        if own is not None:
            check_k(k, self.n_items - 1)
            rows = self.check_queries(queries)
            return self.search(rows, k + 1, dim=dim).without(self.check_own(own, len(rows)))
        started = perf_counter()
        rows = self.check_queries(queries)
        check_k(k, self.n_items)
        level = self.level(self.full_dim if dim is None else dim)
        tile = max(1, SCORES_AT_ONCE // self.n_items)
        tiles = [rows[start : start + tile] for start in range(0, len(rows), tile)]
        found = [self._select(part, self._dots(part, level), level, k) for part in tiles]
        indices, similarities = (np.concatenate(parts) for parts in zip(*found))
        return self._result(started, self.dims[level], indices, similarities, self.dims[level])

    def widen(self, query: npt.ArrayLike, k: int = 10) -> Iterator[SearchResult]:
        """Exact answers for one query at every width, small to large, all together for the work of the last.

        A result's time and multiply-adds are those of its own step.

        Raises
        ------
        ShapeError : `query` is not one vector of `full_dim`. InvalidInputError : `k` out of range.
        """
        rows = self._check_one(query, "widen")
        check_k(k, self.n_items)
        return self._steps(rows, k)

    def _steps(self, rows: FloatMatrix, k: int) -> Iterator[SearchResult]:
        dots = np.zeros((1, self.n_items), dtype=np.float32)
        for level, (low, high) in enumerate(self._spans):
            started = perf_counter()
            dots += self._block_dots(rows, level)
            indices, similarities = self._select(rows, dots, level, k)
            yield self._result(started, high, indices, similarities, high - low)

    def _result(
        self, started: float, dim: int, indices: npt.NDArray[np.int32], similarities: Scores, n_read: int
    ) -> SearchResult:
        """What a pass found that read so many coordinates of every item."""
        work = self.n_items * n_read
        return SearchResult.of_stage(
            started, dim, self.n_items, indices, similarities, multiply_adds=work, bytes_read=4 * work
        )

    def rank(self, query: npt.ArrayLike, items: npt.ArrayLike, dim: int, *, own: int | None = None) -> Ints:
        """Where each item stands among all for one query at one width: ranks from 1, ties to the lower index.

        `own` : the query's row here, where it is an item itself; it then takes no rank from the others.

        Raises
        ------
        DimensionError : `dim` is not laid out. ShapeError : `query` is not one vector of `full_dim`.
        InvalidInputError : an item is not in the index.
        """
        if own is not None:
            ranks = self.rank(query, [*self.check_items(items), own], dim)
            return np.asarray(ranks[:-1] - (ranks[-1] < ranks[:-1]))
        rows = self._check_one(query, "rank for")
        wanted = self.check_items(items)
        level = self.level(dim)
        scores = self._dots(rows, level)[0] * self._inverse_norms[level]
        scores /= _norm(rows[0, :dim]) or 1
        return exact_ranks(scores, wanted, rounding_margin(dim), partial(self.cosines, rows[0], dim=dim))

    def cosines(self, query: FloatMatrix, items: Items, dim: int) -> Scores:
        """Cosine of one query with some items at one width; see `pair_cosines`."""
        return self.pair_cosines(query[None], np.zeros(len(items), dtype=np.int64), items, dim)

    def pair_cosines(self, queries: FloatMatrix, rows: Ints, items: Items, dim: int) -> Scores:
        """Cosine of some queries with some items at one width, pair by pair, shape (n_pairs,).

        float64 inside, so that equal rows have equal cosines.

        Parameters
        ----------
        queries : (n_queries, full_dim)
        rows, items : positions in the queries and in the index, two arrays of shape (n_pairs,)
        """
        level = self.level(dim)
        wide = queries[:, :dim].astype(np.float64)
        squares_of_queries = np.vecdot(wide, wide)
        result = np.empty(len(items), dtype=np.float32)
        step = max(1, COORDINATES_AT_ONCE // dim)
        for start in range(0, len(items), step):
            some, asked = items[start : start + step], rows[start : start + step]
            dots, squares = np.zeros(len(some)), np.zeros(len(some))
            for block, (low, high) in zip(self._blocks[: level + 1], self._spans):
                vectors = block[some].astype(np.float64)
                dots += np.vecdot(vectors, wide[0, low:high] if len(wide) == 1 else wide[asked, low:high])
                squares += np.vecdot(vectors, vectors)
            norms = np.sqrt(squares * (squares_of_queries if len(wide) == 1 else squares_of_queries[asked]))
            result[start : start + step] = np.clip(dots / np.where(norms > 0, norms, 1), -1, 1)
        return result

    def best_among(self, queries: FloatMatrix, items: Items, dim: int, k: int) -> tuple[npt.NDArray[np.int32], Scores]:
        """The k of each query's own items of highest cosine at one width, as in `best_of_each`.

        `items` : (n_queries, n_candidates), ascending in each row; -1 for none.
        """
        level = self.level(dim)
        indices = np.full((len(queries), k), -1, dtype=np.int32)
        similarities = np.full((len(queries), k), -np.inf, dtype=np.float32)
        if len(queries) == 1:  # nominating takes longer than deciding between the candidates of one query
            some = items[0, np.searchsorted(items[0], 0) :]
            scores = self.cosines(queries[0], some, dim)
            order = np.argsort(-scores, kind="stable")[:k]
            indices[0, : len(order)], similarities[0, : len(order)] = some[order], scores[order]
            return indices, similarities
        scores_of_all = self.n_items <= MOST_PER_CANDIDATE * items.shape[1]
        step = max(1, COORDINATES_AT_ONCE // (self.n_items if scores_of_all else items.shape[1] * dim))
        for start in range(0, len(queries), step):
            part = slice(start, start + step)
            here, rows = items[part], queries[part]
            if scores_of_all:
                scores = np.take_along_axis(self._dots(rows, level), here, axis=1)
            else:
                pieces = zip(self._blocks[: level + 1], self._spans)
                scores = sum(np.vecdot(block[here], rows[:, None, low:high]) for block, (low, high) in pieces)
            scores *= self._inverse_norms[level][here]
            scores[here < 0] = -np.inf
            decide = partial(self.pair_cosines, rows, dim=dim)
            indices[part], similarities[part] = best_of_each(scores, k, _margins(rows, dim), decide, candidates=here)
        return indices, similarities

    def level(self, dim: int) -> int:
        """Position of a width among `dims`; DimensionError where it is not laid out."""
        if dim not in self.dims:
            raise DimensionError(f"`dim` is {dim!r}, which this index does not hold; choose one of {list(self.dims)}.")
        return self.dims.index(dim)

    def check_queries(self, queries: npt.ArrayLike) -> FloatMatrix:
        """Queries as in `checked_queries`."""
        return checked_queries(queries, self.full_dim)

    def _check_one(self, query: npt.ArrayLike, verb: str) -> FloatMatrix:
        """One query as a matrix of one row."""
        rows = self.check_queries(query)
        if len(rows) != 1:
            raise ShapeError(f"`query` has {len(rows)} rows; {verb} one query at a time.")
        return rows

    def check_items(self, items: npt.ArrayLike) -> Items:
        """Item numbers as int64; InvalidInputError where one is not in the index."""
        numbers = np.atleast_1d(np.asarray(items))
        if numbers.dtype.kind not in "iu" or numbers.size == 0 or numbers.min() < 0 or numbers.max() >= self.n_items:
            raise InvalidInputError(
                f"`items` must be whole numbers from 0 to {self.n_items - 1}, the rows of this index."
            )
        return numbers.astype(np.int64)

    def check_own(self, own: npt.ArrayLike, n_queries: int) -> Items:
        """The queries' own rows as int64 (n_queries,); ShapeError for another number of them, else as `check_items`."""
        rows = self.check_items(own)
        if rows.shape != (n_queries,):
            raise ShapeError(f"`own` has shape {rows.shape} for {n_queries} queries; give each query's row.")
        return rows

    def _dots(self, rows: FloatMatrix, level: int) -> Scores:
        """Dot products of shape (n_queries, n_items) over the blocks up to a level."""
        dots = self._block_dots(rows, 0)
        for wider in range(1, level + 1):
            dots += self._block_dots(rows, wider)
        return dots

    def _block_dots(self, rows: FloatMatrix, level: int) -> Scores:
        """Over one block; for one query as a matrix-vector product, which BLAS does faster."""
        low, high = self._spans[level]
        block, part = self._blocks[level], np.ascontiguousarray(rows[:, low:high])
        return np.asarray((block @ part[0])[None] if len(rows) == 1 else part @ block.T)

    def _select(self, rows: FloatMatrix, dots: Scores, level: int, k: int) -> tuple[npt.NDArray[np.int32], Scores]:
        """The k best of every query from its dot products."""
        dim = self.dims[level]
        indices = np.empty((len(rows), k), dtype=np.int32)
        similarities = np.empty((len(rows), k), dtype=np.float32)
        step = max(1, SCORES_LOOKED_THROUGH // self.n_items)
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            indices[part], similarities[part] = best_of_each(
                dots[part] * self._inverse_norms[level], k, _margins(rows[part], dim),
                partial(self.pair_cosines, rows[part], dim=dim),
            )  # fmt: skip
        return indices, similarities


def checked_queries(queries: npt.ArrayLike, full_dim: int) -> FloatMatrix:
    """Queries as a float32 matrix (n_queries, full_dim), one vector as one row; ShapeError for another width."""
    if isinstance(queries, np.ndarray) and queries.ndim == 1:
        queries = queries[None]
    rows = as_float32(queries, "queries")
    if rows.shape[1] != full_dim:
        raise ShapeError(
            f"`queries` have {rows.shape[1]} coordinates and this index {full_dim}; embed both with one model."
        )
    return rows


def _norm(row: FloatMatrix) -> float:
    """‖row‖ in float64."""
    return float(np.sqrt(np.einsum("i,i->", row, row, dtype=np.float64)))


def _margins(rows: FloatMatrix, dim: int) -> Floats:
    """Rounding margins of scores that are not divided by the norm of their query, (n_queries,)."""
    heads = rows[:, :dim]
    return np.asarray(rounding_margin(dim) * np.sqrt(np.einsum("ij,ij->i", heads, heads, dtype=np.float64)))
