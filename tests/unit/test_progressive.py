"""Progressive loading reads each column chunk once, holds what was asked for, and never mixes up rows."""

import shutil
import tracemalloc

import numpy as np
import pytest
from zarr.storage import LocalStore

from mrl_viz.embedding.columns import StoredColumns
from mrl_viz.embedding.encoders.precomputed import PrecomputedEncoder
from mrl_viz.embedding.store import DIM_CHUNK, ROW_CHUNK, EmbeddingStore
from mrl_viz.errors import DimensionError, EmptyInputError, StoreError
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.progressive import ProgressiveIndex
from mrl_viz.retrieval.shortlist import shortlist_search

LAST = 4  # the row chunk that is not full
N_ITEMS, FULL_DIM = LAST * ROW_CHUNK + 500, 200


def encoder_of(n_items, seed=0):
    """A model whose texts and vectors are known."""
    vectors = np.random.default_rng(seed).standard_normal((n_items, FULL_DIM), dtype=np.float32)
    return PrecomputedEncoder("known", tuple(f"text {number}" for number in range(n_items)), vectors)


class Model(PrecomputedEncoder):
    """The same model whatever it knows, so that two calls share a folder of the store."""

    revision = "one"


def as_model(encoder):
    """The encoder under a fixed revision."""
    return Model(encoder.name, encoder.texts, encoder.embeddings)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A store that holds all texts of a model; tests that change it take a copy."""
    encoder = as_model(encoder_of(N_ITEMS))
    store = EmbeddingStore(tmp_path_factory.mktemp("store"))
    store.embed(encoder, encoder.texts)
    return store, encoder


@pytest.fixture
def own(filled, tmp_path):
    """A copy of the filled store."""
    store, encoder = filled
    shutil.copytree(store.folder, tmp_path / "store")
    return EmbeddingStore(tmp_path / "store"), encoder


@pytest.fixture
def chunks_read(monkeypatch):
    """The chunk files of vectors that zarr reads, in order: what its own local storage is asked for."""
    keys = []
    get = LocalStore.get

    async def counted(self, key, *args, **kwargs):
        found = await get(self, key, *args, **kwargs)
        if found is not None and "/c/" in f"/{key}" and self.root.name == "vectors.zarr":
            keys.append(tuple(int(part) for part in key.split("/")[-2:]))
        return found

    monkeypatch.setattr(LocalStore, "get", counted)
    return keys


def test_widening_reads_every_column_chunk_once(filled, chunks_read):
    """A search at 8 to 64 dims reads the first column chunk only, a wider one what is missing, a second one nothing."""
    store, encoder = filled
    row_chunks = range(-(-N_ITEMS // ROW_CHUNK))
    index = ProgressiveIndex(StoredColumns(store, encoder, encoder.texts), [8, 64, 100, 128])
    assert chunks_read == [] and index.dim == 0
    queries = encoder.embeddings[:2]
    for dim, columns in ((8, [0]), (64, []), (100, [1]), (128, []), (FULL_DIM, [2, 3]), (100, []), (8, [])):
        chunks_read.clear()
        index.search(queries, 5, dim=dim)
        assert sorted(chunks_read) == [(row, column) for row in row_chunks for column in columns], dim
    assert index.dim == FULL_DIM


@pytest.mark.parametrize("dims", [[64, 128], [8, 16, 100, 130, 199]])
def test_progressive_index_returns_what_a_loaded_one_does(filled, dims):
    """Search, widening, rerank and ranks are those of the index that holds everything."""
    store, encoder = filled
    loaded = PrefixIndex(encoder.embeddings, dims)
    queries = np.random.default_rng(1).standard_normal((3, FULL_DIM), dtype=np.float32)
    index = ProgressiveIndex(StoredColumns(store, encoder, encoder.texts), dims)
    for mine, theirs in zip(index.widen(queries[0], 7), loaded.widen(queries[0], 7), strict=True):
        assert index.dim == mine.dim == theirs.dim
        np.testing.assert_array_equal(mine.indices, theirs.indices)
        np.testing.assert_array_equal(mine.similarities, theirs.similarities)
    assert index.nbytes == loaded.nbytes
    index = ProgressiveIndex(StoredColumns(store, encoder, encoder.texts), dims)
    mine, theirs = (
        shortlist_search(each, queries, shortlist_dim=dims[0], shortlist_size=50, rerank_dim=dims[1], k=7)
        for each in (index, loaded)
    )
    np.testing.assert_array_equal(mine.indices, theirs.indices)
    assert index.dim == dims[1]
    np.testing.assert_array_equal(index.rank(queries[0], [3, 4], dims[1]), loaded.rank(queries[0], [3, 4], dims[1]))


def test_peak_memory_is_what_was_asked_for(filled):
    """Loading 64 of 200 coordinates takes the memory of 64, and one row chunk; the rest comes when it is asked for."""
    store, encoder = filled
    query = encoder.embeddings[0]
    columns = StoredColumns(store, encoder, encoder.texts)
    index = ProgressiveIndex(columns, [64, 128])
    columns_of_64, row_chunk = N_ITEMS * 64 * 4, ROW_CHUNK * DIM_CHUNK * 4
    tracemalloc.start()
    try:
        index.search(query, 10, dim=64)
        held, peak = tracemalloc.get_traced_memory()
        assert columns_of_64 < held < 1.2 * columns_of_64
        # Three times a row chunk: the file as read, the array that it becomes, the rows picked from it.
        assert peak < 1.2 * columns_of_64 + 3.2 * row_chunk < N_ITEMS * FULL_DIM * 4
        tracemalloc.reset_peak()
        index.search(query, 10, dim=128)
        held, peak = tracemalloc.get_traced_memory()
        assert held < 2.2 * columns_of_64 and peak < 2.2 * columns_of_64 + 3.2 * row_chunk
    finally:
        tracemalloc.stop()


def test_equal_texts_and_any_order_are_read(filled):
    """Rows come in the order of the texts, repeated where a text is."""
    store, encoder = filled
    wanted = [N_ITEMS - 1, 5, 5, ROW_CHUNK, 0, N_ITEMS - 1]
    columns = StoredColumns(store, encoder, [encoder.texts[row] for row in wanted])
    parts = [columns.read(low, high) for low, high in ((0, 3), (3, 70), (70, 71), (71, 200))]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), encoder.embeddings[wanted])
    assert columns.dim == FULL_DIM


def test_a_store_that_is_written_meanwhile_gives_the_same_vectors(own):
    """Texts appended between and during reads, even into the row chunk being read, change nothing."""
    store, encoder = own
    more = as_model(encoder_of(N_ITEMS + 3000))
    more.embeddings[:N_ITEMS] = encoder.embeddings
    columns = StoredColumns(store, encoder, encoder.texts)
    parts = [columns.read(0, 64)]
    for step, (low, high) in enumerate(((64, 128), (128, 150), (150, 200))):
        store.embed(more, more.texts[N_ITEMS + 1000 * step : N_ITEMS + 1000 * (step + 1)])
        parts.append(columns.read(low, high))
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), encoder.embeddings)


def test_reading_waits_for_no_writer(own):
    """A process that holds the store while it embeds does not keep a reader waiting."""
    from filelock import FileLock

    store, encoder = own
    home = store.home(encoder, "document")
    with FileLock(home.with_suffix(".lock")):
        columns = StoredColumns(store, encoder, encoder.texts[:50])
        np.testing.assert_array_equal(columns.read(0, 200), encoder.embeddings[:50])


@pytest.mark.parametrize("damage", ["removed", "chunk removed", "chunk damaged", "rows reused"])
def test_rows_that_were_lost_are_an_error_never_other_rows(own, damage):
    """A store evicted, damaged or refilled with other texts between two reads is said to have changed."""
    store, encoder = own
    texts = encoder.texts[LAST * ROW_CHUNK :]
    columns = StoredColumns(store, encoder, texts)
    columns.read(0, 64)
    home = store.home(encoder, "document")
    chunk = home / "vectors.zarr" / "c" / str(LAST)
    if damage == "removed":
        shutil.rmtree(home)
    elif damage == "chunk removed":
        shutil.rmtree(chunk)
    elif damage == "chunk damaged":
        content = bytearray((chunk / "1").read_bytes())
        content[100] ^= 1
        (chunk / "1").write_bytes(content)
    else:
        # The last row chunk is damaged, found out, forgotten, and its rows go to other texts.
        content = bytearray((chunk / "0").read_bytes())
        content[100] ^= 1
        (chunk / "0").write_bytes(content)
        store.embed(encoder, texts[:1])
        others = as_model(encoder_of(N_ITEMS + 600, seed=5))
        store.embed(others, others.texts[N_ITEMS:])
    with pytest.raises(StoreError, match=r"changed while it was read; embed the texts again|cannot be used"):
        columns.read(64, 128)
    again = store.embed(encoder, texts)
    np.testing.assert_array_equal(again, encoder.embeddings[LAST * ROW_CHUNK :])


def test_what_cannot_be_read_is_said(filled, tmp_path):
    """Texts that are not stored, no texts, and columns out of turn are errors."""
    store, encoder = filled
    with pytest.raises(StoreError, match="2 distinct texts, 1 of them not in the store; embed them first"):
        StoredColumns(store, encoder, [encoder.texts[0], "unknown", "unknown"])
    with pytest.raises(StoreError, match="not in the store"):
        StoredColumns(EmbeddingStore(tmp_path), encoder, encoder.texts[:2])
    assert not list(tmp_path.iterdir())
    with pytest.raises(EmptyInputError, match="`texts` is empty"):
        StoredColumns(store, encoder, [])
    columns = StoredColumns(store, encoder, encoder.texts[:3])
    columns.read(0, 10)
    for low, high in ((0, 10), (20, 30), (10, 10), (10, 201)):
        with pytest.raises(DimensionError, match="read on from 10 to at most 200"):
            columns.read(low, high)
    with pytest.raises(DimensionError, match="does not hold"):
        ProgressiveIndex(StoredColumns(store, encoder, encoder.texts[:3]), [64]).search(encoder.embeddings[0], 1, dim=7)
