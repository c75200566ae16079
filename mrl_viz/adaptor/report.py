"""What an adaptor is worth: overlap and nDCG at every width beside the raw prefix and SVD, on rows it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mrl_viz.adaptor.adaptor import Adaptor
from mrl_viz.errors import DimensionError
from mrl_viz.measures.estimate import Estimate, bootstrap
from mrl_viz.measures.lists import shared_share
from mrl_viz.result import Result, records
from mrl_viz.sweep import nested_sweep
from mrl_viz.truncation import FloatMatrix, check_dims

Map = Callable[[FloatMatrix], FloatMatrix]
Floats = npt.NDArray[np.float64]
# Overlap by which training rows may be ahead of held-out ones before it is called overfitting.
TELLING_GAP = 0.02


@dataclass(frozen=True)
class MapScores(Result):
    """One map at every width; tuples have one entry per width, shares in [0, 1], intervals are 95 % bootstrap ones.

    `overlap` : overlap@k of held-out rows among themselves with the original full-width neighbors.
    `overlap_train` : the same on equally many training rows.
    `ndcg` : nDCG@10 of the held-out queries over all documents, empty without judgements. `ndcg_train` : of the queries
    trained on.
    """

    name: str
    dims: tuple[int, ...]
    overlap: tuple[Estimate, ...]
    overlap_train: tuple[float, ...]
    ndcg: tuple[Estimate, ...] = ()
    ndcg_train: tuple[float, ...] = ()

    def rows(self, **columns: Any) -> list[dict[str, Any]]:
        """One record per width, other columns too."""
        judged = ("ndcg", "ndcg_train") if self.ndcg else ()
        return self.records("overlap", "overlap_train", *judged, map=[self.name] * len(self.dims), **columns)


@dataclass(frozen=True, eq=False)
class AdaptorFit(Result):
    """An adaptor, how its training went, and whether it is worth using.

    `qualities` : raw prefix, SVD and adaptor, in that order; `dims` ends with the full width.
    `gain_over_svd`, `gain_over_prefix` : per width the paired difference per held-out row (overlap), or per held-out
    query (nDCG, where there are judgements), with its 95 % bootstrap interval.
    `learnt_share` : the share in [0, 1] that validation kept of what was learnt beyond SVD's rotation; 0 is SVD itself.
    `strength` : likewise of the residual network.
    `stages`, `train_losses`, `validation_losses` : one entry per epoch. `stopped` : why training ended.
    `weights` : of Search-Adaptor's L_rec and L_pred, the pair kept and whose epochs are listed; there the validation
    loss is 1 − nDCG@10 of the validation queries at full width. None for other methods.
    """

    adaptor: Adaptor
    dims: tuple[int, ...]
    k: int
    seed: int
    n_train: int
    n_validation: int
    n_held_out: int
    n_held_out_queries: int
    qualities: tuple[MapScores, ...]
    gain_over_svd: tuple[Estimate, ...]
    gain_over_prefix: tuple[Estimate, ...]
    strength: float
    learnt_share: float
    stages: tuple[str, ...]
    train_losses: tuple[float, ...]
    validation_losses: tuple[float, ...]
    stopped: str
    seconds: float
    weights: tuple[float, float] | None = None
    _without: ClassVar = ("adaptor", "qualities")
    _also: ClassVar = ("measure",)

    @property
    def measure(self) -> str:
        """What the gains are of."""
        return "nDCG@10" if self.n_held_out_queries else f"overlap@{self.k}"

    def quality(self, name: str) -> MapScores:
        """The row of "prefix", "svd" or "adaptor"."""
        return next(row for row in self.qualities if row.name == name)

    def measured(self, name: str) -> tuple[Estimate, ...]:
        """What the gains are of, for "prefix", "svd" or "adaptor", per width."""
        row = self.quality(name)
        return row.ndcg if self.n_held_out_queries else row.overlap

    def verdicts(self) -> tuple[str, ...]:
        """Per width, against SVD: "better" or "worse" when the interval of the difference excludes 0, else "equal"."""
        return tuple(map(verdict, self.gain_over_svd))

    def rows(self) -> list[dict[str, Any]]:
        """One record per map and width; the adaptor's say how it compares with SVD and the raw prefix."""
        measured = {"gain_over_svd": self.gain_over_svd, "gain_over_prefix": self.gain_over_prefix}
        gains: dict[str, Any] = {name: [gain.value for gain in found] for name, found in measured.items()}
        gains["against_svd"] = self.verdicts()
        return [record for row in self.qualities for record in row.rows(**gains if row.name == "adaptor" else {})]

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data, without the matrices; `rows` holds what was measured."""
        about = {"method": self.adaptor.method, "model": self.adaptor.model, "rows": self.rows()}
        return super().to_dict() | about

    def card(self) -> str:
        """README text: the adaptor's own, and what was measured."""
        lines = [
            f"## Measured on {self.n_held_out} held-out rows ({self.n_train} to train on, seed {self.seed})",
            "",
            self.takeaway(),
            "",
            f"| dims | raw prefix | SVD | adaptor | adaptor, training rows | {self.measure} against SVD |",
            "|---|---|---|---|---|---|",
        ]
        columns = [[estimate.value for estimate in row.overlap] for row in self.qualities]
        columns.append([*self.quality("adaptor").overlap_train])
        for dim, *values, found in zip(self.dims, *columns, self.verdicts(), strict=True):
            lines.append(f"| {dim} | {' | '.join(f'{value:.3f}' for value in values)} | {found} |")
        lines += ["", f"Columns two to five are overlap@{self.k} with the neighbors at full width.", ""]
        return "\n".join([self.adaptor.card(), *lines])

    def takeaway(self) -> str:
        """One sentence: where it beats SVD, where it does not."""
        parts = []
        phrases = {"better": "beats SVD at", "equal": "is no different from SVD at", "worse": "is worse than SVD at"}
        for wanted, phrase in phrases.items():
            narrow = zip(self.dims[:-1], self.verdicts())
            if found := [str(dim) for dim, what in narrow if what == wanted]:
                parts.append(f"{phrase} {', '.join(found)}")
        return f"On held-out data ({self.measure}) the {self.adaptor.method} adaptor {'; '.join(parts)} dims."

    def overfitting(self) -> str:
        """One sentence: the adaptor on what it was trained on against what it was not, where the two differ most."""
        own = self.quality("adaptor")
        gaps = [train - held.value for train, held in zip(own.overlap_train, own.overlap)]
        level = int(np.argmax(gaps))
        if gaps[level] < TELLING_GAP:
            return (
                "On its training texts it does no better than on held-out ones (at most "
                f"{max(gaps[level], 0):.3f} overlap): what it learnt carries over."
            )
        return (
            f"At {self.dims[level]} dims it keeps {own.overlap[level].value:.0%} of the neighbors of held-out texts "
            f"and {own.overlap_train[level]:.0%} for its training texts: the difference is overfitting, and only the "
            "held-out value counts."
        )

    def training_takeaway(self) -> str:
        """One sentence: epochs, the best validation loss, why it ended."""
        best = int(np.argmin(self.validation_losses))
        ends = {"epochs": "all were done", "converged": "it got no better then", "cancelled": "it was stopped then"}
        return (
            f"{len(self.stages)} epochs ({', '.join(dict.fromkeys(self.stages))}); the validation loss was lowest in "
            f"epoch {best + 1} at {self.validation_losses[best]:.4f}; {ends.get(self.stopped, self.stopped)}."
        )

    def weights_takeaway(self) -> str:
        """One sentence: Search-Adaptor's weights, and whether anything it learnt was kept; empty for other methods."""
        if self.weights is None:
            return ""
        recovery, prediction = self.weights
        weighed = (
            f"Weights: {recovery:g} on staying near the model's vectors (L_rec), {prediction:g} on predicting queries "
            "from documents (L_pred)"
        )
        if not self.adaptor.layers:
            return f"{weighed}; the validation queries were ranked best before it learnt anything, so nothing was kept."
        return f"{weighed}, the best of those tried by nDCG@10 of the validation queries."

    def loss_rows(self) -> list[dict[str, Any]]:
        """One record per epoch."""
        losses = {"training_loss": self.train_losses, "validation_loss": self.validation_losses}
        return records(epoch=range(1, len(self.stages) + 1), stage=self.stages, **losses)


def verdict(gain: Estimate) -> str:
    """What a gain says: "better" or "worse" where its interval leaves 0 out, else "equal"."""
    return "better" if gain.low > 0 else "worse" if gain.high < 0 else "equal"


def measure_maps(
    maps: Mapping[str, Map],
    held_out: FloatMatrix,
    train: FloatMatrix,
    dims: tuple[int, ...],
    k: int,
    seed: int,
    judge: Callable[[Map], tuple[Floats, Floats]] | None = None,
) -> tuple[tuple[MapScores, ...], dict[str, Floats]]:
    """Every map's scores, and its values per held-out row, or per held-out query where there are judgements.

    `judge` : nDCG of a map at every width, of queries trained on and of held-out ones, each (n_dims, n_queries).
    """
    truth, truth_train = (nested_sweep(rows, dims=[rows.shape[1]], k=k).indices[-1] for rows in (held_out, train))
    scores, values = [], {}
    for name, apply in maps.items():
        values[name] = overlap_with(truth, apply(held_out), dims, k)
        on_train = overlap_with(truth_train, apply(train), dims, k).mean(axis=1)
        found = MapScores(name, dims, bootstrap(values[name], seed=seed), tuple(on_train.tolist()))
        if judge is not None:
            judged_train, values[name] = judge(apply)
            ndcg = bootstrap(values[name], seed=seed)
            found = replace(found, ndcg=ndcg, ndcg_train=tuple(judged_train.mean(axis=1).tolist()))
        scores.append(found)
    return tuple(scores), values


def check_narrow(dims: Iterable[int], full_dim: int) -> tuple[int, ...]:
    """The widths to learn for, all below the full one; else DimensionError."""
    narrow = check_dims(dims, full_dim)
    if narrow[-1] == full_dim:
        raise DimensionError(
            f"`dims` has {full_dim}, which is not below the width of these embeddings; choose 1 to {full_dim - 1}."
        )
    return narrow


def overlap_with(truth: npt.NDArray[np.int32], mapped: FloatMatrix, dims: tuple[int, ...], k: int) -> Floats:
    """Share of each row's true neighbors among its k nearest at each width, shape (n_dims, n_rows)."""
    sweep = nested_sweep(mapped, dims=dims, k=k)
    return shared_share(sweep.indices[[sweep.at(dim) for dim in dims]], truth)
