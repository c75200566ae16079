"""The controls and the statistics against the clock: one process, the same threads, medians.

python benchmarks/bench_controls.py [--repeats 3]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from mrl_viz.arrangements import (
    FEWEST_DRAWS,
    held_out_rows,
    random_arrangements,
    suffix_arrangement,
    svd_arrangement,
)
from mrl_viz.measures.controls import compare_arrangements
from mrl_viz.measures.estimate import paired_bootstrap
from mrl_viz.measures.movers import flipped_triples, relative_movers
from mrl_viz.measures.sample import pair_sample
from mrl_viz.measures.similarity import similarity_band, similarity_density, similarity_drift, threshold_meaning
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


def medians(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, tuple[float, float]]:
    """Median wall-clock and processor seconds of each, rounds interleaved, after one to warm up."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for number in range(repeats + 1):
        for name, run in runs.items():
            started, worked = time.perf_counter(), time.process_time()
            run()
            if number:
                times[name].append((time.perf_counter() - started, time.process_time() - worked))
    found = {}
    for name, values in times.items():
        walls, processors = zip(*values)
        found[name] = statistics.median(walls), statistics.median(processors)
    return found


def needed_sweeps(arranged: Sequence[np.ndarray]) -> None:
    """Of every arrangement's rows, by themselves."""
    for rows in arranged:
        nested_sweep(rows, dims=DIMS)


def pair_measures(rows: np.ndarray) -> None:
    """What the Similarity page shows, from one sample."""
    sample = pair_sample(rows, dims=DIMS)
    similarity_drift(sample)
    similarity_band(sample, [(0, 1)])
    similarity_density(sample, DIMS[3])
    relative_movers(sample, DIMS[3])
    flipped_triples(sample, DIMS[3])
    threshold_meaning(sample, 0.3)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {torch.get_num_threads()} threads, torch {torch.__version__}, numpy {np.__version__}")
    rows = embeddings(N_ITEMS, 0)
    values = np.random.default_rng(1).random((len(DIMS), N_QUERIES))
    fit, measured = held_out_rows(N_ITEMS, FULL_DIM)
    draws = (suffix_arrangement(FULL_DIM), *random_arrangements(FULL_DIM))
    arranged = [rows, rows[measured], svd_arrangement(rows[fit]).apply(rows[measured])]
    arranged += [arrangement.apply(rows) for arrangement in draws]
    compared = f"prefix, suffix, SVD, {FEWEST_DRAWS} random draws: {N_ITEMS:,} x {FULL_DIM}, {len(DIMS)} widths"
    alone = "the sweeps that this needs, by themselves"
    measures = (
        "drift, band, density, movers, flips and threshold from one sample of pairs, its cosines at "
        f"{len(DIMS)} widths included"
    )
    runs: dict[str, tuple[Callable[[], object], float | None]] = {
        alone: (lambda: needed_sweeps(arranged), None),
        compared: (lambda: compare_arrangements(nested_sweep(rows, dims=DIMS), rows), 4),
        f"paired bootstrap: {N_RESAMPLES:,} resamples of {N_QUERIES:,} queries x {len(DIMS)} widths": (
            lambda: paired_bootstrap(values, n_resamples=N_RESAMPLES), 1,
        ),
        measures: (lambda: pair_measures(rows), None),
        "that sample by itself": (lambda: pair_sample(rows, dims=DIMS), None),
        f"Spearman and Pearson with intervals: {N_ITEMS // 2:,} pairs, {len(DIMS)} widths": (
            lambda: pair_correlations(rows[::2], rows[1::2], np.arange(N_ITEMS // 2), dims=DIMS), None,
        ),
        f"anisotropy and participation ratio: {N_ITEMS:,} x {FULL_DIM}, {len(DIMS)} widths": (
            lambda: geometry(rows, dims=DIMS), None,
        ),
    }  # fmt: skip
    print(f"{'wall s':>8} {'cpu s':>8} {'bar':>5}  median of {args.repeats}, interleaved")
    found = medians({name: run for name, (run, _) in runs.items()}, args.repeats)
    for name, (wall, processor) in found.items():
        bar = runs[name][1]
        print(f"{wall:8.3f} {processor:8.3f} {'' if bar is None else f'{bar:.1f}':>5}  {name}")
    ratios = [of_all / of_sweeps for of_all, of_sweeps in zip(found[compared], found[alone])]
    print(f"{ratios[0]:8.2f} {ratios[1]:8.2f} {1.5:5.1f}  the controls / their sweeps")


if __name__ == "__main__":
    main()
