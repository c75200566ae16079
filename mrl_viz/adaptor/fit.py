"""Make frozen embeddings truncatable: fit a map full_dim → full_dim whose prefixes work, and say what it is worth."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from mrl_viz.adaptor.adaptor import (
    ACTIVATIONS,
    PREDICTION_WEIGHTS,
    RECOVERY_WEIGHTS,
    Adaptor,
    AdaptorSettings,
    Judged,
    Progress,
    one_thread,
)
from mrl_viz.adaptor.report import AdaptorFit, Floats, Map, check_narrow, measure_maps, overlap_with
from mrl_viz.arrangements import row_keys, svd_rotation
from mrl_viz.errors import EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.measures.estimate import bootstrap
from mrl_viz.measures.lists import ranks_in
from mrl_viz.sweep import nested_sweep
from mrl_viz.tasks.task import Task
from mrl_viz.truncation import FloatMatrix, check_embeddings, normalize

AdaptorMethod = Literal["neighbors", "paper", "search", "svd"]
METHODS: tuple[AdaptorMethod, ...] = get_args(AdaptorMethod)
Qrels = Mapping[int, Mapping[int, int]]
Rows = npt.NDArray[np.int64]
# Rows measured at most: overlap's interval is then about a percentage point wide, and an exact sweep takes about a
# second.
MEASURED_ROWS = 3000
STRENGTHS = (1.0, 0.75, 0.5, 0.25, 0.1, 0.0)
# Shares of what was learnt beyond SVD's rotation that are tried, SVD first; and how many rows neighbors are among.
LEARNT_SHARES, LEARNT_ROWS = (0.0, 0.25, 0.5, 0.75, 1.0), 5000
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
    method : "neighbors" (own: SVD, then a learnt rotation of its first `pivot` directions so that each width keeps the
        neighbor distribution; plus a residual network where `tolerance` or judgements allow one, as far as validation
        does), "paper" (Matryoshka-Adaptor), "search" (Search-Adaptor: ranking at full width, near the model's own
        vectors, queries predictable from documents; needs judgements), "svd" (the rotation alone)
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
    narrow = check_narrow(dims, full_dim)
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
    svd = adaptor = Adaptor("svd", full_dim, narrow, model, rotation)
    strength, learnt_share = 0.0, 1.0
    shown = unit[check[:MEASURED_ROWS]]
    training = None
    if method != "svd":
        from mrl_viz.adaptor.objectives import train_network

        judgements = ranking.judgements(train) if ranking else None
        judge = partial(ranking.validation_ndcg, unit) if ranking else None
        best, choices = -1.0, _weighted(settings, method)
        for number, choice in enumerate(choices):
            # Several threads add gradients up in an order of their own: then a seed would not give one adaptor.
            with one_thread():
                matrix, layers, ran = train_network(
                    method, unit[train], shown, narrow, rotation, choice, batch_size, judgements, judge, seed,
                    _part_of(progress, number, len(choices)), cancelled,
                )  # fmt: skip
            found = Adaptor(
                method, full_dim, narrow, model, matrix, tuple(layers), settings.activation, settings.is_residual
            )
            score = judge(found.apply) if judge and len(choices) > 1 else 0.0
            if score > best:
                best, adaptor, training, settings = score, found, ran, choice
            if ran.stopped == "cancelled":
                break
        strength = 1.0 if adaptor.layers else 0.0
        if method == "neighbors" and not adaptor.layers and adaptor.rotation is not None:
            learnt_share, kept = choose_rotation(adaptor.rotation, rotation, unit[train], shown, narrow, settings)
            adaptor = replace(adaptor, rotation=kept)
        if method == "neighbors" and adaptor.layers:
            strength = _choose_strength(adaptor, svd, unit, shown, settings, ranking)
            adaptor = _with_strength(adaptor, strength)
    widths = (*narrow, full_dim)
    test = test[:MEASURED_ROWS]
    qualities, values = measure_maps(
        {"prefix": lambda rows: rows, "svd": svd.apply, "adaptor": adaptor.apply},
        unit[test],
        unit[train[: len(test)]],
        widths,
        settings.k,
        seed,
        (lambda apply: ranking.trained_and_held_out(apply, unit, widths)) if ranking else None,
    )
    # The validation rows chose the epoch and the shares: they are no more unseen than the rows trained on.
    keys = np.unique(row_keys(unit[np.concatenate([train, check])]))
    return AdaptorFit(
        adaptor=replace(adaptor, fitted_rows=keys),
        dims=widths,
        k=settings.k,
        seed=seed,
        n_train=len(train),
        n_validation=len(check),
        n_held_out=len(test),
        n_held_out_queries=len(ranking.held_out) if ranking else 0,
        qualities=qualities,
        gain_over_svd=bootstrap(values["adaptor"] - values["svd"], seed=seed),
        gain_over_prefix=bootstrap(values["adaptor"] - values["prefix"], seed=seed),
        strength=strength,
        learnt_share=learnt_share,
        weights=(settings.recovery or 0.0, settings.prediction or 0.0) if method == "search" else None,
        stages=tuple(training.stages) if training else (),
        train_losses=tuple(training.train_losses) if training else (),
        validation_losses=tuple(training.validation_losses) if training else (),
        stopped=training.stopped if training else "closed form",
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True, eq=False)
class _Ranking:
    """Unit queries, their grades by corpus row, and the query numbers of the three parts."""

    queries: FloatMatrix
    grades: tuple[dict[int, int], ...]
    train: Rows
    validation: Rows
    held_out: Rows

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

    def judgements(self, rows: Rows) -> tuple[Judged, Judged]:
        """For training and for validation: queries and their grades by position among `rows`, which alone teach."""
        place = {int(row): position for position, row in enumerate(rows)}
        moved = [{place[row]: grade for row, grade in judged.items() if row in place} for judged in self.grades]
        train, check = ([query for query in part if moved[query]] for part in (self.train, self.validation))
        if not train or not check:
            raise EmptyInputError("`qrels` name too few rows of the training part; give more judgements.")
        return tuple((self.queries[part], [moved[query] for query in part]) for part in (train, check))  # type: ignore[return-value]

    def ndcg(self, apply: Map, unit: FloatMatrix, rows: Rows, dims: tuple[int, ...]) -> Floats:
        """nDCG@10 of some queries over the whole corpus at each width, shape (n_dims, n_queries)."""
        task = Task("retrieval", "ndcg@10", rows, grades=tuple(self.grades[row] for row in rows))
        return task.measure(apply(unit), apply(self.queries), dims)

    def validation_ndcg(self, unit: FloatMatrix, apply: Map) -> float:
        """nDCG@10 of the validation queries at full width, not too many of them."""
        return float(self.ndcg(apply, unit, self.validation[:MEASURED_ROWS], (unit.shape[1],)).mean())

    def trained_and_held_out(self, apply: Map, unit: FloatMatrix, dims: tuple[int, ...]) -> tuple[Floats, Floats]:
        """`ndcg` of the queries trained on and of those held out, not too many of either."""
        parts = self.train[:MEASURED_ROWS], self.held_out[:MEASURED_ROWS]
        values = self.ndcg(apply, unit, np.concatenate(parts), dims)
        return values[:, : len(parts[0])], values[:, len(parts[0]) :]


def _weighted(settings: AdaptorSettings, method: str) -> list[AdaptorSettings]:
    """The settings with every pair of weights that Search-Adaptor tries; for other methods as they are."""
    if method != "search":
        return [settings]
    recovery = RECOVERY_WEIGHTS if settings.recovery is None else (settings.recovery,)
    prediction = PREDICTION_WEIGHTS if settings.prediction is None else (settings.prediction,)
    return [replace(settings, recovery=alpha, prediction=beta) for alpha in recovery for beta in prediction]


def _part_of(progress: Progress | None, number: int, n_parts: int) -> Progress | None:
    """The progress of one of several equal parts."""
    if progress is None:
        return None
    return lambda done, total, about: progress(number * total + done, n_parts * total, about)


def choose_rotation(
    learnt: FloatMatrix,
    rotation: FloatMatrix,
    train: FloatMatrix,
    check: FloatMatrix,
    dims: tuple[int, ...],
    settings: AdaptorSettings,
) -> tuple[float, FloatMatrix]:
    """The share of the way from SVD's rotation to the learnt one that validation rows bear out, and that rotation.

    The best mean overlap among the shares that lose to SVD at no width; 0, which is SVD itself, always qualifies. The
    validation rows look for neighbors among the rows trained on: few rows among themselves would make it an easy task.
    """
    from scipy.linalg import fractional_matrix_power

    below = tuple(dim for dim in dims if dim < min(settings.pivot, len(rotation)))
    if not below:
        return 0.0, rotation
    corpus = train[:LEARNT_ROWS]
    way = learnt.astype(np.float64) @ rotation.T.astype(np.float64)
    truth = nested_sweep(corpus, check, dims=[len(rotation)], k=settings.k).indices[-1]
    best = (-1.0, 0.0, rotation)
    baseline: Floats | None = None
    for share in LEARNT_SHARES:
        part = np.asarray(fractional_matrix_power(way, share)).real
        left, _, right = np.linalg.svd(part)  # the nearest rotation: rounding must not change lengths
        matrix = (left @ right @ rotation).astype(np.float32) if 0 < share < 1 else (learnt if share else rotation)
        sweep = nested_sweep(corpus @ matrix.T, check @ matrix.T, dims=below, k=settings.k)
        # As counts of one total, so that equally good shares compare as equal.
        kept = (ranks_in(sweep.indices[[sweep.at(dim) for dim in below]], truth) >= 0).mean(axis=(1, 2))
        baseline = kept if baseline is None else baseline
        if (kept >= baseline).all() and kept.mean() > best[0]:
            best = (float(kept.mean()), share, matrix)
    return best[1], best[2]


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
    check: FloatMatrix,
    settings: AdaptorSettings,
    ranking: _Ranking | None,
) -> float:
    """The share of the network that is best on the validation data, over the widths fitted.

    Without judgements: the best mean overlap among the shares that lose at no width from `pivot` up more than
    `tolerance` against SVD. 0 always qualifies: the rotation changes no cosine there. With judgements: the best mean
    nDCG@10.
    """
    dims = (*adaptor.dims, adaptor.full_dim)
    if ranking is not None:
        maps = (_with_strength(adaptor, strength).apply for strength in STRENGTHS)
        scores = [ranking.ndcg(apply, unit, ranking.validation, dims).mean() for apply in maps]
        return STRENGTHS[int(np.argmax(scores))]
    truth = nested_sweep(check, dims=[adaptor.full_dim], k=settings.k).indices[-1]
    wide = [level for level, dim in enumerate(dims) if dim >= settings.pivot or dim == adaptor.full_dim]
    baseline = overlap_with(truth, svd.apply(check), dims, settings.k).mean(axis=1)
    allowed = {}
    for strength in STRENGTHS:
        overlap = overlap_with(truth, _with_strength(adaptor, strength).apply(check), dims, settings.k).mean(axis=1)
        if strength == 0 or (overlap[wide] >= baseline[wide] - settings.tolerance).all():
            allowed[strength] = overlap.mean()
    return max(allowed, key=allowed.__getitem__)


def _split(n: int, held_out: float, validation: float, rng: np.random.Generator) -> tuple[Rows, Rows, Rows]:
    """Random positions to train on, to validate on, and to measure on."""
    order = rng.permutation(n)
    n_test, n_check = max(1, round(held_out * n)), max(1, round(validation * n))
    return order[n_test + n_check :], order[n_test : n_test + n_check], order[:n_test]


def _check_rows(n: int, train: Rows, check: Rows, test: Rows, batch_size: int, k: int) -> None:
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
    for name, choice, known in (
        ("method", method, METHODS),
        ("activation", settings.activation, ACTIVATIONS),
        ("reduction", settings.reduction, ("mean", "sum")),
    ):
        if choice not in known:
            raise InvalidInputError(f"`{name}` is {choice!r}; choose one of {list(known)}.")
    for names, is_possible, allowed in (
        (("hidden_dim", "depth", "k", "pivot", "epochs", "patience"), lambda value: value >= 1, "1 or more"),
        (("temperature", "learning_rate", "rotation_rate"), lambda value: value > 0, "a number above 0"),
        (("alpha", "beta", "gamma", "tolerance"), lambda value: value >= 0, "a number from 0 up"),
        (("recovery", "prediction"), lambda value: value is None or value >= 0, "a number from 0 up, or None"),
        (("batch_size",), lambda value: value is None or value >= settings.k + 2, f"{settings.k + 2} or more"),
    ):
        for name in names:
            if not is_possible(value := getattr(settings, name)):
                raise InvalidInputError(f"`{name}` is {value}; choose {allowed}.")
    if method == "neighbors" and not settings.is_residual:
        raise InvalidInputError("`is_residual` is off, which only the methods 'paper' and 'search' know; leave it on.")
