"""What a search returns, what it did on the way, and how much of the exact answer it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, ShapeError
from mrl_viz.measures.estimate import Estimate, bootstrap
from mrl_viz.measures.lists import are_others, shared_share
from mrl_viz.result import Result
from mrl_viz.truncation import Floats, Ints


@dataclass(frozen=True)
class StageTrace(Result):
    """What one stage of a search did, per query.

    `dim` : its width; `n_scored`, `n_kept` : items in and out.
    `multiply_adds`, `bytes_read` : of its scores; None where the index does not say.
    `milliseconds` : measured, mean over the queries.
    `survivors` : int32 of shape (n_queries, n_kept), best first.
    """

    _without = ("survivors",)

    dim: int
    n_scored: int
    n_kept: int
    multiply_adds: int | None
    bytes_read: int | None
    milliseconds: float
    survivors: npt.NDArray[np.int32]


@dataclass(frozen=True)
class SearchResult(Result):
    """The k best items of every query and how they were found.

    `indices` : int32 of shape (n_queries, k), best first, ties to the lower index; -1 where an approximate index
    found fewer.
    `similarities` : float32 of the same shape, at the width (and dtype) of the last stage.
    `stages` : one trace per stage.
    """

    _also = ("milliseconds", "multiply_adds", "bytes_read")

    indices: npt.NDArray[np.int32]
    similarities: npt.NDArray[np.float32]
    stages: tuple[StageTrace, ...]

    @classmethod
    def of_stage(
        cls,
        started: float,
        dim: int,
        n_scored: int,
        indices: npt.NDArray[np.int32],
        similarities: npt.NDArray[np.float32],
        *,
        multiply_adds: int | None,
        bytes_read: int | None,
        before: Sequence[StageTrace] = (),
    ) -> SearchResult:
        """What a stage found that began at `started`, a `perf_counter`, after the stages `before`."""
        took = (perf_counter() - started) * 1e3 / len(indices)
        trace = StageTrace(dim, n_scored, indices.shape[1], multiply_adds, bytes_read, took, indices)
        return cls(indices, similarities, (*before, trace))

    @property
    def dim(self) -> int:
        """The width that the similarities were computed at."""
        return self.stages[-1].dim

    @property
    def milliseconds(self) -> float:
        """Measured time per query, all stages."""
        return sum(stage.milliseconds for stage in self.stages)

    @property
    def multiply_adds(self) -> int | None:
        """Per query, all stages; None where a stage does not say."""
        return self._total("multiply_adds")

    @property
    def bytes_read(self) -> int | None:
        """Per query, all stages; None where a stage does not say."""
        return self._total("bytes_read")

    def _total(self, name: str) -> int | None:
        counts = [getattr(stage, name) for stage in self.stages]
        return None if None in counts else sum(counts)

    def without(self, own: Ints) -> SearchResult:
        """The same lists, one entry shorter, without each query's `own` item, (n_queries,); see `are_others`."""
        n_queries, size = self.indices.shape
        is_kept, shape = are_others(self.indices, own), (n_queries, size - 1)
        return self._of(self.indices[is_kept].reshape(shape), self.similarities[is_kept].reshape(shape))

    def first(self, size: int) -> SearchResult:
        """The same lists cut to their best `size`."""
        return self._of(self.indices[:, :size], self.similarities[:, :size])

    def _of(self, indices: npt.NDArray[np.int32], similarities: npt.NDArray[np.float32]) -> SearchResult:
        """Shorter lists of the same search."""
        last = replace(self.stages[-1], n_kept=indices.shape[1], survivors=indices)
        return SearchResult(indices, similarities, (*self.stages[:-1], last))

    def takeaway(self) -> str:
        path = ", then ".join(f"{stage.n_scored:,} items at {stage.dim} dims" for stage in self.stages)
        return f"Scored {path}: {self.milliseconds:.2f} ms per query."


@dataclass(frozen=True)
class RecallVsFull(Result):
    """Share of the exact full-width top k that a search found: overlap@k with full width, not recall of relevant items.

    `share` : mean over queries, in [0, 1], with its 95 % bootstrap interval.
    `per_query` : float64 of shape (n_queries,).
    """

    _also = ("n_queries",)
    _without = ("per_query",)

    k: int
    share: Estimate
    per_query: Floats

    @property
    def n_queries(self) -> int:
        """How many queries were searched for."""
        return len(self.per_query)

    def takeaway(self) -> str:
        interval = f"95% interval {self.share.low:.1%} to {self.share.high:.1%}"
        return f"Finds {self.share.value:.1%} of the {self.k} full-width neighbors ({interval})."


def recall_vs_full(found: npt.ArrayLike, full: npt.ArrayLike, *, seed: int = 0) -> RecallVsFull:
    """The mean share of each row of `full` that is in the same row of `found`.

    Parameters
    ----------
    found : indices of shape (n_queries, >= k); -1 stands for nothing found
    full : indices of the exact full-width search, shape (n_queries, k), no item twice in a row
    seed : of the bootstrap

    Raises
    ------
    ShapeError : not matrices of as many rows, or fewer columns in `found`. EmptyInputError : no queries or k = 0.
    """
    found, full = np.asarray(found), np.asarray(full)
    if found.ndim != 2 or full.ndim != 2 or len(found) != len(full) or found.shape[1] < full.shape[1]:
        raise ShapeError(
            f"`found` has shape {found.shape} and `full` {full.shape}; give the lists of the same queries."
        )
    if full.size == 0:
        raise EmptyInputError("`full` is empty; search with at least one query and `k` of 1 or more.")
    k = full.shape[1]
    per_query = shared_share(found[:, :k], full)
    (share,) = bootstrap(per_query, seed=seed)
    return RecallVsFull(k, share, per_query)
