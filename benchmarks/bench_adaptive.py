"""Adaptive classification over several seeds: what a cascade reads, how often it is right, and against what.

    python benchmarks/bench_adaptive.py [--seeds 5] [--table FILE.csv --text text --labels intent,domain --epochs 15]

The digits of scikit-learn and the sample; a table of texts with label columns too, where one is given, embedded by the
default model. A seed draws the held-out rows, the folds, the initial weights and the batches. Beside the mean over
seeds stands the smallest and the largest.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from mrl_viz.adaptor.adaptor import one_thread
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.heads.adaptive import DIGIT_DIMS, DIGIT_HEADS, AdaptiveClassification, classify_adaptively
from mrl_viz.heads.cascade import PAPERS_RULE, ExitRule
from mrl_viz.heads.training import HeadTraining

RULES = {
    "half a point, margin": ExitRule(),
    "half a point, softmax": ExitRule(confidence="softmax"),
    "the paper's": PAPERS_RULE,
}
TEXT_DIMS = (8, 16, 32, 64, 128, 256)


def digits() -> tuple[Any, Mapping[str, Sequence[str]]]:
    found = load_digits()
    return found.data.astype(np.float32), {"digit": [str(value) for value in found.target]}


def texts(rows: Sequence[str], labels: Mapping[str, Sequence[str | None]]) -> tuple[Any, Mapping[str, Any]]:
    return load_encoder().encode(list(rows)), labels


def table(file: Path, text: str, labels: Sequence[str]) -> tuple[Any, Mapping[str, Any]]:
    with file.open(encoding="utf-8", newline="") as content:
        rows = list(csv.DictReader(content))
    return texts([row[text] for row in rows], {name: [row[name] for row in rows] for name in labels})


def spread(values: Sequence[float], form: str) -> str:
    """The mean, and the smallest and largest."""
    return f"{statistics.mean(values):{form}} [{min(values):{form}}, {max(values):{form}}]"


def lines(name: str, results: Sequence[AdaptiveClassification]) -> list[tuple[str, ...]]:
    """A row of the table for each kind of heads and rule, of one label column over the seeds."""
    first = results[0]
    found = []
    for kind in ("mrl", "mrl-e"):
        for words, rule in RULES.items():
            cascades = [result.cascade(rule, kind) for result in results]
            found.append((
                f"{name}, {first.label} ({len(first.classes)})", kind.upper(), words,
                spread([cascade.expected_dim.value for cascade in cascades], ".1f"),
                spread([100 * cascade.accuracy.value for cascade in cascades], ".1f"),
                spread([100 * cascade.fixed_accuracy[-1].value for cascade in cascades], ".1f"),
                spread([cascade.saving_full.value for cascade in cascades], ".1f"),
                ", ".join(sorted({str(cascade.fixed_dim) for cascade in cascades}, key=int)),
                spread([cascade.saving_fixed.value for cascade in cascades], ".1f"),
            ))  # fmt: skip
    return found


HEADER = (
    "data, label (classes)", "heads", "rule", "expected width", "right, %", "full width, %", "times smaller than full",
    "best fixed width", "times smaller than that",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--text", default="text")
    parser.add_argument("--labels", default="label")
    parser.add_argument("--epochs", type=int, default=HeadTraining().epochs, help="of the table's heads")
    parser.add_argument("--only", help="one of the sets")
    given = parser.parse_args()
    corpus = read_corpus("sample")
    sets = {
        "digits": (digits, DIGIT_DIMS, DIGIT_HEADS),
        "sample": (lambda: texts(corpus.texts, corpus.labels), TEXT_DIMS, HeadTraining()),
    }
    if given.table is not None:
        labels = given.labels.split(",")
        training = HeadTraining(epochs=given.epochs)
        sets[given.table.stem] = (lambda: table(given.table, given.text, labels), TEXT_DIMS, training)
    print("| " + " | ".join(HEADER) + " |")
    print("|" + "---|" * len(HEADER))
    for name, (read, dims, training) in sets.items():
        if given.only not in (None, name):
            continue
        rows, labels = read()
        started = time.process_time()
        with one_thread():
            runs = [
                classify_adaptively(rows, labels, dims, training=training, seed=seed) for seed in range(given.seeds)
            ]
        for results in zip(*runs):
            for line in lines(name, results):
                print("| " + " | ".join(line) + " |", flush=True)
            fixed = {
                kind: [
                    statistics.mean(run.heads[kind].accuracy[level].value for run in results)
                    for level in range(len(dims))
                ]
                for kind in ("mrl", "mrl-e", "separate")
            }
            for kind, values in fixed.items():
                shown = ", ".join(f"{dim}: {100 * value:.1f}" for dim, value in zip(dims, values))
                print(f"<!-- {name}, {results[0].label}, {kind} heads, fixed widths, %: {shown} -->", flush=True)
        print(f"<!-- {name}: {len(rows)} rows, {time.process_time() - started:.0f} s of processor -->", flush=True)


if __name__ == "__main__":
    main()
