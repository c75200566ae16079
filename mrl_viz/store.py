"""Embeddings on disk, keyed by model, revision, prompt and text: editing one line embeds one line, a restart embeds nothing.

One folder per model, revision and prompt, with two parts:

    vectors.zarr   one zarr 3 array, chunked along rows and dims, every chunk with a CRC-32C; a prefix reads its column chunks
    index.sqlite   SHA-256 of a text -> row, committed only after the row's chunks are on disk

Rows are only ever appended, and chunk files are replaced whole (written aside, then renamed), so a process killed at any moment
leaves the committed rows as they were; what it had written beyond them is overwritten by the next run. A chunk that fails its
checksum loses its index entries, and its texts are embedded again. Texts themselves are never stored.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import DimensionError, StoreError
from mrl_viz.truncation import FloatMatrix

if TYPE_CHECKING:
    import zarr

    from mrl_viz.encoders import Encoder, Kind

# 4096 x 64 float32 is 1 MB: few enough files, and the narrowest useful prefix reads a quarter of a 256-d row.
ROW_CHUNK, DIM_CHUNK = 4096, 64
# The array's nominal height; chunks that were never written take no space, so it never has to be resized.
CAPACITY = 1 << 30
DEFAULT_MAX_BYTES = 4 << 30
# Texts encoded between two commits: what a kill can cost.
BATCH = ROW_CHUNK
BYTES_PER_FLOAT32 = 4
LOOKUP = 500
LOCK_TIMEOUT_S = 600


class _DamagedChunkError(Exception):
    """A row chunk failed its checksum; its rows have to be embedded again."""

    def __init__(self, row_chunk: int) -> None:
        super().__init__(row_chunk)
        self.row_chunk = row_chunk


class EmbeddingStore:
    """A size-bounded cache of embeddings in a folder.

    Parameters
    ----------
    folder : where; None takes the environment's MRL_VIZ_CACHE, else the user's cache folder
    max_bytes : whole models that were used longest ago are removed above this, never the one in use

    Raises
    ------
    StoreError : the folder cannot be created or written.
    """

    def __init__(self, folder: Path | None = None, *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        if folder is None:
            from platformdirs import user_cache_dir

            folder = Path(os.environ.get("MRL_VIZ_CACHE") or user_cache_dir("mrl_viz"))
        self.folder = Path(folder)
        self.max_bytes = max_bytes
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"`{self.folder}` cannot be created ({error.strerror}); set MRL_VIZ_CACHE to a folder you own.") from error
        if not os.access(self.folder, os.W_OK):
            raise StoreError(f"`{self.folder}` cannot be written; set MRL_VIZ_CACHE to a folder you own.")

    def embed(
        self,
        encoder: Encoder,
        texts: Sequence[str],
        *,
        kind: Kind = "document",
        dim: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> FloatMatrix:
        """The embeddings of the texts, encoding only those that are not stored yet.

        Parameters
        ----------
        encoder : the model
        texts : any number; equal texts are encoded once
        kind : which of the model's prompts
        dim : return only this many coordinates, reading only their column chunks; None returns all
        progress : called with (texts available, texts in all); cancelled : asked between batches

        Returns
        -------
        ndarray of shape (n_texts, dim or full_dim), float32, as encoded: not renormalised

        Raises
        ------
        DimensionError : `dim` outside 1..full_dim. EncodingCancelledError : finished batches are kept.
        StoreError : the disk refuses, or another process holds the store too long.
        """
        from filelock import FileLock, Timeout

        width = encoder.full_dim if dim is None else dim
        if not 1 <= width <= encoder.full_dim:
            raise DimensionError(f"`dim` is {dim} but {encoder.name} has {encoder.full_dim} coordinates; choose 1 to {encoder.full_dim}.")
        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        home = self._home(encoder, kind)
        try:
            home.mkdir(exist_ok=True)
            with FileLock(home / "lock", timeout=LOCK_TIMEOUT_S):
                os.utime(home)
                result = self._embed_locked(home, encoder, texts, keys, kind, width, progress, cancelled)
            self._evict(home)
        except Timeout as error:
            raise StoreError(f"`{home}` is held by another process; wait for it, or set MRL_VIZ_CACHE to another folder.") from error
        except (OSError, sqlite3.OperationalError) as error:
            raise StoreError(f"`{home}` cannot be used ({error}); free some space or set MRL_VIZ_CACHE to another folder.") from error
        return result

    def count_missing(self, encoder: Encoder, texts: Sequence[str], kind: Kind = "document") -> int:
        """How many distinct texts would have to be encoded."""
        keys = {hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts}
        home = self._home(encoder, kind)
        if not (home / "index.sqlite").exists():
            return len(keys)
        with _index(home) as index:
            return len(keys) - len(_find(index, list(keys)))

    def _home(self, encoder: Encoder, kind: Kind) -> Path:
        prompt = encoder.query_prompt if kind == "query" else encoder.document_prompt
        parts = (encoder.name, encoder.revision, prompt, encoder.pre_truncation, str(encoder.full_dim))
        return self.folder / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]

    def _embed_locked(
        self,
        home: Path,
        encoder: Encoder,
        texts: Sequence[str],
        keys: Sequence[bytes],
        kind: Kind,
        width: int,
        progress: Callable[[int, int], None] | None,
        cancelled: Callable[[], bool] | None,
    ) -> FloatMatrix:
        """Encode what is missing, batch by batch, then read; a damaged chunk starts this over without its rows."""
        array = _open_array(home, encoder.full_dim)
        with _index(home) as index:
            while True:
                distinct = dict(zip(keys, texts))
                rows = _find(index, list(distinct))
                missing = [key for key in distinct if key not in rows]
                for start in range(0, len(missing), BATCH):
                    batch = missing[start : start + BATCH]
                    done = len(distinct) - len(missing) + start
                    vectors = encoder.encode(
                        [distinct[key] for key in batch], kind=kind, cancelled=cancelled, progress=_shifted(progress, done, len(distinct))
                    )
                    rows.update(_append(array, index, batch, vectors))
                try:
                    return _read(array, [rows[key] for key in keys], width)
                except _DamagedChunkError as damage:
                    first = damage.row_chunk * ROW_CHUNK
                    with index:
                        index.execute("DELETE FROM rows WHERE row >= ? AND row < ?", (first, first + ROW_CHUNK))

    def _evict(self, in_use: Path) -> None:
        """Remove the models used longest ago until the store fits; one that is locked is in use elsewhere and stays."""
        from filelock import FileLock, Timeout

        homes = sorted((p for p in self.folder.iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime)
        sizes = {home: _size(home) for home in homes}
        for home in homes:
            if sum(sizes.values()) <= self.max_bytes:
                return
            if home == in_use:
                continue
            try:
                with FileLock(home / "lock", timeout=0):
                    shutil.rmtree(home, ignore_errors=True)
            except Timeout:
                continue
            del sizes[home]


def _size(home: Path) -> int:
    return sum(file.stat().st_size for file in home.rglob("*") if file.is_file())


def _shifted(progress: Callable[[int, int], None] | None, done: int, total: int) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda here, _: progress(done + here, total)


def _open_array(home: Path, full_dim: int) -> zarr.Array[Any]:
    """The model's array; it is created aside and renamed, so that it is there whole or not at all."""
    import zarr

    path = home / "vectors.zarr"
    if not (path / "zarr.json").exists():
        aside = home / "vectors.new"
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(path, ignore_errors=True)
        zarr.create_array(
            store=str(aside),
            shape=(CAPACITY, full_dim),
            chunks=(ROW_CHUNK, min(DIM_CHUNK, full_dim)),
            dtype="float32",
            compressors=zarr.codecs.Crc32cCodec(),  # float noise does not compress; the checksum finds damage
            fill_value=0.0,
        )
        aside.rename(path)
        # Rows of an index without its array point nowhere.
        for stale in home.glob("index.sqlite*"):
            stale.unlink()
    return zarr.open_array(store=str(path), mode="r+")


@contextmanager
def _index(home: Path) -> Iterator[sqlite3.Connection]:
    """The index database; one that SQLite calls malformed is set aside and begun anew, since every row can be embedded again."""
    path = home / "index.sqlite"
    schema = "CREATE TABLE IF NOT EXISTS rows (key BLOB PRIMARY KEY, row INTEGER NOT NULL) WITHOUT ROWID"
    connection = sqlite3.connect(path)
    try:
        connection.execute(schema)
    except sqlite3.DatabaseError as error:
        connection.close()
        if isinstance(error, sqlite3.OperationalError):
            raise
        path.replace(home / "index.damaged")
        connection = sqlite3.connect(path)
        connection.execute(schema)
    with closing(connection):
        yield connection


def _find(index: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, int]:
    """Rows of the keys that are stored."""
    if index.execute("SELECT 1 FROM rows LIMIT 1").fetchone() is None:
        return {}
    found: dict[bytes, int] = {}
    for start in range(0, len(keys), LOOKUP):
        part = keys[start : start + LOOKUP]
        marks = ",".join("?" * len(part))
        found.update(index.execute(f"SELECT key, row FROM rows WHERE key IN ({marks})", part))
    return found


def _append(array: zarr.Array[Any], index: sqlite3.Connection, keys: Sequence[bytes], vectors: FloatMatrix) -> dict[bytes, int]:
    """Write vectors after the last committed row, then commit their keys; returns their rows."""
    last = index.execute("SELECT MAX(row) FROM rows").fetchone()[0]
    start = 0 if last is None else last + 1
    if start % ROW_CHUNK:
        try:
            _read_chunk(array, start // ROW_CHUNK, array.shape[1])
        except _DamagedChunkError:
            start = (start // ROW_CHUNK + 1) * ROW_CHUNK  # a damaged tail can not be filled up; the reader will find it
    # Chunks without committed rows are leftovers of a killed or damaged run: they must not be merged into new ones.
    for row_chunk in range(-(-start // ROW_CHUNK), (start + len(keys) - 1) // ROW_CHUNK + 1):
        shutil.rmtree(_chunk_file(array, row_chunk, 0).parent, ignore_errors=True)
    array[start : start + len(keys)] = np.ascontiguousarray(vectors, dtype=np.float32)
    rows = {key: start + offset for offset, key in enumerate(keys)}
    with index:
        index.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?)", rows.items())
    return rows


def _read(array: zarr.Array[Any], rows: Sequence[int], width: int) -> FloatMatrix:
    """The first `width` coordinates of some rows, chunk by chunk."""
    wanted = np.asarray(rows, dtype=np.int64)
    result = np.empty((len(wanted), width), dtype=np.float32)
    for row_chunk in np.unique(wanted // ROW_CHUNK):
        here = np.flatnonzero(wanted // ROW_CHUNK == row_chunk)
        offsets = wanted[here] - row_chunk * ROW_CHUNK
        result[here] = _read_chunk(array, int(row_chunk), width, int(offsets.max()) + 1)[offsets]
    return result


def _read_chunk(array: zarr.Array[Any], row_chunk: int, width: int, n_rows: int = ROW_CHUNK) -> npt.NDArray[np.float32]:
    """Some leading rows and columns of a row chunk; a missing or altered chunk file is damage."""
    first = row_chunk * ROW_CHUNK
    for column_chunk in range(-(-width // array.chunks[1])):
        if not _chunk_file(array, row_chunk, column_chunk).exists():
            raise _DamagedChunkError(row_chunk)
    try:
        return np.asarray(array[first : first + n_rows, :width])
    except ValueError as error:
        raise _DamagedChunkError(row_chunk) from error


def _chunk_file(array: zarr.Array[Any], row_chunk: int, column_chunk: int) -> Path:
    return Path(str(array.store_path.store.root)) / array.path / "c" / str(row_chunk) / str(column_chunk)  # type: ignore[attr-defined]
