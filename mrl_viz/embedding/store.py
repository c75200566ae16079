"""Embeddings on disk by model, revision, prompt and text: editing one line embeds one line, a restart embeds nothing.

One folder per model, revision and prompt, with a lock file beside it and two zarr 3 arrays inside, chunked along rows
and dims, a CRC-32C a chunk:

    vectors.zarr   the rows; a prefix reads its column chunks only
    keys.zarr      the SHA-256 of each row's text, zeros where there is no row; written after the row's vector

Rows are only ever appended, and chunk files are replaced whole (written aside, then renamed), so a process killed at
any moment leaves the rows with a key as they were; what it had written beyond them is overwritten by the next run.
Coordinates never written are NaN. A chunk that fails its checksum, or is NaN where a row should be, is forgotten, and
its texts are embedded again. Texts themselves are never stored.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import CancelledError, DimensionError, StoreError
from mrl_viz.files import cache_folder, disk_errors
from mrl_viz.truncation import FloatMatrix

if TYPE_CHECKING:
    import zarr

    from mrl_viz.embedding.encoder import Encoder, Kind

# 4096 x 64 float32 is 1 MB: few enough files, and the narrowest useful prefix reads a quarter of a 256-d row.
ROW_CHUNK, DIM_CHUNK = 4096, 64
# The arrays' nominal height; chunks that were never written take no space, so they never have to be resized.
CAPACITY = 1 << 30
DEFAULT_MAX_BYTES = 4 << 30
# Texts between two commits: few at first, then what the model does in COMMIT_S seconds, which is what a kill can cost.
# Multiples of 64, so that a transformer's own batches stay full.
FIRST_BATCH, BATCH, COMMIT_S = 64, ROW_CHUNK, 2.0
KEY_BYTES = 32
HOME_NAME = re.compile("[0-9a-f]{24}")
# zarr reports metadata that is no array of ours in as many ways as there are to be wrong, and a damaged chunk as the
# second.
UNREADABLE = (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError)
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
        self.folder = cache_folder() if folder is None else Path(folder)
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
        home = self.home(encoder, kind)
        distinct = list(dict.fromkeys(texts))
        with cache_errors(home):
            held = FileLock(_lock_file(home)).acquire(timeout=LOCK_TIMEOUT_S)
        with held:
            with cache_errors(home):
                shelf = _open_shelf(home, encoder.full_dim)
            result = self._embed_distinct(shelf, encoder, distinct, kind, width, progress, cancelled)
        if len(distinct) == len(texts):
            return result
        position = {text: row for row, text in enumerate(distinct)}
        return result[[position[text] for text in texts]]

    def rows(self, encoder: Encoder, texts: Sequence[str], kind: Kind = "document") -> Rows:
        """Row of each text, -1 where it is not stored, or cannot be read."""
        home, keys = self.home(encoder, kind), digests(texts)
        with suppress(*UNREADABLE):
            return _find(*_stored(home, open_arrays(home, encoder.full_dim)[1]), keys)
        return np.full(len(keys), -1)

    def home(self, encoder: Encoder, kind: Kind) -> Path:
        """The folder of a model, revision and prompt."""
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
        keys = digests(texts)
        with cache_errors(shelf.home):
            rows = shelf.read_into(result, keys)
        missing = np.flatnonzero(rows < 0)
        start, size = 0, FIRST_BATCH
        while start < len(missing):
            with cache_errors(shelf.home):
                here = missing[start : start + min(size, BATCH, ROW_CHUNK - shelf.next_row % ROW_CHUNK)]
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
            with cache_errors(shelf.home):
                rows[here] = shelf.append(keys[here], vectors)
            result[here] = vectors[:, :width]
            start += len(here)
            size = max(1, int(len(here) / FIRST_BATCH * COMMIT_S / max(seconds, 1e-6))) * FIRST_BATCH
        with cache_errors(shelf.home):
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


@dataclass
class _Shelf:
    """One model's folder, opened; the caller holds its lock. `next_row` : the first after all that have a key."""

    home: Path
    vectors: zarr.Array[Any]
    keys: zarr.Array[Any]
    next_row: int = 0

    def read_into(self, result: FloatMatrix, keys: Digests) -> Rows:
        """Fill the rows of `result` that are stored; returns where they are, -1 for what has to be encoded."""
        try:
            first, stored = _stored(self.home, self.keys)
        except ValueError:
            for chunk in _chunks(self.home):
                try:
                    self.keys.blocks[chunk]
                except ValueError:
                    self._forget(chunk)
            first, stored = _stored(self.home, self.keys)
        self.next_row = first + len(stored) - (int(stored[::-1].any(axis=1).argmax()) if len(stored) else 0)
        rows = _find(first, stored, keys)
        for chunk in np.unique(rows[rows >= 0] // ROW_CHUNK).tolist():
            here = np.flatnonzero(rows // ROW_CHUNK == chunk)
            try:
                result[here] = self._read(rows[here], chunk, result.shape[1])
            except _DamagedChunkError:
                self._forget(chunk)
                rows[here] = -1
        return rows

    def append(self, keys: Digests, vectors: FloatMatrix) -> Rows:
        """Write vectors, as many as fit into the last row chunk, and then their keys; returns their rows."""
        try:
            self._write(self.next_row, vectors)
        except ValueError:
            # The last chunk is damaged and cannot be filled up; whoever reads its rows finds out.
            self.next_row = (self.next_row // ROW_CHUNK + 1) * ROW_CHUNK
            self._write(self.next_row, vectors)
        rows = np.arange(self.next_row, self.next_row + len(keys))
        self.keys[self.next_row : self.next_row + len(keys)] = keys
        self.next_row += len(keys)
        return rows

    def trim(self, excess: int, in_use: Rows) -> None:
        """Remove at least `excess` bytes, oldest chunks first, as far as there are chunks without a row in use."""
        for chunk in sorted({*_chunks(self.home)} - {*(in_use // ROW_CHUNK).tolist()}):
            if excess <= 0:
                return
            excess -= sum(map(_size, _chunk_folders(self.home, chunk)))
            self._forget(chunk)

    def _write(self, first: int, vectors: FloatMatrix) -> None:
        if first % ROW_CHUNK == 0:
            # Leftovers of a killed run, maybe damaged: they must not be merged into.
            self._forget(first // ROW_CHUNK)
        for folder in _chunk_folders(self.home, first // ROW_CHUNK):
            for aside in folder.glob("*.partial"):
                aside.unlink()
        self.vectors[first : first + len(vectors)] = np.ascontiguousarray(vectors, dtype=np.float32)

    def _read(self, rows: Rows, chunk: int, width: int) -> FloatMatrix:
        """The first `width` coordinates of some rows of one chunk."""
        first = chunk * ROW_CHUNK
        try:
            leading = np.asarray(self.vectors[first : int(rows.max()) + 1, :width])
        except ValueError as error:
            raise _DamagedChunkError from error
        found: npt.NDArray[np.float32] = leading[rows - first]
        if np.isnan(found[:, ::DIM_CHUNK]).any():
            raise _DamagedChunkError
        return found

    def _forget(self, chunk: int) -> None:
        """Drop a chunk: its keys first, so that none ever points to nothing."""
        for folder in _chunk_folders(self.home, chunk):
            shutil.rmtree(folder, ignore_errors=True)


def _open_shelf(home: Path, full_dim: int) -> _Shelf:
    """A model's arrays; when one is missing or damaged both begin anew: neither means anything alone."""
    with suppress(*UNREADABLE):
        return _Shelf(home, *open_arrays(home, full_dim, mode="r+"))
    if home.exists():
        shutil.rmtree(home)
    return _Shelf(home, *open_arrays(home, full_dim, mode="w"))


def open_arrays(
    home: Path, full_dim: int, *, mode: Literal["r", "r+", "w"] = "r"
) -> tuple[zarr.Array[Any], zarr.Array[Any]]:
    """A model's vectors and keys, made with mode "w"; one of UNREADABLE where they are not what they should be."""
    import zarr
    from zarr.codecs import Crc32cCodec

    arrays: list[zarr.Array[Any]] = []
    for name, width, dtype, empty in (("vectors", full_dim, "float32", float("nan")), ("keys", KEY_BYTES, "uint8", 0)):
        path, shape, chunks = str(home / f"{name}.zarr"), (CAPACITY, width), (ROW_CHUNK, min(DIM_CHUNK, width))
        if mode == "w":
            # Noise does not compress; the checksum finds damage.
            coded = Crc32cCodec()
            made = zarr.create_array(path, shape=shape, chunks=chunks, dtype=dtype, compressors=coded, fill_value=empty)
            arrays.append(made)
            continue
        arrays.append(zarr.open_array(path, mode=mode))
        if (arrays[-1].shape, arrays[-1].chunks) != (shape, chunks):
            raise ValueError(f"`{path}` has another shape")
    return arrays[0], arrays[1]


def _chunk_folders(home: Path, chunk: int | str = "") -> tuple[Path, Path]:
    """The folders of a row chunk's keys and vectors, or of all chunks."""
    return home / "keys.zarr" / "c" / str(chunk), home / "vectors.zarr" / "c" / str(chunk)


def _chunks(home: Path) -> list[int]:
    """The row chunks that have keys."""
    return [int(folder.name) for folder in _chunk_folders(home)[0].glob("[0-9]*")]


def _stored(home: Path, keys: zarr.Array[Any]) -> tuple[int, Digests]:
    """The first row there is, and the keys from there on; ValueError where a chunk is damaged."""
    chunks = _chunks(home) or [-1]
    first = max(min(chunks), 0) * ROW_CHUNK
    return first, np.asarray(keys[first : (max(chunks) + 1) * ROW_CHUNK])


def digests(texts: Sequence[str]) -> Digests:
    """SHA-256 of each text, shape (n_texts, 32)."""
    joined = b"".join([hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts])
    return np.frombuffer(joined, dtype=np.uint8).reshape(-1, KEY_BYTES)


def _find(first: int, stored: Digests, keys: Digests) -> Rows:
    """Row of each key, -1 where it is not stored; `first` is the row of the first stored one."""
    if not len(stored) or not len(keys):
        return np.full(len(keys), -1, dtype=np.int64)
    # Sorted by 8 of the 32 bytes, compared by all: two keys with the same 8 would cost an encoding, never a wrong row.
    heads, wanted = (np.ascontiguousarray(each[:, :8]).view(np.uint64).ravel() for each in (stored, keys))
    order = np.argsort(heads)
    nearest = order[np.minimum(np.searchsorted(heads[order], wanted), len(order) - 1)]
    return np.where((stored[nearest] == keys).all(axis=1), first + nearest, -1)


def _lock_file(home: Path) -> Path:
    """Beside the folder, and never removed: a lock on a removed file excludes nobody."""
    return home.with_suffix(".lock")


def _last_used(home: Path) -> float:
    with suppress(FileNotFoundError):
        return home.stat().st_mtime
    return 0.0


def _size(folder: Path) -> int:
    """Bytes of the files below a folder, which another process may be removing."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size if path.is_file() else 0
    return total


@contextmanager
def cache_errors(home: Path) -> Iterator[None]:
    """What the disk and the lock may say, as a StoreError."""
    from filelock import Timeout

    advice = "free some space or set MRL_VIZ_CACHE to another folder"
    with disk_errors(home, advice, doing="used"):
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
