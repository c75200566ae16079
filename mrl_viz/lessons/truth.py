"""What a lesson's questions are judged by, measured in the data in use: no number of a lesson is written down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import betaincinv

from mrl_viz.comparison.precision import PrecisionComparison, compare_precisions
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import InvalidInputError
from mrl_viz.lessons.lesson import Step, Truth
from mrl_viz.measures.controls import TRAINED, UNTRAINED, compare_arrangements
from mrl_viz.measures.lists import NeighborOverlap, neighbor_overlap
from mrl_viz.measures.sample import pair_sample
from mrl_viz.measures.similarity import similarity_drift
from mrl_viz.result import Result
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.results import recall_vs_full
from mrl_viz.retrieval.shortlist import shortlist_search
from mrl_viz.sweep import nested_sweep
from mrl_viz.tasks.curves import MetricCurve
from mrl_viz.tasks.languages import LanguageQuality, by_language

CONFIDENCE = 0.95
# Sorting coordinates by what they carry does to a prefix what training does.
WHAT_IT_MEANS = {TRAINED: "trained for it, or sorted", UNTRAINED: "no sign of training for it"}
# How many times the queries that were asked a bound is shown for.
TIMES = (0.5, 1, 2, 5, 10, 25)


@dataclass(frozen=True)
class Promise(Result):
    """What the same `share` of more and more queries promises.

    `sizes` : numbers of queries; `n` : the one that was asked for, among them. `lows` : of each the exact one-sided
    95 % lower bound, in percent.
    """

    share: float
    n: int
    sizes: tuple[int, ...]
    lows: tuple[float, ...]

    def takeaway(self) -> str:
        """What may be promised, and what ten times as many queries would promise."""
        low, of_more = (self.lows[self.sizes.index(times * self.n)] for times in (1, 10))
        return (
            f"{round(self.share * self.n)} of {self.n} is {round(self.share * self.n) / self.n:.0%}, and with 95 % "
            f"confidence at least {low:.0f} %: that much may be promised. The same share of ten times as many queries "
            f"would promise {of_more:.0f} %."
        )


def truth_of(
    step: Step, vectors: Mapping[str, Embedded], *, precisions: PrecisionComparison | None = None, seed: int = 0
) -> Truth:
    """What a step's question is judged by.

    Parameters
    ----------
    step : with a truth
    vectors : the data in use by model, the session's own model first; the step "trained_for_it" compares the first two
    precisions : of the first model's vectors, where they were measured already
    seed : of samples and intervals

    Raises
    ------
    InvalidInputError : a step without a truth, options that were not measured, or too few models.
    DimensionError : a width that the model does not have.
    """
    if step.truth is None:
        raise InvalidInputError(f"The step “{step.title}” has no `truth` to measure.")
    name, options = step.truth
    numbers: dict[str, Any] = {key: value if key == "share" else int(value) for key, value in options}
    if name == "promise":
        found = promise(**numbers)
        return Truth(found.lows[found.sizes.index(found.n)], found.takeaway())
    if name == "trained_for_it":
        return _trained_for_it(step, vectors, seed=seed, **numbers)
    embedded = next(iter(vectors.values()))
    if name == "best_in_bytes":
        return _best_in_bytes(step, precisions or compare_precisions(embedded), **numbers)
    measured: Mapping[str, Callable[..., Truth]] = {
        "neighbors_kept": _neighbors_kept, "top_results_changed": _top_results_changed,
        "shortlist_finds": _shortlist_finds, "least_agreement_kept": _least_agreement_kept,
        "translations_kept": _translations_kept,
    }  # fmt: skip
    return measured[name](embedded, seed=seed, **numbers)


def _overlap(embedded: Embedded, dim: int, k: int, seed: int) -> NeighborOverlap:
    sweep = nested_sweep(embedded.matrix, embedded.queries, dims=[dim, embedded.full_dim], k=k)
    return neighbor_overlap(sweep, seed=seed)


def _neighbors_kept(embedded: Embedded, *, dim: int, k: int, seed: int) -> Truth:
    found = _overlap(embedded, dim, k, seed)
    kept = found.overlap[0]
    value, low, high, chance = (k * share for share in (kept.value, kept.low, kept.high, found.chance))
    said = (
        f"Of the {k} nearest at {embedded.full_dim} dims, {value:.1f} are still among the {k} nearest at {dim} "
        f"(95 %: {low:.1f} to {high:.1f}; chance {chance:.2f})."
    )
    return Truth(value, said, low, high, chance)


def _top_results_changed(embedded: Embedded, *, dim: int, seed: int) -> Truth:
    kept = _overlap(embedded, dim, 1, seed).overlap[0]
    drift = similarity_drift(pair_sample(embedded.matrix, embedded.queries, dims=[dim, embedded.full_dim], seed=seed))
    value, low, high = (100 * (1 - share) for share in (kept.value, kept.high, kept.low))
    said = (
        f"At {dim} dims a similarity moves by {drift.mae[0]:.3f} on average, and {value:.0f} of 100 searches "
        f"have another first result (95 %: {low:.0f} to {high:.0f})."
    )
    return Truth(value, said, low, high)


def _trained_for_it(step: Step, vectors: Mapping[str, Embedded], *, dim: int, seed: int) -> Truth:
    """The options are, in order: the first model, the second, both, neither."""
    if len(vectors) < 2 or len(step.options) != 4:
        raise InvalidInputError(
            f"The step “{step.title}” compares two models by four options: the first, the second, both, neither; there "
            f"are {len(vectors)} models and {len(step.options)} options."
        )
    trained, said = [], [f"Neighbors kept by the first {dim} numbers, beside {dim} random ones."]
    for option, (model, embedded) in zip(step.options[:2], vectors.items()):
        sweep = nested_sweep(embedded.matrix, embedded.queries, dims=[dim, embedded.full_dim])
        found = compare_arrangements(
            sweep, embedded.matrix, embedded.queries, arrangements=("prefix", "random"), seed=seed
        ).nestedness
        if found is None:
            raise InvalidInputError(f"`{model}` has too few numbers to compare {dim} of them with random ones.")
        trained.append(found.verdict == TRAINED)
        points = 100 * found.gap[found.dims.index(dim)].value
        said.append(f"{option}, {model}: {points:+.1f} points, {WHAT_IT_MEANS.get(found.verdict, found.verdict)}.")
    place = {(True, False): 0, (False, True): 1, (True, True): 2, (False, False): 3}[trained[0], trained[1]]
    return Truth(step.options[place], " ".join(said))


def _best_in_bytes(step: Step, precisions: PrecisionComparison, *, n_bytes: int) -> Truth:
    points = {
        point.label: point for point in precisions.points
        if point.arrangement == "prefix" and point.bytes_per_vector <= n_bytes
    }  # fmt: skip
    unknown = [option for option in step.options if option not in points]
    if unknown:
        raise InvalidInputError(
            f"The step “{step.title}” has the option {unknown[0]!r}, which was not measured or does not fit into "
            f"{n_bytes} bytes; name options as {next(iter(points), '64 dims int8')!r}."
        )
    best = max((points[option] for option in step.options), key=lambda point: point.kept.value)
    kept = ", ".join(f"{option} {points[option].kept.value:.0%}" for option in step.options)
    return Truth(best.label, f"In {n_bytes} bytes a vector, of the nearest texts are kept: {kept}.")


def _shortlist_finds(embedded: Embedded, *, dim: int, size: int, k: int, seed: int) -> Truth:
    index = PrefixIndex(embedded.matrix, [dim, embedded.full_dim])
    queries = embedded.matrix if embedded.queries is None else embedded.queries
    own = np.arange(len(queries)) if embedded.queries is None else None
    full = index.search(queries, k, own=own).indices
    found = shortlist_search(index, queries, shortlist_dim=dim, shortlist_size=size, k=k, own=own)
    share = recall_vs_full(found.indices, full, seed=seed).share
    alone = recall_vs_full(index.search(queries, k, dim=dim, own=own).indices, full, seed=seed).share
    value, low, high = (k * one for one in (share.value, share.low, share.high))
    said = (
        f"{dim} dims alone find {k * alone.value:.1f} of the true {k}; a shortlist of {size} by them, ranked again at "
        f"{embedded.full_dim}, has {value:.1f} (95 %: {low:.1f} to {high:.1f})."
    )
    return Truth(value, said, low, high)


def _least_agreement_kept(embedded: Embedded, *, dim: int, seed: int) -> Truth:
    found = by_language(embedded, dims=[dim], seed=seed)
    kept = {language: _percent_kept(curve) for language, curve in found.spearman.items()}
    least = min(kept, key=lambda language: kept[language][0])
    shares = ", ".join(f"{language} {value:.0f} %" for language, (value, _, _) in kept.items())
    value, low, high = kept[least]
    said = (
        f"Of its agreement with people at {embedded.full_dim} dims each language keeps at {dim}: {shares} "
        f"({least}, 95 %: {low:.0f} to {high:.0f})."
    )
    return Truth(value, said, low, high)


def _translations_kept(embedded: Embedded, *, dim: int, seed: int) -> Truth:
    found = by_language(embedded, dims=[dim], seed=seed)
    if found.found_everywhere is None:
        raise InvalidInputError(
            f"`{embedded.corpus.name}` does not say what translates what; give its pairs an `id`, or take "
            "`sample:languages`."
        )
    value, low, high = _percent_kept(found.found_everywhere)
    return Truth(value, _said_of_translations(found, dim, value, low, high), low, high)


def _said_of_translations(found: LanguageQuality, dim: int, value: float, low: float, high: float) -> str:
    all_dims, few = (
        ", ".join(f"{language} {curve.value[level].value:.0%}" for language, curve in found.found.items())
        for level in (-1, 0)
    )
    return (
        f"From {found.source}, {found.dims[-1]} dims find the translation first in {all_dims}; {dim} dims in {few}: "
        f"{value:.0f} % of that (95 %: {low:.0f} to {high:.0f})."
    )


def _percent_kept(curve: MetricCurve) -> tuple[float, float, float]:
    """What the first width keeps of the full one's value, with its interval, in percent."""
    kept = curve.retention[0]
    if kept is None:
        raise InvalidInputError(f"`{curve.name}` is not above 0 at full width, so no share of it can be kept; skip it.")
    return 100 * kept.value, 100 * kept.low, 100 * kept.high


def promise(share: float, n: int) -> Promise:
    """The exact one-sided lower bound of a proportion, for n queries and for fewer and more of them.

    Parameters
    ----------
    share : of them that were good, in (0, 1]
    n : how many were asked, at least 1

    Source: Clopper & Pearson 1934.
    """
    sizes = tuple(sorted({max(1, round(times * n)) for times in TIMES}))
    return Promise(share, n, sizes, tuple(100 * _lower_bound(round(share * size), size) for size in sizes))


def _lower_bound(kept: int, n: int) -> float:
    return float(betaincinv(kept, n - kept + 1, 1 - CONFIDENCE)) if kept else 0.0
