"""A Qdrant collection, on a server or in a folder of its local mode."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from uuid import UUID

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
    effort_said,
    no_such,
    not_installed,
)

METRICS = {"Cosine": "cosine", "Dot": "dot", "Euclid": "l2"}
QUERIES_AT_ONCE, ROWS_AT_ONCE = 50, 500
TIMEOUT_S = 30


def connect(address: Address, url: str) -> Store:
    """The collection; options `vector` and `ef`, `collection` where it is not the last part of the path."""
    address.check_options("collection", "vector", "ef")
    return Qdrant(address)


class Qdrant(Store):
    """A collection of plain or named vectors. A point's id is a whole number or a UUID."""

    def __init__(self, address: Address) -> None:
        try:
            import httpx
            from qdrant_client import QdrantClient
            from qdrant_client.http.exceptions import ApiException
        except ImportError as error:
            raise not_installed("qdrant_client", "pip install qdrant-client") from error
        # The local mode says all it has to say as ValueError and RuntimeError.
        self._errors = (ApiException, httpx.HTTPError, ValueError, RuntimeError)
        self._secret, self._is_local = address.secret, address.scheme == "qdrant"
        place, collection = address.place, address.options.get("collection", "")
        if not self._is_local and not collection:
            place, _, collection = address.place.partition("/")
        self._collection = collection = collection or TABLE
        self.name = f"{Path(place).name if self._is_local else place}, collection {collection}"
        if self._is_local and not Path(place).expanduser().is_dir():
            raise StoreError(
                f"`{place}` is no folder here; give one of Qdrant's local mode, or qdrant+http://host:6333."
            )
        with self._answering():
            if self._is_local:
                self._client = QdrantClient(path=str(Path(place).expanduser()))
            else:
                at = f"{address.scheme.removeprefix('qdrant+')}://{place}"
                # The client warns of a key without TLS and of other versions; neither is about what is asked here.
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)
                    key, patience = address.secret or None, TIMEOUT_S
                    self._client = QdrantClient(url=at, api_key=key, timeout=patience, check_compatibility=False)
        try:
            self._read(collection, address)
        except BaseException:
            self._client.close()
            raise

    def _read(self, collection: str, address: Address) -> None:
        with self._answering():
            there = [each.name for each in self._client.get_collections().collections]
        if collection not in there:
            raise no_such(self.name, "collection", collection, there)
        with self._answering():
            config = self._client.get_collection(collection).config
        vectors: Any = config.params.vectors
        named: dict[str, Any] = vectors if isinstance(vectors, dict) else {"": vectors}
        wanted = address.options.get("vector", next(iter(named)) if len(named) == 1 else COLUMN)
        if wanted not in named:
            raise no_such(self.name, "vector", wanted, named)
        self._vector, params = wanted, named[wanted]
        self.dim, self.metric = int(params.size), METRICS.get(params.distance.value, params.distance.value.lower())
        graph = params.hnsw_config or config.hnsw_config
        self.is_approximate = not self._is_local and graph is not None and graph.m != 0
        self._has_codes = (params.quantization_config or config.quantization_config) is not None
        self._ef = address.number("ef")
        if self.is_approximate:
            self.search_effort = effort_said("hnsw_ef", self._ef)
            # What the server looks at where nothing is said.
            self._usual_ef = int(graph.ef_construct or config.hnsw_config.ef_construct)
        with self._answering():
            first, _ = self._client.scroll(collection, limit=1)
        self.has_number_ids = not first or isinstance(first[0].id, int)

    def count(self) -> int:
        with self._answering():
            return int(self._client.count(self._collection, exact=True).count)

    def search(self, vectors: Vectors, k: int, *, effort: int = 1) -> Found:
        from qdrant_client import models

        params, ef = None, self._ef
        if self.is_approximate and effort > 1:
            ef = effort * (self._ef or max(k, self._usual_ef))
        if not self._is_local:  # the local mode scores every vector and warns where it is asked for anything else
            params = models.SearchParams(
                hnsw_ef=ef if self.is_approximate else None,
                # What is audited are the codes; what a rescore would take from is the vectors beside them.
                quantization=models.QuantizationSearchParams(rescore=False) if self._has_codes else None,
            )
        name, lists = self._vector or None, []
        for start in range(0, len(vectors), QUERIES_AT_ONCE):
            asked = [
                models.QueryRequest(query=row.tolist(), using=name, limit=k, params=params)
                for row in vectors[start : start + QUERIES_AT_ONCE]
            ]
            with self._answering():
                answers = self._client.query_batch_points(self._collection, asked)
            lists += [[(_plain(point.id), self._score(point.score)) for point in each.points] for each in answers]
        return Found.of(lists, k)

    def fetch(self, ids: Sequence[Id]) -> dict[Id, Vectors | None]:
        found: dict[Id, Vectors | None] = {}
        asked = [item for item in ids if self.has_number_ids or _is_uuid(str(item))]
        for start in range(0, len(asked), ROWS_AT_ONCE):
            with self._answering():
                points: list[Any] = self._client.retrieve(
                    self._collection, asked[start : start + ROWS_AT_ONCE],
                    with_payload=False, with_vectors=[self._vector] if self._vector else True,
                )  # fmt: skip
            for point in points:
                vector = point.vector.get(self._vector) if isinstance(point.vector, dict) else point.vector
                found[_plain(point.id)] = None if vector is None else np.asarray(vector, dtype=np.float32)
        return found

    def close(self) -> None:
        self._client.close()

    def _answering(self) -> AbstractContextManager[None]:
        return answering(self.name, *self._errors, secret=self._secret)

    def _score(self, score: float) -> float:
        return score**2 if self.metric == "l2" else score


def _plain(item: Any) -> Id:
    return item if isinstance(item, int) else str(item)


def _is_uuid(text: str) -> bool:
    try:
        return bool(UUID(text))
    except ValueError:
        return False
