"""Live vector stores behind one protocol: they are asked, never written; each client is imported when it is used."""

from __future__ import annotations

from importlib import import_module

from mrl_viz.errors import InvalidInputError
from mrl_viz.stores.store import Address, Found, Store

# Scheme: the module whose `connect` opens it, and how a URL is written.
STORES = {
    "faiss": ("faiss_file", "faiss:///index.faiss"),
    "postgresql": ("pgvector", "postgresql://user@host/db?table=items"),
    "postgres": ("pgvector", ""),
    "qdrant": ("qdrant", "qdrant:///folder?collection=items"),
    "qdrant+http": ("qdrant", "qdrant+http://host:6333/items"),
    "qdrant+https": ("qdrant", ""),
    "lancedb": ("lancedb", "lancedb:///folder?table=items"),
    "milvus": ("milvus", "milvus:///file.db?collection=items"),
    "milvus+http": ("milvus", "milvus+http://host:19530/items"),
    "milvus+https": ("milvus", ""),
    "sqlite-vec": ("sqlite_vec", "sqlite-vec:///file.db?table=items"),
}

__all__ = ["Found", "Store", "open_store"]


def open_store(url: str) -> Store:
    """The live store at a URL. What is not said in it is called as our deployment snippets call it: table or collection
    `items`, vectors `short`, ids `id`; how hard it looks, `ef`, `nprobe` or `probes`, is its own matter.

    Parameters
    ----------
    url : one of
        faiss:///index.faiss?ef=64 (or nprobe=8)
        postgresql://user:password@host/db?table=items&column=short&id=id&metric=cosine&ef=64 (or probes=8)
        qdrant:///folder?collection=items&vector=short, qdrant+http://host:6333/items?ef=64 (an API key as password)
        lancedb:///folder?table=items&column=short&id=id&metric=dot&ef=64&nprobe=8
        milvus:///file.db?collection=items&column=short&ef=64 (or nprobe=8), milvus+http://user:password@host:19530/items
        sqlite-vec:///file.db?table=items&column=short

    Raises
    ------
    InvalidInputError : no URL of a store, or an option that it does not have. OptionalDependencyError : its client is
    not installed. StoreError : it does not answer, or has no such table or column.
    """
    address = Address.parse(url)
    if address.scheme not in STORES:
        shown = ", ".join(example for _, example in STORES.values() if example)
        raise InvalidInputError(f"`STORE_URL` begins with {address.scheme!r}; give one such as {shown}.")
    module, _ = STORES[address.scheme]
    store: Store = import_module(f"mrl_viz.stores.{module}").connect(address, url)
    return store
