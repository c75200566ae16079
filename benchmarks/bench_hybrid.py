"""What a narrower vector costs by vectors alone and beside words, and under arrangements that change cosine: nDCG@10.

python benchmarks/bench_hybrid.py my_beir_folder --model all-MiniLM-L6-v2 --dims 32,64,128,192
"""

from __future__ import annotations

import argparse

from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import embed
from mrl_viz.measures.estimate import Estimate, bootstrap
from mrl_viz.tasks.evaluation import searched_in
from mrl_viz.tasks.hybrid import FUSION_DEPTH, hybrid_of
from mrl_viz.tasks.task import find_task
from mrl_viz.truncation import Floats, parse_dims

FUSION_KS = (10, 60, 100)
ARRANGEMENTS = ("svd", "centred", "tempered:0.25", "tempered:0.5", "tempered:0.75", "tempered:1")


def main() -> None:
    """Two tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", default="sample:hard")
    parser.add_argument("--model", default="wordllama")
    parser.add_argument("--dims", default="32,64,128,192")
    args = parser.parse_args()
    vectors = embed(read_corpus(args.source), args.model)
    dims = (*parse_dims(args.dims, vectors.full_dim - 1), vectors.full_dim)
    task = find_task(vectors, "retrieval")
    lists = task.lists(vectors.matrix, task.asking(vectors), dims, k=FUSION_DEPTH)
    raw = task.score(lists)
    words = task.score(hybrid_of(vectors.corpus, task.rows).words[None]).mean()
    print(f"{args.source}, {vectors.model}, {task.n_judged} queries; by words alone, BM25, {words:.3f}\n")
    heading("lists of", dims)
    row("vectors alone", raw, raw[-1])
    for fusion_k in FUSION_KS:
        fused = task.score(hybrid_of(vectors.corpus, task.rows, fusion_k=fusion_k).fuse(lists))
        row(f"hybrid, k = {fusion_k}", fused, fused[-1])
    print()
    heading("arrangement", dims)
    row("prefix", raw, raw[-1])
    for name in ARRANGEMENTS:
        arranged = searched_in(vectors, name)
        row(name, task.measure(arranged.matrix, task.asking(arranged), dims), raw[-1])


def heading(first: str, dims: tuple[int, ...]) -> None:
    """The head of a table with a column a width."""
    print(f"| {first} | {' | '.join(map(str, dims))} |\n|---|{'---|' * len(dims)}")


def row(name: str, values: Floats, full: Floats) -> None:
    """The mean at every width, and its difference to a full width's with its paired 95 % interval."""
    cells = [f"{value:.3f} ({said(gap)})" for value, gap in zip(values.mean(axis=1), bootstrap(values - full))]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def said(gap: Estimate) -> str:
    """A difference and its interval."""
    return f"{gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]" if gap.low < gap.high else f"{gap.value:+.3f}"


if __name__ == "__main__":
    main()
