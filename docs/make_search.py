"""Write docs/search.md again: what the parts of Search lab measure on data that come with the project.

python -m docs.make_search    # about two minutes on two cores
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import numpy as np

from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import Embedded, embed
from mrl_viz.errors import InvalidInputError
from mrl_viz.retrieval.adaptive import AdaptiveIndex
from mrl_viz.retrieval.cost import funnel_presets
from mrl_viz.retrieval.funnel import funnel_losses
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.layouts import layout_reads, said_bytes
from mrl_viz.retrieval.plan import Plan
from mrl_viz.retrieval.probes import Probes, probes
from mrl_viz.retrieval.settling import settling
from mrl_viz.retrieval.stopping import StopRule, learn_stop

PAGE = Path(__file__).parent / "search.md"
K = 10
TARGETS = (0.9, 0.95, 0.99)
# By name: source, model, whether its own queries ask; else 200 of the items, none of which finds itself.
DATA: dict[str, tuple[str, str | None, bool]] = {
    "sample, wordllama": ("sample", "wordllama", True),
    "sample, all-MiniLM-L6-v2 (not Matryoshka)": ("sample", "all-MiniLM-L6-v2", True),
    "sample's texts, wordllama": ("sample", "wordllama", False),
    "digits, a Matryoshka embedding": ("sample:digits", None, False),
}
HEAD = """# Searching with prefixes: funnels, stops, widening, columns

Written by `python -m docs.make_search`; not by hand. The page *Search lab* measures the same on your data. Recall is
the share of the 10 nearest at full width that is found; intervals are 95 %, bootstrapped over queries.

## Funnels

`funnel_losses(index, queries, stages)` measures any schedule of (width, how many are kept) against exact search, and
says which stage loses how many of the true neighbors; `neighbor_paths` follows one query's through the stages.

"""
STOPS = """
## Rerank until sure

A shortlist's length is a guess for all queries at once. `learn_stop` reranks one by one instead, in the order of the
small width, and stops when the margin is large enough: the k-th best full-width cosine so far, minus the small-width
cosine of the next on the list. How large is learnt on half of the queries, as the lowest that reaches a target;
recall and the number reranked are measured on the other half, against a fixed list of the same mean length (*gain*,
paired) and the shortest fixed list that reaches the target on the learning half. One halving can be lucky: there are
ten, and each half is once learnt from. Where no list of 1,000 reaches the target there is no rule. These are 36
comparisons: by chance alone one of them may seem to gain.

"""
SETTLE = """
## Widening while time lasts

`AdaptiveIndex.refine` answers at the smallest width first and then at each larger one while the next one's measured
time fits; each width's 200 best are ranked again at full width. A rank is settled at the width from which on it
held what the last answer holds.

"""
COLUMNS = """
## Reading by columns

Bytes that were read from files for a search at each width (`layout_reads`), in blocks of 4,096 bytes: of one file of
whole vectors, of a file for every 64 columns (the store's chunks), and of files cut at the widths. Of vectors shorter
than a block every block has a part of every prefix, so by rows everything is read; only of vectors of several blocks
can blocks be left out.

"""


@cache
def loaded(name: str) -> tuple[Embedded, PrefixIndex, Probes]:
    """Vectors, an index of all powers of two, and what asks."""
    source, model, has_queries = DATA[name]
    corpus = read_corpus(source)
    vectors = embed(corpus) if model is None else embed(corpus, model)
    dims = {8, 16, 32, 64, 128, 256, *eighths(vectors)}
    index = PrefixIndex(vectors.matrix, [dim for dim in dims if dim < vectors.full_dim])
    return vectors, index, probes(vectors.matrix, vectors.queries if has_queries else None)


def eighths(vectors: Embedded) -> tuple[int, ...]:
    """An eighth, a quarter and half of the width."""
    return tuple(vectors.full_dim // part for part in (8, 4, 2))


def stop(name: str, dim: int, target: float) -> StopRule | None:
    """The rule; None where no list reaches the target."""
    _, index, asked = loaded(name)
    try:
        return learn_stop(index, asked.rows, shortlist_dim=dim, k=K, target=target, own=asked.own)
    except InvalidInputError:
        return None


def table(*head: str) -> list[str]:
    """The first two lines of a table."""
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]


def funnels(names: Iterable[str] = DATA) -> Iterator[str]:
    yield from table("data", "funnel", "recall", "multiply-adds", "lost at each stage")
    for name in names:
        _, index, asked = loaded(name)
        for stages in funnel_presets(index.full_dim, k=K, n_items=asked.n_items).values():
            found = funnel_losses(index, asked.rows, stages, own=asked.own)
            said = " → ".join(f"{dim}: {keep:,}" for dim, keep in stages)
            lost = ", ".join(f"{each.value:.1%}" for each in found.lost)
            yield f"| {name} | {said} | {found.recall.share:.1%} | {1 / found.speedup:.0%} | {lost} |"


def stops() -> Iterator[str]:
    yield from table(
        "data", "width", "target", "recall", "reranked", "fixed list of that length", "gain",
        "fixed list for the target", "it reranks", "the rule saves", "verdict",
    )  # fmt: skip
    verdicts = []
    for name in DATA:
        for dim in eighths(loaded(name)[0]):
            for target in TARGETS:
                row = stop_row(name, dim, target)
                verdicts.append(row.split(" | ")[-1].removesuffix(" |"))
                yield row
    yield ""
    yield (
        f"Of {len(verdicts)} the stop finds more than a fixed list of its cost in {verdicts.count('better')}, less in "
        f"{verdicts.count('worse')}, and cannot be told from it in {verdicts.count('neither')}."
    )


def stop_row(name: str, dim: int, target: float) -> str:
    """A line of the table of stops."""
    rule = stop(name, dim, target)
    if rule is None:
        return f"| {name} | {dim} | {target:.0%} |{' – |' * 8}"
    verdict = "better" if rule.gain.low > 0 else "worse" if rule.gain.high < 0 else "neither"
    return (
        f"| {name} | {dim} | {target:.0%} | {rule.recall:.1%} | {rule.reranked.value:.0f} | "
        f"{rule.equal_recall.value:.1%} | {rule.gain:+.1%} | {rule.fixed_recall.value:.1%} | {rule.fixed_size:.0f} | "
        f"{rule.saved:.0f} | {verdict} |"
    )


def settled() -> Iterator[str]:
    yield from table(
        "data", "widths", "first rank settled, median", "all ranks settled, median", "nine in ten queries by"
    )
    for name in DATA:
        _, index, asked = loaded(name)
        adaptive = AdaptiveIndex(index, asked.rows, own=asked.own, plans=[Plan(index.full_dim)], k=K)
        own = [None] * len(asked.rows) if asked.own is None else [[item] for item in asked.own]
        found = [
            settling(adaptive.refine(row, K, max_latency_ms=1e6, own=item)).settled
            for row, item in zip(asked.rows, own)
        ]
        last = [max(each) for each in found]
        yield (
            f"| {name} | {', '.join(map(str, index.dims))} | {np.median([each[0] for each in found]):.0f} | "
            f"{np.median(last):.0f} | {np.percentile(last, 90):.0f} |"
        )


def bytes_read() -> Iterator[str]:
    yield from table("vectors", "width", "by rows", "64 columns together", "cut at the widths")
    wide = np.random.default_rng(0).standard_normal((1000, 4096), dtype=np.float32)
    for name, matrix in (("sample, 1,280 × 256", loaded(next(iter(DATA)))[0].matrix), ("1,000 × 4,096", wide)):
        reads = layout_reads(matrix, [8, 64, 256, 1024] if matrix.shape[1] > 256 else [8, 32, 128])
        for row in reads.rows():
            cells = " | ".join(said_bytes(row[side]) for side in ("by_rows", "by_chunks", "by_widths"))
            yield f"| {name} | {row['dim']} | {cells} |"


def made() -> str:
    """The page."""
    parts = ((HEAD, funnels), (STOPS, stops), (SETTLE, settled), (COLUMNS, bytes_read))
    return "".join(head + "\n".join(lines()) + "\n" for head, lines in parts)


def main() -> None:
    PAGE.write_text(made(), encoding="utf-8")
    print(f"{PAGE}: {PAGE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
