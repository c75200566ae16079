"""Bits or dims: of plans with equally many bytes a vector, which keeps more, where the queries are enough to tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mrl_viz.decide.bounds import simultaneous_lower_bounds
from mrl_viz.result import Result
from mrl_viz.retrieval.plan import Plan
from mrl_viz.truncation import Floats

# Plans whose bytes differ by no more than this share are equally large: some codes add a few bytes to a vector's.
EQUALLY_LARGE = 0.1


@dataclass(frozen=True)
class TradeOff(Result):
    """Two plans of equally many bytes, one with more dims and one with more bits for each, and which keeps more.

    `better_quality`, `worse_quality` : means of the metric. `gain` : their difference; `gain_low` : its lower bound,
    above 0. The bounds of all pairs compared hold together with 95 % confidence.
    """

    metric: str
    bytes_per_vector: int
    better: Plan
    worse: Plan
    better_quality: float
    worse_quality: float
    gain: float
    gain_low: float

    _also = ("is_wider_better",)

    @property
    def is_wider_better(self) -> bool:
        """Whether more dims beat more bits."""
        return self.better.dim > self.worse.dim

    def takeaway(self) -> str:
        winner = "more dims beat more bits" if self.is_wider_better else "more bits beat more dims"
        about = "" if self.better.bytes_per_vector == self.worse.bytes_per_vector else "about "
        return (
            f"In {about}{self.bytes_per_vector:,} bytes a vector {winner}: {self.metric} is {self.better_quality:.3f} "
            f"with {self.better.label} and {self.worse_quality:.3f} with {self.worse.label}, at least "
            f"{self.gain_low:.3f} less."
        )


def trade_offs(plans: Sequence[Plan], values: npt.ArrayLike, *, metric: str, seed: int = 0) -> tuple[TradeOff, ...]:
    """Every two equally large plans of the same kind of which one surely keeps more, fewest bytes and best first.

    Parameters
    ----------
    plans : any; those that rerank are left out, since full vectors decide there
    values : array_like of shape (n_plans, n_queries), in [0, 1]
    metric : what the values are, for the sentence
    seed : of the draws

    Raises
    ------
    EmptyInputError : no queries.

    Source: own definition; `simultaneous_lower_bounds` of all the differences, in both directions.
    """
    measured = np.asarray(values, dtype=np.float64)
    pairs = [
        (row, other) for row, plan in enumerate(plans) for other, second in enumerate(plans)
        if plan.dim != second.dim and plan.kind == second.kind and not plan.rerank and not second.rerank
        and abs(plan.bytes_per_vector / second.bytes_per_vector - 1) <= EQUALLY_LARGE
    ]  # fmt: skip
    if not pairs:
        return ()
    differences: Floats = np.stack([measured[row] - measured[other] for row, other in pairs])
    # A difference lies in [-1, 1], the bounds are of values in [0, 1].
    lows = 2 * simultaneous_lower_bounds((1 + differences) / 2, seed=seed) - 1
    means, gains = measured.mean(axis=1).tolist(), differences.mean(axis=1).tolist()
    found = [
        TradeOff(
            metric, plans[row].bytes_per_vector, plans[row], plans[other], means[row], means[other], gain, float(low)
        )
        for (row, other), gain, low in zip(pairs, gains, lows) if low > 0
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda one: (one.bytes_per_vector, -one.better_quality, -one.worse_quality)))
