"""Write `sample_data/results/` again: what the app's pages show of the sample before anybody asked them to measure.

    python benchmarks/make_sample_results.py [NAME ...]

Each answer is what its page would measure with the widgets as they are at first. To be run after a change of the sample
or of what is measured; a test measures again and fails until it has been. Takes a minute or two.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from mrl_viz.adaptor.adaptor import one_thread
from mrl_viz.adaptor.fit import fit_adaptor, suggested_settings
from mrl_viz.archive import read_result, write_result
from mrl_viz.comparison import compare_models, compare_precisions, encode_speed
from mrl_viz.data.reading import read_corpus
from mrl_viz.data.samples import sample_data_folder
from mrl_viz.decide import (
    Candidates,
    CorpusSizeEffect,
    Recommendation,
    choose,
    corpus_size_effect,
    measure_candidates,
)
from mrl_viz.decide.canary import check_canaries
from mrl_viz.decide.history import EXAMPLE, check_record
from mrl_viz.decide.monitoring import check_deployed_plan
from mrl_viz.embedding.embedded import Embedded, embed
from mrl_viz.embedding.encoders import load_encoder, revision_of
from mrl_viz.embedding.encoders.precomputed import SAMPLE_MODELS
from mrl_viz.heads.adaptive import DIGIT_DIMS, DIGIT_HEADS, AdaptiveClassification, classify_adaptively
from mrl_viz.heads.training import HeadTraining
from mrl_viz.projection import umap_maps
from mrl_viz.retrieval.plan import Plan
from mrl_viz.tasks.evaluation import evaluate
from mrl_viz.tasks.long_tail import long_tail, tail_columns
from mrl_viz.tasks.robustness import robustness
from mrl_viz.training.config import TrainingConfig, nesting_dims
from mrl_viz.training.data import training_data
from mrl_viz.training.loop import EpochLosses
from mrl_viz.training.overlay import HeldOutValues
from mrl_viz.training.twins import TwinRun, small_dim, train_twins
from mrl_viz.truncation import parse_dims
from mrl_viz.ui.adaptive import DIGITS, Heads
from mrl_viz.ui.adaptor import Choice
from mrl_viz.ui.shipped import FOLDER, answer_key
from mrl_viz.ui.training import EPOCHS

K, METRIC, N_VECTORS = 10, "overlap@10", 1_000_000
HEADS, DIGIT = Heads(("domain", "topic"), HeadTraining()), Heads(("digit",), DIGIT_HEADS)


def sample() -> tuple[Embedded, tuple[int, ...]]:
    """The sample as a first visitor has it, and the widths she measures."""
    vectors = embed(read_corpus("sample"), queries=())
    return vectors, parse_dims("", vectors.full_dim, vectors.matryoshka_dims)


def comparison(vectors: Embedded, dims: tuple[int, ...]) -> Any:
    both = [embed(vectors.corpus, model) for model in SAMPLE_MODELS]
    speeds = {model: encode_speed(load_encoder(model).encode, vectors.corpus.texts) for model in SAMPLE_MODELS}
    return compare_models(both, k=K, texts_per_second=speeds)


def quality(task: str) -> Callable[[Embedded, tuple[int, ...]], Any]:
    return lambda vectors, dims: evaluate(embed(vectors.corpus), dims=dims, task=task, seed=0)


def few_examples(vectors: Embedded, dims: tuple[int, ...]) -> Any:
    return long_tail(vectors, dims=dims, column=tail_columns(vectors.corpus)[0], seed=0)


def changed_texts(vectors: Embedded, dims: tuple[int, ...]) -> Any:
    return robustness(embed(vectors.corpus), "typos", dims=dims, task="retrieval", seed=0)


def plans(vectors: Embedded, dims: tuple[int, ...]) -> Any:
    return measure_candidates(embed(vectors.corpus), metric=METRIC)


def precision(vectors: Embedded, dims: tuple[int, ...]) -> Any:
    return compare_precisions(embed(vectors.corpus), dims=dims, k=K)


def first_decision() -> Recommendation:
    """What the page chooses from the plans that come with the sample, before a slider was moved."""
    vectors, _ = sample()
    measured = read_result(Candidates, FOLDER / "plans.npz", key=answer_key(vectors, METRIC))
    assert measured is not None, "make the plans first"
    return choose(measured, target=0.9, n_vectors=N_VECTORS)


def corpus_size(vectors: Embedded, dims: tuple[int, ...]) -> CorpusSizeEffect:
    decision = first_decision()
    assert decision.plan is not None
    return corpus_size_effect(embed(vectors.corpus), decision.plan, k=K, n_vectors=decision.n_vectors)


def adaptive(vectors: Embedded, dims: tuple[int, ...]) -> tuple[AdaptiveClassification, ...]:
    labels = {name: vectors.corpus.labels[name] for name in HEADS.columns}
    return shown(classify_adaptively(vectors.matrix, labels, dims, training=HEADS.training))


def digits() -> tuple[Embedded, tuple[int, ...]]:
    """The pictures of Adaptive classification, and the widths that it measures."""
    return embed(read_corpus(DIGITS)), DIGIT_DIMS


def adaptive_digits(vectors: Embedded, dims: tuple[int, ...]) -> tuple[AdaptiveClassification, ...]:
    labels = {name: vectors.corpus.labels[name] for name in DIGIT.columns}
    return shown(classify_adaptively(vectors.matrix, labels, dims, training=DIGIT.training))


def shown(found: tuple[AdaptiveClassification, ...]) -> tuple[AdaptiveClassification, ...]:
    # The page shows what the heads are worth; the heads themselves would be most of the file.
    return tuple(
        replace(one, heads={kind: replace(heads, weights=(), trunks=()) for kind, heads in one.heads.items()})
        for one in found
    )


def adaptor(vectors: Embedded, dims: tuple[int, ...]) -> Any:
    settings = suggested_settings(len(vectors.matrix), "neighbors")
    return fit_adaptor(vectors.matrix, dims[:-1], method="neighbors", settings=settings, model=vectors.model)


def umap(vectors: Embedded, dims: tuple[int, ...]) -> Any:
    return umap_maps(vectors.matrix, dims, k=K, seed=0)


def training(vectors: Embedded, choice: dict[str, Any]) -> tuple[TwinRun, tuple[EpochLosses, ...]]:
    """The run of the page as it is at first, or with another choice, and its losses."""
    losses: list[EpochLosses] = []
    data = training_data(vectors.corpus)
    with tempfile.TemporaryDirectory() as folder:
        config = TrainingConfig(model=vectors.model, epochs=EPOCHS, **choice)
        return train_twins(load_encoder(vectors.model), data, config, folder, progress=losses.append), tuple(losses)


def alone(vectors: Embedded, dims: tuple[int, ...]) -> tuple[TwinRun, tuple[EpochLosses, ...]]:
    """The same with a model for each width alone."""
    widths = tuple(sorted({*dims[:-1], small_dim(vectors.full_dim)}))
    return training(vectors, {"alone": widths})


def languages() -> tuple[Embedded, tuple[int, ...]]:
    """The scored pairs in several languages."""
    vectors = embed(read_corpus("sample:languages"), queries=())
    return vectors, parse_dims("", vectors.full_dim, vectors.matryoshka_dims)


# What the page offers to choose, one change each, to lay over the first run.
CHOICES: tuple[dict[str, Any], ...] = (
    {"dims": nesting_dims(256, "even")},
    {"dims": nesting_dims(256, "log", 32)},
    {"weights": "boost"},
    {"weights": "importance", "alpha": 0.5},
    {"schedule": "sampled", "n_dims_per_step": 1},
)


def choices(vectors: Embedded, dims: tuple[int, ...]) -> tuple[HeldOutValues, ...]:
    """What every held-out text is worth to models of other choices; only the Matryoshka ones are kept."""
    found = [training(vectors, choice)[0].values for choice in CHOICES]
    return tuple(replace(one, values={"matryoshka": one.values["matryoshka"]}) for one in found if one is not None)


# The history that Monitor shows first: a check a week of a plan for the sample, on dates that are made up. In the week
# WORDS_WEEK two words ask instead of questions; from PROMPT_WEEK on what asks is embedded with a prompt.
MONITORED, MONITOR_TARGET, N_ASKED, N_CANARIES = Plan(64, "int8", rerank=((50, 256),)), 0.9, 120, 12
FIRST_WEEK, WEEKS, WORDS_WEEK, PROMPT_WEEK = datetime(2026, 9, 7, 6, tzinfo=UTC), 8, 3, 6
PROMPT = "Represent this sentence for searching relevant passages: "


def monitoring() -> dict[str, Any]:
    """A record for each week, by the name of its file."""
    vectors, encoder = embed(read_corpus("sample")), load_encoder("wordllama")
    canaries = read_corpus(str(sample_data_folder() / "sentences.txt")).texts[:N_CANARIES]
    frozen, records = encoder.encode(canaries), {}
    for week in range(WEEKS):
        prompt = PROMPT if week >= PROMPT_WEEK else ""
        asked = [f"{prompt}{text}" for text in vectors.corpus.query_texts]
        if week == WORDS_WEEK:
            asked = [" ".join(sorted(text.rstrip("?.").split(), key=len)[-2:]) for text in asked]
        at = (FIRST_WEEK + timedelta(weeks=week)).isoformat(timespec="seconds")
        found = check_deployed_plan(
            vectors, MONITORED, encoder.encode(asked), target=MONITOR_TARGET, k=K, n_queries=N_ASKED, seed=week,
            measured_at=at,
        )  # fmt: skip
        again = encoder.encode([f"{prompt}{text}" for text in canaries])
        canary = check_canaries(frozen, again, vectors.matrix, dim=MONITORED.dim, k=K)
        records[f"check-{at[:10]}.json"] = check_record(found, canary)
    return records


# An answer's file: what makes it, and what its page was asked beside the vectors.
ANSWERS: dict[
    str, tuple[Callable[[Embedded, tuple[int, ...]], Any], Callable[[tuple[int, ...]], tuple[object, ...]]]
] = {
    "comparison": (comparison, lambda dims: (*(f"{model} {revision_of(model)}" for model in SAMPLE_MODELS), K)),
    "quality_retrieval": (quality("retrieval"), lambda dims: ("retrieval", dims)),
    "quality_classification": (quality("classification"), lambda dims: ("classification", dims)),
    "long_tail": (few_examples, lambda dims: (dims, "topic", "mean")),
    "robustness_typos": (changed_texts, lambda dims: ("typos", "retrieval", dims)),
    "plans": (plans, lambda dims: (METRIC,)),
    "precision": (precision, lambda dims: (dims, K)),
    "adaptive": (adaptive, lambda dims: (HEADS, dims)),
    "adaptive_digits": (adaptive_digits, lambda dims: (DIGIT, dims)),
    "adaptor": (adaptor, lambda dims: (Choice(dims[:-1], "neighbors", False),)),
    "corpus_size": (corpus_size, lambda dims: (METRIC, first_decision().plan, K, first_decision().n_vectors)),
    "umap": (umap, lambda dims: (dims, K)),
    "training_choices": (choices, lambda dims: ()),
}
# Answers about other data than the sample's texts.
ABOUT = {"adaptive_digits": digits}
TRAININGS = {"training": (alone, sample), "training_languages": (alone, languages)}
WITHOUT = {"comparison": ("embedded",), **dict.fromkeys(TRAININGS, ("folder", "training"))}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    wanted = sys.argv[1:] or [*ANSWERS, *TRAININGS, "monitor"]
    for name in wanted:
        if name == "monitor":
            kept = json.dumps(monitoring(), separators=(",", ":"), allow_nan=False)
            (FOLDER / EXAMPLE).write_text(f"{kept}\n", encoding="utf-8")
            continue
        started = time.perf_counter()
        vectors, dims = ABOUT.get(name, sample)()
        if name in TRAININGS:
            train, data = TRAININGS[name]
            run, losses = train(*data())
            vectors, made, made_of = data()[0], {name: run, f"{name}_losses": losses}, ()
        else:
            make, what = ANSWERS[name]
            with one_thread():
                made, made_of = {name: make(vectors, dims)}, what(dims)
        for file, result in made.items():
            path = FOLDER / f"{file}.npz"
            write_result(result, path, key=answer_key(vectors, *made_of), without=WITHOUT.get(file, ()))
            print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB, {time.perf_counter() - started:.1f} s", flush=True)


if __name__ == "__main__":
    main()
