"""Texts of a file one after the other, never all at once: a text file, a table, JSON lines, parquet."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from mrl_viz.data.tables import TEXT_COLUMNS
from mrl_viz.errors import DataFormatError, EmptyInputError
from mrl_viz.files import disk_errors
from mrl_viz.fingerprint import fingerprint
from mrl_viz.scale.addresses import is_address, local_path

SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".parquet")
# Of parquet, read at a time.
BATCH = 4096
# Bytes at both ends of a file that stand for all of it, beside its size.
ENDS = 1 << 20
# A cell of a table is no longer. Python has one limit for the whole process, so it is ours only while we read a row.
MOST_CELL = 1 << 24
CELL_LIMIT = threading.Lock()
Row = TypeVar("Row")


class TextFile:
    """The texts of a file, one a row, whatever they are: nothing is left out, so that rows of vectors are rows of it.

    Parameters
    ----------
    source : a .txt file with one text a line, a .csv, .tsv, .jsonl or .parquet
    column : of a table; None takes one with a usual name, such as `text`

    Raises
    ------
    DataFormatError : no such file, another kind, no such column. StoreError : the disk refuses.
    """

    def __init__(self, source: str | Path, column: str | None = None) -> None:
        if is_address(source):
            raise DataFormatError("texts are read from a disk, and their address is of a store; copy them onto a disk.")
        self.path, self.name = local_path(source), str(source)
        self.suffix = self.path.suffix.lower()
        if self.suffix not in SUFFIXES:
            raise DataFormatError(f"`{source}` is no {', '.join(SUFFIXES)}; give texts as one of these.")
        if not self.path.is_file():
            raise DataFormatError(f"`{source}` is not there; give a file of texts.")
        self.column = None if self.suffix == ".txt" else self._chosen(column)

    def _chosen(self, column: str | None) -> str:
        columns = self._columns()
        named = {name.lower(): name for name in reversed(columns)}
        found = column or next((named[name] for name in TEXT_COLUMNS if name in named), None)
        if found is None or found not in columns:
            there = ", ".join(columns) or "(none)"
            raise DataFormatError(f"`{self.name}` has the columns {there}; name that of the texts by --text-column.")
        return found

    def _columns(self) -> list[str]:
        if self.suffix == ".parquet":
            return list(self._parquet().schema_arrow.names)
        if self.suffix == ".jsonl":
            return [str(name) for name in next(self._objects(), {})]
        with self._opened() as file:
            return next(_rows(csv.reader(file, delimiter=self._separator)), [])

    @property
    def _separator(self) -> str:
        return "\t" if self.suffix == ".tsv" else ","

    def _opened(self) -> Any:
        with disk_errors(self.path, "make it readable", doing="read"):
            return self.path.open(encoding="utf-8-sig", newline="" if self.suffix in (".csv", ".tsv") else "\n")

    def _parquet(self) -> Any:
        import pyarrow
        import pyarrow.parquet

        with disk_errors(self.path, "make it readable", doing="read"):
            try:
                return pyarrow.parquet.ParquetFile(self.path)
            except pyarrow.ArrowInvalid as error:
                raise DataFormatError(f"`{self.name}` is no parquet file that can be read; write it again.") from error

    def _objects(self) -> Iterator[dict[str, Any]]:
        with self._opened() as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise DataFormatError(f"`{self.name}` line {number} is not JSON; give objects.") from error
                if not isinstance(row, dict):
                    raise DataFormatError(f"`{self.name}` line {number} is no JSON object; give one a line.")
                yield row

    def texts(self, start: int = 0, stop: int | None = None) -> Iterator[str]:
        """The texts of rows start to stop; those before are read and skipped.

        Raises
        ------
        DataFormatError : a row that cannot be read, named where that is known.
        """
        try:
            yield from islice(self._all(start, stop), start if self.suffix != ".parquet" else 0, stop)
        except UnicodeDecodeError as error:
            raise DataFormatError(f"`{self.name}` is not UTF-8; save it as UTF-8.") from error
        except csv.Error as error:
            raise DataFormatError(f"`{self.name}` is no readable table ({error}); check its format.") from error

    def _all(self, start: int, stop: int | None) -> Iterator[str]:
        if self.suffix == ".parquet":
            yield from self._parquet_texts(start, stop)
        elif self.suffix == ".jsonl":
            yield from (_cell(row.get(str(self.column))) for row in self._objects())
        else:
            with self._opened() as file:
                if self.suffix == ".txt":
                    yield from (line.rstrip("\r\n") for line in file)
                else:
                    rows = csv.DictReader(file, delimiter=self._separator)
                    yield from (_cell(row.get(str(self.column))) for row in _rows(rows))

    def _parquet_texts(self, start: int, stop: int | None) -> Iterator[str]:
        """Only the row groups that hold any of the rows are read."""
        file = self._parquet()
        first = 0
        for group in range(file.metadata.num_row_groups):
            last = first + file.metadata.row_group(group).num_rows
            if last > start and (stop is None or first < stop):
                cells = (
                    cell.as_py()
                    for batch in file.iter_batches(BATCH, row_groups=[group], columns=[self.column])
                    for cell in batch.column(0)
                )
                end = last - first if stop is None else min(stop, last) - first
                yield from map(_cell, islice(cells, max(start - first, 0), end))
            first = last

    def count(self) -> int:
        """How many texts there are.

        Raises
        ------
        EmptyInputError : none. DataFormatError : as `texts`.
        """
        n_texts = int(self._parquet().metadata.num_rows) if self.suffix == ".parquet" else sum(1 for _ in self.texts())
        if not n_texts:
            raise EmptyInputError(f"`{self.name}` has no texts; give a file with one at least.")
        return n_texts

    def fingerprint(self) -> str:
        """Sixteen digits that change with the size, the column and either end of the file."""
        with disk_errors(self.path, "make it readable", doing="read"), self.path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            head = file.read(ENDS)
            file.seek(max(0, size - ENDS))
            return fingerprint(size, self.column or "", head, file.read(ENDS))


def _rows(reader: Iterator[Row]) -> Iterator[Row]:
    """The rows of a reader of a table, with long cells."""
    while True:
        with CELL_LIMIT:
            before = csv.field_size_limit(MOST_CELL)
            try:
                row = next(reader)
            except StopIteration:
                return
            finally:
                csv.field_size_limit(before)
        yield row


def _cell(value: object) -> str:
    return "" if value is None else str(value)
