"""An index that loads itself from left to right: a narrow search needs the narrow columns, a wider one the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from mrl_viz.errors import ShapeError
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.topk import Scores
from mrl_viz.truncation import FloatMatrix


class Columns(Protocol):
    """Where the vectors come from; `mrl_viz.embedding.columns.StoredColumns` is one."""

    n_items: int
    full_dim: int

    def read(self, low: int, high: int) -> FloatMatrix:
        """The next columns, shape (n_items, high - low), float32; every call goes on where the one before ended."""
        ...


class ProgressiveIndex(PrefixIndex):
    """A `PrefixIndex` whose blocks are read when a search first needs them; `nbytes` is what was read so far.

    Parameters
    ----------
    columns : read from left to right, by nobody else
    dims : widths that can be searched; `default_dims(full_dim)` when None; `full_dim` is always added. Multiples of
        the store's column chunks (64) leave nothing over from a chunk

    Raises
    ------
    DimensionError : unusable widths. StoreError : a search whose columns cannot be read.
    """

    def __init__(self, columns: Columns, dims: Iterable[int] | None = None) -> None:
        self._lay_out(columns.n_items, columns.full_dim, dims)
        self._columns = columns

    @property
    def dim(self) -> int:
        """The width that is loaded, 0 at first."""
        return self.dims[len(self._blocks) - 1] if self._blocks else 0

    def level(self, dim: int) -> int:
        """Position of a width among `dims`, loaded up to it; StoreError where that cannot be read, else as there."""
        level = super().level(dim)
        self._load(level)
        return level

    def _block_dots(self, rows: FloatMatrix, level: int) -> Scores:
        self._load(level)
        return super()._block_dots(rows, level)

    def _load(self, level: int) -> None:
        """Read the blocks that are missing up to a level."""
        while len(self._blocks) <= level:
            low, high = self._spans[len(self._blocks)]
            block = self._columns.read(low, high)
            if block.shape != (self.n_items, high - low):
                raise ShapeError(f"`columns` read {block.shape} instead of {(self.n_items, high - low)}.")
            self._add(block)
