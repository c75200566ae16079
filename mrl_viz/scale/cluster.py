"""The same parts made by a Dask cluster: a task a slice, on this machine's processes or on many machines.

A task opens the source by its path, writes a part and returns where it is; parts that are there already are not made
again. So a worker, the scheduler or the program that waits may die: what was in flight is made anew, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mrl_viz.errors import InvalidInputError, MrlVizError, OptionalDependencyError, StoreError
from mrl_viz.scale.addresses import place_of
from mrl_viz.scale.embedding import SHARD_ROWS, Embedding, embed_file
from mrl_viz.scale.lists import Lists, merged
from mrl_viz.scale.parts import is_done, part_file, read_header, read_lists, write_part
from mrl_viz.scale.rows import Rows, open_rows
from mrl_viz.scale.stages import Asked, StageJob, merged_stages, read_stages, stream_stages, write_stages
from mrl_viz.scale.streaming import Job, Queries, slice_of, stream_slice
from mrl_viz.scale.texts import TextFile
from mrl_viz.sweep.fused import TILE

# Rows of a task: seconds of work, and little of it lost with a worker.
TASK_ROWS, MOST_TASKS = 200_000, 10_000
# Of a task that makes the lists of plans: their parts are large, so fewer of them.
STAGE_ROWS = 500_000
# Parts that a task of the tree puts together.
FAN_IN = 8
RETRIES = 3
# Until a scheduler has to answer.
TIMEOUT_S = 10
# Of a worker on this machine: blocks of rows, twice, and what the packages take.
WORKER_MEMORY = "2GiB"
ADVICE = "start `dask scheduler` and workers, or say `local`"


@contextmanager
def cluster_at(address: str) -> Iterator[Any]:
    """A client of the cluster at `address`: "local", "local:N" for N processes of this machine, or tcp://host:port.

    Raises
    ------
    OptionalDependencyError : Dask's `distributed` is not installed. InvalidInputError : an address of another form, no
    scheduler there, or workers with another version of this package.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise OptionalDependencyError(
            "`--cluster` needs Dask's distributed; pip install 'mrl_viz[cluster]'."
        ) from error
    kind, _, number = address.partition(":")
    if kind == "local":
        if number and not (number.isdigit() and int(number) > 0):
            raise InvalidInputError(f"`--cluster` is {address!r}; write local:2 for two processes.")
        with (
            LocalCluster(
                n_workers=int(number) if number else None, threads_per_worker=1, memory_limit=WORKER_MEMORY,
                dashboard_address=None, silence_logs=50,
            ) as cluster,
            Client(cluster) as client,
        ):  # fmt: skip
            yield client
        return
    try:
        client = Client(address, timeout=TIMEOUT_S)
    except (OSError, TimeoutError) as error:
        raise InvalidInputError(
            f"`--cluster` finds no scheduler at {address} within {TIMEOUT_S} s; {ADVICE}."
        ) from error
    except ValueError as error:
        raise InvalidInputError(f"`--cluster` is {address!r}; write local, local:2 or tcp://host:8786.") from error
    with client:
        if not client.scheduler_info()["workers"]:
            raise InvalidInputError(f"`--cluster` has no workers at {address}; {ADVICE}.")
        yield client


def sweep_on(
    client: Any,
    source: str,
    queries: Queries,
    job: Job,
    folder: Path,
    *,
    n_slices: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Lists:
    """The lists of all rows, made by the workers of a cluster as parts in a folder that all of them see.

    Parameters
    ----------
    client : as `cluster_at` gives it
    source : path or address of the rows, the same for all workers; a store's credentials are in their environment
    folder : for the parts; those of the same job that are there already are kept
    n_slices : tasks; by default one for every 200,000 rows
    progress : called with (slices done, slices in all)

    Returns
    -------
    Lists : exactly those of one process.

    Raises
    ------
    InvalidInputError : parts of another job in the folder, or a worker with another version of this package.
    Others : as `stream_slice`.
    """
    most = -(-job.n_rows // TILE)
    count = min(n_slices or max(1, round(job.n_rows / TASK_ROWS)), MOST_TASKS, most)
    files = _by_tree(client, source, queries, job, folder, count, _make_part, _merge, progress)
    found = merged([read_lists(read_header(Path(file))) for file in files], job.k)
    for file in (folder / MERGED).glob("*.npz"):
        file.unlink(missing_ok=True)
    return found


MERGED = "merged"


def _by_tree(
    client: Any, source: str, asked: Queries | Asked, job: Job | StageJob, folder: Path, count: int,
    make: Callable[..., Any], merge: Callable[..., Any], progress: Callable[[int, int], None] | None,
) -> list[Any]:  # fmt: skip
    """What `make` returns for every slice, put together by `merge`, eight at a time, until eight or fewer are left."""
    from distributed import as_completed

    given = client.scatter(asked, broadcast=True, hash=False)
    level = [
        client.submit(make, source, given, job, index, count, str(folder), _version(), retries=RETRIES, pure=False)
        for index in range(1, count + 1)
    ]
    for n_done, future in enumerate(as_completed(level), start=1):
        _result(future)
        if progress:
            progress(n_done, count)
    while len(level) > FAN_IN:
        level = [
            client.submit(merge, level[first : first + FAN_IN], job, str(folder), retries=RETRIES, pure=False)
            for first in range(0, len(level), FAN_IN)
        ]
    return [_result(future) for future in level]


def _make_part(source: str, queries: Queries, job: Job, index: int, count: int, folder: str, wanted: str) -> str:
    """One slice's part, unless it is there; where it is."""
    _check_version(wanted)
    start, stop = slice_of(job.n_rows, index, count)
    file = part_file(Path(folder), index, count)
    if not is_done(file, job, start, stop):
        write_part(file, job, start, stop, stream_slice(_the_source(source, job), queries, job, start, stop))
    return str(file)


def _merge(files: Sequence[str], job: Job, folder: str) -> str:
    """A few parts as one, beside them."""
    parts = [read_header(Path(file)) for file in files]
    first, last = parts[0], parts[-1]
    target = Path(folder) / MERGED / f"{first.start}-{last.stop}.npz"
    if not is_done(target, first.job, first.start, last.stop):
        write_part(target, first.job, first.start, last.stop, merged([read_lists(part) for part in parts], job.k))
    return str(target)


def stages_on(
    client: Any,
    source: str,
    asked: Asked,
    job: StageJob,
    folder: Path,
    *,
    n_slices: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Lists:
    """The lists of plans' first passes over all rows, made by the workers of a cluster as `sweep_on` makes a sweep's.

    Parameters
    ----------
    client, source, folder, progress : as in `sweep_on`
    n_slices : tasks; by default one for every 500,000 rows

    Returns
    -------
    Lists : exactly those of `all_stages` by one process.

    Raises
    ------
    InvalidInputError : a worker with another version of this package, or that sees another source.
    StoreError : a part that is gone when it is read. Others : as `stream_stages`.
    """
    count = min(n_slices or max(1, round(job.n_rows / STAGE_ROWS)), MOST_TASKS, job.n_blocks)
    parts = _by_tree(client, source, asked, job, folder, count, _make_stages, _merge_stages, progress)
    found = _put_together(parts, job, folder)
    for file in (folder / MERGED).glob(f"*{job.key}*.npz"):
        file.unlink(missing_ok=True)
    return found


def _make_stages(
    source: str, asked: Asked, job: StageJob, index: int, count: int, folder: str, wanted: str
) -> tuple[str, int, int]:
    """One slice's lists, unless they are there; where they are, and of which rows."""
    _check_version(wanted)
    start, stop = job.slice_of(index, count)
    if read_stages(Path(folder), job, start, stop) is None:
        lists = stream_stages(_the_source(source, job), asked, job, start, stop)
        write_stages(Path(folder), job, start, stop, lists)
    return folder, start, stop


def _merge_stages(parts: Sequence[tuple[str, int, int]], job: StageJob, folder: str) -> tuple[str, int, int]:
    """A few parts as one, in a folder beside them."""
    target, start, stop = Path(folder) / MERGED, parts[0][1], parts[-1][2]
    if read_stages(target, job, start, stop) is None:
        write_stages(target, job, start, stop, _put_together(parts, job, Path(folder)))
    return str(target), start, stop


def _put_together(parts: Sequence[tuple[str, int, int]], job: StageJob, folder: Path) -> Lists:
    """Parts, of which no more than two are in memory."""
    found: Lists | None = None
    for at, start, stop in parts:
        part = read_stages(Path(at), job, start, stop)
        if part is None:
            raise StoreError(f"`{folder}` lost rows {start:,} to {stop:,} while they were read; start again.")
        found = part if found is None else merged_stages([found, part], job.depth)
    if found is None:
        raise StoreError(f"`{folder}` has no parts; start again.")
    return found


def _result(future: Any) -> Any:
    """What a task gave; an error of ours as it is, another one, or a worker lost again and again, as a sentence."""
    try:
        return future.result()
    except MrlVizError:
        raise
    except Exception as error:
        raise StoreError(f"the cluster gave a slice up ({error}); finished parts are kept, so start again.") from error


def _version() -> str:
    return version("mrl_viz")


def _the_source(source: str, job: Job | StageJob) -> Rows:
    """A worker's view of the rows; other rows of the same shape, such as last month's, are another source."""
    rows = open_rows(source)
    if (rows.n_rows, rows.full_dim) != (job.n_rows, job.full_dim) or rows.fingerprint() != job.source:
        raise InvalidInputError(f"`{source}` is another one on a worker; let all workers see the same.")
    return rows


def _check_version(wanted: str) -> None:
    if _version() != wanted:
        raise InvalidInputError(
            f"a worker has mrl_viz {_version()} and this program {wanted}; install one version everywhere."
        )


def embed_on(
    client: Any,
    source: str,
    column: str | None,
    model: str,
    out: str,
    *,
    dtype: str = "float32",
    trust_remote_code: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Embedding:
    """A file of texts embedded by the workers of a cluster into an array that all of them see: one task a shard-file.

    Returns
    -------
    Embedding : of all rows.

    Raises
    ------
    As `embed_file`; InvalidInputError : a worker with another version of this package.
    """
    from distributed import as_completed

    n_rows = TextFile(source, column).count()
    count = min(-(-n_rows // SHARD_ROWS), MOST_TASKS)
    given = source, column, model, out, _version()
    # One makes the array before many write to it.
    made = [_result(client.submit(_embed_slice, *given, 1, count, dtype, trust_remote_code, pure=False))]
    tasks = [
        client.submit(_embed_slice, *given, index, count, dtype, trust_remote_code, retries=RETRIES, pure=False)
        for index in range(2, count + 1)
    ]
    for future in as_completed(tasks):
        made.append(_result(future))
        if progress:
            progress(len(made), count)
    n_made, n_empty = sum(one.n_made for one in made), sum(one.n_empty for one in made)
    return Embedding(n_rows, made[0].full_dim, 0, n_rows, n_made, n_empty)


def _embed_slice(
    source: str, column: str | None, model: str, out: str, wanted: str, index: int, count: int, dtype: Any, trust: bool
) -> Embedding:
    _check_version(wanted)
    place, encoder = place_of(out), _encoder(model, trust)
    return embed_file(TextFile(source, column), encoder, place, index=index, count=count, dtype=dtype)


@lru_cache(maxsize=1)
def _encoder(model: str, trust: bool) -> Any:
    """A worker loads its model once."""
    from mrl_viz.embedding.encoders import load_encoder

    return load_encoder(model, trust_remote_code=trust)
