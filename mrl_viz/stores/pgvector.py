"""A PostgreSQL table with a column of pgvector: vector, halfvec or bit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import numpy as np

from mrl_viz.errors import InvalidInputError
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
    no_such,
    not_installed,
)

OPERATORS = {"dot": "<#>", "cosine": "<=>", "l2": "<->", "hamming": "<~>"}
# How pgvector's operator classes end.
METRICS = {"ip": "dot", "cosine": "cosine", "l2": "l2", "hamming": "hamming"}
OWN = ("table", "column", "id", "metric", "ef", "probes")
MOST_EF = 1000
TIMEOUT_S = 10
ROWS_AT_ONCE = 500
COLUMNS = """SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped"""
INDEX = """SELECT am.amname, opc.opcname, c.reloptions FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am am ON am.oid = c.relam
JOIN pg_opclass opc ON opc.oid = i.indclass[0]
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = to_regclass(%s) AND a.attname = %s AND am.amname IN ('hnsw', 'ivfflat')"""


def connect(address: Address, url: str) -> Store:
    """The table of a database; what is not an option of ours is libpq's, such as sslmode."""
    address.check_values()
    return PgVector(address, url)


class PgVector(Store):
    """A table that is asked as the application asks: by the operator of its index, or the option `metric`, else the dot
    product of our snippets. The session cannot write."""

    def __init__(self, address: Address, url: str) -> None:
        try:
            import psycopg
            from psycopg import sql
        except ImportError as error:
            raise not_installed("psycopg", 'pip install "psycopg[binary]"') from error
        self._error, self._secret, self._sql = psycopg.Error, address.secret, sql
        options = address.options
        table, column, key = (options.get(name, usual) for name, usual in zip(OWN, (TABLE, COLUMN, ID)))
        self.name = f"{address.place.strip('/') or 'postgresql'}, table {table}"
        parts = urlsplit(url)
        others = [(name, value) for name, value in parse_qsl(parts.query) if name not in OWN]
        if not any(name == "connect_timeout" for name, _ in others):
            others.append(("connect_timeout", str(TIMEOUT_S)))
        try:
            psycopg.conninfo.conninfo_to_dict(dsn := urlunsplit(parts._replace(query=urlencode(others))))
        except psycopg.Error:  # its message would show the URL
            raise InvalidInputError(
                "`STORE_URL` is no address of PostgreSQL; escape special characters as %40."
            ) from None
        with self._answering():
            self._db = psycopg.connect(dsn, autocommit=True)
        try:
            with self._answering():
                self._read(table, column, key, address)
        except BaseException:
            self._db.close()
            raise

    def _read(self, table: str, column: str, key: str, address: Address) -> None:
        sql = self._sql
        self._db.execute("SET default_transaction_read_only = on")
        self._table, self._column, self._id = sql.Identifier(*table.split(".")), *map(sql.Identifier, (column, key))
        named = self._table.as_string(self._db)
        kinds: dict[str, str] = dict(self._db.execute(COLUMNS, [named]).fetchall())
        if not kinds:
            there = self._db.execute("SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm') AND "
                                     "relnamespace = current_schema()::regnamespace").fetchall()  # fmt: skip
            raise no_such(self.name, "table", table, [name for (name,) in there])
        vectors = {name: kind for name, kind in kinds.items() if re.match(r"(vector|halfvec|bit)\b", kind)}
        if column not in vectors:
            raise no_such(self.name, "column", column, vectors)
        if key not in kinds:
            raise no_such(self.name, "id", key, kinds)
        self.has_number_ids = "int" in kinds[key]
        kind, _, width = kinds[column].rstrip(")").partition("(")
        self._kind = kind
        if not width:  # a vector column may leave its width open
            asked = sql.SQL("SELECT vector_dims({}) FROM {} LIMIT 1").format(self._column, self._table)
            width = (self._db.execute(asked).fetchone() or (0,))[0]
        self.dim = int(width)
        index = self._db.execute(INDEX, [named, column]).fetchone()
        own = None if index is None else METRICS.get(index[1].split("_")[1], index[1].split("_")[1])
        self.metric = address.metric() or own or ("hamming" if kind == "bit" else "dot")
        if self.metric not in OPERATORS:
            raise InvalidInputError(
                f"`{self.name}` has an index for {self.metric}; say ?metric= one of {list(OPERATORS)}."
            )
        # An index for another operator than the query's is not used.
        self._method = index[0] if index is not None and own == self.metric else ""
        self.is_approximate = bool(self._method)
        if self._method == "ivfflat":
            n_lists = next((int(text[6:]) for text in (index[2] if index else None) or () if text[:6] == "lists="), 100)
            self._probes = address.number("probes") or self._set("ivfflat.probes")
            self.search_effort = f"probes {self._probes} of {n_lists}"
        elif self._method == "hnsw":
            self._ef = address.number("ef") or self._set("hnsw.ef_search")
            self.search_effort = f"ef_search {self._ef}"

    def _set(self, parameter: str) -> int:
        """What a session that sets nothing has, by pgvector or by the role's and the database's settings."""
        self._db.execute("SELECT %s::vector", ["[1]"])  # parameters are there once the extension is loaded
        found = self._db.execute("SELECT current_setting(%s)", [parameter]).fetchone()
        return int(found[0]) if found else 1

    def count(self) -> int:
        with self._answering():
            found = self._db.execute(self._sql.SQL("SELECT count(*) FROM {}").format(self._table)).fetchone()
            return int(found[0]) if found else 0

    def search(self, vectors: Vectors, k: int, *, effort: int = 1) -> Found:
        sql = self._sql
        query = sql.SQL("{}::{}").format(sql.Placeholder("q"), sql.SQL(self._cast()))
        distance = sql.SQL("{} {} {}").format(self._column, sql.SQL(OPERATORS[self.metric]), query)
        asked = sql.SQL("SELECT {}, {} FROM {} ORDER BY {} LIMIT {}").format(
            self._id, distance, self._table, distance, sql.Literal(k)
        )
        with self._answering():
            if self._method == "hnsw":
                ef = self._ef if effort == 1 else min(MOST_EF, effort * max(k, self._ef))
                self._db.execute(sql.SQL("SET hnsw.ef_search = {}").format(sql.Literal(ef)))
            elif self._method == "ivfflat":
                self._db.execute(sql.SQL("SET ivfflat.probes = {}").format(sql.Literal(self._probes * effort)))
            lists = [
                [
                    (self._plain(item), self._score(float(away)))
                    for item, away in self._db.execute(asked, {"q": self._written(row)})
                ]
                for row in vectors
            ]
        return Found.of(lists, k)

    def fetch(self, ids: Sequence[Id]) -> dict[Id, Vectors | None]:
        sql = self._sql
        found: dict[Id, Vectors | None] = {}
        cast = sql.SQL("" if self.has_number_ids else "::text")
        asked = sql.SQL("SELECT {}, {}::text FROM {} WHERE {}{} = ANY(%s)").format(
            self._id, self._column, self._table, self._id, cast
        )
        for start in range(0, len(ids), ROWS_AT_ONCE):
            with self._answering():
                for item, text in self._db.execute(asked, [list(ids[start : start + ROWS_AT_ONCE])]).fetchall():
                    found[self._plain(item)] = None if text is None else self._decoded(text)
        return found

    def close(self) -> None:
        self._db.close()

    def _answering(self) -> AbstractContextManager[None]:
        return answering(self.name, self._error, secret=self._secret)

    def _plain(self, item: Any) -> Id:
        return int(item) if self.has_number_ids else str(item)

    def _cast(self) -> str:
        return f"bit({self.dim})" if self._kind == "bit" else self._kind

    def _written(self, row: Vectors) -> str:
        if self._kind == "bit":
            return "".join("1" if value > 0 else "0" for value in row).ljust(self.dim, "0")
        return "[" + ",".join(map(repr, row.tolist())) + "]"

    def _decoded(self, text: str) -> Any:
        if self._kind == "bit":
            return np.array([1.0 if bit == "1" else -1.0 for bit in text], dtype=np.float32)
        return np.array(text.strip("[]").split(","), dtype=np.float32)

    def _score(self, distance: float) -> float:
        if self.metric == "dot":
            return -distance
        if self.metric == "cosine":
            return 1 - distance
        return distance**2 if self.metric == "l2" else distance
