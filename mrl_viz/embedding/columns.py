"""Stored embeddings a few coordinates at a time: start narrow, widen without reading anything twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mrl_viz.embedding.store import DIM_CHUNK, KEY_BYTES, ROW_CHUNK, EmbeddingStore, Rows, _digests, _disk_errors, _find
from mrl_viz.errors import DimensionError, EmptyInputError, StoreError
from mrl_viz.truncation import FloatMatrix

if TYPE_CHECKING:
    from mrl_viz.embedding.encoders import Encoder, Kind

# First row, number of bytes and checksum of a run of the index: who has the same has the same rows.
Run = tuple[int, int, int]


class StoredColumns:
    """The stored embeddings of some texts, read from left to right; each column chunk is read once.

    Takes no lock, so that it can be read while another process embeds: rows are only ever appended and chunk files
    replaced whole. That its own rows are still those of its texts is checked after every read.

    Parameters
    ----------
    store, encoder, kind : as for `EmbeddingStore.embed`
    texts : at least one, all of them stored already

    Raises
    ------
    StoreError : not all texts are stored, or the store cannot be read. EmptyInputError : no texts.
    """

    def __init__(
        self, store: EmbeddingStore, encoder: Encoder, texts: Sequence[str], *, kind: Kind = "document"
    ) -> None:
        if not texts:
            raise EmptyInputError("`texts` is empty; give at least one.")
        self.n_items, self.full_dim = len(texts), encoder.full_dim
        self._home = store._home(encoder, kind)
        distinct = list(dict.fromkeys(texts))
        n_missing = store.count_missing(encoder, distinct, kind)
        if n_missing == 0:
            with _disk_errors(self._home), closing(self._index()) as index:
                rows = _find(index, _digests(distinct))
                self._runs = _runs_of(index)
            n_missing = int((rows < 0).sum())
        if n_missing:
            raise StoreError(
                f"`texts` has {len(distinct)} distinct texts, {n_missing} of them not in the store; embed them first."
            )
        if len(distinct) < len(texts):
            position = {text: row for row, text in enumerate(distinct)}
            rows = rows[[position[text] for text in texts]]
        self._rows = rows
        self._runs = {run for run in self._runs if _holds(run, rows)}
        # Columns that came with a chunk and were not asked for yet; they begin where the next read has to.
        self._next, self._spare = 0, np.empty((self.n_items, 0), dtype=np.float32)

    @property
    def dim(self) -> int:
        """How many coordinates were handed out so far."""
        return self._next

    def read(self, low: int, high: int) -> FloatMatrix:
        """The coordinates `low` to `high` of every text, shape (n_items, high - low), float32, as encoded.

        Needs the memory of what it returns, of three row chunks, and of what is left of the last column chunk.

        Raises
        ------
        DimensionError : `low` is not where the read before ended, or `high` is not above it or too large.
        StoreError : the rows are damaged, or were removed since this was made; embed the texts again.
        """
        if low != self._next or not low < high <= self.full_dim:
            raise DimensionError(
                f"`low`, `high` are {low}, {high}; read on from {self._next} to at most {self.full_dim} coordinates."
            )
        held = self._next + self._spare.shape[1]
        if high <= held:
            block, spare = self._spare[:, : high - low], self._spare[:, high - low :]
        else:
            # To the end of the column chunk, so that none is read twice.
            stop = min(-(-high // DIM_CHUNK) * DIM_CHUNK, self.full_dim)
            block, spare = self._from_disk(held, high, stop)
        self._next, self._spare = high, np.ascontiguousarray(spare)
        return np.ascontiguousarray(block)

    def _from_disk(self, held: int, high: int, stop: int) -> tuple[FloatMatrix, FloatMatrix]:
        """What is held and the columns from there to `high`; and those beyond, to `stop`."""
        import zarr

        block = np.empty((self.n_items, high - self._next), dtype=np.float32)
        spare = np.empty((self.n_items, stop - high), dtype=np.float32)
        block[:, : held - self._next] = self._spare
        gone = StoreError(f"`{self._home}` was changed while it was read; embed the texts again and start anew.")
        with _disk_errors(self._home):
            try:
                array = zarr.open_array(store=str(self._home / "vectors.zarr"), mode="r")
                for chunk in np.unique(self._rows // ROW_CHUNK):
                    here = np.flatnonzero(self._rows // ROW_CHUNK == chunk)
                    first = int(chunk) * ROW_CHUNK
                    last = int(self._rows[here].max()) + 1
                    found = np.asarray(array[first:last, held:stop])[self._rows[here] - first]
                    if np.isnan(found).any():
                        raise gone
                    block[here, held - self._next :] = found[:, : high - held]
                    spare[here] = found[:, high - held :]
                    del found  # before the next one is read
            except (FileNotFoundError, ValueError) as error:  # ValueError: a checksum, or no array any more
                raise gone from error
            with closing(self._index()) as index:
                if not self._runs <= _runs_of(index):
                    raise gone
        return block, spare

    def _index(self) -> sqlite3.Connection:
        """The index, to be read only."""
        path = Path(self._home / "index.sqlite").absolute()
        return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)


def _runs_of(index: sqlite3.Connection) -> set[Run]:
    """Every run, without its keys."""
    return set(index.execute("SELECT first, length(keys), checksum FROM runs").fetchall())


def _holds(run: Run, rows: Rows) -> bool:
    """Whether one of the rows is in a run."""
    first, n_bytes, _ = run
    return bool(((rows >= first) & (rows < first + n_bytes // KEY_BYTES)).any())
