"""What the samples measure at full width, and what every width keeps of it, as the tables of README and docs show it.

    python benchmarks/bench_sample.py [--data sample] [--models wordllama all-MiniLM-L6-v2] [--k 10]

The sample was judged at full width only while it was written; the widths below are as they came out. Of data in
several languages, such as sample:languages, it prints what each width keeps in each.
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt

from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import Embedded, embed
from mrl_viz.measures.lists import knn_correct, shared_share
from mrl_viz.sweep import nested_sweep
from mrl_viz.tasks.classes import N_NEIGHBORS, classes_from_labels
from mrl_viz.tasks.evaluation import evaluate
from mrl_viz.tasks.languages import LanguageQuality, by_language, languages_of
from mrl_viz.truncation import normalize, parse_dims

LANGUAGE_DIMS = (16, 64)


def own_topic(topics: npt.NDArray[np.str_], lists: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> float:
    """The share of what is in the lists but not in the others that has the topic of the text whose list it is."""
    is_other = ~(lists[:, :, None] == others[:, None, :]).any(axis=2)
    return float((topics[lists] == topics[:, None])[is_other].mean())


def report(vectors: Embedded, k: int) -> None:
    """Print the table of one model."""
    dims = parse_dims("", vectors.full_dim, vectors.matryoshka_dims)
    sweep = nested_sweep(vectors.matrix, dims=dims, k=k)
    overlap = shared_share(sweep.indices, sweep.indices[-1]).mean(axis=1)
    ndcg = evaluate(vectors, dims=sweep.dims, task="retrieval").curves["ndcg@10"]
    right = {}
    for name, labels in vectors.corpus.labels.items():
        classes = classes_from_labels(labels)
        right[name] = knn_correct(sweep.indices[:, :, :N_NEIGHBORS], classes.codes, classes.codes).mean(axis=1)
    cosines = (normalize(vectors.matrix) @ normalize(vectors.matrix).T)[np.triu_indices(len(vectors.matrix), 1)]
    print(f"\n{vectors.model} on {vectors.corpus.name}: {len(vectors.matrix):,} texts, {len(vectors.queries)} queries; "
          f"largest cosine of two texts {cosines.max():.2f}, {(cosines > 0.95).mean():.2%} above .95\n")  # fmt: skip
    print(f"| dims | same neighbors | nDCG@10 | of full width | {' | '.join(f'{name}s right' for name in right)} |")
    print("|---|---|---|---|" + "---|" * len(right))
    for level, dim in enumerate(sweep.dims):
        at = ndcg.dims.index(dim)
        cells = [f"{overlap[level]:.0%}", f"{ndcg.value[at]:.3f}", f"{ndcg.retention[at]:.0%}"]
        print(f"| {dim} | {' | '.join(cells + [f'{values[level]:.1%}' for values in right.values()])} |")
    topics = np.asarray(vectors.corpus.labels["topic"])
    print("\nOf the neighbors lost and of those in their places, of the text's own topic:")
    for level, dim in enumerate(sweep.dims[:-1]):
        lost = own_topic(topics, sweep.indices[-1], sweep.indices[level])
        print(f"{dim} dims: {lost:.0%} and {own_topic(topics, sweep.indices[level], sweep.indices[-1]):.0%}")


def language_table(found: LanguageQuality) -> list[str]:
    """The lines of a table: Spearman of each language's pairs, and the translations found from the first language."""
    dims, full_dim = found.dims, found.dims[-1]
    heads = [f"at {dim}" for dim in dims] + [f"kept at {dim}" for dim in dims[:-1]]
    heads += [f"translation first at {dim}" for dim in dims]
    lines = [f"| Spearman of {full_dim} dims | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
    for language, curve in found.spearman.items():
        cells = [f"{value:.3f}" for value in curve.value]
        cells += ["–" if kept is None else f"{kept.value:.0%}" for kept in curve.retention[:-1]]
        hits = found.found.get(language)
        cells += ["–"] * len(dims) if hits is None else [f"{value.value:.1%}" for value in hits.value]
        lines.append(f"| {language} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="sample")
    parser.add_argument("--models", nargs="+", default=["wordllama", "all-MiniLM-L6-v2"])
    parser.add_argument("--k", type=int, default=10)
    args = parser.parse_args()
    corpus = read_corpus(args.data)
    for model in args.models:
        if len(languages_of(corpus)) > 1:
            found = by_language(embed(corpus, model), dims=LANGUAGE_DIMS)
            print(f"\n{model} on {corpus.name}\n", *language_table(found), *found.notes, sep="\n")
        else:
            report(embed(corpus, model), args.k)


if __name__ == "__main__":
    main()
