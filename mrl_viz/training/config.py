"""How a contrastive training is set up, and whether that can be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from mrl_viz.errors import DataFormatError, DimensionError, InvalidInputError
from mrl_viz.result import Result
from mrl_viz.truncation import check_dims, default_dims

Base = Literal["projection", "static", "whole"]
Schedule = Literal["all", "progressive", "large-first", "sampled"]
Run = Literal["matryoshka", "plain"]
BASES: tuple[Base, ...] = get_args(Base)
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)
Weights = Literal["uniform", "importance"] | Sequence[float]
RUNS: tuple[Run, ...] = get_args(Run)
# A fresh matrix and single table rows take large steps; a trained transformer takes the usual small ones.
LEARNING_RATES: Mapping[str, float] = {"projection": 1e-2, "static": 1e-2, "whole": 2e-5}
# Far above anything that learns, and far below what overflows inside Adam.
MOST_RATE = 1000.0
# Of the importance weights α^i: the second smallest width counts 0.8 of the smallest, the third 0.64.
IMPORTANCE_ALPHA = 0.8


@dataclass(frozen=True)
class TrainingConfig(Result):
    """How to train; everything but the data.

    `model` : name of the model to start from. `base` : what is trained: "projection", a matrix on the frozen,
    normalised features that starts as a random rotation, so that no order of coordinates is inherited; "static", the
    rows of a static table whose tokens occur; "whole", everything.
    `dims` : widths of the loss, empty for the powers of two; the full width is always added.
    `weights` : see `loss_weights`.
    `schedule` : "all" widths in every step; "progressive", the smallest ones first, larger ones join until half of the
    epochs are over; "large-first", the full width first, smaller ones join likewise; "sampled", `n_dims_per_step`
    random ones in each step.
    `epochs`, `batch_size` : see `epoch_batches`. `learning_rate` : of Adam, None for LEARNING_RATES; warms up over a
    tenth, then falls along a cosine. `dropout` : share of frozen features hidden in each step, against overfitting,
    projection only. `scale` : what cosines are multiplied with. `seed` : of start, order and dropout.
    """

    model: str = "wordllama"
    base: Base = "projection"
    dims: tuple[int, ...] = ()
    weights: Literal["uniform", "importance"] | tuple[float, ...] = "uniform"
    schedule: Schedule = "all"
    n_dims_per_step: int = 2
    epochs: int = 20
    batch_size: int = 32
    learning_rate: float | None = None
    dropout: float = 0.3
    scale: float = 20.0
    seed: int = 0

    @property
    def step_size(self) -> float:
        """The learning rate in use."""
        return LEARNING_RATES[self.base] if self.learning_rate is None else self.learning_rate

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> TrainingConfig:
        """What `to_dict` wrote, also after a trip through JSON.

        Raises
        ------
        DataFormatError : unknown fields.
        """
        known = {field.name for field in fields(cls)}
        if unknown := set(saved) - known:
            raise DataFormatError(f"`config` has unknown fields {sorted(unknown)}; it knows {sorted(known)}.")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in saved.items()
        }
        return cls(**values)

    def takeaway(self) -> str:
        """One sentence: what is trained and how."""
        return (
            f"{self.base} on {self.model}, {self.schedule} widths, {self.epochs} epochs in batches of "
            f"{self.batch_size} at a rate of {self.step_size:g}, seed {self.seed}."
        )


def check_config(config: TrainingConfig, full_dim: int) -> tuple[int, ...]:
    """The widths of the loss, ascending, with the full one last.

    Raises
    ------
    DimensionError : no width below the full one, or one above it.
    InvalidInputError : any other setting that cannot be; the message names it.
    """
    dims = check_dims((*(config.dims or default_dims(full_dim)), full_dim), full_dim)
    if len(dims) == 1:
        raise DimensionError(
            f"`dims` has no width below the full {full_dim}; add smaller ones, such as {max(full_dim // 4, 1)}."
        )
    for name, known in (("base", BASES), ("schedule", SCHEDULES)):
        if (value := getattr(config, name)) not in known:
            raise InvalidInputError(f"`{name}` is {value!r}; choose one of {', '.join(known)}.")
    weights = config.weights
    if not isinstance(weights, str) and len(weights) == len(dims) - 1 and full_dim not in config.dims:
        raise InvalidInputError(
            f"`weights` has {len(weights)} numbers, but the full width {full_dim} needs one as well; add it last."
        )
    loss_weights(dims, weights)
    n_sampled = config.n_dims_per_step
    for name, is_possible, allowed in (
        ("n_dims_per_step", config.schedule != "sampled" or 1 <= n_sampled <= len(dims), f"1 to {len(dims)}"),
        ("epochs", config.epochs >= 1, "1 or more"),
        ("learning_rate", 0 < config.step_size <= MOST_RATE, f"a number above 0, at most {MOST_RATE:g}"),
        ("scale", 0 < config.scale < math.inf, "a number above 0, such as 20"),
        ("dropout", 0 <= config.dropout < 1, "a share from 0 up and below 1"),
        ("seed", config.seed >= 0, "0 or more"),
    ):
        if not is_possible:
            raise InvalidInputError(f"`{name}` is {getattr(config, name)}; choose {allowed}.")
    return dims


def loss_weights(dims: Sequence[int], weights: Weights = "uniform") -> tuple[float, ...]:
    """The factor c_m of each width's loss, in the order of `dims`.

    Parameters
    ----------
    dims : the widths, ascending
    weights : "uniform" (1 each), "importance" (0.8^i for the i-th from the smallest), or one number >= 0 per width

    Raises
    ------
    InvalidInputError : an unknown name, another number of weights than widths, a negative one, or none above 0.

    Source: Kusupati et al. 2022, arXiv:2205.13147, section 3 (c_m = 1) and appendix (weighted small widths).
    """
    if isinstance(weights, str):
        if weights not in ("uniform", "importance"):
            raise InvalidInputError(
                f"`weights` is {weights!r}; choose 'uniform', 'importance' or one number per width."
            )
        return tuple(IMPORTANCE_ALPHA**place if weights == "importance" else 1.0 for place in range(len(dims)))
    given = tuple(float(weight) for weight in weights)
    if len(given) != len(dims):
        raise InvalidInputError(f"`weights` has {len(given)} numbers for {len(dims)} widths; give one per width.")
    if not (all(map(math.isfinite, given)) and min(given) >= 0 and max(given) > 0):
        raise InvalidInputError(f"`weights` is {given}; give finite numbers from 0 up, at least one of them above 0.")
    return given
