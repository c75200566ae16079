"""Where a funnel loses the nearest of the full width: stage by stage over all queries, and one query's on their way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import DimensionError, InvalidInputError
from mrl_viz.measures.estimate import Estimate, bootstrap
from mrl_viz.result import Result, records
from mrl_viz.retrieval.cost import RetrievalCost, Stages, check_stages, funnel_cost
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.results import RecallVsFull, recall_vs_full
from mrl_viz.retrieval.shortlist import funnel_search, rerank
from mrl_viz.sweep import check_k
from mrl_viz.truncation import Ints


@dataclass(frozen=True)
class FunnelLosses(Result):
    """What a funnel finds of the k nearest at full width, what each of its stages loses of them, and what it costs.

    `stages` : the schedule, (dim, keep); the last keep is k. `n_items` : how many each query is searched among.
    `recall` : the share found. `lost` : the share that each stage drops, mean over queries with its 95 % bootstrap
    interval; with the share found they add up to 1. `scored` : items that each stage scores.
    `cost` : multiply-adds and bytes per query. `milliseconds`, `exact_ms` : measured, mean over the queries, of each
    stage and of exact search at full width.
    `dropped_at` : int64 of shape (n_queries, k), the stage that drops each neighbor, from 0; -1 where it is found.
    """

    _also = ("speedup",)
    _without = ("dropped_at",)

    stages: Stages
    n_items: int
    full_dim: int
    recall: RecallVsFull
    lost: tuple[Estimate, ...]
    scored: tuple[int, ...]
    cost: RetrievalCost
    milliseconds: tuple[float, ...]
    exact_ms: float
    dropped_at: Ints

    @property
    def speedup(self) -> float:
        """How many times fewer multiply-adds than exact search at full width; not a latency."""
        return self.cost.speedup

    @property
    def exact_bytes(self) -> int:
        """Vector bytes that exact search at full width reads per query."""
        return self.n_items * self.full_dim * 4

    def rows(self) -> list[dict[str, Any]]:
        """One record per stage; multiply-adds and bytes are per query."""
        work = [scored * dim for scored, (dim, _) in zip(self.scored, self.stages)]
        dims, kept = zip(*self.stages)
        return records(
            dim=dims, scored=self.scored, kept=kept, lost=self.lost, multiply_adds=work,
            bytes_read=[4 * each for each in work],
        )  # fmt: skip

    def takeaway(self) -> str:
        cost = (
            f"{self.recall.takeaway()} It takes {1 / self.speedup:.0%} of the multiply-adds of exact search and reads "
            f"{self.cost.bytes_read / self.exact_bytes:.0%} of its bytes"
        )
        worst = max(range(len(self.lost)), key=lambda stage: self.lost[stage].value)
        if not self.lost[worst].value:
            return f"{cost}; no stage loses any."
        return (
            f"{cost}; the stage at {self.stages[worst][0]} dims loses most, {self.lost[worst].value:.1%} "
            f"[{self.lost[worst].low:.1%}, {self.lost[worst].high:.1%}]."
        )


@dataclass(frozen=True)
class NeighborPaths(Result):
    """One query's k nearest at full width on their way through a funnel.

    `stages` : the schedule, (dim, keep). `items` : the neighbors, best first.
    `ranks` : int64 of shape (n_stages, k), each one's rank among those that the stage scores, from 1; 0 where it was
    dropped before.
    `dropped_at` : the stage that drops each, from 0; -1 where it is found.
    """

    stages: Stages
    n_items: int
    items: tuple[int, ...]
    ranks: Ints
    dropped_at: tuple[int, ...]

    @property
    def lost(self) -> tuple[int, ...]:
        """Positions of the neighbors that are dropped, best first."""
        return tuple(place for place, stage in enumerate(self.dropped_at) if stage >= 0)

    def rows(self) -> list[dict[str, Any]]:
        """One record per neighbor: its rank at full width, its item, its rank in each stage, and where it fell out."""
        return [
            {"rank": place + 1, "item": item}
            | {f"rank at {dim}": int(ranks[place]) or None for (dim, _), ranks in zip(self.stages, self.ranks)}
            | {"out at": None if stage < 0 else f"{self.stages[stage][0]} dims"}
            for place, (item, stage) in enumerate(zip(self.items, self.dropped_at))
        ]

    def takeaway(self) -> str:
        n_found = len(self.items) - len(self.lost)
        if not self.lost:
            return f"All {n_found} true neighbors of this query come through."
        fallen = []
        for stage, (dim, keep) in enumerate(self.stages):
            if out := [self.ranks[stage, place] for place in self.lost if self.dropped_at[place] == stage]:
                ranks = ", ".join(f"{rank:,}" for rank in sorted(out))
                fallen.append(f"{len(out)} at {dim} dims (rank {ranks}; {keep:,} kept)")
        return f"{n_found} of this query's {len(self.items)} true neighbors come through; lost: {', '.join(fallen)}."


def funnel_losses(
    index: PrefixIndex,
    queries: npt.ArrayLike,
    stages: Iterable[tuple[int, int]],
    *,
    own: npt.ArrayLike | None = None,
    seed: int = 0,
) -> FunnelLosses:
    """A funnel measured against exact search at full width: what it finds, what each stage loses, what it costs.

    Parameters
    ----------
    queries : array_like of shape (n_queries, full_dim)
    stages : (dim, keep) pairs as `check_design` takes them, widths of the index; the last keep is k
    own : as in `PrefixIndex.search`
    seed : of the bootstrap

    Raises
    ------
    DimensionError, InvalidInputError : a schedule that is none. ShapeError, EmptyInputError : unusable queries.

    Source: own definition; funnels as in Kusupati et al. 2022, arXiv:2205.13147, section 4.3.1.
    """
    n_items = index.n_items - (own is not None)
    stages = check_design(stages, n_items, index.full_dim)
    rows = index.check_queries(queries)
    exact = index.search(rows, stages[-1][1], own=own)
    found = funnel_search(index, rows, stages, own=own)
    # A loop over queries: lists of all items against each other would not fit into memory.
    is_left = np.array(
        [[np.isin(wanted, left) for wanted, left in zip(exact.indices, stage.survivors)] for stage in found.stages]
    )
    dropped_at = np.where(is_left[-1], -1, (~is_left).argmax(axis=0))
    shares = np.array([(dropped_at == stage).mean(axis=1) for stage in range(len(stages))])
    return FunnelLosses(
        stages,
        n_items,
        index.full_dim,
        recall=recall_vs_full(found.indices, exact.indices, seed=seed),
        lost=bootstrap(shares, seed=seed),
        scored=(n_items, *(keep for _, keep in stages[:-1])),
        cost=funnel_cost(n_items, stages, index.full_dim),
        milliseconds=tuple(stage.milliseconds for stage in found.stages),
        exact_ms=exact.milliseconds,
        dropped_at=dropped_at,
    )


def neighbor_paths(
    index: PrefixIndex, query: npt.ArrayLike, stages: Iterable[tuple[int, int]], *, own: int | None = None
) -> NeighborPaths:
    """Where one query's nearest at full width stand in every stage of a funnel, and where they are dropped.

    Parameters
    ----------
    query : array_like of shape (full_dim,) or (1, full_dim)
    stages : as in `funnel_losses`
    own : the query's row, as in `PrefixIndex.rank`

    Raises
    ------
    DimensionError, InvalidInputError, ShapeError, EmptyInputError : as in `funnel_losses`.
    """
    n_items = index.n_items - (own is not None)
    stages = check_design(stages, n_items, index.full_dim)
    (first, keep), *rest = stages
    left_out = None if own is None else [own]
    items = index.search(query, stages[-1][1], own=left_out).indices[0]
    ranks = np.zeros((len(stages), len(items)), dtype=np.int64)
    ranks[0] = index.rank(query, items, first, own=own)
    found = index.search(query, keep, dim=first, own=left_out)
    for stage, (dim, keep) in enumerate(rest, start=1):
        ranked = rerank(index, query, found, dim=dim, k=found.indices.shape[1])
        places, positions = np.nonzero(items[:, None] == ranked.indices[0])
        ranks[stage, places] = positions + 1
        found = ranked.first(keep)
    keeps = np.array([keep for _, keep in stages])[:, None]
    is_out = (ranks > keeps) | (ranks == 0)
    dropped = np.where(is_out.any(axis=0), is_out.argmax(axis=0), -1)
    return NeighborPaths(stages, n_items, tuple(items.tolist()), ranks, tuple(dropped.tolist()))


def check_design(stages: Iterable[tuple[int, int]], n_items: int, full_dim: int) -> Stages:
    """The stages of a funnel whose widths rise and whose lists shrink, to no less than the last, which is returned.

    Stricter than `check_stages`: a second stage at the same width could drop nothing that the first one kept but by
    its own ranking, and a list shorter than the last could not fill it.

    Raises
    ------
    DimensionError, InvalidInputError : the first thing that is wrong, by the number of its stage. Others : as
    `check_stages`.
    """
    stages = tuple(stages)
    if stages:
        check_k(stages[-1][1], n_items)
    available = n_items
    for number, (dim, keep) in enumerate(stages, start=1):
        if dim > full_dim:
            raise DimensionError(
                f"Stage {number} is at {dim} dims; these vectors have {full_dim}: choose 1 to {full_dim}."
            )
        if number > 1 and dim <= stages[number - 2][0]:
            raise DimensionError(
                f"Stage {number} is at {dim} dims and stage {number - 1} at {stages[number - 2][0]}; widths have to "
                "rise from stage to stage."
            )
        if keep > available:
            come = f"stage {number - 1} keeps {available:,}" if number > 1 else f"there are {available:,}"
            raise InvalidInputError(f"Stage {number} keeps {keep:,} but {come}; a list cannot grow.")
        if keep < stages[-1][1]:
            raise InvalidInputError(
                f"Stage {number} keeps {keep:,}, fewer than the {stages[-1][1]:,} that are to be returned; keep at "
                "least as many."
            )
        available = keep
    return check_stages(stages, n_items, full_dim)


def with_stage(stages: Sequence[tuple[int, int]], n_items: int, dims: Sequence[int] = ()) -> Stages | None:
    """The stages and one more in their widest gap, about halfway by ratio; None where there is no gap.

    Parameters
    ----------
    stages : (dim, keep) pairs
    n_items : how many the first stage searches
    dims : widths to choose from where one of them is in the gap
    """
    before = ((1, n_items), *stages)
    for place in sorted(range(len(stages)), key=lambda place: -stages[place][0] / before[place][0]):
        (low, most), (high, least) = before[place], stages[place]
        inside = [dim for dim in dims if low < dim < high] or [*range(low + (place > 0), high)]
        if inside:
            halfway = sqrt(low * high)
            dim = min(inside, key=lambda dim: (abs(dim / halfway - 1), dim))
            return (*stages[:place], (dim, min(most, max(least, round(sqrt(most * least))))), *stages[place:])
    return None
