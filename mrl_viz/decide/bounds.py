"""Lower confidence bounds of many plans, by a fixed order or all at once, whatever the queries' values look like."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.measures.estimate import CONFIDENCE, slabs
from mrl_viz.sweep.machine import single_threaded_blas
from mrl_viz.truncation import Floats, Ints

# The simultaneous bound lies far in the tail of the draws: 10,000 leave dozens of them below it.
N_DRAWS = 10_000
# A path is closed when its plan is this surely below the target. At 0.95 the bounds are no tighter, and two plans of
# which one is good where the other is bad are together wrong more often than promised.
SURELY_BELOW = 0.99

Bools = npt.NDArray[np.bool_]


def sequential_lower_bounds(
    values: npt.ArrayLike,
    full: npt.ArrayLike | None = None,
    *,
    paths: Sequence[Sequence[int]],
    gold: npt.ArrayLike | None = None,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    n_draws: int = N_DRAWS,
    copies: float = 1,
) -> Floats:
    """One-sided lower bounds of every plan's quality, by testing the plans of each path one after another.

    What holds: for a target set before looking at the values, all plans whose bound is at least the target truly reach
    it, together, with the given confidence. It follows that the bound of a plan named before looking is a confidence
    bound. It does not follow that all bounds are true at once, so a target moved until one likes the answer is promised
    less surely; `simultaneous_lower_bounds` are for that.

    For one target the first plan of every path waits. The waiting plans are tested by the bounds that are simultaneous
    for them; those that reach the target are accepted, and the next on their paths wait instead. A path whose waiting
    plan is below the target with confidence SURELY_BELOW is closed and takes no share of the error any more. When no
    waiting plan passes, the test is over. A plan's bound is the highest target up to which it is accepted at every one.

    Parameters
    ----------
    values, full, gold, confidence, seed, n_draws, copies : as in `simultaneous_lower_bounds`
    paths : rows of `values`, every one in one path, in an order fixed before looking: the better first, as far as one
        can tell. A plan behind one that fails is not accepted, however good it looks.

    Returns
    -------
    ndarray of shape (n_plans,)

    Raises
    ------
    InvalidInputError : `paths` do not hold every row once; and as in `simultaneous_lower_bounds`.

    Source: fixed-sequence testing, Angelopoulos et al. 2021, "Learn then test", arXiv:2110.01052, section 4; putting
    aside what is surely below, Ellis, Pecanka & Goeman 2020, "Gaining power in multiple testing of interval hypotheses
    via conditionalization", arXiv:1801.00141. Their combination with simultaneous bounds is an own definition, tested
    where the truth is known.
    """
    draws = _draws(values, full, gold, confidence=confidence, seed=seed, n_draws=n_draws, copies=copies)
    n_plans = len(draws.quality)
    if sorted(row for path in paths for row in path) != list(range(n_plans)):
        raise InvalidInputError(f"`paths` is {paths!r}; give every row from 0 to {n_plans - 1} once.")
    first, following = np.zeros(n_plans, dtype=bool), np.full(n_plans, -1)
    for path in map(list, paths):
        first[path[:1]] = True
        following[path[:-1]] = path[1:]
    lows, target = np.empty(n_plans), -np.inf
    are_left = np.ones(n_plans, dtype=bool)
    # Closing paths has its price, or independent plans just below the target would fail a little too often.
    error = SURELY_BELOW * (1 - confidence)
    bounds = cache(lambda waiting: draws.bounds(np.frombuffer(waiting, dtype=bool), error))
    highest = draws.ordered[:, ceil(SURELY_BELOW * n_draws) - 1]
    while are_left.any():
        accepted, last_target = _accepted(first, following, highest, bounds, target)
        are_left &= accepted
        lows[are_left] = last_target
        target = np.nextafter(last_target, np.inf)
    return lows


def _accepted(
    first: Bools, following: Ints, highest: Floats, bounds: Callable[[bytes], Floats], target: float
) -> tuple[Bools, float]:
    """The plans accepted at one target, and the largest target at which everything goes the same way."""
    is_open = highest >= target
    last_target = highest[is_open].min(initial=np.inf)
    accepted, waiting = np.zeros(len(first), dtype=bool), first & is_open
    while waiting.any():
        found = bounds(waiting.tobytes())
        passed = waiting & (found >= target)
        if not passed.any():
            break
        last_target = min(last_target, found[passed].min())
        accepted |= passed
        waiting &= ~passed
        next_ones = following[passed]
        waiting[next_ones[next_ones >= 0]] = True
        waiting &= is_open
    return accepted, last_target


def simultaneous_lower_bounds(
    values: npt.ArrayLike,
    full: npt.ArrayLike | None = None,
    *,
    gold: npt.ArrayLike | None = None,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    n_draws: int = N_DRAWS,
    copies: float = 1,
) -> Floats:
    """One-sided lower bounds of every plan's quality, all true together with the given confidence.

    Quality is the mean of `values`; with `full`, its share of the mean of `full`; with `gold` as well, the share of
    full's correlation with `gold` that the plan's correlation is.

    Each draw weighs the queries like a Bayesian bootstrap, with one more query that no plan answers (value 0) and the
    full width does (value 1). So a plan that lost nothing in 50 queries is not promised to lose nothing: its bound is
    that of a proportion, 1 - ln(20)/50. How far out in the tail of the draws the bounds lie is set by the share of
    draws in which any plan falls below its own, so many similar plans cost little more than one.

    Parameters
    ----------
    values : array_like of shape (n_plans, n_queries), in [0, 1] unless `gold` is given
    full : array_like of shape (n_queries,), the same queries at full width
    gold : array_like of shape (n_queries,), judged scores (or their ranks), in any unit; then no query is added
    confidence : in (0, 1)
    seed, n_draws : of the draws; the same draws for every plan
    copies : what the bounds would be if every query had come so many times, 1 or more: what more queries would do

    Returns
    -------
    ndarray of shape (n_plans,)

    Raises
    ------
    EmptyInputError : no plans or no queries. ShapeError : lengths differ.
    InvalidInputError : `confidence` outside (0, 1), `copies` below 1, or `full` (or its correlation) not above 0.

    Source: for one plan Gaffke 2005, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a
    nonnegative variable", as in Phan, Thomas & Learned-Miller 2021, arXiv:2106.03163; for one yes-or-no value it is
    the bound of Clopper & Pearson 1934. All plans together: ranks of draws, Mandel & Betensky 2008, "Simultaneous
    confidence intervals based on the percentile bootstrap approach".
    """
    draws = _draws(values, full, gold, confidence=confidence, seed=seed, n_draws=n_draws, copies=copies)
    return draws.bounds(np.ones(len(draws.quality), dtype=bool), 1 - confidence)


@dataclass(frozen=True)
class _Draws:
    """Every plan's quality in every draw of weights.

    `ordered` : (n_plans, n_draws), each row ascending. `ranks` : (n_plans, n_draws), how many of a plan's draws are at
    or below each of them. `quality` : (n_plans,), as measured.
    """

    ordered: Floats
    ranks: Ints
    quality: Floats

    def bounds(self, plans: Bools, error: float) -> Floats:
        """Bounds of all plans, as far out in the tail as lets at most `error` of draws fall below any of `plans`."""
        deepest = self.ranks[plans].min(axis=0)
        place = max(0, ceil(error * len(deepest)) - 1)
        # A draw at the bound itself is not below it; the next lower rank keeps the error at most `error`.
        place = max(0, int(np.partition(deepest, place)[place]) - 1)
        return np.asarray(np.minimum(self.ordered[:, place], self.quality))


def _draws(
    values: npt.ArrayLike,
    full: npt.ArrayLike | None,
    gold: npt.ArrayLike | None,
    *,
    confidence: float,
    seed: int,
    n_draws: int,
    copies: float,
) -> _Draws:
    rows, base, judged = _checked(values, full, gold)
    if not 0 < confidence < 1:
        raise InvalidInputError(f"`confidence` is {confidence}; choose a share above 0 and below 1, such as 0.95.")
    if not copies >= 1:
        raise InvalidInputError(f"`copies` is {copies}; choose 1 or more.")
    drawn = np.ascontiguousarray(drawn_quality(rows, base, judged, seed=seed, n_draws=n_draws, copies=copies).T)
    order = np.argsort(drawn, axis=1)
    ordered = np.take_along_axis(drawn, order, axis=1)
    ranks = np.empty_like(order)
    for own, places, sorted_draws in zip(ranks, order, ordered):
        own[places] = np.searchsorted(sorted_draws, sorted_draws, side="right")
    return _Draws(ordered, ranks, quality(rows, base, judged))


def quality(values: npt.ArrayLike, full: npt.ArrayLike | None = None, gold: npt.ArrayLike | None = None) -> Floats:
    """The quality that these bounds are of, shape (n_plans,); raises as that does."""
    rows, base, judged = _checked(values, full, gold)
    return np.asarray(_weighted_quality(_even(rows.shape[1]), rows, base, judged)[0])


def drawn_quality(
    values: Floats, full: Floats | None, gold: Floats | None, *, seed: int, n_draws: int, copies: float = 1
) -> Floats:
    """Every plan's quality in every draw of weights, shape (n_draws, n_plans)."""
    shape = np.full(values.shape[1], copies)
    if gold is None:
        values = np.concatenate([values, np.zeros((len(values), 1))], axis=1)
        full = None if full is None else np.append(full, 1.0)
        # However many queries there are, one is added.
        shape = np.append(shape, 1.0)
    with single_threaded_blas():
        drawn = [_weighted_quality(weights, values, full, gold) for weights in _weights(shape, seed, n_draws)]
    return np.concatenate(drawn)


def _weights(shape: Floats, seed: int, n_draws: int) -> Iterator[Floats]:
    """Dirichlet weights, slab by slab: uniform where every shape is 1; the shape of a query is how often it came."""
    rng = np.random.default_rng(seed)
    is_uniform = bool((shape == 1).all())
    for n in slabs(n_draws, len(shape)):
        size = (n, len(shape))
        # A gamma of shape 1 is an exponential, which is drawn several times as fast.
        weights = rng.standard_exponential(size) if is_uniform else rng.standard_gamma(shape, size)
        yield weights / weights.sum(axis=1, keepdims=True)


def _weighted_quality(weights: Floats, values: Floats, full: Floats | None, gold: Floats | None) -> Floats:
    if gold is not None and full is not None:
        return _correlations(weights, values, gold) / _positive(_correlations(weights, full[None], gold))
    means = weights @ values.T
    return np.asarray(means if full is None else means / _positive((weights @ full)[:, None]))


def _correlations(weights: Floats, values: Floats, gold: Floats) -> Floats:
    """Weighted Pearson correlation of every row with `gold`, shape (n_draws, n_rows); 0 for a constant row."""
    rows = values - values.mean(axis=1, keepdims=True)
    judged = gold - gold.mean()
    mean, mean_gold = weights @ rows.T, (weights @ judged)[:, None]
    together = weights @ (rows * judged).T - mean * mean_gold
    spread = (weights @ (rows**2).T - mean**2) * (weights @ judged[:, None] ** 2 - mean_gold**2)
    return np.asarray(together / np.sqrt(np.where(spread > 0, spread, np.inf)))


def _positive(base: Floats) -> Floats:
    """The full width's quality; a draw in which it is not above 0 supports no share, so it counts as 0."""
    return np.where(base > 0, base, np.inf)


def _checked(
    values: npt.ArrayLike, full: npt.ArrayLike | None, gold: npt.ArrayLike | None
) -> tuple[Floats, Floats | None, Floats | None]:
    rows = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if rows.size == 0:
        raise EmptyInputError("`values` holds no plan or no query; measure at least one of each.")
    if gold is not None and full is None:
        raise InvalidInputError("`gold` is given without `full`; give the values at full width too.")
    base, judged = (None if given is None else np.asarray(given, dtype=np.float64) for given in (full, gold))
    for name, row in (("full", base), ("gold", judged)):
        if row is not None and row.shape != rows.shape[1:]:
            raise ShapeError(f"`{name}` has shape {row.shape} for {rows.shape[1]} queries; give one value each.")
    if base is not None:
        level = base.mean() if judged is None else float(_correlations(_even(len(base)), base[None], judged)[0, 0])
        if level <= 0:
            raise InvalidInputError(
                f"The full width's own quality is {level:.3g}; a share of it means nothing, so use another metric."
            )
    return rows, base, judged


def _even(n_items: int) -> Floats:
    return np.full((1, n_items), 1 / n_items)
