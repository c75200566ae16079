"""A Milvus collection, on a server or in a file of Milvus Lite."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from mrl_viz.errors import StoreError
from mrl_viz.retrieval.ann import HNSW_SEARCH_CANDIDATES, PROBED_SHARE
from mrl_viz.stores.store import (
    COLUMN,
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

METRICS = {"IP": "dot", "COSINE": "cosine", "L2": "l2", "HAMMING": "hamming"}
QUERIES_AT_ONCE, ROWS_AT_ONCE = 50, 500
# Milvus' own number of lists where none was chosen.
N_LISTS = 128


def connect(address: Address, url: str) -> Store:
    """The collection; options `column`, `ef` and `nprobe`, `collection` where it is not the last part of the path."""
    address.check_options("collection", "column", "ef", "nprobe")
    return Milvus(address)


class Milvus(Store):
    """A collection of float, half or binary vectors; its index says what it ranks by."""

    def __init__(self, address: Address) -> None:
        try:
            from pymilvus import MilvusClient, MilvusException
        except ImportError as error:
            raise not_installed("pymilvus", 'pip install "pymilvus[milvus_lite]"') from error
        self._errors, self._secret = (MilvusException, ValueError), address.secret
        is_file = address.scheme == "milvus"
        place, collection = address.place, address.options.get("collection", "")
        if not is_file and not collection:
            place, _, collection = address.place.partition("/")
        self._collection = collection = collection or TABLE
        self.name = f"{Path(place).name if is_file else place}, collection {collection}"
        # The client makes the file where it is not there.
        if is_file and not (Path(place).expanduser().exists() and place.endswith(".db")):
            raise StoreError(
                f"`{place}` is no file ending in .db here; give one of Milvus Lite, or milvus+http://host:19530."
            )
        at = str(Path(place).expanduser()) if is_file else f"{address.scheme.removeprefix('milvus+')}://{place}"
        with self._answering():
            token = f"{address.user}:{address.secret}" if address.user else address.secret
            self._client = MilvusClient(at, token=token)
        try:
            self._read(address)
        except BaseException:
            self._client.close()
            raise

    def _read(self, address: Address) -> None:
        with self._answering():
            there = list(self._client.list_collections())
        if self._collection not in there:
            raise no_such(self.name, "collection", self._collection, there)
        with self._answering():
            fields = self._client.describe_collection(self._collection)["fields"]
            indexes = [
                self._client.describe_index(self._collection, each)
                for each in self._client.list_indexes(self._collection)
            ]
            if "NotLoad" in str(self._client.get_load_state(self._collection)["state"]):
                self._client.load_collection(self._collection)
        kinds = {field["name"]: field["type"].name for field in fields if "VECTOR" in field["type"].name}
        self._field = address.options.get("column", next(iter(kinds)) if len(kinds) == 1 else COLUMN)
        if self._field not in kinds:
            raise no_such(self.name, "column", self._field, kinds)
        key = next(field for field in fields if field.get("is_primary"))
        self._kind, self._id, self.has_number_ids = kinds[self._field], key["name"], key["type"].name == "INT64"
        self.dim = int(next(field for field in fields if field["name"] == self._field)["params"]["dim"])
        index: dict[str, Any] = next((each for each in indexes if each["field_name"] == self._field), {})
        self._metric, kind = str(index.get("metric_type", "IP")), str(index.get("index_type", "FLAT"))
        self.metric = METRICS.get(self._metric, self._metric.lower())
        self._has_graph, self._has_lists = "HNSW" in kind, kind.startswith("IVF")
        self._n_lists = int(index.get("nlist", N_LISTS))
        self._ef, self._n_probe = address.number("ef"), address.number("nprobe")
        self.is_approximate = self._has_graph or (self._has_lists and (self._n_probe or 1) < self._n_lists)
        if self._has_graph:
            self.search_effort = effort_said("ef", self._ef)
        elif self._has_lists:
            self.search_effort = f"{effort_said('nprobe', self._n_probe)} of {self._n_lists}"

    def count(self) -> int:
        with self._answering():
            rows = self._client.query(self._collection, filter="", output_fields=["count(*)"])
            return int(next(iter(rows))["count(*)"])

    def search(self, vectors: Vectors, k: int, *, effort: int = 1) -> Found:
        params: dict[str, int] = {}
        if self._has_graph and (self._ef or effort > 1):
            params = {"ef": effort * (self._ef or max(k, HNSW_SEARCH_CANDIDATES))}
        elif self._has_lists and (self._n_probe or effort > 1):
            usual = max(1, round(self._n_lists * PROBED_SHARE))
            params = {"nprobe": min(self._n_lists, effort * (self._n_probe or usual))}
        codes, lists = self._codes(vectors), []
        for start in range(0, len(codes), QUERIES_AT_ONCE):
            with self._answering():
                answers = self._client.search(
                    self._collection, data=codes[start : start + QUERIES_AT_ONCE], anns_field=self._field, limit=k,
                    search_params={"metric_type": self._metric, "params": params}, output_fields=[self._id],
                )  # fmt: skip
            lists += [
                [(hit["id"] if "id" in hit else hit[self._id], float(hit["distance"])) for hit in hits]
                for hits in answers
            ]
        return Found.of(lists, k)

    def fetch(self, ids: Sequence[Id]) -> dict[Id, Vectors | None]:
        found: dict[Id, Vectors | None] = {}
        for start in range(0, len(ids), ROWS_AT_ONCE):
            with self._answering():
                rows: list[Any] = self._client.get(
                    self._collection, ids=list(ids[start : start + ROWS_AT_ONCE]), output_fields=[self._id, self._field]
                )
            found |= {row[self._id]: self._decoded(row.get(self._field)) for row in rows}
        return found

    def close(self) -> None:
        self._client.close()

    def _answering(self) -> AbstractContextManager[None]:
        return answering(self.name, *self._errors, secret=self._secret)

    def _codes(self, vectors: Vectors) -> list[Any]:
        if self._kind == "BINARY_VECTOR":
            return [row.tobytes() for row in packed(vectors, self.dim)]
        return list(vectors.astype(np.float16) if self._kind == "FLOAT16_VECTOR" else vectors)

    def _decoded(self, value: Any) -> Vectors | None:
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], bytes):
            value = value[0]
        if value is None:
            return None
        if self._kind == "BINARY_VECTOR":
            return unpacked(np.frombuffer(value, np.uint8))
        if isinstance(value, bytes):
            return np.frombuffer(value, np.float16).astype(np.float32)
        return np.asarray(value, dtype=np.float32)
