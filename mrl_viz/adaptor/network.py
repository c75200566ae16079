"""The network behind an adaptor, and one stage of its training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from mrl_viz.adaptor.adaptor import AdaptorSettings, Progress
from mrl_viz.truncation import FloatMatrix

LayerList = list[tuple[FloatMatrix, npt.NDArray[np.floating[Any]]]]
# Validation rows compared at once.
VALIDATION_BATCH = 512
# An epoch is at least so many batches, going through few rows more than once between two looks at the validation rows.
N_STEPS_PER_EPOCH = 20


class AdaptorNetwork(nn.Module):
    """Torch twin of `Adaptor`: a fixed rotation, a trainable one of its first `pivot` outputs, a residual network."""

    def __init__(
        self,
        full_dim: int,
        rotation: FloatMatrix | None,
        pivot: int,
        settings: AdaptorSettings,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.pivot, self.is_residual, self.has_network = pivot, settings.is_residual, True
        self.rotation = None if rotation is None else torch.tensor(rotation)
        self.skew = nn.Parameter(torch.zeros(pivot, pivot))
        widths = [full_dim, *[settings.hidden_dim] * settings.depth, full_dim]
        self.layers = nn.ModuleList(nn.utils.skip_init(nn.Linear, a, b) for a, b in pairwise(widths))
        self.act = functional.relu if settings.activation == "relu" else functional.silu
        with torch.no_grad():
            for width, (weight, bias) in zip(widths, self._matrices()):
                bound = (3.0 / width) ** 0.5  # keeps the size of what comes in
                weight.copy_((torch.rand(weight.shape, generator=generator) * 2 - 1) * bound)
                bias.zero_()
            if self.is_residual:  # the map starts as the rotation alone
                weight.zero_()

    def _matrices(self) -> list[tuple[nn.Parameter, nn.Parameter]]:
        """Weight and bias of each layer."""
        numbers = list(self.layers.parameters())
        return list(zip(numbers[::2], numbers[1::2]))

    def rotate(self, unit: Tensor) -> Tensor:
        """Rotation only; orthogonal, so every width from `pivot` up keeps exactly the cosines of the fixed rotation."""
        rotated = unit if self.rotation is None else unit @ self.rotation.T
        if self.pivot:
            further = torch.matrix_exp(self.skew - self.skew.T)
            rotated = torch.cat([rotated[:, : self.pivot] @ further.T, rotated[:, self.pivot :]], dim=1)
        return rotated

    def residual(self, unit: Tensor) -> Tensor:
        """The network's output f(c)."""
        hidden = unit
        for layer in self.layers[:-1]:
            hidden = self.act(layer(hidden))
        output: Tensor = self.layers[-1](hidden)
        return output

    def forward(self, unit: Tensor) -> Tensor:
        """Mapped rows, not renormalised."""
        if not self.is_residual:
            return self.residual(unit)
        rotated = self.rotate(unit)
        return rotated + self.residual(unit) if self.has_network else rotated

    def export(self) -> tuple[FloatMatrix | None, LayerList]:
        """The rotation and the layers as arrays."""
        with torch.no_grad():
            matrix = None
            if self.rotation is not None:
                matrix = self.rotate(torch.eye(len(self.rotation))).T.contiguous().numpy()
            return matrix, [(weight.numpy().copy(), bias.numpy().copy()) for weight, bias in self._matrices()]


@dataclass(frozen=True)
class Objective:
    """One stage: the loss of unit rows and their images, and the optimiser's groups.

    `extra` : trainable tensors that belong to the loss. `rank`, `rank_validation` : what ranking adds to the loss of a
    batch and to that of the validation rows, if anything. `validate` : what stands for the loss of the validation rows.
    """

    name: str
    loss: Callable[[Tensor, Tensor], Tensor]
    parameters: list[dict[str, Any]]
    extra: tuple[Tensor, ...] = ()
    rank: Callable[[], Tensor] | None = None
    rank_validation: Callable[[], Tensor] | None = None
    validate: Callable[[], float] | None = None


def epoch_losses(
    loss: Callable[[], Tensor], groups: list[dict[str, Any]], n_epochs: int, n_steps: int, *, is_falling: bool = True
) -> Iterator[float]:
    """The mean of each epoch of `n_steps` batches of Adam, NaN for one with a loss that is not finite, the last.

    `loss` : of the next batch. `is_falling` : whether the rates fall along a cosine.
    """
    optimizer = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_epochs * n_steps)
    for _ in range(n_epochs):
        total = 0.0
        for _ in range(n_steps):
            value = loss()
            if not torch.isfinite(value):
                yield math.nan
                return
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            if is_falling:
                schedule.step()
            total += value.item()
        yield total / n_steps


@dataclass
class Training:
    """A network, what it learns from, and what happened in its stages.

    `stages`, `train_losses`, `validation_losses` : per epoch the mean loss on batches and on validation rows.
    `stopped` : why training ended.
    """

    network: AdaptorNetwork
    rows: Tensor
    validation: Tensor
    settings: AdaptorSettings
    batch_size: int
    generator: torch.Generator
    n_stages: int
    progress: Progress | None
    cancelled: Callable[[], bool] | None
    stages: list[str] = field(default_factory=list)
    train_losses: list[float] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    stopped: str = "epochs"

    def run(self, objective: Objective) -> None:
        """Train to the best epoch on the validation rows, also after a NaN."""
        trained = [*self.network.parameters(), *objective.extra]
        batches = self._batches()
        best, waited = self._validate(objective), 0
        kept = [tensor.detach().clone() for tensor in trained]

        def loss() -> Tensor:
            unit = self.rows[next(batches)]
            value = objective.loss(unit, self.network(unit))
            return value if objective.rank is None else value + objective.rank()

        n_epochs, n_steps = self.settings.epochs, max(len(self.rows) // self.batch_size, N_STEPS_PER_EPOCH)
        for epoch, mean in enumerate(epoch_losses(loss, objective.parameters, n_epochs, n_steps), 1):
            if math.isnan(mean):
                where = f"in epoch {epoch} of stage {objective.name}"
                self.stopped = f"the loss was not finite {where}; the best epoch was kept"
                break
            score = self._validate(objective)
            self.stages.append(objective.name)
            self.train_losses.append(mean)
            self.validation_losses.append(score)
            waited += 1
            if score < best:
                best, waited, kept = score, 0, [tensor.detach().clone() for tensor in trained]
            if self.progress is not None:
                about = {"stage": objective.name, "train": mean, "validation": score}
                self.progress(len(self.stages), n_epochs * self.n_stages, about)
            if self.cancelled is not None and self.cancelled():
                self.stopped = "cancelled"
                break
            if waited >= self.settings.patience:
                self.stopped = "converged"
                break
        with torch.no_grad():
            for tensor, value in zip(trained, kept):
                tensor.copy_(value)

    def _batches(self) -> Iterator[Tensor]:
        """Row numbers of full batches, reshuffled whenever fewer than a batch are left."""
        while True:
            order = torch.randperm(len(self.rows), generator=self.generator)
            yield from order[: len(order) // self.batch_size * self.batch_size].split(self.batch_size)

    def _validate(self, objective: Objective) -> float:
        if objective.validate is not None:
            return objective.validate()
        with torch.no_grad():
            # Parts of equal size: a short last one would have fewer neighbors to choose from.
            parts = torch.tensor_split(self.validation, -(-len(self.validation) // VALIDATION_BATCH))
            score = torch.stack([objective.loss(unit, self.network(unit)) for unit in parts]).mean()
            if objective.rank_validation is not None:
                score = score + objective.rank_validation()
        return float(score)
