"""Adaptive classification: answer with few dims where the classifier is sure, and read more only where it is not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.result import Result
from mrl_viz.truncation import check_dims

Floats = npt.NDArray[np.floating[Any]]
# Thresholds tried for each pair of widths: 100 values from 0 to 1, as in the paper.
THRESHOLDS = np.linspace(0, 1, 100)
N_SPLITS = 30


class Spread(NamedTuple):
    """Mean and standard deviation over splits; formatting one formats both: "0.52 ± 0.01"."""

    mean: float
    sd: float

    def __format__(self, spec: str) -> str:
        return f"{self.mean:{spec}} ± {self.sd:{spec}}"


@dataclass(frozen=True, eq=False)
class Cascade(Result):
    """What answering at the first sure width gives, over random splits into validation rows and measured rows.

    Spreads are over the splits; accuracies are shares in [0, 1], widths are in coordinates.
    `expected_dim` : Σ π_j m_j, π_j the share of rows that exit at width j (`exit_share`, one per width).
    `cumulative_dim` : Σ π_j (m_1 + … + m_j), the coordinates all heads up to the exit have read.
    `accuracy` : of the cascade. `fixed_accuracy` : of each width alone, on the same measured rows.
    `oracle_dim`, `oracle_accuracy` : of the smallest width that is right, the largest where none is.
    `thresholds` : ndarray of shape (n_splits, n_dims - 1).
    `mean_exit_dim` : per row, the mean exit width over the splits that measured it, NaN where none did.
    `mean_correct` : per row, the share of those splits in which the cascade was right, NaN where none did.
    `smallest_right_dim` : per row, the smallest width whose head is right, 0 where none is.
    """

    dims: tuple[int, ...]
    n_items: int
    n_splits: int
    expected_dim: Spread
    cumulative_dim: Spread
    accuracy: Spread
    fixed_accuracy: tuple[Spread, ...]
    exit_share: tuple[Spread, ...]
    oracle_dim: Spread
    oracle_accuracy: Spread
    thresholds: npt.NDArray[np.float64]
    mean_exit_dim: npt.NDArray[np.float64]
    mean_correct: npt.NDArray[np.float64]
    smallest_right_dim: npt.NDArray[np.int64]
    _without: ClassVar = ("mean_exit_dim", "mean_correct", "smallest_right_dim")
    _also: ClassVar = ("saving",)

    @property
    def equal_fixed_dim(self) -> int | None:
        """The smallest single width at least as accurate as the cascade (means over splits); None where none is."""
        return next((dim for dim, (mean, _) in zip(self.dims, self.fixed_accuracy) if mean >= self.accuracy[0]), None)

    @property
    def saving(self) -> float:
        """How many times smaller the expected width is than the single width it equals, or the largest."""
        return (self.equal_fixed_dim or self.dims[-1]) / self.expected_dim[0]

    def easy(self, n: int = 5) -> tuple[int, ...]:
        """Rows that were always right and exit earliest, ties to the lower row."""
        return _ordered(self.mean_exit_dim, self.mean_correct == 1)[:n]

    def hard(self, n: int = 5) -> tuple[int, ...]:
        """Rows that exit last, those answered wrongly first among equals, then the lower row."""
        return _ordered(-self.mean_exit_dim + self.mean_correct * 1e-6, ~np.isnan(self.mean_exit_dim))[:n]

    def rows(self) -> list[dict[str, Any]]:
        """One record per width: the share that exits there, and the accuracy of that width alone."""
        share, share_sd = zip(*self.exit_share)
        fixed, fixed_sd = zip(*self.fixed_accuracy)
        return self.records(exit_share=share, exit_share_sd=share_sd, accuracy=fixed, accuracy_sd=fixed_sd)

    def takeaway(self) -> str:
        """One sentence: the cascade's accuracy and expected width beside the single width it equals."""
        dim = self.equal_fixed_dim
        beside = f"as a fixed width of {dim} is" if dim else f"more than any single width up to {self.dims[-1]}"
        return (
            f"Reading {self.expected_dim:.0f} dims on average, the cascade is right for {self.accuracy:.1%}, {beside}: "
            f"it reads {1 / self.saving:.0%} of that width."
        )


def learn_thresholds(confidence: Floats, correct: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """The thresholds t_1 … t_(n-1) on the maximum softmax, pair by pair, shape (n_dims - 1,).

    For widths j and j+1: of the 100 values, the smallest among those with the best accuracy of "answer at j where the
    confidence there is at least t, else at j+1".

    Parameters
    ----------
    confidence : maximum softmax of shape (n_dims, n_items), in [0, 1]
    correct : whether that width's answer is right, same shape

    Raises
    ------
    ShapeError, EmptyInputError : the two differ in shape, or there are no items.

    Source: Kusupati et al. 2022, arXiv:2205.13147, section 4.2.1 and its appendix.
    """
    confidence, correct = np.asarray(confidence), np.asarray(correct, dtype=bool)
    if confidence.ndim != 2 or confidence.shape != correct.shape:
        raise ShapeError(
            f"`confidence` has shape {confidence.shape} and `correct` {correct.shape}; give one value each."
        )
    if confidence.shape[1] == 0:
        raise EmptyInputError("`confidence` has no items; thresholds need at least one validation row.")
    thresholds = np.empty(len(confidence) - 1)
    for level in range(len(thresholds)):
        answers_here = confidence[level][None, :] >= THRESHOLDS[:, None]
        right = np.where(answers_here, correct[level], correct[level + 1]).sum(axis=1)
        thresholds[level] = THRESHOLDS[right.argmax()]  # argmax takes the first, that is the smallest threshold
    return thresholds


def exit_levels(confidence: Floats, thresholds: Floats) -> npt.NDArray[np.int64]:
    """The position of the first width that is sure enough, the last for rows that none is, shape (n_items,).

    Parameters
    ----------
    confidence : maximum softmax of shape (n_dims, n_items)
    thresholds : shape (n_dims - 1,)
    """
    is_sure = confidence[:-1] >= np.asarray(thresholds)[:, None]
    sure = np.vstack([is_sure, np.ones((1, confidence.shape[1]), dtype=bool)])
    return np.asarray(sure.argmax(axis=0), dtype=np.int64)


def adaptive_classification(
    probabilities: npt.ArrayLike,
    targets: npt.ArrayLike,
    dims: Iterable[int],
    *,
    n_splits: int = N_SPLITS,
    seed: int = 0,
) -> Cascade:
    """Thresholds learnt on random halves of the rows, and what the cascade does on the other halves.

    Parameters
    ----------
    probabilities : array_like of shape (n_dims, n_items, n_classes), of rows the heads were not trained on
    targets : array_like of shape (n_items,), the column of the right class
    dims : the ascending widths of the first axis, at least two
    n_splits : random splits, because one is noisy
    seed : of the splits

    Raises
    ------
    ShapeError, EmptyInputError, DimensionError, InvalidInputError : unusable arrays, widths or settings.

    Source: Kusupati et al. 2022, arXiv:2205.13147, section 4.2.1 (adaptive classification).
    """
    scores, answers = np.asarray(probabilities), np.asarray(targets)
    widths = np.array(check_dims(dims, np.iinfo(np.int32).max))
    if scores.ndim != 3 or scores.shape[0] != len(widths) or answers.shape != scores.shape[1:2]:
        raise ShapeError(
            f"`probabilities` has shape {scores.shape} and `targets` {answers.shape} for {len(widths)} widths; "
            "give (n_dims, n_items, n_classes) and (n_items,)."
        )
    if len(widths) < 2:
        raise InvalidInputError(f"`dims` has {len(widths)} width; a cascade needs at least 2.")
    if not np.isfinite(scores).all():
        raise ShapeError("`probabilities` has NaN or infinity; train the heads again.")
    n_items = scores.shape[1]
    if n_items < 4:
        raise EmptyInputError(
            f"`probabilities` has {n_items} rows; learning and measuring thresholds needs at least 4."
        )
    if n_splits < 1:
        raise InvalidInputError(f"`n_splits` is {n_splits}; choose 1 or more.")
    correct = np.equal(scores.argmax(axis=2), answers)
    return _measure_cascade(scores.max(axis=2), correct, widths, n_splits, seed)


def _measure_cascade(
    confidence: Floats, correct: npt.NDArray[np.bool_], widths: npt.NDArray[Any], n_splits: int, seed: int
) -> Cascade:
    """The kernel: split, learn, measure, and add up over splits."""
    n_dims, n_items = confidence.shape
    n_learn = round(n_items / 2)
    n_measured = n_items - n_learn
    rng = np.random.default_rng(seed)
    thresholds = np.empty((n_splits, n_dims - 1))
    exits = np.full((n_splits, n_items), -1)
    for split in range(n_splits):
        learn, measure = np.split(rng.permutation(n_items), [n_learn])
        thresholds[split] = learn_thresholds(confidence[:, learn], correct[:, learn])
        exits[split, measure] = exit_levels(confidence[:, measure], thresholds[split])
    is_measured = (exits >= 0).astype(np.float64)
    times = is_measured.sum(axis=0)
    times[times == 0] = np.nan
    right = correct[exits, np.arange(n_items)] * is_measured
    shares = np.stack([(exits == level).sum(axis=1) for level in range(n_dims)], axis=1) / n_measured
    any_right: npt.NDArray[np.bool_] = np.asarray(correct.any(axis=0))
    first_right = widths[np.where(any_right, correct.argmax(axis=0), n_dims - 1)]
    return Cascade(
        dims=tuple(widths.tolist()),
        n_items=n_items,
        n_splits=n_splits,
        expected_dim=_spread(shares @ widths),
        cumulative_dim=_spread(shares @ widths.cumsum()),
        accuracy=_spread(right.sum(axis=1) / n_measured),
        fixed_accuracy=tuple(map(_spread, (is_measured @ correct.T / n_measured).T)),
        exit_share=tuple(map(_spread, shares.T)),
        oracle_dim=_spread(is_measured @ first_right / n_measured),
        oracle_accuracy=_spread(is_measured @ any_right / n_measured),
        thresholds=thresholds,
        mean_exit_dim=(widths[exits] * is_measured).sum(axis=0) / times,
        mean_correct=right.sum(axis=0) / times,
        smallest_right_dim=np.where(any_right, first_right, 0),
    )


def _spread(values: Floats) -> Spread:
    """Mean and sample standard deviation, 0 for one value."""
    return Spread(float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else 0.0)


def _ordered(key: npt.NDArray[np.float64], wanted: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    rows = np.flatnonzero(wanted)
    return tuple(rows[np.argsort(key[rows], kind="stable")].tolist())
