"""Learned truncation: which coordinates to keep first, learnt with gradients and used as a permutation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mrl_viz.adaptor.adaptor import row_keys
from mrl_viz.adaptor.report import MapScores, measure_maps
from mrl_viz.arrangements import svd_rotation
from mrl_viz.errors import DimensionError, EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.truncation import FloatMatrix, check_dims, check_embeddings, normalize

if TYPE_CHECKING:
    import torch

# Scores are compared under Gumbel noise of this scale, which falls from the first step to the last: early steps try
# other
# coordinates, late ones settle. The gates' softness, which only gradients see, is the same number.
NOISE_START, NOISE_END = 0.5, 0.1
START_SCALE = 0.5
N_BISECTIONS = 40
# Temperature of the neighbor distributions, and how fast the narrow spaces' own temperatures are learnt.
TEMPERATURE, TEMPERATURE_RATE = 0.05, 0.02
MEASURED_ROWS = 2000
N_RANDOM = 5


@dataclass(frozen=True, eq=False)
class ImportanceOrder:
    """A permutation of the coordinates, most important first, and how its prefixes compare on held-out rows.

    `order` : int64 of shape (full_dim,). `scores` : the learnt importance of each coordinate, higher is kept longer.
    `qualities` : overlap@k at every width for "importance", "prefix", "variance" (order of decreasing mean square),
        "random" (the first of the draws; `random_overlap` is the mean over all) and "svd" (a rotation, not a
        selection).
    `losses` : mean training loss per epoch, each width's divergence divided by its value at the start.
    `fitted_rows` : `row_keys` of the rows it was trained on, for `has_seen`.
    """

    order: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    dims: tuple[int, ...]
    k: int
    n_train: int
    n_held_out: int
    qualities: tuple[MapScores, ...]
    random_overlap: tuple[float, ...]
    losses: tuple[float, ...]
    stopped: str
    fitted_rows: npt.NDArray[np.int64]

    def has_seen(self, embeddings: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Which rows it was trained on, shape (n_items,); measured on those, it looks better than it is."""
        return np.isin(row_keys(embeddings), self.fitted_rows)

    def apply(self, embeddings: npt.ArrayLike) -> FloatMatrix:
        """The same rows with their coordinates in the learnt order, shape (n_items, full_dim).

        Raises
        ------
        ShapeError : embeddings of another width.
        """
        array = check_embeddings(embeddings)
        if array.shape[1] != len(self.order):
            raise ShapeError(
                f"`embeddings` have {array.shape[1]} coordinates but the order is of {len(self.order)}; use its model."
            )
        return np.ascontiguousarray(array[:, self.order])

    def quality(self, name: str) -> MapScores:
        """The row of one arrangement."""
        return next(row for row in self.qualities if row.name == name)

    def rows(self) -> list[dict[str, Any]]:
        """One record per arrangement and width."""
        return [
            {"arrangement": row.name, "dim": dim, "overlap": row.overlap[level], "overlap_low": row.overlap_low[level],
             "overlap_high": row.overlap_high[level], "overlap_train": row.overlap_train[level]}
            for row in self.qualities for level, dim in enumerate(self.dims)
        ]  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data."""
        left_out = {"order", "scores", "qualities", "fitted_rows"}
        fields = {name: value for name, value in self.__dict__.items() if name not in left_out}
        return fields | {"order": self.order.tolist(), "scores": self.scores.tolist(), "rows": self.rows()}

    def takeaway(self) -> str:
        """One sentence: the learnt order beside prefix and SVD at the smallest width."""
        own, prefix, svd = (self.quality(name).overlap[0] for name in ("importance", "prefix", "svd"))
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
    learning_rate: float = 0.05,
    seed: int = 0,
    progress: Callable[[int, int, dict[str, Any]], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> ImportanceOrder:
    """An order of the coordinates whose prefixes keep the neighbors of the full vectors, by gradient descent on their
    scores.

    One score per coordinate. At width m the m coordinates with the highest noisy scores are kept, so that what is
    trained is
    what is used; the gradient is that of soft gates sigmoid((score − cut_m)/softness) that sum to m (straight through).

    Parameters
    ----------
    embeddings : array_like of shape (n_items, full_dim)
    dims : widths below full_dim to be good at; the full width is measured too
    k : of the reported overlap
    held_out : share of rows, in (0, 1), that is only measured
    epochs, batch_size, learning_rate : of Adam; an epoch is at least 20 batches
    seed : of split and batches
    progress : called with (epochs done, epochs in all, {"loss"}); `cancelled` : asked after each epoch

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError, InvalidInputError : unusable arrays, widths or settings.

    Source: own definition; soft top-k as in Amos et al. 2019, arXiv:1906.08707 (limited multi-label projection),
    straight
    through noise as in Jang et al. 2017, arXiv:1611.01144.
    """
    unit = normalize(check_embeddings(embeddings)).astype(np.float32)
    full_dim = unit.shape[1]
    narrow = check_dims(dims, full_dim)
    if narrow[-1] == full_dim:
        raise DimensionError(
            f"`dims` has {full_dim}, which is not below the width of these embeddings; choose 1 to {full_dim - 1}."
        )
    if not 0 < held_out < 1:
        raise InvalidInputError(f"`held_out` is {held_out}; choose a share above 0 and below 1, such as 0.25.")
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
    scores, losses, stopped = _learn_scores(train, narrow, epochs, batch_size, learning_rate, seed, progress, cancelled)
    order = np.argsort(-scores, kind="stable")
    variance = np.argsort(-np.einsum("ij,ij->j", train, train), kind="stable")
    rotation = svd_rotation(train)
    shuffles = [rng.permutation(full_dim) for _ in range(N_RANDOM)]
    maps: dict[str, Callable[[FloatMatrix], FloatMatrix]] = {
        "importance": partial(_reorder, order),
        "prefix": lambda rows: rows,
        "variance": partial(_reorder, variance),
        "svd": lambda rows: rows @ rotation.T,
    }
    maps |= {f"random {draw}": partial(_reorder, chosen) for draw, chosen in enumerate(shuffles)}
    widths = (*narrow, full_dim)
    shown = test[:MEASURED_ROWS]
    qualities, _ = measure_maps(maps, shown, train[: len(shown)], widths, k, seed, None)
    draws = np.array([row.overlap for row in qualities if row.name.startswith("random")])
    kept = tuple(row for row in qualities if not row.name.startswith("random") or row.name == "random 0")
    return ImportanceOrder(
        order=order, scores=scores, dims=widths, k=k, n_train=len(train), n_held_out=len(shown), qualities=kept,
        random_overlap=tuple(float(value) for value in draws.mean(axis=0)), losses=losses, stopped=stopped,
        fitted_rows=np.unique(row_keys(train)),
    )  # fmt: skip


def _reorder(order: npt.NDArray[np.int64], rows: FloatMatrix) -> FloatMatrix:
    return rows[:, order]


def _learn_scores(
    train: FloatMatrix, dims: tuple[int, ...], epochs: int, batch_size: int, learning_rate: float, seed: int,
    progress: Callable[[int, int, dict[str, Any]], None] | None, cancelled: Callable[[], bool] | None,
) -> tuple[npt.NDArray[np.float32], tuple[float, ...], str]:  # fmt: skip
    """The kernel: scores of the last finite epoch, losses, why it ended."""
    import torch

    from mrl_viz.training.losses import cosines, neighbor_divergence

    generator = torch.Generator().manual_seed(seed)
    rows = torch.tensor(train)
    # Start at the spread about the mean: a coordinate that is the same for all rows, however large, tells no two apart.
    spread = rows.std(dim=0)
    scores = (
        ((spread - spread.mean()) / spread.std().clamp_min(1e-12)).clamp(-2, 2).mul(START_SCALE).requires_grad_(True)
    )
    temperatures = torch.full((len(dims),), float(np.log(TEMPERATURE)), requires_grad=True)
    optimizer = torch.optim.Adam(
        [{"params": [scores], "lr": learning_rate}, {"params": [temperatures], "lr": TEMPERATURE_RATE}]
    )
    per_epoch = max(len(rows) // batch_size, 20)
    kept, first = scores.detach().clone(), None
    losses: list[float] = []
    for step in range(epochs * per_epoch):
        if step % per_epoch == 0:
            total = 0.0
        noise = NOISE_START * (NOISE_END / NOISE_START) ** (step / max(epochs * per_epoch - 1, 1))
        uniform = torch.rand(len(scores), generator=generator).clamp(1e-6, 1 - 1e-6)
        noisy = scores - noise * (-uniform.log()).log()
        batch = rows[torch.randperm(len(rows), generator=generator)[:batch_size]]
        original, scale = cosines(batch), TEMPERATURE / temperatures.exp()
        terms = torch.stack(
            [
                neighbor_divergence(
                    original,
                    gated_cosines(batch, hard_gates(noisy, dim, noise)) * scale[level],
                    temperature=TEMPERATURE,
                )
                for level, dim in enumerate(dims)
            ]
        )
        first = terms.detach().clamp_min(1e-6) if first is None else first
        loss = (terms / first).mean()
        if not torch.isfinite(loss):
            return (
                kept.numpy(),
                tuple(losses),
                f"the loss was not finite in epoch {len(losses) + 1}; the epoch before it was kept",
            )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
        if step % per_epoch == per_epoch - 1:
            losses.append(total / per_epoch)
            kept = scores.detach().clone()
            if progress is not None:
                progress(len(losses), epochs, {"loss": losses[-1]})
            if cancelled is not None and cancelled():
                return kept.numpy(), tuple(losses), "cancelled"
    return kept.numpy(), tuple(losses), "epochs"


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
