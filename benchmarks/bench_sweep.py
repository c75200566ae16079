"""The nested sweep beside what one would write without it: one process, the same threads, medians, ratios.

python benchmarks/bench_sweep.py [--n-items 100000] [--repeats 5] [--device cpu] [--self-only]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import torch
from sentence_transformers.util import semantic_search

from mrl_viz.sweep import nested_sweep
from mrl_viz.truncation import truncate_and_normalize

FULL_DIM = 768
DIMS = (8, 16, 32, 64, 128, 256, 512, FULL_DIM)
N_QUERIES = 1000
K = 10


def embeddings(n_items: int, seed: int) -> np.ndarray:
    """Random vectors with variance that falls along the index, as a Matryoshka model's does; unit length."""
    rng = np.random.default_rng(seed)
    scale = (1 + np.arange(FULL_DIM)) ** -0.25
    rows = rng.standard_normal((n_items, FULL_DIM), dtype=np.float32) * scale.astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def medians(runs: dict[str, Callable[[], object]], repeats: int, device: str) -> dict[str, float]:
    """Median seconds of each, the rounds interleaved so that a busy moment hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(repeats):
        for name, run in runs.items():
            if device != "cpu":
                torch.cuda.synchronize()
            started = time.perf_counter()
            run()
            if device != "cpu":
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}


def megabytes_beyond(run: Callable[[], object]) -> float:
    """How far the process' resident memory rises above where it was while `run` runs; Linux only, NaN elsewhere."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        return float("nan")

    def kilobytes(name: str) -> int:
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(f"{name}:"))

    reset.write_text("5")  # the kernel's word for: forget the high-water mark
    before = kilobytes("VmRSS")
    run()
    return (kilobytes("VmHWM") - before) / 1024


def faiss_every_width(queries: np.ndarray, corpus: np.ndarray) -> None:
    """Eight exact searches on renormalised prefixes."""
    for dim in DIMS:
        faiss.knn(
            np.ascontiguousarray(truncate_and_normalize(queries, dim)),
            np.ascontiguousarray(truncate_and_normalize(corpus, dim)), K, metric=faiss.METRIC_INNER_PRODUCT,
        )  # fmt: skip


def semantic_search_every_width(queries: torch.Tensor, corpus: torch.Tensor) -> None:
    """Eight times what the documentation of sentence-transformers shows."""
    for dim in DIMS:
        semantic_search(queries[:, :dim], corpus[:, :dim], top_k=K)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--n-items", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--self-only", action="store_true")
    args = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, faiss {faiss.__version__}, numpy {np.__version__}, device {args.device}"
    )
    faiss.omp_set_num_threads(torch.get_num_threads())
    if not args.self_only:
        against_peers(args.n_items, args.repeats, args.device)
    against_itself(args.repeats, args.device)


def against_peers(n_items: int, repeats: int, device: str) -> None:
    """1,000 queries against a corpus at eight widths."""
    corpus, queries = embeddings(n_items, 0), embeddings(N_QUERIES, 1)
    nested_sweep(
        corpus[:5000], queries, dims=DIMS, k=K, device=device
    )  # threads and libraries are not the sweep's memory
    peak = megabytes_beyond(lambda: nested_sweep(corpus, queries, dims=DIMS, k=K, device=device))
    corpus_rows, query_rows = torch.from_numpy(corpus).to(device), torch.from_numpy(queries).to(device)
    result = medians(
        {
            "ours": lambda: nested_sweep(corpus, queries, dims=DIMS, k=K, device=device),
            "one faiss.knn": lambda: faiss.knn(queries, corpus, K, metric=faiss.METRIC_INNER_PRODUCT),
            "eight faiss.knn": lambda: faiss_every_width(queries, corpus),
            "eight semantic_search": lambda: semantic_search_every_width(query_rows, corpus_rows),
            "one matrix product": lambda: query_rows @ corpus_rows.T,
        },
        repeats,
        device,
    )
    print(f"{n_items:,} x {FULL_DIM}, {N_QUERIES:,} queries, k = {K}, dims {DIMS}, median of {repeats}")
    for name, seconds in result.items():
        print(f"  {name:24} {seconds:8.3f} s   ours / it = {result['ours'] / seconds:.2f}")
    print(f"  memory beyond the inputs {peak:.0f} MB")


def against_itself(repeats: int, device: str) -> None:
    """2,000 texts against themselves at eight widths and at every integer width."""
    corpus = embeddings(2000, 2)
    result = medians(
        {
            "8 widths": lambda: nested_sweep(corpus, dims=DIMS, k=K, device=device),
            "all 768 widths": lambda: nested_sweep(corpus, dims=range(1, FULL_DIM + 1), k=K, device=device),
        },
        repeats,
        device,
    )
    print(f"2,000 x {FULL_DIM} against itself, k = {K}, median of {repeats}")
    for name, seconds in result.items():
        print(f"  {name:24} {seconds:8.3f} s")


if __name__ == "__main__":
    main()
