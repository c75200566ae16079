"""Answers that widen, rank by rank: what each width changed, and since when a rank holds what it holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, ShapeError
from mrl_viz.result import Result
from mrl_viz.retrieval.results import SearchResult
from mrl_viz.truncation import Flags, Floats, Ints


@dataclass(frozen=True)
class Settling(Result):
    """One query's answers at rising widths.

    `dims` : the widths that were read, rising. `indices` : int32 of shape (n_dims, k), each answer, best first.
    `milliseconds` : of shape (n_dims,), measured from the beginning to each answer, the work alone.
    """

    dims: tuple[int, ...]
    indices: npt.NDArray[np.int32]
    milliseconds: Floats

    @property
    def since(self) -> Ints:
        """The width since which each rank of each answer has held what it holds there, shape (n_dims, k)."""
        since = np.empty(self.indices.shape, dtype=np.int64)
        for level, dim in enumerate(self.dims):
            since[level] = np.where(self.changed[level], dim, since[level - 1])
        return since

    @property
    def changed(self) -> Flags:
        """Which ranks hold another item than one width before, shape (n_dims, k); in the first answer all."""
        is_new = np.ones(self.indices.shape, dtype=np.bool_)
        is_new[1:] = self.indices[1:] != self.indices[:-1]
        return is_new

    @property
    def settled(self) -> tuple[int, ...]:
        """By rank: the width from which on it held what the last answer holds; known only at the end."""
        return tuple(self.since[-1].tolist())

    def first(self, n_answers: int) -> Settling:
        """What was known after so many answers, 1 or more."""
        return Settling(self.dims[:n_answers], self.indices[:n_answers], self.milliseconds[:n_answers])

    def rows(self) -> list[dict[str, Any]]:
        """One record per rank: its item, the width since which it is there, its rank one width before, if any."""
        before = self.indices[-2].tolist() if len(self.dims) > 1 else []
        return [
            {"rank": rank + 1, "item": item, "since": since,
             "before": before.index(item) + 1 if item in before else None}
            for rank, (item, since) in enumerate(zip(self.indices[-1].tolist(), self.settled))
        ]  # fmt: skip

    def takeaway(self) -> str:
        k, n_changed = len(self.indices[-1]), int(self.changed[-1].sum())
        if len(self.dims) == 1:
            return f"{self.dims[0]} dims read: a first answer."
        if not n_changed:
            return f"{self.dims[-1]} dims read: all {k} ranks as at {self.dims[-2]}."
        return f"{self.dims[-1]} dims read: {n_changed} of {k} ranks changed, {k - n_changed} stayed."

    def settled_takeaway(self) -> str:
        """One sentence, for the end: from which width on the ranks did not change any more."""
        settled = sorted(self.settled)
        half = settled[(len(settled) - 1) // 2]
        return (
            f"Looking back from {self.dims[-1]} dims, the first rank stood from {self.settled[0]} dims on, half of "
            f"the {len(settled)} by {half}, and all by {settled[-1]}."
        )


def settling(answers: Iterable[SearchResult]) -> Settling:
    """Answers of `AdaptiveIndex.refine` or `PrefixIndex.widen` to one query, in their order.

    Raises
    ------
    EmptyInputError : no answers. ShapeError : answers to several queries, or of several lengths.
    """
    found = list(answers)
    if not found:
        raise EmptyInputError("`answers` is empty; give at least one.")
    shapes = {answer.indices.shape for answer in found}
    if len(shapes) > 1 or found[0].indices.shape[0] != 1:
        raise ShapeError(f"`answers` have shapes {sorted(shapes)}; give those to one query, all of one length.")
    return Settling(
        tuple(answer.stages[0].dim for answer in found),
        np.concatenate([answer.indices for answer in found]),
        np.cumsum([answer.milliseconds for answer in found]),
    )
