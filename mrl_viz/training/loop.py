"""Contrastive training of a sentence-transformers model at every width at once, and of its twin at full width only.

The losses are sentence-transformers' own MatryoshkaLoss around MultipleNegativesRankingLoss, or around CoSENTLoss for
pairs with scores. The loop is ours: its
SentenceTransformerTrainer needs two more packages (datasets, accelerate), keeps checkpoints as pickles, draws sampled
widths from a global generator, and reports one number for all widths. This one is seeded throughout, so that a run that
was killed and resumed gives the same model as one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, get_args

import numpy as np
import numpy.typing as npt

from mrl_viz.embedding.encoder import Encoder, model_identity
from mrl_viz.errors import CancelledError, InvalidInputError
from mrl_viz.result import Result
from mrl_viz.training.checkpoints import TrainingState, run_fingerprint
from mrl_viz.training.config import Run, TrainingConfig, check_config, loss_weights
from mrl_viz.training.data import Rows, TrainingData, check_batch, epoch_batches

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

    from mrl_viz.embedding.encoders.sentence_transformers import SentenceTransformerEncoder

WARMUP_SHARE = 0.1
# Widths that join one after another are all there by the middle of training, so that the last one still has half of it.
JOINED_SHARE = 0.5
# How many widths such a schedule starts with: the small ones are nested in each other from the first step on.
STARTING_WIDTHS = {"progressive": 2, "large-first": 1}
# Seconds between two checkpoints on disk; a killed run repeats at most these and the epoch it was in.
CHECKPOINT_S = 2.0


@dataclass(frozen=True)
class EpochLosses(Result):
    """One finished epoch of one of the runs; of one for a width alone `dims` is that width.

    `epoch` : from 1 to `n_epochs`. `losses` : per width the mean loss over its steps, nats; None where it took no part.
    `seconds` : since training began.
    """

    run: Run
    epoch: int
    n_epochs: int
    dims: tuple[int, ...]
    losses: tuple[float | None, ...]
    seconds: float

    def takeaway(self) -> str:
        """One sentence: the loss at the smallest and the full width."""
        shown = [f"{loss:.3f} at {dim}" for dim, loss in zip(self.dims, self.losses) if loss is not None]
        return f"{self.run}, epoch {self.epoch} of {self.n_epochs}: loss {', '.join(shown[:1] + shown[1:][-1:])} dims."


Progress = Callable[[EpochLosses], None]


@dataclass(frozen=True, eq=False)
class TrainedModel(Result):
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
    _without: ClassVar = ("model",)

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON gives them back: without the model, lists for tuples, None for NaN."""
        rows = [[None if math.isnan(loss) else loss for loss in row] for row in self.losses.tolist()]
        return super().to_dict() | {"dims": list(self.dims), "losses": rows}

    def takeaway(self) -> str:
        """One sentence: how long it took, what the loss became, and whether anything went wrong."""
        first, last = np.nanmean(self.losses[0]), np.nanmean(self.losses[-1])
        end = "" if self.stopped == "epochs" else f"; {self.stopped}"
        return (
            f"The {self.run} model trained {self.n_parameters:,} numbers for {len(self.losses)} epochs in "
            f"{self.seconds:.0f} s; its mean loss went from {first:.2f} to {last:.2f}{end}."
        )


def trainable(model: Encoder) -> SentenceTransformerEncoder:
    """The model with its modules, to start from.

    Raises
    ------
    InvalidInputError : it runs elsewhere.
    """
    from mrl_viz.embedding.encoders.sentence_transformers import as_sentence_transformer

    start = as_sentence_transformer(model)
    if start is None:
        raise InvalidInputError(
            f"`model` is {model.name}, which runs elsewhere and cannot be trained; choose a model on this machine."
        )
    return start


def train_contrastive(
    model: Encoder,
    data: TrainingData,
    config: TrainingConfig,
    *,
    run: Run = "matryoshka",
    width: int | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> TrainedModel:
    """The model trained on the data: at all widths ("matryoshka"), or the same way at full width only ("plain"), or at
    one other width only ("alone").

    Parameters
    ----------
    model : where training starts; it is not changed
    data, config : `config.model` is not looked at
    run : all runs start from the same numbers and see the same batches
    width : of the run "alone", below the full one; None for the others
    checkpoint : a .safetensors file that is written every few seconds, and resumed from where it exists
    progress : called after every epoch; cancelled : asked before every step

    Returns
    -------
    TrainedModel : where the loss stopped being finite, of the last epoch before, and `stopped` says so.

    Raises
    ------
    EmptyInputError, InvalidInputError, DimensionError : settings and data that do not go together, a model that cannot
        be trained, or a loss that is not finite in the first epoch already.
    CancelledError : `cancelled` returned true; the checkpoint is kept.
    StoreError : the checkpoint cannot be written. DataFormatError : it cannot be read, or is of another run.

    Source: Kusupati et al. 2022, arXiv:2205.13147, section 3; Henderson et al. 2017, arXiv:1705.00652, for in-batch
    negatives; Huang et al. 2024, "CoSENT: Consistent sentence embedding via similarity ranking", for scores.
    """
    import torch
    from sentence_transformers.sentence_transformer.losses import (
        CoSENTLoss,
        MatryoshkaLoss,
        MultipleNegativesRankingLoss,
    )

    from mrl_viz.training.trainees import prepare

    if run not in get_args(Run):
        raise InvalidInputError(f"`run` is {run!r}; choose 'matryoshka', 'plain' or 'alone'.")
    start = trainable(model)
    dims = check_config(config, model.full_dim)
    check_batch(data, config.batch_size)
    with _own_generator(config.seed, 0):  # fresh layers draw numbers even where they are replaced at once
        trainee = prepare(start, data, config)
    if (run == "alone") != (width is not None) or (width is not None and not 1 <= width < model.full_dim):
        raise InvalidInputError(
            f"`width` is {width} but `run` is {run!r}; give 1 to {model.full_dim - 1} with 'alone' and none otherwise."
        )
    weights: tuple[float, ...] = (1.0,)
    if run == "matryoshka":
        weights = loss_weights(dims, config.weights, config.alpha)
    else:
        dims = dims[-1:] if width is None else (width,)
    key = run_fingerprint(run if width is None else f"{run} {width}", config, data, model_identity(model))
    chosen = CoSENTLoss if data.kind == "scored" else MultipleNegativesRankingLoss
    inner = chosen(trainee.module, scale=config.scale)
    values: list[float] = []  # of the last step, one per width
    inner.register_forward_hook(lambda module, inputs, value: values.append(value.item()))
    loss = MatryoshkaLoss(trainee.module, inner, [model.full_dim])  # every step says its own widths and weights
    optimizer = torch.optim.Adam(trainee.parameters, lr=config.step_size)
    # Always the end of a whole epoch, and finite.
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
                values.clear()
                for group in optimizer.param_groups:
                    group["lr"] = config.step_size * _rate((epoch + (number + 0.5) / len(batches)) / config.epochs)
                total = loss(trainee.features(batch), _scores(data, batch, trainee.parameters[0].device))
                if not torch.isfinite(total):
                    is_finite = False
                    break
                optimizer.zero_grad()
                total.backward()
                optimizer.step()
                sums[levels] += values
                counts[levels] += 1
        if not (is_finite and all(bool(torch.isfinite(parameter).all()) for parameter in trainee.parameters)):
            look = "or look for texts that the model has no finite vector for"
            if state.epoch == 0:
                raise InvalidInputError(
                    f"`learning_rate` is {config.step_size:g} and the loss was not finite in the first epoch; choose a "
                    f"smaller one, {look}."
                )
            stopped = (
                f"the loss was not finite in epoch {epoch + 1}, so the model of epoch {state.epoch} was kept; lower "
                f"`learning_rate`, {look}"
            )
            state.restore(trainee.parameters, optimizer)
            break
        losses = [float(each / count) if count else None for each, count in zip(sums, counts)]
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
        run=run,
        model=trainee.finished(),
        dims=dims,
        losses=np.array(state.losses, dtype=np.float64),
        n_parameters=sum(parameter.numel() for parameter in trainee.parameters),
        stopped=stopped,
        seconds=state.seconds,
    )


def _levels(
    config: TrainingConfig, run: Run, weights: Sequence[float], epoch: int, rng: np.random.Generator
) -> list[int]:
    """Positions of the widths that take part in a step, widest first."""
    levels = [level for level in reversed(range(len(weights))) if weights[level] > 0]
    if run != "matryoshka" or config.schedule == "all":
        return levels
    if config.schedule == "sampled":
        chosen = rng.choice(len(levels), min(config.n_dims_per_step, len(levels)), replace=False)
        return [levels[place] for place in sorted(chosen)]
    n_first = min(STARTING_WIDTHS[config.schedule], max(len(levels) - 1, 1))
    n_later = len(levels) - n_first
    joins = (JOINED_SHARE * config.epochs * place / n_later for place in range(1, n_later + 1))
    # None joins in the first epoch, and none is still out in the last, however few there are.
    joined = n_first + sum(epoch >= min(max(math.floor(join), 1), config.epochs - 1) for join in joins)
    return levels[-joined:] if config.schedule == "progressive" else levels[:joined]


def _scores(data: TrainingData, batch: Sequence[Rows], device: torch.device) -> torch.Tensor | None:
    """The score of each pair of a batch, float64; None where pairs have none."""
    import torch

    if data.kind != "scored":
        return None
    pairs = zip(*(column.tolist() for column in batch))
    return torch.tensor([data.score_of[pair] for pair in pairs], dtype=torch.float64, device=device)


def _rate(share: float) -> float:
    """Factor of the learning rate when `share` of training is over."""
    return min(share / WARMUP_SHARE, 1.0) * 0.5 * (1 + math.cos(math.pi * share))


@contextmanager
def _own_generator(seed: int, epoch: int) -> Iterator[None]:
    """Dropout from a seed of this epoch, and torch's global generator as it was afterwards."""
    import torch

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(int(np.random.SeedSequence((seed, epoch, 2)).generate_state(1)[0]))
        yield
