"""Contrastive training of a sentence-transformers model at every width at once, and of its plain twin at full width only.

The losses are sentence-transformers' own MatryoshkaLoss and MultipleNegativesRankingLoss. The loop is ours: its
SentenceTransformerTrainer needs two more packages (datasets, accelerate), keeps checkpoints as pickles, draws sampled widths
from a global generator, and reports one number for all widths. This one is seeded throughout, so that a run that was killed
and resumed gives the same model as one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from mrl_viz.embedding.encoder import Encoder, model_identity
from mrl_viz.errors import CancelledError, DataFormatError, DimensionError, InvalidInputError
from mrl_viz.truncation import check_dims, default_dims

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from mrl_viz.training.data import TrainingData
    from mrl_viz.training.trainees import Trainee

Base = Literal["projection", "static", "whole"]
Schedule = Literal["all", "progressive", "sampled"]
Run = Literal["matryoshka", "plain"]
BASES: tuple[Base, ...] = ("projection", "static", "whole")
SCHEDULES: tuple[Schedule, ...] = ("all", "progressive", "sampled")
RUNS: tuple[Run, ...] = ("matryoshka", "plain")
# A fresh matrix and single table rows take large steps; a trained transformer takes the usual small ones.
LEARNING_RATES: Mapping[str, float] = {"projection": 1e-2, "static": 1e-2, "whole": 2e-5}
# Far above anything that learns, and far below what overflows inside Adam.
MOST_RATE = 1000.0
WARMUP_SHARE = 0.1
# Progressive: all widths have joined by the middle of training, so that the smallest still has half of it.
JOINED_SHARE = 0.5
# Seconds between two checkpoints on disk; a killed run repeats at most these and the epoch it was in.
CHECKPOINT_S = 2.0


class TextModel(Encoder, Protocol):
    """An encoder whose model is on this machine, as `mrl_viz.embedding.encoders.load_encoder` gives for local models."""

    @property
    def model(self) -> SentenceTransformer: ...


@dataclass(frozen=True)
class TrainingConfig:
    """How to train; everything but the data.

    `model` : name of the model to start from. `base` : what is trained: "projection", a matrix on the frozen, normalised
    features that starts as a random rotation, so that no order of coordinates is inherited; "static", the rows of a static
    table whose tokens occur; "whole", everything.
    `dims` : widths of the loss, empty for the powers of two; the full width is always added. `weights` : see `loss_weights`.
    `schedule` : "all" widths in every step; "progressive", the full width first, smaller ones join until half of the epochs
    are over; "sampled", `n_dims_per_step` random ones in each step.
    `epochs`, `batch_size` : see `epoch_batches`. `learning_rate` : of Adam, None for LEARNING_RATES; warms up over a tenth,
    then falls along a cosine. `dropout` : share of frozen features hidden in each step, against overfitting, projection only.
    `scale` : what cosines are multiplied with. `seed` : of start, order and dropout.
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

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data."""
        return asdict(self)

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
            f"{self.base} on {self.model}, {self.schedule} widths, {self.epochs} epochs in batches of {self.batch_size} "
            f"at a rate of {self.step_size:g}, seed {self.seed}."
        )


@dataclass(frozen=True)
class EpochLosses:
    """One finished epoch of one of the two runs.

    `epoch` : from 1 to `n_epochs`. `losses` : per width the mean loss over its steps, nats; None where it took no part.
    `seconds` : since training began.
    """

    run: Run
    epoch: int
    n_epochs: int
    dims: tuple[int, ...]
    losses: tuple[float | None, ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data."""
        return asdict(self)

    def takeaway(self) -> str:
        """One sentence: the loss at the smallest and the full width."""
        shown = [f"{loss:.3f} at {dim}" for dim, loss in zip(self.dims, self.losses) if loss is not None]
        return f"{self.run}, epoch {self.epoch} of {self.n_epochs}: loss {', '.join(shown[:1] + shown[1:][-1:])} dims."


Progress = Callable[[EpochLosses], None]


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A trained model and how its training went.

    `model` : a complete sentence-transformers model. `losses` : mean loss per epoch and width, nats, ndarray of shape
    (n_epochs, n_dims), NaN where a width took no part. `stopped` : "epochs", or why training ended before them.
    """

    run: Run
    model: SentenceTransformer
    dims: tuple[int, ...]
    losses: npt.NDArray[np.float64]
    n_parameters: int
    stopped: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data, without the model."""
        rows = [[None if math.isnan(loss) else loss for loss in row] for row in self.losses.tolist()]
        return {
            "run": self.run, "dims": list(self.dims), "losses": rows, "n_parameters": self.n_parameters, "stopped": self.stopped,
            "seconds": self.seconds,
        }  # fmt: skip

    def takeaway(self) -> str:
        """One sentence: how long it took, what the loss became, and whether anything went wrong."""
        first, last = np.nanmean(self.losses[0]), np.nanmean(self.losses[-1])
        end = "" if self.stopped == "epochs" else f"; {self.stopped}"
        return (
            f"The {self.run} model trained {self.n_parameters:,} numbers for {len(self.losses)} epochs in {self.seconds:.0f} s; "
            f"its mean loss went from {first:.2f} to {last:.2f}{end}."
        )


def check_config(config: TrainingConfig, full_dim: int) -> tuple[int, ...]:
    """The widths of the loss, ascending, with the full one last.

    Raises
    ------
    DimensionError : no width below the full one, or one above it.
    InvalidInputError : any other setting that cannot be; the message names it.
    """
    from mrl_viz.training.losses import loss_weights

    dims = check_dims((*(config.dims or default_dims(full_dim)), full_dim), full_dim)
    if len(dims) == 1:
        raise DimensionError(
            f"`dims` has no width below the full {full_dim}; add smaller ones, such as {max(full_dim // 4, 1)}."
        )
    for name, value, allowed in (("base", config.base, BASES), ("schedule", config.schedule, SCHEDULES)):
        if value not in allowed:
            raise InvalidInputError(f"`{name}` is {value!r}; choose one of {', '.join(allowed)}.")
    if not isinstance(config.weights, str) and len(config.weights) == len(dims) - 1 and full_dim not in config.dims:
        raise InvalidInputError(
            f"`weights` has {len(config.weights)} numbers, but the full width {full_dim} needs one as well; add it last."
        )
    loss_weights(dims, config.weights)
    if config.schedule == "sampled" and not 1 <= config.n_dims_per_step <= len(dims):
        raise InvalidInputError(f"`n_dims_per_step` is {config.n_dims_per_step}; choose 1 to {len(dims)}.")
    if config.epochs < 1:
        raise InvalidInputError(f"`epochs` is {config.epochs}; choose 1 or more.")
    if not 0 < config.step_size <= MOST_RATE:
        raise InvalidInputError(
            f"`learning_rate` is {config.learning_rate}; choose a number above 0, at most {MOST_RATE:g}."
        )
    if not (math.isfinite(config.scale) and config.scale > 0):
        raise InvalidInputError(f"`scale` is {config.scale}; choose a number above 0, such as 20.")
    if not 0 <= config.dropout < 1:
        raise InvalidInputError(f"`dropout` is {config.dropout}; choose a share from 0 up and below 1.")
    if config.seed < 0:
        raise InvalidInputError(f"`seed` is {config.seed}; choose 0 or more.")
    return dims


def train_contrastive(
    model: TextModel,
    data: TrainingData,
    config: TrainingConfig,
    *,
    run: Run = "matryoshka",
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> TrainedModel:
    """The model trained on the data: at all widths ("matryoshka"), or the same way at full width only ("plain").

    Parameters
    ----------
    model : where training starts; it is not changed
    data, config : `config.model` is not looked at
    run : both runs start from the same numbers and see the same batches
    checkpoint : a .safetensors file that is written every few seconds, and resumed from where it exists
    progress : called after every epoch; cancelled : asked before every step

    Returns
    -------
    TrainedModel : where the loss stopped being finite, of the last epoch before, and `stopped` says so.

    Raises
    ------
    EmptyInputError, InvalidInputError, DimensionError : settings and data that do not go together, a model that cannot be
        trained, or a loss that is not finite in the first epoch already.
    CancelledError : `cancelled` returned true; the checkpoint is kept.
    StoreError : the checkpoint cannot be written. DataFormatError : it cannot be read, or is of another run.

    Source: Kusupati et al. 2022, arXiv:2205.13147, section 3; Henderson et al. 2017, arXiv:1705.00652, for in-batch negatives.
    """
    from mrl_viz.training.data import check_batch
    from mrl_viz.training.trainees import prepare

    if run not in RUNS:
        raise InvalidInputError(f"`run` is {run!r}; choose 'matryoshka' or 'plain'.")
    dims = check_config(config, model.full_dim)
    check_batch(data, config.batch_size)
    with _own_generator(config.seed, 0):  # fresh layers draw numbers even where they are replaced at once
        trainee = prepare(model, data, config)
    return _train(
        trainee,
        data,
        config,
        dims if run == "matryoshka" else dims[-1:],
        run,
        model_identity(model),
        checkpoint,
        progress,
        cancelled,
    )


def _train(
    trainee: Trainee, data: TrainingData, config: TrainingConfig, dims: tuple[int, ...], run: Run, start: str,
    checkpoint: Path | None, progress: Progress | None, cancelled: Callable[[], bool] | None,
) -> TrainedModel:  # fmt: skip
    """The loop. `state` is always the end of a whole epoch, and finite."""
    import torch
    from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss, MultipleNegativesRankingLoss

    from mrl_viz.training.checkpoints import TrainingState, run_fingerprint
    from mrl_viz.training.data import epoch_batches
    from mrl_viz.training.losses import loss_weights

    weights = loss_weights(dims, config.weights) if run == "matryoshka" else (1.0,)
    inner = _recorder(MultipleNegativesRankingLoss(trainee.module, scale=config.scale))
    loss = MatryoshkaLoss(trainee.module, inner, list(dims), list(weights))
    optimizer = torch.optim.Adam(trainee.parameters, lr=config.step_size)
    key = run_fingerprint(run, config, data, start)
    state = TrainingState.load(checkpoint, key) if checkpoint is not None and checkpoint.is_file() else TrainingState()
    state.restore(trainee.parameters, optimizer)
    started = written = time.perf_counter()
    stopped = "epochs"
    for epoch in range(state.epoch, config.epochs):
        sums, counts = np.zeros(len(dims)), np.zeros(len(dims), dtype=np.int64)
        is_finite = True
        batches = list(epoch_batches(data, config.batch_size, seed=config.seed, epoch=epoch))
        with _own_generator(config.seed, epoch):
            rng = np.random.default_rng((config.seed, epoch, 1))
            for number, batch in enumerate(batches):
                if cancelled is not None and cancelled():
                    if checkpoint is not None and state.epoch:
                        state.save(checkpoint, key)
                    raise CancelledError(
                        f"Training was stopped in epoch {epoch + 1} of {config.epochs} of the {run} model."
                    )
                levels = _levels(config, run, weights, epoch, rng)
                # MatryoshkaLoss goes from wide to narrow, slicing what it sliced before.
                loss.matryoshka_dims = tuple(dims[level] for level in levels)
                loss.matryoshka_weights = tuple(weights[level] for level in levels)
                inner.values.clear()
                for group in optimizer.param_groups:
                    group["lr"] = config.step_size * _rate((epoch + (number + 0.5) / len(batches)) / config.epochs)
                value = loss(trainee.features(batch), None)
                if not torch.isfinite(value):
                    is_finite = False
                    break
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
                sums[levels] += inner.values
                counts[levels] += 1
        if not (is_finite and all(bool(torch.isfinite(parameter).all()) for parameter in trainee.parameters)):
            if state.epoch == 0:
                raise InvalidInputError(
                    f"`learning_rate` is {config.step_size:g} and the loss was not finite in the first epoch; choose a smaller one, "
                    "or look for texts that the model has no finite vector for."
                )
            stopped = (
                f"the loss was not finite in epoch {epoch + 1}, so the model of epoch {state.epoch} was kept; lower `learning_rate`, or "
                "look for texts that the model has no finite vector for"
            )
            state.restore(trainee.parameters, optimizer)
            break
        losses = [float(total / count) if count else None for total, count in zip(sums, counts)]
        seconds = state.seconds + time.perf_counter() - started
        started = time.perf_counter()
        state = TrainingState.take(epoch + 1, [*state.losses, losses], seconds, trainee.parameters, optimizer)
        if checkpoint is not None and (time.perf_counter() - written > CHECKPOINT_S or epoch + 1 == config.epochs):
            state.save(checkpoint, key)
            written = time.perf_counter()
        if progress is not None:
            progress(EpochLosses(run, epoch + 1, config.epochs, dims, tuple(losses), seconds))
    if stopped != "epochs" and checkpoint is not None:
        state.save(checkpoint, key)
    return TrainedModel(
        run=run, model=trainee.finished(), dims=dims, losses=np.array(state.losses, dtype=np.float64),
        n_parameters=sum(parameter.numel() for parameter in trainee.parameters), stopped=stopped, seconds=state.seconds,
    )  # fmt: skip


def _levels(
    config: TrainingConfig, run: Run, weights: Sequence[float], epoch: int, rng: np.random.Generator
) -> list[int]:
    """Positions of the widths that take part in a step, widest first."""
    levels = [level for level in reversed(range(len(weights))) if weights[level] > 0]
    if run == "plain" or config.schedule == "all":
        return levels
    if config.schedule == "progressive":
        joins = JOINED_SHARE * config.epochs / max(len(levels) - 1, 1)
        return [level for place, level in enumerate(levels) if epoch >= math.floor(place * joins)]
    chosen = rng.choice(len(levels), min(config.n_dims_per_step, len(levels)), replace=False)
    return [levels[place] for place in sorted(chosen)]


def _rate(share: float) -> float:
    """Factor of the learning rate when `share` of training is over."""
    return min(share / WARMUP_SHARE, 1.0) * 0.5 * (1 + math.cos(math.pi * share))


def _recorder(loss: Any) -> Any:
    """The same loss, which also remembers its values, one per width; made here so that importing this loads no torch."""
    from torch import Tensor, nn

    class Recorder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.loss = loss
            self.values: list[float] = []

        def forward(self, features: Any, labels: Any) -> Tensor:
            value: Tensor = self.loss(features, labels)
            self.values.append(value.item())
            return value

    return Recorder()


@contextmanager
def _own_generator(seed: int, epoch: int) -> Iterator[None]:
    """Dropout from a seed of this epoch, and torch's global generator as it was afterwards."""
    import torch

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(int(np.random.SeedSequence((seed, epoch, 2)).generate_state(1)[0]))
        yield


__all__ = [
    "BASES",
    "SCHEDULES",
    "EpochLosses",
    "TextModel",
    "TrainedModel",
    "TrainingConfig",
    "check_config",
    "train_contrastive",
]
