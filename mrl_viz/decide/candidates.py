"""Every plan worth considering, measured once: quality of each query, bytes, milliseconds. Choosing is then instant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, partial
from math import ceil
from time import perf_counter

import numpy as np
import numpy.typing as npt

from mrl_viz.decide.bounds import quality, sequential_lower_bounds, simultaneous_lower_bounds
from mrl_viz.decide.metrics import find_target, parse_metric
from mrl_viz.decide.trade_offs import TradeOff, trade_offs
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import InvalidInputError
from mrl_viz.measures.correlation import mean_ranks
from mrl_viz.result import Result
from mrl_viz.retrieval.coded import CodedIndex, coded_index, fewest_rows, has_vectors, stored
from mrl_viz.retrieval.codes import BITS, bytes_per_vector
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.latency import TIMED_RUNS, WARM_UP_RUNS, Latency, measure_latency
from mrl_viz.retrieval.plan import KINDS, Plan, PlannedIndex, build_plan
from mrl_viz.retrieval.results import SearchResult
from mrl_viz.sweep import check_k, pair_similarities
from mrl_viz.sweep.machine import single_threaded_blas
from mrl_viz.tasks.hybrid import HYBRID
from mrl_viz.truncation import FloatMatrix, Floats, Ints, Progress, check_dims, default_dims, truncate_and_normalize

# Of exact plans, unless others are asked for; every name in BITS may be.
DTYPES = ("float32", "float16", "int8", "int4", "rabitq2", "binary")
# A graph over more vectors than this takes minutes to build at every width.
MOST_GRAPH_ITEMS = 20_000
# Shortlists that are reranked at full width, in multiples of k.
SHORTLIST_FACTORS = (5, 20)
GRAPH_SHORTLIST_FACTOR = 20
# Bounds are also computed as if there were so many times the queries; from the two one knows how they shrink.
MORE = 4.0

# A scan is timed on this much, more than the corpora people try things on: there, what does not grow takes longest.
SCANNED_COORDINATES, MOST_SCANNED_ITEMS, MOST_SCAN_RUNS = 2_000_000, 100_000, 5
# A shorter scan is mostly the call, and what else the machine does: it is timed on copies, of so many bytes at most.
LEAST_SCAN_MS, MOST_SCANNED_BYTES = 4.0, 64_000_000
# Codes of that are made of a part of so many rows or more, and repeated: encoding takes longer than scanning.
SCAN_COPIES, LEAST_CODED_ROWS = 8, 1000
# A plan that keeps less than any target is not chosen whatever its time, which is then taken from a few queries.
LEAST_TARGET, FEW_RUNS = 0.5, 5


@dataclass(frozen=True)
class Candidate(Result):
    """One plan and what it costs on this machine.

    `latency` : of single queries over the measured corpus. `scan_ms` : milliseconds that scanning one more vector
    takes where nothing disturbs it, 0 for a graph. `nbytes` : of the built index.
    """

    plan: Plan
    latency: Latency
    scan_ms: float
    nbytes: int

    def expected_ms(self, n_items: int, n_vectors: int) -> float:
        """The p95 latency to expect at another corpus size; at a smaller one that of the measured size.

        What grows is the first pass: a scan by `scan_ms` for every vector more, a graph with the logarithm of the size.
        """
        if self.plan.kind == "hnsw":
            return self.latency.p95_ms * max(1.0, float(np.log(n_vectors) / np.log(max(n_items, 2))))
        return self.latency.p95_ms + self.scan_ms * max(0, n_vectors - n_items)


@dataclass(frozen=True)
class Candidates(Result):
    """Plans measured on the same corpus and queries; the last one is exact float32 search at full width.

    `metric` : its name; with HYBRID before it where lists were fused with BM25's by the constant `fusion_k`.
    `values` : float64 of shape (n_plans, n_ks, n_queries), each query's value at every list length of `ks`.
    `full` : (n_ks, n_queries), the same at full width, where quality is a share of it; None for overlap.
    `gold` : (n_queries,), ranks of the judged scores, for spearman only. `texts_are_queries` : there were no queries,
    so texts search for their neighbors. `fingerprint` : of the evidence and the model.
    """

    metric: str
    k: int
    ks: tuple[int, ...]
    model: str
    fingerprint: str
    full_dim: int
    n_items: int
    texts_are_queries: bool
    candidates: tuple[Candidate, ...]
    values: Floats
    full: Floats | None
    gold: Floats | None
    seed: int
    notes: tuple[str, ...] = ()
    fusion_k: int | None = None

    _also = ("n_queries",)
    _without = ("candidates", "values", "full", "gold", "seed")

    @property
    def n_queries(self) -> int:
        """How many queries (or pairs, or texts) were measured."""
        return int(self.values.shape[2])

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The plans, in order."""
        return tuple(candidate.plan for candidate in self.candidates)

    @property
    def full_quality(self) -> float | None:
        """The full width's own value at k; None for overlap, which is 1 there, and spearman, which is no mean."""
        return None if self.full is None or self.gold is not None else float(self.full[self.ks.index(self.k)].mean())

    @cached_property
    def qualities(self) -> Floats:
        """Share of the full width's quality at every list length, shape (n_plans, n_ks); 1 for exact full width."""
        return self._at_every_k(quality)

    @cached_property
    def lower_bounds(self) -> Floats:
        """Its 95 % lower bounds, shape (n_plans, n_ks): `sequential_lower_bounds`; for spearman simultaneous ones."""
        return self._at_every_k(self._bounds)

    @cached_property
    def bounds_with_more(self) -> Floats:
        """The lower bounds at k if there were `MORE` times as many queries like these, shape (n_plans,)."""
        level = self.ks.index(self.k)
        return self._at_every_k(partial(self._bounds, copies=MORE), [level])[:, 0]

    @cached_property
    def trade_offs(self) -> tuple[TradeOff, ...]:
        """Where bits beat dims or dims beat bits, at k; none for spearman, which is no mean over pairs."""
        if self.gold is not None:
            return ()
        return trade_offs(self.plans, self.values[:, self.ks.index(self.k)], metric=self.metric, seed=self.seed)

    def takeaway(self) -> str:
        return (
            f"{len(self.candidates)} plans were measured by {self.metric} of {self.n_queries} queries on "
            f"{self.n_items:,} texts."
        )

    def _bounds(self, values: Floats, full: Floats | None, *, gold: Floats | None, copies: float = 1) -> Floats:
        if gold is not None:
            # No query is added to pairs, so a bound of a correlation is right in the limit only and needs the margin.
            return simultaneous_lower_bounds(values, full, gold=gold, seed=self.seed, copies=copies)
        paths = width_paths(self.plans[:-1])
        return sequential_lower_bounds(values, full, paths=paths, seed=self.seed, copies=copies)

    def _at_every_k(self, measure: Callable[..., Floats], levels: Sequence[int] | None = None) -> Floats:
        others = self.values[:-1]
        levels = range(len(self.ks)) if levels is None else levels
        result = np.ones((len(self.values), len(levels)))
        for column, level in enumerate(levels if len(others) else ()):
            base = None if self.full is None else self.full[level]
            result[:-1, column] = measure(others[:, level], base, gold=self.gold)
        return result


def measure_candidates(
    embedded: Embedded,
    *,
    metric: str = "overlap@10",
    dims: Iterable[int] | None = None,
    dtypes: Sequence[str] = DTYPES,
    kinds: Sequence[str] | None = None,
    allow_rerank: bool = True,
    fusion_k: int | None = None,
    n_runs: int = TIMED_RUNS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Candidates:
    """Quality of every query and latency of every width × dtype × index × rerank, on this machine as busy as it is now.

    Parameters
    ----------
    embedded : from `embed`; at most 1,000 of its queries (or of its texts, where it has no queries) are used
    metric : overlap@k (no labels needed), ndcg@k, recall@k or mrr@k (relevance), accuracy or accuracy:column (class
        labels, 5 neighbors vote), spearman (scored pairs); all but overlap as a share of the full width's value
    dims : widths; powers of two and trained widths when None; the full width is added
    dtypes : of exact plans, names in `codes.BITS`; RaBitQ only scores queries, so scored pairs are without it
    kinds : of indexes; exact, panorama, and hnsw up to 20,000 texts, when None
    allow_rerank : also with shortlists of 5·k and 20·k reranked at full width
    fusion_k : measured as hybrid: every plan's list is fused with the same list of BM25 by reciprocal rank with this
        constant, such as 60, before it is judged, see `hybrid_of`; for metrics at k of texts. Latency and bytes stay
        those of the vectors. None leaves the words out
    n_runs : timed queries per plan; fewer where it keeps less than half
    seed : of samples of queries and of int8 calibration, and of the bounds
    progress : called with (plans done, plans in all)

    Raises
    ------
    InvalidInputError : an unknown metric, dtype or kind, k not below the corpus size, labels that cannot be used, or
    hybrid without texts or with a metric that has no k.
    EmptyInputError : no labels for the metric. DimensionError, ShapeError : unusable widths or arrays.
    OptionalDependencyError : an approximate kind without faiss.
    """
    wanted = parse_metric(metric)
    target = find_target(embedded, wanted, seed, fusion_k)
    most = len(target.corpus) - (target.own is not None)
    if wanted.k is not None:
        check_k(wanted.k, most)
    k = wanted.k or min(10, len(target.corpus) - 1)
    plans = candidate_plans(
        len(target.corpus), target.corpus.shape[1], k=k, dims=dims, dtypes=dtypes, kinds=kinds,
        allow_rerank=allow_rerank and target.pairs is None, trained=embedded.matryoshka_dims or (),
    )  # fmt: skip
    if target.pairs is not None:
        plans = tuple(plan for plan in plans if plan.kind == "exact" and has_vectors(plan.dtype))
    ks = tuple(sorted({1, max(1, k // 2), k, min(2 * k, most)})) if wanted.k is not None else (k,)
    depth = target.n_voters or max(ks[-1], target.hybrid.depth if target.hybrid else 0)
    index = PrefixIndex(target.corpus, {plan.dim for plan in plans} | {plan.widest for plan in plans})
    exact = build_plan(plans[-1], target.corpus, prefix_index=index)
    with single_threaded_blas():
        full_lists = exact.search(target.queries, depth, own=target.own).indices
    full_quality = 0.0 if target.pairs is not None else target.values(full_lists, full_lists, ks)[ks.index(k)].mean()
    values, candidates = [], []
    first_pass: SearchResult | None = None
    longest = max((depth, *(plan.rerank[0][0] for plan in plans if plan.rerank)))
    clock = PlanClock(target.corpus, target.queries, k=k, n_runs=n_runs, seed=seed)
    for done, (plan, built) in enumerate(built_plans(plans, target.corpus, index, seed), start=1):
        with single_threaded_blas():
            if target.pairs is not None:
                values.append(_pair_ranks(plan, target.corpus, target.pairs)[None])
            else:
                # Hybrid takes what a shorter shortlist has.
                length = min(depth, plan.rerank[-1][0]) if plan.rerank and target.hybrid else depth
                if plan.kind != "exact":
                    found = built.search(target.queries, length, own=target.own)
                elif first_pass is None or not plan.rerank:  # the plans that rerank its lists come next
                    first_pass = built.search(target.queries, longest, own=target.own)
                    found = first_pass.first(length)
                else:
                    found = built.reranked(target.queries, first_pass, length)
                values.append(target.values(found.indices, full_lists, ks))
        can_win = target.pairs is not None or values[-1][ks.index(k)].mean() >= LEAST_TARGET * full_quality
        candidates.append(clock.candidate(plan, built, can_win=bool(can_win)))
        if progress:
            progress(done, len(plans))
    stacked = np.stack(values)
    return Candidates(
        metric=wanted.name if target.hybrid is None else f"{HYBRID}{wanted.name}",
        k=k,
        ks=ks,
        model=embedded.model,
        fingerprint=embedded.fingerprint,
        full_dim=int(target.corpus.shape[1]),
        n_items=len(target.corpus),
        texts_are_queries=target.own is not None,
        candidates=tuple(candidates),
        values=stacked,
        full=None if wanted.kind == "overlap" else stacked[-1],
        gold=None if target.pairs is None else mean_ranks(target.pairs[2]),
        seed=seed,
        notes=target.notes,
        fusion_k=fusion_k,
    )


def candidate_plans(
    n_items: int,
    full_dim: int,
    *,
    k: int = 10,
    dims: Iterable[int] | None = None,
    dtypes: Sequence[str] = DTYPES,
    kinds: Sequence[str] | None = None,
    allow_rerank: bool = True,
    trained: Iterable[int] = (),
) -> tuple[Plan, ...]:
    """The plans that `measure_candidates` measures, exact float32 at full width last.

    Raises
    ------
    DimensionError : a width out of range. InvalidInputError : an unknown dtype or kind, or none of them.
    """
    widths = default_dims(full_dim, trained) if dims is None else check_dims((*dims, full_dim), full_dim)
    if kinds is None:
        kinds = ("exact", "panorama", "hnsw") if n_items <= MOST_GRAPH_ITEMS else ("exact", "panorama")
    for name, given, known in (("dtypes", dtypes, tuple(BITS)), ("kinds", kinds, KINDS)):
        if isinstance(given, str) or not given or not set(given) <= set(known):
            raise InvalidInputError(f"`{name}` is {given!r}; choose one or more of {list(known)}.")
    for dtype in dtypes:
        if n_items < fewest_rows(dtype):
            raise InvalidInputError(
                f"`dtypes` has {dtype}, which learns from {fewest_rows(dtype)} or more texts, and there are {n_items}; "
                "leave it out."
            )
    identity = Plan(full_dim)
    plans = []
    for dim in widths:
        firsts = [("exact", dtype) for dtype in BITS if "exact" in kinds and dtype in dtypes]
        firsts += [(kind, "float32") for kind in KINDS if kind != "exact" and kind in kinds]
        for kind, dtype in firsts:
            plans.append(Plan(dim, dtype, kind))
            # Reranking at full width what was searched there in float32 changes nothing.
            if allow_rerank and kind != "panorama" and (dim, dtype, kind) != (full_dim, "float32", "exact"):
                factors = SHORTLIST_FACTORS if kind == "exact" else (GRAPH_SHORTLIST_FACTOR,)
                sizes = [factor * k for factor in factors if factor * k < n_items]
                plans += [Plan(dim, dtype, kind, ((size, full_dim),)) for size in sizes]
    return (*(plan for plan in plans if plan != identity), identity)


def width_paths(plans: Sequence[Plan]) -> tuple[tuple[int, ...], ...]:
    """Positions of the plans that differ in width only, widest first: the order of `sequential_lower_bounds`."""
    paths: dict[tuple[object, ...], list[int]] = {}
    for row in sorted(range(len(plans)), key=lambda row: -plans[row].dim):
        family = tuple(getattr(plans[row], field.name) for field in fields(Plan) if field.name != "dim")
        paths.setdefault(family, []).append(row)
    return tuple(map(tuple, paths.values()))


def built_plans(
    plans: tuple[Plan, ...], corpus: FloatMatrix, index: PrefixIndex, seed: int
) -> Iterator[tuple[Plan, PlannedIndex]]:
    """The plans' indexes over a corpus, one after another; plans with the same codes share them.

    `index` : of the same corpus, holding every width of the plans.
    """
    coded: CodedIndex | None = None
    for plan in plans:
        if plan.dtype != "float32" and (coded is None or (coded.dim, coded.dtype) != (plan.dim, plan.dtype)):
            coded = coded_index(corpus, plan.dim, plan.dtype, seed=seed)
        yield plan, build_plan(plan, corpus, prefix_index=index, codes=coded, seed=seed)


class PlanClock:
    """Times plans on one corpus: single queries, and what a scan takes for one vector more, each scan once.

    Parameters
    ----------
    corpus, queries : ndarrays of shape (n_items, full_dim) and (n_queries, full_dim)
    k : results of a query
    n_runs : timed queries per plan
    seed : of what is scanned
    """

    def __init__(self, corpus: FloatMatrix, queries: FloatMatrix, *, k: int, n_runs: int, seed: int) -> None:
        self.corpus, self.queries, self.k, self.n_runs, self.seed = corpus, queries, k, n_runs, seed
        size = SCANNED_COORDINATES + corpus.shape[1]
        self._noise = np.random.default_rng(seed).standard_normal(size, dtype=np.float32)
        self._scans: dict[tuple[int, str, str], float] = {}

    def candidate(self, plan: Plan, built: PlannedIndex, *, can_win: bool = True) -> Candidate:
        """A plan with its times; fewer queries are timed where it cannot be chosen."""
        scanned = (plan.dim, plan.dtype, plan.kind)
        if scanned not in self._scans:
            few = min(self.n_runs, MOST_SCAN_RUNS)
            rows, asked = _scanned(plan, self._noise, self.corpus, self.queries, few, self.seed)
            self._scans[scanned] = 0.0 if plan.kind == "hnsw" else _scan_ms(plan, rows, asked, few, self.seed)
        runs = self.n_runs if can_win else min(self.n_runs, FEW_RUNS)
        latency = measure_latency(partial(built.search, k=self.k), self.queries, n_runs=runs)
        return Candidate(plan, latency, self._scans[scanned], built.nbytes)


def _scanned(
    plan: Plan, noise: npt.NDArray[np.float32], corpus: FloatMatrix, queries: FloatMatrix, n_runs: int, seed: int
) -> tuple[FloatMatrix, FloatMatrix]:
    """Vectors (n_items, plan.dim) to time a scan on, and queries: noise, as what is scanned does not change its speed.

    How far an early stop reads does depend on it: that one scans vectors of the corpus, drawn with noise of half their
    own spread, since copies would be closer to each other than texts are.
    """
    n_items = min(SCANNED_COORDINATES // plan.dim + 1, MOST_SCANNED_ITEMS)
    rows = noise[: n_items * plan.dim].reshape(n_items, plan.dim)
    if plan.kind != "panorama":
        return rows, rows[:n_runs]
    own = truncate_and_normalize(corpus, plan.dim).astype(np.float32, copy=False)
    drawn = np.random.default_rng(seed).integers(len(own), size=n_items)
    return own[drawn] + rows * (own.std(axis=0) / 2), queries[:n_runs, : plan.dim]


def _scan_ms(plan: Plan, rows: FloatMatrix, queries: FloatMatrix, n_runs: int, seed: int) -> float:
    """Milliseconds per vector of a plan's first pass over some vectors, repeated until it takes long enough."""
    codes = None
    if plan.dtype != "float32":
        copies = min(SCAN_COPIES, max(1, len(rows) // LEAST_CODED_ROWS))
        codes = coded_index(rows[: len(rows) // copies], plan.dim, plan.dtype, seed=seed)
        codes.repeat(copies)
    first, n_bytes = Plan(plan.dim, plan.dtype, plan.kind), bytes_per_vector(plan.dim, plan.dtype)
    while True:
        took = _least_ms(build_plan(first, rows, codes=codes, seed=seed), queries, n_runs)
        n_items = len(rows) if codes is None else codes.n_items
        times = min(ceil(LEAST_SCAN_MS / took), MOST_SCANNED_BYTES // (n_items * n_bytes))
        # How far an early stop reads depends on the vectors: copies would be closer to each other than texts are.
        if times <= 1 or plan.kind == "panorama":
            return took / n_items
        if codes is None:
            rows = np.tile(rows, (times, 1))
        else:
            codes.repeat(times)


def _least_ms(built: PlannedIndex, queries: FloatMatrix, n_runs: int) -> float:
    """Milliseconds of a search that nothing else on the machine disturbed: the quickest of some."""
    times = []
    for run in range(WARM_UP_RUNS + n_runs):
        started = perf_counter()
        built.search(queries[run % len(queries)][None])
        times.append((perf_counter() - started) * 1e3)
    return min(times)


def _pair_ranks(plan: Plan, corpus: FloatMatrix, pairs: tuple[Ints, Ints, Floats]) -> Floats:
    """Ranks of the pairs' cosines when both sides are stored in the plan's dtype."""
    rows = stored(corpus, plan.dim, plan.dtype, calibration=corpus)
    left, right = (rows[side] for side in pairs[:2])
    return mean_ranks(pair_similarities(left, right, [plan.dim])[0].astype(np.float64))
