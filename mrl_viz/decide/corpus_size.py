"""What holds among a thousand texts may not among ten million: overlap on nested subsamples, and beyond them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mrl_viz.decide.metrics import Target, find_target, parse_metric
from mrl_viz.decide.storage import whole_count
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import EmptyInputError
from mrl_viz.measures.estimate import N_RESAMPLES, Estimate, bootstrap, resample_counts
from mrl_viz.measures.lists import shared_share, without_own
from mrl_viz.result import Result
from mrl_viz.retrieval.plan import Plan, build_plan
from mrl_viz.truncation import Floats, Ints, Progress, check_count

FRACTIONS = (1 / 8, 1 / 4, 1 / 2, 1)
# Below this many texts a neighbor, chance alone keeps a tenth of the neighbors or more.
FEWEST_ITEMS_PER_NEIGHBOR = 10
# A line through two points says nothing about its own error.
FEWEST_SIZES = 3
# A shortlist that holds more than this share of a subsample finds nearly everything there, which is no trend.
MOST_ON_SHORTLIST = 1 / 4
# Orders in which texts are left out; the curve is their mean.
N_ORDERS = 3
# From "half of the neighbors" to "all of them" is no statement.
TOO_WIDE_TO_TELL = 0.5


@dataclass(frozen=True)
class CorpusSizeEffect(Result):
    """Overlap@k of a plan with full-width search as the corpus grows, and an extrapolation.

    `sizes` : texts searched; `overlap` : mean over queries at each, in [0, 1]. `n_vectors` : size asked about, None
    unless larger than the corpus; `extrapolated` : what `extrapolate` says of it, if the trend goes on. None where too
    few sizes show a trend: a shortlist that holds a quarter of the texts finds nearly all.
    """

    plan: Plan
    k: int
    n_queries: int
    sizes: tuple[int, ...]
    overlap: tuple[Estimate, ...]
    n_vectors: int | None
    extrapolated: Estimate | None

    @property
    def is_telling(self) -> bool:
        """Whether the extrapolation's interval is short enough to say anything."""
        return self.extrapolated is not None and self.extrapolated.high - self.extrapolated.low <= TOO_WIDE_TO_TELL

    def rows(self) -> list[dict[str, Any]]:
        """One record per size; the last one is the extrapolation and says so."""
        seen = [(size, estimate, False) for size, estimate in zip(self.sizes, self.overlap)]
        beyond = [(self.n_vectors, self.extrapolated, True)] if self.extrapolated is not None else []
        return [
            {"n_items": size, "overlap": estimate.value, "low": estimate.low, "high": estimate.high}
            | {"is_extrapolated": is_beyond}
            for size, estimate, is_beyond in (*seen, *beyond)
        ]

    def takeaway(self) -> str:
        first, last = self.overlap[0].value, self.overlap[-1].value
        text = (
            f"{self.plan.label} keeps {first:.1%} of the {self.k} neighbors among {self.sizes[0]:,} texts and "
            f"{last:.1%} among {self.sizes[-1]:,}"
        )
        if self.n_vectors is None:
            return f"{text}."
        if self.extrapolated is None:
            return f"{text}; the shortlist holds too much of these samples to extrapolate to {self.n_vectors:,}."
        doublings = np.log2(self.n_vectors / self.sizes[-1])
        text += f"; extrapolated over {doublings:.1f} doublings, about {self.extrapolated:.0%} among {self.n_vectors:,}"
        return f"{text}." if self.is_telling else f"{text}, which is too wide to tell: measure on more texts."

    def beyond(self) -> str:
        """What is known at `n_vectors`, in a sentence; empty without such a size."""
        if self.n_vectors is None:
            return ""
        start = f"With {self.n_vectors:,} texts"
        if self.extrapolated is None:
            return f"{start}: not known, the shortlist holds too much of the {self.sizes[-1]:,} measured here."
        low, high = self.extrapolated.low, self.extrapolated.high
        if not self.is_telling:
            return f"{start}: not known, anything from {low:.0%} to {high:.0%}; measure on more texts."
        return f"{start} about {self.extrapolated.value:.0%}, from {low:.0%} to {high:.0%}, if the trend goes on."


def corpus_size_effect(
    embedded: Embedded,
    plan: Plan,
    *,
    k: int = 10,
    n_vectors: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> CorpusSizeEffect:
    """Overlap@k of a plan on n/8, n/4, n/2 and all n texts, each part of the next, and at `n_vectors` by extrapolation.

    Parameters
    ----------
    embedded : from `embed`; texts search for each other where it has no queries
    plan : shortlists longer than a subsample are cut to it
    k : list length; sizes below 10·k are left out
    n_vectors : size to extrapolate to, None for none; a size up to n is not extrapolated
    seed : of subsamples, queries and the bootstrap
    progress : called with (searches done, searches in all)

    Raises
    ------
    EmptyInputError : fewer than three sizes are left, so more texts are needed.
    InvalidInputError, DimensionError : `k`, `n_vectors` or a plan that does not fit the corpus.

    Source: own definition.
    """
    check_count("k", k)
    if n_vectors is not None:
        n_vectors = whole_count("n_vectors", n_vectors)
    n_items = len(embedded.matrix)
    sizes = [round(n_items * share) for share in FRACTIONS if n_items * share >= FEWEST_ITEMS_PER_NEIGHBOR * k]
    if len(sizes) < FEWEST_SIZES:
        most = int(n_items * FRACTIONS[-FEWEST_SIZES] / FEWEST_ITEMS_PER_NEIGHBOR)
        fewest = int(FEWEST_ITEMS_PER_NEIGHBOR * k / FRACTIONS[-FEWEST_SIZES])
        hint = f"lower `k` to {most} or " if most else ""
        raise EmptyInputError(
            f"{n_items} texts are too few to see how overlap@{k} changes with their number; {hint}add texts up to "
            f"{fewest}."
        )
    target = find_target(embedded, parse_metric(f"overlap@{k}"), seed)
    values = np.zeros((len(sizes), len(target.queries)))
    for order in range(N_ORDERS):
        shuffled = np.random.default_rng([seed, order]).permutation(n_items)
        for level, size in enumerate(sizes):
            values[level] += _overlap(plan, target, np.sort(shuffled[:size]), k) / N_ORDERS
            if progress:
                progress(order * len(sizes) + level + 1, N_ORDERS * len(sizes))
    asked = n_vectors if n_vectors is not None and n_vectors > n_items else None
    shortlist = plan.rerank[0][0] if plan.rerank else 0
    telling = [level for level, size in enumerate(sizes) if shortlist <= size * MOST_ON_SHORTLIST]
    beyond = None
    if asked is not None and len(telling) >= FEWEST_SIZES:
        beyond = extrapolate(np.array(sizes)[telling], values[telling], asked, k=k, seed=seed)
    return CorpusSizeEffect(plan, k, len(target.queries), tuple(sizes), bootstrap(values, seed=seed), asked, beyond)


def extrapolate(sizes: Ints, values: Floats, n_vectors: int, *, k: int, seed: int = 0) -> Estimate:
    """Overlap at another size with its 95 % interval, in [0, 1].

    Parameters
    ----------
    sizes : three or more, of shape (n_sizes,)
    values : each query's overlap at every size, shape (n_sizes, n_queries)

    Lines through the log-odds against the logarithm of the size, and against its logarithm again, which levels off: the
    value is midway. The interval is of both lines together, each draw with resampled queries and one size left out, so
    that a bent curve widens it.

    Source: own definition.
    """
    n_sizes, n_queries = values.shape
    counts = np.concatenate(list(resample_counts(n_queries, seed=seed, n_resamples=N_RESAMPLES)))
    means = counts @ values.T / n_queries
    observed, drawn = [], []
    for form in (np.log, lambda size: np.log(np.log(size))):
        position, at = form(sizes.astype(np.float64)), float(form(float(n_vectors)))
        observed.append(_line(position, values.mean(axis=1)[None], at, n_queries * k)[0])
        for left_out in range(n_sizes):
            rows = np.delete(means[left_out::n_sizes], left_out, axis=1)
            drawn.append(_line(np.delete(position, left_out), rows, at, n_queries * k))
    value = float(np.mean(observed))
    low, high = np.percentile(np.concatenate(drawn), [2.5, 97.5])
    return Estimate(value, float(min(low, value)), float(max(high, value)))


def _line(position: Floats, means: Floats, at: float, n_judged: int) -> Floats:
    """Least squares through the log-odds of every row of `means`, (n_draws, n_sizes), read off at one position."""
    # Half a neighbor keeps the log-odds of nothing lost finite.
    logits = np.log((means * n_judged + 0.5) / ((1 - means) * n_judged + 0.5))
    centred = position - position.mean()
    slope = logits @ centred / (centred @ centred)
    at_size = logits.mean(axis=1) + slope * (at - position.mean())
    # tanh does not overflow far out.
    return np.asarray((1 + np.tanh(at_size / 2)) / 2)


def _overlap(plan: Plan, target: Target, rows: Ints, k: int) -> Floats:
    """Each query's overlap@k among some of the texts, its own text left out."""
    part = target.corpus[rows]
    fitting = Plan(plan.dim, plan.dtype, plan.kind, tuple((min(size, len(rows)), dim) for size, dim in plan.rerank))
    depth = k if target.own is None else k + 1
    lists = []
    for each in (fitting, Plan(part.shape[1])):
        indices = build_plan(each, part).search(target.queries, depth).indices
        found = np.where(indices < 0, -1, rows[indices])  # -1: an approximate index found fewer
        if target.own is not None:
            found = without_own(found, target.own)
        lists.append(found)
    return shared_share(*lists)
