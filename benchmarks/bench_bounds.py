"""Whether the promise of a recommendation holds, and what it costs: the table of docs/choosing.md.

    python benchmarks/bench_bounds.py sample sample:hard /path/to/cranfield [--models wordllama]
        [--metrics overlap@10 ndcg@10] [--targets 0.8 0.9 0.95 0.99] [--halves 200] [--truths 200] [--n-queries 200]

Two checks of every data set, model and metric, of bounds by order; halves also of bounds that hold at once.

Halves: a random half of the queries decides, the others verify. The promise is kept when the others measure at least
the target (or the bound), or when the full width was chosen. The others have noise of their own, so that the perfect
bound of one plan that was always chosen would be missed in about 12 % of the halves.

Truths: the measured queries are taken for all there are, so that every plan's quality is known, and as many as
--n-queries of them are drawn with replacement. Counted: samples in which a plan that meets the target is truly below it
(promised: at most 5 %), in which the chosen plan's own bound is above its truth, and in which any plan's bound is.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from mrl_viz.data.reading import read_corpus
from mrl_viz.decide import Candidates, measure_candidates, sequential_lower_bounds, simultaneous_lower_bounds
from mrl_viz.decide.bounds import quality
from mrl_viz.decide.candidates import width_paths
from mrl_viz.embedding.embedded import embed
from mrl_viz.truncation import Floats, Ints

Bounds = Callable[..., Floats]
# Fewer than the library's own, so that thousands of bounds stay affordable; the tails used hold 50 and more of them.
N_DRAWS = 2_000


def quality_and_lows(measured: Candidates, queries: Ints, bounds: Bounds | None) -> tuple[Floats, Floats | None]:
    """What some queries say of every plan but exact full width, at k; without bounds only the quality."""
    level = measured.ks.index(measured.k)
    values = measured.values[:-1, level][:, queries]
    full = None if measured.full is None else measured.full[level][queries]
    gold = None if measured.gold is None else measured.gold[queries]
    found = quality(values, full, gold)
    return found, None if bounds is None else bounds(values, full, gold=gold)


def smallest(measured: Candidates, lows: Floats, target: float) -> int | None:
    """The row of the plan that `choose` takes; None where it is exact full width."""
    plans = measured.plans
    enough = [row for row, low in enumerate(lows) if low >= target]
    order = [(plans[row].memory_bytes_per_vector, measured.candidates[row].latency.p50_ms, row) for row in enough]
    order = [one for one in order if one[0] < plans[-1].memory_bytes_per_vector]
    return min(order)[2] if order else None


def mark(share: float) -> str:
    return f"{share:.1%}"


def halves(measured: Candidates, bounds: Bounds, targets: Sequence[float], n_halves: int) -> Iterator[list[str]]:
    """Per target: the plan chosen most often, mean bytes, quality and bound, and how often target and bound held."""
    chosen: dict[float, list[tuple[int, float, float, float]]] = {target: [] for target in targets}
    for seed in range(n_halves):
        order = np.random.default_rng(seed).permutation(measured.n_queries)
        decides, verifies = np.split(order, [measured.n_queries // 2])
        own, lows = quality_and_lows(measured, decides, bounds)
        found, _ = quality_and_lows(measured, verifies, None)
        assert lows is not None
        for target in targets:
            row = smallest(measured, lows, target)
            if row is not None:
                chosen[target].append((row, lows[row], own[row], found[row]))
    full = measured.plans[-1].memory_bytes_per_vector
    for target, rows in chosen.items():
        cells = [f"{target:.0%}"]
        if rows:
            often, times = Counter(row for row, *_ in rows).most_common(1)[0]
            _, low, own, found = np.array(rows).T
            sizes = sum(measured.plans[row].memory_bytes_per_vector for row, *_ in rows) + full * (n_halves - len(rows))
            cells += [
                f"{measured.plans[often].label} ({times})", f"{sizes / n_halves:,.0f}", mark(own.mean()),
                mark(low.mean()), mark(found.mean()), mark(1 - (found < target).sum() / n_halves),
                mark(1 - (found < low).sum() / n_halves),
            ]  # fmt: skip
        else:
            cells += ["full width", f"{full:,}", "–", "–", "–", "100.0%", "100.0%"]
        yield cells


def truths(
    measured: Candidates, bounds: Bounds, targets: Sequence[float], n_samples: int, n_queries: int
) -> Iterator[list[str]]:
    """Per target: how often a plan that met it is truly below, the chosen plan's bound is too high, any bound is."""
    truth, _ = quality_and_lows(measured, np.arange(measured.n_queries), None)
    wrong = np.zeros((len(targets), 2))
    any_wrong, gaps, sizes = 0, [[] for _ in targets], np.zeros(len(targets))
    full = measured.plans[-1].memory_bytes_per_vector
    for seed in range(n_samples):
        drawn = np.random.default_rng(seed).integers(0, measured.n_queries, n_queries)
        own, lows = quality_and_lows(measured, drawn, bounds)
        assert lows is not None
        any_wrong += bool((lows > truth).any())
        for place, target in enumerate(targets):
            row = smallest(measured, lows, target)
            wrong[place, 0] += bool(((lows >= target) & (truth < target)).any())
            sizes[place] += full if row is None else measured.plans[row].memory_bytes_per_vector
            if row is not None:
                wrong[place, 1] += lows[row] > truth[row]
                gaps[place].append(own[row] - lows[row])
    for target, (meets, low), gap, size in zip(targets, wrong / n_samples, gaps, sizes / n_samples):
        kept = [plan.memory_bytes_per_vector for plan, true in zip(measured.plans, truth) if true >= target]
        gap_cell = f"{100 * np.mean(gap):.1f}" if gap else "–"
        yield [f"{target:.2%}", mark(meets), mark(low), mark(any_wrong / n_samples), gap_cell, f"{size:,.0f}",
               f"{min([*kept, full]):,}"]  # fmt: skip


def report(measured: Candidates, name: str, args: argparse.Namespace) -> None:
    paths = width_paths(measured.plans[:-1])
    ways = {
        "at once": partial(simultaneous_lower_bounds, n_draws=N_DRAWS),
        "by order": partial(sequential_lower_bounds, paths=paths, n_draws=N_DRAWS),
    }
    print(f"\n{measured.model} on {name}, {measured.metric}: {len(measured.plans)} plans in {len(paths)} families, "
          f"{measured.n_queries} queries\n", flush=True)  # fmt: skip
    print("| target | bounds | chosen most often | bytes | measured | bound | on the other half | target kept | "
          "bound kept |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    tables = [halves(measured, bounds, args.targets, args.halves) for bounds in ways.values()]
    for rows in zip(*tables):
        for way, (target, *cells) in zip(ways, rows):
            print(f"| {target} | {way} | {' | '.join(cells)} |", flush=True)
    truth, _ = quality_and_lows(measured, np.arange(measured.n_queries), None)
    # The hardest targets are those that a plan just misses.
    near = [truth[(truth < target) & (truth > 0.5)].max(initial=0) for target in args.targets]
    targets = sorted({*args.targets, *(float(one) + 1e-9 for one in near if one)})
    print(f"\nKnown truth, {args.n_queries} queries a sample\n")
    print("| target | a plan below it accepted | chosen plan's bound too high | any bound too high | "
          "measured − bound, points | bytes | bytes needed |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for cells in truths(measured, ways["by order"], targets, args.truths, args.n_queries):
        print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", default=["sample", "sample:hard"])
    parser.add_argument("--models", nargs="+", default=["wordllama", "all-MiniLM-L6-v2"])
    parser.add_argument("--metrics", nargs="+", default=["overlap@10", "ndcg@10"])
    parser.add_argument("--targets", nargs="+", type=float, default=[0.8, 0.9, 0.95, 0.99])
    parser.add_argument("--halves", type=int, default=200)
    parser.add_argument("--truths", type=int, default=200)
    parser.add_argument("--n-queries", type=int, default=200)
    parser.add_argument("--texts-ask", action="store_true", help="leave the queries out: texts search for each other")
    args = parser.parse_args()
    for name in args.data:
        for model in args.models:
            vectors = embed(read_corpus(name), model, queries=() if args.texts_ask else None)
            for metric in args.metrics:
                measured = measure_candidates(vectors, metric=metric, n_runs=1)
                report(measured, name, args)


if __name__ == "__main__":
    main()
