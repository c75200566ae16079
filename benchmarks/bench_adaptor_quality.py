"""What adaptors are worth on a BEIR folder: nDCG@10 and overlap@10 of queries that no fit has seen, at every width.

The queries are dealt into folds. For each fold every method is fitted on the documents and the other folds' queries,
and then ranks all documents for the queries of the fold; so each query is held out once, and intervals are over all of
them. Documents are what the maps are fitted on: they are known before a search engine is asked, queries are not.

python benchmarks/bench_adaptor_quality.py FOLDER [--model all-MiniLM-L6-v2] [--folds 5] [--seed 0]
    [--only Search-Adaptor] [--json OUT]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mrl_viz.adaptor.adaptor import Adaptor, AdaptorSettings
from mrl_viz.adaptor.fit import fit_adaptor
from mrl_viz.arrangements import svd_rotation
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import embed
from mrl_viz.measures.estimate import bootstrap
from mrl_viz.measures.lists import shared_share
from mrl_viz.sweep import nested_sweep
from mrl_viz.tasks.retrieval import ranking_scores
from mrl_viz.truncation import normalize

K = 10
# Name in the table: method, whether it sees judgements, settings.
FITS = {
    "default, unsupervised": ("neighbors", False, AdaptorSettings()),
    "paper, unsupervised": ("paper", False, AdaptorSettings()),
    "default, supervised": ("neighbors", True, AdaptorSettings()),
    "paper, supervised": ("paper", True, AdaptorSettings()),
    "Search-Adaptor": ("search", True, AdaptorSettings()),
    "Search-Adaptor without L_pred": ("search", True, AdaptorSettings(prediction=0)),
}


def measure(
    apply: Callable[[np.ndarray], np.ndarray], corpus: np.ndarray, queries: np.ndarray, grades: list[dict[int, int]],
    truth: np.ndarray, dims: tuple[int, ...],
) -> np.ndarray:  # fmt: skip
    """nDCG@10 and overlap@10 with the original full-width list, shape (2, n_dims, n_queries)."""
    sweep = nested_sweep(apply(corpus), apply(queries), dims=dims, k=K)
    lists = sweep.indices[[sweep.at(dim) for dim in dims]]
    return np.stack([ranking_scores(lists, grades, ("ndcg@10",))["ndcg@10"], shared_share(lists, truth)])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    parser.add_argument("--dims", default="8,16,32,64,128,192,256")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=FITS, help="fit these alone, beside raw prefix and SVD")
    parser.add_argument("--json", metavar="OUT")
    args = parser.parse_args()
    source = read_corpus(args.folder)
    embedded = embed(source, args.model)
    assert embedded.queries is not None
    corpus, queries = (normalize(rows).astype(np.float32) for rows in (embedded.matrix, embedded.queries))
    full_dim = embedded.full_dim
    narrow = tuple(dim for dim in map(int, args.dims.split(",")) if dim < full_dim)
    dims = (*narrow, full_dim)
    row_of = {document: row for row, document in enumerate(source.ids)}
    all_grades = [
        {row_of[document]: grade for document, grade in source.qrels.get(query, {}).items() if grade > 0}
        for query in source.query_ids
    ]
    judged = np.flatnonzero([bool(grades) for grades in all_grades])
    folds = np.array_split(np.random.default_rng(args.seed).permutation(judged), args.folds)
    values: dict[str, list[np.ndarray]] = {}
    seconds: dict[str, float] = {}
    fitted: dict[str, Adaptor] = {}
    for number, held_out in enumerate(folds):
        grades = [all_grades[query] for query in held_out]
        truth = nested_sweep(corpus, queries[held_out], dims=[full_dim], k=K).indices[-1]
        seen = np.setdiff1d(judged, held_out)
        rotation = svd_rotation(corpus)
        maps: dict[str, Callable[[np.ndarray], np.ndarray]] = {
            "raw prefix": lambda rows: rows, "SVD": lambda rows, turn=rotation: rows @ turn.T,
        }  # fmt: skip
        for name, (method, is_supervised, settings) in FITS.items():
            if args.only and name not in args.only:
                continue
            if name in fitted:  # without judgements every fold gives the same fit
                maps[name] = fitted[name].apply
                continue
            started = time.perf_counter()
            judgements = (
                {"queries": queries[seen], "qrels": {place: all_grades[query] for place, query in enumerate(seen)}}
                if is_supervised
                else {}
            )
            fit = fit_adaptor(
                corpus,
                narrow,
                method=method,
                settings=settings,
                held_out=0.05,
                validation=0.1,
                seed=args.seed,
                **judgements,
            )
            seconds.setdefault(name, time.perf_counter() - started)
            maps[name] = fit.adaptor.apply
            if fit.weights is not None:
                own = fit.quality("adaptor")
                print(f"{name}: weights {fit.weights}; trained-on queries {own.ndcg_train[-1]:.3f}", file=sys.stderr)
            if not is_supervised:
                fitted[name] = fit.adaptor
        for name, apply in maps.items():
            values.setdefault(name, []).append(measure(apply, corpus, queries[held_out], grades, truth, dims))
        print(f"fold {number + 1} of {len(folds)}", file=sys.stderr, flush=True)
    joined = {name: np.concatenate(parts, axis=2) for name, parts in values.items()}
    report(joined, dims, args.seed)
    print(f"\n{len(judged)} queries, {len(corpus)} documents, {embedded.model}; seconds a fit:")
    print(", ".join(f"{name} {value:.1f}" for name, value in seconds.items()))
    if args.json:
        data = {
            name: {"ndcg": array[0].mean(axis=1).tolist(), "overlap": array[1].mean(axis=1).tolist()}
            for name, array in joined.items()
        }
        Path(args.json).write_text(
            json.dumps({"dims": dims, "model": embedded.model, "maps": data}, indent=2), encoding="utf-8"
        )


def report(joined: dict[str, np.ndarray], dims: tuple[int, ...], seed: int) -> None:
    """Two Markdown tables with half-widths of the 95 % intervals; ▲ ▼ where the paired one against SVD leaves 0 out."""
    for level, measure_name in enumerate(("nDCG@10", f"overlap@{K}")):
        print(f"\n{measure_name}\n")
        print(f"| map | {' | '.join(map(str, dims))} |")
        print(f"|---|{'---|' * len(dims)}")
        for name, array in joined.items():
            gains = bootstrap(array[level] - joined["SVD"][level], seed=seed)
            marks = ["▲" if gain.low > 0 else "▼" if gain.high < 0 else "" for gain in gains]
            if name in ("SVD", "raw prefix"):
                marks = [""] * len(gains)
            cells = [
                f"{found.value:.3f} ±{(found.high - found.low) / 2:.3f}{mark}"
                for found, mark in zip(bootstrap(array[level], seed=seed), marks)
            ]
            print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
