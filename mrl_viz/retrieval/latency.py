"""How long single queries take, and what that buys: plans measured side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import numpy.typing as npt

from mrl_viz.result import Result
from mrl_viz.retrieval.plan import Plan, PlannedIndex
from mrl_viz.retrieval.results import RecallVsFull, recall_vs_full
from mrl_viz.truncation import FloatMatrix, check_count, check_embeddings

# First calls load code and wake threads; they are not what a running service does.
WARM_UP_RUNS = 3
TIMED_RUNS = 30


@dataclass(frozen=True)
class Latency(Result):
    """Milliseconds of single queries, one after the other: median, 95th percentile, and how many were timed."""

    p50_ms: float
    p95_ms: float
    n_runs: int


def measure_latency(
    search: Callable[[FloatMatrix], object], queries: npt.ArrayLike, *, n_runs: int = TIMED_RUNS
) -> Latency:
    """How long `search` takes for one query of shape (1, full_dim) at a time, on this machine as busy as it is now.

    Raises
    ------
    ShapeError, EmptyInputError : unusable queries. InvalidInputError : `n_runs` below 1.
    """
    rows = check_embeddings(queries, "queries")
    check_count("n_runs", n_runs)
    times = []
    for run in range(WARM_UP_RUNS + n_runs):
        row = rows[run % len(rows)][None]
        started = perf_counter()
        search(row)
        times.append((perf_counter() - started) * 1e3)
    p50, p95 = np.percentile(times[WARM_UP_RUNS:], [50, 95])
    return Latency(float(p50), float(p95), n_runs)


@dataclass(frozen=True)
class PlanMeasurement(Result):
    """What one plan gives and takes on one corpus.

    `bytes_per_vector` : by the formula; `nbytes` : of the built index. `multiply_adds` : per query; None for
    approximate kinds.
    """

    plan: Plan
    recall: RecallVsFull
    latency: Latency
    bytes_per_vector: int
    nbytes: int
    multiply_adds: int | None

    def takeaway(self) -> str:
        return (
            f"{self.plan.label}: {self.recall.share.value:.1%} of the {self.recall.k} full-width neighbors in "
            f"{self.latency.p50_ms:.2f} ms, {self.bytes_per_vector:,} bytes per vector."
        )


def measure_plan(
    built: PlannedIndex,
    queries: FloatMatrix,
    full: npt.NDArray[np.int32],
    *,
    own: npt.ArrayLike | None = None,
    n_runs: int = TIMED_RUNS,
    seed: int = 0,
) -> PlanMeasurement:
    """One built plan against the indices of exact full-width search, shape (n_queries, k), and the clock.

    `own` : as in the search that gave `full`.

    Raises
    ------
    ShapeError, EmptyInputError, InvalidInputError : unusable queries, or a plan with lists shorter than k.
    """
    k = full.shape[1]
    found = built.search(queries, k, own=own)
    latency = measure_latency(lambda row: built.search(row, k), queries, n_runs=n_runs)
    return PlanMeasurement(
        plan=built.plan,
        recall=recall_vs_full(found.indices, full, seed=seed),
        latency=latency,
        bytes_per_vector=built.plan.bytes_per_vector,
        nbytes=built.nbytes,
        multiply_adds=found.multiply_adds,
    )
