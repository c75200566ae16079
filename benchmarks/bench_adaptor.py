"""How long an adaptor takes to fit and to apply; targets: 20,000 x 384 at 6 widths in 3 minutes, 100,000 vectors/s, on
2 cores.

python benchmarks/bench_adaptor.py [--n-items 20000] [--method neighbors] [--repeats 5]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time

import numpy as np
import torch

from mrl_viz.adaptor.fit import METHODS, Adaptor, AdaptorSettings, fit_adaptor
from mrl_viz.arrangements import svd_rotation

FULL_DIM = 384
DIMS = (8, 16, 32, 64, 128, 256)


def clustered(n_items: int, seed: int) -> np.ndarray:
    """Unit vectors around 400 centres on a common direction, variance falling along a hidden basis, as texts have
    it."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((FULL_DIM, FULL_DIM)))[0]
    scale = (1 + np.arange(FULL_DIM)) ** -0.5
    centres = rng.standard_normal((400, FULL_DIM)) * scale
    rows = (centres[rng.integers(400, size=n_items)] + rng.standard_normal((n_items, FULL_DIM)) * scale) @ basis + 0.1
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def rate(adaptor: Adaptor, rows: np.ndarray, repeats: int, dim: int | None = None) -> float:
    """Vectors per second, the median of several calls."""
    adaptor.apply(rows[:4096], dim=dim)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        adaptor.apply(rows, dim=dim)
        times.append(time.perf_counter() - started)
    return len(rows) / statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--n-items", type=int, default=20_000)
    parser.add_argument("--method", choices=METHODS, default="neighbors")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, numpy {np.__version__}")
    rows = clustered(args.n_items, 0)
    fit = fit_adaptor(rows, DIMS, method=args.method, settings=AdaptorSettings())
    print(
        f"fit {args.method}: {args.n_items:,} x {FULL_DIM}, dims {DIMS}: {fit.seconds:.1f} s, {len(fit.stages)} "
        f"epochs, ended by {fit.stopped}"
    )
    print(fit.takeaway())
    rng = np.random.default_rng(1)
    layers = tuple(
        (rng.standard_normal((a, b), dtype=np.float32), np.zeros(a, dtype=np.float32))
        for a, b in ((256, FULL_DIM), (FULL_DIM, 256))
    )
    rotation = svd_rotation(rows)
    with_network = Adaptor("neighbors", FULL_DIM, DIMS, None, rotation, layers)
    print(f"apply as fitted {rate(fit.adaptor, rows, args.repeats):12,.0f} vectors/s")
    print(
        f"  rotation      {rate(Adaptor('svd', FULL_DIM, DIMS, None, rotation), rows, args.repeats):12,.0f} vectors/s"
    )
    print(f"  with network  {rate(with_network, rows, args.repeats):12,.0f} vectors/s")
    print(f"  network, 64   {rate(with_network, rows, args.repeats, 64):12,.0f} vectors/s")


if __name__ == "__main__":
    main()
