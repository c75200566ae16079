"""What a page waits for, against the clock: Compare, Task quality, Choose, and every integer width of the sample.

    python benchmarks/bench_pages.py [--source FOLDER] [--repeats 3] [--skip compare ...]

Compare embeds its texts anew, as a first visit does, and once more from the store. Where there is no such folder, its
texts are made of the sample's.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mrl_viz.comparison import compare_models, encode_speed
from mrl_viz.data.corpus import Corpus, as_corpus
from mrl_viz.data.reading import read_corpus
from mrl_viz.decide import recommend
from mrl_viz.embedding.embedded import embed
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.embedding.encoders.sentence_transformers import SentenceTransformerEncoder
from mrl_viz.measures.lists import neighbor_overlap
from mrl_viz.sweep import nested_sweep
from mrl_viz.tasks.evaluation import evaluate
from mrl_viz.truncation import default_dims

MODELS = ("wordllama", "all-MiniLM-L6-v2")
N_COMPARED, COMPARED_CHARACTERS = 1398, 1100
N_LABELLED, N_CHOSEN = 1500, 1200
# Products timed, some seconds of them.
PRODUCTS = 200
PARTS = ("compare", "quality", "choose", "widths")


def report(name: str, run: Callable[[], object], repeats: int, bar: float | None) -> None:
    """Median wall-clock and processor seconds beside the bar, after one run to warm up where there are several."""
    if repeats > 1:
        run()
    walls, processors = [], []
    for _ in range(repeats):
        started, worked = time.perf_counter(), time.process_time()
        run()
        walls.append(time.perf_counter() - started)
        processors.append(time.process_time() - worked)
    shown = "" if bar is None else f"{bar:.1f}"
    print(f"{statistics.median(walls):8.2f} {statistics.median(processors):8.2f} {shown:>6}  {name}", flush=True)


def long_texts(source: str) -> Corpus:
    """The texts of a folder, or as many of about the same length made of the sample's."""
    if Path(source).exists():
        return read_corpus(source)
    rng, texts = np.random.default_rng(0), read_corpus("sample").texts
    drawn = [" ".join(rng.choice(texts, 40)) for _ in range(N_COMPARED)]
    return as_corpus([text[: rng.integers(COMPARED_CHARACTERS // 2, 3 * COMPARED_CHARACTERS // 2)] for text in drawn])


def compare_page(corpus: Corpus) -> None:
    """What the Compare page does when its button is pressed."""
    embedded, speeds = [], {}
    for name in MODELS:
        encoder = load_encoder(name)
        embedded.append(embed(corpus, encoder))
        speeds[encoder.name] = encode_speed(encoder.encode, corpus.texts)
    compare_models(embedded, texts_per_second=speeds)


def least_seconds(corpus: Corpus) -> tuple[float, float]:
    """Wall-clock and processor seconds of the bare matrix products of the transformer's layers for as many tokens."""
    encoder = load_encoder(MODELS[1])
    assert isinstance(encoder, SentenceTransformerEncoder)
    layers = [module for module in encoder.model.modules() if isinstance(module, torch.nn.Linear)]
    n_tokens = sum(min(n, encoder.max_tokens or n) for n in encoder.count_tokens(corpus.texts))
    rows = torch.randn(2048, layers[0].in_features)
    weights = torch.randn(4 * layers[0].in_features, layers[0].in_features)
    torch.nn.functional.linear(rows, weights)
    started, worked = time.perf_counter(), time.process_time()
    for _ in range(PRODUCTS):
        torch.nn.functional.linear(rows, weights)
    wall, processor = time.perf_counter() - started, time.process_time() - worked
    n_products = n_tokens * sum(layer.weight.numel() for layer in layers) / (len(rows) * weights.numel())
    return wall / PRODUCTS * n_products, processor / PRODUCTS * n_products


def labelled(corpus: Corpus) -> Corpus:
    """The sample and some of its texts again, changed a little, with their labels."""
    again = range(N_LABELLED - corpus.n_items)
    texts = (*corpus.texts, *(f"{corpus.texts[row]} ({row})" for row in again))
    labels = {name: (*values, *(values[row] for row in again)) for name, values in corpus.labels.items()}
    return replace(as_corpus(texts), labels=labels)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", default="../shared/data/cranfield")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--skip", nargs="*", choices=PARTS, default=[])
    args = parser.parse_args()
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {torch.get_num_threads()} threads, torch {torch.__version__}, numpy {np.__version__}")
    sample = embed(read_corpus("sample"), queries=())
    nested_sweep(sample.matrix[:50], dims=[8])  # what is compiled once a machine is no page's time
    print(f"{'wall s':>8} {'cpu s':>8} {'bar':>6}  median of {args.repeats}; Compare once")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MRL_VIZ_CACHE"] = folder
        if "compare" not in args.skip:
            corpus = long_texts(args.source)
            what = f"{' and '.join(MODELS)} on {corpus.n_items:,} texts"
            report(f"Compare, {what}, embedding them", lambda: compare_page(corpus), 1, 30)
            report(f"Compare, {what}, from the store", lambda: compare_page(corpus), 1, None)
            wall, processor = least_seconds(corpus)
            print(f"{wall:8.2f} {processor:8.2f} {'':6}  at least: the bare matrix products of {MODELS[1]}")
        if "quality" not in args.skip:
            vectors = embed(labelled(sample.corpus))
            dims = default_dims(vectors.full_dim, vectors.matryoshka_dims)
            columns = ", ".join(f"{len(set(values))} {name}s" for name, values in vectors.corpus.labels.items())
            report(
                f"Task quality, {N_LABELLED:,} texts, {columns}, {len(dims)} widths",
                lambda: evaluate(vectors, dims=dims), args.repeats, 5,
            )  # fmt: skip
        if "choose" not in args.skip:
            few = embed(list(sample.corpus.texts[:N_CHOSEN]))
            report(f"Choose, {N_CHOSEN:,} texts", lambda: recommend(few), args.repeats, 10)
        if "widths" not in args.skip:
            widths = range(1, sample.full_dim + 1)
            report(
                f"every integer width of the sample, {sample.corpus.n_items:,} x {sample.full_dim}",
                lambda: neighbor_overlap(nested_sweep(sample.matrix, dims=widths)), args.repeats, 1.5,
            )  # fmt: skip


if __name__ == "__main__":
    main()
