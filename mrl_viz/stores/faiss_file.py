"""A faiss index in a file, of floats or bits; ids are row numbers, or those of an IndexIDMap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mrl_viz.errors import StoreError
from mrl_viz.retrieval.ann import load_faiss
from mrl_viz.stores.store import Address, Found, Id, Store, Vectors, answering, packed, unpacked


def connect(address: Address, url: str) -> Store:
    """The index of a file; options `ef` and `nprobe`."""
    address.check_options("ef", "nprobe")
    return FaissFile(address)


class FaissFile(Store):
    """An index as `faiss.write_index` or `write_index_binary` left it."""

    def __init__(self, address: Address) -> None:
        self._faiss = faiss = load_faiss()
        path = Path(address.place).expanduser()
        self.name = path.name
        if not path.is_file():
            raise StoreError(f"`{path}` is no file here; give the one that faiss.write_index wrote.")
        with path.open("rb") as file:
            self._is_binary = file.read(2) == b"IB"
        with answering(self.name, RuntimeError):
            self._index = (faiss.read_index_binary if self._is_binary else faiss.read_index)(str(path))
        self.dim, kind = int(self._index.d), int(self._index.metric_type)
        names = {faiss.METRIC_INNER_PRODUCT: "dot", faiss.METRIC_L2: "l2", faiss.METRIC_L1: "l1"}
        self.metric = "hamming" if self._is_binary else names.get(kind, f"faiss metric {kind}")
        self._ids, self._bare = self._without_ids()
        self._ef, self._n_probe = address.number("ef"), address.number("nprobe")
        self._ivf = None if self._is_binary else faiss.try_extract_index_ivf(self._index)
        self._graph = next((each.hnsw for each in self._layers() if hasattr(each, "hnsw")), None)
        if self._ivf is not None:
            self._n_probe = n_probe = self._n_probe or int(self._ivf.nprobe)
            self.search_effort = f"nprobe {n_probe} of {self._ivf.nlist}"
            self.is_approximate = n_probe < self._ivf.nlist
        elif self._graph is not None:
            self._ef = self._ef or int(self._graph.efSearch)
            self.is_approximate, self.search_effort = True, f"efSearch {self._ef}"

    def count(self) -> int:
        return int(self._index.ntotal)

    def search(self, vectors: Vectors, k: int, *, effort: int = 1) -> Found:
        if self._ivf is not None:
            self._ivf.nprobe = min(self._ivf.nlist, (self._n_probe or 1) * effort)
        elif self._graph is not None:
            # faiss itself looks at k at least.
            self._graph.efSearch = effort * max(k, self._ef or 1) if effort > 1 else self._ef
        asked = packed(vectors, self.dim) if self._is_binary else np.ascontiguousarray(vectors, dtype=np.float32)
        with answering(self.name, RuntimeError):
            scores, ids = self._index.search(asked, min(k, self.count()))
        lists = [[(int(i), float(s)) for i, s in zip(*both) if i >= 0] for both in zip(ids, scores)]
        return Found.of(lists, k)

    def fetch(self, ids: Sequence[Id]) -> dict[Id, Vectors | None]:
        found: dict[Id, Vectors | None] = {}
        places = {int(item): place for place, item in enumerate(self._ids)} if self._ids is not None else None
        if self._ivf is not None and places is None:
            self._ivf.set_direct_map_type(self._faiss.DirectMap.Hashtable)
            lists = self._ivf.invlists
            in_lists = (
                self._faiss.rev_swig_ptr(lists.get_ids(each), lists.list_size(each)).tolist()
                for each in range(self._ivf.nlist)
                if lists.list_size(each)
            )
            places = {item: item for each in in_lists for item in each}
        for item in ids:
            place = int(item) if places is None else places.get(int(item), -1)
            if 0 <= place < self.count() or (places is not None and place in places and self._ids is None):
                found[item] = self._vector(place)
        return found

    def _vector(self, place: int) -> Vectors | None:
        if (
            "RaBitQ" in type(self._bare).__name__
        ):  # its codes are for scores; what it reconstructs is the first bit alone
            return None
        try:
            row = self._bare.reconstruct(place)
        except RuntimeError:  # codes that have no vectors
            return None
        return unpacked(row) if self._is_binary else np.asarray(row, dtype=np.float32)

    def _without_ids(self) -> tuple[Any, Any]:
        """The ids of an IndexIDMap and what lies under it; None and the index where rows are called by their number."""
        outer = self._down(self._index)
        if not hasattr(outer, "id_map"):
            return None, outer
        return self._faiss.vector_to_array(outer.id_map), self._down(outer.index)

    def _layers(self) -> list[Any]:
        """The index, and what lies under its transforms."""
        layers = [self._bare]
        while hasattr(layers[-1], "chain"):
            layers.append(self._down(layers[-1].index))
        return layers

    def _down(self, index: Any) -> Any:
        return (self._faiss.downcast_IndexBinary if self._is_binary else self._faiss.downcast_index)(index)
