"""Adaptive classification: answer with few dims where the classifier is sure, and read more only where it is not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.measures.estimate import Estimate, bootstrap
from mrl_viz.result import Result
from mrl_viz.truncation import check_dims

FloatArray = npt.NDArray[np.floating[Any]]
Confidence = Literal["margin", "softmax"]
CONFIDENCES: tuple[Confidence, ...] = get_args(Confidence)
RuleKind = Literal["loss", "paper"]
RULES: tuple[RuleKind, ...] = get_args(RuleKind)
# Thresholds tried for each pair of widths: 100 values from 0 to 1, as in the paper.
THRESHOLDS = np.linspace(0, 1, 100)
# Thresholds tried for all widths at once: so many quantiles of what was seen, which lie close where confidences do.
N_THRESHOLDS = 500
# A threshold that no confidence reaches.
NEVER = 2.0
# With fewer rows no threshold can be learnt, and nothing be measured.
FEWEST_ROWS = 4


@dataclass(frozen=True)
class ExitRule:
    """When a cascade answers: at the first width whose confidence reaches its threshold.

    `kind` : "loss" has one threshold for all widths, of those that lose at most `loss` of full width's accuracy the one
    that reads least; "paper" has one a width, the smallest of the most accurate, pair by pair.
    `confidence` : "margin" is the largest probability less the second, "softmax" the largest; both in [0, 1].
    `loss` : a share in [0, 1); 0.005 is half a point of accuracy.

    Source: "paper" with "softmax": Kusupati et al. 2022, arXiv:2205.13147, section 4.2.1 and its appendix; "loss": own
    definition; the margin as a confidence: Scheffer et al. 2001, "Active hidden Markov models", section 3.
    """

    kind: RuleKind = "loss"
    confidence: Confidence = "margin"
    loss: float = 0.005

    def check(self) -> None:
        """Raise InvalidInputError for a rule that cannot be."""
        for name, value, known in (("kind", self.kind, RULES), ("confidence", self.confidence, CONFIDENCES)):
            if value not in known:
                raise InvalidInputError(f"`{name}` is {value!r}; choose one of {list(known)}.")
        if not 0 <= self.loss < 1:
            raise InvalidInputError(f"`loss` is {self.loss}; choose a share from 0 to below 1, such as 0.005.")


PAPERS_RULE = ExitRule("paper", "softmax", 0.0)


@dataclass(frozen=True, eq=False)
class Answers:
    """What the heads of every width say of some rows that they were not trained on.

    `predicted` : the class, shape (n_dims, n_items); `correct` : whether it is right. `margin`, `softmax` : how sure
    the head is, in [0, 1], see `ExitRule`.
    """

    predicted: npt.NDArray[np.int64]
    correct: npt.NDArray[np.bool_]
    margin: npt.NDArray[np.float32]
    softmax: npt.NDArray[np.float32]

    def confidence(self, rule: ExitRule) -> npt.NDArray[np.float32]:
        """What the rule goes by, shape (n_dims, n_items)."""
        return self.margin if rule.confidence == "margin" else self.softmax


def answers_of(probabilities: npt.ArrayLike, targets: npt.ArrayLike) -> Answers:
    """Answers and confidences from probabilities.

    Parameters
    ----------
    probabilities : array_like of shape (n_dims, n_items, n_classes), two classes or more
    targets : array_like of shape (n_items,), the column of the right class

    Raises
    ------
    ShapeError : the two do not go together, or a probability is not finite.
    """
    scores, right = np.asarray(probabilities), np.asarray(targets)
    if scores.ndim != 3 or scores.shape[2] < 2 or right.shape != scores.shape[1:2]:
        raise ShapeError(
            f"`probabilities` has shape {scores.shape} and `targets` {right.shape}; "
            "give (n_dims, n_items, n_classes) and (n_items,)."
        )
    if not np.isfinite(scores).all():
        raise ShapeError("`probabilities` has NaN or infinity; train the heads again.")
    predicted = scores.argmax(axis=2)
    second, first = np.moveaxis(np.partition(scores, -2, axis=2)[..., -2:], 2, 0).astype(np.float32)
    return Answers(predicted.astype(np.int64), predicted == right, first - second, first)


@dataclass(frozen=True, eq=False)
class Cascade(Result):
    """What answering at the first sure width gives, on rows that neither heads nor thresholds were learnt on.

    Estimates have 95 % bootstrap intervals over those rows; accuracies are shares in [0, 1], widths in coordinates.
    `thresholds` : one per width but the last; above 1 where no row is ever sure enough.
    `expected_dim` : Σ π_j m_j, π_j the share of rows that exit at width j (`exit_share`, one per width).
    `cumulative_dim` : Σ π_j (m_1 + … + m_j), the coordinates that all heads up to the exit have read.
    `accuracy` : of the cascade. `fixed_accuracy` : of each width alone.
    `fixed_dim` : the best fixed width: the smallest that does as well as was asked of the cascade, on the rows that the
    thresholds were learnt on. `gain_full`, `gain_fixed` : accuracy less that of full width, and of `fixed_dim`.
    `oracle_dim`, `oracle_accuracy` : of the smallest width that is right, the largest where none is.
    `exit_dim`, `right` : per row, where it exits and whether it is answered rightly.
    `smallest_right_dim` : per row, the smallest width whose head is right, 0 where none is.
    """

    dims: tuple[int, ...]
    n_items: int
    n_learnt: int
    rule: ExitRule
    thresholds: tuple[float, ...]
    expected_dim: Estimate
    cumulative_dim: Estimate
    accuracy: Estimate
    fixed_accuracy: tuple[Estimate, ...]
    exit_share: tuple[Estimate, ...]
    fixed_dim: int
    gain_full: Estimate
    gain_fixed: Estimate
    oracle_dim: Estimate
    oracle_accuracy: Estimate
    exit_dim: npt.NDArray[np.int64]
    right: npt.NDArray[np.bool_]
    smallest_right_dim: npt.NDArray[np.int64]
    _without: ClassVar = ("exit_dim", "right", "smallest_right_dim")
    _also: ClassVar = ("saving_full", "saving_fixed")

    @property
    def saving_full(self) -> Estimate:
        """How many times smaller the expected width is than the full one."""
        return self._times(self.dims[-1])

    @property
    def saving_fixed(self) -> Estimate:
        """How many times smaller the expected width is than the best fixed one."""
        return self._times(self.fixed_dim)

    def _times(self, dim: int) -> Estimate:
        expected = self.expected_dim
        return Estimate(dim / expected.value, dim / expected.high, dim / expected.low)

    def easy(self, n: int = 5) -> tuple[int, ...]:
        """Rows that are answered rightly and earliest, ties to the lower row."""
        return _ordered(self.exit_dim, self.right)[:n]

    def hard(self, n: int = 5) -> tuple[int, ...]:
        """Rows that exit last, those answered wrongly first among equals, then the lower row."""
        return _ordered(self.right - 2 * self.exit_dim, np.ones(self.n_items, dtype=bool))[:n]

    def rows(self) -> list[dict[str, Any]]:
        """One record per width: the share that exits there, and the accuracy of that width alone."""
        return self.records("exit_share", accuracy=self.fixed_accuracy)

    def takeaway(self) -> str:
        """One sentence: what the cascade reads and how often it is right, beside full width and the best fixed one."""
        level = self.dims.index(self.fixed_dim)
        return (
            f"Reading {self.expected_dim.value:.1f} dims on average, the cascade is right for "
            f"{self.accuracy.value:.1%}; all {self.dims[-1]} are for {self.fixed_accuracy[-1].value:.1%}, a fixed "
            f"width of {self.fixed_dim} for {self.fixed_accuracy[level].value:.1%}."
        )


def learn_thresholds(confidence: FloatArray, correct: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """The paper's thresholds t_1 … t_(n-1), pair by pair, shape (n_dims - 1,).

    For widths j and j+1: of the 100 values, the smallest among those with the best accuracy of "answer at j where the
    confidence there is at least t, else at j+1".

    Parameters
    ----------
    confidence : of shape (n_dims, n_items), in [0, 1]; the paper takes the maximum softmax
    correct : whether that width's answer is right, same shape

    Raises
    ------
    ShapeError, EmptyInputError : the two differ in shape, or there are no items.

    Source: Kusupati et al. 2022, arXiv:2205.13147, section 4.2.1 and its appendix.
    """
    confidence, correct = _checked(confidence, correct)
    thresholds = np.empty(len(confidence) - 1)
    for level in range(len(thresholds)):
        answers_here = confidence[level][None, :] >= THRESHOLDS[:, None]
        right = np.where(answers_here, correct[level], correct[level + 1]).sum(axis=1)
        thresholds[level] = THRESHOLDS[right.argmax()]  # argmax takes the first, that is the smallest threshold
    return thresholds


def learn_one_threshold(
    confidence: FloatArray, correct: npt.NDArray[np.bool_], dims: Iterable[int], loss: float
) -> npt.NDArray[np.float64]:
    """One threshold for all widths, repeated to shape (n_dims - 1,): it reads least and loses at most `loss`.

    Of 500 quantiles of the confidences, the one with the smallest expected width whose accuracy is at least that of
    full width less `loss`; `NEVER`, which always reads everything, where none has it.

    Parameters
    ----------
    confidence, correct : as in `learn_thresholds`
    dims : the ascending widths of the first axis
    loss : share of the rows, in [0, 1)

    Raises
    ------
    ShapeError, EmptyInputError : as `learn_thresholds`.
    """
    confidence, correct = _checked(confidence, correct)
    widths = np.asarray(tuple(dims))
    tried = np.unique(np.quantile(confidence[:-1], np.linspace(0, 1, N_THRESHOLDS), method="lower"))
    least = correct[-1].sum() - loss * correct.shape[1]
    best, smallest = NEVER, float(widths[-1])
    for threshold in tried:
        exits = exit_levels(confidence, np.full(len(confidence) - 1, threshold))
        expected = widths[exits].mean()
        # A rounding of the product must not cost a row.
        if expected < smallest and correct[exits, np.arange(len(exits))].sum() >= least - 1e-9:
            best, smallest = float(threshold), expected
    return np.full(len(confidence) - 1, best)


def _checked(confidence: npt.ArrayLike, correct: npt.ArrayLike) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    sure, right = np.asarray(confidence), np.asarray(correct, dtype=bool)
    if sure.ndim != 2 or sure.shape != right.shape:
        raise ShapeError(f"`confidence` has shape {sure.shape} and `correct` {right.shape}; give one value each.")
    if sure.shape[1] == 0:
        raise EmptyInputError("`confidence` has no items; thresholds need at least one validation row.")
    return sure, right


def exit_levels(confidence: FloatArray, thresholds: FloatArray) -> npt.NDArray[np.int64]:
    """The position of the first width that is sure enough, the last for rows that none is, shape (n_items,).

    Parameters
    ----------
    confidence : of shape (n_dims, n_items)
    thresholds : shape (n_dims - 1,)
    """
    is_sure = confidence[:-1] >= np.asarray(thresholds)[:, None]
    sure = np.vstack([is_sure, np.ones((1, confidence.shape[1]), dtype=bool)])
    return np.asarray(sure.argmax(axis=0), dtype=np.int64)


def adaptive_classification(
    learn: Answers, measure: Answers, dims: Iterable[int], *, rule: ExitRule | None = None, seed: int = 0
) -> Cascade:
    """Thresholds learnt on some rows, and what the cascade does on others.

    Parameters
    ----------
    learn : answers on rows that their heads were not trained on, such as those of a cross-validation
    measure : answers on other rows
    dims : the ascending widths, at least two
    rule : see `ExitRule`
    seed : of the bootstrap

    Raises
    ------
    ShapeError, EmptyInputError, DimensionError, InvalidInputError : unusable answers, widths or rule.

    Source: Kusupati et al. 2022, arXiv:2205.13147, section 4.2.1 (adaptive classification).
    """
    widths = np.array(check_dims(dims, np.iinfo(np.int32).max))
    rule = rule or ExitRule()
    rule.check()
    if len(widths) < 2:
        raise InvalidInputError(f"`dims` has {len(widths)} width; a cascade needs at least 2.")
    for name, answers in (("learn", learn), ("measure", measure)):
        if len(answers.correct) != len(widths):
            raise ShapeError(f"`{name}` has answers of {len(answers.correct)} widths and `dims` {len(widths)}.")
        if (n_rows := answers.correct.shape[1]) < FEWEST_ROWS:
            raise EmptyInputError(f"`{name}` has {n_rows} rows; a cascade needs at least {FEWEST_ROWS}.")
    sure = learn.confidence(rule)
    if rule.kind == "paper":
        thresholds = learn_thresholds(sure, learn.correct)
        asked = _right(learn, exit_levels(sure, thresholds)).sum()
    else:
        thresholds = learn_one_threshold(sure, learn.correct, widths.tolist(), rule.loss)
        asked = learn.correct[-1].sum() - rule.loss * learn.correct.shape[1]
    enough = learn.correct.sum(axis=1) >= asked - 1e-9
    fixed_level = int(enough.argmax()) if enough.any() else len(widths) - 1
    return _measure_cascade(measure, widths, rule, thresholds, fixed_level, learn.correct.shape[1], seed)


def _right(answers: Answers, exits: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    return np.asarray(answers.correct[exits, np.arange(len(exits))])


def _measure_cascade(
    answers: Answers, widths: npt.NDArray[Any], rule: ExitRule, thresholds: npt.NDArray[np.float64], fixed_level: int,
    n_learnt: int, seed: int,
) -> Cascade:  # fmt: skip
    """The kernel: exits, and every number with one bootstrap over the rows."""
    exits, correct = exit_levels(answers.confidence(rule), thresholds), answers.correct
    n_dims, n_items = correct.shape
    right, any_right = _right(answers, exits), correct.any(axis=0)
    first_right = widths[np.where(any_right, correct.argmax(axis=0), n_dims - 1)]
    values = np.vstack([
        widths[exits], widths.cumsum()[exits], right, first_right, any_right,
        right.astype(float) - correct[-1], right.astype(float) - correct[fixed_level],
        correct, exits == np.arange(n_dims)[:, None],
    ]).astype(np.float64)  # fmt: skip
    expected, cumulative, accuracy, oracle_dim, oracle_accuracy, gain_full, gain_fixed, *others = bootstrap(
        values, seed=seed
    )
    return Cascade(
        dims=tuple(widths.tolist()), n_items=n_items, n_learnt=n_learnt, rule=rule,
        thresholds=tuple(thresholds.tolist()), expected_dim=expected, cumulative_dim=cumulative, accuracy=accuracy,
        fixed_accuracy=tuple(others[:n_dims]), exit_share=tuple(others[n_dims:]), fixed_dim=int(widths[fixed_level]),
        gain_full=gain_full, gain_fixed=gain_fixed, oracle_dim=oracle_dim, oracle_accuracy=oracle_accuracy,
        exit_dim=widths[exits], right=right, smallest_right_dim=np.where(any_right, first_right, 0),
    )  # fmt: skip


def _ordered(key: npt.NDArray[Any], wanted: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    rows = np.flatnonzero(wanted)
    return tuple(rows[np.argsort(key[rows], kind="stable")].tolist())
