"""Stored embeddings a few coordinates at a time: start narrow, widen without reading anything twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mrl_viz.embedding.store import (
    DIM_CHUNK,
    ROW_CHUNK,
    UNREADABLE,
    EmbeddingStore,
    cache_errors,
    digests,
    open_arrays,
)  # fmt: skip
from mrl_viz.errors import DimensionError, EmptyInputError, StoreError
from mrl_viz.truncation import FloatMatrix

if TYPE_CHECKING:
    from mrl_viz.embedding.encoders import Encoder, Kind


class StoredColumns:
    """The stored embeddings of some texts, read from left to right; each column chunk is read once.

    Takes no lock, so that it can be read while another process embeds: rows are only ever appended and chunk files
    replaced whole. That its rows are still those of its texts is checked after every read, by their keys.

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
        self._home = store.home(encoder, kind)
        distinct, place = np.unique(np.array(texts, dtype=object), return_inverse=True)
        rows, keys = store.rows(encoder, distinct.tolist(), kind), digests(distinct.tolist())
        if n_missing := int((rows < 0).sum()):
            raise StoreError(
                f"`texts` has {len(distinct)} distinct texts, {n_missing} of them not in the store; embed them first."
            )
        self._rows, self._keys = rows[place], keys[place]
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
        block = np.empty((self.n_items, high - self._next), dtype=np.float32)
        spare = np.empty((self.n_items, stop - high), dtype=np.float32)
        block[:, : held - self._next] = self._spare
        gone = StoreError(f"`{self._home}` was changed while it was read; embed the texts again and start anew.")
        with cache_errors(self._home):
            try:
                vectors, keys = open_arrays(self._home, self.full_dim)
                for chunk in np.unique(self._rows // ROW_CHUNK).tolist():
                    here = np.flatnonzero(self._rows // ROW_CHUNK == chunk)
                    first, last = chunk * ROW_CHUNK, int(self._rows[here].max()) + 1
                    found = np.asarray(vectors[first:last, held:stop])[self._rows[here] - first]
                    if np.isnan(found).any():
                        raise gone
                    block[here, held - self._next :] = found[:, : high - held]
                    spare[here] = found[:, high - held :]
                    del found  # before the next one is read
                    # Keys go before vectors and come after them: those that are there now were there all the time.
                    if (np.asarray(keys[first:last])[self._rows[here] - first] != self._keys[here]).any():
                        raise gone
            except UNREADABLE as error:
                raise gone from error
        return block, spare
