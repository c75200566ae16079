"""A LanceDB table in a folder, or at any address that its client opens."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from mrl_viz.errors import InvalidInputError, StoreError
from mrl_viz.retrieval.ann import HNSW_SEARCH_CANDIDATES
from mrl_viz.stores.store import (
    COLUMN,
    ID,
    TABLE,
    Address,
    Found,
    Id,
    Store,
    Vectors,
    answering,
    effort_said,
    no_such,
    not_installed,
    packed,
    unpacked,
)

ROWS_AT_ONCE = 500
# What LanceDB looks at where nothing is said.
N_PROBED = 20


def connect(address: Address, url: str) -> Store:
    """The table of a folder; options `table`, `column`, `id`, `metric`, `ef` and `nprobe`."""
    address.check_options("table", "column", "id", "metric", "ef", "nprobe")
    return LanceDb(address)


class LanceDb(Store):
    """A table with a column of fixed-size lists; uint8 ones are bits. An index says what it ranks by; without one the
    application does, and here the option `metric`, else the dot product of our snippets."""

    def __init__(self, address: Address) -> None:
        try:
            import lancedb
        except ImportError as error:
            raise not_installed("lancedb", "pip install lancedb") from error
        folder, table = Path(address.place).expanduser(), address.options.get("table", TABLE)
        self.name = f"{folder.name}, table {table}"
        if not folder.is_dir():
            raise StoreError(f"`{folder}` is no folder here; give the one that lancedb.connect is given.")
        with self._answering():
            db = lancedb.connect(str(folder))
            there = list(db.list_tables().tables)
            if table in there:
                self._table: Any = db.open_table(table)
        if table not in there:
            raise no_such(folder.name, "table", table, there)
        schema = self._table.schema
        lists = [field.name for field in schema if hasattr(field.type, "list_size")]
        self._column = address.options.get("column", lists[0] if len(lists) == 1 else COLUMN)
        self._id = address.options.get("id", ID)
        if self._column not in lists:
            raise no_such(self.name, "column", self._column, lists)
        if self._id not in schema.names:
            raise no_such(self.name, "id", self._id, schema.names)
        kind = schema.field(self._column).type
        self._is_bits, self.has_number_ids = str(kind.value_type) == "uint8", "int" in str(schema.field(self._id).type)
        self.dim = int(kind.list_size) * (8 if self._is_bits else 1)
        with self._answering():
            index = next((each for each in self._table.list_indices() if each.columns == [self._column]), None)
            statistics = None if index is None else self._table.index_stats(index.name)
        own = None if statistics is None else str(statistics.distance_type).lower()
        if address.metric() and own and address.metric() != own:
            raise InvalidInputError(
                f"`metric` of `STORE_URL` is {address.metric()!r} and the index of `{self.name}` ranks by {own}; leave "
                "it out."
            )
        self.metric = own or address.metric() or ("hamming" if self._is_bits else "dot")
        self._ef, kind_of_index = address.number("ef"), "" if index is None else str(index.index_type).lower()
        self._has_graph, self.is_approximate = "hnsw" in kind_of_index, index is not None
        self._n_probe = address.number("nprobe")
        if index is not None:
            graph = f" and {effort_said('ef', self._ef)}" if self._has_graph else ""
            self.search_effort = f"{effort_said('nprobes', self._n_probe)}{graph}"

    def count(self) -> int:
        with self._answering():
            return int(self._table.count_rows())

    def search(self, vectors: Vectors, k: int, *, effort: int = 1) -> Found:
        codes: Any = packed(vectors, self.dim) if self._is_bits else vectors
        lists = []
        for code in codes:
            with self._answering():
                asked = self._table.search(code, vector_column_name=self._column).distance_type(self.metric)
                if self.is_approximate and (self._n_probe or effort > 1):
                    asked = asked.nprobes(effort * (self._n_probe or N_PROBED))
                if self._has_graph and (self._ef or effort > 1):
                    asked = asked.ef(effort * (self._ef or max(k, HNSW_SEARCH_CANDIDATES)))
                found = asked.limit(k).select([self._id, "_distance"]).to_arrow()
            distances = found["_distance"].to_pylist()
            lists.append(list(zip(found[self._id].to_pylist(), map(self._score, distances))))
        return Found.of(lists, k)

    def fetch(self, ids: Sequence[Id]) -> dict[Id, Vectors | None]:
        found: dict[Id, Vectors | None] = {}
        for start in range(0, len(ids), ROWS_AT_ONCE):
            some = ids[start : start + ROWS_AT_ONCE]
            wanted = ", ".join(str(item) if self.has_number_ids else _text(str(item)) for item in some)
            condition = f"`{self._id}` IN ({wanted})"
            with self._answering():
                asked = self._table.search().where(condition).select([self._id, self._column])
                rows = asked.limit(max(1, self._table.count_rows(condition))).to_arrow()  # ids may be there twice
            for item, row in zip(rows[self._id].to_pylist(), rows[self._column].to_pylist()):
                found[item] = None if row is None else unpacked(row) if self._is_bits else np.asarray(row, np.float32)
        return found

    def _answering(self) -> AbstractContextManager[None]:
        return answering(self.name, ValueError, RuntimeError, OSError)

    def _score(self, distance: float) -> float:
        return 1 - distance if self.metric in ("dot", "cosine") else distance


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
