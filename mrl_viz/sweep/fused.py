"""The nested sweep on the CPU: one compiled pass in which a tile of scores is made, scaled and looked through in cache.

A tile is a few hundred queries x `TILE` corpus rows of running dot products, small enough for a core's second-level
cache. All widths pass over it before the next tile is begun: a wide step is a matrix product added in place, a narrow
one (up to `NARROW` coordinates) a loop; then every row of the tile is compared with the k-th best score so far, and
only a stretch of it that holds something better is looked through one by one.

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
TILE, LONGEST_TILE, TILE_SCORES = 512, 2048, 256 * 1024
# Corpus rows between two looks for other work: some 80 ms of it, and what the third-level cache holds.
BLOCK = 8192
# Up to this many coordinates a loop beats the matrix product, which reads and writes the whole tile for them.
NARROW = 12
# Scores looked through together when one of them is good enough.
STRETCH = 64
# Below every cosine and dot product that can occur: rows are scaled so that those stay below 1e30.
NOTHING = np.float32(-3e38)

llvmlite.binding.add_symbol("mrl_viz_sgemm", get_cython_function_address("scipy.linalg.cython_blas", "sgemm"))
_sgemm: Any = types.ExternalFunction("mrl_viz_sgemm", types.void(*[types.intp] * 13))
# A product and a sum may be rounded once together; nothing else is rearranged, so equal columns have equal scores.
FUSED = {"contract"}


@numba.njit(fastmath=FUSED)
def _add_one(row, y, x):  # type: ignore[no-untyped-def]
    for c in range(row.size):
        row[c] += y * x[c]


@numba.njit(fastmath=FUSED)
def _add_four(row, y0, y1, y2, y3, x0, x1, x2, x3):  # type: ignore[no-untyped-def]
    for c in range(row.size):
        row[c] = row[c] + y0 * x0[c] + y1 * x1[c] + y2 * x2[c] + y3 * x3[c]


@numba.njit(fastmath=FUSED)
def _has_better(row, scale, threshold):  # type: ignore[no-untyped-def]
    # An "or" of comparisons, not a maximum: compilers vectorise it without being allowed to reorder floats.
    found = np.int32(0)
    for c in range(row.size):
        found |= np.int32(row[c] * scale[c] > threshold)
    return found


@numba.njit(fastmath=FUSED)
def _keep(row, scale, threshold, start, own, scores, items):  # type: ignore[no-untyped-def]
    # Rows come in corpus order, so a score equal to one in the list is of a higher index and goes behind it.
    k = scores.size
    for low in range(0, row.size, STRETCH):
        high = min(low + STRETCH, row.size)
        if not _has_better(row[low:high], scale[low:high], threshold):
            continue
        for c in range(low, high):
            score = row[c] * scale[c]
            if score > threshold and start + c != own:
                place = k - 1
                while place > 0 and scores[place - 1] < score:
                    scores[place], items[place] = scores[place - 1], items[place - 1]
                    place -= 1
                scores[place], items[place] = score, start + c
                threshold = max(threshold, scores[k - 1])


def _walk(corpus, queries, inverse_norms, lows, highs, start, tile, is_self, first, scores, items):  # type: ignore[no-untyped-def]
    # corpus (n, D): one block, whose first row is item `start`; queries (q, D): one group, the first is query `first`;
    # inverse_norms (n_dims, n); scores, items (n_dims, q, k): the group's lists so far, updated in place.
    n, full_dim = corpus.shape
    k = scores.shape[2]
    dots = np.empty((len(queries), tile), dtype=np.float32)
    columns = np.empty((NARROW, tile), dtype=np.float32)
    signs, ones = np.empty(tile, dtype=np.float32), np.ones(tile, dtype=np.float32)
    letters = np.array([84, 78], dtype=np.uint8)  # "T" and "N"
    sizes, factors = np.empty(5, dtype=np.int32), np.ones(2, dtype=np.float32)
    for left in range(0, n, tile):
        width = min(tile, n - left)
        here = start + left
        columns_low, columns_high = 0, 0
        for level in range(lows.size):
            low, high = lows[level], highs[level]
            step = high - low
            if step > NARROW:
                sizes[0], sizes[1], sizes[2], sizes[3], sizes[4] = width, len(queries), step, full_dim, tile
                factors[1] = level > 0
                _sgemm(
                    letters.ctypes.data, letters[1:].ctypes.data, sizes.ctypes.data, sizes[1:].ctypes.data,
                    sizes[2:].ctypes.data, factors.ctypes.data, corpus[left:, low:].ctypes.data, sizes[3:].ctypes.data,
                    queries[:, low:].ctypes.data, sizes[3:].ctypes.data, factors[1:].ctypes.data, dots.ctypes.data,
                    sizes[4:].ctypes.data,
                )  # fmt: skip
            elif high > columns_high:
                columns_low, columns_high = low, min(low + NARROW, full_dim)
                for c in range(width):
                    for j in range(columns_high - columns_low):
                        columns[j, c] = corpus[left + c, columns_low + j]
            scale = inverse_norms[level, left : left + width]
            for q in range(len(queries)):
                row = dots[q, :width]
                if step <= NARROW:
                    if level == 0:
                        row[:] = 0
                    j = low
                    while j + 4 <= high:
                        y, at = queries[q, j : j + 4], j - columns_low
                        _add_four(
                            row, y[0], y[1], y[2], y[3], columns[at, :width], columns[at + 1, :width],
                            columns[at + 2, :width], columns[at + 3, :width],
                        )  # fmt: skip
                        j += 4
                    while j < high:
                        _add_one(row, queries[q, j], columns[j - columns_low, :width])
                        j += 1
                if high == 1:
                    # One coordinate has a sign and no angle: exactly ±1, so that rounding does not order the ties.
                    row, scale = signs[:width], ones[:width]
                    for c in range(width):
                        row[c] = np.sign(queries[q, 0]) * np.sign(columns[0, c])
                threshold = scores[level, q, k - 1]
                if here == 0 and level > 0 and items[level - 1, q, k - 1] >= 0:
                    # The neighbors of the width before, all of this first tile, are nearly those of this one.
                    threshold = -NOTHING
                    for c in items[level - 1, q]:
                        threshold = min(threshold, row[c] * scale[c])
                    threshold = np.float32(np.nextafter(threshold, NOTHING))
                elif not _has_better(row, scale, threshold):
                    continue
                own = first + q if is_self else np.int64(-1)
                _keep(row, scale, threshold, here, own, scores[level, q], items[level, q])


@numba.njit(fastmath={"contract", "reassoc"})
def _squares(row):  # type: ignore[no-untyped-def]
    total = 0.0
    for j in range(row.size):
        total += np.float64(row[j]) * np.float64(row[j])
    return total


def _inverse_prefix_norms(rows, lows, highs, inverse_norms):  # type: ignore[no-untyped-def]
    # 1/‖x[:m]‖ into inverse_norms (n_dims, n), 0 for a zero prefix; squares add up in float64.
    for i in range(len(rows)):
        squares = 0.0
        for level in range(lows.size):
            squares += _squares(rows[i, lows[level] : highs[level]])
            inverse_norms[level, i] = 1 / np.sqrt(squares) if squares > 0 else 0.0


_rows = types.Array(types.float32, 2, "C", readonly=True)
_widths, _scales = types.int64[::1], types.float32[:, ::1]
_lists = types.Array(types.float32, 3, "A"), types.Array(types.int32, 3, "A")
_walk = compiled(
    _walk, types.void(_rows, _rows, _scales, _widths, _widths, *[types.int64] * 2, types.boolean, types.int64, *_lists),
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
    walk = _Walk(queries, corpus, dims, k, is_self)
    n_others = 0 if len(queries) * len(corpus) <= TILE_SCORES else min(n_processors(), len(walk.idle)) - 1
    with single_threaded_blas(), ThreadPoolExecutor(max(1, n_others)) as pool:
        others = [pool.submit(walk.work) for _ in range(n_others)]
        try:
            walk.work(progress)
            for other in others:  # they may still be on the way down with groups of theirs
                other.result()
        except BaseException:
            walk.is_stopped = True
            raise
    if progress and others:
        progress(walk.n_steps, walk.n_steps)
    norms = np.empty((len(dims), len(queries)), dtype=np.float32)
    _inverse_prefix_norms(queries, walk.lows, walk.highs, norms)
    if dims[0] == 1:
        norms[0] = 1
    return walk.items, np.clip(walk.scores * norms[:, :, None], -1, 1)


class _Walk:
    """Groups of queries on their way down the corpus, and the work of a thread that takes them further."""

    def __init__(self, queries: FloatMatrix, corpus: FloatMatrix, dims: tuple[int, ...], k: int, is_self: bool) -> None:
        self.queries, self.corpus, self.is_self = queries, corpus, is_self
        self.lows, self.highs = np.array((0, *dims[:-1]), dtype=np.int64), np.array(dims, dtype=np.int64)
        n_items, n_queries = len(corpus), len(queries)
        self.tile = TILE if n_items > LONGEST_TILE else -(-n_items // STRETCH) * STRETCH
        n_groups = max(-(-n_queries // (TILE_SCORES // self.tile)), min(2 * n_processors(), n_queries))
        self.height = -(-n_queries // n_groups)
        self.idle = [(0, first) for first in range(0, n_queries, self.height)]  # a heap of (next item, first query)
        self.n_groups, self.n_steps, self.n_done = len(self.idle), len(self.idle) * -(-n_items // BLOCK), 0
        self.scores = np.full((len(dims), n_queries, k), NOTHING, dtype=np.float32)
        self.items = np.full((len(dims), n_queries, k), -1, dtype=np.int32)
        self.norms: dict[int, tuple[npt.NDArray[np.float32], list[int]]] = {}
        self.lock, self.norms_lock, self.is_stopped = threading.Lock(), threading.Lock(), False

    def work(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Take the idle group that is furthest behind a block further, until none is idle."""
        while not self.is_stopped:
            with self.lock:
                if not self.idle:
                    return
                start, first = heapq.heappop(self.idle)
            block, group = self.corpus[start : start + BLOCK], slice(first, first + self.height)
            _walk(
                block, self.queries[group], self.block_norms(start), self.lows, self.highs, start, self.tile,
                self.is_self, first, self.scores[:, group], self.items[:, group],
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
