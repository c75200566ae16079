"""Embeddings on disk by model, revision, prompt and text: editing one line embeds one line, a restart embeds nothing.

One folder per model, revision and prompt, with a lock file beside it and two parts inside:

    vectors.zarr   one zarr 3 array, chunked along rows and dims, a CRC-32C a chunk; a prefix reads its column chunks
    index.sqlite   runs of consecutive rows with the SHA-256 of their texts, committed after the rows' chunks

Rows are only ever appended, and chunk files are replaced whole (written aside, then renamed), so a process killed at
any moment leaves the committed rows as they were; what it had written beyond them is overwritten by the next run.
Coordinates never written are NaN. A chunk that fails its checksum, or is NaN where a row should be, loses its runs, and
its texts are embedded again. Texts themselves are never stored.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import CancelledError, DimensionError, StoreError
from mrl_viz.files import disk_errors
from mrl_viz.truncation import FloatMatrix

if TYPE_CHECKING:
    import zarr

    from mrl_viz.embedding.encoder import Encoder, Kind

# 4096 x 64 float32 is 1 MB: few enough files, and the narrowest useful prefix reads a quarter of a 256-d row.
ROW_CHUNK, DIM_CHUNK = 4096, 64
# The array's nominal height; chunks that were never written take no space, so it never has to be resized.
CAPACITY = 1 << 30
DEFAULT_MAX_BYTES = 4 << 30
# Texts between two commits: few at first, then what the model does in COMMIT_S seconds, which is what a kill can cost.
# Multiples of 64, so that a transformer's own batches stay full.
FIRST_BATCH, BATCH, COMMIT_S = 64, ROW_CHUNK, 2.0
KEY_BYTES = 32
HOME_NAME = re.compile("[0-9a-f]{24}")
# The journal protects the index from a killed process. A power cut, too rare to wait for the disk at every commit, may
# damage it, which is found; it is begun anew.
UNSYNCED = "PRAGMA synchronous = OFF"
SCHEMA = "CREATE TABLE runs (first INTEGER PRIMARY KEY, keys BLOB NOT NULL, checksum INTEGER NOT NULL)"
LOCK_TIMEOUT_S = 600

Digests = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]


class _DamagedChunkError(Exception):
    """A row chunk failed its checksum or lacks rows; all of it has to be embedded again."""


class EmbeddingStore:
    """A size-bounded cache of embeddings in a folder.

    Parameters
    ----------
    folder : where; None takes the environment's MRL_VIZ_CACHE, else the user's cache folder
    max_bytes : above this, whole models used longest ago are removed, then the oldest rows of the one in use; never the
        rows in use

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
            raise StoreError(
                f"`{self.folder}` cannot be created ({error.strerror}); set MRL_VIZ_CACHE to a folder you own."
            ) from error
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
        progress : called with (distinct texts available, distinct texts in all); cancelled : asked between batches

        Returns
        -------
        ndarray of shape (n_texts, dim or full_dim), float32, as encoded: not renormalised

        Raises
        ------
        DimensionError : `dim` outside 1..full_dim. CancelledError : finished batches are kept.
        StoreError : the disk refuses, or another process holds the store too long.
        """
        from filelock import FileLock

        width = encoder.full_dim if dim is None else dim
        if not 1 <= width <= encoder.full_dim:
            raise DimensionError(
                f"`dim` is {dim} but {encoder.name} has {encoder.full_dim} coordinates; choose 1 to {encoder.full_dim}."
            )
        home = self._home(encoder, kind)
        distinct = list(dict.fromkeys(texts))
        with _disk_errors(home):
            held = FileLock(_lock_file(home)).acquire(timeout=LOCK_TIMEOUT_S)
        with held:
            with _disk_errors(home):
                shelf = _open_shelf(home, encoder.full_dim)
            with closing(shelf.index):
                result = self._embed_distinct(shelf, encoder, distinct, kind, width, progress, cancelled)
        if len(distinct) == len(texts):
            return result
        position = {text: row for row, text in enumerate(distinct)}
        return result[[position[text] for text in texts]]

    def count_missing(self, encoder: Encoder, texts: Sequence[str], kind: Kind = "document") -> int:
        """How many distinct texts would have to be encoded."""
        distinct = list(dict.fromkeys(texts))
        path = self._home(encoder, kind) / "index.sqlite"
        if not path.exists():
            return len(distinct)
        # What cannot be read counts as missing: `embed` starts a damaged index anew, or says what keeps it from that.
        with suppress(sqlite3.DatabaseError, UnicodeDecodeError), closing(sqlite3.connect(path)) as index:
            return int((_find(index, _digests(distinct)) < 0).sum())
        return len(distinct)

    def _home(self, encoder: Encoder, kind: Kind) -> Path:
        prompt = encoder.query_prompt if kind == "query" else encoder.document_prompt
        layout = f"{ROW_CHUNK}x{DIM_CHUNK}"
        parts = (encoder.name, encoder.revision, prompt, encoder.pre_truncation, str(encoder.full_dim), layout)
        return self.folder / hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:24]

    def _embed_distinct(
        self,
        shelf: _Shelf,
        encoder: Encoder,
        texts: Sequence[str],
        kind: Kind,
        width: int,
        progress: Callable[[int, int], None] | None,
        cancelled: Callable[[], bool] | None,
    ) -> FloatMatrix:
        """Read what is stored, then encode what is missing batch by batch."""
        result = np.empty((len(texts), width), dtype=np.float32)
        keys = _digests(texts)
        with _disk_errors(shelf.home):
            rows = shelf.read_into(result, keys)
        missing = np.flatnonzero(rows < 0)
        start, size = 0, FIRST_BATCH
        while start < len(missing):
            with _disk_errors(shelf.home):
                here = missing[start : start + min(size, BATCH, shelf.room())]
            done = len(texts) - len(missing) + start
            began = time.perf_counter()
            try:
                vectors = encoder.encode(
                    [texts[row] for row in here],
                    kind=kind,
                    cancelled=cancelled,
                    progress=_shifted(progress, done, len(texts)),
                )
            except CancelledError as error:
                message = f"Embedding was stopped; {done} of {len(texts)} texts are stored."
                raise CancelledError(message) from error
            seconds = time.perf_counter() - began
            with _disk_errors(shelf.home):
                rows[here] = shelf.append(keys[here], vectors)
            result[here] = vectors[:, :width]
            start += len(here)
            size = max(1, int(len(here) / FIRST_BATCH * COMMIT_S / max(seconds, 1e-6))) * FIRST_BATCH
        with _disk_errors(shelf.home):
            os.utime(shelf.home)
            if len(missing):
                self._evict(shelf, rows)
        return result

    def _evict(self, in_use: _Shelf, rows: Rows) -> None:
        """Remove the models used longest ago until the store fits, then the oldest other rows of the one in use.

        A model that is locked is in use elsewhere and stays.
        """
        from filelock import FileLock, Timeout

        # By name: the folder may be one that holds other things.
        sizes = {home: _size(home) for home in self.folder.iterdir() if HOME_NAME.fullmatch(home.name)}
        excess = sum(sizes.values()) - self.max_bytes
        for home in sorted(sizes, key=_last_used):
            if excess <= 0:
                return
            if home == in_use.home:
                continue
            with suppress(Timeout), FileLock(_lock_file(home), timeout=0):
                shutil.rmtree(home, ignore_errors=True)
                excess -= sizes[home]
        in_use.trim(excess, rows)


@dataclass(frozen=True)
class _Shelf:
    """One model's folder, opened; the caller holds its lock."""

    home: Path
    array: zarr.Array[Any]
    index: sqlite3.Connection

    def read_into(self, result: FloatMatrix, keys: Digests) -> Rows:
        """Fill the rows of `result` that are stored; returns where they are, -1 for what has to be encoded."""
        rows = _find(self.index, keys)
        for row_chunk in np.unique(rows[rows >= 0] // ROW_CHUNK):
            here = np.flatnonzero(rows // ROW_CHUNK == row_chunk)
            try:
                result[here] = self._read(rows[here], int(row_chunk), result.shape[1])
            except _DamagedChunkError:
                self._forget(int(row_chunk))
                rows[here] = -1
        return rows

    def room(self) -> int:
        """Rows that still fit into the last row chunk, at least 1."""
        return ROW_CHUNK - self._next_row() % ROW_CHUNK

    def append(self, keys: Digests, vectors: FloatMatrix) -> Rows:
        """Write at most `room` vectors after the last committed row, then commit their keys; returns their rows."""
        first = self._next_row()
        try:
            self._write(first, vectors)
        except ValueError:
            # The last chunk is damaged and cannot be filled up; whoever reads its rows finds out.
            first = (first // ROW_CHUNK + 1) * ROW_CHUNK
            self._write(first, vectors)
        content = keys.tobytes()
        with self.index:
            self.index.execute(
                "INSERT OR REPLACE INTO runs VALUES (?, ?, ?)", (first, content, _checksum(first, content))
            )
        return np.arange(first, first + len(keys))

    def trim(self, excess: int, in_use: Rows) -> None:
        """Remove at least `excess` bytes, oldest chunks first, as far as there are chunks without a row in use."""
        kept = set((in_use // ROW_CHUNK).tolist())
        for folder in sorted(self._chunk_folder(0).parent.glob("[0-9]*"), key=lambda path: int(path.name)):
            if excess <= 0:
                return
            if int(folder.name) not in kept:
                excess -= _size(folder)
                self._forget(int(folder.name))

    def _chunk_folder(self, row_chunk: int) -> Path:
        return self.home / "vectors.zarr" / "c" / str(row_chunk)

    def _next_row(self) -> int:
        last = self.index.execute("SELECT first, length(keys) FROM runs ORDER BY first DESC LIMIT 1").fetchone()
        return 0 if last is None else int(last[0] + last[1] // KEY_BYTES)

    def _write(self, first: int, vectors: FloatMatrix) -> None:
        folder = self._chunk_folder(first // ROW_CHUNK)
        if first % ROW_CHUNK == 0:
            # Leftovers of a killed run, maybe damaged: they must not be merged into.
            shutil.rmtree(folder, ignore_errors=True)
        for aside in folder.glob("*.partial"):
            aside.unlink()
        self.array[first : first + len(vectors)] = np.ascontiguousarray(vectors, dtype=np.float32)

    def _read(self, rows: Rows, row_chunk: int, width: int) -> FloatMatrix:
        """The first `width` coordinates of some rows of one chunk."""
        first = row_chunk * ROW_CHUNK
        try:
            leading = np.asarray(self.array[first : int(rows.max()) + 1, :width])
        except ValueError as error:
            raise _DamagedChunkError from error
        found: npt.NDArray[np.float32] = leading[rows - first]
        if np.isnan(found[:, ::DIM_CHUNK]).any():
            raise _DamagedChunkError
        return found

    def _forget(self, row_chunk: int) -> None:
        """Drop a chunk: its runs first, so that none ever points to nothing."""
        first = row_chunk * ROW_CHUNK
        with self.index:
            self.index.execute("DELETE FROM runs WHERE first >= ? AND first < ?", (first, first + ROW_CHUNK))
        shutil.rmtree(self._chunk_folder(row_chunk), ignore_errors=True)


def _open_shelf(home: Path, full_dim: int) -> _Shelf:
    """A model's array and index; when either is missing or damaged both begin anew: neither means anything alone."""
    import zarr
    from zarr.codecs import Crc32cCodec

    shape, chunks = (CAPACITY, full_dim), (ROW_CHUNK, min(DIM_CHUNK, full_dim))
    # zarr reports metadata that is no array of ours in as many ways as there are to be wrong.
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        array = zarr.open_array(store=str(home / "vectors.zarr"), mode="r+")
        index = _open_index(home) if (array.shape, array.chunks) == (shape, chunks) else None
        if index is not None:
            return _Shelf(home, array, index)
    if home.exists():
        shutil.rmtree(home)
    array = zarr.create_array(
        store=str(home / "vectors.zarr"),
        shape=shape,
        chunks=chunks,
        dtype="float32",
        compressors=Crc32cCodec(),  # float noise does not compress; the checksum finds damage
        fill_value=float("nan"),
    )
    # The index comes last: a folder without it is one whose making was interrupted.
    with ExitStack() as opened:
        index = opened.enter_context(closing(sqlite3.connect(home / "index.sqlite")))
        index.execute(UNSYNCED)
        index.execute(SCHEMA)
        opened.pop_all()
    return _Shelf(home, array, index)


def _open_index(home: Path) -> sqlite3.Connection | None:
    """The index database; None when it is missing or damaged."""
    path = home / "index.sqlite"
    if not path.is_file():
        return None
    with ExitStack() as opened:
        index = opened.enter_context(closing(sqlite3.connect(path)))
        try:
            index.execute(UNSYNCED)
            schema = index.execute("SELECT sql FROM sqlite_master").fetchall()
            if schema == [(SCHEMA,)] and index.execute("PRAGMA quick_check(1)").fetchone() == ("ok",):
                _runs(index)
                opened.pop_all()
                return index
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # UnicodeDecodeError: SQLite quotes damaged text
            # An OperationalError is the disk's or a lock's, no reason to throw the index away; save a broken header.
            if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                raise
    return None


def _digests(texts: Sequence[str]) -> Digests:
    """SHA-256 of each text, shape (n_texts, 32)."""
    joined = b"".join([hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts])
    return np.frombuffer(joined, dtype=np.uint8).reshape(-1, KEY_BYTES)


def _checksum(first: int, keys: bytes) -> int:
    """Of a run: SQLite has none, and a flipped bit would serve one text the vector of another."""
    return zlib.crc32(b"%d " % first + keys)


def _runs(index: sqlite3.Connection) -> list[tuple[int, bytes]]:
    """First row and joined keys of every run; sqlite3.DatabaseError when one fails its checksum."""
    runs = index.execute("SELECT first, CAST(keys AS BLOB), checksum FROM runs").fetchall()
    try:
        is_damaged = any(checksum != _checksum(first, content) for first, content, checksum in runs)
    except TypeError:  # a damaged page can hold NULL where none may be
        is_damaged = True
    if is_damaged:
        raise sqlite3.DatabaseError("a run of the index is damaged")
    return [(first, content) for first, content, _ in runs]


def _find(index: sqlite3.Connection, keys: Digests) -> Rows:
    """Row of each key, -1 where it is not stored."""
    runs = _runs(index)
    if not runs or not len(keys):
        return np.full(len(keys), -1, dtype=np.int64)
    stored = np.frombuffer(b"".join([content for _, content in runs]), dtype=np.uint8).reshape(-1, KEY_BYTES)
    rows = np.concatenate([np.arange(first, first + len(content) // KEY_BYTES) for first, content in runs])
    # Sorted by 8 of the 32 bytes, compared by all: two keys with the same 8 would cost an encoding, never a wrong row.
    heads = np.ascontiguousarray(stored[:, :8]).view(np.uint64).ravel()
    order = np.argsort(heads)
    wanted = np.ascontiguousarray(keys[:, :8]).view(np.uint64).ravel()
    nearest = order[np.minimum(np.searchsorted(heads[order], wanted), len(order) - 1)]
    return np.where((stored[nearest] == keys).all(axis=1), rows[nearest], -1)


def _lock_file(home: Path) -> Path:
    """Beside the folder, and never removed: a lock on a removed file excludes nobody."""
    return home.with_suffix(".lock")


def _last_used(home: Path) -> float:
    try:
        return home.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _size(folder: Path) -> int:
    """Bytes of the files below a folder, which another process may be removing."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.stat(os.path.join(path, name)).st_size
    return total


@contextmanager
def _disk_errors(home: Path) -> Iterator[None]:
    """What the disk, the lock and SQLite may say, as a StoreError."""
    from filelock import Timeout

    advice = "free some space or set MRL_VIZ_CACHE to another folder"
    with disk_errors(home, advice, doing="used", also=(sqlite3.DatabaseError,)):
        try:
            yield
        except Timeout as error:
            raise StoreError(
                f"`{home}` is held by another process; wait for it, or set MRL_VIZ_CACHE to another folder."
            ) from error


def _shifted(progress: Callable[[int, int], None] | None, done: int, total: int) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda here, _: progress(done + here, total)
