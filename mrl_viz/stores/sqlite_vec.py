"""A vec0 table of SQLite with sqlite-vec: float, int8 or bit vectors, every one scored."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mrl_viz.errors import StoreError
from mrl_viz.stores.store import (
    COLUMN,
    TABLE,
    Address,
    Found,
    Id,
    Store,
    Vectors,
    answering,
    no_such,
    not_installed,
    packed,
    unpacked,
)

MAKERS = {"float": "vec_f32", "int8": "vec_int8", "bit": "vec_bit"}
# The queries of int8 rows are coded with their scale, which the length of a few of them tells: they were of length 1.
SCALE_ROWS = 200


def connect(address: Address, url: str) -> Store:
    """The table of a file; options `table` and `column`."""
    address.check_options("table", "column")
    return SqliteVec(address)


class SqliteVec(Store):
    """A table that `CREATE VIRTUAL TABLE … USING vec0` made, opened for reading."""

    def __init__(self, address: Address) -> None:
        try:
            import apsw
            import sqlite_vec
        except ImportError as error:
            raise not_installed(error.name or "apsw", "pip install apsw sqlite-vec") from error
        self._error = apsw.Error
        path, table = Path(address.place).expanduser(), address.options.get("table", TABLE)
        self.name = f"{path.name}, table {table}"
        if not path.is_file():
            raise StoreError(f"`{path}` is no file here; give an SQLite database.")
        with answering(self.name, apsw.Error):
            self._db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            self._db.enable_load_extension(True)
            self._db.load_extension(sqlite_vec.loadable_path())
            self._db.enable_load_extension(False)
            tables = dict(self._db.execute("SELECT name, sql FROM sqlite_master WHERE sql LIKE '%USING vec0%'"))
        if table not in tables:
            raise no_such(path.name, "table", table, tables)
        columns = {
            name: (kind, int(dim), rest)
            for name, kind, dim, rest in re.findall(
                r"[(,]\s*[\"'`\[]?(\w+)[\"'`\]]?\s+(float|int8|bit)\s*\[\s*(\d+)\s*\]([^,)]*)", tables[table]
            )
        }
        wanted = address.options.get("column", next(iter(columns)) if len(columns) == 1 else COLUMN)
        if wanted not in columns:
            raise no_such(self.name, "column", wanted, columns)
        self._kind, self.dim, rest = columns[wanted]
        said = re.search(r"distance_metric\s*=\s*(\w+)", rest)
        self.metric = "hamming" if self._kind == "bit" else (said[1].lower() if said else "l2")
        key = re.search(
            r"[(,]\s*[\"'`\[]?(\w+)[\"'`\]]?\s+(integer|text)\s+primary\s+key", tables[table], re.IGNORECASE
        )
        self.has_number_ids = key is None or key[2].lower() == "integer"
        self._table, self._column, self._id = map(_quoted, (table, wanted, key[1] if key else "rowid"))
        self._scale = 1.0
        if self._kind == "int8":
            rows = [self._decoded(blob) for (blob,) in self._rows(f"LIMIT {SCALE_ROWS}")]
            self._scale = float(np.median(np.linalg.norm(rows, axis=1))) if rows else 1.0

    def count(self) -> int:
        with answering(self.name, self._error):
            return int(next(iter(self._db.execute(f"SELECT count(*) FROM {self._table}")))[0])

    def search(self, vectors: Vectors, k: int, *, effort: int = 1) -> Found:
        asked = (
            f"SELECT {self._id}, distance FROM {self._table} WHERE {self._column} MATCH {MAKERS[self._kind]}(?) "
            "AND k = ? ORDER BY distance"
        )
        with answering(self.name, self._error):
            lists = [
                [(item, self._score(distance)) for item, distance in self._db.execute(asked, (code, k))]
                for code in self._codes(vectors)
            ]
        return Found.of(lists, k)

    def fetch(self, ids: Sequence[Id]) -> dict[Id, Vectors | None]:
        found: dict[Id, Vectors | None] = {}
        for item in ids:
            for (blob,) in self._rows(f"WHERE {self._id} = ?", (item,)):
                found[item] = self._decoded(blob)
        return found

    def close(self) -> None:
        self._db.close()

    def _rows(self, where: str, values: tuple[Id, ...] = ()) -> list[tuple[bytes]]:
        with answering(self.name, self._error):
            return list(self._db.execute(f"SELECT {self._column} FROM {self._table} {where}", values))

    def _codes(self, vectors: Vectors) -> list[bytes]:
        if self._kind == "bit":
            return [row.tobytes() for row in packed(vectors, self.dim)]
        if self._kind == "int8":
            vectors = np.clip(np.rint(vectors * self._scale), -127, 127).astype(np.int8)  # type: ignore[assignment]
        return [row.tobytes() for row in vectors]

    def _decoded(self, blob: bytes) -> Vectors:
        if self._kind == "bit":
            return unpacked(np.frombuffer(blob, np.uint8))
        return np.frombuffer(blob, np.int8 if self._kind == "int8" else np.float32).astype(np.float32)

    def _score(self, distance: float) -> float:
        if self.metric == "cosine":
            return 1 - distance
        return (distance / self._scale) ** 2 if self.metric == "l2" else distance


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
