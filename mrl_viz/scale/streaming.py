"""The nested sweep over rows that do not fit into memory: read once, block by block, with a state that survives a stop.

Exact neighbors of sampled queries need no index. Every slice of a source is cut into the tiles of the whole, so that
slices swept apart, on whatever machines of one kind, have the very scores of one sweep over everything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.archive import read_result, write_result
from mrl_viz.errors import InvalidInputError, ShapeError
from mrl_viz.files import disk_errors
from mrl_viz.fingerprint import fingerprint
from mrl_viz.scale.lists import Lists, merged, without
from mrl_viz.scale.rows import Rows
from mrl_viz.sweep import Sweep, check_k
from mrl_viz.sweep.cosines import as_float32
from mrl_viz.sweep.fused import BLOCK, TILE, Walk
from mrl_viz.truncation import Ints, check_count, check_dims

# Rows in memory at once, as float32; the next block is read meanwhile, so it is twice that.
BLOCK_BYTES = 64 * 2**20
# Between two states on the disk: what a kill can cost.
KEEP_S = 30.0
# A slice counts its rows in 31 bits; the rows of all slices in 63.
MOST_ROWS = 2**31 - 1


@dataclass(frozen=True)
class Job:
    """What a sweep is of: all slices of one job can be put together, and no others.

    `source` : fingerprint of the rows searched, and `n_rows`, `full_dim` their shape. `queries` : fingerprint of the
    queries, and `own` of which rows they are, "" where they are no rows. `dims`, `k` : as in `Sweep`.
    """

    source: str
    n_rows: int
    full_dim: int
    queries: str
    n_queries: int
    own: str
    dims: tuple[int, ...]
    k: int

    @property
    def key(self) -> str:
        """Sixteen digits that stand for all of it."""
        return fingerprint(
            self.source, self.n_rows, self.full_dim, self.queries, self.n_queries, self.own, self.dims, self.k
        )


@dataclass(frozen=True)
class Queries:
    """What is searched for: `matrix` of shape (n_queries, full_dim); `own`, int64 of shape (n_queries,), the row that
    each query is and that is left out of its list, or None where queries are no rows."""

    matrix: npt.NDArray[np.float32]
    own: Ints | None = None


def sampled_queries(rows: Rows, n_queries: int, *, seed: int = 0) -> Queries:
    """So many rows drawn without replacement, each left out of its own list by its number: exact with duplicates too.

    Raises
    ------
    InvalidInputError : fewer than 1, or as many as there are rows.
    """
    check_count("n_queries", n_queries)
    if n_queries > rows.n_rows:
        raise InvalidInputError(f"`--sample-queries` is {n_queries} of {rows.n_rows} rows; choose fewer.")
    own = np.sort(np.random.default_rng(seed).choice(rows.n_rows, n_queries, replace=False)).astype(np.int64)
    return Queries(rows.take(own), own)


def given_queries(matrix: npt.ArrayLike, rows: Rows) -> Queries:
    """Queries of their own, searched for among all rows.

    Raises
    ------
    ShapeError : not as wide as the rows.
    """
    found = as_float32(matrix, "queries")
    if found.shape[1] != rows.full_dim:
        raise ShapeError(
            f"`queries` have {found.shape[1]} coordinates and `{rows.name}` {rows.full_dim}; embed both with one model."
        )
    return Queries(found)


def job_of(rows: Rows, queries: Queries, *, dims: Iterable[int], k: int = 10) -> Job:
    """The job of sweeping all rows with these queries; the full width is always added.

    Raises
    ------
    DimensionError, InvalidInputError : widths or `k` out of range.
    """
    checked = check_dims((*dims, rows.full_dim), rows.full_dim)
    check_k(k, rows.n_rows - (queries.own is not None))
    own = "" if queries.own is None else fingerprint(queries.own)
    return Job(
        rows.fingerprint(),
        rows.n_rows,
        rows.full_dim,
        fingerprint(queries.matrix),
        len(queries.matrix),
        own,
        checked,
        k,
    )


def slice_of(n_rows: int, index: int, count: int) -> tuple[int, int]:
    """First row and end of slice `index`, from 1, of `count`: whole tiles, as equal as that allows.

    Raises
    ------
    InvalidInputError : no such slice, or more of them than there are tiles.
    """
    tiles = -(-n_rows // TILE)
    if not 1 <= index <= count:
        raise InvalidInputError(f"`--shard` is {index}/{count}; write 1/{count} to {count}/{count}.")
    if count > tiles:
        raise InvalidInputError(f"`--shard` asks for {count} slices; {n_rows:,} rows can be cut into {tiles} at most.")
    return tuple(min(tiles * end // count * TILE, n_rows) for end in (index - 1, index))  # type: ignore[return-value]


@dataclass(frozen=True)
class _State:
    """A sweep that was stopped: rows `start` to `reached` are done, with scores as the kernel keeps them."""

    start: int
    reached: int
    scores: npt.NDArray[np.float32]
    items: npt.NDArray[np.int32]


def stream_slice(
    rows: Rows,
    queries: Queries,
    job: Job,
    start: int = 0,
    stop: int | None = None,
    *,
    state: Path | None = None,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Lists:
    """The nearest rows of every query at every width among rows start to stop, which are read once.

    Parameters
    ----------
    start, stop : as `slice_of` gives them; all rows by default
    state : a file to keep what is done in, at a stop and every half minute; a sweep of the same begins where it ended
    device : "cpu", or a torch device such as "cuda"
    progress : called with (rows done, rows in all); what it raises ends the sweep, and finished blocks are kept
    block_bytes : of float32 rows in memory at once

    Returns
    -------
    Lists : best first, ties to the lower row; a query's own row is in none.

    Raises
    ------
    ShapeError, DataFormatError, StoreError : rows that cannot be read, named.
    """
    stop = rows.n_rows if stop is None else stop
    if stop - start > MOST_ROWS:
        raise InvalidInputError(f"a slice has {stop - start:,} rows; use --shard for slices of at most {MOST_ROWS:,}.")
    # A query's own row is searched too and dropped afterwards, by its number.
    k = min(job.k + (queries.own is not None), stop - start)
    height = max(1, block_bytes // (BLOCK * rows.full_dim * 4)) * BLOCK
    if device != "cpu":
        found = _on_device(rows, queries, job, start, stop, height, k, device, progress)
    else:
        walk = Walk(queries.matrix, job.dims, k, stop - start, False, is_slice=True)
        reached = start if state is None else _resume(walk, state, job, start, stop)
        # Ctrl-C may come in the middle of a block, and of a line: what is kept is of whole blocks, taken after each.
        done, kept_at = _State(start, reached, walk.scores.copy(), walk.items.copy()), time.monotonic()
        try:
            for first, block in rows.blocks(reached, stop, height):
                walk.over(block, first - start)
                done = _State(start, first + len(block), walk.scores.copy(), walk.items.copy())
                if state is not None and time.monotonic() - kept_at > KEEP_S:
                    _keep(done, state, job, start, stop)
                    kept_at = time.monotonic()
                if progress:
                    progress(done.reached - start, stop - start)
        except BaseException:
            if state is not None and done.reached > reached:
                _keep(done, state, job, start, stop)
            raise
        items = np.where(walk.items < 0, -1, walk.items.astype(np.int64) + start)
        found = Lists(items, walk.scores, walk.query_norms())
    return found if queries.own is None else without(found, queries.own, job.k)


def _on_device(
    rows: Rows, queries: Queries, job: Job, start: int, stop: int, height: int, k: int, device: str,
    progress: Callable[[int, int], None] | None,
) -> Lists:  # fmt: skip
    """The same by the kernel of other devices, whose lists of blocks are put together."""
    from mrl_viz.sweep.tensors import sweep_tensors

    found: Lists | None = None
    for first, block in rows.blocks(start, stop, height):
        items, similarities = sweep_tensors(queries.matrix, block, job.dims, min(k, len(block)), False, device=device)
        here = Lists(items.astype(np.int64) + first, similarities)
        found = here if found is None else merged([found, here], k)
        if progress:
            progress(first + len(block) - start, stop - start)
    assert found is not None
    return found


def _state_key(job: Job, start: int, stop: int) -> str:
    return f"{job.key} {start} {stop}"


def _resume(walk: Walk, state: Path, job: Job, start: int, stop: int) -> int:
    """Where a sweep of the same ended; `walk` has its lists then."""
    found = read_result(_State, state, key=_state_key(job, start, stop))
    if found is None or found.scores.shape != walk.scores.shape:
        return start
    walk.scores[...], walk.items[...] = found.scores, found.items
    return found.reached


def _keep(done: _State, state: Path, job: Job, start: int, stop: int) -> None:
    with disk_errors(state):
        state.parent.mkdir(parents=True, exist_ok=True)
        write_result(done, state, key=_state_key(job, start, stop))


def sweep_of(job: Job, lists: Lists) -> Sweep:
    """The lists of all rows as a `Sweep`, with int64 row numbers: everything that needs only lists takes it."""
    return Sweep(job.dims, job.full_dim, job.k, job.n_rows, bool(job.own), lists.items, lists.similarities)


def stream_sweep(
    rows: Rows,
    queries: Queries,
    *,
    dims: Iterable[int],
    k: int = 10,
    **options: Any,
) -> Sweep:
    """The nested sweep of queries over all rows of a source, whatever its size; `options` as of `stream_slice`.

    Returns
    -------
    Sweep : its lists are those of `nested_sweep`; its `indices` are int64.

    Raises
    ------
    As `job_of` and `stream_slice`.
    """
    job = job_of(rows, queries, dims=dims, k=k)
    return sweep_of(job, stream_slice(rows, queries, job, **options))
