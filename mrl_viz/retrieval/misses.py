"""Why a search returned an item or not, and the smallest lists that would return it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mrl_viz.result import Result
from mrl_viz.retrieval.cost import Stages
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.shortlist import funnel_search, laid_out_stages


@dataclass(frozen=True)
class MissExplanation(Result):
    """Where one wanted item was lost on the way.

    `stages` : the schedule, (dim, keep). `ranks` : the item's rank among all items at each stage's width, from 1.
    `stage_ranks` : its rank among those that stage scores, the earlier stages widened just enough to keep it.
    `dropped_at` : the first stage that drops it (from 0); None when it is found.
    `widened` : the stages with the least longer lists that find it, the last keep unchanged; None when no longer lists
    do, because enough of what they bring along beats it at the last width.
    """

    _also = ("smallest_shortlist",)

    item: int
    stages: Stages
    ranks: tuple[int, ...]
    stage_ranks: tuple[int, ...]
    dropped_at: int | None
    widened: Stages | None

    @property
    def smallest_shortlist(self) -> int | None:
        """The smallest first list that finds the item (later lists as in `widened`); None without `widened`."""
        return None if self.widened is None else max(self.stage_ranks[0], *(keep for _, keep in self.widened[1:]), 1)

    def takeaway(self) -> str:
        if self.dropped_at is None:
            return f"Found: rank {self.stage_ranks[-1]} at {self.stages[-1][0]} dims."
        dim, keep = self.stages[self.dropped_at]
        lost = f"At {dim} dims it has rank {self.stage_ranks[self.dropped_at]:,} and {keep:,} are kept"
        if self.widened is None:
            last, k = self.stages[-1]
            return (
                f"{lost}; longer lists leave it at rank {self.stage_ranks[-1]:,} of {last} dims, outside the top {k}."
            )
        longer = [f"{keep:,} at {dim}" for (dim, keep), (_, old) in zip(self.widened, self.stages) if keep > old]
        return f"{lost}; keeping {' and '.join(longer)} dims finds it."


def explain_miss(
    index: PrefixIndex,
    query: npt.ArrayLike,
    item: int,
    stages: Iterable[tuple[int, int]],
    *,
    own: int | None = None,
) -> MissExplanation:
    """Why a search with these stages returns an item or not, and the smallest lists that would return it.

    Parameters
    ----------
    query : array_like of shape (full_dim,) or (1, full_dim)
    item : row of the corpus that was wanted
    stages : (dim, keep) pairs as in `funnel_search`
    own : the query's row, as in `PrefixIndex.rank`

    Raises
    ------
    DimensionError, InvalidInputError, ShapeError, EmptyInputError : as in `funnel_search`.
    """
    stages = laid_out_stages(index, stages, n_left_out=int(own is not None))
    (item,) = index.check_items(item).tolist()
    rows = index.check_queries(query)
    ranks = tuple(int(index.rank(rows, item, dim, own=own)[0]) for dim, _ in stages)
    stage_ranks = [ranks[0]]
    for level in range(1, len(stages)):
        # The list that reaches this stage when every earlier one is just long enough for the item, ranked whole.
        before = _widened(stages, stage_ranks)[:level]
        ranked = (stages[level][0], before[-1][1])
        result = funnel_search(index, rows, (*before, ranked), own=None if own is None else [own])
        stage_ranks.append(int(np.flatnonzero(result.indices[0] == item)[0]) + 1)
    dropped = next((level for level, (rank, (_, keep)) in enumerate(zip(stage_ranks, stages)) if rank > keep), None)
    widened = _widened(stages, stage_ranks[:-1]) if stage_ranks[-1] <= stages[-1][1] else None
    return MissExplanation(item, stages, ranks, tuple(stage_ranks), dropped, widened)


def _widened(stages: Stages, stage_ranks: list[int]) -> Stages:
    """The stages with lists long enough for the item's rank and, as lists must not grow, for those after them."""
    ranks = [*stage_ranks, *[0] * len(stages)]
    keeps = [max(keep, rank) for (_, keep), rank in zip(stages, ranks)]
    return tuple((dim, max(keeps[level:])) for level, (dim, _) in enumerate(stages))
