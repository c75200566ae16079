"""Search plans side by side, ours and faiss's: single-query and batch latency, recall against full width, bytes.

    python benchmarks/bench_retrieval.py [--n-items 500000] [--repeats 30] [--no-hnsw] [--data spectrum|sample]

One process, the same threads; plans take turns in short bursts, so that a busy moment hits all alike. The first query
of a burst is not counted: idle threads of faiss or numpy still hold the cores for a moment after the plan before. The
shortlists are the smallest that keep 99.8 % of the full-width neighbors of 100 other queries; every figure is of
queries they have not seen.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
from safetensors.numpy import load_file

from mrl_viz.retrieval.ann import AnnIndex
from mrl_viz.retrieval.cost import bytes_per_vector, storage_cost
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.latency import measure_latency
from mrl_viz.retrieval.quantization import QuantizedIndex
from mrl_viz.retrieval.results import recall_vs_full
from mrl_viz.retrieval.shortlist import funnel_search, rerank, shortlist_curve, shortlist_search
from mrl_viz.truncation import truncate_and_normalize

K = 10
BURST = 5
N_QUERIES = 100
FULL_DIM = 768
# Standard deviations fall as index^-0.35: the first 64 of 768 coordinates hold 41 % of the variance, 128 hold 53 %.
DECAY = 0.35
CLUSTER_SIZE = 50
SAMPLE = Path(__file__).parent.parent / "sample_data" / "wordllama.safetensors"

Search = Callable[[np.ndarray], np.ndarray]


def spectrum_vectors(n_items: int, n_queries: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Clustered vectors of 768 coordinates whose variance falls along the index, and queries near some of them."""
    rng = np.random.default_rng(seed)
    scale = ((1 + np.arange(FULL_DIM)) ** -DECAY).astype(np.float32)
    centres = rng.standard_normal((max(1, n_items // CLUSTER_SIZE), FULL_DIM), dtype=np.float32)
    corpus = rng.standard_normal((n_items, FULL_DIM), dtype=np.float32)
    corpus *= 0.8
    corpus += centres[rng.integers(0, len(centres), n_items)]
    corpus *= scale
    near = rng.choice(n_items, n_queries, replace=False)
    queries = corpus[near] + 0.5 * scale * rng.standard_normal((n_queries, FULL_DIM), dtype=np.float32)
    return corpus, queries


def sample_vectors(n_items: int, n_queries: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The sample's real text embeddings, tiled with noise of their own covariance's diagonal, and queries near some."""
    rng = np.random.default_rng(seed)
    texts = load_file(SAMPLE)["embeddings"].astype(np.float32)
    scale = texts.std(axis=0)
    corpus = texts[rng.integers(0, len(texts), n_items)]
    corpus += 0.7 * scale * rng.standard_normal(corpus.shape, dtype=np.float32)
    near = rng.choice(n_items, n_queries, replace=False)
    return corpus, corpus[near] + 0.4 * scale * rng.standard_normal((n_queries, texts.shape[1]), dtype=np.float32)


def faiss_flat(corpus: np.ndarray, dim: int) -> Search:
    """faiss's exact search at one width, queries renormalised inside the clock."""
    index = faiss.IndexFlatIP(dim)
    index.add(truncate_and_normalize(corpus, dim))
    return lambda queries: index.search(truncate_and_normalize(queries, dim), K)[1]


def faiss_refined(corpus: np.ndarray, dim: int, size: int) -> Search:
    """faiss's exact prefix search with its IndexRefine over the full vectors."""
    full_dim = corpus.shape[1]
    base = faiss.IndexPreTransform(faiss.IndexFlatIP(dim))
    base.prepend_transform(faiss.NormalizationTransform(dim, 2.0))
    base.prepend_transform(faiss.RemapDimensionsTransform(full_dim, dim, False))
    index = faiss.IndexRefineFlat(base)
    index.add(truncate_and_normalize(corpus, full_dim))
    index.k_factor = size / K
    return lambda queries: index.search(truncate_and_normalize(queries, full_dim), K)[1]


def contenders(
    corpus: np.ndarray, index: PrefixIndex, sizes: dict[int, int], hnsw: bool
) -> dict[str, tuple[Search, float]]:
    """Every plan with its bytes per vector."""
    full_dim, (small, wide) = index.full_dim, sizes
    full = bytes_per_vector(full_dim)

    def shortlist(dim: int) -> Search:
        return lambda queries: (
            shortlist_search(index, queries, shortlist_dim=dim, shortlist_size=sizes[dim], k=K).indices
        )

    funnel = ((small, sizes[small]), (wide, min(sizes.values())), (full_dim, K))
    int8, binary = QuantizedIndex(corpus, wide, "int8"), QuantizedIndex(corpus, full_dim, "binary")
    size = sizes[wide]
    plans: dict[str, tuple[Search, float]] = {
        f"faiss Flat {full_dim}": (faiss_flat(corpus, full_dim), full),
        f"faiss Flat {small}": (faiss_flat(corpus, small), bytes_per_vector(small)),
        f"faiss Flat {small} + IndexRefine {sizes[small]:,}": (
            faiss_refined(corpus, small, sizes[small]),
            full + bytes_per_vector(small),
        ),
        f"ours exact {full_dim}": (lambda queries: index.search(queries, K).indices, full),
        f"ours exact {small}": (lambda queries: index.search(queries, K, dim=small).indices, bytes_per_vector(small)),
        f"ours exact {wide}": (lambda queries: index.search(queries, K, dim=wide).indices, bytes_per_vector(wide)),
        f"ours shortlist {small} + rerank {sizes[small]:,}": (shortlist(small), full),
        f"ours shortlist {wide} + rerank {sizes[wide]:,}": (shortlist(wide), full),
        f"ours funnel {' > '.join(f'{dim}:{keep:,}' for dim, keep in funnel)}": (
            lambda queries: funnel_search(index, queries, funnel).indices,
            full,
        ),
        f"ours int8 {wide}": (lambda queries: int8.search(queries, K).indices, wide),
        f"ours int8 {wide} + rescore {size:,}": (
            lambda queries: rerank(index, queries, int8.search(queries, size), k=K).indices,
            wide + full,
        ),
        f"ours binary {full_dim} + rescore 1,000": (
            lambda queries: rerank(index, queries, binary.search(queries, 1000), k=K).indices,
            full_dim / 8 + full,
        ),
        f"ours binary {full_dim} Hamming + rescore 1,000": (
            lambda queries: rerank(index, queries, binary.search(queries, 1000, query="code"), k=K).indices,
            full_dim / 8 + full,
        ),
    }
    kinds = ["hnsw"] if hnsw else []
    for kind in kinds:
        started = time.perf_counter()
        alone = AnnIndex(corpus, kind, full_dim)
        print(f"  built {kind} {full_dim} in {time.perf_counter() - started:.0f} s")
        plans[f"faiss {kind} {full_dim}"] = (
            lambda queries, alone=alone: alone.search(queries, K).indices,
            storage_cost(1, full_dim, hnsw_links=32).total_bytes,
        )
        started = time.perf_counter()
        refined = AnnIndex(corpus, kind, wide, rerank_dim=full_dim)
        print(f"  built {kind} {wide} in {time.perf_counter() - started:.0f} s")
        plans[f"faiss {kind} {wide} + IndexRefine {size:,}"] = (
            lambda queries, refined=refined: refined.search(queries, K, shortlist_size=size).indices,
            storage_cost(1, wide, rerank_dim=full_dim, hnsw_links=32).total_bytes,
        )
    return plans


def compare(corpus: np.ndarray, queries: np.ndarray, repeats: int, hnsw: bool) -> None:
    """Print one row per plan."""
    full_dim = corpus.shape[1]
    small, wide = (64, 128) if full_dim > 256 else (full_dim // 4, full_dim // 2)
    index = PrefixIndex(corpus, [small, wide])
    tuning, queries = queries[:N_QUERIES], queries[N_QUERIES:]
    sizes = {
        dim: min(len(corpus), shortlist_curve(index, tuning, shortlist_dim=dim, k=K).smallest_size(0.998))
        for dim in (small, wide)
    }
    full = index.search(queries, K).indices
    plans = contenders(corpus, index, sizes, hnsw)
    singles: dict[str, list[float]] = {name: [] for name in plans}
    batches: dict[str, list[float]] = {name: [] for name in plans}
    recalls = {}
    for name, (search, _) in plans.items():
        recalls[name] = recall_vs_full(search(queries), full).mean
        measure_latency(search, queries, n_runs=3)
    for burst in range(0, repeats, BURST):
        for name, (search, _) in plans.items():
            search(queries[:1])
            for turn in range(burst, burst + BURST):
                query = queries[turn % len(queries)][None]
                started = time.perf_counter()
                search(query)
                singles[name].append(time.perf_counter() - started)
    for _ in range(3):
        for name, (search, _) in plans.items():
            started = time.perf_counter()
            search(queries)
            batches[name].append(time.perf_counter() - started)
    first = next(iter(plans))
    base, base_batch = statistics.median(singles[first]), statistics.median(batches[first])
    print(
        f"{len(corpus):,} x {full_dim}, k = {K}, {N_QUERIES} queries, median of {repeats} single queries, of 3 batches"
    )
    print(
        f"  {'plan':46} {'1 query':>10} {'faster':>7} {'100 queries':>12} {'faster':>7} {'recall@10':>9} {'bytes':>6}"
    )
    for name, (_, size) in plans.items():
        single, batch = statistics.median(singles[name]), statistics.median(batches[name])
        print(
            f"  {name:46} {single * 1e3:7.2f} ms {base / single:6.1f}x "
            f"{batch * 1e3:9.1f} ms {base_batch / batch:6.1f}x {recalls[name]:9.3f} {size:6,.0f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--n-items", type=int, default=500_000)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--no-hnsw", action="store_true", help="leave out HNSW, which takes minutes to build")
    parser.add_argument("--data", choices=["spectrum", "sample", "both"], default="both")
    args = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
          f"faiss {faiss.__version__} with {faiss.omp_get_max_threads()} threads, numpy {np.__version__}")  # fmt: skip
    if args.data != "sample":
        print("Clustered vectors, variance falling along the index")
        compare(*spectrum_vectors(args.n_items, 2 * N_QUERIES), args.repeats, not args.no_hnsw)
    if args.data != "spectrum":
        print("Real text embeddings (the sample's), tiled with noise")
        compare(*sample_vectors(args.n_items, 2 * N_QUERIES), args.repeats, not args.no_hnsw)


if __name__ == "__main__":
    main()
