"""Does the live index answer as its plan should? Its answers beside the exact sweep of the source, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mrl_viz.errors import DimensionError, EmptyInputError, ShapeError
from mrl_viz.measures.estimate import CONFIDENCE, Estimate, bootstrap
from mrl_viz.measures.lists import shared_share, without_own
from mrl_viz.result import Result
from mrl_viz.retrieval.ann import AnnIndex
from mrl_viz.retrieval.coded import CodedIndex, FaissCodes, coded_index
from mrl_viz.retrieval.codes import is_rotated, rotation
from mrl_viz.retrieval.plan import Plan
from mrl_viz.retrieval.quantization import CALIBRATION_ROWS
from mrl_viz.scale.lists import Lists, merged, without
from mrl_viz.scale.rows import ArrayRows, Rows
from mrl_viz.scale.streaming import Queries, given_queries, sampled_queries, stream_sweep
from mrl_viz.stores.causes import NO_LOSS, Evidence, Finding, diagnose
from mrl_viz.stores.store import METRICS, Found, Id, Store
from mrl_viz.tasks.task import sample_rows
from mrl_viz.truncation import (
    FloatMatrix,
    Floats,
    Ints,
    check_count,
    check_dims,
    check_embeddings,
    check_share,
    truncate_and_normalize,
)

# Queries for an interval of about ±0.02, and rows whose ids and vectors are looked up.
N_QUERIES, N_ROWS = 500, 1000
# Float32 sums in another order: neighbors that are as near are as good.
TIE = 2e-6
# How many times as many candidates an approximate index is asked to look at, to hear whether that helps.
EFFORT = 8
# Codes whose queries may be coded too.
BITS_OF_QUERIES = ("binary", "binary-rotated")
# Rows that product codes learn from: all that faiss takes for a byte's centroids.
LEARNT_ROWS = 1 << 16
# Rows coded at once where a source is large.
ROWS_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class AuditResult(Result):
    """What a live index answers, beside what its plan gives.

    `store` : what was asked. `recall` : the share of the plan's own neighbors, found exactly at its width and
    reranked, that the store finds, mean over queries; what is as near counts. `expected_recall` : the same of the
    plan's codes as simulated here, 1 for float32. `overlap` : overlap@k with exact full width; `expected_overlap` : of
    the plan as simulated. `target` : share of `expected_recall` that recall must reach; `promised` : overlap that the
    decision promised, None where it promised none.
    `score_median`, `score_largest` : difference of the store's scores, as similarities, from the cosines at that width;
    None where they are no similarities.
    `n_items`, `n_stored` : vectors in the source and in the store. `n_checked` : sampled rows that were looked up,
    `n_missing` of them not there; `n_unknown` : ids answered that the source lacks; `n_repeating` : answers with an id
    more than once, of which the first counts. `n_compared` : rows whose stored vectors were compared.
    `harder_recall` : recall with `EFFORT` times as many candidates, None where not asked.
    `ids` : what the store calls rows by, "own", "number" or "number from 1".
    `findings` : causes, the likeliest first. `seed` : of the samples.
    """

    store: str
    plan: Plan
    k: int
    target: float
    promised: float | None
    n_queries: int
    recall: Estimate
    expected_recall: float
    overlap: Estimate
    expected_overlap: float
    score_median: float | None
    score_largest: float | None
    n_items: int
    n_stored: int
    n_checked: int
    n_missing: int
    n_unknown: int
    n_repeating: int
    n_compared: int
    harder_recall: float | None
    ids: str
    findings: tuple[Finding, ...]
    seed: int

    _also = ("cause", "is_below_target", "keeps_promise")

    @property
    def cause(self) -> str | None:
        """The likeliest cause, one of `causes.CAUSES`; None where the evidence points nowhere."""
        return self.findings[0].cause if self.findings else None

    @property
    def is_below_target(self) -> bool:
        """Whether the store finds too little of what its plan finds, or of what was promised: the alarm."""
        return self.recall.value < self.target * self.expected_recall or not self.keeps_promise

    @property
    def keeps_promise(self) -> bool:
        """Whether the overlap with full width is what the decision promised; true where it promised none."""
        return self.promised is None or self.overlap.value >= self.promised

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data, schema 1."""
        return {"schema": 1, **super().to_dict(), "confidence": CONFIDENCE, "takeaway": self.takeaway()}

    def takeaway(self) -> str:
        codes = "" if self.expected_recall > 1 - TIE else f", where its codes give {self.expected_recall:.1%}"
        verdict = "below" if self.recall.value < self.target * self.expected_recall else "not below"
        kept = f"{self.overlap:.1%} of the full-width neighbors"
        if self.promised is not None:
            kept += f", {'' if self.keeps_promise else 'not '}the {100 * self.promised:.4g}% promised"
        return (
            f"{self.store} finds {self.recall:.1%} of the {self.k} neighbors that {self.plan.label} finds exactly for "
            f"{self.n_queries:,} queries{codes}: {verdict} the target of {100 * self.target:.4g}%; {kept}. "
            f"{self.reason}"
        )

    @property
    def reason(self) -> str:
        """The likely cause in a sentence, or that there is none, or none that shows."""
        if self.findings:
            first, *others = self.findings
            also = "".join(f" Also {each.cause}: {each.evidence}." for each in others)
            return f"Likely cause: {first.cause}: {first.evidence}.{also}"
        looked = f"width, metric, scores and {self.n_checked:,} sampled ids"
        looked += f" with {self.n_compared:,} stored vectors" if self.n_compared else ", but not the stored vectors,"
        if self.recall.value < self.expected_recall - NO_LOSS:
            harder = self.harder_recall
            more = "" if harder is None else f", and looking at {EFFORT} times as many gives {harder:.1%}"
            return f"No evidence points at a cause: {looked} are as planned{more}; the index may be badly built."
        if not self.keeps_promise:
            return f"The store is as planned, and the plan gives {self.expected_overlap:.1%} here: decide again."
        return f"Nothing looks wrong: {looked} are as planned."


def audit_store(
    store: Store,
    source: Rows | FloatMatrix,
    plan: Plan | int,
    queries: FloatMatrix | None = None,
    *,
    ids: Sequence[str] | None = None,
    target: float = 0.95,
    promised: float | None = None,
    k: int = 10,
    n_queries: int = N_QUERIES,
    n_rows: int = N_ROWS,
    seed: int = 0,
) -> AuditResult:
    """A live index beside the exact sweep of what it was built from.

    Parameters
    ----------
    store : as `open_store` gives it
    source : the vectors at full width, of shape (n_items, full_dim), in memory or on a disk
    plan : what is deployed; a whole number is that width as float32, searched exactly
    queries : of shape (n_queries, full_dim), to sample from; None takes rows, each left out of its own list
    ids : of the rows, as the store may call them; it may also call them by their number, which is found out
    target : share of the plan's recall to stay at, in (0, 1]; promised : overlap with full width to stay at, or None
    k : neighbors compared; n_queries, n_rows : most to sample; seed : of both samples

    Raises
    ------
    InvalidInputError : a target, count or `k` out of range, or a plan that reranks fewer. DimensionError : a plan or a
    store wider than the source. ShapeError : another number of ids than rows. EmptyInputError : an empty store.
    StoreError : it does not answer.
    OptionalDependencyError : codes that need faiss, which is not there. Others : as `stream_sweep`.

    Source: overlap as in `neighbor_overlap`; causes as in `diagnose`.
    """
    check_share("target", target)
    check_count("n_queries", n_queries)
    check_count("n_rows", n_rows)
    rows = source if isinstance(source, Rows) else ArrayRows(check_embeddings(source, "source"), "source")
    deployed = plan if isinstance(plan, Plan) else Plan(check_dims([plan], rows.full_dim)[0])
    check_dims([deployed.dim, deployed.widest], rows.full_dim)
    if ids is not None and len(ids) != rows.n_rows:
        raise ShapeError(f"`ids` has {len(ids):,} entries for {rows.n_rows:,} rows; give one each.")
    n_stored = store.count()
    if not n_stored:
        raise EmptyInputError(f"`{store.name}` is empty; load the vectors before they are audited.")
    if store.dim > _whole_bytes(store, rows.full_dim):
        raise DimensionError(
            f"`{store.name}` has vectors of {store.dim} coordinates and the source of {rows.full_dim}; give the source "
            "that it was built from."
        )
    asked = _drawn(rows, queries, n_queries, seed)
    reference = _Reference(rows, deployed, asked, k)
    simulated = reference.simulated(seed)
    expected_recall = float(reference.recall(simulated).mean())
    live = _asked(store, reference, ids)
    recall_of_each = reference.recall(live.lists)
    (recall,), (overlap,) = (
        bootstrap(each, seed=seed) for each in (recall_of_each, shared_share(live.lists, reference.full))
    )
    harder = None
    if store.is_approximate and recall.value < expected_recall - NO_LOSS:
        harder = float(reference.recall(_asked(store, reference, ids, EFFORT).lists).mean())
    coded = None
    if store.metric == "hamming" and deployed.dtype in BITS_OF_QUERIES:
        coded = float(reference.recall(reference.simulated(seed, query="code")).mean())
    answers, sample = _answers(reference, live), _sampled(store, reference, live, n_rows, seed)
    seen = Evidence(
        deployed, live.width, store.dim, store.metric, store.is_approximate, store.search_effort, rows.n_rows, n_stored,
        recall.value, expected_recall, harder, EFFORT, sample.n_checked, sample.n_missing, live.n_unknown,
        len(asked.matrix), live.n_repeating, coded, sample.stored, sample.expected, sample.kept, sample.raw,
        answers.scores, answers.cosines, answers.kept, answers.raw,
    )  # fmt: skip
    off = np.abs(_similarities(store.metric, answers.scores, live.width) - answers.cosines)
    is_known = store.metric in METRICS and len(off) > 0
    return AuditResult(
        store.name, deployed, k, target, promised, len(asked.matrix), recall, expected_recall, overlap,
        float(shared_share(simulated, reference.full).mean()), float(np.median(off)) if is_known else None,
        float(off.max()) if is_known else None, rows.n_rows, n_stored, sample.n_checked, sample.n_missing,
        live.n_unknown, live.n_repeating, len(sample.stored), harder, live.names.kind, diagnose(seen), seed,
    )  # fmt: skip


def _drawn(rows: Rows, queries: FloatMatrix | None, n_queries: int, seed: int) -> Queries:
    """The queries that are asked: a sample of those given, or of the rows."""
    if queries is None:
        return sampled_queries(rows, min(n_queries, rows.n_rows), seed=seed)
    given = check_embeddings(queries, "queries")
    return given_queries(given[sample_rows(len(given), n_queries, seed)], rows)


class _Reference:
    """What the plan finds in the source when it is searched exactly. `first`, `exact`, `full` : rows of the first pass,
    of the whole plan, and of exact full width, best first, int64."""

    def __init__(self, rows: Rows, plan: Plan, queries: Queries, k: int) -> None:
        self.rows, self.plan, self.queries, self.k = rows, plan, queries, k
        n_others = rows.n_rows - (queries.own is not None)
        (_, size), *self.reranks = plan.stages(k)
        self.size = min(size, n_others)
        self._known, self._held = np.empty(0, dtype=np.int64), np.empty((0, rows.full_dim), dtype=np.float32)
        sweep = stream_sweep(rows, queries, dims=[plan.dim], k=max(k, self.size))
        self.first = sweep.indices[sweep.at(plan.dim)][:, : self.size].astype(np.int64)
        self.full = sweep.indices[-1][:, :k].astype(np.int64)
        self.exact = self.reranked(self.first)

    @property
    def n_asked(self) -> int:
        """Neighbors to ask for: one more where a query is a row itself, which finds itself."""
        return self.size + (self.queries.own is not None)

    def simulated(self, seed: int, **how: Any) -> Ints:
        """What the plan's codes find when nothing is wrong, (n_queries, k); graphs and lists as if they left none.

        `how` : of the codes' search.
        """
        plan, parts = self.plan, []
        if plan.kind != "pq" and plan.dtype == "float32":
            return self.exact
        n_learnt = LEARNT_ROWS if plan.kind == "pq" else CALIBRATION_ROWS
        calibration = self.rows.take(_some(self.rows.n_rows, n_learnt, seed))
        codes: AnnIndex | CodedIndex | None = None
        for start, block in self.rows.blocks(0, self.rows.n_rows, ROWS_AT_ONCE):
            size = min(self.n_asked, len(block))
            if isinstance(codes, AnnIndex | FaissCodes):
                codes.refill(block)
            elif plan.kind == "pq":
                codes = AnnIndex(block, plan.kind, plan.dim, calibration=calibration)
            else:
                codes = coded_index(block, plan.dim, plan.dtype, calibration=calibration, seed=seed)
            found = codes.search(self.queries.matrix, size, **how)
            items = np.where(found.indices < 0, -1, found.indices.astype(np.int64) + start)
            parts.append(Lists(items[None], found.similarities[None]))
        lists = merged(parts, self.n_asked)
        if self.queries.own is not None:
            lists = without(lists, self.queries.own, self.size)
        return self.reranked(lists.items[0])

    def recall(self, lists: Ints) -> Floats:
        """The share of the plan's own neighbors, or of what is as near, in each list: (n_queries,)."""
        dim = self.reranks[-1][0] if self.reranks else self.plan.dim
        least = self.cosines(self.exact, dim).min(axis=1, keepdims=True)
        return np.asarray((self.cosines(lists, dim) >= least - TIE).mean(axis=1))

    def reranked(self, items: Ints) -> Ints:
        """The rows of a first pass after the plan's reranks, (n_queries, k)."""
        for dim, keep in self.reranks:
            order = np.argsort(-self.cosines(items, dim), axis=1, kind="stable")
            items = np.take_along_axis(items, order, axis=1)[:, :keep]
        return items[:, : self.k]

    def taken(self, items: Ints) -> FloatMatrix:
        """The rows of ascending numbers, which may be none; what was read is kept, as lists share most of theirs."""
        new = np.setdiff1d(items, self._known, assume_unique=True)
        if len(new):
            known = np.concatenate([self._known, new])
            order = np.argsort(known)
            self._known, self._held = known[order], np.concatenate([self._held, self.rows.take(new)])[order]
        return np.asarray(self._held[np.searchsorted(self._known, items)])

    def cosines(self, items: Ints, dim: int) -> Floats:
        """Cosines of each query and the rows of its list at a width; -inf where there is none."""
        is_known, cosines = items >= 0, np.full(items.shape, -np.inf)
        unique, places = np.unique(items[is_known], return_inverse=True)
        if len(unique):
            rows = truncate_and_normalize(self.taken(unique), dim).astype(np.float64)
            asked = truncate_and_normalize(self.queries.matrix, dim).astype(np.float64)
            cosines[is_known] = np.einsum("ij,ij->i", rows[places], asked[np.nonzero(is_known)[0]])
        return cosines


@dataclass(frozen=True)
class _Names:
    """What the store calls rows by: `own` ids by row and `rows` by id, or where None numbers from `first` on."""

    n_rows: int
    own: Sequence[str] | None = None
    rows: Mapping[str, int] | None = None
    first: int = 0

    @property
    def kind(self) -> str:
        return "own" if self.own is not None else "number" if not self.first else "number from 1"

    def row(self, item: Id) -> int:
        """The row of an id, -1 where the source has none."""
        if self.rows is not None:
            return self.rows.get(str(item), -1)
        row = int(item) - self.first if str(item).isdecimal() else -1
        return row if row < self.n_rows else -1

    def of(self, row: int) -> Id:
        return row + self.first if self.own is None else self.own[row]


@dataclass(frozen=True)
class _Live:
    """What the store answered, see `_asked`. `items` : rows of the first pass, -1 for unknown ids and for rows that
    their list has already, shape (n_queries, n_asked);
    `lists` : (n_queries, k). `width` : of the queries, `is_turned` : whether they were rotated."""

    found: Found
    names: _Names
    items: Ints
    lists: Ints
    width: int
    is_turned: bool
    n_unknown: int
    n_repeating: int


def _asked(store: Store, reference: _Reference, ids: Sequence[str] | None, effort: int = 1) -> _Live:
    """The store's answers to queries cut to its width, of length 1.

    Rotated codes are rotated by the program in some stores and by themselves in others, and ids are the source's own or
    numbers from 0 or 1: what finds more of the plan's neighbors is how it is.
    """
    plan, rows, queries = reference.plan, reference.rows, reference.queries
    is_padded = store.metric == "hamming" and store.dim == _whole_bytes(store, plan.dim)
    width = plan.dim if is_padded else min(store.dim, rows.full_dim)
    cut = truncate_and_normalize(queries.matrix, width).astype(np.float32, copy=False)
    # Numbers that a database gives begin at 1.
    names = [_Names(rows.n_rows), _Names(rows.n_rows, first=1)]
    if ids is not None:
        names.insert(0, _Names(rows.n_rows, ids, {item: row for row, item in enumerate(ids)}))
    best, most = None, -1.0
    for is_turned in (True, False) if is_rotated(plan.dtype) else (False,):
        asked = np.ascontiguousarray(cut @ rotation(width) if is_turned else cut)
        found = store.search(asked, reference.n_asked, effort=effort)
        for called in names:
            items = np.full((len(cut), reference.n_asked), -1, dtype=np.int64)
            for place, each in enumerate(found.ids):
                known = [called.row(item) for item in each[: reference.n_asked]]
                items[place, : len(known)] = known
            items = _once(items)
            others = items if queries.own is None else without_own(items, queries.own).astype(np.int64)
            shared = float(shared_share(reference.first, others).mean())
            if shared > most:
                best, most = (found, called, items, others, is_turned), shared
    assert best is not None
    found, called, items, others, is_turned = best
    unknown = {item for each in found.ids for item in each if called.row(item) < 0}
    n_repeating = sum(len(set(each)) < len(each) for each in found.ids)
    return _Live(found, called, items, reference.reranked(others), width, is_turned, len(unknown), n_repeating)


def _once(items: Ints) -> Ints:
    """Lists (n_queries, k) with -1 where an item stands in its list already, as in a store that was loaded twice."""
    order = np.argsort(items, axis=1, kind="stable")
    ascending = np.take_along_axis(items, order, axis=1)
    ascending[:, 1:][ascending[:, 1:] == ascending[:, :-1]] = -1
    kept = np.empty_like(items)
    np.put_along_axis(kept, order, ascending, axis=1)
    return kept


@dataclass(frozen=True)
class _Answers:
    """The first k answers of every query, one after the other: their `scores`, and of their rows the `cosines` and
    lengths, as `_lengths`."""

    scores: Floats
    cosines: Floats
    kept: Floats
    raw: Floats


def _answers(reference: _Reference, live: _Live) -> _Answers:
    items = live.items[:, : reference.k]
    is_known = items >= 0
    unique, places = np.unique(items[is_known], return_inverse=True)
    kept, raw = _lengths(reference.taken(unique), live.width)
    scores = live.found.scores[:, : reference.k][is_known]
    return _Answers(scores, reference.cosines(items, live.width)[is_known], kept[places], raw[places])


@dataclass(frozen=True)
class _Sample:
    """Rows that were looked up by id: see `Evidence`."""

    n_checked: int
    n_missing: int
    stored: Floats
    expected: Floats
    kept: Floats
    raw: Floats


def _sampled(store: Store, reference: _Reference, live: _Live, n_rows: int, seed: int) -> _Sample:
    picked = _some(reference.rows.n_rows, n_rows, seed)
    row_of = {item: int(row) for row in picked for item in store.own_ids([live.names.of(int(row))])}
    there = store.fetch(list(row_of))
    vectors = {row_of[item]: vector for item, vector in there.items() if item in row_of and vector is not None}
    compared = np.array(sorted(row for row, vector in vectors.items() if len(vector) >= live.width), dtype=np.int64)
    taken = reference.taken(compared)
    kept, raw = _lengths(taken, live.width)
    expected = truncate_and_normalize(taken, live.width).astype(np.float64) if len(taken) else np.empty((0, live.width))
    if live.is_turned:
        expected = expected @ rotation(live.width)
    stored = np.array([vectors[row][: live.width] for row in compared], dtype=np.float64).reshape(-1, live.width)
    has_direction = raw > 0  # rows of zeros point nowhere
    n_missing = len(picked) - sum(item in row_of for item in there)
    parts = (each[has_direction] for each in (stored, expected, kept, raw))
    return _Sample(len(picked), n_missing, *parts)


def _some(n_items: int, most: int, seed: int) -> Ints:
    """A seeded sample of positions, ascending, that takes memory for itself alone: sources may have a billion rows."""
    if n_items <= most:
        return np.arange(n_items, dtype=np.int64)
    return np.sort(np.random.default_rng(seed).choice(n_items, most, replace=False)).astype(np.int64)


def _lengths(rows: FloatMatrix, width: int) -> tuple[Floats, Floats]:
    """The lengths of rows' prefixes where rows are of length 1, and where they are as they are."""
    squares = np.square(rows.astype(np.float64))
    raw, whole = (np.sqrt(each.sum(axis=1)) for each in (squares[:, :width], squares))
    return raw / np.where(whole > 0, whole, 1), raw


def _similarities(metric: str, scores: Floats, width: int) -> Floats:
    """A store's scores as similarities: cosines, for vectors of length 1."""
    if metric == "l2":
        return np.asarray(1 - scores / 2)
    return np.asarray(1 - 2 * scores / width) if metric == "hamming" else scores


def _whole_bytes(store: Store, dim: int) -> int:
    """A width as the store has it: bits come in whole bytes."""
    return -(-dim // 8) * 8 if store.metric == "hamming" else dim
