"""A recommendation: the evidence of every plan, the choice, what binds, and how it depends on k and target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mrl_viz.decide.storage import DeploymentStorage, deployment_storage
from mrl_viz.decide.trade_offs import TradeOff
from mrl_viz.errors import InvalidInputError
from mrl_viz.result import Result
from mrl_viz.retrieval.latency import Latency
from mrl_viz.retrieval.plan import BYTES, Plan
from mrl_viz.tasks.curves import poor_full_width

BUDGETS = {"memory_gb": "memory", "disk_gb": "disk", "latency_ms": "latency"}
# By what plans are smallest: the bytes that are scanned, then those on disk; or all bytes, then those that are scanned.
SMALLEST = ("memory", "total")


@dataclass(frozen=True)
class PlanEvidence(Result):
    """What speaks for one plan.

    `quality` : overlap, or share of the full width's metric; `low` : its 95 % lower bound, as of `Candidates`.
    `latency` : measured; `expected_ms` : p95 at `n_vectors`. `memory_gb`, `disk_gb` : of what is scanned and of what is
    only reranked, at `n_vectors`. `fits` : within the budgets. `is_on_front` : no other plan is at least as good in
    quality, memory, disk and median latency and better in one.
    """

    plan: Plan
    quality: float
    low: float
    latency: Latency
    expected_ms: float
    memory_gb: float
    disk_gb: float
    fits: bool
    meets_target: bool
    is_on_front: bool

    _also = ("bytes_per_vector", "total_gb")
    _without = ("latency",)

    @property
    def memory_bytes_per_vector(self) -> int:
        """Of what is scanned."""
        return self.plan.memory_bytes_per_vector

    @property
    def disk_bytes_per_vector(self) -> int:
        """Of what is only reranked."""
        return self.plan.disk_bytes_per_vector

    @property
    def bytes_per_vector(self) -> int:
        """In memory and on disk together."""
        return self.plan.bytes_per_vector

    @property
    def total_gb(self) -> float:
        """In memory and on disk together, at `n_vectors`."""
        return self.memory_gb + self.disk_gb

    def size(self, smallest: str = "memory") -> tuple[int, int]:
        """What makes a plan smaller than another: bytes in memory, then on disk; or in all, then in memory."""
        memory = self.memory_bytes_per_vector
        return (memory, self.disk_bytes_per_vector) if smallest == "memory" else (self.bytes_per_vector, memory)

    def to_dict(self) -> dict[str, Any]:
        """One flat record."""
        return super().to_dict() | {"plan": self.plan.label, **self.plan.to_dict(), **self.latency.to_dict()}


def _number(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def milliseconds(value: float) -> str:
    """A time as far as it can be told: the call itself takes a good part of one that is under a millisecond."""
    return "under 1 ms" if value < 1 else f"{float(f'{value:.2g}'):,.10g} ms"


def size_order(row: PlanEvidence, smallest: str = "memory") -> tuple[float, ...]:
    """Smaller first, as `PlanEvidence.size` says, then faster."""
    return *row.size(smallest), row.latency.p50_ms


@dataclass(frozen=True)
class Sensitivity(Result):
    """The plan chosen at other list lengths (rows) and targets (columns); None where none meets the target.

    `memory_bytes_per_vector` : tuples of shape (n_ks, n_targets).
    """

    ks: tuple[int, ...]
    targets: tuple[float, ...]
    plans: tuple[tuple[Plan | None, ...], ...]

    _without = ("plans",)

    @property
    def memory_bytes_per_vector(self) -> tuple[tuple[int | None, ...], ...]:
        """Bytes of a vector in memory, of every chosen plan."""
        return tuple(tuple(plan.memory_bytes_per_vector if plan else None for plan in row) for row in self.plans)

    def rows(self) -> list[dict[str, Any]]:
        """One record per list length and target."""
        return [
            {"k": k, "target": target, "plan": plan.label if plan else None}
            | {name: getattr(plan, name) if plan else None for name in BYTES}
            for k, plans in zip(self.ks, self.plans)
            for target, plan in zip(self.targets, plans)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        return super().to_dict() | {"rows": self.rows()}

    def takeaway(self) -> str:
        sizes = [size for row in self.memory_bytes_per_vector for size in row if size is not None]
        if not sizes:
            return "No plan meets any of these targets within the budgets."
        return (
            f"From the easiest to the hardest cell the plan grows from {min(sizes):,} to {max(sizes):,} bytes a vector "
            "in memory."
        )


@dataclass(frozen=True)
class Recommendation(Result):
    """A plan one can defend, or why there is none.

    `status` : "met"; "not_enough_texts", a smaller plan (or any) looks good enough but the queries are too few to tell,
    and `chosen` is then exact full width if that fits; "nothing_fits", no plan within the budgets meets the target.
    `smallest` : by what: "memory", bytes in memory and then on disk, or "total", all bytes.
    `chosen` : the smallest plan that fits and whose lower bound meets the target; ties to the faster.
    `runners_up` : the next larger such plans. `undecided` : smaller plans that fit and reach the target, but not with
    their lower bound, each with how many more queries would settle it, fewest first.
    `binding` : the budgets without which a smaller plan (or any) would do. `nearest` : when nothing fits, the plan that
    meets the target with the least excess over the budgets; `best_within` : the best plan within them.
    `evidence` : every measured plan. `trade_offs` : where dims beat bits and where bits beat dims, near the chosen
    plan's bytes and as far as the queries can tell. `full_quality` : the full width's own value, None for overlap and
    spearman.
    """

    status: str
    metric: str
    target: float
    k: int
    confidence: float
    model: str
    fingerprint: str
    full_dim: int
    n_items: int
    n_queries: int
    n_vectors: int
    budgets: Mapping[str, float]
    smallest: str
    chosen: PlanEvidence | None
    runners_up: tuple[PlanEvidence, ...]
    undecided: tuple[tuple[PlanEvidence, int], ...]
    binding: tuple[str, ...]
    nearest: PlanEvidence | None
    best_within: PlanEvidence | None
    evidence: tuple[PlanEvidence, ...]
    sensitivity: Sensitivity
    trade_offs: tuple[TradeOff, ...] = ()
    notes: tuple[str, ...] = ()
    full_quality: float | None = None

    _also = ("more_queries",)

    @property
    def plan(self) -> Plan | None:
        """The plan to deploy, None where nothing does."""
        return None if self.chosen is None else self.chosen.plan

    @property
    def more_queries(self) -> int | None:
        """How many more queries would settle the undecided plan that needs fewest; None when nothing is undecided."""
        return self.undecided[0][1] if self.undecided else None

    @property
    def front(self) -> tuple[PlanEvidence, ...]:
        """The Pareto front of quality, memory, disk and measured median latency, smallest first."""
        return self.ordered(row for row in self.evidence if row.is_on_front)

    def ordered(self, rows: Iterable[PlanEvidence]) -> tuple[PlanEvidence, ...]:
        """Plans from the smallest to the largest, as `smallest` says."""
        return tuple(sorted(rows, key=lambda row: size_order(row, self.smallest)))

    def storage(self, *, price_per_gb: float | None = None) -> DeploymentStorage:
        """What the chosen plan takes for `n_vectors`.

        Raises
        ------
        InvalidInputError : there is no plan, or the price is below 0.
        """
        if self.plan is None:
            raise InvalidInputError("`recommendation` holds no plan; relax a budget or the target first.")
        return deployment_storage(self.plan, self.n_vectors, self.full_dim, price_per_gb=price_per_gb)

    def rows(self) -> list[dict[str, Any]]:
        """One record per measured plan, smallest first."""
        return [row.to_dict() for row in self.ordered(self.evidence)]

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data, schema 2: since then memory and disk are told apart."""
        return {
            "schema": 2,
            **super().to_dict(),
            "undecided": [row.to_dict() | {"more_queries": more} for row, more in self.undecided],
            "evidence": self.rows(),
            "takeaway": self.takeaway(),
        }

    def takeaway(self) -> str:
        """What to deploy and what is promised, or what stands in the way; and whether the full width is worth it."""
        poor = "" if self.full_quality is None else poor_full_width(self.metric, self.full_quality)
        return f"{self._verdict()}{poor}"

    def _verdict(self) -> str:
        whose = "" if self.metric.startswith("overlap") else "the full width’s "
        aim = f"{100 * self.target:.4g}% of {whose}{self.metric}"
        within = " within the budgets" if self.budgets else ""
        if self.chosen is not None:
            text = (
                f"{self.chosen.plan.label} keeps {self.chosen.quality:.1%}, at least {self.chosen.low:.1%} with "
                f"{self.confidence:.0%} confidence: the smallest of {len(self.evidence)} plans that is sure to keep "
                f"{aim} ({self._saved(self.chosen)})."
            )
        else:
            text = f"None of {len(self.evidence)} plans{within} is sure to keep {aim}."
        if self.undecided:
            row, more = self.undecided[0]
            text += " Not enough texts:" if self.status == "not_enough_texts" else " A smaller plan may do:"
            text += (
                f" {row.plan.label} reaches {row.quality:.1%} on {self.n_queries} queries, and about {more:,} more "
                "queries would settle it."
            )
        if self.chosen is not None:
            return text
        if self.binding:
            text += f" What binds: {' and '.join(BUDGETS[name] for name in self.binding)}."
        if self.nearest is not None:
            disk = f", {_number(self.nearest.disk_gb)} GB on disk" if self.nearest.disk_gb else ""
            text += (
                f" Nearest: {self.nearest.plan.label}, with {_number(self.nearest.memory_gb)} GB in memory{disk} and "
                f"about {milliseconds(self.nearest.expected_ms)}."
            )
        if self.best_within is not None:
            row = self.best_within
            text += f" The best{within} is {row.plan.label}: it is sure to keep {row.low:.1%}."
        return text

    def _saved(self, row: PlanEvidence) -> str:
        """How much smaller than full float32 a plan is, by what it is smallest in."""
        size, full = row.size(self.smallest)[0], 4 * self.full_dim
        where = " in memory" if row.disk_bytes_per_vector and self.smallest == "memory" else ""
        disk = f", and {row.disk_bytes_per_vector:,} bytes a vector on disk" if where else ""
        saved = "no smaller" if size >= full else f"{1 - size / full:.0%} fewer bytes{where}"
        return f"{saved} than full float32{disk}"
