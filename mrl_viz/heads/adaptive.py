"""Adaptive classification from labels to verdict: heads of three kinds, their cascades, coarse beside fine labels."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import CancelledError, EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.heads.cascade import PAPERS_RULE, Answers, Cascade, ExitRule, adaptive_classification, answers_of
from mrl_viz.heads.classifiers import KINDS, HeadKind, TrainedHeads, encode_labels, split_rows, train_heads
from mrl_viz.heads.training import HeadTraining
from mrl_viz.measures.estimate import Estimate, bootstrap
from mrl_viz.result import Result, records
from mrl_viz.truncation import check_count, check_dims, check_embeddings

# What the paper's abstract promises, on ImageNet: the same accuracy at up to this many times smaller expected width.
PROMISED_SAVING = 14
# Handwritten digits show the point where a few hundred texts hardly can; their pixels are no embedding yet.
DIGIT_DIMS, DIGIT_HEADS = (2, 4, 8, 16, 32, 64), HeadTraining(epochs=100, weight_decay=0.1, hidden_dim=128)
# Of the rows, as in `train_heads`.
HELD_OUT = 0.3
# The other rows answer as held-out ones in so many parts, each by heads that were trained on the rest.
N_FOLDS = 5
# With fewer held-out rows nothing is measured.
FEWEST_HELD_OUT = 8
# As many as ImageNet-1K has: a probability for each, each row and each width must fit in memory.
MOST_CLASSES = 1000
# Rows whose probabilities are in memory at once.
BLOCK = 4096
# Heads that share what they read, so that a cascade over them is one model.
NESTED: tuple[HeadKind, ...] = ("mrl", "mrl-e")
# A class lives at a width when it has lost no more of its accuracy than this from there on.
CLASS_LOSS = 0.02


@dataclass(frozen=True, eq=False)
class AdaptiveClassification(Result):
    """What one label column gives: heads of every kind, and what a cascade over the nested ones saves.

    `label` : the column. `classes` : its values. `rows` : numbers of the held-out rows among those given.
    `heads` : by kind, "mrl", "mrl-e" and "separate"; all on the same held-out rows.
    `gain` : by kind, per width the difference in accuracy to separately trained heads, paired over rows, with its 95 %
    bootstrap interval.
    `folded`, `held_out` : by nested kind, the answers on the rows that heads are trained on, each by heads that were
    trained without it (out of fold), and on the held-out rows.
    `targets` : the right class of the held-out rows. `seed` : of the bootstrap.
    """

    label: str
    classes: tuple[Any, ...]
    dims: tuple[int, ...]
    rows: npt.NDArray[np.int64]
    heads: Mapping[HeadKind, TrainedHeads]
    gain: Mapping[HeadKind, tuple[Estimate, ...]]
    folded: Mapping[HeadKind, Answers]
    held_out: Mapping[HeadKind, Answers]
    targets: npt.NDArray[np.int64]
    seed: int

    def cascade(self, rule: ExitRule | None = None, kind: HeadKind = "mrl") -> Cascade:
        """What a rule gives, learnt out of fold on all training rows and measured on the held-out ones.

        Raises
        ------
        InvalidInputError : a rule that cannot be, or `kind` is "separate", whose heads are no one model.
        """
        if kind not in NESTED:
            raise InvalidInputError(f"`kind` is {kind!r}; a cascade is over nested heads, one of {list(NESTED)}.")
        kept = vars(self).setdefault("_cascades", {})  # a page asks for the same one several times
        if (key := (rule or ExitRule(), kind)) not in kept:
            learn, measure = self.folded[kind], self.held_out[kind]
            kept[key] = adaptive_classification(learn, measure, self.dims, rule=rule, seed=self.seed)
        found: Cascade = kept[key]
        return found

    def cascades(self, rule: ExitRule | None = None) -> dict[HeadKind, Cascade]:
        """The cascade of every nested kind, see `cascade`."""
        return {kind: self.cascade(rule, kind) for kind in NESTED}

    def head_rows(self) -> list[dict[str, Any]]:
        """One record per kind and width: accuracies, and the paired difference to separately trained heads."""
        return [record for kind, heads in self.heads.items() for record in heads.rows(against_separate=self.gain[kind])]

    def cascade_rows(self, rule: ExitRule | None = None) -> list[dict[str, Any]]:
        """One record per nested kind: what its cascade reads, how often it is right, what that saves."""
        found = self.cascades(rule)
        return records(
            heads=tuple(found),
            **{
                name: tuple(getattr(cascade, name) for cascade in found.values())
                for name in (
                    "expected_dim", "accuracy", "gain_full", "saving_full", "fixed_dim", "gain_fixed", "saving_fixed",
                    "cumulative_dim", "oracle_dim", "oracle_accuracy",
                )
            },
        )  # fmt: skip

    def example_rows(self, cascade: Cascade, n: int = 5) -> list[dict[str, Any]]:
        """The easiest and the hardest held-out rows: `row` is their number among those given."""
        predicted = self.held_out["mrl"].predicted
        found = []
        for name, items in (("easy", cascade.easy(n)), ("hard", cascade.hard(n))):
            for item in items:
                first = int(cascade.smallest_right_dim[item])
                found.append({
                    "example": name, "row": int(self.rows[item]), "label": str(self.classes[self.targets[item]]),
                    "at_smallest": str(self.classes[predicted[0, item]]),
                    "at_full": str(self.classes[predicted[-1, item]]),
                    "exit_dim": int(cascade.exit_dim[item]), "right_from": str(first) if first else "never",
                    "cascade_right": bool(cascade.right[item]),
                })  # fmt: skip
        return found

    def class_accuracy(self) -> npt.NDArray[np.float64]:
        """Accuracy of MRL's heads on the held-out rows of every class, shape (n_classes, n_dims); NaN without rows."""
        return np.array([_mean(self.held_out["mrl"].correct[:, self.targets == at]) for at in range(len(self.classes))])

    def class_dims(self) -> tuple[int | None, ...]:
        """Per class the width it lives at: the smallest from which on it never loses more than two points of its
        accuracy at full width; None without held-out rows."""
        accuracy = self.class_accuracy()
        # Whether a width and all above it keep enough.
        keeps = np.logical_and.accumulate((accuracy >= accuracy[:, -1:] - CLASS_LOSS)[:, ::-1], axis=1)[:, ::-1]
        return tuple(self.dims[int(row.argmax())] if row[-1] else None for row in keeps)

    def class_rows(self, cascade: Cascade) -> list[dict[str, Any]]:
        """One record per class: held-out rows, the width it lives at, the cascade's expected width, accuracies."""
        found = []
        for at, (name, lives, accuracy) in enumerate(zip(self.classes, self.class_dims(), self.class_accuracy())):
            own = self.targets == at
            found.append({
                "class": str(name), "n": int(own.sum()), "lives_at": lives,
                "expected_dim": float(cascade.exit_dim[own].mean()) if own.any() else None,
                **{f"accuracy_{dim}": None if np.isnan(value) else value for dim, value in zip(self.dims, accuracy)},
            })  # fmt: skip
        return found

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data, its cascades by both rules."""
        return {
            "label": self.label,
            "classes": [str(value) for value in self.classes],
            "dims": list(self.dims),
            "heads": self.head_rows(),
            "cascades": [
                {"rule": rule.kind} | record for rule in (ExitRule(), PAPERS_RULE) for record in self.cascade_rows(rule)
            ],
            "takeaway": self.takeaway(),
        }

    def classes_takeaway(self) -> str:
        """One sentence: how many classes live at the smallest width, and how many need the full one."""
        lives = [dim for dim in self.class_dims() if dim is not None]
        parts = [f"{lives.count(dim)} at {dim}" for dim in self.dims if dim in lives]
        late = [str(name) for name, dim in zip(self.classes, self.class_dims()) if dim == self.dims[-1]]
        named = f"; all of it is needed by {', '.join(late[:3])}" if late and len(lives) > len(late) else ""
        return f"Where {len(lives)} classes have come within {CLASS_LOSS:.0%} of their accuracy for good: " + (
            f"{', '.join(parts)} dims{named}."
        )

    def heads_takeaway(self) -> str:
        """One sentence: at how many widths training together differs from training each width on its own."""
        parts = []
        for kind in ("mrl", "mrl-e"):
            said = []
            for word, is_so in (("more", lambda gain: gain.low > 0), ("less", lambda gain: gain.high < 0)):
                if dims := [str(dim) for dim, gain in zip(self.dims, self.gain[kind]) if is_so(gain)]:
                    said.append(f"{word} accurate at {', '.join(dims)} dims")
            parts.append(f"{kind.upper()} is {' and '.join(said) or 'no different at any width'}")
        return f"Against a head trained for each width alone, on {len(self.rows)} held-out rows: {'; '.join(parts)}."

    def takeaway(self, rule: ExitRule | None = None) -> str:
        """The test of the paper's headline on these data, as one honest sentence."""
        cascade = self.cascade(rule)
        full, fixed, lost = cascade.saving_full, cascade.saving_fixed, -cascade.gain_full.value
        beside = f"{100 * lost:.1f} points less than at" if lost > 0 else "no less than at"
        smaller = "surely" if fixed.low > 1 else "surely not" if fixed.high < 1 else "not surely"
        return (
            f"{self.label} ({len(self.classes)} classes): right for {cascade.accuracy.value:.1%}, {beside} full width, "
            f"reading {cascade.expected_dim.value:.1f} of {self.dims[-1]} dims: {full.value:.1f} times fewer "
            f"[{full.low:.1f}, {full.high:.1f}], {smaller} fewer than a fixed width of {cascade.fixed_dim}. "
            f"{self.verdict(rule)}"
        )

    def verdict(self, rule: ExitRule | None = None) -> str:
        """Whether the promise of 14 times holds here: so much smaller, and not surely less accurate than full width."""
        cascade = self.cascade(rule)
        is_equal = cascade.gain_full.high >= 0
        if is_equal and cascade.saving_full.low >= PROMISED_SAVING:
            return f"The promise of {PROMISED_SAVING} times at equal accuracy holds here."
        if is_equal and cascade.saving_full.high >= PROMISED_SAVING:
            return f"The promise of {PROMISED_SAVING} times is within reach here, not sure."
        return f"The promise of {PROMISED_SAVING} times at equal accuracy does not hold here."


def classify_adaptively(
    embeddings: npt.ArrayLike,
    labels: Mapping[str, Sequence[Hashable]],
    dims: Iterable[int],
    *,
    training: HeadTraining | None = None,
    n_folds: int = N_FOLDS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[AdaptiveClassification, ...]:
    """Heads for each label column, coarsest first, with their answers on the same held-out rows, for cascades.

    Three rows in ten are held out, drawn within the classes of the column that has most of them. Nested heads are also
    trained `n_folds` times without a part of the others: what they answer there is what thresholds are learnt on.

    Parameters
    ----------
    embeddings : array_like of shape (n_items, full_dim)
    labels : column name to one label per row; rows where any column has None or "" are left out
    dims : widths in 1..full_dim, two or more; the full width is added
    training : see `HeadTraining`
    n_folds : parts of the training rows, 2 or more
    seed : of the split and the parts, the initial weights and the batches, the bootstrap
    progress : called with (heads trained, heads in all)
    cancelled : asked after each epoch of training

    Raises
    ------
    EmptyInputError : no column, fewer than two classes in one, or too few rows to hold out.
    InvalidInputError : more than 1,000 classes in one.
    ShapeError, DimensionError, InvalidInputError : unusable arrays, widths or settings. CancelledError : `cancelled`
    returned true.

    Source: Kusupati et al. 2022, arXiv:2205.13147, sections 4.2 and 4.2.1; out-of-fold answers: Wolpert 1992, "Stacked
    generalization".
    """
    check_count("n_folds", n_folds, 2)
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
        if n_found > MOST_CLASSES:
            raise InvalidInputError(f"`{name}` has {n_found:,} classes; choose a column with at most {MOST_CLASSES:,}.")
    coded = {name: encode_labels(values, len(kept)) for name, values in given.items()}
    order = sorted(coded, key=lambda name: len(coded[name][0]))
    test = split_rows(coded[order[-1]][1], HELD_OUT, seed=seed)
    if len(test) < FEWEST_HELD_OUT:
        raise EmptyInputError(
            f"`{order[-1]}` leaves {len(test)} texts to measure on; give at least {FEWEST_HELD_OUT}, several of "
            "each class."
        )
    train = np.setdiff1d(np.arange(len(kept)), test)
    steps = _Steps(len(order) * (len(KINDS) + len(NESTED) * n_folds), training, seed, progress, cancelled)
    results = []
    for name in order:
        classes, targets = coded[name]
        labels_of = np.array([classes[target] for target in targets], dtype=object)
        heads = {kind: steps.train(rows[kept], labels_of, widths, kind, test) for kind in KINDS}
        folds = _folds(targets[train], n_folds, seed)
        folded: dict[HeadKind, Answers] = {}
        for kind in NESTED:
            parts = [
                _answers(
                    steps.train(rows[kept[train]], labels_of[train], widths, kind, part),
                    rows[kept[train[part]]], targets[train[part]],
                )
                for part in folds
            ]  # fmt: skip
            folded[kind] = _joined(parts, np.concatenate(folds))
        alone = heads["separate"].correct.astype(np.float64)
        results.append(AdaptiveClassification(
            label=name, classes=classes, dims=widths, rows=kept[test], heads=heads,
            gain={kind: bootstrap(found.correct - alone, seed=seed) for kind, found in heads.items()}, folded=folded,
            held_out={kind: _answers(heads[kind], rows[kept[test]], targets[test]) for kind in NESTED},
            targets=targets[test], seed=seed,
        ))  # fmt: skip
    return tuple(results)


@dataclass
class _Steps:
    """One set of heads after another, counted."""

    n_steps: int
    training: HeadTraining | None
    seed: int
    progress: Callable[[int, int], None] | None
    cancelled: Callable[[], bool] | None
    n_done: int = 0

    def train(
        self, rows: npt.NDArray[Any], labels: npt.NDArray[Any], dims: tuple[int, ...], kind: HeadKind,
        held_out: npt.NDArray[np.int64],
    ) -> TrainedHeads:  # fmt: skip
        found = train_heads(
            rows, labels, dims, kind=kind, held_out=held_out, training=self.training, seed=self.seed,
            cancelled=self.cancelled,
        )  # fmt: skip
        if found.stopped == "cancelled":
            raise CancelledError(f"The training of heads was stopped; {self.n_done} of {self.n_steps} were trained.")
        self.n_done += 1
        if self.progress is not None:
            self.progress(self.n_done, self.n_steps)
        return found


def _folds(targets: npt.NDArray[np.int64], n_folds: int, seed: int) -> list[npt.NDArray[np.int64]]:
    """Numbers of the rows of each part, ascending; every class is dealt over the parts."""
    shuffled = np.random.default_rng(seed).permutation(len(targets))
    dealt = shuffled[np.argsort(targets[shuffled], kind="stable")]
    parts = [np.sort(dealt[number::n_folds]) for number in range(n_folds)]
    return [part for part in parts if len(part)]


def _answers(heads: TrainedHeads, embeddings: npt.NDArray[Any], targets: npt.NDArray[np.int64]) -> Answers:
    """What heads answer, a block of rows after another."""
    blocks = [slice(start, start + BLOCK) for start in range(0, len(targets), BLOCK)]
    return _joined([answers_of(heads.probabilities(embeddings[block]), targets[block]) for block in blocks])


def _joined(parts: Sequence[Answers], rows: npt.NDArray[np.int64] | None = None) -> Answers:
    """Answers on several parts as one, in their order or by the numbers of their rows."""
    order = slice(None) if rows is None else np.argsort(rows)
    return Answers(*(
        np.concatenate([getattr(part, field.name) for part in parts], axis=1)[:, order] for field in fields(Answers)
    ))  # fmt: skip


def _mean(correct: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Per width; NaN without rows."""
    return correct.mean(axis=1) if correct.shape[1] else np.full(len(correct), np.nan)


def coarse_against_fine(
    coarse: AdaptiveClassification, fine: AdaptiveClassification, rule: ExitRule | None = None
) -> str:
    """One sentence: whether the column with fewer classes exits earlier, as the paper finds for superclasses.

    Source: Kusupati et al. 2022, arXiv:2205.13147, section 5 (superclasses need fewer dimensions).
    """
    low, high = coarse.cascade(rule), fine.cascade(rule)
    numbers = (
        f"{coarse.label} ({len(coarse.classes)} classes) exits after {low.expected_dim:.0f} dims, {fine.label} "
        f"({len(fine.classes)} classes) after {high.expected_dim:.0f}"
    )
    # The same rows, so the difference is paired.
    (later,) = bootstrap((high.exit_dim - low.exit_dim).astype(np.float64), seed=coarse.seed)
    if later.low <= 0 <= later.high:
        return f"{numbers}: neither surely exits earlier."
    if later.low > 0:
        return f"{numbers}: the coarse labels exit earlier."
    return f"{numbers}: here the fine labels exit earlier, against what the paper finds."


def exits_by_class(
    coarse: AdaptiveClassification, fine: AdaptiveClassification, rule: ExitRule | None = None
) -> list[dict[str, Any]]:
    """One record per coarse class: expected widths of its held-out rows when the coarse and when the fine label is
    asked for, the widest difference first."""
    low, high = coarse.cascade(rule).exit_dim, fine.cascade(rule).exit_dim
    found = [
        {
            "class": str(name), "n": int(own.sum()), "coarse_dim": float(low[own].mean()),
            "fine_dim": float(high[own].mean()),
        }
        for at, name in enumerate(coarse.classes)
        if (own := coarse.targets == at).any()
    ]  # fmt: skip
    return sorted(found, key=lambda record: record["coarse_dim"] - record["fine_dim"])
