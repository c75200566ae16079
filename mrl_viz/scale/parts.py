"""Sweeps of slices as files, one a slice, that any machine may have made; and the whole from them.

A part is an .npz of three arrays beside a header that says what it is of, written aside and then renamed; a torn one
fails its checksums. Parts need nothing of each other, so whatever runs commands can make them.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mrl_viz.errors import DataFormatError, EmptyInputError, InvalidInputError
from mrl_viz.files import disk_errors, replaced_file
from mrl_viz.scale.lists import Lists, merged
from mrl_viz.scale.streaming import Job, slice_of

# Of the file; another one is refused.
VERSION = 2
# Parts put together at a time: lists of so many in memory.
FAN_IN = 32
DAMAGE = (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Part:
    """A part's file, and what its header says: rows `start` to `stop` of a job."""

    file: Path
    job: Job
    start: int
    stop: int


def part_file(folder: Path, index: int, count: int) -> Path:
    """Where slice `index` of `count` goes."""
    return folder / f"part-{index:0{len(str(count))}d}-of-{count}.npz"


def write_part(file: Path, job: Job, start: int, stop: int, lists: Lists) -> None:
    """Write the lists of a slice, whole or not at all.

    Raises
    ------
    StoreError : the disk refuses.
    """
    header = json.dumps({"version": VERSION, "start": start, "stop": stop, "job": asdict(job)})
    arrays: dict[str, Any] = {"items": lists.items, "scores": lists.scores} | (
        {} if lists.norms is None else {"norms": lists.norms}
    )
    with disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with replaced_file(file, is_shared=True) as aside, aside.open("wb") as content:
            np.savez(content, allow_pickle=False, header=np.array(header), **arrays)


def read_header(file: Path) -> Part:
    """What a part is of.

    Raises
    ------
    DataFormatError : torn, or no part of this version. StoreError : the disk refuses.
    """
    with disk_errors(file, "make it readable", doing="read"):
        try:
            with file.open("rb") as content, np.load(content, allow_pickle=False) as saved:
                header = json.loads(str(saved["header"]))
            if header["version"] != VERSION:
                raise DataFormatError(
                    f"`{file.name}` is a part of version {header['version']}, and this reads {VERSION}; "
                    "use one version of mrl_viz for all parts."
                )
            given = {field.name: header["job"][field.name] for field in fields(Job)}
            return Part(file, Job(**given | {"dims": tuple(given["dims"])}), header["start"], header["stop"])
        except DAMAGE as error:
            raise DataFormatError(f"`{file.name}` is torn or no part; remove it and make that slice again.") from error


def is_done(file: Path, job: Job, start: int, stop: int) -> bool:
    """Whether the part is there already, whole and of this very slice.

    Raises
    ------
    InvalidInputError : a part of another job has its place.
    """
    if not file.exists():
        return False
    try:
        found = read_header(file)
        read_lists(found)
    except DataFormatError:
        return False  # torn: it is made again
    if (found.job, found.start, found.stop) != (job, start, stop):
        raise InvalidInputError(f"`{file}` is a part of {_difference(found.job, job)}; choose another folder.")
    return True


def merge_parts(folder: str | Path) -> tuple[Job, Lists]:
    """The lists of the whole from all parts in a folder: exactly those of one sweep over everything.

    A slice that is there twice counts once.

    Raises
    ------
    EmptyInputError : no parts. InvalidInputError : parts of different jobs or divisions, or missing slices, named.
    DataFormatError : a torn part, named. StoreError : the disk refuses.
    """
    path = Path(folder)
    with disk_errors(path, "make it readable", doing="read"):
        files = sorted(path.glob("*.npz"))
    if not files:
        raise EmptyInputError(f"`{folder}` has no parts (.npz); give the folder of `sweep --shard … --out`.")
    parts = [read_header(file) for file in files]
    job = parts[0].job
    for part in parts[1:]:
        if part.job != job:
            raise InvalidInputError(
                f"`{part.file.name}` is a part of {_difference(part.job, job)} than `{parts[0].file.name}`; "
                "keep parts of one sweep in one folder."
            )
    _check_division(parts)
    if missing := _missing(parts):
        raise InvalidInputError(f"`{folder}` lacks {_named(missing, parts)}; make what is missing, then merge again.")
    level: list[Any] = parts
    while len(level) > 1 or isinstance(level[0], Part):
        level = [
            merged([read_lists(one) if isinstance(one, Part) else one for one in level[first : first + FAN_IN]], job.k)
            for first in range(0, len(level), FAN_IN)
        ]
    return job, level[0]


def read_lists(part: Part) -> Lists:
    """The lists in a part.

    Raises
    ------
    DataFormatError : torn. StoreError : the disk refuses.
    """
    shape = (len(part.job.dims), part.job.n_queries)
    with disk_errors(part.file, "make it readable", doing="read"):
        try:
            with part.file.open("rb") as content, np.load(content, allow_pickle=False) as saved:
                norms = saved.get("norms")
                lists = Lists(saved["items"], saved["scores"], norms)
            if lists.items.shape[:2] != shape or lists.items.shape != lists.scores.shape:
                raise ValueError
            if norms is not None and (norms.shape != shape or norms.dtype != np.float32):
                raise ValueError
            if lists.items.dtype != np.int64 or lists.scores.dtype != np.float32:
                raise ValueError
        except DAMAGE as error:
            raise DataFormatError(
                f"`{part.file.name}` is torn; remove it and make rows {part.start:,} to {part.stop:,} again."
            ) from error
    return lists


def _check_division(parts: Sequence[Part]) -> None:
    """Slices are the same or apart; others are of two divisions, and one of them was not meant."""
    ordered = sorted(parts, key=lambda part: (part.start, part.stop))
    for one, other in pairwise(ordered):
        if other.start < one.stop and (one.start, one.stop) != (other.start, other.stop):
            raise InvalidInputError(
                f"`{one.file.name}` has rows {one.start:,} to {one.stop:,} and `{other.file.name}` rows "
                f"{other.start:,} to {other.stop:,}: slices of two divisions; keep those of one."
            )


def _missing(parts: Sequence[Part]) -> list[tuple[int, int]]:
    """Stretches of rows that no part has."""
    found, reached = [], 0
    for start, stop in sorted((part.start, part.stop) for part in parts):
        if start > reached:
            found.append((reached, start))
        reached = max(reached, stop)
    if reached < parts[0].job.n_rows:
        found.append((reached, parts[0].job.n_rows))
    return found


def _named(missing: Sequence[tuple[int, int]], parts: Sequence[Part]) -> str:
    """Missing rows, and as which slices they can be made, where the parts there are are slices of one count."""
    said = ", ".join(f"rows {start:,} to {stop:,}" for start, stop in missing[:3])
    more = f" and {len(missing) - 3} more stretches" if len(missing) > 3 else ""
    n_rows, counts = parts[0].job.n_rows, {part.file.stem.rpartition("-of-")[2] for part in parts}
    if len(counts) == 1 and (count := counts.pop()).isdigit():
        slices = [
            f"{index}/{count}"
            for index in range(1, int(count) + 1)
            if any(start <= slice_of(n_rows, index, int(count))[0] < stop for start, stop in missing)
        ]
        return f"{said}{more} (--shard {', '.join(slices[:8])}{' …' if len(slices) > 8 else ''})"
    return said + more


def _difference(job: Job, other: Job) -> str:
    """In what two jobs differ, in words."""
    words = {
        "source": "another source", "n_rows": "a source of another size", "full_dim": "vectors of another width",
        "queries": "other queries", "n_queries": "another number of queries", "own": "queries that are other rows",
        "dims": "other widths", "k": "another k",
    }  # fmt: skip
    return next(words[field.name] for field in fields(Job) if getattr(job, field.name) != getattr(other, field.name))
