"""Two to four models on the same texts, per byte of a stored vector: what each keeps of itself, and how good it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, count
from typing import Any

import numpy as np

from mrl_viz.comparison.results import ComparedModel, ComparedPoint, ModelAgreement, ModelComparison
from mrl_viz.data.corpus import same_items
from mrl_viz.embedding.catalogue import find_card
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.measures.estimate import Estimate, PairedEstimate, bootstrap, paired_bootstrap
from mrl_viz.measures.front import pareto_front
from mrl_viz.measures.lists import Indices, neighbor_lists, shared_share
from mrl_viz.measures.sample import chosen_rows
from mrl_viz.retrieval.coded import stored
from mrl_viz.retrieval.codes import bytes_per_vector
from mrl_viz.retrieval.quantization import CALIBRATION_ROWS
from mrl_viz.sweep import check_k
from mrl_viz.tasks.task import Task, available_tasks, check_queries, find_task
from mrl_viz.truncation import Floats, Ints, Progress, check_dims, default_dims

DTYPES = ("float32", "float16", "int8", "int4", "binary")
FEWEST_MODELS, MOST_MODELS = 2, 4
# Overlap of this many lists is known to about a hundredth; every width and dtype is searched anew, so more takes long.
MOST_MEASURED = 2000
# Each labelled text is classified among this many at most, for the same reason.
MOST_CLASSIFIED = 5000
# int8 ranges are the least and largest of the calibration rows: of fewer than this they clip what comes later.
FEWEST_CALIBRATION = 100
# Long enough a measurement that the clock and the first call do not show; a slow model reaches it with few texts.
SPEED_SECONDS, FEWEST_TIMED = 0.2, 16


def compare_models(
    embedded: Sequence[Embedded],
    *,
    dims: Iterable[int] | None = None,
    k: int = 10,
    seed: int = 0,
    task: str | None = None,
    binary_qrels: bool = False,
    texts_per_second: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> ModelComparison:
    """Overlap with itself and task quality of two to four models at every width and dtype, and N2O between them.

    Queries stay float32; int8 ranges come from a seeded half of the texts. Retrieval and kNN search stored codes by
    cosine with float queries; scored pairs compare codes with codes.

    Parameters
    ----------
    embedded : the same texts, in the same order, by each model; the first that has labels judges all. Corpora of ready
        vectors are called by the name of their file and share what one of them knows: texts, labels, queries' names,
        judgements
    dims : widths; each model takes those below its own, and its full width. None takes each model's default ones
    k : neighbors per list, 1 to n_items - 1 (n_items for queries, which are used where all models have them)
    seed : of the bootstrap, the calibration split and samples
    task : one of `tasks.task.TASKS`; None takes the first that all models can be judged by
    binary_qrels : count every positive relevance grade as 1
    texts_per_second : encode speeds by model name, see `encode_speed`
    progress : called with (steps done, steps in all)

    Raises
    ------
    InvalidInputError : not two to four models, repeated names, other texts, `k`, or a `task` that cannot be judged.
    DimensionError : a width above every model's. ShapeError, EmptyInputError : unusable arrays.

    Source: N2O: Lin & Smith 2019, arXiv:1909.10724; the rest own definition.
    """
    embedded = tuple(embedded)
    if len(embedded) > 1 and all(one.corpus.embeddings is not None for one in embedded):
        shared = same_items([one.corpus for one in embedded])
        embedded = tuple(replace(one, corpus=corpus) for one, corpus in zip(embedded, shared))
    names = _check_models(embedded)
    n_items = embedded[0].corpus.n_items
    notes: list[str] = []
    is_self = _queries_are_texts(embedded, notes)
    check_k(k, n_items - is_self)
    widths = _widths(embedded, dims)
    judge = _judge(embedded, names, task, binary_qrels, seed, notes)

    n_queries = n_items if is_self else len(embedded[0].queries)  # type: ignore[arg-type]  # all have queries then
    rows = chosen_rows(n_queries, MOST_MEASURED, seed)
    if len(rows) < n_queries:
        notes.append(f"Overlap and N2O are measured on a seeded sample of {len(rows):,} of {n_queries:,}.")
    calibration = calibration_rows(n_items, seed)
    if len(calibration) < FEWEST_CALIBRATION:
        notes.append(f"int8 ranges come from {len(calibration)} texts only, so int8 may look worse than it is.")

    n_steps = sum(len(own) for own in widths) * (len(DTYPES) - 1) + len(embedded)
    done = count(1)

    def step() -> None:
        if progress is not None:
            progress(next(done), n_steps)

    own = rows if is_self else None
    measured = [_measure_model(one, of, k, own, rows, calibration, judge, step) for one, of in zip(embedded, widths)]
    lists, kept, values = zip(*measured)
    points = compared_points(names, widths, kept, values if judge else (), seed)
    # The widest float32 vectors are each model's best-known quality: what the models are told apart by.
    in_full = np.stack([of[len(dims) - 1] for of, dims in zip(values, widths)]) if judge else None
    return ModelComparison(
        models=_models(embedded, names, in_full, points, texts_per_second or {}, seed),
        points=points,
        agreement=agreements(lists, widths, seed),
        k=k,
        chance=k / (n_items - is_self),
        n_items=n_items,
        n_measured=len(rows),
        is_self=is_self,
        task=judge.kind if judge else None,
        metric=judge.metric if judge else None,
        n_judged=judge.n_judged if judge else 0,
        notes=tuple(notes),
        embedded=embedded,
    )


def encode_speed(encode: Callable[[Sequence[str]], Any], texts: Sequence[str], *, n_texts: int = 64) -> float:
    """Texts encoded per second, after a warm-up, without any store; repeated until it took a fifth of a second.

    Parameters
    ----------
    encode : an encoder's `encode`; of an API it is paid for
    texts : the first `n_texts` are encoded, of a slow model fewer: the first 16, then twice as many at a time

    Raises
    ------
    EmptyInputError : no texts.
    """
    chosen = list(texts[:n_texts])
    if not chosen:
        raise EmptyInputError("`texts` is empty; give at least one text.")
    encode(chosen[:1])
    n_encoded, size, started = 0, FEWEST_TIMED, time.perf_counter()
    while True:
        encode(chosen[:size])
        n_encoded += len(chosen[:size])
        size *= 2
        if (took := time.perf_counter() - started) >= SPEED_SECONDS:
            return n_encoded / took


def calibration_rows(n_items: int, seed: int = 0) -> Ints:
    """Positions of the texts that int8 ranges are taken from: a seeded half, ascending, at most CALIBRATION_ROWS."""
    return chosen_rows(n_items, min(CALIBRATION_ROWS, -(-n_items // 2)), seed)


def _check_models(embedded: Sequence[Embedded]) -> tuple[str, ...]:
    """The models' names, when there are two to four of them, all different, of the same texts."""
    if not FEWEST_MODELS <= len(embedded) <= MOST_MODELS:
        raise InvalidInputError(f"`embedded` has {len(embedded)} models; compare {FEWEST_MODELS} to {MOST_MODELS}.")
    names = tuple(one.corpus.name if one.corpus.embeddings is not None else one.model for one in embedded)
    if len(set(names)) < len(names):
        raise InvalidInputError(
            f"`embedded` has models {', '.join(names)}; give each model once, and files different names."
        )
    texts = embedded[0].corpus.texts
    for name, one in zip(names, embedded):
        if one.corpus.texts != texts:
            raise InvalidInputError(
                f"`{name}` has other texts than `{names[0]}` ({one.corpus.n_items} and {len(texts)} of them); embed "
                "the same texts in the same order, and give ready vectors their texts."
            )
    return names


def _queries_are_texts(embedded: Sequence[Embedded], notes: list[str]) -> bool:
    n_queries = {len(one.queries) for one in embedded if one.queries is not None}
    if any(one.queries is None for one in embedded):
        if n_queries:
            notes.append(
                "Not every model has embedded the queries, so overlap and N2O are those of the texts among themselves."
            )
        return True
    if len(n_queries) > 1:
        raise InvalidInputError(f"`embedded` has {sorted(n_queries)} queries; embed the same queries with every model.")
    return False


def _widths(embedded: Sequence[Embedded], dims: Iterable[int] | None) -> list[tuple[int, ...]]:
    if dims is None:
        return [default_dims(one.full_dim, one.matryoshka_dims) for one in embedded]
    chosen = check_dims(dims, max(one.full_dim for one in embedded))
    return [(*(dim for dim in chosen if dim < one.full_dim), one.full_dim) for one in embedded]


def _judge(
    embedded: Sequence[Embedded],
    names: Sequence[str],
    kind: str | None,
    binary_qrels: bool,
    seed: int,
    notes: list[str],
) -> Task | None:
    """The asked task, or the first that all models can be judged by; None, with a note why, if there is none."""
    judging = next((one for one in embedded if available_tasks(one.corpus)), embedded[0])
    tasks = available_tasks(judging.corpus)
    if kind is not None and not tasks:
        raise InvalidInputError(f"`task` is {kind!r} but `{judging.corpus.name}` has no labels; leave the task out.")
    for asked in tasks if kind is None else (kind,):
        try:
            if asked == "retrieval":
                for name, one in zip(names, embedded):
                    check_queries(one, judging.corpus, name)
            task = find_task(judging, asked, binary_qrels=binary_qrels, most_items=MOST_CLASSIFIED, seed=seed)
        except InvalidInputError as error:
            if kind is not None:
                raise
            notes.append(f"Not judged by {asked}: {error}")
        else:
            notes += task.notes
            return task
    return None


def _measure_model(
    one: Embedded,
    dims: tuple[int, ...],
    k: int,
    own: Ints | None,
    rows: Ints,
    calibration: Ints,
    judge: Task | None,
    step: Callable[[], None],
) -> tuple[Indices, Floats, Floats]:
    """float32 lists (n_dims, n_rows, k); overlap (n_points, n_rows), quality (n_points, n_judged), dtype by dtype."""
    queries = (one.matrix if one.queries is None or own is not None else one.queries)[rows]
    lists = neighbor_lists(one.matrix, queries, dims, k, own=own)
    shares = list(shared_share(lists, lists[-1]))
    values = [judge.measure(one.matrix, judge.asking(one), dims)] if judge else []
    step()
    for dtype in DTYPES[1:]:
        for dim in dims:
            rows_of_codes = stored(one.matrix, dim, dtype, calibration=one.matrix[calibration])
            found = neighbor_lists(rows_of_codes, queries[:, :dim], (dim,), k, own=own)
            shares.append(shared_share(found[0], lists[-1]))
            if judge:
                values.append(judge.measure(rows_of_codes, judge.asking(one), (dim,)))
            step()
    return lists, np.stack(shares), np.concatenate(values) if values else np.empty((0, 0))


def compared_points(
    names: Sequence[str], widths: Sequence[tuple[int, ...]], kept: Sequence[Floats], values: Sequence[Floats], seed: int
) -> tuple[ComparedPoint, ...]:
    """Every model, dtype and width, from what each query keeps, (n_points, n_rows) a model, dtype by dtype.

    `values` : of each judged, likewise; empty without labels.
    """
    keys = [(name, dim, dtype) for name, dims in zip(names, widths) for dtype in DTYPES for dim in dims]
    points = [
        ComparedPoint(*key, bytes_per_vector(*key[1:]), share)
        for key, share in zip(keys, bootstrap(np.concatenate(kept), seed=seed))
    ]
    if not values:
        return tuple(points)
    # The shares of pairs in a correlation are not bounded by what the correlation is.
    judged = [
        Estimate(one.value, max(one.low, -1), min(one.high, 1)) for one in bootstrap(np.concatenate(values), seed=seed)
    ]
    front = pareto_front([point.bytes_per_vector for point in points], [one.value for one in judged]).tolist()
    return tuple(replace(point, quality=one, is_on_front=first) for point, one, first in zip(points, judged, front))


def _models(
    embedded: Sequence[Embedded],
    names: Sequence[str],
    in_full: Floats | None,
    points: Sequence[ComparedPoint],
    speeds: Mapping[str, float],
    seed: int,
) -> tuple[ComparedModel, ...]:
    """The models, with the distance to the best in full where their quality (n_models, n_judged) is known."""
    behind: Sequence[PairedEstimate | None] = (None,) * len(names)
    if in_full is not None:
        behind = paired_bootstrap(in_full, baseline=int(in_full.mean(axis=1).argmax()), seed=seed)
    full = {point.model: point for point in points if point.dtype == DTYPES[0]}  # the widest of a model comes last

    def model(name: str, one: Embedded, distance: PairedEstimate | None) -> ComparedModel:
        is_ready = one.corpus.embeddings is not None
        card = None if is_ready else find_card(name)
        return ComparedModel(
            name,
            one.full_dim,
            one.matryoshka_dims,
            size_mb=card.size_mb if card else None,
            embed_seconds=None if is_ready else one.seconds,
            texts_per_second=speeds.get(name),
            quality=full[name].quality,
            behind=distance.difference if distance else None,
        )

    return tuple(map(model, names, embedded, behind))


def agreements(lists: Sequence[Indices], widths: Sequence[tuple[int, ...]], seed: int) -> tuple[ModelAgreement, ...]:
    """N2O at the widths that all models have, and at full width; `lists` : (n_dims, n_rows, k) of each, float32."""
    models, itself = range(len(lists)), Estimate(1.0, 1.0, 1.0)
    pairs = list(combinations(models, 2))

    def at(dim: int | None) -> ModelAgreement:
        here = [own[-1] if dim is None else own[dims.index(dim)] for own, dims in zip(lists, widths)]
        found = dict(zip(pairs, bootstrap(np.stack([shared_share(here[a], here[b]) for a, b in pairs]), seed=seed)))
        return ModelAgreement(
            dim, tuple(tuple(found.get((min(a, b), max(a, b)), itself) for b in models) for a in models)
        )

    return tuple(map(at, (*sorted(set.intersection(*map(set, widths))), None)))
