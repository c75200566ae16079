"""Plans over rows that do not fit into memory: measured for a recommendation, and watched where one is deployed.

Lists of every first pass come from one reading of the rows. What a shortlist keeps after reranking at full width needs
no second one: of the full width's best j, those that are on the shortlist stand among its own best j.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.decide.candidates import (
    DTYPES,
    LEAST_TARGET,
    Candidate,
    Candidates,
    PlanClock,
    built_plans,
    candidate_plans,
)
from mrl_viz.decide.choose import check_limits, choose
from mrl_viz.decide.metrics import parse_metric
from mrl_viz.decide.monitoring import N_QUERIES, MonitorResult
from mrl_viz.decide.recommendation import Recommendation
from mrl_viz.errors import InvalidInputError
from mrl_viz.fingerprint import fingerprint
from mrl_viz.measures.estimate import bootstrap
from mrl_viz.measures.lists import ranks_in, shared_share, shares_by_length
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.latency import TIMED_RUNS, Latency
from mrl_viz.retrieval.plan import Plan
from mrl_viz.scale.lists import Lists
from mrl_viz.scale.rows import Rows
from mrl_viz.scale.stages import (
    BLOCK_BYTES,
    Asked,
    Stage,
    StageJob,
    all_stages,
    fit_sample,
    stage_job,
)
from mrl_viz.scale.streaming import Queries
from mrl_viz.sweep import check_k
from mrl_viz.truncation import Floats, Ints, Progress, check_count, check_dims, check_share

# What is measured without a graph: those are built in memory.
KINDS = ("exact", "panorama")
# Shortlists are 20 times as long, and a list is kept for every width, dtype and query.
MOST_K = 100
# Pairs of a query and a row scored again at once.
PAIRS_AT_ONCE = 4096

ListsOf = Callable[[Asked, StageJob], Lists]
# What rows without a known model are called, as `embed` calls ready vectors.
VECTORS = "vectors"

Items = npt.NDArray[np.integer[Any]]


def recommend_rows(
    rows: Rows,
    queries: Queries,
    *,
    target: float = 0.95,
    metric: str = "overlap@10",
    n_vectors: float | None = None,
    memory_gb: float | None = None,
    disk_gb: float | None = None,
    latency_ms: float | None = None,
    smallest: str = "memory",
    dims: Iterable[int] | None = None,
    dtypes: Sequence[str] = DTYPES,
    allow_rerank: bool = True,
    n_runs: int = TIMED_RUNS,
    seed: int = 0,
    lists_of: ListsOf | None = None,
    keep_in: Path | None = None,
    block_bytes: int = BLOCK_BYTES,
    progress: Progress | None = None,
) -> Recommendation:
    """The smallest plan whose lower bound meets the target on rows of any number: `measure_rows`, then `choose`.

    Parameters
    ----------
    target, n_vectors, memory_gb, disk_gb, latency_ms, smallest : as in `decide.recommend`
    others : as in `measure_rows`

    Raises
    ------
    As `measure_rows` and `choose`.
    """
    check_limits(target, n_vectors, memory_gb, latency_ms, disk_gb=disk_gb, smallest=smallest)
    measured = measure_rows(
        rows, queries, metric=metric, dims=dims, dtypes=dtypes, allow_rerank=allow_rerank, n_runs=n_runs, seed=seed,
        lists_of=lists_of, keep_in=keep_in, block_bytes=block_bytes, progress=progress,
    )  # fmt: skip
    return choose(
        measured, target=target, n_vectors=n_vectors, memory_gb=memory_gb, disk_gb=disk_gb, latency_ms=latency_ms,
        smallest=smallest,
    )  # fmt: skip


def measure_rows(
    rows: Rows,
    queries: Queries,
    *,
    metric: str = "overlap@10",
    dims: Iterable[int] | None = None,
    dtypes: Sequence[str] = DTYPES,
    allow_rerank: bool = True,
    n_runs: int = TIMED_RUNS,
    seed: int = 0,
    lists_of: ListsOf | None = None,
    keep_in: Path | None = None,
    block_bytes: int = BLOCK_BYTES,
    progress: Progress | None = None,
) -> Candidates:
    """Quality of every query in every plan over all rows, read once, block by block; latency is extrapolated.

    The plans are those of `measure_candidates` without graphs, and so are the values: overlap with the exact lists of
    the full width. Latency is measured on the rows that codes are fitted on, at most 10,000, and as much is added for
    every row more as a scan takes.

    Parameters
    ----------
    rows, queries : as of `open_rows`, and of `sampled_queries` or `given_queries`
    metric : overlap@k, k up to 100
    dims, dtypes, allow_rerank, n_runs : as in `measure_candidates`
    seed : of the rows that codes are fitted on, and of the bounds
    lists_of : makes the lists of a job, such as a cluster; this process when None
    keep_in : a folder for `all_stages` to keep what is done in, until the plans are measured
    block_bytes : of float32 rows in memory at once
    progress : called with (rows done, rows in all)

    Raises
    ------
    InvalidInputError : another metric, an unknown dtype, or k out of range. DimensionError : a width out of range.
    Others : as `stream_stages`.
    """
    wanted = parse_metric(metric)
    if wanted.k is None or wanted.kind != "overlap":
        raise InvalidInputError(
            f"`metric` is {metric}, which needs labels of texts; rows on a disk have none, so use overlap@10."
        )
    most = rows.n_rows - (queries.own is not None)
    check_k(wanted.k, most)
    if wanted.k > MOST_K:
        raise InvalidInputError(
            f"`metric` is {metric}; of rows on a disk choose k up to {MOST_K}, as shortlists are 20 times as long."
        )
    k = wanted.k
    plans = candidate_plans(
        rows.n_rows, rows.full_dim, k=k, dims=dims, dtypes=dtypes, kinds=KINDS, allow_rerank=allow_rerank
    )
    ks = tuple(sorted({1, max(1, k // 2), k, min(2 * k, most)}))
    depth = max(ks[-1], *(plan.rerank[0][0] for plan in plans if plan.rerank), 1)
    asked = Asked(queries, fit_sample(rows, seed=seed))
    job = stage_job(
        rows, asked, [(plan.dim, plan.dtype) for plan in plans], depth=min(depth, most), block_bytes=block_bytes
    )
    state = None if keep_in is None else keep_in / f"{job.key}.npz"
    lists = lists_of(asked, job) if lists_of else all_stages(rows, asked, job, state=state, progress=progress)
    truth = lists.items[job.stages.index((rows.full_dim, "float32"))][:, : ks[-1]]
    values = np.stack(
        [_values(plan, lists.items[job.stages.index((plan.dim, plan.dtype))], truth, ks) for plan in plans]
    )
    n_sampled = len(asked.sample)
    candidates = _timed(plans, asked, rows.n_rows, values[:, ks.index(k)].mean(axis=1), k, n_runs, seed)
    if state is not None:
        state.unlink(missing_ok=True)
    return Candidates(
        metric=wanted.name,
        k=k,
        ks=ks,
        model=VECTORS,
        fingerprint=fingerprint(rows.fingerprint(), queries.matrix),
        full_dim=rows.full_dim,
        n_items=rows.n_rows,
        texts_are_queries=queries.own is not None,
        candidates=candidates,
        values=values,
        full=None,
        gold=None,
        seed=seed,
        notes=(
            *_about(queries, rows),
            f"Ranges and codebooks of codes are from {n_sampled:,} rows drawn at random (seed {seed}).",
            *(
                [
                    f"Latency was measured on those {n_sampled:,} rows and extrapolated to {rows.n_rows:,} by the "
                    "milliseconds per vector of a longer scan."
                ]
                if n_sampled < rows.n_rows
                else []
            ),
            "Graphs (hnsw) are built in memory and left out.",
        ),
    )  # fmt: skip


def monitor_rows(
    rows: Rows,
    plan: Plan | int,
    queries: Queries,
    *,
    target: float,
    k: int = 10,
    seed: int = 0,
    block_bytes: int = BLOCK_BYTES,
    progress: Progress | None = None,
) -> MonitorResult:
    """`check_deployed_plan` over rows of any number, read once, or twice where a plan reranks below the full width.

    Parameters
    ----------
    rows, queries : as in `measure_rows`; every query is searched for
    plan : what is deployed, exact or panorama; a whole number is that width as float32
    target, k : as in `check_deployed_plan`
    seed : of the rows that codes are fitted on, and of the bootstrap
    block_bytes, progress : as in `measure_rows`

    Raises
    ------
    InvalidInputError : a target outside (0, 1], `k` out of range, a plan that reranks fewer, or one of a graph.
    DimensionError : a width out of range. Others : as `stream_stages`.
    """
    check_share("target", target)
    deployed = plan if isinstance(plan, Plan) else Plan(check_dims([plan], rows.full_dim)[0])
    check_dims([deployed.dim, deployed.widest], rows.full_dim)
    if deployed.kind not in KINDS:
        raise InvalidInputError(f"`plan` is {deployed.label}, whose index is built in memory; watch a sample of rows.")
    most = rows.n_rows - (queries.own is not None)
    check_k(k, most)
    stages = [(dim, min(keep, most)) for dim, keep in deployed.stages(k)]
    asked = Asked(queries, fit_sample(rows, seed=seed))
    full: Stage = (rows.full_dim, "float32")
    first: Stage = (deployed.dim, deployed.dtype)
    job = stage_job(rows, asked, [first, full], depth=max(k, stages[0][1]), block_bytes=block_bytes)
    lists = all_stages(rows, asked, job, progress=progress)
    truth = lists.items[job.stages.index(full)][:, :k]
    found = lists.items[job.stages.index(first)][:, : stages[0][1]]
    if len(stages) == 2 and stages[1][0] == rows.full_dim:
        found = kept_in(truth, found)
    elif len(stages) > 1:
        found = reranked(rows, queries, found, stages[1:], block_bytes=block_bytes)
    (overlap,) = bootstrap(shared_share(found, truth), seed=seed)
    return MonitorResult(
        deployed, rows.full_dim, k, target, len(queries.matrix), rows.n_rows, overlap, seed, VECTORS,
        rows.fingerprint(), datetime.now(UTC).isoformat(timespec="seconds"),
    )  # fmt: skip


def kept_in(truth: Items, shortlist: Items) -> Items:
    """What a shortlist holds of the best of each list, (n_queries, k), best first; -1 for the others at the end.

    Reranking it at full width gives a list that shares the same with the first j of `truth`, for every j: at most j - 1
    rows of the shortlist are better than one of those.
    """
    is_found = ranks_in(truth, shortlist) >= 0
    order = np.argsort(~is_found, axis=-1, kind="stable")
    return np.where(np.take_along_axis(is_found, order, axis=-1), np.take_along_axis(truth, order, axis=-1), -1)


def reranked(
    rows: Rows, queries: Queries, found: Items, stages: Sequence[tuple[int, int]], *, block_bytes: int = BLOCK_BYTES
) -> Items:
    """Lists (n_queries, size) cut to the best at each stage's width in turn, by a second reading of the rows.

    Parameters
    ----------
    stages : (dim, keep) pairs, as of `Plan.stages` without the first

    Raises
    ------
    As `Rows.read`.
    """
    cosines = _cosines(rows, queries, found, tuple(dim for dim, _ in stages), block_bytes)
    for own, (_, keep) in zip(cosines, stages):
        # Rows that fell out of a list before stay out: they are -1 by then.
        ranked = np.where(found < 0, -np.inf, own)
        # Ties to the lower row.
        order = np.lexsort((found, -ranked), axis=-1)
        place = np.argsort(order, axis=-1)
        found = np.where(place < keep, found, -1)
    order = np.lexsort((found, -np.where(found < 0, -np.inf, cosines[-1])), axis=-1)[:, : stages[-1][1]]
    return np.take_along_axis(found, order, axis=-1)


def _cosines(
    rows: Rows, queries: Queries, found: Items, dims: tuple[int, ...], block_bytes: int
) -> npt.NDArray[np.float32]:
    """Cosines of every query with the rows on its list at some widths, (n_dims, n_queries, size), float64 inside."""
    cosines = np.zeros((len(dims), *found.shape), dtype=np.float32)
    height = max(1, block_bytes // (rows.full_dim * 4))
    for first, block in rows.blocks(0, rows.n_rows, height):
        asking, places = np.nonzero((found >= first) & (found < first + len(block)))
        for start in range(0, len(asking), PAIRS_AT_ONCE):
            some, at = asking[start : start + PAIRS_AT_ONCE], places[start : start + PAIRS_AT_ONCE]
            left, right = queries.matrix[some].astype(np.float64), block[found[some, at] - first].astype(np.float64)
            for level, dim in enumerate(dims):
                one, other = left[:, :dim], right[:, :dim]
                norms = np.sqrt(np.vecdot(one, one) * np.vecdot(other, other))
                cosines[level, some, at] = np.vecdot(one, other) / np.where(norms > 0, norms, 1)
    return cosines


def _values(plan: Plan, found: Items, truth: Items, ks: Sequence[int]) -> Floats:
    """Each query's overlap at every list length, (n_ks, n_queries)."""
    length = truth.shape[1]
    lists = kept_in(truth, found[:, : plan.rerank[0][0]]) if plan.rerank else found[:, :length]
    return shares_by_length(lists, truth)[:, np.array(ks) - 1].T


def _timed(
    plans: tuple[Plan, ...], asked: Asked, n_rows: int, qualities: Floats, k: int, n_runs: int, seed: int
) -> tuple[Candidate, ...]:
    """The plans with their times on the rows sampled, and as much more as scanning the others takes."""
    sample, queries = asked.sample, asked.queries.matrix
    most = len(sample) - 1
    fitting = tuple(
        replace(plan, rerank=tuple((min(size, most), dim) for size, dim in plan.rerank)) if plan.rerank else plan
        for plan in plans
    )
    index = PrefixIndex(sample, {plan.dim for plan in plans} | {plan.widest for plan in plans})
    clock = PlanClock(sample, queries, k=min(k, most), n_runs=n_runs, seed=seed)
    found = []
    for plan, (_, built), quality in zip(plans, built_plans(fitting, sample, index, seed), qualities):
        one = clock.candidate(plan, built, can_win=bool(quality >= LEAST_TARGET))
        more = one.scan_ms * max(0, n_rows - len(sample))
        latency = Latency(one.latency.p50_ms + more, one.latency.p95_ms + more, one.latency.n_runs)
        found.append(replace(one, latency=latency, nbytes=plan.bytes_per_vector * n_rows))
    return tuple(found)


def _about(queries: Queries, rows: Rows) -> tuple[str, ...]:
    """What was searched for, and what that is good for."""
    if queries.own is None:
        return (f"Lists are exact over all {rows.n_rows:,} rows; intervals are over queries.",)
    return (
        f"{len(queries.own):,} rows search for their own neighbors among all {rows.n_rows:,}, exactly; intervals are "
        "over queries, and real queries may behave otherwise.",
    )


def watched(queries: Queries, n_queries: int = N_QUERIES, *, seed: int = 0) -> Queries:
    """At most so many of the queries, a seeded sample of them.

    Raises
    ------
    InvalidInputError : `n_queries` below 1.
    """
    check_count("n_queries", n_queries)
    if len(queries.matrix) <= n_queries:
        return queries
    chosen: Ints = np.sort(np.random.default_rng(seed).choice(len(queries.matrix), n_queries, replace=False))
    return Queries(queries.matrix[chosen], None if queries.own is None else queries.own[chosen])
