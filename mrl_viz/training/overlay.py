"""Trained models laid over each other: at the same widths, on the same held-out items, item by item."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import InvalidInputError
from mrl_viz.measures.estimate import CONFIDENCE, Estimate, bootstrap
from mrl_viz.result import Result
from mrl_viz.training.config import TrainingConfig, check_config
from mrl_viz.truncation import Floats

# Of the intervals of the differences, which hold together and so look far into the tails.
N_RESAMPLES = 8_000
# More lines than this cannot be told apart in one picture.
MOST_LAID = 6
# What each setting is called where runs differ in it.
SETTINGS: Mapping[str, Callable[[TrainingConfig], str]] = {
    "model": lambda config: f"on {config.model}",
    "base": lambda config: config.base,
    "dims": lambda config: config.widths_said,
    "weights": lambda config: f"{config.weights_said} weights",
    "schedule": lambda config: config.schedule_said,
    "epochs": lambda config: f"{config.epochs} epochs",
    "batch_size": lambda config: f"batches of {config.batch_size}",
    "learning_rate": lambda config: f"rate {config.step_size:g}",
    "dropout": lambda config: f"dropout {config.dropout:g}",
    "scale": lambda config: f"scale {config.scale:g}",
}


@dataclass(frozen=True, eq=False)
class HeldOutValues(Result):
    """What every held-out item is worth to the models of one run.

    `config` : of the run. `judged` : a fingerprint of what was held out; runs of the same can be compared item by item.
    `measure` : what the mean over items is, such as Spearman. `values` : "matryoshka", "plain" and "before" at every
    width of `dims`, and "alone" at those of `alone_dims`, each of shape (n_widths, n_items).
    """

    config: TrainingConfig
    judged: str
    measure: str
    dims: tuple[int, ...]
    values: Mapping[str, npt.NDArray[np.float64]]
    alone_dims: tuple[int, ...] = ()

    def takeaway(self) -> str:
        """One sentence: the measure at both ends."""
        ends = [self.values["matryoshka"][level].mean() for level in (0, -1)]
        return f"{self.measure} {ends[0]:.3f} at {self.dims[0]} dims and {ends[1]:.3f} at {self.dims[-1]}."

    def at(self, dims: Sequence[int], name: str = "matryoshka") -> Floats:
        """Values at some of the widths, (n_dims, n_items)."""
        return np.asarray(self.values[name][[self.dims.index(dim) for dim in dims]])


@dataclass(frozen=True)
class Overlay(Result):
    """Models at every width, and each but the first against the first; `lay_over` makes it.

    `measure` : in [-1, 1]. `n_items` : held-out items, the same for all. `curves` : label to mean quality per width,
    with 95 % bootstrap intervals. `gain` : label to its quality minus that of the first, paired; these intervals hold
    all together at 95 % (Bonferroni). `n_seeds` : label to the number of trainings that were averaged.
    """

    measure: str
    n_items: int
    dims: tuple[int, ...]
    curves: Mapping[str, tuple[Estimate, ...]]
    gain: Mapping[str, tuple[Estimate, ...]]
    n_seeds: Mapping[str, int]

    @property
    def first(self) -> str:
        """The label that the others are compared with."""
        return next(iter(self.curves))

    def verdicts(self, label: str) -> tuple[str, ...]:
        """Per width "better", "worse" or "equal": whether the interval of the gain lies above or below 0."""
        return tuple("better" if g.low > 0 else "worse" if g.high < 0 else "equal" for g in self.gain[label])

    def rows(self) -> list[dict[str, Any]]:
        """One record per model and width."""
        return [
            {"model": label, "n_seeds": self.n_seeds[label]}
            | row
            | ({"verdict": ""} if label == self.first else {"verdict": self.verdicts(label)[level]})
            for label, curve in self.curves.items()
            for level, row in enumerate(
                self.records(quality=curve, gain=self.gain.get(label, (None,) * len(self.dims)))
            )
        ]

    def takeaway(self) -> str:
        """One sentence: where each model but the first is better, where worse, and how far they can differ."""
        return f"Against {self.first}: {'; '.join(map(self.against_first, self.gain))}."

    def against_first(self, label: str) -> str:
        """Where one model is better than the first, where worse, and how far they can differ elsewhere, in words."""
        found = list(zip(self.dims, self.verdicts(label), self.gain[label]))
        parts = []
        for what in ("better", "worse"):
            if sure := {dim: gain.value for dim, verdict, gain in found if verdict == what}:
                parts.append(f"{what} at {', '.join(map(str, sure))} dims ({_range(list(sure.values()))})")
        ends = [end for _, verdict, gain in found if verdict == "equal" for end in (gain.low, gain.high)]
        if ends:
            where = (
                "the interval of the difference spans 0"
                if parts
                else "at every width the interval of the difference spans 0"
            )
            parts.append(f"{where}{' at the others' if parts else ''}, within {_range(ends)}")
        return f"{label} {', '.join(parts)}" if len(parts) > 1 or not ends else f"{label}: {parts[0]}"


def lay_over(models: Mapping[str, Sequence[Floats]], dims: Sequence[int], measure: str, *, seed: int = 0) -> Overlay:
    """Several models compared item by item with the first.

    Parameters
    ----------
    models : label to one matrix per training, (n_dims, n_items) each; several trainings of one label, such as other
        seeds, are averaged item by item
    dims : widths of the matrices
    measure : what the mean over items is
    seed : of the bootstrap over items

    Raises
    ------
    InvalidInputError : fewer than two models, more than MOST_LAID, or matrices of different shapes.

    Source: paired bootstrap, Efron & Tibshirani 1993, chapter 13; Bonferroni over models and widths.
    """
    if not 2 <= len(models) <= MOST_LAID:
        raise InvalidInputError(f"`models` has {len(models)} models; give 2 to {MOST_LAID}.")
    shapes = {np.shape(values) for trainings in models.values() for values in trainings}
    if len(shapes) > 1 or next(iter(shapes))[0] != len(dims):
        raise InvalidInputError(
            f"`models` has values of shapes {sorted(shapes)} for {len(dims)} widths; measure all at the same widths on "
            "the same held-out items."
        )
    means = {label: np.mean(trainings, axis=0) for label, trainings in models.items()}
    first, *others = means
    changes = np.concatenate([means[label] - means[first] for label in others])
    together = 1 - (1 - CONFIDENCE) / len(changes)
    gains = bootstrap(changes, seed=seed, n_resamples=N_RESAMPLES, confidence=together)
    n = len(dims)
    return Overlay(
        measure=measure,
        n_items=changes.shape[1],
        dims=tuple(dims),
        curves={label: bootstrap(values, seed=seed) for label, values in means.items()},
        gain={label: gains[place * n : (place + 1) * n] for place, label in enumerate(others)},
        n_seeds={label: len(trainings) for label, trainings in models.items()},
    )


def lay_over_runs(runs: Sequence[HeldOutValues], *, seed: int = 0) -> Overlay:
    """The Matryoshka models of several runs, at the widths that all were measured at; runs that differ in nothing but
    their seed are one, averaged.

    Parameters
    ----------
    runs : the first is what the others are compared with
    seed : of the bootstrap

    Raises
    ------
    InvalidInputError : other held-out items or measures, no common width, or all of the same settings.
    """
    if len({(run.judged, run.measure) for run in runs}) > 1:
        raise InvalidInputError(
            "`runs` were judged on different held-out items; train them on the same texts, split the same way."
        )
    dims = sorted(set.intersection(*(set(run.dims) for run in runs)))
    if not dims:
        raise InvalidInputError("`runs` have no width in common; train the same model.")
    labels = run_labels(runs)
    if len(set(labels)) < 2:
        raise InvalidInputError(
            f"`runs` has {len(runs)} trainings of one choice of settings; give another choice to compare it with."
        )
    models: dict[str, list[Floats]] = {}
    for label, run in zip(labels, runs):
        models.setdefault(label, []).append(run.at(dims))
    return lay_over(models, dims, runs[0].measure, seed=seed)


def run_labels(runs: Sequence[HeldOutValues]) -> list[str]:
    """What tells each run from the others, see `labels_of`; widths as they were trained."""
    return labels_of([replace(run.config, dims=check_config(run.config, run.dims[-1])) for run in runs])


def against_alone(run: HeldOutValues, *, seed: int = 0) -> Overlay:
    """The nested model against models trained for one width alone; at the full width that is the plain twin.

    Raises
    ------
    InvalidInputError : none were trained.
    """
    if not run.alone_dims:
        raise InvalidInputError("`alone` of the run's settings is empty; train again with widths trained alone.")
    dims = (*run.alone_dims, run.dims[-1])
    alone = np.concatenate([run.values["alone"], run.values["plain"][-1:]])
    return lay_over({"trained alone": [alone], "one nested model": [run.at(dims)]}, dims, run.measure, seed=seed)


def labels_of(configs: Sequence[TrainingConfig]) -> list[str]:
    """What tells each training from the others, seeds aside: of the first, and of those like it, the settings in which
    any other differs; of every other what differs from the first.
    """
    said = [[words(config) for words in SETTINGS.values()] for config in configs]
    first = [words for words, *others in zip(*said) if any(other != words for other in others)]
    labels = [[words for words, base in zip(row, said[0]) if words != base] for row in said]
    return [", ".join(label or first) or "the same" for label in labels]


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):+.3f}", f"{max(values):+.3f}"
    return low if low == high else f"{low} to {high}"
