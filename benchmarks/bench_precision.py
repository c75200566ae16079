"""Bits beside width at equal bytes, as the tables of docs/precision.md show it.

    python benchmarks/bench_precision.py [--data sample FOLDER] [--models wordllama all-MiniLM-L6-v2] [--k 10]
        [--codes float32 int8 ...]

A FOLDER is a data set in BEIR's layout. At every size a code has the width that keeps most neighbors; how the task
judges that width was not looked at when it was taken. Most of the time goes into learning OPQ.
"""

from __future__ import annotations

import argparse

from mrl_viz.comparison.precision import PRECISIONS, CodedPoint, PrecisionComparison, compare_precisions
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import embed
from mrl_viz.measures.estimate import Estimate

SIZES = (16, 32, 64, 128, 256)
CODES = (*PRECISIONS, "opq4", "opq2", "opq1")
# Powers of two and the widths between them, so that codes with factors of their own fill their bytes too.
WIDTHS = (4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384)
# Codes that suffer from unequal variances, and what they are after a rotation.
TRAP = ("binary", "binary-rotated", "int4", "int4-rotated")


def interval(estimate: Estimate) -> str:
    """A value with its 95 % interval."""
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def at_sizes(found: PrecisionComparison, *, quality: bool) -> None:
    """Print what every code keeps, or how the task judges it, at every size, with the width that it has there."""
    print(f"| arrangement | code | {' | '.join(f'{size} bytes' for size in SIZES)} |")
    print("|---|---|" + "---|" * len(SIZES))
    within = {size: {(point.arrangement, point.dtype): point for point in found.within(size)} for size in SIZES}
    for arrangement in found.arrangements:
        for dtype in found.dtypes:
            points = [within[size].get((arrangement, dtype)) for size in SIZES]
            cells = [_cell(point, quality) for point in points]
            print(f"| {arrangement} | {dtype} | {' | '.join(cells)} |")


def _cell(point: CodedPoint | None, quality: bool) -> str:
    shown = None if point is None else point.quality if quality else point.kept
    return "–" if point is None or shown is None else f"{point.dim}: {interval(shown)}"


def trap(found: PrecisionComparison) -> None:
    """Print what codes of few bits keep at full width, in the model's own order, after SVD, and rotated."""
    full = {(p.arrangement, p.dtype): p.kept for p in found.points if p.dim == found.full_dim}
    print("| code at full width | " + " | ".join(found.arrangements) + " |")
    print("|---|" + "---|" * len(found.arrangements))
    for dtype in [dtype for dtype in TRAP if dtype in found.dtypes]:
        print(f"| {dtype} | {' | '.join(interval(full[name, dtype]) for name in found.arrangements)} |")


def report(data: str, model: str, codes: list[str], k: int) -> None:
    """Print everything about one model on one data set."""
    vectors = embed(read_corpus(data), model)
    dims = [dim for dim in WIDTHS if dim <= vectors.full_dim]
    found = compare_precisions(vectors, dims=dims, dtypes=codes, k=k)
    print(f"\n## {model} on {vectors.corpus.name}\n")
    print(f"{found.n_items:,} texts, {found.n_measured} queries, {found.full_dim} dims, chance {found.chance:.3f}.")
    print(" ".join(found.notes))
    whole = next(p for p in found.points if p.label == f"{found.full_dim} dims float32")
    if whole.quality is not None:
        print(f"float32 at full width, {whole.bytes_per_vector:,} bytes: {found.metric} {interval(whole.quality)}.")
    print(f'\noverlap@{k}, "width: share kept [95 % interval]":\n')
    at_sizes(found, quality=False)
    if found.metric is not None:
        print(f"\n{found.metric}, at the same widths:\n")
        at_sizes(found, quality=True)
    print()
    for size in SIZES:
        print(f"- {found.takeaway(size)}")
    print(f"\n{found.rotation_takeaway()}\n")
    trap(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["sample"])
    parser.add_argument("--models", nargs="+", default=["wordllama", "all-MiniLM-L6-v2"])
    parser.add_argument("--codes", nargs="+", default=list(CODES))
    parser.add_argument("--k", type=int, default=10)
    args = parser.parse_args()
    for data in args.data:
        for model in args.models:
            report(data, model, args.codes, args.k)


if __name__ == "__main__":
    main()
