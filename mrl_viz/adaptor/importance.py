"""Learned truncation: which coordinates to keep first, learnt with gradients and used as a permutation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mrl_viz.adaptor.report import Map, MapScores, check_narrow, measure_maps
from mrl_viz.arrangements import Arrangement, row_keys, svd_rotation
from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.result import Result
from mrl_viz.training.data import check_share
from mrl_viz.truncation import FloatMatrix, check_embeddings, normalize

if TYPE_CHECKING:
    import torch

# Scores are compared under Gumbel noise of this scale, which falls from the first step to the last: early steps try
# other coordinates, late ones settle. The gates' softness, which only gradients see, is the same number.
NOISE_START, NOISE_END = 0.5, 0.1
START_SCALE = 0.5
N_BISECTIONS = 40
# Temperature of the neighbor distributions, and how fast the narrow spaces' own temperatures and the scores are learnt.
TEMPERATURE, TEMPERATURE_RATE, LEARNING_RATE = 0.05, 0.02, 0.05
MEASURED_ROWS = 2000
N_RANDOM = 5


@dataclass(frozen=True, eq=False)
class ImportanceOrder(Result):
    """A permutation of the coordinates, most important first, and how its prefixes compare on held-out rows.

    `arrangement` : the permutation, which knows the rows it was learnt from. `scores` : the learnt importance of each
    coordinate, float32 of shape (full_dim,), higher is kept longer.
    `qualities` : overlap@k at every width for "importance", "prefix", "variance" (order of decreasing mean square),
    "random" (the first of the draws; `random_overlap` is the mean over all) and "svd" (a rotation, not a selection).
    `losses` : mean training loss per epoch, each width's divergence divided by its value at the start.
    """

    arrangement: Arrangement
    scores: npt.NDArray[np.float32]
    dims: tuple[int, ...]
    k: int
    n_train: int
    n_held_out: int
    qualities: tuple[MapScores, ...]
    random_overlap: tuple[float, ...]
    losses: tuple[float, ...]
    stopped: str
    _without: ClassVar = ("arrangement", "qualities")
    _also: ClassVar = ("order",)

    @property
    def order(self) -> npt.NDArray[np.int64]:
        """The coordinates, most important first, int64 of shape (full_dim,)."""
        return np.argsort(-self.scores, kind="stable")

    def quality(self, name: str) -> MapScores:
        """The row of one arrangement."""
        return next(row for row in self.qualities if row.name == name)

    def rows(self) -> list[dict[str, Any]]:
        """One record per arrangement and width."""
        return [record for row in self.qualities for record in row.rows()]

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data; `rows` holds what was measured."""
        return super().to_dict() | {"rows": self.rows()}

    def n_shared(self, dim: int) -> int:
        """How many of the first `dim` coordinates of the learnt order are among the model's own first `dim`."""
        return int((self.order[:dim] < dim).sum())

    def order_takeaway(self, dim: int) -> str:
        """Which coordinates the learnt order takes first, beside the model's own order, in a sentence."""
        full_dim = len(self.scores)
        return (
            f"Of the {dim} most important coordinates {self.n_shared(dim)} are among the model's own first {dim}; "
            f"chance would have {dim * dim / full_dim:.0f}."
        )

    def takeaway(self) -> str:
        """One sentence: the learnt order beside prefix and SVD at the smallest width."""
        own, prefix, svd = (self.quality(name).overlap[0].value for name in ("importance", "prefix", "svd"))
        return (
            f"At {self.dims[0]} dims the learnt selection keeps {own:.0%} of the neighbors of held-out rows, the plain "
            f"prefix {prefix:.0%} and the SVD rotation {svd:.0%}."
        )


def learn_importance(
    embeddings: npt.ArrayLike,
    dims: Iterable[int],
    *,
    k: int = 10,
    held_out: float = 0.25,
    epochs: int = 20,
    batch_size: int = 256,
    seed: int = 0,
    cancelled: Callable[[], bool] | None = None,
) -> ImportanceOrder:
    """An order of the coordinates whose prefixes keep the neighbors of the full vectors, learnt by gradient descent.

    One score per coordinate. At width m the m coordinates with the highest noisy scores are kept, so that what is
    trained is what is used; the gradient, straight through, is that of sigmoid((score − cut_m)/softness) of sum m.

    Parameters
    ----------
    embeddings : array_like of shape (n_items, full_dim)
    dims : widths below full_dim to be good at; the full width is measured too
    k : of the reported overlap
    held_out : share of rows, in (0, 1), that is only measured
    epochs, batch_size : of Adam; an epoch is at least 20 batches
    seed : of split and batches
    cancelled : asked after each epoch

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError, InvalidInputError : unusable arrays, widths or settings.

    Source: own definition; soft top-k as in Amos et al. 2019, arXiv:1906.08707 (limited multi-label projection),
    straight through noise as in Jang et al. 2017, arXiv:1611.01144.
    """
    unit = normalize(check_embeddings(embeddings)).astype(np.float32)
    full_dim = unit.shape[1]
    narrow = check_narrow(dims, full_dim)
    check_share("held_out", held_out, 0.25)
    for name, value in (("epochs", epochs), ("k", k), ("batch_size", batch_size)):
        if value < 1:
            raise InvalidInputError(f"`{name}` is {value}; choose 1 or more.")
    rng = np.random.default_rng(seed)
    permutation = rng.permutation(len(unit))
    n_test = max(1, round(held_out * len(unit)))
    test, train = unit[permutation[:n_test]], unit[permutation[n_test:]]
    if len(train) < batch_size or n_test < k + 2:
        raise EmptyInputError(
            f"`embeddings` has {len(unit)} rows: {len(train)} to train on, where a batch is {batch_size}, and {n_test} "
            f"held out, where {k} neighbors need {k + 2}; give more rows or a smaller batch."
        )
    scores, losses, stopped = _learn_scores(train, narrow, epochs, batch_size, seed, cancelled)
    order = np.argsort(-scores, kind="stable")
    variance = np.argsort(-np.einsum("ij,ij->j", train, train), kind="stable")
    rotation = svd_rotation(train)
    draws = [rng.permutation(full_dim) for _ in range(N_RANDOM)]
    maps: dict[str, Map] = {
        "importance": lambda rows: rows[:, order],
        "prefix": lambda rows: rows,
        "variance": lambda rows: rows[:, variance],
        "svd": lambda rows: rows @ rotation.T,
    }
    maps |= {f"random {draw}": partial(np.take, indices=chosen, axis=1) for draw, chosen in enumerate(draws)}
    widths = (*narrow, full_dim)
    shown = test[:MEASURED_ROWS]
    qualities, _ = measure_maps(maps, shown, train[: len(shown)], widths, k, seed)
    random = [[overlap.value for overlap in row.overlap] for row in qualities if row.name.startswith("random")]
    keys = np.unique(row_keys(train))
    return ImportanceOrder(
        arrangement=Arrangement("importance", full_dim, order=order, fitted_rows=keys),
        scores=scores,
        dims=widths,
        k=k,
        n_train=len(train),
        n_held_out=len(shown),
        qualities=tuple(row for row in qualities if not row.name.startswith("random") or row.name == "random 0"),
        random_overlap=tuple(np.mean(random, axis=0).tolist()),
        losses=losses,
        stopped=stopped,
    )


def _learn_scores(
    train: FloatMatrix,
    dims: tuple[int, ...],
    epochs: int,
    batch_size: int,
    seed: int,
    cancelled: Callable[[], bool] | None,
) -> tuple[npt.NDArray[np.float32], tuple[float, ...], str]:
    """The kernel: scores of the last finite epoch, losses, why it ended."""
    import torch

    from mrl_viz.adaptor.network import N_STEPS_PER_EPOCH, epoch_losses
    from mrl_viz.training.losses import cosines, neighbor_divergence, neighbor_targets

    generator = torch.Generator().manual_seed(seed)
    rows = torch.tensor(train)
    # Start at the spread about the mean: a coordinate that is the same for all rows, however large, tells no two apart.
    spread = rows.std(dim=0)
    start = (spread - spread.mean()) / spread.std().clamp_min(1e-12)
    scores = start.clamp(-2, 2).mul(START_SCALE).requires_grad_(True)
    temperatures = torch.full((len(dims),), float(np.log(TEMPERATURE)), requires_grad=True)
    n_steps = max(len(rows) // batch_size, N_STEPS_PER_EPOCH)
    shares = iter(np.linspace(0, 1, epochs * n_steps).tolist())
    kept, first = scores.detach().clone(), None
    losses: list[float] = []

    def loss() -> torch.Tensor:
        nonlocal first
        noise = NOISE_START * (NOISE_END / NOISE_START) ** next(shares)
        uniform = torch.rand(len(scores), generator=generator).clamp(1e-6, 1 - 1e-6)
        noisy = scores - noise * (-uniform.log()).log()
        batch = rows[torch.randperm(len(rows), generator=generator)[:batch_size]]
        targets = neighbor_targets(cosines(batch), temperature=TEMPERATURE)
        scale = TEMPERATURE / temperatures.exp()
        terms = []
        for level, dim in enumerate(dims):
            image = gated_cosines(batch, hard_gates(noisy, dim, noise)) * scale[level]
            terms.append(neighbor_divergence(targets, image, temperature=TEMPERATURE))
        found = torch.stack(terms)
        first = found.detach().clamp_min(1e-6) if first is None else first
        return (found / first).mean()

    groups = [{"params": [scores], "lr": LEARNING_RATE}, {"params": [temperatures], "lr": TEMPERATURE_RATE}]
    stopped = "epochs"
    for epoch, mean in enumerate(epoch_losses(loss, groups, epochs, n_steps, is_falling=False), 1):
        if np.isnan(mean):
            stopped = f"the loss was not finite in epoch {epoch}; the epoch before it was kept"
            break
        losses.append(mean)
        kept = scores.detach().clone()
        if cancelled is not None and cancelled():
            stopped = "cancelled"
            break
    return kept.numpy(), tuple(losses), stopped


def gated_cosines(rows: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
    """All cosines within a batch where coordinate j counts gates[j] times, shape (n, n); 0 for a zero row.

    The gate weighs the product of two coordinates, not each of them: a square would have no gradient at a gate of 0.
    """
    dots = (rows * gates) @ rows.T
    inverse = dots.diagonal().clamp_min(1e-12).rsqrt()
    return dots * inverse[:, None] * inverse[None, :]


def hard_gates(scores: torch.Tensor, dim: int, softness: float) -> torch.Tensor:
    """1 for the `dim` highest scores and 0 for the rest, with the gradient of `soft_gates`, shape (full_dim,)."""
    import torch

    soft = soft_gates(scores, dim, softness)
    kept = torch.zeros_like(soft)
    kept[scores.topk(dim).indices] = 1
    return kept + soft - soft.detach()


def soft_gates(scores: torch.Tensor, dim: int, softness: float) -> torch.Tensor:
    """Gates in (0, 1), one per coordinate, that sum to `dim` and are differentiable in the scores, shape (full_dim,).

    The cut is found by bisection without a gradient, then one Newton step with a gradient makes the derivative that of
    the exact projection: raising all scores alike changes nothing.
    """
    import torch

    with torch.no_grad():
        reach = softness * 40
        low, high = scores.min() - reach, scores.max() + reach
        for _ in range(N_BISECTIONS):
            middle = (low + high) / 2
            too_many = torch.sigmoid((scores - middle) / softness).sum() > dim
            low, high = torch.where(too_many, middle, low), torch.where(too_many, high, middle)
        cut = (low + high) / 2
        gates = torch.sigmoid((scores - cut) / softness)
        slope = gates * (1 - gates)
        share = slope / slope.sum().clamp_min(1e-12)
    # d cut/d scores = share, the implicit derivative of Σ gates = dim.
    moved = cut + (share * (scores - scores.detach())).sum()
    return torch.sigmoid((scores - moved) / softness)
