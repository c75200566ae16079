"""The nested sweep: exact neighbors at every width for about the price of one.

The dot product at width m is the one at the width before it plus the block between them, so all widths share one
full-width matrix product. Two kernels give the same lists: `fused` on the CPU, `tensors` on other devices of PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import InvalidInputError, ShapeError
from mrl_viz.sweep.cosines import as_float32
from mrl_viz.truncation import check_dims


@dataclass(frozen=True)
class Sweep:
    """Exact nearest neighbors by cosine at every width.

    `dims` : ascending widths; `full_dim` : the width of the embeddings, the last of `dims`.
    `indices` : int32 of shape (n_dims, n_queries, k), best first, ties to the lower index; int64 where rows are
        read from a disk.
    `similarities` : float32 of the same shape, cosine in [-1, 1]; 0 where a prefix is zero.
    `n_items` : size of the corpus; `is_self` : the queries are the corpus, each excluded from its own list.
    """

    dims: tuple[int, ...]
    full_dim: int
    k: int
    n_items: int
    is_self: bool
    indices: npt.NDArray[np.integer[Any]]
    similarities: npt.NDArray[np.float32]

    @cached_property
    def n_queries(self) -> int:
        """How many neighbor lists there are at each width."""
        return int(self.indices.shape[1])

    @property
    def chance(self) -> float:
        """Overlap@k of two unrelated lists: k/(n_items - 1), or k/n_items when queries are not in the corpus."""
        return self.k / (self.n_items - self.is_self)

    def at(self, dim: int) -> int:
        """Position of a swept width on the first axis; see `level_of`."""
        return level_of(dim, self.dims)


def level_of(dim: int, dims: tuple[int, ...]) -> int:
    """Position of a width among those swept.

    Raises
    ------
    InvalidInputError : that width was not swept.
    """
    if dim not in dims:
        raise InvalidInputError(f"`dim` is {dim}, which was not swept; choose one of {list(dims)}.")
    return dims.index(dim)


def nested_sweep(
    corpus: npt.ArrayLike,
    queries: npt.ArrayLike | None = None,
    *,
    dims: Iterable[int],
    k: int = 10,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Sweep:
    """The k nearest corpus items of every query at every width, by cosine of the renormalised prefixes.

    Parameters
    ----------
    corpus : array_like of shape (n_items, full_dim)
    queries : array_like of shape (n_queries, full_dim); None sweeps the corpus against itself, each item left out of
        its own list by index, so an exact duplicate is a neighbor like any other
    dims : widths in 1..full_dim; `full_dim` is always added, since every measure compares with it
    k : neighbors per list, 1 to n_items (n_items - 1 for the corpus against itself)
    device : "cpu", or a torch device such as "cuda"
    progress : called with (tiles of work done, tiles in all); what it raises ends the sweep

    Returns
    -------
    Sweep : computed in float32; equal float32 scores go to the lower index.

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError : unusable arrays or widths.
    InvalidInputError : `k` out of range.

    Source: own definition; exact search as in Kusupati et al. 2022, arXiv:2205.13147, section 4.3.
    """
    corpus = as_float32(corpus, "corpus")
    n_items, full_dim = corpus.shape
    is_self = queries is None
    queries = corpus if queries is None else as_float32(queries, "queries")
    if queries.shape[1] != full_dim:
        raise ShapeError(
            f"`queries` have {queries.shape[1]} coordinates and `corpus` {full_dim}; embed both with one model."
        )
    dims = check_dims((*dims, full_dim), full_dim)
    check_k(k, n_items - is_self)
    if device == "cpu":
        from mrl_viz.sweep.fused import sweep_fused

        indices, similarities = sweep_fused(queries, corpus, dims, k, is_self, progress)
    else:
        from mrl_viz.sweep.tensors import sweep_tensors

        indices, similarities = sweep_tensors(queries, corpus, dims, k, is_self, progress, device)
    return Sweep(dims, full_dim, k, n_items, is_self, indices, similarities)


def check_k(k: int, most: int) -> None:
    """Raise InvalidInputError unless 1 <= k <= most."""
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= most:
        hint = f"choose 1 to {most}" if most > 0 else "add at least one more text"
        raise InvalidInputError(f"`k` is {k!r} but an item here has {max(most, 0)} possible neighbors; {hint}.")
