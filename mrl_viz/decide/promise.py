"""A promise checked: the recommended plan on queries that had no part in choosing it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from mrl_viz.decide.candidates import Candidates
from mrl_viz.decide.recommendation import Recommendation
from mrl_viz.errors import InvalidInputError
from mrl_viz.retrieval.plan import Plan


@dataclass(frozen=True)
class PromiseCheck:
    """A recommendation's promise against other queries.

    `quality` : of the recommended plan on them; `promised` : the lower bound; `is_kept` : quality is at least that.
    """

    plan: Plan
    metric: str
    n_queries: int
    promised: float
    quality: float

    @property
    def is_kept(self) -> bool:
        """Whether the plan does at least what was promised."""
        return self.quality >= self.promised

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data."""
        return asdict(self) | {"plan": self.plan.to_dict(), "is_kept": self.is_kept}

    def takeaway(self) -> str:
        """One sentence: promised and measured."""
        verdict = "kept" if self.is_kept else "broken"
        return (
            f"{self.plan.label} promised {self.promised:.1%} and does {self.quality:.1%} on {self.n_queries} other queries: "
            f"{verdict}."
        )


def check_promise(recommendation: Recommendation, others: Candidates) -> PromiseCheck:
    """How the recommended plan does on queries that had no part in choosing it.

    Parameters
    ----------
    others : the same plans and metric measured on other queries of the same corpus and model, as from `subset`

    Raises
    ------
    InvalidInputError : there is no plan, it was not measured there, or the metric or corpus is another.
    """
    plan = recommendation.plan
    if plan is None or recommendation.promised is None:
        raise InvalidInputError("`recommendation` holds no plan; relax a budget or the target first.")
    if others.metric != recommendation.metric or others.fingerprint != recommendation.fingerprint:
        raise InvalidInputError(
            f"`others` measure {others.metric} of {others.fingerprint} and the recommendation {recommendation.metric} of "
            f"{recommendation.fingerprint}; measure the same."
        )
    if plan not in others.plans:
        raise InvalidInputError(f"`others` did not measure {plan.label}; measure the same plans.")
    found = others.qualities[others.plans.index(plan), others.ks.index(others.k)]
    return PromiseCheck(plan, others.metric, others.n_queries, recommendation.promised, float(found))
