"""From a command to its numbers: whole cold processes, one after the other, with what they take of time and memory.

python benchmarks/bench_commands.py [--repeats 7]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mrl_viz.data.reading import read_corpus

N_TEXTS = 1200
# Command, seconds and megabytes at most.
COMMANDS = (("--help", 0.15, None), ("sweep sample", 1.5, None), ("sweep FILE", 2.5, 300))


def run(arguments: list[str], folder: str) -> tuple[float, float, float]:
    """Wall-clock seconds, processor seconds and megabytes of one process with a store of its own."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "mrl_viz", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=os.environ | {"MRL_VIZ_CACHE": folder},
    )  # fmt: skip
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    if status:
        raise SystemExit(said.decode())
    megabytes = used.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    return wall, used.ru_utime + used.ru_stime, megabytes


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    print(f"{'wall s':>8} {'cpu s':>8} {'bar':>6} {'MB':>6} {'bar':>6}  median of {args.repeats}")
    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / "texts.txt"
        lines = (text.replace("\n", " ") for text in read_corpus("sample").texts[:N_TEXTS])
        texts.write_text("".join(f"{line} \n" for line in lines), encoding="utf-8")
        run(["sweep", "sample"], folder)  # compiles once a machine
        for command, seconds, megabytes in COMMANDS:
            rounds = []
            for number in range(args.repeats):
                # Other texts every time: what the store has would not be embedded.
                texts.write_text(texts.read_text(encoding="utf-8").replace(" \n", f" {number} \n"), encoding="utf-8")
                rounds.append(run([str(texts) if part == "FILE" else part for part in command.split()], folder))
            wall, processor, memory = (statistics.median(figures) for figures in zip(*rounds))
            name = command.replace("FILE", f"FILE, {N_TEXTS:,} short texts")
            print(f"{wall:8.2f} {processor:8.2f} {seconds:6} {memory:6.0f} {megabytes or '':>6}  {name}", flush=True)


if __name__ == "__main__":
    main()
