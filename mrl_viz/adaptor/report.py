"""What an adaptor is worth: overlap and nDCG at every width beside the raw prefix and SVD, on rows it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.adaptor.adaptor import Adaptor, AdaptorSettings
from mrl_viz.measures.estimate import bootstrap_mean
from mrl_viz.measures.lists import ranks_in, shared_share
from mrl_viz.sweep import nested_sweep
from mrl_viz.tasks.retrieval import ranking_scores
from mrl_viz.truncation import FloatMatrix

Maps = Mapping[str, Callable[[FloatMatrix], FloatMatrix]]
NDCG, NDCG_DEPTH = "ndcg@10", 10
# Shares of the learnt turn that are tried, SVD first; and the rows that neighbors are looked for among.
TURNS = (0.0, 0.25, 0.5, 0.75, 1.0)
TURN_ROWS = 5000
# Overlap by which training rows may be ahead of held-out ones before it is called overfitting.
TELLING_GAP = 0.02


@dataclass(frozen=True, eq=False)
class RankingTask:
    """A corpus, queries and their {corpus row: grade}; the first `n_train` queries were trained on."""

    corpus: FloatMatrix
    queries: FloatMatrix
    grades: Sequence[Mapping[int, int]]
    n_train: int


@dataclass(frozen=True)
class MapScores:
    """One map at every width; tuples have one entry per width, shares in [0, 1].

    `overlap`, `overlap_low`, `overlap_high` : overlap@k of held-out rows among themselves with the original full-width
    neighbors, and its 95 % bootstrap interval. `overlap_train` : the same on equally many training rows.
    `ndcg`, `ndcg_low`, `ndcg_high` : nDCG@10 of the held-out queries over all documents, empty without judgements.
    `ndcg_train` : of the queries trained on.
    """

    name: str
    overlap: tuple[float, ...]
    overlap_low: tuple[float, ...]
    overlap_high: tuple[float, ...]
    overlap_train: tuple[float, ...]
    ndcg: tuple[float, ...] = ()
    ndcg_low: tuple[float, ...] = ()
    ndcg_high: tuple[float, ...] = ()
    ndcg_train: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class AdaptorFit:
    """An adaptor, how its training went, and whether it is worth using.

    `qualities` : raw prefix, SVD and adaptor, in that order; `dims` ends with the full width.
    `gain_over_svd`, `gain_over_prefix` : per width (mean, low, high) of the paired difference per held-out row
    (overlap) or
        per held-out query (nDCG, where there are judgements), 95 % bootstrap interval.
    `strength` : the share in [0, 1] of the residual network that validation kept. `turn` : likewise of the learnt turn of
    the SVD rotation; 0 is SVD itself.
    `stages`, `train_losses`, `validation_losses` : one entry per epoch. `stopped` : why training ended.
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
    gain_over_svd: tuple[tuple[float, float, float], ...]
    gain_over_prefix: tuple[tuple[float, float, float], ...]
    strength: float
    turn: float
    stages: tuple[str, ...]
    train_losses: tuple[float, ...]
    validation_losses: tuple[float, ...]
    stopped: str
    seconds: float

    @property
    def measure(self) -> str:
        """What the gains are of."""
        return f"nDCG@{NDCG_DEPTH}" if self.n_held_out_queries else f"overlap@{self.k}"

    def quality(self, name: str) -> MapScores:
        """The row of "prefix", "svd" or "adaptor"."""
        return next(row for row in self.qualities if row.name == name)

    def verdicts(self) -> tuple[str, ...]:
        """Per width, against SVD: "better" or "worse" when the interval of the difference excludes 0, else "equal"."""
        return tuple("better" if low > 0 else "worse" if high < 0 else "equal" for _, low, high in self.gain_over_svd)

    def rows(self) -> list[dict[str, Any]]:
        """One record per map and width; the adaptor's say how it compares with SVD and the raw prefix."""
        verdicts = self.verdicts()
        records = []
        for row in self.qualities:
            for level, dim in enumerate(self.dims):
                record: dict[str, Any] = {"map": row.name, "dim": dim}
                for name in (
                    "overlap",
                    "overlap_low",
                    "overlap_high",
                    "overlap_train",
                    "ndcg",
                    "ndcg_low",
                    "ndcg_high",
                    "ndcg_train",
                ):
                    if values := getattr(row, name):
                        record[name] = values[level]
                if row.name == "adaptor":
                    record |= {
                        "gain_over_svd": self.gain_over_svd[level][0],
                        "gain_over_prefix": self.gain_over_prefix[level][0],
                        "against_svd": verdicts[level],
                    }
                records.append(record)
        return records

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data, without the matrices."""
        fields = {name: value for name, value in self.__dict__.items() if name not in ("adaptor", "qualities")}
        return fields | {
            "method": self.adaptor.method,
            "model": self.adaptor.model,
            "measure": self.measure,
            "rows": self.rows(),
        }

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
        raw, svd, own = (self.quality(name) for name in ("prefix", "svd", "adaptor"))
        columns = zip(self.dims, raw.overlap, svd.overlap, own.overlap, own.overlap_train, self.verdicts())
        for dim, *overlaps, verdict in columns:
            lines.append(f"| {dim} | {' | '.join(f'{value:.3f}' for value in overlaps)} | {verdict} |")
        lines += ["", f"Columns two to five are overlap@{self.k} with the neighbors at full width.", ""]
        return "\n".join([self.adaptor.card(), *lines])

    def takeaway(self) -> str:
        """One sentence: where it beats SVD, where it does not."""
        narrow = [(dim, verdict) for dim, verdict in zip(self.dims, self.verdicts()) if dim < self.adaptor.full_dim]
        parts = []
        for verdict, phrase in (
            ("better", "beats SVD at"),
            ("equal", "is no different from SVD at"),
            ("worse", "is worse than SVD at"),
        ):
            if found := [str(dim) for dim, what in narrow if what == verdict]:
                parts.append(f"{phrase} {', '.join(found)}")
        return f"On held-out data ({self.measure}) the {self.adaptor.method} adaptor {'; '.join(parts)} dims."

    def overfitting(self) -> str:
        """One sentence: the adaptor on what it was trained on against what it was not, where the two differ most."""
        own = self.quality("adaptor")
        gaps = [train - held for train, held in zip(own.overlap_train, own.overlap)]
        level = int(np.argmax(gaps))
        held = f"{own.overlap[level]:.0%} of the neighbors of held-out texts"
        if gaps[level] < TELLING_GAP:
            return (
                f"On its training texts it does no better than on held-out ones (at most {max(gaps[level], 0):.3f} overlap): "
                "what it learnt carries over."
            )
        return (
            f"At {self.dims[level]} dims it keeps {held} and {own.overlap_train[level]:.0%} for its training texts: the "
            "difference is overfitting, and only the held-out value counts."
        )

    def training_takeaway(self) -> str:
        """One sentence: epochs, the best validation loss, why it ended."""
        best = int(np.argmin(self.validation_losses))
        return (
            f"{len(self.stages)} epochs ({', '.join(dict.fromkeys(self.stages))}); the validation loss was lowest in epoch "
            f"{best + 1} at {self.validation_losses[best]:.4f}; it ended by: {self.stopped}."
        )

    def loss_rows(self) -> list[dict[str, Any]]:
        """One record per epoch."""
        return [
            {"epoch": number, "stage": stage, "training_loss": train, "validation_loss": check}
            for number, (stage, train, check) in enumerate(
                zip(self.stages, self.train_losses, self.validation_losses), 1
            )
        ]


def choose_turn(
    learnt: FloatMatrix, rotation: FloatMatrix, train: FloatMatrix, check: FloatMatrix, dims: tuple[int, ...],
    settings: AdaptorSettings,
) -> tuple[float, FloatMatrix]:  # fmt: skip
    """The share of the way from the SVD rotation to the learnt one that validation rows bear out, and that rotation.

    The best mean overlap among the shares that lose to SVD at no width; 0, which is SVD itself, always qualifies. The
    validation rows look for neighbors among the rows trained on: few rows among themselves would make it an easy task.
    """
    from scipy.linalg import fractional_matrix_power

    below = tuple(dim for dim in dims if dim < min(settings.pivot, len(rotation)))
    if not below:
        return 0.0, rotation
    corpus = train[:TURN_ROWS]
    turned = learnt.astype(np.float64) @ rotation.T.astype(np.float64)
    truth = nested_sweep(corpus, check, dims=[len(rotation)], k=settings.k).indices[-1]
    best = (-1.0, 0.0, rotation)
    baseline: npt.NDArray[np.float64] | None = None
    for share in TURNS:
        part = np.asarray(fractional_matrix_power(turned, share)).real
        left, _, right = np.linalg.svd(part)  # the nearest rotation: rounding must not change lengths
        matrix = (left @ right @ rotation).astype(np.float32) if 0 < share < 1 else (learnt if share else rotation)
        sweep = nested_sweep(corpus @ matrix.T, check @ matrix.T, dims=below, k=settings.k)
        # As counts of one total, so that equally good shares compare as equal.
        kept = (ranks_in(sweep.indices[[sweep.at(dim) for dim in below]], truth) >= 0).mean(axis=(1, 2))
        baseline = kept if baseline is None else baseline
        if (kept >= baseline).all() and kept.mean() > best[0]:
            best = (float(kept.mean()), share, matrix)
    return best[1], best[2]


def measure_maps(
    maps: Maps, held_out: FloatMatrix, train: FloatMatrix, dims: tuple[int, ...], k: int, seed: int,
    ranking: RankingTask | None,
) -> tuple[tuple[MapScores, ...], dict[str, npt.NDArray[np.float64]]]:  # fmt: skip
    """Every map's quality, and its values per held-out row, or per held-out query where there are judgements."""
    full_dim = held_out.shape[1]
    truth = nested_sweep(held_out, dims=[full_dim], k=k).indices[-1]
    truth_train = nested_sweep(train, dims=[full_dim], k=k).indices[-1]
    qualities, values = [], {}
    for name, apply in maps.items():
        per_row = overlap_with(truth, apply(held_out), dims, k)
        on_train = overlap_with(truth_train, apply(train), dims, k).mean(axis=1)
        low, high = bootstrap_mean(per_row, seed=seed)
        fields: dict[str, tuple[float, ...]] = {
            "overlap": _floats(per_row.mean(axis=1)), "overlap_low": _floats(low), "overlap_high": _floats(high),
            "overlap_train": _floats(on_train),
        }  # fmt: skip
        values[name] = per_row
        if ranking is not None:
            scores = ranking_quality(ranking, apply, dims)
            on_train, values[name] = scores[:, : ranking.n_train].mean(axis=1), scores[:, ranking.n_train :]
            low, high = bootstrap_mean(values[name], seed=seed)
            fields |= {
                "ndcg": _floats(values[name].mean(axis=1)), "ndcg_low": _floats(low), "ndcg_high": _floats(high),
                "ndcg_train": _floats(on_train),
            }  # fmt: skip
        qualities.append(MapScores(name, **fields))
    return tuple(qualities), values


def paired_gain(
    left: npt.NDArray[np.float64], right: npt.NDArray[np.float64], seed: int
) -> tuple[tuple[float, float, float], ...]:
    """(mean, low, high) of left − right per width, from values of shape (n_dims, n_items) on the same items."""
    difference = left - right
    low, high = bootstrap_mean(difference, seed=seed)
    return tuple((float(m), float(a), float(b)) for m, a, b in zip(difference.mean(axis=1), low, high))


def overlap_with(
    truth: npt.NDArray[np.int32], mapped: FloatMatrix, dims: tuple[int, ...], k: int
) -> npt.NDArray[np.float64]:
    """Share of each row's true neighbors among its k nearest at each width, shape (n_dims, n_rows)."""
    sweep = nested_sweep(mapped, dims=dims, k=k)
    return shared_share(sweep.indices[[sweep.at(dim) for dim in dims]], truth)


def ranking_quality(
    ranking: RankingTask, apply: Callable[[FloatMatrix], FloatMatrix], dims: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """nDCG@10 of each query over the whole corpus at each width, shape (n_dims, n_queries)."""
    depth = min(NDCG_DEPTH, len(ranking.corpus))
    sweep = nested_sweep(apply(ranking.corpus), apply(ranking.queries), dims=dims, k=depth)
    return ranking_scores(sweep.indices[[sweep.at(dim) for dim in dims]], ranking.grades, (NDCG,))[NDCG]


def _floats(values: npt.NDArray[np.floating[Any]]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
