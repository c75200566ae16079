"""`evaluate` beside sentence-transformers' evaluator looped over `truncate_dim`: same process, model and batches.

    python benchmarks/bench_evaluate.py [--model wordllama] [--source FOLDER] [--repeats 3] [--limit N]

Both start from texts: encoding is part of each. Ours adds intervals and tests at every width.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sentence_transformers
import torch
from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

from mrl_viz.data.corpus import Corpus
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.embedding.encoder import Encoder
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.embedding.encoders.sentence_transformers import SentenceTransformerEncoder, as_sentence_transformer
from mrl_viz.tasks.evaluation import evaluate

N_DIMS = 6


def ours(corpus: Corpus, encoder: Encoder, dims: list[int]) -> list[float]:
    """nDCG@10 at every width, from texts, by one encoding."""
    rows, queries = encoder.encode(corpus.texts), encoder.encode(corpus.query_texts, kind="query")
    embedded = Embedded(corpus, encoder.name, encoder.matryoshka_dims, rows, queries, 0.0, "")
    curve = evaluate(embedded, dims=dims, task="retrieval", binary_qrels=True).curves["ndcg@10"]
    return [estimate.value for estimate in curve.value]


def theirs(corpus: Corpus, encoder: SentenceTransformerEncoder, dims: list[int]) -> list[float]:
    """nDCG@10 at every width, from texts, by one evaluator a width."""
    queries, documents = dict(zip(corpus.query_ids, corpus.query_texts)), dict(zip(corpus.ids, corpus.texts))
    relevant = {query: {doc for doc, grade in grades.items() if grade > 0} for query, grades in corpus.qrels.items()}
    relevant = {query: documents_ for query, documents_ in relevant.items() if documents_}
    values = []
    for dim in dims:
        evaluator = InformationRetrievalEvaluator(
            queries, documents, relevant, truncate_dim=dim, batch_size=encoder.batch_size, write_csv=False
        )
        values.append(float(evaluator(encoder.model)["cosine_ndcg@10"]))
    return values


def timed(run: Callable[[], list[float]], repeats: int) -> tuple[list[float], float, float]:
    """The values, and median wall-clock and processor seconds, after one run to warm up where there are several."""
    if repeats > 1:
        run()
    walls, processors = [], []
    for _ in range(repeats):
        started, worked = time.perf_counter(), time.process_time()
        values = run()
        walls.append(time.perf_counter() - started)
        processors.append(time.process_time() - worked)
    return values, statistics.median(walls), statistics.median(processors)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", action="append")
    parser.add_argument("--source", default="../shared/data/cranfield", help="the sample where there is no such folder")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit", type=int)
    args = parser.parse_args()
    corpus = read_corpus(args.source if Path(args.source).exists() else "sample", limit=args.limit)
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
          f"sentence-transformers {sentence_transformers.__version__}")  # fmt: skip
    for model in args.model or ("wordllama", "all-MiniLM-L6-v2"):
        encoder = load_encoder(model)
        evaluated = as_sentence_transformer(encoder)
        assert evaluated is not None
        dims = [encoder.full_dim * share // 16 for share in (1, 2, 4, 8, 12, 16)]
        print(f"{corpus.name}, {corpus.n_items:,} texts, {len(corpus.query_texts)} queries, {model}, "
              f"{N_DIMS} widths {dims}, batches of {encoder.batch_size}, median of {args.repeats}")  # fmt: skip
        mine, wall, processor = timed(lambda e=encoder, d=dims: ours(corpus, e, d), args.repeats)
        other, other_wall, other_processor = timed(lambda e=evaluated, d=dims: theirs(corpus, e, d), args.repeats)
        print(f"  evaluate                     {wall:8.2f} s wall {processor:8.2f} s cpu")
        print(f"  evaluator a width            {other_wall:8.2f} s wall {other_processor:8.2f} s cpu")
        print(f"  theirs / ours                {other_wall / wall:8.2f}        {other_processor / processor:8.2f}")
        print(f"  largest difference of nDCG@10 {np.abs(np.subtract(mine, other)).max():.1e}")


if __name__ == "__main__":
    main()
