"""The maps beside AlignedUMAP: seconds, trustworthiness, and how far a text moves between widths, in one process.

python benchmarks/bench_maps.py [--n-items 2000] [--repeats 3] [--skip-aligned]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import plotly
import torch

from mrl_viz.figures.maps import map_animation, map_panels
from mrl_viz.measures.maps import map_quality
from mrl_viz.projection import pca_maps, umap_maps
from mrl_viz.sweep import nested_sweep
from mrl_viz.truncation import truncate_and_normalize

FULL_DIM = 768
DIMS = (24, 48, 96, 192, 384, FULL_DIM)
K = 10
N_NEIGHBORS = 15
# Seconds at most, at 2,000 texts.
BARS = {"UMAP, warm-started": 12}


def embeddings(n_items: int, seed: int) -> np.ndarray:
    """Rows around thirty centres with variance that falls along the index, as a Matryoshka model's does."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(30, FULL_DIM))[rng.integers(0, 30, n_items)]
    scale = (1 + np.arange(FULL_DIM)) ** -0.25
    return ((0.5 * centres + rng.normal(size=(n_items, FULL_DIM))) * scale).astype(np.float32)


def timed(call: Callable[[], object]) -> tuple[object, float, float]:
    """The result, wall seconds and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    result = call()
    return result, time.perf_counter() - wall, time.process_time() - processor


def aligned_umap(rows: np.ndarray) -> np.ndarray:
    """AlignedUMAP over the widths, full width first; shape (n_dims, n_items, 2), ascending."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import umap

        same = {item: item for item in range(len(rows))}
        slices = [truncate_and_normalize(rows, dim) for dim in reversed(DIMS)]
        mapper = umap.AlignedUMAP(n_neighbors=N_NEIGHBORS, metric="cosine", random_state=0)
        return np.stack(mapper.fit(slices, relations=[same] * (len(DIMS) - 1)).embeddings_[::-1])


def line(
    name: str, wall: float, processor: float, trust: list[float], kept: list[float], movement: list[float]
) -> None:
    """One method's numbers, widths ascending."""
    bar = f"  bar {BARS[name]:.0f}" if name in BARS else ""
    print(f"  {name:24} {wall:7.2f} s  {processor:7.2f} CPU s{bar}")
    print(f"    trustworthiness     {' '.join(f'{value:.3f}' for value in trust)}")
    print(f"    true neighbors kept {' '.join(f'{value:.3f}' for value in kept)}")
    print(f"    movement, radii     {' '.join(f'{value:.3f}' for value in movement)}  mean {np.mean(movement):.3f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--n-items", type=int, default=2_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--skip-aligned", action="store_true")
    args = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, numpy {np.__version__}, "
          f"plotly {plotly.__version__}")  # fmt: skip
    rows = embeddings(args.n_items, 0)
    _, wall, _ = timed(lambda: umap_maps(rows[:50], DIMS[-1:], k=K))
    print(f"import and compilation on the first UMAP: {wall:.1f} s")
    print(f"{args.n_items:,} x {FULL_DIM}, dims {DIMS}, k = {K}, median of {args.repeats}")
    sweep, wall, processor = timed(lambda: nested_sweep(rows, dims=DIMS, k=K))
    print(f"  {'sweep':24} {wall:7.2f} s  {processor:7.2f} CPU s")
    runs = {
        "PCA": lambda: pca_maps(rows, DIMS, k=K),
        "PCA with the sweep given": lambda: pca_maps(rows, DIMS, k=K, sweep=sweep),
        "UMAP, warm-started": lambda: umap_maps(rows, DIMS, k=K, n_neighbors=N_NEIGHBORS),
    }
    for name, run in runs.items():
        results = [timed(run) for _ in range(args.repeats)]
        maps = results[0][0]
        wall, processor = (statistics.median(result[place] for result in results) for place in (1, 2))
        line(name, wall, processor, maps.trustworthiness, maps.kept_in_map, maps.movement[:-1])
        if maps.seed_disparity is not None:
            print(f"    disparity to full   {' '.join(f'{value:.3f}' for value in maps.disparity)}")
            print(f"    another seed {maps.seed_disparity:.3f}, another warm start {maps.restart_disparity:.3f}")
    texts = ["x" * 80] * len(rows)
    for draw in (map_animation, map_panels):
        figure, wall, _ = timed(lambda draw=draw: draw(maps, texts))
        print(f"  {draw.__name__:24} {wall:7.2f} s  {len(figure.to_json()) / 1e6:7.2f} MB")
    if args.skip_aligned:
        return
    positions, wall, processor = timed(lambda: aligned_umap(rows))
    quality = [
        map_quality(truncate_and_normalize(rows, dim), places, sweep.indices[level])
        for level, (dim, places) in enumerate(zip(DIMS, positions))
    ]
    radius = np.sqrt(((positions[-1] - positions[-1].mean(axis=0)) ** 2).sum(axis=1).mean())
    movement = np.linalg.norm(np.diff(positions, axis=0), axis=2).mean(axis=1) / radius
    line(
        "AlignedUMAP", wall, processor, [q.trustworthiness for q in quality], [q.kept_in_map for q in quality], movement
    )


if __name__ == "__main__":
    main()
