"""Reranking that stops by itself: a rule on the margin of scores, learnt on some queries and measured on others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.measures.estimate import Estimate, bootstrap
from mrl_viz.result import Result, records
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.sweep import check_k
from mrl_viz.truncation import Flags, FloatMatrix, Floats, Ints, check_count, check_share

# Fewer queries cannot tell a rule from an accident; as many are needed to learn it as to measure it.
MIN_QUERIES = 20
# Longer lists are not worth a cheap first pass.
MOST_RERANKED = 1000
# Lengths that the curves are drawn at.
N_POINTS = 16
N_HALVINGS = 10
# A mean of shares of k may fall just short of the target that it equals.
ROUNDING = 1e-9
# Of each query of a judging half: the rule's recall and length, the recall of a fixed list of its mean length, and
# recall and length of the fixed list that was learnt.
MEASURED = ("found", "stops", "equal", "fixed", "fixed_sizes")


@dataclass(frozen=True)
class StopRule(Result):
    """A list at a small width reranked one by one at full width until the margin is large enough, against fixed lists.

    The margin is the k-th best full-width cosine so far minus the small-width cosine of the next on the list: how far
    the next would have to rise to enter.

    `thresholds` : the margins that stop, in [-2, inf], each the lowest that reaches `target` on one half of the
    queries: first and second half of every halving. What follows is of the other halves, each query once a halving;
    means over queries with their 95 % bootstrap intervals.
    `recall`, `reranked` : share of the k nearest at full width that it finds, and how many it reranks.
    `equal_recall` : of a fixed list of the same mean length; `gain` : the rule's recall minus that, paired.
    `fixed_size`, `fixed_recall` : of the shortest fixed list that reaches `target` on the same learning halves, its
    mean length and recall; `saved` : how many fewer the rule reranks than it.
    `sizes`, `by_size` : recall of fixed lists; `rule_sizes`, `by_rule` : of stops at other thresholds, by the mean
    number that they rerank; of all queries, nothing learnt.
    `stops` : of shape (n_queries,), how many are reranked for each, mean over the halvings.
    """

    _also = ("threshold", "beats_fixed", "multiply_adds")
    _without = ("stops",)

    shortlist_dim: int
    full_dim: int
    k: int
    n_items: int
    target: float
    n_queries: int
    thresholds: tuple[float, ...]
    recall: Estimate
    reranked: Estimate
    equal_recall: Estimate
    gain: Estimate
    fixed_size: float
    fixed_recall: Estimate
    saved: Estimate
    sizes: tuple[int, ...]
    by_size: tuple[Estimate, ...]
    rule_sizes: tuple[float, ...]
    by_rule: tuple[Estimate, ...]
    stops: Floats

    @property
    def threshold(self) -> float:
        """The median of the learnt thresholds: the one to use."""
        return float(np.median(self.thresholds))

    @property
    def beats_fixed(self) -> bool:
        """Whether the whole interval of the gain is above 0."""
        return self.gain.low > 0

    @property
    def multiply_adds(self) -> float:
        """Per query, the search at the small width and the rerank."""
        return self.n_items * self.shortlist_dim + self.reranked.value * self.full_dim

    def rows(self) -> list[dict[str, Any]]:
        """One record per point of both curves: what stops, how many are reranked, and the recall."""
        return [
            {"stops": name} | record
            for name, sizes, recalls in (
                ("fixed length", self.sizes, self.by_size), ("margin", self.rule_sizes, self.by_rule),
            )
            for record in records(reranked=sizes, recall=recalls)
        ]  # fmt: skip

    def takeaway(self) -> str:
        verdict = "beats" if self.beats_fixed else "does worse than" if self.gain.high < 0 else "does not beat"
        return (
            f"A stop by the margin {verdict} fixed lists of equal cost: {self.recall.value:.1%} of the {self.k} "
            f"full-width neighbors against {self.equal_recall.value:.1%}, both with {self.reranked.value:.0f} reranked "
            f"on average (gain {self.gain.value:+.1%}, 95% interval {self.gain.low:+.1%} to {self.gain.high:+.1%})."
        )

    def target_takeaway(self) -> str:
        """One sentence: what the rule and a fixed length, both chosen for the target, keep of it on other queries."""
        return (
            f"Asked for {self.target:.0%} on half of {self.n_queries} queries, the rule finds {self.recall.value:.1%} "
            f"[{self.recall.low:.1%}, {self.recall.high:.1%}] of the others' with {self.reranked:.0f} reranked; the "
            f"fixed list chosen likewise has {self.fixed_size:,.0f} ({self.saved:+.0f}) and finds "
            f"{self.fixed_recall.value:.1%} [{self.fixed_recall.low:.1%}, {self.fixed_recall.high:.1%}]. Half of the "
            f"queries stop by {np.median(self.stops):.0f}, nine in ten by {np.percentile(self.stops, 90):.0f}."
        )


def learn_stop(
    index: PrefixIndex,
    queries: npt.ArrayLike,
    *,
    shortlist_dim: int,
    k: int = 10,
    target: float = 0.95,
    most: int = MOST_RERANKED,
    n_halvings: int = N_HALVINGS,
    own: npt.ArrayLike | None = None,
    seed: int = 0,
) -> StopRule:
    """A rule that stops reranking, learnt on halves of the queries and measured on the others.

    One halving can be lucky: several are drawn, and each half is once learnt from and once measured with.

    Parameters
    ----------
    queries : array_like of shape (n_queries, full_dim), 40 or more
    shortlist_dim : a width of the index
    target : mean share of the k nearest at full width that the rule is to find, in (0, 1]
    most : the longest list, k or more; cut to the corpus
    n_halvings : 1 or more
    own : as in `PrefixIndex.search`
    seed : of the halves and the bootstrap

    Raises
    ------
    EmptyInputError : fewer than 40 queries. InvalidInputError : no list of `most` reaches the target, or another
    argument is out of range. DimensionError, ShapeError : unusable queries, or a width that the index does not hold.

    Source: own definition; a search ended by its scores as in Cambazoglu et al. 2010, "Early exit optimizations for
    additive machine learned ranking systems".
    """
    rows = index.check_queries(queries)
    n_items = index.n_items - (own is not None)
    check_k(k, n_items)
    check_share("target", target)
    check_count("most", most, k)
    check_count("n_halvings", n_halvings)
    if len(rows) < 2 * MIN_QUERIES:
        raise EmptyInputError(
            f"There are {len(rows)} queries; a stop needs {2 * MIN_QUERIES} or more, half to learn from and half to "
            "measure with."
        )
    most = min(most, n_items)
    recall, margins = _reranks(index, rows, shortlist_dim, k, most, own)
    if recall[:, -1].mean() < target - ROUNDING:
        raise InvalidInputError(
            f"`target` is {target:.1%}, but lists of {most:,} at {shortlist_dim} dims find {recall[:, -1].mean():.1%}; "
            "choose a lower target or a larger width."
        )
    rng = np.random.default_rng(seed)
    thresholds: list[float] = []
    judged = np.zeros((len(MEASURED), len(rows)))
    for _ in range(n_halvings):
        order = rng.permutation(len(rows))
        halves = np.sort(order[: len(rows) // 2]), np.sort(order[len(rows) // 2 :])
        for learning, judging in (halves, halves[::-1]):
            threshold, measured = _judged(recall, margins, learning, judging, k, target)
            thresholds.append(threshold)
            judged[:, judging] += measured / n_halvings
    found, stops, equal, fixed, fixed_sizes = judged
    found_is, reranked, equal_is, gain, fixed_is, saved = bootstrap(
        np.array([found, stops, equal, found - equal, fixed, fixed_sizes - stops]), seed=seed
    )
    sizes = tuple(sorted({round(size) for size in np.geomspace(k, most, N_POINTS)}))
    values = np.unique(margins[:, k - 1 :])
    cuts = (_first(values, margins, k, partial(_is_as_long, size=size)) for size in sizes)
    by_length = {float(each.mean()): each for each in (_stops(margins, cut, k) for cut in cuts)}
    rule_sizes = tuple(sorted(by_length))
    return StopRule(
        shortlist_dim, index.full_dim, k, n_items, target, len(rows), tuple(thresholds),
        recall=found_is, reranked=reranked, equal_recall=equal_is, gain=gain,
        fixed_size=float(fixed_sizes.mean()), fixed_recall=fixed_is, saved=saved,
        sizes=sizes, by_size=bootstrap(recall[:, np.array(sizes) - 1].T, seed=seed),
        rule_sizes=rule_sizes,
        by_rule=bootstrap(np.array([_at(recall, by_length[size]) for size in rule_sizes]), seed=seed),
        stops=stops,
    )  # fmt: skip


def _judged(
    recall: Floats, margins: Floats, learning: Ints, judging: Ints, k: int, target: float
) -> tuple[float, Floats]:
    """The threshold learnt on some queries, and what is MEASURED on others, (n_measured, n_judging)."""
    values = np.unique(margins[learning, k - 1 :])
    threshold = _first(
        values, margins[learning], k, lambda stops: _at(recall[learning], stops).mean() >= target - ROUNDING
    )
    stops = _stops(margins[judging], threshold, k)
    is_enough = recall[learning, k - 1 :].mean(axis=0) >= target - ROUNDING
    is_enough[-1] = True  # no list is longer
    size = k + int(is_enough.argmax())
    return threshold, np.array([
        _at(recall[judging], stops), stops, _of_mean_size(recall[judging], float(stops.mean())),
        recall[judging, size - 1], np.full(len(judging), size),
    ])  # fmt: skip


def _reranks(
    index: PrefixIndex, rows: FloatMatrix, dim: int, k: int, most: int, own: npt.ArrayLike | None
) -> tuple[Floats, Floats]:
    """The recall after each number of reranks and the margin there, both of shape (n_queries, most).

    The margin is -inf while fewer than k were reranked, and inf at the end of the list.
    """
    listed = index.search(rows, most, dim=dim, own=own)
    nearest = index.search(rows, k, own=own).indices
    is_near = np.array([np.isin(items, wanted) for items, wanted in zip(listed.indices, nearest)])
    asked = np.repeat(np.arange(len(rows)), most)
    full = index.pair_cosines(rows, asked, listed.indices.ravel().astype(np.int64), index.full_dim)
    best = np.full((len(rows), k), -np.inf)
    margins = np.full((len(rows), most), np.inf)
    for place, cosines in enumerate(full.reshape(len(rows), most).T[:-1]):
        # Ascending: the k-th best so far comes first.
        best[:, 0] = np.maximum(best[:, 0], cosines)
        best.sort(axis=1)
        margins[:, place] = best[:, 0] - listed.similarities[:, place + 1]
    return np.cumsum(is_near, axis=1) / k, margins


def _stops(margins: Floats, threshold: float, k: int) -> Ints:
    """How many are reranked until the margin reaches the threshold, k at least, (n_queries,)."""
    is_enough: Flags = margins[:, k - 1 :] >= threshold
    return np.asarray(k + is_enough.argmax(axis=1))


def _at(recall: Floats, sizes: Ints) -> Floats:
    """Each query's recall after so many reranks."""
    return np.asarray(recall[np.arange(len(recall)), sizes - 1])


def _first(values: Floats, margins: Floats, k: int, is_enough: Callable[[Ints], Any]) -> float:
    """The lowest threshold among rising `values` whose stops are enough; the last where none before is."""
    # The margin never falls along a list, so a higher threshold stops later and finds no less: bisection.
    low, high = 0, len(values) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(_stops(margins, float(values[middle]), k)) else (middle + 1, high)
    return float(values[low])


def _is_as_long(stops: Ints, size: int) -> bool:
    return bool(stops.mean() >= size)


def _of_mean_size(recall: Floats, size: float) -> Floats:
    """Each query's recall with a fixed list of a mean length: of the two whole ones beside it, mixed."""
    lower = int(size)
    share = size - lower
    upper = min(lower + 1, recall.shape[1])
    return np.asarray((1 - share) * recall[:, lower - 1] + share * recall[:, upper - 1])
