"""Adaptive classification from labels to verdict: heads of three kinds, their cascades, coarse beside fine labels."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import CancelledError, EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.heads.cascade import N_SPLITS, Cascade, adaptive_classification
from mrl_viz.heads.classifiers import KINDS, HeadKind, TrainedHeads, encode_labels, split_rows, train_heads
from mrl_viz.heads.training import HeadTraining
from mrl_viz.measures.estimate import Estimate, bootstrap
from mrl_viz.result import Result
from mrl_viz.truncation import check_dims, check_embeddings

# What the paper's abstract promises, on ImageNet: the same accuracy at up to this many times smaller expected width.
PROMISED_SAVING = 14
# Up to this factor, either way, the expected width counts as the same.
NO_SMALLER = 1.05
# Of the rows, as in `train_heads`.
HELD_OUT = 0.3
# Half of the held-out rows learn thresholds, half are measured; with fewer both halves say nothing.
FEWEST_HELD_OUT = 8


@dataclass(frozen=True, eq=False)
class AdaptiveClassification(Result):
    """What one label column gives: heads of every kind, and what a cascade over MRL's heads saves.

    `label` : the column. `classes` : its values. `rows` : numbers of the held-out rows among those given.
    `heads`, `cascades` : by kind, "mrl", "mrl-e" and "separate"; all on the same held-out rows.
    `gain` : by kind, per width the difference in accuracy to separately trained heads, paired over rows, with its 95 %
    bootstrap interval.
    `predicted` : class at every width by MRL's heads, shape (n_dims, n_held_out).
    """

    label: str
    classes: tuple[Any, ...]
    dims: tuple[int, ...]
    rows: npt.NDArray[np.int64]
    heads: Mapping[HeadKind, TrainedHeads]
    gain: Mapping[HeadKind, tuple[Estimate, ...]]
    cascades: Mapping[HeadKind, Cascade]
    predicted: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]

    @property
    def cascade(self) -> Cascade:
        """Over MRL's heads, which is what the page is about."""
        return self.cascades["mrl"]

    @property
    def separate_dim(self) -> int | None:
        """The smallest separately trained width at least as accurate as the cascade; None where none is."""
        fixed = self.cascades["separate"].fixed_accuracy
        return next((dim for dim, found in zip(self.dims, fixed) if found.mean >= self.cascade.accuracy.mean), None)

    @property
    def equal_dim(self) -> int | None:
        """The smallest single width, of either kind, that is as good as the cascade; None where it beats them all."""
        return min(filter(None, (self.separate_dim, self.cascade.equal_fixed_dim)), default=None)

    @property
    def saving(self) -> float:
        """How many times smaller the expected width is than `equal_dim`, or than the full width where there is none."""
        return (self.equal_dim or self.dims[-1]) / self.cascade.expected_dim.mean

    def head_rows(self) -> list[dict[str, Any]]:
        """One record per kind and width: accuracies, and the paired difference to separately trained heads."""
        return [record for kind, heads in self.heads.items() for record in heads.rows(against_separate=self.gain[kind])]

    def cascade_rows(self) -> list[dict[str, Any]]:
        """One record per kind: what its cascade reads and how often it is right, means and deviations over splits."""
        return [
            {
                "heads": kind, "expected_dim": cascade.expected_dim.mean, "expected_dim_sd": cascade.expected_dim.sd,
                "cumulative_dim": cascade.cumulative_dim.mean, "accuracy": cascade.accuracy.mean,
                "accuracy_sd": cascade.accuracy.sd, "oracle_dim": cascade.oracle_dim.mean,
                "oracle_accuracy": cascade.oracle_accuracy.mean, "times_smaller": cascade.saving,
            }
            for kind, cascade in self.cascades.items()
        ]  # fmt: skip

    def example_rows(self, n: int = 5) -> list[dict[str, Any]]:
        """The easiest and the hardest held-out rows: `row` is their number among those given."""
        records = []
        for name, items in (("easy", self.cascade.easy(n)), ("hard", self.cascade.hard(n))):
            for item in items:
                first = int(self.cascade.smallest_right_dim[item])
                records.append({
                    "example": name, "row": int(self.rows[item]), "label": str(self.classes[self.targets[item]]),
                    "at_smallest": str(self.classes[self.predicted[0, item]]),
                    "at_full": str(self.classes[self.predicted[-1, item]]),
                    "mean_exit_dim": float(self.cascade.mean_exit_dim[item]),
                    "right_from": str(first) if first else "never",
                    "cascade_right": float(self.cascade.mean_correct[item]),
                })  # fmt: skip
        return records

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data."""
        return {
            "label": self.label,
            "classes": [str(value) for value in self.classes],
            "dims": list(self.dims),
            "heads": self.head_rows(),
            "cascades": {kind: cascade.to_dict() for kind, cascade in self.cascades.items()},
            "saving": self.saving,
            "takeaway": self.takeaway(),
        }

    def heads_takeaway(self) -> str:
        """One sentence: at how many widths training together differs from training each width on its own."""
        parts = []
        for kind in ("mrl", "mrl-e"):
            said = []
            for word, is_so in (("more", lambda gain: gain.low > 0), ("less", lambda gain: gain.high < 0)):
                if dims := [str(dim) for dim, gain in zip(self.dims, self.gain[kind]) if is_so(gain)]:
                    said.append(f"{word} accurate at {', '.join(dims)} dims")
            parts.append(f"{kind.upper()} is {' and '.join(said) or 'no different at any width'}")
        return f"Against a head trained for each width alone, on {len(self.rows)} held-out texts: {'; '.join(parts)}."

    def takeaway(self) -> str:
        """The test of the paper's headline on these data, as one honest sentence."""
        cascade, times, full_dim = self.cascade, self.saving, self.dims[-1]
        beside = (
            f"one fixed width of {self.equal_dim} is as good"
            if self.equal_dim
            else f"no single width up to {full_dim} is as good, so it is set against {full_dim}"
        )
        if 1 / NO_SMALLER < times < NO_SMALLER:
            found = "the cascade saves nothing against that"
        elif times < 1:
            found = f"the cascade reads {1 / times - 1:.0%} more than that"
        else:
            promised = f"{1 / PROMISED_SAVING:.0%}"
            verdict = "the promise holds here" if times >= PROMISED_SAVING else f"the paper promises {promised}"
            found = f"the cascade reads {1 / times:.0%} of that, {verdict}"
        return (
            f"{self.label} ({len(self.classes)} classes): right for {cascade.accuracy:.1%} (full width "
            f"{cascade.fixed_accuracy[-1].mean:.1%}) reading {cascade.expected_dim:.0f} dims; {beside}: {found}."
        )


def classify_adaptively(
    embeddings: npt.ArrayLike,
    labels: Mapping[str, Sequence[Hashable]],
    dims: Iterable[int],
    *,
    training: HeadTraining | None = None,
    n_splits: int = N_SPLITS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[AdaptiveClassification, ...]:
    """Heads and cascades for each label column, coarsest first, all on the same held-out rows.

    Three rows in ten are held out, drawn within the classes of the column that has most of them.

    Parameters
    ----------
    embeddings : array_like of shape (n_items, full_dim)
    labels : column name to one label per row; rows where any column has None or "" are left out
    dims : widths in 1..full_dim, two or more; the full width is added
    training : see `HeadTraining`
    n_splits : into rows that thresholds are learnt on and rows that are measured
    seed : of the splits, the initial weights and the batches
    progress : called with (heads trained, heads in all)
    cancelled : asked after each epoch of training

    Raises
    ------
    EmptyInputError : no column, fewer than two classes in one, or too few rows to hold out.
    ShapeError, DimensionError, InvalidInputError : unusable arrays, widths or settings. CancelledError : `cancelled`
    returned true.

    Source: Kusupati et al. 2022, arXiv:2205.13147, sections 4.2 and 4.2.1.
    """
    rows = check_embeddings(embeddings)
    widths = check_dims((*dims, rows.shape[1]), rows.shape[1])
    if len(widths) < 2:
        raise InvalidInputError(f"`dims` has only {widths[0]}; a cascade needs a width below the full one.")
    if not labels:
        raise EmptyInputError("`labels` has no column; give at least one.")
    for name, values in labels.items():
        if len(values) != len(rows):
            raise ShapeError(f"`{name}` has {len(values)} labels for {len(rows)} rows; give one each.")
    kept = np.flatnonzero([not {None, ""} & set(row) for row in zip(*labels.values())])
    given = {name: [values[row] for row in kept.tolist()] for name, values in labels.items()}
    for name, values in given.items():
        if (n_found := len(set(values))) < 2:
            raise EmptyInputError(f"`{name}` has {n_found} class in {len(kept)} labelled rows; classification needs 2.")
    coded = {name: encode_labels(values, len(kept)) for name, values in given.items()}
    order = sorted(coded, key=lambda name: len(coded[name][0]))
    test = split_rows(coded[order[-1]][1], HELD_OUT, seed=seed)
    if len(test) < FEWEST_HELD_OUT:
        raise EmptyInputError(
            f"`{order[-1]}` leaves {len(test)} texts to measure on; give at least {FEWEST_HELD_OUT}, several of "
            "each class."
        )
    n_steps = len(order) * len(KINDS)
    results = []
    for column, name in enumerate(order):
        heads: dict[HeadKind, TrainedHeads] = {}
        for done, kind in enumerate(KINDS, column * len(KINDS)):
            heads[kind] = train_heads(
                rows[kept], given[name], widths, kind=kind, held_out=test, training=training,
                seed=seed, cancelled=cancelled,
            )  # fmt: skip
            if heads[kind].stopped == "cancelled":
                raise CancelledError(f"The training of heads was stopped; {done} of {n_steps} were trained.")
            if progress is not None:
                progress(done + 1, n_steps)
        results.append(_measure(name, heads, rows[kept[test]], coded[name][1][test], kept[test], n_splits, seed))
    return tuple(results)


def _measure(
    name: str,
    heads: Mapping[HeadKind, TrainedHeads],
    embeddings: npt.NDArray[Any],
    targets: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    n_splits: int,
    seed: int,
) -> AdaptiveClassification:
    dims = heads["mrl"].dims
    scores = {kind: trained.probabilities(embeddings) for kind, trained in heads.items()}
    alone = heads["separate"].correct.astype(np.float64)
    return AdaptiveClassification(
        label=name,
        classes=heads["mrl"].classes,
        dims=dims,
        rows=rows,
        heads=heads,
        gain={kind: bootstrap(trained.correct - alone, seed=seed) for kind, trained in heads.items()},
        cascades={
            kind: adaptive_classification(found, targets, dims, n_splits=n_splits, seed=seed)
            for kind, found in scores.items()
        },
        predicted=scores["mrl"].argmax(axis=2),
        targets=targets,
    )


def coarse_against_fine(coarse: AdaptiveClassification, fine: AdaptiveClassification) -> str:
    """One sentence: whether the column with fewer classes exits earlier, as the paper finds for superclasses.

    Source: Kusupati et al. 2022, arXiv:2205.13147, section 5 (superclasses need fewer dimensions).
    """
    low, high = coarse.cascade.expected_dim, fine.cascade.expected_dim
    numbers = (
        f"{coarse.label} ({len(coarse.classes)} classes) exits after {low:.0f} dims, {fine.label} ({len(fine.classes)} "
        f"classes) after {high:.0f}"
    )
    if abs(high.mean - low.mean) <= max(low.sd, high.sd):
        return f"{numbers}: within the spread of the splits neither exits earlier."
    if high.mean > low.mean:
        return f"{numbers}: the coarse labels exit earlier."
    return f"{numbers}: here the fine labels exit earlier, against what the paper finds."
