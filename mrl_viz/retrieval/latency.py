"""How long single queries take, and what that buys: plans measured side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError
from mrl_viz.retrieval.cost import check_count
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.plan import Plan, PlannedIndex, build_plan
from mrl_viz.retrieval.results import RecallVsFull, recall_vs_full
from mrl_viz.truncation import FloatMatrix, check_embeddings

# First calls load code and wake threads; they are not what a running service does.
WARM_UP_RUNS = 3
TIMED_RUNS = 30


@dataclass(frozen=True)
class Latency:
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
    check_count("n_runs", n_runs, 1)
    times = []
    for run in range(WARM_UP_RUNS + n_runs):
        row = rows[run % len(rows)][None]
        started = perf_counter()
        search(row)
        times.append((perf_counter() - started) * 1e3)
    p50, p95 = np.percentile(times[WARM_UP_RUNS:], [50, 95])
    return Latency(float(p50), float(p95), n_runs)


@dataclass(frozen=True)
class PlanMeasurement:
    """What one plan gives and takes on one corpus.

    `recall` : overlap@k with exact full-width search. `latency` : of single queries.
    `bytes_per_vector` : by the formula; `nbytes` : of the built index.
    `multiply_adds` : per query; None for approximate kinds.
    """

    plan: Plan
    recall: RecallVsFull
    latency: Latency
    bytes_per_vector: int
    nbytes: int
    multiply_adds: int | None

    def to_dict(self) -> dict[str, Any]:
        """One flat record."""
        return {
            "plan": self.plan.label,
            **self.plan.to_dict(),
            "recall_vs_full": self.recall.mean,
            "recall_low": self.recall.low,
            "recall_high": self.recall.high,
            "p50_ms": self.latency.p50_ms,
            "p95_ms": self.latency.p95_ms,
            "bytes_per_vector": self.bytes_per_vector,
            "nbytes": self.nbytes,
            "multiply_adds": self.multiply_adds,
        }

    def takeaway(self) -> str:
        """One sentence: the share found, milliseconds and bytes."""
        return (
            f"{self.plan.label}: {self.recall.mean:.1%} of the {self.recall.k} full-width neighbors in "
            f"{self.latency.p50_ms:.2f} ms, {self.bytes_per_vector:,} bytes per vector."
        )


@dataclass(frozen=True)
class PlanGrid:
    """Plans measured on the same corpus and queries, in the order given."""

    k: int
    n_items: int
    n_queries: int
    full_dim: int
    measurements: tuple[PlanMeasurement, ...]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        shape = {"k": self.k, "n_items": self.n_items, "n_queries": self.n_queries, "full_dim": self.full_dim}
        return shape | {"measurements": self.rows()}

    def rows(self) -> list[dict[str, Any]]:
        """One record per plan."""
        return [measurement.to_dict() for measurement in self.measurements]

    def takeaway(self) -> str:
        """One sentence: the smallest plan among those that find the most."""
        top = min(self.measurements, key=lambda m: (-m.recall.mean, m.bytes_per_vector, m.latency.p50_ms))
        return f"Best of {len(self.measurements)} plans: {top.takeaway()}"


def plan_grid(
    dims: Iterable[int],
    dtypes: Iterable[str] = ("float32", "float16", "int8", "binary"),
    *,
    kinds: Iterable[str] = ("exact",),
    rerank: tuple[int, int] | None = None,
) -> tuple[Plan, ...]:
    """Every width × dtype, and every width × approximate kind, each also with the `rerank` (size, dim) if one is given.

    Raises
    ------
    DimensionError, InvalidInputError : combinations that make no plan.
    """
    dims, dtypes, kinds = tuple(dims), tuple(dtypes), tuple(kinds)
    firsts = [("exact", dtype) for dtype in dtypes if "exact" in kinds]
    firsts += [(kind, "float32") for kind in kinds if kind != "exact"]
    reranks: list[tuple[tuple[int, int], ...]] = [()] if rerank is None else [(), (rerank,)]
    return tuple(Plan(dim, dtype, kind, steps) for dim in dims for kind, dtype in firsts for steps in reranks)


def measure_plans(
    plans: Iterable[Plan],
    corpus: npt.ArrayLike,
    queries: npt.ArrayLike,
    *,
    k: int = 10,
    calibration: npt.ArrayLike | None = None,
    n_runs: int = TIMED_RUNS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> PlanGrid:
    """Each plan built over the corpus, its answers compared with exact full-width search, and timed query by query.

    Parameters
    ----------
    corpus, queries : array_like of shape (n_items, full_dim) and (n_queries, full_dim)
    calibration : rows for int8 ranges, best from a split that is not searched; a seeded sample of the corpus when None
    n_runs : timed queries per plan
    progress : called with (plans done, plans in all)

    Raises
    ------
    EmptyInputError : no plans. DimensionError, ShapeError, InvalidInputError : a plan that does not fit the data.
    OptionalDependencyError : an approximate plan without faiss.
    """
    plans = tuple(plans)
    if not plans:
        raise EmptyInputError("`plans` is empty; give at least one plan.")
    rows = check_embeddings(corpus, "corpus")
    dims = {dim for plan in plans if plan.kind == "exact" for dim in (plan.dim, *(dim for _, dim in plan.rerank))}
    index = PrefixIndex(rows, dims)
    query_rows = index.check_queries(queries)
    full = index.search(query_rows, k)
    measurements = []
    for done, plan in enumerate(plans, start=1):
        built = build_plan(plan, rows, prefix_index=index, calibration=calibration, seed=seed)
        measurements.append(measure_plan(built, query_rows, full.indices, n_runs=n_runs, seed=seed))
        if progress:
            progress(done, len(plans))
    return PlanGrid(k, index.n_items, len(query_rows), index.full_dim, tuple(measurements))


def measure_plan(
    built: PlannedIndex, queries: FloatMatrix, full: npt.NDArray[np.int32], *, n_runs: int = TIMED_RUNS, seed: int = 0
) -> PlanMeasurement:
    """One built plan against the indices of exact full-width search, shape (n_queries, k), and the clock.

    Raises
    ------
    ShapeError, EmptyInputError, InvalidInputError : unusable queries, or a plan with lists shorter than k.
    """
    k = full.shape[1]
    found = built.search(queries, k)
    latency = measure_latency(lambda row: built.search(row, k), queries, n_runs=n_runs)
    return PlanMeasurement(
        plan=built.plan,
        recall=recall_vs_full(found.indices, full, seed=seed),
        latency=latency,
        bytes_per_vector=built.plan.bytes_per_vector,
        nbytes=built.nbytes,
        multiply_adds=found.multiply_adds,
    )
