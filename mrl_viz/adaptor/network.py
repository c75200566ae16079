"""The network behind an adaptor, and one stage of its training."""

from __future__ import annotations

import copy
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


@dataclass
class Curve:
    """What happened: per epoch the mean loss on training batches and on validation rows, and why training ended."""

    stages: list[str] = field(default_factory=list)
    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    stopped: str = "epochs"


class AdaptorNetwork(nn.Module):
    """Torch twin of `Adaptor`: a fixed rotation, a trainable one of its first `pivot` outputs, a residual network."""

    def __init__(
        self, full_dim: int, rotation: FloatMatrix | None, pivot: int, hidden_dim: int, depth: int, activation: str,
        is_residual: bool, generator: torch.Generator,
    ) -> None:  # fmt: skip
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
            turn = torch.matrix_exp(self.skew - self.skew.T)
            rotated = torch.cat([rotated[:, : self.pivot] @ turn.T, rotated[:, self.pivot :]], dim=1)
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
    """One stage: the loss of a batch from unit rows and their images, the optimiser's groups, and what to rank, if
    anything.

    `extra` : trainable tensors that belong to the loss. `rank`, `rank_validation` : added to the batch loss and to the
    validation loss.
    """

    name: str
    loss: Callable[[Tensor, Tensor], Tensor]
    parameters: list[dict[str, Any]]
    extra: tuple[Tensor, ...] = ()
    rank: Callable[[AdaptorNetwork], Tensor] | None = None
    rank_validation: Callable[[AdaptorNetwork], Tensor] | None = None


def run_stage(
    network: AdaptorNetwork, objective: Objective, train: Tensor, validation: Tensor, *, epochs: int, batch_size: int,
    patience: int, generator: torch.Generator, curve: Curve, total_epochs: int,
    progress: Progress | None, cancelled: Callable[[], bool] | None,
) -> None:  # fmt: skip
    """Adam with a rate that falls along a cosine; ends at the best epoch on the validation rows, also after a NaN."""
    optimizer = torch.optim.Adam(objective.parameters)
    per_epoch = max(len(train) // batch_size, N_STEPS_PER_EPOCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(epochs * per_epoch, 1))
    best, waited = _validate(network, objective, validation), 0
    kept = _snapshot(network, objective)
    batches = _batches(len(train), batch_size, generator)
    for epoch in range(epochs):
        total = 0.0
        for _ in range(per_epoch):
            unit = train[next(batches)]
            loss = objective.loss(unit, network(unit))
            if objective.rank is not None:
                loss = loss + objective.rank(network)
            if not torch.isfinite(loss):
                curve.stopped = (
                    f"the loss was not finite in epoch {epoch + 1} of stage {objective.name}; the best epoch was kept"
                )
                _restore(network, objective, kept)
                return
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        score = _validate(network, objective, validation)
        curve.stages.append(objective.name)
        curve.train.append(total / per_epoch)
        curve.validation.append(score)
        waited += 1
        if score < best:
            best, waited, kept = score, 0, _snapshot(network, objective)
        if progress is not None:
            progress(
                len(curve.train), total_epochs, {"stage": objective.name, "train": curve.train[-1], "validation": score}
            )
        if cancelled is not None and cancelled():
            curve.stopped = "cancelled"
        elif waited >= patience:
            curve.stopped = "converged"
        if curve.stopped == "cancelled" or waited >= patience:
            break
    _restore(network, objective, kept)


def _batches(n_rows: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Row numbers of full batches, reshuffled whenever fewer than a batch are left."""
    while True:
        order = torch.randperm(n_rows, generator=generator)
        yield from order[: n_rows // batch_size * batch_size].split(batch_size)


def _validate(network: AdaptorNetwork, objective: Objective, validation: Tensor) -> float:
    with torch.no_grad():
        # Parts of equal size: a short last one would have fewer neighbors to choose from.
        parts = torch.tensor_split(validation, -(-len(validation) // VALIDATION_BATCH))
        score = torch.stack([objective.loss(unit, network(unit)) for unit in parts]).mean()
        if objective.rank_validation is not None:
            score = score + objective.rank_validation(network)
    return float(score)


def _snapshot(network: AdaptorNetwork, objective: Objective) -> tuple[dict[str, Any], list[Tensor]]:
    return copy.deepcopy(network.state_dict()), [tensor.detach().clone() for tensor in objective.extra]


def _restore(network: AdaptorNetwork, objective: Objective, kept: tuple[dict[str, Any], list[Tensor]]) -> None:
    network.load_state_dict(kept[0])
    with torch.no_grad():
        for tensor, value in zip(objective.extra, kept[1]):
            tensor.copy_(value)
