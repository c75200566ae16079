"""The store beside the bare encoder: one process, the same threads, interleaved rounds, medians, ratios.

    python benchmarks/bench_store.py [--n-texts 20000] [--n-transformer-texts 300] [--repeats 5]

The processor seconds are the steadier figure on a machine that does other things as well.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import zarr

from mrl_viz.embedding.encoders import Encoder, load_encoder
from mrl_viz.embedding.store import EmbeddingStore

PREFIX_DIM = 64
SUBJECTS = (
    "the river",
    "a baker",
    "our tax office",
    "this old bridge",
    "the night train",
    "her second novel",
    "a small engine",
)
VERBS = ("waits for", "pays for", "remembers", "repairs", "is slower than", "was built before", "sells", "looks like")


def short_texts(n_texts: int, seed: int) -> list[str]:
    """Distinct sentences of six to twelve words."""
    rng = np.random.default_rng(seed)
    subjects, verbs, objects = (rng.integers(len(words), size=n_texts) for words in (SUBJECTS, VERBS, SUBJECTS))
    return [
        f"{SUBJECTS[subject]} {VERBS[verb]} {SUBJECTS[other]} on page {number}"
        for number, (subject, verb, other) in enumerate(zip(subjects, verbs, objects))
    ]


def medians(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, tuple[float, float]]:
    """Median wall and processor seconds of each, the rounds interleaved so that a busy moment hits all alike."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(repeats):
        for name, run in runs.items():
            wall, processor = time.perf_counter(), time.process_time()
            run()
            times[name].append((time.perf_counter() - wall, time.process_time() - processor))
    return {
        name: (statistics.median(wall for wall, _ in values), statistics.median(processor for _, processor in values))
        for name, values in times.items()
    }


def fresh_folders(root: Path) -> Iterator[Path]:
    """Folders that do not exist yet."""
    number = 0
    while True:
        number += 1
        yield root / str(number)


def against_the_bare_encoder(encoder: Encoder, texts: list[str], repeats: int) -> None:
    """Encode alone, encode into an empty store, read all, read a prefix, change one text."""
    with tempfile.TemporaryDirectory() as name:
        folders = fresh_folders(Path(name))
        warm = EmbeddingStore(next(folders))
        warm.embed(encoder, texts)
        edits = iter(range(1_000_000))
        result = medians(
            {
                "bare encode": lambda: encoder.encode(texts),
                "into an empty store": lambda: EmbeddingStore(next(folders)).embed(encoder, texts),
                "warm read": lambda: warm.embed(encoder, texts),
                f"warm read of {PREFIX_DIM} dims": lambda: warm.embed(encoder, texts, dim=PREFIX_DIM),
                "one text changed": lambda: warm.embed(encoder, [f"edit {next(edits)}", *texts[1:]]),
            },
            repeats,
        )
    print(f"{encoder.name}, {len(texts):,} texts x {encoder.full_dim}, median of {repeats}")
    bare_wall, bare_processor = result["bare encode"]
    for what, (wall, processor) in result.items():
        print(f"  {what:24} {wall:8.3f} s  {processor:8.3f} s of processor   it / bare = {wall / bare_wall:.2f}, "
              f"{processor / bare_processor:.2f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--n-texts", type=int, default=20_000)
    parser.add_argument("--n-transformer-texts", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, zarr {zarr.__version__}, numpy {np.__version__}"
    )
    against_the_bare_encoder(load_encoder("wordllama", device="cpu"), short_texts(args.n_texts, 0), args.repeats)
    against_the_bare_encoder(
        load_encoder("all-MiniLM-L6-v2", device="cpu"), short_texts(args.n_transformer_texts, 1), args.repeats
    )


if __name__ == "__main__":
    main()
