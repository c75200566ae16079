"""The network behind an adaptor, and one stage of its training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from mrl_viz.truncation import FloatMatrix

Progress = Callable[[int, int, dict[str, Any]], None]
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
        hidden_dim: int,
        depth: int,
        activation: str,
        is_residual: bool,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.pivot, self.is_residual = pivot, is_residual
        self.has_network = True
        self.rotation = None if rotation is None else torch.tensor(rotation)
        self.skew = nn.Parameter(torch.zeros(pivot, pivot))
        widths = [full_dim, *[hidden_dim] * depth, full_dim]
        linear = [nn.utils.skip_init(nn.Linear, a, b) for a, b in pairwise(widths)]
        self.layers = nn.ModuleList(linear)
        self.act = functional.relu if activation == "relu" else functional.silu
        with torch.no_grad():
            for width, layer in zip(widths, linear):
                bound = (3.0 / width) ** 0.5  # keeps the size of what comes in
                layer.weight.copy_((torch.rand(layer.weight.shape, generator=generator) * 2 - 1) * bound)
                layer.bias.zero_()
            if is_residual:  # the map starts as the rotation alone
                linear[-1].weight.zero_()

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
            numbers = [parameter.numpy().copy() for parameter in self.layers.parameters()]
            return matrix, list(zip(numbers[::2], numbers[1::2]))


@dataclass(frozen=True)
class Objective:
    """One stage: the loss of a batch from unit rows and their images, and the optimiser's groups.

    `extra` : trainable tensors that belong to the loss. `rank`, `rank_validation` : what ranking adds to the loss of a
    batch and to that of the validation rows, if anything.
    """

    name: str
    loss: Callable[[Tensor, Tensor], Tensor]
    parameters: list[dict[str, Any]]
    extra: tuple[Tensor, ...] = ()
    rank: Callable[[AdaptorNetwork], Tensor] | None = None
    rank_validation: Callable[[AdaptorNetwork], Tensor] | None = None


@dataclass
class Training:
    """A network, what it learns from, and what happened in its stages.

    `stages`, `train_losses`, `validation_losses` : per epoch the mean loss on batches and on validation rows.
    `stopped` : why training ended.
    """

    network: AdaptorNetwork
    rows: Tensor
    validation: Tensor
    batch_size: int
    epochs: int
    patience: int
    generator: torch.Generator
    n_stages: int
    progress: Progress | None
    cancelled: Callable[[], bool] | None
    stages: list[str] = field(default_factory=list)
    train_losses: list[float] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    stopped: str = "epochs"

    def run(self, objective: Objective) -> None:
        """Adam, its rate falling along a cosine; ends at the best epoch on the validation rows, also after a NaN."""
        optimizer = torch.optim.Adam(objective.parameters)
        per_epoch = max(len(self.rows) // self.batch_size, N_STEPS_PER_EPOCH)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(self.epochs * per_epoch, 1))
        trained = [*self.network.parameters(), *objective.extra]
        best, waited = self._validate(objective), 0
        kept = [tensor.detach().clone() for tensor in trained]
        batches = self._batches()
        for epoch in range(1, self.epochs + 1):
            total = 0.0
            for _ in range(per_epoch):
                unit = self.rows[next(batches)]
                loss = objective.loss(unit, self.network(unit))
                if objective.rank is not None:
                    loss = loss + objective.rank(self.network)
                if not torch.isfinite(loss):
                    where = f"in epoch {epoch} of stage {objective.name}"
                    self.stopped = f"the loss was not finite {where}; the best epoch was kept"
                    break
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                total += loss.item()
            if self.stopped not in ("epochs", "converged"):
                break
            score = self._validate(objective)
            self.stages.append(objective.name)
            self.train_losses.append(total / per_epoch)
            self.validation_losses.append(score)
            waited += 1
            if score < best:
                best, waited, kept = score, 0, [tensor.detach().clone() for tensor in trained]
            if self.progress is not None:
                about = {"stage": objective.name, "train": self.train_losses[-1], "validation": score}
                self.progress(len(self.stages), self.epochs * self.n_stages, about)
            if self.cancelled is not None and self.cancelled():
                self.stopped = "cancelled"
            elif waited >= self.patience:
                self.stopped = "converged"
            if self.stopped == "cancelled" or waited >= self.patience:
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
        with torch.no_grad():
            # Parts of equal size: a short last one would have fewer neighbors to choose from.
            parts = torch.tensor_split(self.validation, -(-len(self.validation) // VALIDATION_BATCH))
            score = torch.stack([objective.loss(unit, self.network(unit)) for unit in parts]).mean()
            if objective.rank_validation is not None:
                score = score + objective.rank_validation(self.network)
        return float(score)
