"""An index that answers within a latency budget: every plan is timed here first, and the best that fits is used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.result import Result
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.latency import TIMED_RUNS, PlanMeasurement, measure_plan
from mrl_viz.retrieval.plan import Plan, PlannedIndex, build_plan
from mrl_viz.retrieval.results import SearchResult
from mrl_viz.retrieval.shortlist import rerank
from mrl_viz.sweep import check_k
from mrl_viz.truncation import Ints

# Shortlists that the default plans rerank at full width.
DEFAULT_SHORTLISTS = (50, 200, 1000)
# Items reranked after each widening step.
WIDENING_SHORTLIST = 200


@dataclass(frozen=True)
class AdaptiveResult(Result):
    """An answer within a budget of `max_latency_ms` per query.

    `used` : the plan and what it measured when the index was built. `slowest_ms` : the slowest of these queries.
    """

    result: SearchResult
    used: PlanMeasurement
    max_latency_ms: float
    slowest_ms: float

    def takeaway(self) -> str:
        return (
            f"Within {self.max_latency_ms:g} ms the best plan is {self.used.plan.label}: 95% of queries within "
            f"{self.used.latency.p95_ms:.2f} ms, {self.used.recall.share.value:.1%} of the full-width neighbors."
        )


class AdaptiveIndex:
    """Plans over one corpus, each measured when the index is built.

    Parameters
    ----------
    corpus : array_like of shape (n_items, full_dim), or a PrefixIndex over it
    calibration_queries : array_like of shape (n_queries, full_dim), like the queries to come; quality and latency are
        measured on them, so a plan chosen for its quality does a little worse on others
    own : of the calibration queries, as in `PrefixIndex.search`
    plans : exact float32 plans to choose from; by default each width alone and with reranks of 50, 200 and 1,000
    k : list length that quality is measured at
    n_runs : timed queries per plan

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError, InvalidInputError : unusable arrays, or plans that do not fit them.
    """

    def __init__(
        self,
        corpus: npt.ArrayLike | PrefixIndex,
        calibration_queries: npt.ArrayLike,
        *,
        own: npt.ArrayLike | None = None,
        plans: Iterable[Plan] | None = None,
        k: int = 10,
        n_runs: int = TIMED_RUNS,
    ) -> None:
        self.index = corpus if isinstance(corpus, PrefixIndex) else PrefixIndex(corpus)
        rows = self.index.check_queries(calibration_queries)
        n_others = self.index.n_items - (own is not None)
        check_k(k, n_others)
        plans = default_plans(self.index.dims, k=k, n_items=n_others) if plans is None else tuple(plans)
        if not plans:
            raise EmptyInputError("`plans` is empty; give at least one plan.")
        full = self.index.search(rows, k, own=own).indices
        measured = []
        for plan in plans:
            if plan.kind != "exact" or plan.dtype != "float32":
                raise InvalidInputError(
                    f"`plans` has {plan.label!r}; the adaptive index holds float32 prefixes, so give exact ones."
                )
            for _, dim in plan.rerank:
                self.index.level(dim)
            measured.append(measure_plan(self._built(plan), rows, full, own=own, n_runs=n_runs))
        self.measurements = tuple(measured)
        self._step_ms = self._measure_steps(rows[: max(1, n_runs // len(self.index.dims))], k)

    def _built(self, plan: Plan) -> PlannedIndex:
        return build_plan(plan, (), prefix_index=self.index)

    def search(
        self, queries: npt.ArrayLike, k: int = 10, *, max_latency_ms: float, own: npt.ArrayLike | None = None
    ) -> AdaptiveResult:
        """The answers of the best plan whose measured 95th percentile fits the budget, one query at a time.

        Parameters
        ----------
        queries : array_like of shape (n_queries, full_dim)
        k : 1 to n_items
        max_latency_ms : budget per query, milliseconds
        own : as in `PrefixIndex.search`

        Raises
        ------
        InvalidInputError : nothing is as fast as that (the message names the fastest plan), or `k` out of range.
        ShapeError, EmptyInputError : unusable queries.
        """
        rows = self.index.check_queries(queries)
        check_k(k, self.index.n_items - (own is not None))
        used = self.choose(k, max_latency_ms)
        built = self._built(used.plan)
        left_out = [None] * len(rows) if own is None else self.index.check_own(own, len(rows))[:, None]
        results = [built.search(row[None], k, own=item) for row, item in zip(rows, left_out)]
        return AdaptiveResult(_joined(results), used, max_latency_ms, max(result.milliseconds for result in results))

    def choose(self, k: int, max_latency_ms: float) -> PlanMeasurement:
        """The plan of highest recall whose 95th percentile fits, the faster one on ties; InvalidInputError for none."""
        _check_budget(max_latency_ms)
        able = [measured for measured in self.measurements if measured.plan.allows(k)]
        if not able:
            raise InvalidInputError(
                f"`k` is {k} but no plan keeps that many; lower `k` or add plans with longer lists."
            )
        fitting = [measured for measured in able if measured.latency.p95_ms <= max_latency_ms]
        if not fitting:
            fastest = min(able, key=lambda measured: measured.latency.p95_ms)
            raise InvalidInputError(
                f"`max_latency_ms` is {max_latency_ms:g} but the fastest plan ({fastest.plan.label}) takes "
                f"{fastest.latency.p95_ms:.3g} ms for 95% of queries; allow at least that."
            )
        return max(fitting, key=lambda measured: (measured.recall.share.value, -measured.latency.p95_ms))

    def refine(
        self, query: npt.ArrayLike, k: int = 10, *, max_latency_ms: float, own: npt.ArrayLike | None = None
    ) -> Iterator[SearchResult]:
        """Ever better answers while time is left: shortlists of `PrefixIndex.widen`, each reranked at full width.

        The first answer always comes; another only if its measured 95th percentile fits in what is left of the budget,
        the caller's own time between answers included.

        `own` : as in `PrefixIndex.search`, of shape (1,).

        Raises
        ------
        ShapeError : `query` is not one vector of `full_dim`. InvalidInputError : `k`, `own` or the budget out of range.
        """
        _check_budget(max_latency_ms)
        check_k(k, self.index.n_items - (own is not None))
        self.index.check_queries(query)
        return self._within(query, k, max_latency_ms, None if own is None else self.index.check_own(own, 1))

    @property
    def step_ms(self) -> tuple[float, ...]:
        """95th percentile of each refinement's time when the index was built, by width, milliseconds."""
        return tuple(self._step_ms)

    def _within(self, query: npt.ArrayLike, k: int, max_latency_ms: float, own: Ints | None) -> Iterator[SearchResult]:
        started = perf_counter()
        for result, needed in zip(self._refinements(query, k, own), [*self._step_ms[1:], np.inf]):
            yield result
            if (perf_counter() - started) * 1e3 + needed > max_latency_ms:
                return

    def _refinements(self, query: npt.ArrayLike, k: int, own: Ints | None = None) -> Iterator[SearchResult]:
        size = min(max(k, WIDENING_SHORTLIST), self.index.n_items - (own is not None))
        for result in self.index.widen(query, size + (own is not None)):
            yield rerank(self.index, query, result if own is None else result.without(own), k=k)

    def _measure_steps(self, rows: npt.NDArray[Any], k: int) -> list[float]:
        """95th percentile of every refinement step, milliseconds."""
        times = []
        for row in rows:
            steps, last = [], perf_counter()
            for _ in self._refinements(row, k):
                steps.append((perf_counter() - last) * 1e3)
                last = perf_counter()
            times.append(steps)
        return [float(value) for value in np.percentile(times, 95, axis=0)]


def default_plans(dims: tuple[int, ...], *, k: int, n_items: int) -> tuple[Plan, ...]:
    """Every width alone, and every smaller width with a shortlist reranked at the last, the full one."""
    sizes = sorted({min(max(size, k), n_items) for size in DEFAULT_SHORTLISTS})
    reranked = (Plan(dim, rerank=((size, dims[-1]),)) for dim in dims[:-1] for size in sizes)
    return (*map(Plan, dims), *reranked)


def _check_budget(max_latency_ms: float) -> None:
    if not max_latency_ms > 0:
        raise InvalidInputError(f"`max_latency_ms` is {max_latency_ms}; choose a number of milliseconds above 0.")


def _joined(results: list[SearchResult]) -> SearchResult:
    """Results of single queries as one, times averaged."""
    stages = [
        replace(
            parts[0],
            milliseconds=float(np.mean([part.milliseconds for part in parts])),
            survivors=np.concatenate([part.survivors for part in parts]),
        )
        for parts in zip(*(result.stages for result in results))
    ]
    indices, similarities = (
        np.concatenate([getattr(result, name) for result in results]) for name in ("indices", "similarities")
    )
    return SearchResult(indices, similarities, tuple(stages))
