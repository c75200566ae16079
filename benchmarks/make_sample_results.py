"""Write `sample_data/results/` again: what the app's pages show of the sample before anybody asked them to measure.

    python benchmarks/make_sample_results.py [NAME ...]

Each answer is what its page would measure with the widgets as they are at first. To be run after a change of the sample
or of what is measured; a test measures again and fails until it has been. Takes a minute or two.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mrl_viz.adaptor.adaptor import one_thread
from mrl_viz.adaptor.fit import fit_adaptor, suggested_settings
from mrl_viz.archive import read_result, write_result
from mrl_viz.comparison import compare_models, compare_precisions, encode_speed
from mrl_viz.data.reading import read_corpus
from mrl_viz.decide import (
    Candidates,
    CorpusSizeEffect,
    Recommendation,
    choose,
    corpus_size_effect,
    measure_candidates,
)
from mrl_viz.embedding.embedded import Embedded, embed
from mrl_viz.embedding.encoders import load_encoder, revision_of
from mrl_viz.embedding.encoders.precomputed import SAMPLE_MODELS
from mrl_viz.heads.adaptive import AdaptiveClassification, classify_adaptively
from mrl_viz.heads.training import HeadTraining
from mrl_viz.projection import umap_maps
from mrl_viz.tasks.evaluation import evaluate
from mrl_viz.training.config import TrainingConfig
from mrl_viz.training.data import training_data
from mrl_viz.training.loop import EpochLosses
from mrl_viz.training.twins import TwinRun, train_twins
from mrl_viz.truncation import parse_dims
from mrl_viz.ui.adaptive import Heads
from mrl_viz.ui.adaptor import Choice
from mrl_viz.ui.shipped import FOLDER, answer_key
from mrl_viz.ui.training import EPOCHS

K, METRIC, N_VECTORS = 10, "overlap@10", 1_000_000
HEADS = Heads(("domain", "topic"), learns_projection=True)


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
    found = classify_adaptively(vectors.matrix, labels, dims, training=HeadTraining(projection=HEADS.learns_projection))
    # The page shows what the heads are worth; the heads themselves would be most of the file.
    return tuple(
        replace(one, heads={kind: replace(heads, weights=()) for kind, heads in one.heads.items()}) for one in found
    )


def adaptor(vectors: Embedded, dims: tuple[int, ...]) -> Any:
    settings = suggested_settings(len(vectors.matrix), "neighbors")
    return fit_adaptor(vectors.matrix, dims[:-1], method="neighbors", settings=settings, model=vectors.model)


def umap(vectors: Embedded, dims: tuple[int, ...]) -> Any:
    return umap_maps(vectors.matrix, dims, k=K, seed=0)


def training(vectors: Embedded, dims: tuple[int, ...]) -> tuple[TwinRun, tuple[EpochLosses, ...]]:
    """The run, and its losses."""
    losses: list[EpochLosses] = []
    data = training_data(vectors.corpus, source="labels", label_column="domain", split="texts")
    with tempfile.TemporaryDirectory() as folder:
        config = TrainingConfig(model=vectors.model, epochs=EPOCHS)
        return train_twins(load_encoder(vectors.model), data, config, folder, progress=losses.append), tuple(losses)


# An answer's file: what makes it, and what its page was asked beside the vectors.
ANSWERS: dict[
    str, tuple[Callable[[Embedded, tuple[int, ...]], Any], Callable[[tuple[int, ...]], tuple[object, ...]]]
] = {
    "comparison": (comparison, lambda dims: (*(f"{model} {revision_of(model)}" for model in SAMPLE_MODELS), K)),
    "quality_retrieval": (quality("retrieval"), lambda dims: ("retrieval", dims)),
    "quality_classification": (quality("classification"), lambda dims: ("classification", dims)),
    "plans": (plans, lambda dims: (METRIC,)),
    "precision": (precision, lambda dims: (dims, K)),
    "adaptive": (adaptive, lambda dims: (HEADS, dims)),
    "adaptor": (adaptor, lambda dims: (Choice(dims[:-1], "neighbors", False),)),
    "corpus_size": (corpus_size, lambda dims: (METRIC, first_decision().plan, K, first_decision().n_vectors)),
    "umap": (umap, lambda dims: (dims, K)),
}
WITHOUT = {"comparison": ("embedded",), "training": ("folder", "training")}


def main() -> None:
    vectors, dims = sample()
    FOLDER.mkdir(exist_ok=True)
    wanted = sys.argv[1:] or [*ANSWERS, "training"]
    for name in wanted:
        started = time.perf_counter()
        if name == "training":
            run, losses = training(vectors, dims)
            made, made_of = {"training": run, "training_losses": losses}, ()
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
