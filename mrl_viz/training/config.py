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
# The two runs that every training has, and those of a model for one width alone.
Run = Literal["matryoshka", "plain", "alone"]
BASES: tuple[Base, ...] = get_args(Base)
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)
NamedWeights = Literal["uniform", "importance", "boost"]
Weights = NamedWeights | Sequence[float]
Spacing = Literal["log", "even"]
SPACINGS: tuple[Spacing, ...] = get_args(Spacing)
RUNS: tuple[Run, ...] = ("matryoshka", "plain")
# A fresh matrix and single table rows take large steps; a trained transformer takes the usual small ones.
LEARNING_RATES: Mapping[str, float] = {"projection": 1e-2, "static": 1e-2, "whole": 2e-5}
# Far above anything that learns, and far below what overflows inside Adam.
MOST_RATE = 1000.0
# Of the importance weights α^i: the second smallest width counts 0.8 of the smallest, the third 0.64.
IMPORTANCE_ALPHA = 0.8
MOST_ALPHA = 10.0
# More than these are shortened in words.
MOST_WIDTHS_SAID = 8
# The smallest width's weight where it is boosted, beside 1 for every other.
BOOST = 2.0
# What is quickly trained once more for each width; a whole model for each would take hours and gigabytes.
SMALL_BASES: tuple[Base, ...] = ("projection", "static")


@dataclass(frozen=True)
class TrainingConfig(Result):
    """How to train; everything but the data.

    `model` : name of the model to start from. `base` : what is trained: "projection", a matrix on the frozen,
    normalised features that starts as a random rotation, so that no order of coordinates is inherited; "static", the
    rows of a static table whose tokens occur; "whole", everything.
    `dims` : widths of the loss, empty for the powers of two; the full width is always added.
    `weights`, `alpha` : see `loss_weights`.
    `alone` : widths below the full one that a model each is trained for alone, to compare with; small bases only.
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
    weights: NamedWeights | tuple[float, ...] = "uniform"
    alpha: float = IMPORTANCE_ALPHA
    alone: tuple[int, ...] = ()
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

    @property
    def n_models(self) -> int:
        """How many models are trained: the Matryoshka one, its plain twin, and those for one width alone."""
        return len(RUNS) + len(set(self.alone))

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
        alone = f", and {len(set(self.alone))} models for one width alone" if self.alone else ""
        return (
            f"{self.base} on {self.model}, {self.widths_said} with {self.weights_said} weights, {self.schedule_said}, "
            f"{self.epochs} epochs in batches of {self.batch_size} at a rate of {self.step_size:g}, seed {self.seed}"
            f"{alone}."
        )

    @property
    def widths_said(self) -> str:
        """The widths of the loss, in words."""
        shown = list(map(str, self.dims))
        if len(shown) > MOST_WIDTHS_SAID:
            shown = [*shown[:3], "…", shown[-1]]
        return f"widths {' '.join(shown)}" if shown else "powers of two"

    @property
    def weights_said(self) -> str:
        """Their weights, in words."""
        if self.weights == "importance":
            return f"α = {self.alpha:g}"
        named = {"uniform": "equal", "boost": "2, 1, 1 …"}
        return named[self.weights] if isinstance(self.weights, str) else ", ".join(f"{one:g}" for one in self.weights)

    @property
    def schedule_said(self) -> str:
        """Which of them each step trains, in words."""
        named = {"all": "all in every step", "sampled": f"{self.n_dims_per_step} sampled a step"}
        return named.get(self.schedule, self.schedule)


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
    if config.alone:
        if config.base not in SMALL_BASES:
            raise InvalidInputError(
                f"`alone` asks for {len(config.alone)} more trainings of a whole model; leave it out, or choose the "
                f"base {' or '.join(SMALL_BASES)}."
            )
        if check_dims(config.alone, full_dim)[-1] == full_dim:
            raise DimensionError(f"`alone` has the full width {full_dim}, which the plain twin is; leave it out.")
    weights = config.weights
    if not isinstance(weights, str) and len(weights) == len(dims) - 1 and full_dim not in config.dims:
        raise InvalidInputError(
            f"`weights` has {len(weights)} numbers, but the full width {full_dim} needs one as well; add it last."
        )
    loss_weights(dims, weights, config.alpha)
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


def nesting_dims(full_dim: int, spacing: Spacing = "log", smallest: int = 8) -> tuple[int, ...]:
    """Widths for a nested loss, ascending from `smallest` to `full_dim`.

    Parameters
    ----------
    spacing : "log" doubles from width to width; "even" has as many widths as that, in equal steps, so that both cost
        the same
    smallest : 1 to full_dim - 1

    Raises
    ------
    InvalidInputError : an unknown spacing. DimensionError : `smallest` outside its range.

    Source: Kusupati et al. 2022, arXiv:2205.13147, section 3 (log) and appendix (uniform).
    """
    if spacing not in SPACINGS:
        raise InvalidInputError(f"`spacing` is {spacing!r}; choose one of {', '.join(SPACINGS)}.")
    if not 1 <= smallest < full_dim:
        raise DimensionError(f"`smallest` is {smallest} but the full width is {full_dim}; choose 1 to {full_dim - 1}.")
    doubled = [smallest]
    while 2 * doubled[-1] < full_dim:
        doubled.append(2 * doubled[-1])
    if spacing == "log":
        return (*doubled, full_dim)
    step = (full_dim - smallest) / len(doubled)
    return (*(round(smallest + place * step) for place in range(len(doubled))), full_dim)


def loss_weights(
    dims: Sequence[int], weights: Weights = "uniform", alpha: float = IMPORTANCE_ALPHA
) -> tuple[float, ...]:
    """The factor c_m of each width's loss, in the order of `dims`.

    Parameters
    ----------
    dims : the widths, ascending
    weights : "uniform" (1 each), "importance" (alpha^i for the i-th from the smallest), "boost" (2 for the smallest, 1
        for the others), or one number >= 0 per width
    alpha : above 0; below 1 small widths count more, above 1 large ones

    Raises
    ------
    InvalidInputError : an unknown name, `alpha` out of range, another number of weights than widths, a negative one, or
        none above 0.

    Source: Kusupati et al. 2022, arXiv:2205.13147, section 3 (c_m = 1) and appendix (MRL-8boost: c = 2, 1, 1 …);
    alpha^i is our own definition.
    """
    if isinstance(weights, str):
        if weights not in get_args(NamedWeights):
            raise InvalidInputError(
                f"`weights` is {weights!r}; choose {', '.join(map(repr, get_args(NamedWeights)))} or one number per "
                "width."
            )
        if not 0 < alpha <= MOST_ALPHA:
            raise InvalidInputError(f"`alpha` is {alpha}; choose a number above 0, at most {MOST_ALPHA:g}.")
        if weights == "boost":
            return tuple(1.0 if place else BOOST for place in range(len(dims)))
        return tuple(alpha**place if weights == "importance" else 1.0 for place in range(len(dims)))
    given = tuple(float(weight) for weight in weights)
    if len(given) != len(dims):
        raise InvalidInputError(f"`weights` has {len(given)} numbers for {len(dims)} widths; give one per width.")
    if not (all(map(math.isfinite, given)) and min(given) >= 0 and max(given) > 0):
        raise InvalidInputError(f"`weights` is {given}; give finite numbers from 0 up, at least one of them above 0.")
    return given
