"""The score that keeps a wanted rate of false positives at a plan's width and precision, measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.decide.judged_pairs import JudgedPairs, judged_pairs
from mrl_viz.decide.metrics import parse_metric
from mrl_viz.decide.recommendation import Recommendation
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.measures.estimate import Estimate
from mrl_viz.result import Result
from mrl_viz.retrieval.ann import AnnIndex
from mrl_viz.retrieval.coded import coded_index
from mrl_viz.retrieval.plan import Plan
from mrl_viz.retrieval.quantization import calibrating
from mrl_viz.sweep import cosine_matrices
from mrl_viz.tasks.hybrid import HYBRID
from mrl_viz.truncation import FloatMatrix, check_dims

FALSE_POSITIVE_RATE = 0.01
# A score that lets more than this through decides nothing.
MOST_RATE = 0.1
# With fewer false positives than this the score is that of a few odd pairs.
FEWEST_ABOVE = 10
# By a metric of `recommend`: the labels that tell pairs apart. Overlap takes what there is.
TASK_OF = {
    "ndcg": "retrieval", "recall": "retrieval", "mrr": "retrieval", "accuracy": "classification", "spearman": "pairs",
}  # fmt: skip

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class MeasuredThreshold(Result):
    """A plan's score at which so large a share of pairs that do not belong together is let through, and full width's.

    `scored_dim`, `scored_dtype` : what a result's score is of; a plan that reranks scores by its last rerank.
    `negatives` : which pairs count as false, in words; `n_negatives`, `n_positives` : sampled; `asks` : "query" or
    "text", whichever looks for `n_items` texts.
    `threshold`, `full_threshold` : scores as a search returns them, cosines where nothing is coded; pairs with a score
    at or above it are let through.
    `rate_kept` : share of false pairs that `full_threshold`, left as it was, lets through at this plan, in [0, 1].
    `recall`, `full_recall`, `recall_kept` : share of the pairs that belong together that is let through, in [0, 1]: by
    `threshold` here, by `full_threshold` at full width, by `full_threshold` here; None where nothing is judged. These
    shares are of thresholds as they stand: their intervals leave out that another sample had other thresholds.
    """

    plan: Plan
    full_dim: int
    scored_dim: int
    scored_dtype: str
    false_positive_rate: float
    negatives: str
    asks: str
    n_items: int
    n_negatives: int
    n_positives: int
    threshold: Estimate
    full_threshold: Estimate
    rate_kept: Estimate
    recall: Estimate | None
    full_recall: Estimate | None
    recall_kept: Estimate | None
    seed: int

    _also = ("false_results", "false_results_kept")

    @property
    def false_results(self) -> float:
        """Texts among `n_items` that a query gets wrongly at the wanted rate."""
        return self.false_positive_rate * self.n_items

    @property
    def false_results_kept(self) -> float:
        """The same with full width's threshold left as it was."""
        return self.rate_kept.value * self.n_items

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data, the plan by its name, and the sentences."""
        return super().to_dict() | {"plan": self.plan.label, "takeaway": self.takeaway()}

    def takeaway(self) -> str:
        return f"{self.plan.label}: {self.advice()}"

    def advice(self) -> str:
        """From which score on to keep results, and what full width's would do, without the plan's name."""
        scored = f" (of {self.scored_dim} dims {self.scored_dtype}, by the rerank)" if self.plan.rerank else ""
        found = "" if self.recall is None else f" and {self.recall.value:.0%} of those that do"
        return (
            f"keeping results from {self.threshold:.3f}{scored} up finds {_percent(self.false_positive_rate)} of the "
            f"pairs that do not belong together{found}. {self.kept_takeaway()}"
        )

    def kept_takeaway(self) -> str:
        """What full width's threshold would do here, in a sentence."""
        full = f"{self.full_threshold.value:.3f}"
        if self.scored_dim == self.full_dim and self.scored_dtype == "float32":
            return f"Full width’s {full} stays: scores are those of full width."
        kept = ""
        if self.recall_kept is not None and self.full_recall is not None:
            kept = f", and {self.recall_kept.value:.0%} of the right ones instead of {self.full_recall.value:.0%}"
        return (
            f"With full width’s {full} left as it was, a {self.asks} would get {_count(self.false_results_kept)} of "
            f"{self.n_items:,} texts wrongly instead of {_count(self.false_results)}{kept}."
        )

    def about(self) -> str:
        """Which pairs it was measured on."""
        return (
            f"Thresholds were measured on {self.n_negatives:,} {self.negatives}"
            + (f", and {self.n_positives:,} that belong together" if self.n_positives else "")
            + ", with intervals over the texts. A store that scales the scores of its codes otherwise needs its own."
        )


def measured_threshold(
    embedded: Embedded,
    plan: Plan,
    *,
    false_positive_rate: float = FALSE_POSITIVE_RATE,
    task: str | None = None,
    column: str | None = None,
    seed: int = 0,
) -> MeasuredThreshold:
    """The score above which the wanted share of false pairs lies at a plan, and at full width, with intervals.

    Parameters
    ----------
    embedded : from `embed`, with its queries where they search
    plan : what scores; codes are learnt from the corpus as `build_plan` learns them
    false_positive_rate : share of the pairs that do not belong together to let through, above 0 and up to 0.1
    task, column : whose labels say what belongs together, see `judged_pairs`; without labels random pairs stand in
    seed : of the sample of pairs, of codes and of the bootstrap

    Raises
    ------
    InvalidInputError : a rate out of range, or a task without labels. EmptyInputError : too few pairs for the rate.
    DimensionError : a plan wider than the vectors. OptionalDependencyError : a code of faiss's without faiss.

    Source: own definition; intervals as in `DrawnPairs`.
    """
    return _measured(embedded, (plan,), false_positive_rate, task, column, seed)[0]


def plan_thresholds(
    embedded: Embedded,
    recommendation: Recommendation,
    *,
    false_positive_rate: float = FALSE_POSITIVE_RATE,
    seed: int = 0,
) -> tuple[MeasuredThreshold, ...]:
    """`measured_threshold` of the chosen plan and its runners-up, from one sample of pairs, by the labels decided by.

    None without a plan, or where lists are fused with those of words: their scores are ranks.

    Raises
    ------
    InvalidInputError, EmptyInputError, OptionalDependencyError : as there.
    """
    rows = (recommendation.chosen, *recommendation.runners_up)
    plans = [row.plan for row in rows if row is not None]
    if not plans or recommendation.metric.startswith(HYBRID):
        return ()
    metric = parse_metric(recommendation.metric)
    return _measured(embedded, plans, false_positive_rate, TASK_OF.get(metric.kind), metric.column, seed)


def check_rate(name: str, rate: float) -> None:
    """Raise InvalidInputError for a rate that is not above 0 and up to 0.1."""
    if not 0 < rate <= MOST_RATE:
        raise InvalidInputError(
            f"`{name}` is {rate}; choose a share of pairs above 0 and up to {MOST_RATE}, such as 0.01."
        )


def _measured(
    embedded: Embedded, plans: Sequence[Plan], rate: float, task: str | None, column: str | None, seed: int
) -> tuple[MeasuredThreshold, ...]:
    check_rate("false_positive_rate", rate)
    for plan in plans:
        check_dims([plan.dim, plan.widest], embedded.full_dim)
    pairs = judged_pairs(embedded, task, column=column, seed=seed)
    if pairs.n_negatives * rate < FEWEST_ABOVE:
        raise EmptyInputError(
            f"`false_positive_rate` is {rate:g} and there are {pairs.n_negatives:,} {pairs.negatives}; for a threshold "
            f"add texts until there are {FEWEST_ABOVE / rate:,.0f}, or let more through."
        )
    negatives, positives = pairs.drawn(seed)
    seen: dict[tuple[int, str, str], tuple[Scores, Estimate]] = {}

    def scored(plan: Plan) -> tuple[Scores, Estimate]:
        by = _scored_by(plan)
        if by not in seen:
            scores = _scores(*by, pairs, embedded.matrix, seed)
            seen[by] = scores, negatives.upper_quantile(scores, rate)
        return seen[by]

    def recall(scores: Scores, threshold: Estimate) -> Estimate | None:
        is_above = (scores[pairs.positives] >= threshold.value)[None]
        return None if positives is None else positives.share_above(is_above)

    full_scores, full = scored(Plan(embedded.full_dim))
    found = []
    for plan in plans:
        scores, threshold = scored(plan)
        dim, dtype, _ = _scored_by(plan)
        found.append(
            MeasuredThreshold(
                plan, embedded.full_dim, dim, dtype, rate, pairs.negatives, pairs.asks, len(embedded.matrix),
                pairs.n_negatives, pairs.n_positives, threshold, full, negatives.share_above(scores >= full.value),
                recall(scores, threshold), recall(full_scores, full), recall(scores, full), seed,
            )
        )  # fmt: skip
    return tuple(found)


def _scored_by(plan: Plan) -> tuple[int, str, str]:
    """The width, dtype and kind that a result's score is of: of the last rerank where there is one.

    Graphs and inverted lists, and an early stop, score what they look at as an exact search would.
    """
    if plan.rerank:
        return plan.widest, "float32", "exact"
    return plan.dim, "pq" if plan.kind == "pq" else plan.dtype, "pq" if plan.kind == "pq" else "exact"


def _scores(dim: int, dtype: str, kind: str, pairs: JudgedPairs, corpus: FloatMatrix, seed: int) -> Scores:
    """Every score of what asks with every item, (n_asking, n_items), as a search returns it."""
    if dtype == "float32":
        return np.asarray(cosine_matrices(pairs.asking, pairs.items, [dim])[0])
    index: Any
    if kind == "pq":
        index = AnnIndex(pairs.items, "pq", dim, calibration=corpus)
    else:
        index = coded_index(pairs.items, dim, dtype, calibration=calibrating(corpus, None, seed), seed=seed)
    found = index.search(pairs.asking, len(pairs.items))
    scores = np.full(found.indices.shape, -np.inf, dtype=np.float32)
    np.put_along_axis(scores, found.indices.astype(np.int64), found.similarities, axis=1)
    return scores


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _count(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 or number == 0 else f"{number:.1f}"
