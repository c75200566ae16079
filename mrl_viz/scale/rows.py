"""Vectors on a disk or in a store, read a stretch at a time: .npy, Zarr, parquet with lists, folders of these."""

from __future__ import annotations

import bisect
import io
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from mrl_viz.data.vectors import VECTORS
from mrl_viz.errors import DataFormatError, EmptyInputError, MrlVizError, ShapeError, StoreError
from mrl_viz.fingerprint import fingerprint
from mrl_viz.scale.addresses import Address, is_address, place_of, refusals, zarr_store
from mrl_viz.sweep.cosines import as_float32
from mrl_viz.truncation import FloatMatrix, Ints

SUFFIXES = (".npy", ".zarr", ".parquet")
# Rows that stand for all in a source's fingerprint: reading ten million would take as long as sweeping them.
FINGERPRINT_ROWS = 64
# Zarr keeps an array's shape in one of these, version 3 or 2.
ZARR_FILES = ("zarr.json", ".zarray")
FLOATS = "float16, float32 or float64"
# An object store takes long to answer and answers many at once.
STORE_READERS = 16
# The header of a .npy file is shorter.
HEADER_BYTES = 1 << 16


class Rows(ABC):
    """A matrix of vectors of shape (n_rows, full_dim) that is read in stretches.

    `name` : as its reader typed it. `n_rows`, `full_dim` : its shape. `dtype` : of a number as it is kept.
    `n_readers` : single rows that are read at once.
    """

    name: str
    n_rows: int
    full_dim: int
    dtype: np.dtype[Any]
    n_readers: int = 1

    @abstractmethod
    def stretch(self, start: int, stop: int) -> Any:
        """Rows start to stop as they are kept, shape (stop - start, full_dim)."""

    def read(self, start: int, stop: int) -> FloatMatrix:
        """Rows start to stop as a checked float32 matrix.

        Raises
        ------
        ShapeError : NaN, infinities or ragged rows, with the rows named. StoreError : the disk refuses.
        DataFormatError : what is there is no longer what it was.
        """
        with _disk(self.name):
            kept = self.stretch(start, stop)
        return self._checked(kept, range(start, stop))

    def _checked(self, kept: Any, items: Sequence[int] | Ints) -> FloatMatrix:
        try:
            return as_float32(kept, self.name)
        except ShapeError:
            bad = np.flatnonzero(~np.isfinite(kept).all(axis=1))
            if not len(bad):
                raise
            raise ShapeError(
                f"`{self.name}` has NaN or infinity in row {int(items[bad[0]]):,}; remove or repair that row."
            ) from None

    def take(self, items: Ints) -> FloatMatrix:
        """The rows of ascending numbers `items`, shape (n_items, full_dim), float32.

        Raises
        ------
        As `read`.
        """
        if not len(items):
            return np.empty((0, self.full_dim), dtype=np.float32)
        with _disk(self.name):
            kept = self.gather(items)
        return self._checked(kept, items)

    def gather(self, items: Ints) -> Any:
        """The rows of ascending numbers `items`, at least one, as they are kept, shape (n_items, full_dim)."""
        with ThreadPoolExecutor(self.n_readers) as readers:
            found = readers.map(lambda item: self.stretch(int(item), int(item) + 1), items)
            return np.concatenate([np.asarray(row) for row in found])

    def blocks(self, start: int, stop: int, n_rows: int) -> Iterator[tuple[int, FloatMatrix]]:
        """Rows start to stop as (first row, checked float32 rows) of `n_rows` each; the next is read meanwhile."""
        starts = range(start, stop, n_rows)
        with ThreadPoolExecutor(1) as reader:
            coming = None
            for place, first in enumerate(starts):
                now = coming or reader.submit(self.read, first, min(first + n_rows, stop))
                if place + 1 < len(starts):
                    after = starts[place + 1]
                    coming = reader.submit(self.read, after, min(after + n_rows, stop))
                yield first, now.result()

    def fingerprint(self) -> str:
        """Sixteen digits that change with the shape and with 64 rows spread over all of it."""
        items = np.unique(np.linspace(0, self.n_rows - 1, FINGERPRINT_ROWS).astype(np.int64))
        with _disk(self.name):
            kept = self.gather(items)
        return fingerprint(self.n_rows, self.full_dim, kept)


def is_rows(source: str | Path) -> bool:
    """Whether it holds vectors and nothing else: by its name, or as a folder of files with such names alone.

    A BEIR folder may hold vectors beside its texts, and is none. An address of a store is of vectors or of nothing.
    """
    if is_address(source):
        return True
    path = place_of(source)
    if path.suffix.lower() in SUFFIXES or not path.is_dir():
        return path.suffix.lower() in SUFFIXES
    names = [file.name for file in path.iterdir() if not file.name.startswith(".")]
    return bool(names) and all(Path(name).suffix.lower() in SUFFIXES for name in names)


def open_rows(source: str | Path, *, name: str | None = None) -> Rows:
    """Vectors on a disk or in an object store, of which nothing but the shape is read yet.

    Parameters
    ----------
    source : a .npy matrix; a Zarr array of two dimensions; a parquet file with a column of lists, the only one or one
        called `embedding`; or a folder of such files, one after the other by name, numbers in order. A path, or an
        address such as s3://bucket/vectors.zarr; credentials and the endpoint are the environment's
    name : what to call it in messages, where its path is nobody's business

    Raises
    ------
    DataFormatError : no such source, or not readable as what its name promises. ShapeError : no matrix of floats, or
    parts of different widths. EmptyInputError : no rows. StoreError : the disk or the store refuses.
    InvalidInputError, OptionalDependencyError : as `place_of`.
    """
    path = place_of(source)
    name = name or (str(path) if isinstance(path, Address) else str(source))
    with _disk(name):
        if not path.exists():
            why = path.why if isinstance(path, Address) else ""
            raise DataFormatError(f"`{name}` is not there{why}; give a {', '.join(SUFFIXES)} or a folder of them.")
        rows = _open(path, name)
    if not rows.n_rows or not rows.full_dim:
        raise EmptyInputError(f"`{name}` has {rows.n_rows} rows of {rows.full_dim} coordinates; give at least one.")
    return rows


def _open(path: Path | Address, name: str) -> Rows:
    suffix = path.suffix.lower()
    if path.is_dir() and (suffix == ".zarr" or any((path / file).exists() for file in ZARR_FILES)):
        return ZarrRows(path, name)
    if path.is_dir():
        return FolderRows(path, name)
    if suffix == ".npy":
        return NpyRows(path, name)
    if suffix == ".parquet":
        return ParquetRows(path, name)
    raise DataFormatError(f"`{name}` is no {', '.join(SUFFIXES)} nor a folder of them; save the vectors as one.")


@contextmanager
def _disk(name: str) -> Iterator[None]:
    """What a disk or a store refuses, as a StoreError."""
    if is_address(name):
        with refusals(name, OSError):
            yield
        return
    try:
        yield
    except OSError as error:
        raise StoreError(f"`{name}` cannot be read ({error.strerror or error}); make it readable.") from error


def _matrix(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, int]:
    """The shape of a matrix of floats."""
    if len(shape) != 2 or dtype.kind != "f" or dtype.itemsize not in (2, 4, 8):
        raise ShapeError(f"`{name}` is {dtype} of shape {shape}; save a matrix of {FLOATS}, one row a text.")
    return shape[0], shape[1]


class ArrayRows(Rows):
    """A checked matrix in memory, for what takes rows from wherever they are."""

    def __init__(self, matrix: FloatMatrix, name: str) -> None:
        self.name, self.matrix, self.dtype = name, matrix, matrix.dtype
        self.n_rows, self.full_dim = matrix.shape

    def stretch(self, start: int, stop: int) -> Any:
        return self.matrix[start:stop]

    def take(self, items: Any) -> FloatMatrix:
        return as_float32(self.matrix[np.asarray(items, dtype=np.int64)], self.name)


class NpyRows(Rows):
    """A .npy matrix, read by its place in the file, so that memory holds no more than was asked for."""

    def __init__(self, path: Path | Address, name: str) -> None:
        self.name, self.path = name, path
        if isinstance(path, Address):
            self.n_readers = STORE_READERS
        with io.BytesIO(path.read(0, HEADER_BYTES)) if isinstance(path, Address) else path.open("rb") as file:
            try:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, is_fortran, self.dtype = read(file)
            except ValueError as error:
                raise DataFormatError(f"`{name}` is no .npy file of numbers; save it with numpy.save.") from error
            self.offset = file.tell()
        self.n_rows, self.full_dim = _matrix(name, shape, self.dtype)
        if is_fortran and min(shape) > 1:
            raise ShapeError(f"`{name}` is kept column by column; save numpy.ascontiguousarray of it.")
        expected, found = self.offset + self.n_rows * self.full_dim * self.dtype.itemsize, _size(path)
        if found is not None and found < expected:
            raise DataFormatError(f"`{name}` ends after {found:,} of {expected:,} bytes; copy or write it again.")

    def stretch(self, start: int, stop: int) -> Any:
        n_numbers = (stop - start) * self.full_dim
        offset = self.offset + start * self.full_dim * self.dtype.itemsize
        if isinstance(self.path, Address):
            content = self.path.read(offset, offset + n_numbers * self.dtype.itemsize)
            found = np.frombuffer(content, self.dtype, len(content) // self.dtype.itemsize)
        else:
            found = np.fromfile(self.path, self.dtype, n_numbers, offset=offset)
        if len(found) < n_numbers:
            raise DataFormatError(f"`{self.name}` ends before row {stop:,}; copy or write it again.")
        return found.reshape(-1, self.full_dim)


def _size(path: Path | Address) -> int | None:
    return path.size() if isinstance(path, Address) else path.stat().st_size


class ZarrRows(Rows):
    """A Zarr array of two dimensions, of version 2 or 3, its chunks of any shape."""

    def __init__(self, path: Path | Address, name: str) -> None:
        import zarr

        self.name = name
        try:
            self.array = zarr.open_array(store=zarr_store(path, read_only=True), mode="r")
        except (PermissionError, MrlVizError):  # there may well be one
            raise
        except Exception as error:  # zarr has as many ways to say so as metadata can be wrong
            raise DataFormatError(f"`{name}` is no Zarr array that can be read ({type(error).__name__}).") from error
        self.dtype = np.dtype(self.array.dtype)
        self.n_rows, self.full_dim = _matrix(name, self.array.shape, self.dtype)

    def stretch(self, start: int, stop: int) -> Any:
        with self._decoding(start, stop):
            return np.asarray(self.array[start:stop])

    def gather(self, items: Ints) -> Any:
        with self._decoding(int(items[0]), int(items[-1]) + 1):
            return np.asarray(self.array.oindex[items, :])  # every chunk once

    @contextmanager
    def _decoding(self, start: int, stop: int) -> Iterator[None]:
        try:
            yield
        except (OSError, MrlVizError):
            raise
        except Exception as error:
            raise DataFormatError(
                f"`{self.name}` has a damaged chunk among rows {start:,} to {stop:,} ({error}); write it again."
            ) from error


class ParquetRows(Rows):
    """A parquet file with a column of lists of one length; a stretch reads the row groups it lies in."""

    def __init__(self, path: Path | Address, name: str) -> None:
        import pyarrow
        import pyarrow.parquet

        self.name, self.path = name, path
        with self._reading():
            try:
                self.file = pyarrow.parquet.ParquetFile(path.open() if isinstance(path, Address) else path)
            except pyarrow.ArrowInvalid as error:
                raise DataFormatError(f"`{name}` is no parquet file that can be read; write it again.") from error
        lists = [field.name for field in self.file.schema_arrow if _is_list(field.type)]
        chosen = lists[0] if len(lists) == 1 else next((column for column in VECTORS if column in lists), None)
        if chosen is None:
            raise DataFormatError(
                f"`{name}` has {len(lists)} columns of lists of floats; give one, or call it `embedding`."
            )
        self.column, metadata = chosen, self.file.metadata
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self.firsts, self.n_rows = [0, *accumulate(sizes)], sum(sizes)
        self.held: tuple[int, Any] = (-1, None)
        first = self.file.schema_arrow.field(chosen).type
        self.dtype = np.dtype(first.value_type.to_pandas_dtype())
        with self._reading():
            self.full_dim = len(next(self.file.iter_batches(1, columns=[chosen])).column(0)[0]) if self.n_rows else 0

    def _reading(self) -> AbstractContextManager[None]:
        """Around what asks a store through Arrow."""
        return refusals(self.path) if isinstance(self.path, Address) else nullcontext()

    def stretch(self, start: int, stop: int) -> Any:
        parts = []
        while start < stop:
            group = bisect.bisect_right(self.firsts, start) - 1
            first, last = self.firsts[group], min(self.firsts[group + 1], stop)
            parts.append(self._group(group)[start - first : last - first])
            start = last
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def _group(self, group: int) -> Any:
        """A row group as a matrix; the last one is kept, as stretches come in order."""
        import pyarrow

        if self.held[0] != group:
            with self._reading():
                try:
                    column = self.file.read_row_group(group, columns=[self.column]).column(0).combine_chunks()
                except pyarrow.ArrowInvalid as error:
                    raise DataFormatError(f"`{self.name}` has a damaged row group {group}; write it again.") from error
            if isinstance(column, pyarrow.ChunkedArray):
                column = pyarrow.concat_arrays(column.chunks)
            lengths = np.asarray(column.value_lengths().fill_null(0))
            if (lengths != self.full_dim).any():
                row = int(np.flatnonzero(lengths != self.full_dim)[0])
                raise ShapeError(
                    f"`{self.name}` has {lengths[row]} numbers in row {self.firsts[group] + row:,} and {self.full_dim} "
                    "in the first; give every row as many."
                )
            values = column.flatten()
            self.held = group, values.to_numpy(zero_copy_only=False).reshape(-1, self.full_dim)
        return self.held[1]


def _is_list(kind: Any) -> bool:
    from pyarrow import types

    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(is_list and types.is_floating(kind.value_type))


class FolderRows(Rows):
    """The files of a folder as one matrix, one after the other."""

    def __init__(self, path: Path | Address, name: str) -> None:
        self.name = name
        self.parts = [_open(part, f"{name.rstrip('/')}/{part.name}") for part in _parts(path)]
        if not self.parts:
            raise DataFormatError(f"`{name}` has no {', '.join(SUFFIXES)} in it; give a folder of vectors.")
        self.full_dim, self.dtype = self.parts[0].full_dim, self.parts[0].dtype
        for part in self.parts:
            if part.full_dim != self.full_dim:
                raise ShapeError(
                    f"`{part.name}` has {part.full_dim} coordinates and `{self.parts[0].name}` {self.full_dim}; "
                    "a folder holds parts of one matrix."
                )
        self.firsts = [0, *accumulate(part.n_rows for part in self.parts)]
        self.n_rows = self.firsts[-1]

    def stretch(self, start: int, stop: int) -> Any:
        found = []
        while start < stop:
            place = bisect.bisect_right(self.firsts, start) - 1
            first, last = self.firsts[place], min(self.firsts[place + 1], stop)
            found.append(self.parts[place].stretch(start - first, last - first))
            start = last
        return np.concatenate(found) if len(found) > 1 else found[0]

    def gather(self, items: Ints) -> Any:
        items = np.asarray(items)
        ends = np.searchsorted(items, self.firsts)
        found = [
            part.gather(items[start:stop] - first)
            for part, first, start, stop in zip(self.parts, self.firsts, ends, ends[1:])
            if stop > start
        ]
        return np.concatenate(found)


def _parts(folder: Path | Address) -> list[Path | Address]:
    """The files of vectors in a folder, part 10 after part 9."""
    there: Iterable[Path | Address] = folder.iterdir()
    found = [path for path in there if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
    return sorted(found, key=lambda path: [int(part) if part.isdigit() else part for part in _split(path.name)])


def _split(name: str) -> list[str]:
    return re.split(r"(\d+)", name)
