"""Linear classifiers at every width (MRL, MRL-E), and one training run of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mrl_viz.errors import InvalidInputError, ShapeError
from mrl_viz.truncation import FloatMatrix, check_dims

# A matrix (n_out, n_in) and a bias (n_out,).
Linear = tuple[FloatMatrix, npt.NDArray[np.floating[Any]]]
# Layers with rectified units between them.
Trunk = tuple[Linear, ...]


class MultiGranularityClassifier(nn.Module):
    """One linear classifier per width (MRL), or one whose first columns serve every width (MRL-E).

    Parameters
    ----------
    dims : the widths; the largest is how many coordinates the inputs must have at least
    n_classes : at least 2
    efficient : False gives every width its own weights (n_classes, m) and bias; True shares one weight matrix, of which
        width m uses the first m columns, and one bias

    Raises
    ------
    DimensionError, InvalidInputError : unusable widths, or fewer than 2 classes.

    Source: Kusupati et al. 2022, arXiv:2205.13147, section 3 (MRL and MRL-E).
    """

    def __init__(self, dims: Iterable[int], n_classes: int, *, efficient: bool = False) -> None:
        super().__init__()
        self.dims = check_dims(dims, np.iinfo(np.int32).max)
        if n_classes < 2:
            raise InvalidInputError(f"`n_classes` is {n_classes}; a classifier needs at least 2 classes.")
        self.efficient = efficient
        widths = self.dims[-1:] if efficient else self.dims
        self.heads = nn.ModuleList(nn.Linear(width, n_classes) for width in widths)

    def weight(self, level: int) -> tuple[Tensor, Tensor]:
        """Weight (n_classes, dims[level]) and bias (n_classes,) that the width at `level` uses."""
        head = self.heads[0 if self.efficient else level]
        return head.weight[:, : self.dims[level]], head.bias  # type: ignore[index, return-value]

    def forward(self, embeddings: Tensor) -> list[Tensor]:
        """Logits of shape (n, n_classes), one tensor per width, from embeddings of shape (n, >= max(dims)).

        Raises
        ------
        ShapeError : the embeddings are narrower than the largest width.
        """
        if embeddings.shape[-1] < self.dims[-1]:
            raise ShapeError(
                f"`embeddings` have {embeddings.shape[-1]} coordinates but the largest of `dims` is {self.dims[-1]}."
            )
        return [nn.functional.linear(embeddings[..., :dim], *self.weight(level)) for level, dim in enumerate(self.dims)]


@dataclass(frozen=True)
class HeadTraining:
    """How heads are trained: AdamW on minibatches, the rate falling to 0 along a cosine; plain data.

    `weight_decay` is strong because hundreds of rows are few for a map of full_dim² numbers: on the sample, held-out
    accuracy is up to 9 points higher than without.

    `projection` puts a trainable full_dim → largest width map, started at the identity, before the heads. Without it
    the inputs are fixed, the losses of MRL's heads share nothing, and MRL equals separately trained heads but for the
    seed.

    `hidden_dim` makes that map a network with one hidden layer of so many rectified units, from random weights; 0 keeps
    it linear. For inputs that are no embeddings yet, such as pixels.
    """

    epochs: int = 60
    batch_size: int = 128
    learning_rate: float = 0.01
    weight_decay: float = 5.0
    projection: bool = True
    hidden_dim: int = 0

    def check(self) -> None:
        """Raise InvalidInputError for a setting that cannot be."""
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise InvalidInputError(f"`{name}` is {getattr(self, name)}; choose 1 or more.")
        if not self.learning_rate > 0:
            raise InvalidInputError(f"`learning_rate` is {self.learning_rate}; choose a number above 0, such as 0.01.")
        if self.hidden_dim < 0 or (self.hidden_dim and not self.projection):
            raise InvalidInputError(
                f"`hidden_dim` is {self.hidden_dim}, `projection` {self.projection}; choose 0, or 1 and more with a "
                "projection."
            )


def train_classifier(
    dims: tuple[int, ...],
    efficient: bool,
    rows: FloatMatrix,
    targets: npt.NDArray[np.int64],
    n_classes: int,
    training: HeadTraining,
    n_epochs: int,
    seed: int,
    cancelled: Callable[[], bool] | None,
) -> tuple[list[Linear], Trunk, npt.NDArray[np.float64], str]:
    """One training run: per width the matrix and bias of the last finite epoch, a linear map multiplied in; the hidden
    layers before them; the loss curve; why it ended."""
    generator = torch.Generator().manual_seed(seed)
    # Modules draw initial weights from the global generator, which stays as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = MultiGranularityClassifier(dims, n_classes, efficient=efficient)
        project = _map_before(rows.shape[1], dims[-1], training)
    with torch.no_grad():  # zeros are the neutral start of a linear classifier, and need no seed
        for parameter in head.parameters():
            parameter.zero_()
    parameters = [*head.parameters(), *project.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=training.learning_rate, weight_decay=training.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, training.epochs)
    inputs, labels = torch.tensor(rows), torch.from_numpy(targets)

    def merged() -> tuple[list[Linear], Trunk]:
        result = []
        with torch.no_grad():
            for level, dim in enumerate(dims):
                weight, bias = head.weight(level)
                if isinstance(project, nn.Linear):
                    weight = weight @ project.weight[:dim]
                result.append((weight.numpy().copy(), bias.numpy().copy()))
            layers = [part for part in project.children() if isinstance(part, nn.Linear)]
            trunk = tuple((part.weight.numpy().copy(), part.bias.numpy().copy()) for part in layers)
        return result, trunk

    curve: list[npt.NDArray[np.float64]] = []
    good, stopped = merged(), "epochs"
    while len(curve) < n_epochs and stopped == "epochs":
        sums = torch.zeros(len(dims))
        order = torch.randperm(len(inputs), generator=generator)
        for batch in order.split(training.batch_size):
            terms = [nn.functional.cross_entropy(logits, labels[batch]) for logits in head(project(inputs[batch]))]
            optimizer.zero_grad()
            torch.stack(terms).sum().backward()
            optimizer.step()
            sums += torch.stack(terms).detach() * len(batch)
        schedule.step()
        curve.append((sums / len(inputs)).double().numpy())
        if not np.isfinite(curve[-1]).all():
            stopped = "loss is not finite"
            break
        good = merged()
        if cancelled is not None and cancelled():
            stopped = "cancelled"
    return *good, np.array(curve).reshape(-1, len(dims)), stopped


def _map_before(full_dim: int, widest: int, training: HeadTraining) -> nn.Module:
    """What the inputs pass before the heads read them: nothing, a linear map that starts as none, or a network."""
    if not training.projection:
        return nn.Identity()
    if training.hidden_dim:
        layers = nn.Linear(full_dim, training.hidden_dim), nn.ReLU(), nn.Linear(training.hidden_dim, widest)
        return nn.Sequential(*layers)
    project = nn.Linear(full_dim, widest, bias=False)
    nn.init.eye_(project.weight)
    return project
