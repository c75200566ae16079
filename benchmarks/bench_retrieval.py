"""Search plans side by side, ours and faiss's: single-query and batch latency, recall against full width, bytes.

    python benchmarks/bench_retrieval.py [--n-items 500000] [--repeats 30] [--no-hnsw] [--data spectrum|sample]

Like with like: every plan is compared with the full width of its own engine (ours, faiss Flat, faiss HNSW), so that a
faster engine is not taken for a gain of the prefix. One process, the same threads; plans take turns in short bursts, so
that a busy moment hits all alike. The first query of a burst is not counted: idle threads of faiss or numpy still hold
the cores for a moment after the plan before. The shortlists are the smallest that keep 99.8 % of the full-width
neighbors of 100 other queries, those of HNSW and its own candidates the smallest that keep 99 %; every figure is of
queries they have not seen.

    python benchmarks/bench_retrieval.py --early-stop [--vectors FILE.npy]

compares exact search that stops early (faiss' Panorama) with faiss Flat instead, in one thread and by its time on the
processor: as the coordinates come, after SVD, and scrambled, and what our own bound reads of them. FILE holds vectors
of your own, of which 100 are queries.
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

from mrl_viz.arrangements import svd_rotation
from mrl_viz.retrieval.ann import AnnIndex
from mrl_viz.retrieval.codes import bytes_per_vector
from mrl_viz.retrieval.cost import storage_cost
from mrl_viz.retrieval.early import early_orders
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.latency import measure_latency
from mrl_viz.retrieval.panorama import BATCH_SIZE, n_levels
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

# What HNSW has to keep on the tuning queries, and the candidates or shortlists that are tried for it.
HNSW_TARGET = 0.99
HNSW_SIZES = (16, 32, 64, 128, 256, 512, 1024, 2048)
OURS, FLAT, HNSW = "ours", "faiss Flat", "faiss HNSW"

Search = Callable[[np.ndarray], np.ndarray]
# Engine, search, bytes per vector; the first plan of an engine is its full width.
Plans = dict[str, tuple[str, Search, float]]


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


def exact_plans(corpus: np.ndarray, index: PrefixIndex, sizes: dict[int, int]) -> Plans:
    """Exact search of ours and of faiss, at full width and with a prefix."""
    full_dim, (small, wide) = index.full_dim, sizes
    full = bytes_per_vector(full_dim)

    def shortlist(dim: int) -> Search:
        return lambda queries: (
            shortlist_search(index, queries, shortlist_dim=dim, shortlist_size=sizes[dim], k=K).indices
        )

    funnel = ((small, sizes[small]), (wide, min(sizes.values())), (full_dim, K))
    int8, binary = QuantizedIndex(corpus, wide, "int8"), QuantizedIndex(corpus, full_dim, "binary")
    size = sizes[wide]
    return {
        f"faiss Flat {full_dim}": (FLAT, faiss_flat(corpus, full_dim), full),
        f"faiss Flat {small}": (FLAT, faiss_flat(corpus, small), bytes_per_vector(small)),
        f"faiss Flat {small} + IndexRefine {sizes[small]:,}": (
            FLAT,
            faiss_refined(corpus, small, sizes[small]),
            full + bytes_per_vector(small),
        ),
        f"faiss Flat {wide} + IndexRefine {sizes[wide]:,}": (
            FLAT,
            faiss_refined(corpus, wide, sizes[wide]),
            full + bytes_per_vector(wide),
        ),
        f"ours exact {full_dim}": (OURS, lambda queries: index.search(queries, K).indices, full),
        f"ours exact {small}": (
            OURS,
            lambda queries: index.search(queries, K, dim=small).indices,
            bytes_per_vector(small),
        ),
        f"ours shortlist {small} + rerank {sizes[small]:,}": (OURS, shortlist(small), full),
        f"ours shortlist {wide} + rerank {sizes[wide]:,}": (OURS, shortlist(wide), full),
        f"ours funnel {' > '.join(f'{dim}:{keep:,}' for dim, keep in funnel)}": (
            OURS,
            lambda queries: funnel_search(index, queries, funnel).indices,
            full,
        ),
        f"ours int8 {wide} + rescore {size:,}": (
            OURS,
            lambda queries: rerank(index, queries, int8.search(queries, size), k=K).indices,
            wide + full,
        ),
        f"ours binary {full_dim} Hamming + rescore 1,000": (
            OURS,
            lambda queries: rerank(index, queries, binary.search(queries, 1000, query="code"), k=K).indices,
            full_dim / 8 + full,
        ),
    }


def hnsw_plans(corpus: np.ndarray, dims: tuple[int, ...], tuning: np.ndarray, truth: np.ndarray) -> Plans:
    """faiss' graph over the full width, and over prefixes with a rerank, each looking as hard as it has to."""
    full_dim = corpus.shape[1]
    plans: Plans = {}

    def built(dim: int, rerank_dim: int | None = None) -> AnnIndex:
        started = time.perf_counter()
        made = AnnIndex(corpus, "hnsw", dim, rerank_dim=rerank_dim)
        print(f"  built HNSW {dim} in {time.perf_counter() - started:.0f} s", flush=True)
        return made

    def smallest(search: Callable[[np.ndarray, int], np.ndarray]) -> int:
        enough = (size for size in HNSW_SIZES if recall_vs_full(search(tuning, size), truth).share.value >= HNSW_TARGET)
        return next(enough, HNSW_SIZES[-1])

    def add(name: str, search: Callable[[np.ndarray, int], np.ndarray], size_in_bytes: float) -> None:
        size = smallest(search)
        plans[name.format(size=size)] = (HNSW, lambda queries: search(queries, size), size_in_bytes)

    whole = built(full_dim)

    def full_search(queries: np.ndarray, size: int) -> np.ndarray:
        rows = truncate_and_normalize(queries, full_dim)
        return whole._index.search(rows, K, params=faiss.SearchParametersHNSW(efSearch=size))[1]

    add(
        f"faiss HNSW {full_dim}, {{size}} candidates", full_search, storage_cost(1, full_dim, hnsw_links=32).total_bytes
    )
    for dim in dims:
        refined = built(dim, full_dim)
        add(
            f"faiss HNSW {dim} + IndexRefine {{size}}",
            lambda queries, size, refined=refined: refined.search(queries, K, shortlist_size=size).indices,
            storage_cost(1, dim, rerank_dim=full_dim, hnsw_links=32).total_bytes,
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
    plans = exact_plans(corpus, index, sizes)
    if hnsw:
        plans |= hnsw_plans(corpus, (small, wide), tuning, index.search(tuning, K).indices)
    singles: dict[str, list[float]] = {name: [] for name in plans}
    batches: dict[str, list[float]] = {name: [] for name in plans}
    recalls = {}
    for name, (_, search, _) in plans.items():
        recalls[name] = recall_vs_full(search(queries), full).share.value
        measure_latency(search, queries, n_runs=3)
    for burst in range(0, repeats, BURST):
        for name, (_, search, _) in plans.items():
            search(queries[:1])
            for turn in range(burst, burst + BURST):
                query = queries[turn % len(queries)][None]
                started = time.perf_counter()
                search(query)
                singles[name].append(time.perf_counter() - started)
    for _ in range(3):
        for name, (_, search, _) in plans.items():
            started = time.perf_counter()
            search(queries)
            batches[name].append(time.perf_counter() - started)
    base: dict[str, tuple[float, float]] = {}
    print(
        f"{len(corpus):,} x {full_dim}, k = {K}, {N_QUERIES} queries, median of {repeats} single ones, of 3 batches;\n"
        f"faster: than the full width of the same engine"
    )
    print(
        f"  {'plan':46} {'1 query':>10} {'faster':>7} {'100 queries':>12} {'faster':>7} {'recall@10':>9} {'bytes':>6}"
    )
    for name, (engine, _, size) in plans.items():
        single, batch = statistics.median(singles[name]), statistics.median(batches[name])
        own_single, own_batch = base.setdefault(engine, (single, batch))
        print(
            f"  {name:46} {single * 1e3:7.2f} ms {own_single / single:6.1f}x "
            f"{batch * 1e3:9.1f} ms {own_batch / batch:6.1f}x {recalls[name]:9.3f} {size:6,.0f}"
        )


def stop_early(name: str, corpus: np.ndarray, queries: np.ndarray, repeats: int) -> None:
    """Print one row per order of coordinates: how much faster than faiss Flat, and that nothing is lost."""
    full_dim = corpus.shape[1]
    rows, asked = (truncate_and_normalize(each, full_dim).astype(np.float32) for each in (corpus, queries))
    mixed = np.random.default_rng(0).permutation(full_dim)
    turn = np.ascontiguousarray(svd_rotation(rows).T)
    flat = faiss.IndexFlatIP(full_dim)
    flat.add(rows)
    truth = flat.search(asked, K)[1]
    engines = {"faiss Flat": (flat, asked)}
    orders = (
        ("own order", rows, asked), ("after SVD", rows @ turn, asked @ turn),
        ("scrambled", rows[:, mixed], asked[:, mixed]),
    )  # fmt: skip
    for said, items, wanted in orders:
        early = faiss.IndexFlatIPPanorama(full_dim, n_levels(full_dim), BATCH_SIZE)
        early.add(np.ascontiguousarray(items))
        engines[f"Panorama, {said}"] = (early, np.ascontiguousarray(wanted))
    times: dict[str, list[float]] = {said: [] for said in engines}
    for burst in range(0, repeats, BURST):
        for said, (index, wanted) in engines.items():
            index.search(wanted[:1], K)
            for turned in range(burst, burst + BURST):
                query = wanted[turned % len(wanted)][None]
                started = time.thread_time()
                index.search(query, K)
                times[said].append(time.thread_time() - started)
    base = statistics.median(times["faiss Flat"])
    print(f"{name}: {len(rows):,} x {full_dim}, k = {K}, median of {repeats} single queries, one thread")
    read = early_orders(rows, asked[:20], K).searches
    for number, (said, (index, wanted)) in enumerate(engines.items()):
        same = np.mean([set(a) == set(b) for a, b in zip(index.search(wanted, K)[1], truth)])
        middle = statistics.median(times[said])
        bound = f", by our bound {read[number - 1].read.value:4.0%} of the coordinates" if number else ""
        print(f"  {said:20} {middle * 1e3:7.3f} ms {base / middle:5.1f}x  same top {K}: {same:.0%}{bound}", flush=True)


def ordered_vectors(n_items: int, n_queries: int, full_dim: int = 384, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Generated vectors whose standard deviation falls as index^-1/2, and queries near some of them."""
    rng = np.random.default_rng(seed)
    scale = ((1 + np.arange(full_dim)) ** -0.5).astype(np.float32)
    corpus = rng.standard_normal((n_items, full_dim), dtype=np.float32) * scale
    near = corpus[rng.choice(n_items, n_queries, replace=False)]
    return corpus, near + 0.5 * scale * rng.standard_normal(near.shape, dtype=np.float32)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--n-items", type=int, default=500_000)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--no-hnsw", action="store_true", help="leave out HNSW, which takes minutes to build")
    parser.add_argument("--data", choices=["spectrum", "sample", "both"], default="both")
    parser.add_argument("--early-stop", action="store_true", help="compare exact search that stops early instead")
    parser.add_argument("--vectors", metavar="FILE", help="vectors of your own for --early-stop, .npy")
    args = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
          f"faiss {faiss.__version__} with {faiss.omp_get_max_threads()} threads, numpy {np.__version__}")  # fmt: skip
    if args.early_stop:
        faiss.omp_set_num_threads(1)  # one query has one thread; Flat would not need more for it either
        stop_early("Generated, ordered", *ordered_vectors(20_000, N_QUERIES), args.repeats)
        stop_early("The sample, tiled with noise", *sample_vectors(10_312, N_QUERIES), args.repeats)
        if args.vectors:
            rows = np.load(args.vectors)
            stop_early(Path(args.vectors).stem, rows[N_QUERIES:], rows[:N_QUERIES], args.repeats)
        return
    if args.data != "sample":
        print("Clustered vectors, variance falling along the index")
        compare(*spectrum_vectors(args.n_items, 2 * N_QUERIES), args.repeats, not args.no_hnsw)
    if args.data != "spectrum":
        print("Real text embeddings (the sample's), tiled with noise")
        compare(*sample_vectors(args.n_items, 2 * N_QUERIES), args.repeats, not args.no_hnsw)


if __name__ == "__main__":
    main()
