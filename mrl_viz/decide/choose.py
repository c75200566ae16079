"""The smallest plan whose lower confidence bound meets a target within budgets, and what stands in the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import ceil, log, sqrt

from mrl_viz.decide.candidates import DTYPES, MORE, Candidate, Candidates, measure_candidates
from mrl_viz.decide.corpus_size import MOST_ON_SHORTLIST
from mrl_viz.decide.recommendation import SMALLEST, PlanEvidence, Recommendation, Sensitivity, size_order
from mrl_viz.decide.storage import GB, whole_count
from mrl_viz.decide.trade_offs import TradeOff
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import InvalidInputError
from mrl_viz.measures.estimate import CONFIDENCE
from mrl_viz.measures.front import pareto_front
from mrl_viz.retrieval.latency import TIMED_RUNS
from mrl_viz.retrieval.plan import Plan
from mrl_viz.truncation import Progress, check_share

TARGETS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
MOST_RUNNERS_UP = 5
# Nobody collects more queries than this to settle a width.
MOST_QUERIES_TO_ASK_FOR = 1_000_000


def recommend(
    embedded: Embedded,
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
    kinds: Sequence[str] | None = None,
    allow_rerank: bool = True,
    fusion_k: int | None = None,
    n_runs: int = TIMED_RUNS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Recommendation:
    """The smallest plan whose lower bound meets the target on this corpus: `measure_candidates`, then `choose`.

    Parameters
    ----------
    target : share of the full width's results (overlap) or quality (other metrics) to keep, in (0, 1]
    n_vectors : in production; as many as here when None
    memory_gb, disk_gb : budgets at `n_vectors`, in 1e9 bytes: of what is scanned, and of what is only reranked
    latency_ms : budget of one query, p95 on this machine
    smallest : "memory", the plan with the fewest bytes in memory and then on disk, or "total", with the fewest in all
    others : as in `measure_candidates`

    Raises
    ------
    InvalidInputError, EmptyInputError, DimensionError, ShapeError, OptionalDependencyError : as in `measure_candidates`
    and `choose`.

    Source: own definition; bounds as in `Candidates.lower_bounds`.
    """
    check_limits(target, n_vectors, memory_gb, latency_ms, disk_gb=disk_gb, smallest=smallest)
    measured = measure_candidates(
        embedded, metric=metric, dims=dims, dtypes=dtypes, kinds=kinds, allow_rerank=allow_rerank,
        fusion_k=fusion_k, n_runs=n_runs, seed=seed, progress=progress,
    )  # fmt: skip
    return choose(
        measured, target=target, n_vectors=n_vectors, memory_gb=memory_gb, disk_gb=disk_gb, latency_ms=latency_ms,
        smallest=smallest, dtypes=dtypes, kinds=kinds,
    )  # fmt: skip


def choose(
    candidates: Candidates,
    *,
    target: float = 0.95,
    n_vectors: float | None = None,
    memory_gb: float | None = None,
    disk_gb: float | None = None,
    latency_ms: float | None = None,
    smallest: str = "memory",
    dtypes: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
    allow_rerank: bool = True,
    targets: Sequence[float] = TARGETS,
) -> Recommendation:
    """The smallest of measured plans whose 95 % lower bound meets the target within the budgets.

    The promise is for a target set before looking: all plans that meet it do so truly, together, with 95 % confidence.

    Parameters
    ----------
    candidates : from `measure_candidates`
    target, n_vectors, memory_gb, disk_gb, latency_ms, smallest : as in `recommend`
    dtypes, kinds, allow_rerank : leave plans out; the bounds stay those of all measured plans
    targets : columns of the sensitivity table; `target` is added

    Raises
    ------
    InvalidInputError : see `check_limits`; or what is left out leaves no plan.

    Source: own definition.
    """
    for wanted in (target, *targets):
        check_limits(wanted, n_vectors, memory_gb, latency_ms, disk_gb=disk_gb, smallest=smallest)
    size = candidates.n_items if n_vectors is None else int(n_vectors)
    limits = {"memory_gb": memory_gb, "disk_gb": disk_gb, "latency_ms": latency_ms}
    budgets = {name: float(limit) for name, limit in limits.items() if limit is not None}
    kept = [
        row for row, plan in enumerate(candidates.plans)
        if (dtypes is None or plan.dtype in dtypes) and (kinds is None or plan.kind in kinds)
        and (allow_rerank or not plan.rerank)
    ]  # fmt: skip
    if not kept:
        raise InvalidInputError(
            f"`dtypes` {dtypes!r} and `kinds` {kinds!r} leave no plan; choose dtypes and kinds that were measured."
        )
    tables = [_evidence(candidates, kept, level, target, size, budgets) for level in range(len(candidates.ks))]
    evidence = tables[candidates.ks.index(candidates.k)]
    passing = sorted((row for row in evidence if row.meets_target), key=lambda row: size_order(row, smallest))
    within = [row for row in passing if row.fits]
    chosen = within[0] if within else None
    undecided = _undecided(evidence, candidates, kept, chosen, target, smallest)
    status = "met" if chosen else "not_enough_texts" if undecided else "nothing_fits"
    if chosen and undecided and chosen.plan == Plan(candidates.full_dim):
        status = "not_enough_texts"
    columns = tuple(sorted({*targets, target}))
    allowed = {candidates.plans[row] for row in kept}

    def excess(row: PlanEvidence) -> tuple[float, ...]:
        return max(_shares(row, budgets).values(), default=0.0), *row.size(smallest)

    return Recommendation(
        status=status,
        metric=candidates.metric,
        target=target,
        k=candidates.k,
        confidence=CONFIDENCE,
        model=candidates.model,
        fingerprint=candidates.fingerprint,
        full_dim=candidates.full_dim,
        n_items=candidates.n_items,
        n_queries=candidates.n_queries,
        n_vectors=size,
        budgets=budgets,
        smallest=smallest,
        chosen=chosen,
        runners_up=tuple(within[1 : MOST_RUNNERS_UP + 1]),
        undecided=undecided,
        binding=_binding(passing, chosen, budgets, smallest),
        nearest=min(passing, key=excess) if passing and not chosen else None,
        best_within=max((row for row in evidence if row.fits and not chosen), key=lambda row: row.low, default=None),
        evidence=evidence,
        sensitivity=Sensitivity(
            candidates.ks,
            columns,
            tuple(tuple(_smallest(table, column, smallest) for column in columns) for table in tables),
        ),
        trade_offs=_nearest_trade_offs(
            [one for one in candidates.trade_offs if {one.better, one.worse} <= allowed],
            (chosen or max(evidence, key=lambda row: row.low)).memory_bytes_per_vector,
        ),
        notes=_notes(candidates, chosen.plan if chosen else None, size),
        full_quality=candidates.full_quality,
    )


def check_limits(
    target: float,
    n_vectors: float | None,
    memory_gb: float | None,
    latency_ms: float | None,
    *,
    disk_gb: float | None = None,
    smallest: str = "memory",
) -> None:
    """Raise InvalidInputError for a target outside (0, 1], a budget not above 0, `n_vectors` below 1, or `smallest`."""
    check_share("target", target)
    if n_vectors is not None:
        whole_count("n_vectors", n_vectors)
    if smallest not in SMALLEST:
        raise InvalidInputError(f"`smallest` is {smallest!r}; choose one of {list(SMALLEST)}.")
    if disk_gb == 0:
        raise InvalidInputError("`disk_gb` is 0; to do without reranking from disk, allow no rerank.")
    for name, limit in (("memory_gb", memory_gb), ("disk_gb", disk_gb), ("latency_ms", latency_ms)):
        if limit is not None and not 0 < limit < float("inf"):
            raise InvalidInputError(f"`{name}` is {limit}; give a number above 0, or leave it out.")


def _evidence(
    candidates: Candidates, kept: Sequence[int], level: int, target: float, n_vectors: int, budgets: Mapping[str, float]
) -> tuple[PlanEvidence, ...]:
    qualities, lows = candidates.qualities[kept, level], candidates.lower_bounds[kept, level]
    measured = [candidates.candidates[row] for row in kept]
    sizes = [(one.plan.memory_bytes_per_vector, one.plan.disk_bytes_per_vector) for one in measured]
    front = pareto_front([(*size, one.latency.p50_ms) for size, one in zip(sizes, measured)], qualities)

    def evidence(
        one: Candidate, size: tuple[int, int], own_quality: float, low: float, is_on_front: bool
    ) -> PlanEvidence:
        expected_ms = one.expected_ms(candidates.n_items, n_vectors)
        memory_gb, disk_gb = (each * n_vectors / GB for each in size)
        row = PlanEvidence(
            one.plan, own_quality, low, one.latency, expected_ms, memory_gb, disk_gb, True, low >= target, is_on_front
        )
        return replace(row, fits=not _exceeded(row, budgets))

    return tuple(map(evidence, measured, sizes, qualities.tolist(), lows.tolist(), front.tolist()))


def _smallest(rows: Iterable[PlanEvidence], target: float, smallest: str) -> Plan | None:
    enough = [row for row in rows if row.fits and row.low >= target]
    return min(enough, key=lambda row: size_order(row, smallest)).plan if enough else None


def _nearest_trade_offs(found: Sequence[TradeOff], n_bytes: int) -> tuple[TradeOff, ...]:
    """Where dims beat bits and where bits beat dims, as far as there is any: the one nearest in bytes."""
    kinds = ([one for one in found if one.is_wider_better == is_wider] for is_wider in (True, False))
    return tuple(min(ones, key=lambda one: abs(log(one.bytes_per_vector / n_bytes))) for ones in kinds if ones)


def _undecided(
    evidence: Sequence[PlanEvidence],
    candidates: Candidates,
    kept: Sequence[int],
    chosen: PlanEvidence | None,
    target: float,
    smallest: str,
) -> tuple[tuple[PlanEvidence, int], ...]:
    """Smaller plans above the target with a bound below it, each with how many more queries would settle it."""
    n_queries = candidates.n_queries
    waiting = [
        (row, number) for row, number in zip(evidence, kept)
        if row.fits and not row.meets_target and row.quality > target
        and (chosen is None or row.size(smallest) < chosen.size(smallest))
    ]  # fmt: skip
    rows = []
    for row, number in waiting:
        gap_with_more = row.quality - float(candidates.bounds_with_more[number])
        needed = n_queries * (times_as_many(row.quality - row.low, gap_with_more, row.quality - target) - 1)
        if needed <= MOST_QUERIES_TO_ASK_FOR:
            rows.append((row, max(1, ceil(needed))))
    return tuple(sorted(rows, key=lambda pair: (pair[1], pair[0].size(smallest))))


def times_as_many(gap: float, gap_with_more: float, wanted: float) -> float:
    """How many times the queries bring the gap between a quality and its bound from `gap` down to `wanted`, 1 or more.

    Parameters
    ----------
    gap, gap_with_more : with the queries there are, and with `MORE` times as many like them; above 0
    wanted : above 0

    With f times the queries the gap is a/√f + b/f, spread and rarity: two gaps give a and b. Own definition.
    """
    if wanted >= gap:
        return 1.0
    root = sqrt(MORE)
    spread = min(max((gap_with_more * MORE - gap) / (root - 1), 0.0), gap)
    rarity = gap - spread
    if rarity <= gap * 1e-9:
        return (spread / wanted) ** 2
    inverse_root = (-spread + sqrt(spread**2 + 4 * rarity * wanted)) / (2 * rarity)
    return 1 / inverse_root**2


def _binding(
    passing: Sequence[PlanEvidence], chosen: PlanEvidence | None, budgets: Mapping[str, float], smallest: str
) -> tuple[str, ...]:
    """Budgets that, dropped alone, allow a smaller plan; all exceeded ones where only dropping several would help."""
    smaller = [row for row in passing if chosen is None or row.size(smallest) < chosen.size(smallest)]
    exceeded = [_exceeded(row, budgets) for row in smaller]
    alone = {name for names in exceeded if len(names) == 1 for name in names}
    every = set().union(*exceeded) if exceeded else set()
    return tuple(name for name in budgets if name in (alone or every))


def _shares(row: PlanEvidence, budgets: Mapping[str, float]) -> dict[str, float]:
    """The share of every budget that is needed."""
    needs = {"memory_gb": row.memory_gb, "disk_gb": row.disk_gb, "latency_ms": row.expected_ms}
    return {name: needs[name] / limit for name, limit in budgets.items()}


def _exceeded(row: PlanEvidence, budgets: Mapping[str, float]) -> set[str]:
    return {name for name, share in _shares(row, budgets).items() if share > 1}


def _notes(candidates: Candidates, plan: Plan | None, n_vectors: int) -> tuple[str, ...]:
    notes = [*candidates.notes, "Latency is of this machine, one query at a time, everything in memory."]
    if plan is not None and plan.rerank:
        notes.append(
            "The copy that is reranked counts as disk, but was timed in memory: read from a disk it takes longer."
        )
    if n_vectors <= candidates.n_items:
        return tuple(notes)
    notes.append(
        f"Latency at {n_vectors:,} vectors is extrapolated from {candidates.n_items:,}: scans by the milliseconds per "
        "vector of a longer one, graphs with the logarithm of the size. Quality was measured at the smaller size; see "
        "how it changes with the number of texts."
    )
    if plan is not None and plan.rerank and plan.rerank[0][0] > MOST_ON_SHORTLIST * candidates.n_items:
        length = plan.rerank[0][0]
        notes.append(
            f"The shortlist of {length:,} holds {length / candidates.n_items:.0%} of the measured texts and one in "
            f"{n_vectors / length:,.0f} of {n_vectors:,}, so its bound does not carry over: measure on more texts, or "
            "leave rerank out."
        )
    if plan is not None and plan.kind == "hnsw":
        notes.append(
            "A graph finds less of a larger corpus; raise its search effort (efSearch) until it finds as much."
        )
    return tuple(notes)
