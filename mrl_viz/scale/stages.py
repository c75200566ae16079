"""First passes of plans over rows that do not fit into memory: exact lists of every width and code, block by block.

A block is read once. Its rows are scored by all passes: float32 at every width by one nested walk, codes as what they
decode to, and codes that only have scores by faiss. Blocks are cut at the same rows whoever reads them, so that slices,
on whatever machines of one kind, have the very scores of one pass over everything.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mrl_viz.archive import read_result, write_result
from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.files import disk_errors
from mrl_viz.fingerprint import fingerprint
from mrl_viz.retrieval.coded import FaissCodes, fewest_rows, has_vectors
from mrl_viz.retrieval.codes import bits
from mrl_viz.retrieval.quantization import CALIBRATION_ROWS, DTYPES, fit_quantizer
from mrl_viz.scale.lists import Lists, merged, without
from mrl_viz.scale.rows import Rows
from mrl_viz.scale.streaming import MOST_ROWS, Queries
from mrl_viz.sweep import check_k
from mrl_viz.sweep.fused import BLOCK, Walk
from mrl_viz.truncation import FloatMatrix, Ints, check_dims, truncate_and_normalize

# Rows in memory at once, as float32: a pass holds a few copies of them while it codes.
BLOCK_BYTES = 16 * 2**20
# Between two states on the disk: what a stop can cost.
KEEP_S = 60.0
# Rows read in one piece where several of them are wanted: a chunk of an array on a disk is read whole anyway.
STRETCH, FEWEST_OF_STRETCH = 8192, 8

Scores = npt.NDArray[np.float32]
# A width and a dtype of `codes.BITS`.
Stage = tuple[int, str]


@dataclass(frozen=True)
class StageJob:
    """What first passes are of: slices of one job can be put together, and no others.

    `source`, `n_rows`, `full_dim`, `queries`, `n_queries`, `own` : as in `Job`. `stages` : for each there is a list of
    every query. `depth` : rows on a list. `sample` : fingerprint of the rows that codes are fitted on. `height` : rows
    of a block. `is_cosine` : what codes decode to is compared by cosine, not by dot product.
    """

    source: str
    n_rows: int
    full_dim: int
    queries: str
    n_queries: int
    own: str
    stages: tuple[Stage, ...]
    depth: int
    sample: str
    height: int
    is_cosine: bool = False

    @property
    def key(self) -> str:
        """Sixteen digits that stand for all of it."""
        return fingerprint(
            self.source, self.n_rows, self.full_dim, self.queries, self.n_queries, self.own,
            [list(stage) for stage in self.stages], self.depth, self.sample, self.height, self.is_cosine,
        )  # fmt: skip

    @property
    def n_blocks(self) -> int:
        """How many blocks the rows are read in."""
        return -(-self.n_rows // self.height)

    def slice_of(self, index: int, count: int) -> tuple[int, int]:
        """First row and end of slice `index`, from 1, of `count`: whole blocks, as equal as that allows."""
        first, last = (self.n_blocks * end // count * self.height for end in (index - 1, index))
        return min(first, self.n_rows), min(last, self.n_rows)


@dataclass(frozen=True)
class Asked:
    """What passes need beside the rows: the queries, and the rows that codes are fitted on, (n_sampled, full_dim)."""

    queries: Queries
    sample: FloatMatrix


def fit_sample(rows: Rows, *, seed: int = 0) -> FloatMatrix:
    """A seeded sample of at most 10,000 rows for ranges and codebooks, the rows that a corpus in memory is sampled by.

    Raises
    ------
    As `Rows.read`.
    """
    n_drawn = min(CALIBRATION_ROWS, rows.n_rows)
    drawn = np.random.default_rng(seed).choice(rows.n_rows, n_drawn, replace=False)
    order = np.argsort(drawn)
    found = np.empty((n_drawn, rows.full_dim), dtype=np.float32)
    found[order] = picked(rows, drawn[order].astype(np.int64))
    return found


def picked(rows: Rows, items: Ints) -> FloatMatrix:
    """The rows of ascending numbers `items`; those that lie close together are read in one piece."""
    found = np.empty((len(items), rows.full_dim), dtype=np.float32)
    stretches = items // STRETCH
    for stretch in np.unique(stretches):
        low, high = np.searchsorted(stretches, [stretch, stretch + 1])
        some = items[low:high]
        if len(some) < FEWEST_OF_STRETCH:
            found[low:high] = rows.take(some)
        else:
            start = int(some[0])
            found[low:high] = rows.read(start, int(some[-1]) + 1)[some - start]
    return found


def stage_job(
    rows: Rows,
    asked: Asked,
    stages: Iterable[Stage],
    *,
    depth: int,
    is_cosine: bool = False,
    block_bytes: int = BLOCK_BYTES,
) -> StageJob:
    """The job of making lists of `depth` rows for every stage, each stage once.

    `is_cosine` : codes are scored by cosine with what they decode to; else by dot product, as engines do. Codes that
    only have scores keep theirs.

    Raises
    ------
    DimensionError, InvalidInputError : widths, dtypes or `depth` out of range. EmptyInputError : too few rows sampled
    for a code to learn from.
    """
    once = tuple(dict.fromkeys((int(dim), dtype) for dim, dtype in stages))
    check_dims([dim for dim, _ in once], rows.full_dim)
    for _, dtype in once:
        bits(dtype)
        if len(asked.sample) < fewest_rows(dtype):
            raise EmptyInputError(
                f"`dtypes` has {dtype}, which learns from {fewest_rows(dtype)} or more rows, and there are "
                f"{len(asked.sample)}; leave it out."
            )
    queries = asked.queries
    check_k(depth, rows.n_rows - (queries.own is not None))
    own = "" if queries.own is None else fingerprint(queries.own)
    height = max(1, block_bytes // (BLOCK * rows.full_dim * 4)) * BLOCK
    return StageJob(
        rows.fingerprint(), rows.n_rows, rows.full_dim, fingerprint(queries.matrix), len(queries.matrix), own, once,
        depth, fingerprint(asked.sample), height, is_cosine,
    )  # fmt: skip


def stream_stages(
    rows: Rows,
    asked: Asked,
    job: StageJob,
    start: int = 0,
    stop: int | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Lists:
    """The best rows of every query in every stage among rows start to stop, which are read once.

    Parameters
    ----------
    start, stop : as `StageJob.slice_of` gives them; all rows by default
    progress : called with (row reached, rows in all); what it raises ends the pass

    Returns
    -------
    Lists : of shape (n_stages, n_queries, depth), best first, ties to the lower row; a query's own row is in none.
        Scores are dot products that order the rows of a query, no cosines.

    Raises
    ------
    ShapeError, DataFormatError, StoreError : rows that cannot be read, named.
    OptionalDependencyError : a code of faiss without faiss.
    """
    return _stretch(rows, asked, job, start, rows.n_rows if stop is None else stop, progress, None)[0]


def _stretch(
    rows: Rows,
    asked: Asked,
    job: StageJob,
    start: int,
    stop: int,
    progress: Callable[[int, int], None] | None,
    seconds: float | None,
) -> tuple[Lists, int]:
    """The lists of rows from start to stop, or to where so many seconds have passed; and where that was."""
    size, began, reached = min(job.depth + (asked.queries.own is not None), stop - start), time.monotonic(), start
    passes = _passes(asked, job, size, stop - start)
    for first, block in rows.blocks(start, stop, job.height):
        for one in passes:
            one.over(block, first - start)
        reached = first + len(block)
        if progress:
            progress(reached, job.n_rows)
        if seconds is not None and time.monotonic() - began > seconds:
            break
    shape = (len(job.stages), job.n_queries, size)
    items, scores = np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.float32)
    for one in passes:
        items[one.places], scores[one.places] = one.found()
    found = Lists(np.where(items < 0, -1, items + start), np.where(items < 0, np.float32(0), scores))
    return (found if asked.queries.own is None else without(found, asked.queries.own, job.depth)), reached


@dataclass(frozen=True)
class _State:
    """Passes that were stopped: rows up to `reached` are done."""

    reached: int
    items: npt.NDArray[np.int64]
    scores: Scores


def all_stages(
    rows: Rows,
    asked: Asked,
    job: StageJob,
    *,
    state: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Lists:
    """The lists of all rows, `stream_stages` by one process that can be stopped.

    `state` : a file to keep what is done in, every minute; the same passes begin where they ended.

    Raises
    ------
    As `stream_stages`. StoreError : the disk refuses.
    """
    found, reached = None, 0
    kept = None if state is None else read_result(_State, state, key=job.key)
    if kept is not None:
        found, reached = Lists(kept.items, kept.scores), kept.reached
    while reached < job.n_rows:
        # A walk counts its rows in 31 bits.
        stop = min(job.n_rows, reached + MOST_ROWS // job.height * job.height)
        here, reached = _stretch(rows, asked, job, reached, stop, progress, None if state is None else KEEP_S)
        found = here if found is None else merged_stages([found, here], job.depth)
        if state is not None and reached < job.n_rows:
            with disk_errors(state):
                state.parent.mkdir(parents=True, exist_ok=True)
                write_result(_State(reached, found.items, found.similarities), state, key=job.key)
    assert found is not None
    return found


def stage_file(folder: Path, job: StageJob, start: int, stop: int) -> Path:
    """Where the lists of rows start to stop go; those of another job have another name."""
    return folder / f"plans-{job.key}-{start}-{stop}.npz"


def write_stages(folder: Path, job: StageJob, start: int, stop: int, lists: Lists) -> None:
    """Write the lists of a slice, whole or not at all.

    Raises
    ------
    StoreError : the disk refuses.
    """
    file = stage_file(folder, job, start, stop)
    with disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_result(lists, file, key=f"{job.key} {start} {stop}")


def read_stages(folder: Path, job: StageJob, start: int, stop: int) -> Lists | None:
    """The lists of a slice; None where they are not there, or torn."""
    return read_result(Lists, stage_file(folder, job, start, stop), key=f"{job.key} {start} {stop}")


def merged_stages(parts: Sequence[Lists], depth: int) -> Lists:
    """`merged`, one stage after the other: ordering takes twice the memory of what is ordered."""
    done = [
        merged([Lists(part.items[at : at + 1], part.similarities[at : at + 1]) for part in parts], depth)
        for at in range(len(parts[0].items))
    ]
    return Lists(np.concatenate([one.items for one in done]), np.concatenate([one.similarities for one in done]))


class _Pass(ABC):
    """A way down the rows. `places` : of its stages among those of the job."""

    places: list[int]

    @abstractmethod
    def over(self, block: FloatMatrix, start: int) -> None:
        """The next rows, the first of which is row `start` of the slice."""

    @abstractmethod
    def found(self) -> tuple[npt.NDArray[np.integer], Scores]:
        """Rows of the slice and scores so far, (n_places, n_queries, size); -1 where there are fewer."""


def _passes(asked: Asked, job: StageJob, size: int, n_rows: int) -> list[_Pass]:
    """A pass for all exact stages, and one for each code."""
    exact = sorted((dim, place) for place, (dim, dtype) in enumerate(job.stages) if dtype == "float32")
    passes: list[_Pass] = [_Exact(asked, exact, size, n_rows)] if exact else []
    for place, (dim, dtype) in enumerate(job.stages):
        if dtype in DTYPES and dtype != "float32":
            passes.append(_Coded(asked, place, dim, dtype, size, n_rows, job.is_cosine))
        elif dtype != "float32" and has_vectors(dtype):
            passes.append(_Decoded(asked, place, dim, dtype, size, n_rows, job.is_cosine))
        elif dtype != "float32":
            passes.append(_Scored(asked, place, dim, dtype, size))
    return passes


class _Exact(_Pass):
    """float32 at all widths by one walk; scores are not divided by the norm of their query, which orders nothing."""

    def __init__(self, asked: Asked, exact: list[tuple[int, int]], size: int, n_rows: int) -> None:
        self.places = [place for _, place in exact]
        dims = tuple(dim for dim, _ in exact)
        self.walk = Walk(asked.queries.matrix, dims, size, n_rows, False, is_slice=True)

    def over(self, block: FloatMatrix, start: int) -> None:
        self.walk.over(block, start)

    def found(self) -> tuple[npt.NDArray[np.integer], Scores]:
        return self.walk.items, self.walk.scores


class _PlainWalk(Walk):
    """Dot products with rows as they are: what codes stand for has the length it has."""

    def block_norms(self, start: int) -> npt.NDArray[np.float32]:
        return np.ones((len(self.lows), len(self.corpus[start : start + BLOCK])), dtype=np.float32)


class _Coded(_Pass):
    """One of our own codes, scored as what it decodes to, in the space of the codes."""

    def __init__(self, asked: Asked, place: int, dim: int, dtype: str, size: int, n_rows: int, is_cosine: bool) -> None:
        self.places = [place]
        self.quantizer = fit_quantizer(asked.sample, dim, dtype)
        queries = truncate_and_normalize(asked.queries.matrix, dim).astype(np.float32, copy=False)
        turned = np.ascontiguousarray(self.quantizer.turned(queries), dtype=np.float32)
        if self.quantizer.kind == "binary":
            turned = _exact_in_sums(turned)
        self.walk = (Walk if is_cosine else _PlainWalk)(turned, (dim,), size, n_rows, False, is_slice=True)

    def over(self, block: FloatMatrix, start: int) -> None:
        values = self.quantizer.values(self.quantizer.encode(block))
        if self.quantizer.kind == "binary":
            values = np.sign(values)
        self.walk.over(np.ascontiguousarray(values, dtype=np.float32), start)

    def found(self) -> tuple[npt.NDArray[np.integer], Scores]:
        return self.walk.items, self.walk.scores


def _exact_in_sums(queries: Scores) -> Scores:
    """Queries rounded so far, about 1e-7 of a score, that float32 adds up their coordinates without any rounding.

    Of bits thousands of rows are equal; whatever the order they are added up in, their scores are, and the lower row
    comes first.
    """
    largest = np.abs(queries).sum(axis=1, keepdims=True, dtype=np.float64)
    grid = 2.0 ** (np.ceil(np.log2(np.where(largest > 0, largest, 1))) - 23)
    return np.ascontiguousarray(np.rint(queries / grid) * grid, dtype=np.float32)


class _Decoded(_Pass):
    """A code of faiss that can be decoded, scored as that."""

    def __init__(self, asked: Asked, place: int, dim: int, dtype: str, size: int, n_rows: int, is_cosine: bool) -> None:
        self.places = [place]
        self.codes = FaissCodes(asked.sample, dim, dtype, calibration=asked.sample)
        queries = truncate_and_normalize(asked.queries.matrix, dim).astype(np.float32, copy=False)
        asking = np.ascontiguousarray(queries)
        self.walk = (Walk if is_cosine else _PlainWalk)(asking, (dim,), size, n_rows, False, is_slice=True)

    def over(self, block: FloatMatrix, start: int) -> None:
        self.codes.refill(block)
        self.walk.over(np.ascontiguousarray(self.codes.decoded(), dtype=np.float32), start)

    def found(self) -> tuple[npt.NDArray[np.integer], Scores]:
        return self.walk.items, self.walk.scores


class _Scored(_Pass):
    """A code of faiss that only has scores: the best of every block by faiss, put together."""

    def __init__(self, asked: Asked, place: int, dim: int, dtype: str, size: int) -> None:
        self.places, self.size, self.queries = [place], size, asked.queries.matrix
        self.codes = FaissCodes(asked.sample, dim, dtype, calibration=asked.sample)
        self.lists: Lists | None = None

    def over(self, block: FloatMatrix, start: int) -> None:
        self.codes.refill(block)
        best = self.codes.search(self.queries, min(self.size, len(block)))
        here = Lists(best.indices.astype(np.int64)[None] + start, best.similarities[None])
        self.lists = here if self.lists is None else merged([self.lists, here], self.size)

    def found(self) -> tuple[npt.NDArray[np.integer], Scores]:
        lists = self.lists
        if lists is None:
            raise InvalidInputError("no rows were read; give at least one.")
        return lists.items, lists.similarities
