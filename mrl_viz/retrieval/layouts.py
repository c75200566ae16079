"""Vectors on a disk by rows and by columns: how many bytes a search at the first m coordinates has to read of each."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import DimensionError
from mrl_viz.files import disk_errors
from mrl_viz.measures.lists import nearest_level
from mrl_viz.result import ByWidth
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.progressive import ProgressiveIndex
from mrl_viz.sweep.cosines import as_float32
from mrl_viz.truncation import FloatMatrix, check_count, check_dims

# What a disk gives at once; who wants one number of it gets all.
BLOCK = 4096
NUMBER = 4
# Columns that the app's own store keeps together.
CHUNK = 64
# As many bytes are read in one piece.
READ_AT_ONCE = 1 << 20


class RowFile:
    """Vectors one after the other in one file, as `numpy.save` and most stores write them.

    Parameters
    ----------
    path : a file that `RowFile.write` wrote
    n_items, full_dim : its shape

    `bytes_read` : what was read so far, in whole blocks of 4,096 bytes.
    """

    def __init__(self, path: Path, n_items: int, full_dim: int) -> None:
        self.path, self.n_items, self.full_dim, self.bytes_read = path, n_items, full_dim, 0

    @classmethod
    def write(cls, path: Path, embeddings: npt.ArrayLike) -> RowFile:
        """The file with these vectors, float32; StoreError where the disk refuses."""
        rows = as_float32(embeddings, "embeddings")
        with disk_errors(path):
            path.write_bytes(np.ascontiguousarray(rows, dtype="<f4").data)
        return cls(path, *rows.shape)

    def read(self, low: int, high: int) -> FloatMatrix:
        """The coordinates `low` to `high` of every vector, shape (n_items, high - low), float32.

        Reads every block that holds one of them, each once, and those between two of them that are not apart.

        Raises
        ------
        DimensionError : no such coordinates. StoreError : the disk refuses.
        """
        _check_span(low, high, self.full_dim)
        starts = (np.arange(self.n_items) * self.full_dim + low) * NUMBER
        firsts, lasts = starts // BLOCK, (starts + (high - low) * NUMBER - 1) // BLOCK
        # Rows whose blocks touch are read in one piece.
        breaks = np.flatnonzero(firsts[1:] > lasts[:-1] + 1) + 1
        block = np.empty((self.n_items, high - low), dtype=np.float32)
        with disk_errors(self.path, doing="read"), self.path.open("rb", buffering=0) as file:
            for rows in np.split(np.arange(self.n_items), breaks):
                offset = int(firsts[rows[0]]) * BLOCK
                content = self._piece(file, offset, (int(lasts[rows[-1]]) + 1) * BLOCK - offset)
                numbers = np.frombuffer(content, dtype="<f4", count=len(content) // NUMBER)
                places = (starts[rows] - offset) // NUMBER
                block[rows] = numbers[places[:, None] + np.arange(high - low)]
        return block

    def _piece(self, file: Any, offset: int, size: int) -> bytes:
        file.seek(offset)
        parts, left = [], size
        while left and (part := file.read(min(left, READ_AT_ONCE))):
            parts.append(part)
            left -= len(part)
        content = b"".join(parts)
        self.bytes_read += len(content)
        return content


class ColumnFiles:
    """Vectors cut into chunks of columns, a file each: the first coordinates are read without the others.

    A source of columns for `ProgressiveIndex`.

    Parameters
    ----------
    folder : one that `ColumnFiles.write` filled
    n_items : rows
    edges : where a chunk begins or ends, rising from 0 to the full width

    `bytes_read` : the sizes of the files read so far; each is read once.
    """

    def __init__(self, folder: Path, n_items: int, edges: tuple[int, ...]) -> None:
        self.folder, self.n_items, self.edges = folder, n_items, edges
        self.full_dim, self.bytes_read = edges[-1], 0
        self._held: dict[int, FloatMatrix] = {}

    @classmethod
    def write(cls, folder: Path, embeddings: npt.ArrayLike, edges: Iterable[int]) -> ColumnFiles:
        """The files of these vectors, float32, cut at `edges`; DimensionError for an edge that is no width,
        StoreError where the disk refuses."""
        rows = as_float32(embeddings, "embeddings")
        cuts = (0, *check_dims((*edges, rows.shape[1]), rows.shape[1]))
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for low, high in pairwise(cuts):
                _file(folder, low).write_bytes(np.ascontiguousarray(rows[:, low:high], dtype="<f4").data)
        return cls(folder, len(rows), cuts)

    def read(self, low: int, high: int) -> FloatMatrix:
        """The coordinates `low` to `high` of every vector, shape (n_items, high - low), float32.

        Raises
        ------
        DimensionError : no such coordinates. StoreError : a file is gone or damaged.
        """
        _check_span(low, high, self.full_dim)
        parts = []
        for start, stop in pairwise(self.edges):
            if start < high and stop > low:
                chunk = self._chunk(start, stop)
                parts.append(chunk[:, max(low - start, 0) : high - start])
                if high >= stop:
                    del self._held[start]
        return np.concatenate(parts, axis=1)

    def _chunk(self, start: int, stop: int) -> FloatMatrix:
        """One file's columns; held until the last of them was asked for."""
        if start not in self._held:
            path = _file(self.folder, start)
            with disk_errors(path, doing="read", also=(ValueError,)):
                content = path.read_bytes()
                self._held[start] = np.frombuffer(content, dtype="<f4").reshape(self.n_items, stop - start)
            self.bytes_read += len(content)
        return self._held[start]


def _file(folder: Path, start: int) -> Path:
    return folder / f"columns_{start:05}.f32"


def _check_span(low: int, high: int, full_dim: int) -> None:
    if not 0 <= low < high <= full_dim:
        raise DimensionError(f"`low`, `high` are {low}, {high}; choose a span of coordinates within 0 to {full_dim}.")


@dataclass(frozen=True)
class LayoutReads(ByWidth):
    """Bytes that were read from a disk for a search at each width, with nothing read before.

    Per width of `dims`: `by_rows` : from one file of whole vectors, in blocks of 4,096 bytes. `by_chunks` : from a file
    for every `chunk` columns. `by_widths` : from a file for every span between two of `dims`. `needed` : n_items x
    width x 4. `rows_ms`, `widths_ms` : measured, milliseconds, of the first and the third; files just written come
    from memory, not from the disk.
    """

    _columns = ("needed", "by_rows", "by_chunks", "by_widths", "rows_ms", "widths_ms")

    dims: tuple[int, ...]
    n_items: int
    chunk: int
    needed: tuple[int, ...]
    by_rows: tuple[int, ...]
    by_chunks: tuple[int, ...]
    by_widths: tuple[int, ...]
    rows_ms: tuple[float, ...]
    widths_ms: tuple[float, ...]

    def takeaway_at(self, dim: int) -> str:
        """One sentence about the width nearest to one."""
        level = nearest_level(self.dims, dim)
        less = self.by_rows[level] / self.by_widths[level]
        return (
            f"A search at {self.dims[level]} of {self.dims[-1]} dims reads {said_bytes(self.by_widths[level])} of "
            f"{self.n_items:,} vectors stored by columns and {said_bytes(self.by_rows[level])} stored by rows, "
            f"{less:.1f} times as much."
        )

    def takeaway(self) -> str:
        return self.takeaway_at(self.dims[0])


def said_bytes(size: float) -> str:
    """A number of bytes with its unit, in powers of 1,000."""
    units = ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.0f} {units[0]}" if size >= 100 or units[0] == "bytes" else f"{size:.1f} {units[0]}"


def layout_reads(embeddings: npt.ArrayLike, dims: Iterable[int], *, chunk: int = CHUNK) -> LayoutReads:
    """What a search at each width reads of vectors stored by rows and by columns: written to a temporary folder, read.

    Parameters
    ----------
    embeddings : array_like of shape (n_items, full_dim)
    dims : widths; `full_dim` is always added
    chunk : columns kept together in the second layout, 1 or more

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError, InvalidInputError : unusable arguments. StoreError : the disk refuses.

    Source: own definition.
    """
    rows = as_float32(embeddings, "embeddings")
    n_items, full_dim = rows.shape
    widths = check_dims((*dims, full_dim), full_dim)
    check_count("chunk", chunk)
    found: dict[str, list[float]] = {name: [] for name in ("rows", "chunks", "widths", "rows_ms", "widths_ms")}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        by_rows = RowFile.write(home / "rows.f32", rows)
        edges = {"chunks": range(chunk, full_dim, chunk), "widths": widths}
        files = {name: ColumnFiles.write(home / name, rows, cuts) for name, cuts in edges.items()}
        for dim in widths:
            before, started = by_rows.bytes_read, perf_counter()
            PrefixIndex(by_rows.read(0, dim), [dim]).search(rows[0, :dim], 1)
            found["rows_ms"].append((perf_counter() - started) * 1e3)
            found["rows"].append(by_rows.bytes_read - before)
            for name, written in files.items():
                fresh = ColumnFiles(written.folder, n_items, written.edges)
                index, started = ProgressiveIndex(fresh, widths), perf_counter()
                index.search(rows[0], 1, dim=dim)
                if name == "widths":
                    found["widths_ms"].append((perf_counter() - started) * 1e3)
                found[name].append(fresh.bytes_read)
    return LayoutReads(
        widths, n_items, chunk, needed=tuple(n_items * dim * NUMBER for dim in widths),
        by_rows=tuple(map(int, found["rows"])), by_chunks=tuple(map(int, found["chunks"])),
        by_widths=tuple(map(int, found["widths"])),
        rows_ms=tuple(found["rows_ms"]), widths_ms=tuple(found["widths_ms"]),
    )  # fmt: skip
