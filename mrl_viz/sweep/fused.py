"""The nested sweep on the CPU: one compiled pass in which a tile of scores is made, scaled and looked through in cache.

A tile is a few hundred queries x `TILE` corpus rows of running dot products, small enough for a core's second-level
cache. All widths pass over it before the next tile is begun: a wide step is a matrix product added in place, a narrow
one (up to `NARROW` coordinates) a loop; then every row of the tile is compared with the k-th best score so far, and
only a stretch of it that holds something better is looked through one by one. In the first tile a list begins with the
neighbors of the width before, so that most have nothing left to find.

Each group of queries walks down the corpus block by block, and whichever thread is free takes the group that is
furthest behind: nobody waits for anybody, groups meet their blocks in order, and no lists have to be merged. The
threads are Python's, which the compiled code leaves free to run: numba's own parallel layer ends the process when two
threads of a server enter it at once.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import llvmlite.binding
import numba
import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import get_cython_function_address

from mrl_viz.sweep.machine import compiled, n_processors, single_threaded_blas
from mrl_viz.truncation import FloatMatrix

# A tile has TILE_SCORES float32 scores at most, 1 MB: a second-level cache; a corpus that fits into one is one tile.
# 480 is no power of two: rows 2 kB apart would share their places in the first-level cache.
TILE, LONGEST_TILE, TILE_SCORES = 480, 2048, 256 * 1024
# Corpus rows between two looks for other work: some 80 ms of it, and what the third-level cache holds. Whole tiles, so
# that a slice of the corpus that begins at a multiple of TILE is cut into the very tiles of the whole: BLAS adds up in
# another order where a product has another shape.
BLOCK = 17 * TILE
# Queries of a group where slices of one corpus are swept on several machines, however many processors each has.
SLICE_HEIGHT = 256
# Up to NARROW coordinates a loop beats the matrix product; it reads them from columns, turned a cache line at a time.
NARROW, TURNED = 4, 16
# Scores looked through together when one of them is good enough.
STRETCH = 64
# Below every cosine and dot product that can occur: rows are scaled so that those stay below 1e30.
NOTHING = np.float32(-3e38)

llvmlite.binding.add_symbol("mrl_viz_sgemm", get_cython_function_address("scipy.linalg.cython_blas", "sgemm"))
_sgemm: Any = types.ExternalFunction("mrl_viz_sgemm", types.void(*[types.intp] * 13))
# A product and a sum may be rounded once together; nothing else is rearranged, so equal columns have equal scores.
FUSED = {"contract"}


# These take whole arrays and places in them: passing a slice would change its array's reference count, atomically.
@numba.njit(fastmath=FUSED)
def _add_one(dots, q, width, y, columns, at):  # type: ignore[no-untyped-def]
    row, x = dots[q, :width], columns[at, :width]
    for c in range(row.size):
        row[c] += y * x[c]


@numba.njit(fastmath=FUSED)
def _has_better(dots, q, low, high, scales, level, left, threshold):  # type: ignore[no-untyped-def]
    # An "or" of comparisons, not a maximum: compilers vectorise it without being allowed to reorder floats.
    row, scale = dots[q, low:high], scales[level, left + low : left + high]
    found = False
    for c in range(row.size):
        found |= row[c] * scale[c] > threshold
    return found


@numba.njit(fastmath=FUSED)
def _insert(scores, items, n, score, item):  # type: ignore[no-untyped-def]
    # Into a list of n, best first, ties to the lower index; what falls behind place n - 1 is gone.
    place = n - 1
    while place > 0 and (scores[place - 1] < score or (scores[place - 1] == score and items[place - 1] > item)):
        scores[place], items[place] = scores[place - 1], items[place - 1]
        place -= 1
    scores[place], items[place] = score, item


@numba.njit(fastmath=FUSED)
def _keep(dots, q, width, scales, level, left, threshold, start, all_scores, all_items, query):  # type: ignore[no-untyped-def]
    scores, items = all_scores[level, query], all_items[level, query]
    last = scores.size - 1
    for low in range(0, width, STRETCH):
        high = min(low + STRETCH, width)
        if not _has_better(dots, q, low, high, scales, level, left, threshold):
            continue
        row, scale = dots[q, low:high], scales[level, left + low : left + high]
        for c in range(row.size):
            score, item = row[c] * scale[c], start + low + c
            if score > threshold and (score > scores[last] or item < items[last]):
                _insert(scores, items, last + 1, score, item)
                threshold = max(threshold, np.nextafter(scores[last], NOTHING))


@numba.njit(fastmath=FUSED)
def _begin(dots, q, scales, level, all_scores, all_items, query, held):  # type: ignore[no-untyped-def]
    # The neighbors of the width before are nearly those of this one: list them, and hide them from `_keep`.
    scores, items, before = all_scores[level, query], all_items[level, query], all_items[level - 1, query]
    row, scale = dots[q], scales[level]
    for n in range(before.size):
        c = before[n]
        _insert(scores, items, n + 1, row[c] * scale[c], c)
        held[n], row[c] = row[c], -np.inf


@numba.njit(fastmath=FUSED)
def _reveal(dots, q, level, all_items, query, held):  # type: ignore[no-untyped-def]
    row, before = dots[q], all_items[level - 1, query]
    for n in range(before.size):
        row[before[n]] = held[n]


def _walk(corpus, queries, first, last, inverse_norms, lows, highs, start, tile, is_self, scores, items):  # type: ignore[no-untyped-def]
    # corpus (n, D): one block, whose first row is item `start`; queries first to last of (n_queries, D): one group;
    # inverse_norms (n_dims, n); scores, items (n_dims, n_queries, k): all lists so far, the group's updated in place.
    n, full_dim = corpus.shape
    k, height = scores.shape[2], last - first
    dots = np.empty((height, tile), dtype=np.float32)
    columns = np.empty((TURNED, tile), dtype=np.float32)
    letters = np.array([84, 78], dtype=np.uint8)  # "T" and "N"
    held = np.empty(k, dtype=np.float32)
    sizes, factors = np.empty(5, dtype=np.int32), np.ones(2, dtype=np.float32)
    for left in range(0, n, tile):
        width = min(tile, n - left)
        here = start + left
        columns_low, columns_high = 0, 0
        for level in range(lows.size):
            low, high = lows[level], highs[level]
            step = high - low
            if step > NARROW:
                sizes[0], sizes[1], sizes[2], sizes[3], sizes[4] = width, height, step, full_dim, tile
                factors[1] = low > 0
                _sgemm(
                    letters.ctypes.data, letters[1:].ctypes.data, sizes.ctypes.data, sizes[1:].ctypes.data,
                    sizes[2:].ctypes.data, factors.ctypes.data, corpus[left:, low:].ctypes.data, sizes[3:].ctypes.data,
                    queries[first:, low:].ctypes.data, sizes[3:].ctypes.data, factors[1:].ctypes.data,
                    dots.ctypes.data, sizes[4:].ctypes.data,
                )  # fmt: skip
            elif high > columns_high:
                columns_low, columns_high = low, min(low + TURNED, full_dim)
                for c in range(width):
                    for j in range(columns_high - columns_low):
                        columns[j, c] = corpus[left + c, columns_low + j]
            for q in range(height):
                query = first + q
                if high == 1:
                    # One coordinate has a sign and no angle: exactly ±1, so that rounding does not order the ties.
                    for c in range(width):
                        dots[q, c] = np.sign(queries[query, 0]) * np.sign(columns[0, c])
                elif step <= NARROW:
                    if low == 0:
                        for c in range(width):
                            dots[q, c] = 0
                    for j in range(low, high):
                        _add_one(dots, q, width, queries[query, j], columns, j - columns_low)
                if is_self and low == 0 and here <= query < here + width:
                    dots[q, query - here] = -np.inf  # and remains so: no query is its own neighbor
                begins = here == 0 and level > 0 and items[level - 1, query, k - 1] >= 0
                if begins:
                    _begin(dots, q, inverse_norms, level, scores, items, query, held)
                threshold = scores[level, query, k - 1]
                if begins:  # a score equal to the last of those counts if its index is lower
                    threshold = np.nextafter(threshold, NOTHING)
                if _has_better(dots, q, 0, width, inverse_norms, level, left, threshold):
                    _keep(dots, q, width, inverse_norms, level, left, threshold, here, scores, items, query)
                if begins:
                    _reveal(dots, q, level, items, query, held)


@numba.njit(fastmath={"contract", "reassoc"})
def _squares(rows, i, low, high):  # type: ignore[no-untyped-def]
    row, total = rows[i, low:high], 0.0
    for j in range(row.size):
        total += np.float64(row[j]) * np.float64(row[j])
    return total


def _inverse_prefix_norms(rows, lows, highs, inverse_norms):  # type: ignore[no-untyped-def]
    # 1/‖x[:m]‖ into inverse_norms (n_dims, n), 0 for a zero prefix; squares add up in float64.
    for i in range(len(rows)):
        squares = 0.0
        for level in range(lows.size):
            squares = _squares(rows, i, lows[level], highs[level]) + (squares if lows[level] > 0 else 0.0)
            inverse_norms[level, i] = 1 / np.sqrt(squares) if squares > 0 else 0.0
            if highs[level] == 1:
                inverse_norms[level, i] = 1.0


_rows = types.Array(types.float32, 2, "C", readonly=True)
_widths, _scales = types.int64[::1], types.float32[:, ::1]
_lists = types.float32[:, :, ::1], types.int32[:, :, ::1]
_walk = compiled(
    _walk,
    types.void(*[_rows] * 2, *[types.int64] * 2, _scales, *[_widths] * 2, *[types.int64] * 2, types.boolean, *_lists),
    fastmath=FUSED,
)  # fmt: skip
_inverse_prefix_norms = compiled(
    _inverse_prefix_norms, types.void(_rows, _widths, _widths, _scales), fastmath={"contract", "reassoc"}
)


def sweep_fused(
    queries: FloatMatrix,
    corpus: FloatMatrix,
    dims: tuple[int, ...],
    k: int,
    is_self: bool,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Indices and similarities of shape (n_dims, n_queries, k) of checked float32 rows; see `nested_sweep`."""
    walk = Walk(queries, dims, k, len(corpus), is_self)
    walk.over(corpus, 0, progress)
    return walk.lists()


class Walk:
    """Groups of queries on their way down a corpus that comes in blocks, and the work of a thread that takes them
    further.

    Parameters
    ----------
    n_items : rows of the whole corpus, or slice of one, below 2^31
    is_slice : cut it into the tiles and groups that every slice of the same corpus is cut into, on any machine, so that
        their scores are the same to the last bit. A slice then begins at a multiple of TILE.
    """

    def __init__(
        self, queries: FloatMatrix, dims: tuple[int, ...], k: int, n_items: int, is_self: bool, is_slice: bool = False
    ) -> None:
        self.queries, self.is_self, self.n_items = queries, is_self, n_items
        self.lows, self.highs = np.array((0, *dims[:-1]), dtype=np.int64), np.array(dims, dtype=np.int64)
        self.lows[self.lows == 1] = 0  # width 1 keeps signs, not products: the next begins anew
        n_queries = len(queries)
        self.tile = TILE if is_slice or n_items > LONGEST_TILE else -(-n_items // STRETCH) * STRETCH
        n_groups = max(-(-n_queries // (TILE_SCORES // self.tile)), min(n_processors(), n_queries))
        self.height = min(SLICE_HEIGHT, n_queries) if is_slice else -(-n_queries // n_groups)
        self.firsts = range(0, n_queries, self.height)
        self.n_groups, self.n_steps, self.n_done = len(self.firsts), len(self.firsts) * -(-n_items // BLOCK), 0
        self.scores = np.full((len(dims), n_queries, k), NOTHING, dtype=np.float32)
        self.items = np.full((len(dims), n_queries, k), -1, dtype=np.int32)
        self.norms: dict[int, tuple[npt.NDArray[np.float32], list[int]]] = {}
        self.lock, self.norms_lock, self.is_stopped = threading.Lock(), threading.Lock(), False

    def over(self, rows: FloatMatrix, start: int, progress: Callable[[int, int], None] | None = None) -> None:
        """All groups over checked float32 rows, the first of which is item `start`: what comes next of the corpus."""
        self.corpus, self.start, n_rows = rows, start, len(rows)
        self.idle = [(0, first) for first in self.firsts]  # a heap of (next row, first query)
        n_others = 0 if len(self.queries) * n_rows <= TILE_SCORES else min(n_processors(), self.n_groups) - 1
        with single_threaded_blas(), ThreadPoolExecutor(max(1, n_others)) as pool:
            others = [pool.submit(self.work) for _ in range(n_others)]
            try:
                self.work(progress)
                for other in others:  # they may still be on the way down with groups of theirs
                    other.result()
            except BaseException:
                self.is_stopped = True
                raise
        if progress and others:
            progress(self.n_done, self.n_steps)

    def lists(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Indices and similarities of shape (n_dims, n_queries, k) of what was walked over."""
        scores = self.scores * self.query_norms()[:, :, None]
        return self.items, np.clip(scores, -1, 1, out=scores)

    def query_norms(self) -> npt.NDArray[np.float32]:
        """1/‖q[:m]‖ of the queries, shape (n_dims, n_queries): what makes cosines of `scores`."""
        norms = np.empty((len(self.lows), len(self.queries)), dtype=np.float32)
        _inverse_prefix_norms(self.queries, self.lows, self.highs, norms)
        return norms

    def work(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Take the idle group that is furthest behind a block further, until none is idle."""
        while not self.is_stopped:
            with self.lock:
                if not self.idle:
                    return
                start, first = heapq.heappop(self.idle)
            block, last = self.corpus[start : start + BLOCK], min(first + self.height, len(self.queries))
            _walk(
                block, self.queries, first, last, self.block_norms(start), self.lows, self.highs, self.start + start,
                self.tile, self.is_self, self.scores, self.items,
            )  # fmt: skip
            with self.lock:
                self.n_done += 1
                if start + BLOCK < len(self.corpus):
                    heapq.heappush(self.idle, (start + BLOCK, first))
            if progress:
                progress(self.n_done, self.n_steps)

    def block_norms(self, start: int) -> npt.NDArray[np.float32]:
        """1/‖x[:m]‖ of a block's rows, shape (n_dims, n_rows), computed for the first group and dropped by the last."""
        with self.norms_lock:
            if start not in self.norms:
                block = self.corpus[start : start + BLOCK]
                made = np.empty((len(self.lows), len(block)), dtype=np.float32)
                _inverse_prefix_norms(block, self.lows, self.highs, made)
                self.norms[start] = made, [self.n_groups]
            norms, left = self.norms[start]
            left[0] -= 1
            if not left[0]:
                del self.norms[start]
            return norms
