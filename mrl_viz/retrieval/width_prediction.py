"""Whether a width for each query pays: held against one width for all queries of the same mean cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.measures.estimate import CONFIDENCE, Estimate, bootstrap
from mrl_viz.measures.lists import shared_share
from mrl_viz.result import Result
from mrl_viz.retrieval.width_predictor import (
    FEATURES,
    MIN_TRAINING_QUERIES,
    Features,
    WidthPredictor,
    choose_widths,
    fit_each_width,
    probabilities,
    read_first_search,
    smallest_sufficient_widths,
)
from mrl_viz.sweep import Sweep, nested_sweep
from mrl_viz.truncation import FloatMatrix, Floats, Ints, check_count, check_embeddings, check_share

FEATURE_NAMES = {"list": "the list's similarities", "qpp": "performance-prediction scores too"}
CONFIDENCES, FOLDS = (0.3, 0.5, 0.7, 0.9), 5


@dataclass(frozen=True)
class WidthComparison(Result):
    """A predicted width per query beside one fixed width of the same mean cost and the oracle; on held-out queries.

    Widths are mean coordinates per item scored. `predicted_dim`, `predicted_overlap` : of the predictor.
    `fixed_overlap` : of what costs the same and knows nothing of the query: the width `predicted_dim` for all, or two
        widths given to queries at random, whichever keeps more.
    `gain` : predicted minus fixed overlap, paired, with its bootstrap interval: of 95 %, or wider where several hold.
    `oracle_dim`, `oracle_overlap` : always the smallest width that suffices, which no predictor can know.
    `share_sufficient` : queries whose predicted width suffices. `chosen` : int64 of shape (n_queries,).
    `features`, `confidence` : of the predictor.
    """

    _also = ("beats_fixed",)
    _without = ("chosen",)

    dims: tuple[int, ...]
    k: int
    target: float
    n_queries: int
    predicted_dim: float
    predicted_overlap: float
    fixed_overlap: float
    gain: Estimate
    oracle_dim: float
    oracle_overlap: float
    share_sufficient: float
    chosen: Ints
    features: Features
    confidence: float

    @property
    def beats_fixed(self) -> bool:
        """Whether the whole interval of the gain is above 0."""
        return self.gain.low > 0

    def takeaway(self) -> str:
        found = (
            f"{self.predicted_overlap:.1%} against {self.fixed_overlap:.1%} at a mean of {self.predicted_dim:.0f} dims"
        )
        interval = f"gain {self.gain.value:+.1%}, 95% interval {self.gain.low:+.1%} to {self.gain.high:+.1%}"
        if self.beats_fixed:
            return f"A width per query beats the fixed width of equal cost: {found} ({interval})."
        return f"A width per query does not beat the fixed width of equal cost, which is simpler: {found} ({interval})."


def compare_widths(
    predictor: WidthPredictor, corpus: npt.ArrayLike, queries: npt.ArrayLike, *, seed: int = 0
) -> WidthComparison:
    """The predictor judged on queries that it was not trained on.

    Parameters
    ----------
    corpus, queries : as `predict` takes them, the queries held out
    seed : of the bootstrap

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError, InvalidInputError : arrays that do not fit the predictor.

    Source: own definition.
    """
    rows = check_embeddings(queries, "queries")
    sweep = nested_sweep(corpus, rows, dims=predictor.dims, k=predictor.k)
    if sweep.dims != predictor.dims:
        raise InvalidInputError(
            f"`corpus` has {sweep.full_dim} coordinates and the predictor learned with "
            f"{predictor.full_dim}; use one model."
        )
    read = read_first_search(check_embeddings(corpus, "corpus"), rows, sweep.dims, predictor.k, predictor.features)
    chosen = choose_widths(predictor.dims, probabilities(predictor.models, read), predictor.confidence)
    fixed = _fixed(corpus, rows, sweep, [float(chosen.mean())])
    return _compared(sweep, chosen, fixed, predictor.target, predictor.features, predictor.confidence, seed)


def _fixed(corpus: npt.ArrayLike, rows: FloatMatrix | None, sweep: Sweep, means: Iterable[float]) -> Sweep:
    """The sweep at its own widths and at the whole ones beside each mean: a prefix of any length is a width."""
    beside = {int(end(mean)) for mean in means for end in (np.floor, np.ceil)}
    return nested_sweep(corpus, rows, dims={*sweep.dims, *beside}, k=sweep.k)


def _best_blend(dims: tuple[int, ...], overlap: Floats, mean_dim: float) -> tuple[int, int, float]:
    """The two widths, and the share of the wider, that keep most at a mean of `mean_dim` when nothing is known.

    Mostly it is the width itself. Near the full width it is not: overlap is with the full width's own lists, so a few
    coordinates less lose more than leaving a few queries at a small width.
    """
    best, kept = (0, 0, 0.0), -1.0
    for lower, upper in combinations_with_replacement(range(len(dims)), 2):
        if dims[lower] <= mean_dim <= dims[upper]:
            share = (mean_dim - dims[lower]) / max(dims[upper] - dims[lower], 1)
            if (blend := overlap[lower] + share * (overlap[upper] - overlap[lower])) > kept:
                best, kept = (lower, upper, share), blend
    return best


def _compared(
    sweep: Sweep, chosen: Ints, fixed: Sweep, target: float, features: Features, confidence: float, seed: int,
    n_at_once: int = 1,
) -> WidthComparison:  # fmt: skip
    """Widths chosen for queries against a fixed one of the same mean; the intervals of `n_at_once` hold together."""
    predicted, alone, gain = _against_fixed(sweep, chosen, fixed, seed, n_at_once)
    needed = smallest_sufficient_widths(sweep, target)
    return WidthComparison(
        sweep.dims,
        sweep.k,
        target,
        n_queries=len(chosen),
        predicted_dim=float(chosen.mean()),
        predicted_overlap=float(predicted.mean()),
        fixed_overlap=float(alone.mean()),
        gain=gain,
        oracle_dim=float(needed.mean()),
        oracle_overlap=float(_kept(sweep, needed).mean()),
        share_sufficient=float((predicted >= target - 1e-9).mean()),
        chosen=chosen,
        features=features,
        confidence=confidence,
    )


def _against_fixed(
    sweep: Sweep, chosen: Ints, fixed: Sweep, seed: int, n_at_once: int
) -> tuple[Floats, Floats, Estimate]:
    """What each query keeps at its own width and at the fixed one of the same mean, and the mean difference."""
    shares, kept, mean_dim = shared_share(fixed.indices, fixed.indices[-1]), _kept(sweep, chosen), float(chosen.mean())
    lower, upper, share = _best_blend(fixed.dims, shares.mean(axis=1), mean_dim)
    alone = shares[lower] + share * (shares[upper] - shares[lower])
    (gain,) = bootstrap(kept - alone, seed=seed, confidence=1 - (1 - CONFIDENCE) / n_at_once)
    return kept, alone, gain


def _kept(sweep: Sweep, chosen: Ints) -> Floats:
    """Each query's overlap with full width at the width chosen for it, shape (n_queries,)."""
    overlaps = shared_share(sweep.indices, sweep.indices[-1])
    return np.asarray(overlaps[np.searchsorted(sweep.dims, chosen), np.arange(len(chosen))])


def _points(gain: Estimate) -> str:
    """A difference of shares in percentage points, with its interval."""
    return f"{gain.value * 100:+.1f} points [{gain.low * 100:+.1f}, {gain.high * 100:+.1f}]"


@dataclass(frozen=True)
class WidthPrediction(Result):
    """Whether a width for each query beats one fixed width of equal cost, every query predicted by rules of the others.

    `overlap` : of each fixed width of `dims`, those around the rules' mean widths, overlap@k with full width.
    `comparisons` : a rule for each kind of features and each confidence; all intervals of their gains hold with 95 %.
    `oracle_dim`, `oracle_gain` : of always taking the smallest width that suffices, which no rule can know.
    """

    _without = ("comparisons",)

    dims: tuple[int, ...]
    k: int
    target: float
    n_queries: int
    overlap: tuple[Estimate, ...]
    comparisons: tuple[WidthComparison, ...]
    oracle_dim: float
    oracle_gain: Estimate

    def takeaway(self) -> str:
        open_rules = [one for one in self.comparisons if np.ptp(one.chosen)]
        if not open_rules:
            return (
                f"Every rule gives all queries one width: at a target of {self.target:.0%} there is nothing to choose."
            )
        best = max(open_rules, key=lambda one: (one.beats_fixed, one.gain.value))
        found = f"{_points(best.gain)} of overlap@{self.k} at a mean of {best.predicted_dim:.0f} dims"
        could = f"Knowing the width beforehand would gain {self.oracle_gain.value * 100:.1f} at {self.oracle_dim:.0f}."
        winners = sum(one.beats_fixed for one in self.comparisons)
        if winners:
            return (
                f"{winners} of {len(self.comparisons)} rules that choose a width for each query beat one width for all "
                f"at equal cost, at best by {found}. {could}"
            )
        return (
            f"No rule that chooses a width for each query beats one width for all at equal cost: at best {found}. "
            f"{could}"
        )

    def rows(self) -> list[dict[str, Any]]:
        """One record per rule."""
        return [
            {
                "features": FEATURE_NAMES[one.features],
                "confidence": one.confidence,
                "mean_dims": round(one.predicted_dim, 1),
                "overlap": one.predicted_overlap,
                "fixed_overlap": one.fixed_overlap,
                "gain": one.gain.value,
                "gain_low": one.gain.low,
                "gain_high": one.gain.high,
                "beats_fixed": one.beats_fixed,
            }
            for one in self.comparisons
        ]


def predict_widths(
    corpus: npt.ArrayLike,
    queries: npt.ArrayLike | None = None,
    *,
    dims: Iterable[int],
    k: int = 10,
    target: float = 0.9,
    confidences: Sequence[float] = CONFIDENCES,
    folds: int = FOLDS,
    seed: int = 0,
) -> WidthPrediction:
    """Whether a width for each query would pay: rules of two kinds of features at several confidences, out of fold.

    Parameters
    ----------
    corpus : array_like of shape (n_items, full_dim)
    queries : array_like of shape (n_queries, full_dim); None: the items search for each other, none finding itself
    dims : widths to choose from; `full_dim` is always added
    target : overlap@k that suffices, in (0, 1]
    confidences : probabilities of sufficing at which a width is taken, each a rule of its own
    folds : parts the queries are dealt into; those of a part are predicted by rules learnt on the others
    seed : of the dealing and the bootstrap

    Raises
    ------
    EmptyInputError : fewer than 20 queries to learn from. InvalidInputError : `k`, `target`, `folds` or a confidence
    out of range. DimensionError, ShapeError : unusable arrays or widths.

    Source: own definition; the scores of "qpp" as in `_performance_scores`.
    """
    check_share("target", target)
    for confidence in confidences:
        check_share("confidence", confidence)
    check_count("folds", folds, 2)
    items = check_embeddings(corpus, "corpus")
    rows = items if queries is None else check_embeddings(queries, "queries")
    if len(rows) - -(-len(rows) // folds) < MIN_TRAINING_QUERIES:
        raise EmptyInputError(
            f"{len(rows)} queries in {folds} folds leave fewer than {MIN_TRAINING_QUERIES} to learn from; give more."
        )
    sweep = nested_sweep(items, None if queries is None else rows, dims=dims, k=k)
    needed = smallest_sufficient_widths(sweep, target)
    fold = np.random.default_rng(seed).permutation(len(rows)) % folds
    chosen: dict[tuple[Features, float], Ints] = {}
    for features in FEATURES:
        read = read_first_search(items, None if queries is None else rows, sweep.dims, k, features)
        enough = np.empty((len(sweep.dims) - 1, len(rows)))
        for part in range(folds):
            models = fit_each_width(sweep.dims, read[fold != part], needed[fold != part])
            enough[:, fold == part] = probabilities(models, read[fold == part])
        chosen |= {(features, confidence): choose_widths(sweep.dims, enough, confidence) for confidence in confidences}
    means = (widths.mean() for widths in (needed, *chosen.values()))
    fixed = _fixed(items, None if queries is None else rows, sweep, means)
    n_at_once = len(chosen) + 1
    comparisons = tuple(
        _compared(sweep, widths, fixed, target, features, confidence, seed, n_at_once)
        for (features, confidence), widths in chosen.items()
    )
    overlap = bootstrap(shared_share(fixed.indices, fixed.indices[-1]), seed=seed)
    *_, could = _against_fixed(sweep, needed, fixed, seed, n_at_once)
    return WidthPrediction(fixed.dims, k, target, len(rows), overlap, comparisons, float(needed.mean()), could)
