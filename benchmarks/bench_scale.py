"""Vectors past memory: a sweep and a recommendation read from a disk, two workers against one, a thousand parts merged.

    python benchmarks/bench_scale.py [--rows 10000000] [--folder DIR]

The vectors are made here, float16 with variances that fall as an embedding model's do, and removed afterwards; fewer
rows where the disk has no room for them, which is said. Each sweep is a process of its own, whose largest memory is
measured.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from mrl_viz.scale.lists import Lists
from mrl_viz.scale.parts import merge_parts, part_file, write_part
from mrl_viz.scale.rows import open_rows
from mrl_viz.scale.streaming import job_of, sampled_queries, stream_sweep
from mrl_viz.sweep import nested_sweep

FULL_DIM, N_QUERIES, K, DIMS = 256, 1000, 10, (8, 16, 32, 64, 128, 256)
BLOCK = 250_000
WORKER_ROWS, EQUAL_ROWS, N_PARTS = 5_000_000, 240_000, 1000
PLAN_ROWS, N_PLAN_QUERIES = 1_000_000, 500


def make(file: Path, n_rows: int) -> None:
    """The vectors, by a process of its own: what a process that starts others has held counts as theirs."""
    process = multiprocessing.get_context("spawn").Process(target=_make, args=(file, n_rows))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit("the vectors could not be made")


def _make(file: Path, n_rows: int) -> None:
    """A matrix whose variance falls along the index, and whose rows lie in clusters, as texts do."""
    rng = np.random.default_rng(0)
    scale = ((1 + np.arange(FULL_DIM)) ** -0.4).astype(np.float32)
    centres = rng.standard_normal((5000, FULL_DIM), dtype=np.float32) * scale
    matrix = np.lib.format.open_memmap(file, mode="w+", dtype=np.float16, shape=(n_rows, FULL_DIM))
    for start in range(0, n_rows, BLOCK):
        n = min(BLOCK, n_rows - start)
        rows = rng.standard_normal((n, FULL_DIM), dtype=np.float32)
        rows *= 0.7 * scale
        rows += centres[rng.integers(0, len(centres), n)]
        matrix[start : start + n] = rows
    matrix.flush()


def read_once(file: Path) -> float:
    """Seconds to read the file in blocks, and nothing else."""
    start = time.perf_counter()
    buffer = bytearray(64 << 20)
    with file.open("rb", buffering=0) as content:
        while content.readinto(buffer):
            pass
    return time.perf_counter() - start


def command(*words: str) -> tuple[float, float, float]:
    """Wall seconds, the largest resident megabytes and processor seconds of a command in a process of its own."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "mrl_viz", *words], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} failed")
    return time.perf_counter() - start, used.ru_maxrss / 1024, used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument(
        "--folder", type=Path, help="with room for the vectors (default: the system's temporary folder)"
    )
    parser.add_argument("--plans", action="store_true", help="only the recommendation")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=arguments.folder))
    try:
        if arguments.plans:
            measure_plans(folder / "vectors.npy", min(PLAN_ROWS, arguments.rows))
        else:
            run(folder, arguments.rows)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(folder: Path, wanted: int) -> None:
    room = shutil.disk_usage(folder).free // 2 // (2 * FULL_DIM)
    n_rows, file = min(wanted, room), folder / "vectors.npy"
    if n_rows < wanted:
        print(f"the disk has room for {n_rows:,} of {wanted:,} rows")
    make(file, n_rows)
    asked = "--sample-queries", str(N_QUERIES), "--dims", ",".join(map(str, DIMS)), "--k", str(K)
    size = file.stat().st_size / 1e9
    print(f"{n_rows:,} x {FULL_DIM} float16, {size:.1f} GB, {N_QUERIES:,} queries, widths {DIMS}")
    print(f"read the file once: {read_once(file):.1f} s")
    seconds, megabytes, _ = command("sweep", str(file), *asked)
    print(
        f"sweep: {seconds:.1f} s, {n_rows / seconds / 1e3:,.0f} thousand rows/s, {megabytes:,.0f} MB resident at most"
    )
    file.unlink()

    make(file, min(WORKER_ROWS, n_rows))
    os.environ["OMP_NUM_THREADS"] = "1"
    one, two = (
        command("sweep", str(file), *asked, "--cluster", f"local:{n}", "--out", str(folder / f"parts{n}"))[0]
        for n in (1, 2)
    )
    n_shared = min(WORKER_ROWS, n_rows)
    print(f"{n_shared:,} rows on a cluster of one worker: {one:.1f} s, two: {two:.1f} s, {one / two:.2f} x")
    os.environ.pop("OMP_NUM_THREADS")
    file.unlink()

    measure_plans(file, min(PLAN_ROWS, n_rows))

    make(file, EQUAL_ROWS)
    rows = open_rows(file)
    queries = sampled_queries(rows, N_QUERIES)
    found = stream_sweep(rows, queries, dims=DIMS, k=K)
    matrix = rows.read(0, rows.n_rows)
    expected = nested_sweep(matrix, queries.matrix, dims=DIMS, k=K + 1)
    own = expected.indices == queries.own[None, :, None]
    keep = np.argsort(own, axis=-1, kind="stable")[..., :K]
    is_same = np.array_equal(found.indices, np.take_along_axis(expected.indices, keep, axis=-1))
    print(f"{EQUAL_ROWS:,} rows: the same lists as in memory: {is_same}")

    rng = np.random.default_rng(1)
    job = job_of(rows, queries, dims=DIMS, k=K)
    shape, edges = (len(DIMS), N_QUERIES, K), np.linspace(0, rows.n_rows, N_PARTS + 1).astype(int)
    for index, (start, stop) in enumerate(pairwise(edges), start=1):
        similarities = -np.sort(-rng.random(shape, dtype=np.float32), axis=-1)
        items = rng.integers(start, stop, shape)
        write_part(part_file(folder / "many", index, N_PARTS), job, int(start), int(stop), Lists(items, similarities))
    start_s = time.perf_counter()
    merge_parts(folder / "many")
    print(f"merge of {N_PARTS:,} parts: {time.perf_counter() - start_s:.1f} s")


def measure_plans(file: Path, n_rows: int) -> None:
    """A recommendation among every width and the usual codes; by itself: --plans."""
    make(file, n_rows)
    seconds, megabytes, processor = command("recommend", str(file), "--sample-queries", str(N_PLAN_QUERIES))
    print(
        f"recommend: {n_rows:,} x {FULL_DIM}, {N_PLAN_QUERIES} queries: {seconds:.1f} s, {processor:.0f} s of "
        f"processors, {megabytes:,.0f} MB resident at most",
        flush=True,
    )
    file.unlink()


if __name__ == "__main__":
    main()
