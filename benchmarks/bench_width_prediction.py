"""Whether a width for each query beats one width for all of equal cost, on several sources, models and targets.

    python benchmarks/bench_width_prediction.py [SOURCE:MODEL ...] [--targets 0.7 0.8 0.9]

A SOURCE is what the commands take; without :MODEL it is embedded by the default model. Prints the table of
docs/choosing.md: of each kind of rule the best of four confidences, with an interval that holds for all eight and the
oracle at once.
"""

from __future__ import annotations

import argparse

from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import embed
from mrl_viz.measures.estimate import Estimate
from mrl_viz.retrieval.width_prediction import WidthPrediction, predict_widths
from mrl_viz.retrieval.width_predictor import FEATURES
from mrl_viz.truncation import default_dims

K = 10
OURS = ("sample", "sample:limit", "sample:digits")


def points(gain: Estimate) -> str:
    return f"{gain.value * 100:+.1f} [{gain.low * 100:+.1f}, {gain.high * 100:+.1f}]"


def line(name: str, target: float, found: WidthPrediction) -> str:
    cells = [name, f"{target:.0%}", f"{found.n_queries:,}"]
    for features in FEATURES:
        rules = [one for one in found.comparisons if one.features == features and one.chosen.min() < one.chosen.max()]
        best = max(rules, key=lambda one: one.gain.value, default=None)
        cells.append("one width for all" if best is None else f"{points(best.gain)} at {best.predicted_dim:.0f}")
    cells.append(f"{points(found.oracle_gain)} at {found.oracle_dim:.0f}")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="*", default=OURS)
    parser.add_argument("--targets", nargs="+", type=float, default=(0.7, 0.8, 0.9))
    arguments = parser.parse_args()
    heads = "data, model", "suffices at", "queries", "list's similarities", "performance prediction too", "knows it"
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for source in arguments.sources:
        where, _, model = source.rpartition(":") if source not in OURS else (source, "", "")
        corpus = read_corpus(where or source)
        vectors = embed(corpus, model) if where and model else embed(corpus)
        dims = default_dims(vectors.full_dim, vectors.matryoshka_dims)
        name = f"{corpus.name}, {model}" if model else corpus.name
        for target in arguments.targets:
            print(line(name, target, predict_widths(vectors.matrix, vectors.queries, dims=dims, k=K, target=target)))


if __name__ == "__main__":
    main()
