"""Make frozen embeddings truncatable: fit a map full_dim → full_dim whose prefixes work, and say what it is worth."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from mrl_viz.adaptor.adaptor import ACTIVATIONS, Adaptor, AdaptorSettings, row_keys
from mrl_viz.adaptor.report import (
    AdaptorFit,
    RankingTask,
    choose_turn,
    measure_maps,
    overlap_with,
    paired_gain,
    ranking_quality,
)
from mrl_viz.arrangements import svd_rotation
from mrl_viz.errors import DimensionError, EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.sweep import nested_sweep
from mrl_viz.truncation import FloatMatrix, check_dims, check_embeddings, normalize

if TYPE_CHECKING:
    from mrl_viz.adaptor.network import Curve

__all__ = [
    "METHODS",
    "Adaptor",
    "AdaptorFit",
    "AdaptorMethod",
    "AdaptorSettings",
    "Qrels",
    "fit_adaptor",
    "suggested_settings",
]

AdaptorMethod = Literal["neighbors", "paper", "search", "svd"]
METHODS: tuple[AdaptorMethod, ...] = ("neighbors", "paper", "search", "svd")
Qrels = Mapping[int, Mapping[int, int]]
# Unit queries and, for each, the grades of training rows.
Judged = tuple[FloatMatrix, list[dict[int, int]]]
Progress = Callable[[int, int, dict[str, Any]], None]
# Rows measured at most: overlap's interval is then about a percentage point wide, and an exact sweep takes about a
# second.
MEASURED_ROWS = 3000
STRENGTHS = (1.0, 0.75, 0.5, 0.25, 0.1, 0.0)
# Batches: the paper's; and for neighbor distributions, larger, so that a batch holds some true neighbors of each row.
PAPER_BATCH, NEIGHBOR_BATCH = 128, 256
FEWEST_QUERIES = 10
# Seven rows in ten are trained on, with the default shares; of this many that is just more than the smaller batch.
FEWEST_ROWS, TRAINED_SHARE = 200, 0.7


def suggested_settings(n_items: int, method: AdaptorMethod = "neighbors") -> AdaptorSettings:
    """The default settings, with a smaller batch where a corpus is too small to fill the usual one.

    Raises
    ------
    EmptyInputError : fewer than `FEWEST_ROWS` rows, from which no adaptor could be learnt and measured.
    """
    if n_items < FEWEST_ROWS:
        raise EmptyInputError(
            f"`embeddings` has {n_items} rows; an adaptor needs at least {FEWEST_ROWS}, to learn from some and to be "
            "measured on others."
        )
    usual = NEIGHBOR_BATCH if method == "neighbors" else PAPER_BATCH
    return AdaptorSettings(batch_size=usual if n_items * TRAINED_SHARE >= usual else PAPER_BATCH)


def fit_adaptor(
    embeddings: npt.ArrayLike,
    dims: Iterable[int],
    *,
    method: AdaptorMethod = "neighbors",
    queries: npt.ArrayLike | None = None,
    qrels: Qrels | None = None,
    settings: AdaptorSettings | None = None,
    held_out: float = 0.2,
    validation: float = 0.1,
    model: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> AdaptorFit:
    """An adaptor that makes prefixes of frozen embeddings work, measured on rows it was not trained on.

    Parameters
    ----------
    embeddings : array_like of shape (n_items, full_dim)
    dims : widths below full_dim, where prefixes shall work; the full width is always measured too
    method : "neighbors" (own: SVD rotation, turned inside its first `pivot` directions so that each width keeps the
        neighbor distribution; plus a residual network where `tolerance` or judgements allow one, as far as validation
        does), "paper" (Matryoshka-Adaptor), "search" (Search-Adaptor: ranking at full width, needs judgements), "svd"
        (the rotation alone)
    queries : array_like of shape (n_queries, full_dim), with `qrels`: supervised training
    qrels : {query row: {corpus row: grade above 0}}
    settings : see `AdaptorSettings`
    held_out, validation : shares of rows, and of queries, that are only measured, and that stop the training
    model : name of the embedding model, kept in the adaptor
    seed : of splits, initial weights and batches
    progress : called with (epochs done, epochs at most, {"stage", "train", "validation"})
    cancelled : asked after each epoch; what is best so far is returned, `stopped` says so

    Returns
    -------
    AdaptorFit : with the adaptor of the best epoch on the validation rows.

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError, InvalidInputError : unusable arrays, widths, judgements or settings.

    Source: Yoon et al. 2024 (Matryoshka-Adaptor), arXiv:2407.20243; Yoon et al. 2023 (Search-Adaptor),
    arXiv:2310.08750; "neighbors": own definition.
    """
    started = time.perf_counter()
    unit = normalize(check_embeddings(embeddings)).astype(np.float32)
    full_dim = unit.shape[1]
    settings = settings or AdaptorSettings()
    _check_settings(settings, method)
    narrow = check_dims(dims, full_dim)
    if narrow[-1] == full_dim:
        raise DimensionError(
            f"`dims` has {full_dim}, which is not below the width of these embeddings; choose 1 to {full_dim - 1}."
        )
    if not (0 < held_out < 1 and 0 < validation < 1 and held_out + validation < 1):
        raise InvalidInputError(
            f"`held_out` is {held_out} and `validation` {validation}; choose shares that add up to less than 1."
        )
    rng = np.random.default_rng(seed)
    train, check, test = _split(len(unit), held_out, validation, rng)
    batch_size = settings.batch_size or (NEIGHBOR_BATCH if method == "neighbors" else PAPER_BATCH)
    _check_rows(len(unit), train, check, test, batch_size if method != "svd" else 1, settings.k)
    ranking = _Ranking.read(unit, queries, qrels, held_out, validation, rng) if qrels is not None else None
    if method == "search" and ranking is None:
        raise InvalidInputError(
            "`method` is 'search', which learns from judgements; give `queries` and `qrels`, or choose 'neighbors'."
        )
    rotation = svd_rotation(unit[train])
    svd = Adaptor("svd", full_dim, narrow, model, rotation)
    # The validation rows chose the epoch and the strength: they are no more unseen than the rows trained on.
    keys = np.unique(row_keys(unit[np.concatenate([train, check])]))
    adaptor, strength, turn = svd, 0.0, 1.0
    curve: Curve | None = None
    if method != "svd":
        from mrl_viz.adaptor.objectives import train_network

        matrix, layers, curve = train_network(
            method, unit[train], unit[check[:MEASURED_ROWS]], narrow, rotation, settings, batch_size,
            ranking.judgements(train) if ranking else None, seed, progress, cancelled,
        )  # fmt: skip
        adaptor = Adaptor(
            method, full_dim, narrow, model, matrix, tuple(layers), settings.activation, settings.is_residual
        )
        strength = 1.0 if layers else 0.0
        if method == "neighbors" and not layers and matrix is not None:
            turn, kept = choose_turn(matrix, rotation, unit[train], unit[check[:MEASURED_ROWS]], narrow, settings)
            adaptor = replace(adaptor, rotation=kept)
        if method == "neighbors" and layers:
            strength = _choose_strength(adaptor, svd, unit, check[:MEASURED_ROWS], settings, ranking)
            adaptor = _with_strength(adaptor, strength)
    widths = (*narrow, full_dim)
    shown = test[:MEASURED_ROWS]
    qualities, values = measure_maps(
        {"prefix": lambda rows: rows, "svd": svd.apply, "adaptor": adaptor.apply},
        unit[shown],
        unit[train[: len(shown)]],
        widths,
        settings.k,
        seed,
        ranking.measured(unit) if ranking else None,
    )
    return AdaptorFit(
        adaptor=replace(adaptor, fitted_rows=keys),
        dims=widths,
        k=settings.k,
        seed=seed,
        n_train=len(train),
        n_validation=len(check),
        n_held_out=len(shown),
        n_held_out_queries=len(ranking.held_out) if ranking else 0,
        qualities=qualities,
        gain_over_svd=paired_gain(values["adaptor"], values["svd"], seed),
        gain_over_prefix=paired_gain(values["adaptor"], values["prefix"], seed),
        strength=strength,
        turn=turn,
        stages=tuple(curve.stages) if curve else (),
        train_losses=tuple(curve.train) if curve else (),
        validation_losses=tuple(curve.validation) if curve else (),
        stopped=curve.stopped if curve else "closed form",
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True, eq=False)
class _Ranking:
    """Unit queries, their grades by corpus row, and the query numbers of the three parts."""

    queries: FloatMatrix
    grades: tuple[dict[int, int], ...]
    train: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int64]
    held_out: npt.NDArray[np.int64]

    @staticmethod
    def read(
        unit: FloatMatrix,
        queries: npt.ArrayLike | None,
        qrels: Qrels,
        held_out: float,
        validation: float,
        rng: np.random.Generator,
    ) -> _Ranking:
        if queries is None:
            raise InvalidInputError("`qrels` is given without `queries`; give the query embeddings too.")
        rows = normalize(check_embeddings(queries, "queries")).astype(np.float32)
        if rows.shape[1] != unit.shape[1]:
            raise ShapeError(
                f"`queries` have {rows.shape[1]} coordinates and `embeddings` {unit.shape[1]}; use one model for both."
            )
        for query, judged in qrels.items():
            if not 0 <= query < len(rows) or any(not 0 <= row < len(unit) for row in judged):
                raise InvalidInputError(f"`qrels` of query {query} names a row that does not exist; count rows from 0.")
        # Grade 0 is "judged irrelevant", which is what every unjudged row is taken for.
        grades = tuple(
            {int(row): int(grade) for row, grade in qrels.get(query, {}).items() if grade > 0}
            for query in range(len(rows))
        )
        judged_queries = np.flatnonzero([bool(judged) for judged in grades])
        if len(judged_queries) < FEWEST_QUERIES:
            raise EmptyInputError(
                f"`qrels` has {len(judged_queries)} queries with a relevant row; give at least {FEWEST_QUERIES}."
            )
        parts = _split(len(judged_queries), held_out, validation, rng)
        return _Ranking(rows, grades, *(judged_queries[part] for part in parts))

    def judgements(self, rows: npt.NDArray[np.int64]) -> tuple[Judged, Judged]:
        """For training and for validation: queries and their grades by position among `rows`, which alone are learnt
        from."""
        place = {int(row): position for position, row in enumerate(rows)}
        moved = [{place[row]: grade for row, grade in judged.items() if row in place} for judged in self.grades]
        train, check = ([query for query in part if moved[query]] for part in (self.train, self.validation))
        if not train or not check:
            raise EmptyInputError("`qrels` name too few rows of the training part; give more judgements.")
        return (self.queries[train], [moved[query] for query in train]), (
            self.queries[check],
            [moved[query] for query in check],
        )

    def task(self, unit: FloatMatrix, train: npt.NDArray[np.int64], rest: npt.NDArray[np.int64]) -> RankingTask:
        """Two groups of queries against the whole corpus."""
        chosen = np.concatenate([train, rest])
        return RankingTask(unit, self.queries[chosen], [self.grades[query] for query in chosen], len(train))

    def measured(self, unit: FloatMatrix) -> RankingTask:
        """The queries trained on and those held out, not too many of either."""
        return self.task(unit, self.train[:MEASURED_ROWS], self.held_out[:MEASURED_ROWS])


def _with_strength(adaptor: Adaptor, strength: float) -> Adaptor:
    """The adaptor with that share of its network, and without any at 0."""
    if strength == 0:
        return replace(adaptor, layers=())
    weight, bias = adaptor.layers[-1]
    scaled = (weight * np.float32(strength), bias * np.float32(strength))
    return replace(adaptor, layers=(*adaptor.layers[:-1], scaled))


def _choose_strength(
    adaptor: Adaptor,
    svd: Adaptor,
    unit: FloatMatrix,
    check: npt.NDArray[np.int64],
    settings: AdaptorSettings,
    ranking: _Ranking | None,
) -> float:
    """The blend: the share of the network that is best on the validation data, over the widths fitted.

    Without judgements: the best mean overlap among the shares that lose at no width from `pivot` up more than
    `tolerance`
    against SVD. 0 always qualifies: the rotation changes no cosine there. With judgements: the best mean nDCG@10.
    """
    dims = (*adaptor.dims, adaptor.full_dim)
    if ranking is not None:
        task = ranking.task(unit, ranking.validation[:0], ranking.validation)
        scores = [ranking_quality(task, _with_strength(adaptor, s).apply, dims).mean() for s in STRENGTHS]
        return STRENGTHS[int(np.argmax(scores))]
    rows = unit[check]
    truth = nested_sweep(rows, dims=[adaptor.full_dim], k=settings.k).indices[-1]
    wide = [level for level, dim in enumerate(dims) if dim >= settings.pivot or dim == adaptor.full_dim]
    baseline = overlap_with(truth, svd.apply(rows), dims, settings.k).mean(axis=1)
    chosen, best = 0.0, -1.0
    for strength in STRENGTHS:
        overlap = overlap_with(truth, _with_strength(adaptor, strength).apply(rows), dims, settings.k).mean(axis=1)
        allowed = strength == 0 or bool((overlap[wide] >= baseline[wide] - settings.tolerance).all())
        if allowed and overlap.mean() > best:
            chosen, best = strength, float(overlap.mean())
    return chosen


def _split(
    n: int, held_out: float, validation: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Random positions to train on, to validate on, and to measure on."""
    order = rng.permutation(n)
    n_test, n_check = max(1, round(held_out * n)), max(1, round(validation * n))
    return order[n_test + n_check :], order[n_test : n_test + n_check], order[:n_test]


def _check_rows(
    n: int,
    train: npt.NDArray[np.int64],
    check: npt.NDArray[np.int64],
    test: npt.NDArray[np.int64],
    batch_size: int,
    k: int,
) -> None:
    """Every part must be able to fill a batch or a neighbor list."""
    if len(train) < batch_size:
        raise EmptyInputError(
            f"`embeddings` has {n} rows, of which {len(train)} are left to train on, fewer than `batch_size` "
            f"{batch_size}; give more rows or a smaller batch."
        )
    if min(len(check), len(test), len(train)) < k + 2:
        raise EmptyInputError(
            f"`embeddings` has {n} rows, which leaves {len(check)} to validate on and {len(test)} to measure on; "
            f"{k} neighbors need at least {k + 2} in each."
        )


def _check_settings(settings: AdaptorSettings, method: str) -> None:
    if method not in METHODS:
        raise InvalidInputError(f"`method` is {method!r}; choose one of {list(METHODS)}.")
    if settings.activation not in ACTIVATIONS:
        raise InvalidInputError(f"`activation` is {settings.activation!r}; choose one of {list(ACTIVATIONS)}.")
    if settings.reduction not in ("mean", "sum"):
        raise InvalidInputError(f"`reduction` is {settings.reduction!r}; choose 'mean' or 'sum'.")
    for name in ("hidden_dim", "depth", "k", "pivot", "epochs", "patience"):
        if (value := getattr(settings, name)) < 1:
            raise InvalidInputError(f"`{name}` is {value}; choose 1 or more.")
    for name in ("temperature", "learning_rate", "rotation_rate"):
        if not (value := getattr(settings, name)) > 0:
            raise InvalidInputError(f"`{name}` is {value}; choose a number above 0.")
    for name in ("alpha", "beta", "gamma", "tolerance"):
        if not (value := getattr(settings, name)) >= 0:
            raise InvalidInputError(f"`{name}` is {value}; choose a number from 0 up.")
    if settings.batch_size is not None and settings.batch_size < settings.k + 2:
        raise InvalidInputError(
            f"`batch_size` is {settings.batch_size}; with `k` {settings.k} choose {settings.k + 2} or more."
        )
    if method == "neighbors" and not settings.is_residual:
        raise InvalidInputError("`is_residual` is off, which only the methods 'paper' and 'search' know; leave it on.")
