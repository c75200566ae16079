"""The controls and the statistics against the clock: one process, the same threads, medians.

python benchmarks/bench_controls.py [--repeats 3]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from mrl_viz.measures.controls import compare_arrangements
from mrl_viz.measures.estimate import paired_bootstrap
from mrl_viz.measures.space import geometry
from mrl_viz.sweep import nested_sweep
from mrl_viz.tasks.pairs import pair_correlations

N_ITEMS, FULL_DIM = 2000, 768
DIMS = (8, 16, 32, 64, 128, 256, 512, FULL_DIM)
N_RESAMPLES, N_QUERIES = 10_000, 1000


def embeddings(n_items: int, seed: int) -> np.ndarray:
    """Random vectors with variance that falls along the index, as a Matryoshka model's does."""
    scale = ((1 + np.arange(FULL_DIM)) ** -0.25).astype(np.float32)
    return np.random.default_rng(seed).standard_normal((n_items, FULL_DIM), dtype=np.float32) * scale


def median(run: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median wall-clock and processor seconds, after one run to warm up."""
    run()
    times = []
    for _ in range(repeats):
        started, worked = time.perf_counter(), time.process_time()
        run()
        times.append((time.perf_counter() - started, time.process_time() - worked))
    wall, processor = zip(*times)
    return statistics.median(wall), statistics.median(processor)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {torch.get_num_threads()} threads, torch {torch.__version__}, numpy {np.__version__}")
    rows = embeddings(N_ITEMS, 0)
    values = np.random.default_rng(1).random((len(DIMS), N_QUERIES))
    runs = {
        f"prefix, suffix, SVD, 10 random draws: {N_ITEMS:,} x {FULL_DIM}, {len(DIMS)} widths (bar 4 s)":
            lambda: compare_arrangements(nested_sweep(rows, dims=DIMS), rows),
        f"paired bootstrap: {N_RESAMPLES:,} resamples of {N_QUERIES:,} queries x {len(DIMS)} widths (bar 1 s)":
            lambda: paired_bootstrap(values, n_resamples=N_RESAMPLES),
        f"Spearman and Pearson with intervals: {N_ITEMS // 2:,} pairs, {len(DIMS)} widths":
            lambda: pair_correlations(rows[::2], rows[1::2], np.arange(N_ITEMS // 2), dims=DIMS),
        f"anisotropy and participation ratio: {N_ITEMS:,} x {FULL_DIM}, {len(DIMS)} widths":
            lambda: geometry(rows, dims=DIMS),
    }  # fmt: skip
    print(f"{'wall s':>8} {'cpu s':>8}  median of {args.repeats}")
    for name, run in runs.items():
        wall, processor = median(run, args.repeats)
        print(f"{wall:8.3f} {processor:8.3f}  {name}")


if __name__ == "__main__":
    main()
