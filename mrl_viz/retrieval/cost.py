"""What a search costs: multiply-adds and bytes per query, bytes per stored vector, each with its formula."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from mrl_viz.errors import DimensionError, EmptyInputError
from mrl_viz.result import Result
from mrl_viz.retrieval.codes import bits, bytes_per_vector, family, pq_parts
from mrl_viz.truncation import check_count, check_dims

# faiss keeps, per vector of an HNSW graph, its level (int32) and where its links begin (int64).
HNSW_BOOKKEEPING_BYTES = 12
LINK_BYTES = 4
NORM_BYTES = 4

Stages = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class RetrievalCost(Result):
    """The cost of one query; scores only, not the selection of the best.

    `multiply_adds` : per query; `exact_multiply_adds` : of exact search at full width.
    `bytes_read` : vector bytes per query. `formula` : how `multiply_adds` comes about.
    """

    _also = ("speedup",)

    multiply_adds: int
    exact_multiply_adds: int
    bytes_read: int
    formula: str

    @property
    def speedup(self) -> float:
        """How many times fewer multiply-adds than exact search at full width; not a latency."""
        return self.exact_multiply_adds / self.multiply_adds

    def takeaway(self) -> str:
        # Of a plan that does more "0.8x fewer" would be said.
        much = f"{self.speedup:.1f}x fewer than" if self.speedup >= 1 else f"{1 / self.speedup:.1f}x as many as"
        return f"One query takes {self.multiply_adds:,} multiply-adds, {much} exact search at full width."


def funnel_cost(
    n_items: int, stages: Iterable[tuple[int, int]], full_dim: int, *, dtype: str = "float32"
) -> RetrievalCost:
    """The cost of a funnel: every item at the first width, then each stage's survivors at the next.

    Parameters
    ----------
    stages : (dim, keep) pairs, widths not falling, keeps not growing
    full_dim : width of the exact search to compare with
    dtype : of the first stage; later stages read float32

    Raises
    ------
    EmptyInputError : no items. DimensionError : widths out of order or range. InvalidInputError : other arguments.

    Source: funnel retrieval, Kusupati et al. 2022, arXiv:2205.13147, section 4.3.1.
    """
    stages = check_stages(stages, n_items, full_dim)
    bits(dtype)
    first = stages[0][0]
    scored = [(n_items, first), *((keep, dim) for (_, keep), (dim, _) in pairwise(stages))]
    return RetrievalCost(
        multiply_adds=sum(count * dim for count, dim in scored),
        exact_multiply_adds=n_items * full_dim,
        bytes_read=n_items * bytes_per_vector(first, dtype) + sum(count * dim * 4 for count, dim in scored[1:]),
        formula=" + ".join(f"{count:,} x {dim}" for count, dim in scored),
    )


def check_stages(stages: Iterable[tuple[int, int]], n_items: int, full_dim: int) -> Stages:
    """The (dim, keep) pairs of a funnel as a tuple.

    Raises
    ------
    EmptyInputError : no stage or no items. DimensionError : a width out of range or below the one before.
    InvalidInputError : a keep that is not a whole number from 1, or more than there is to keep.
    """
    if n_items < 1:
        raise EmptyInputError("There are no items to search; add at least one vector.")
    stages = tuple((dim, keep) for dim, keep in stages)
    if not stages:
        raise EmptyInputError("`stages` is empty; give at least one (dim, keep) pair.")
    available = n_items
    for level, (dim, keep) in enumerate(stages):
        check_dims([dim], full_dim)
        if level and dim < stages[level - 1][0]:
            raise DimensionError(
                f"`stages` goes from {stages[level - 1][0]} dims back to {dim}; order the widths from small to large."
            )
        check_count("keep", keep, most=available)
        available = keep
    return stages


def double_and_halve(
    full_dim: int, *, start_dim: int = 16, shortlist_size: int = 400, k: int = 10, n_items: int | None = None
) -> Stages:
    """A funnel that doubles the width and halves the list at every stage, ending with k items at full width.

    Raises
    ------
    DimensionError : `start_dim` outside 1..full_dim. InvalidInputError : `shortlist_size` below `k`.
    """
    check_dims([start_dim], full_dim)
    check_count("k", k)
    check_count("shortlist_size", shortlist_size, k)
    stages, dim, keep = [], start_dim, shortlist_size
    while dim < full_dim:
        stages.append((dim, keep))
        dim, keep = dim * 2, max(k, keep // 2)
    return _fitted([*stages, (full_dim, k)], k, n_items)


def funnel_presets(full_dim: int, *, k: int = 10, n_items: int | None = None) -> dict[str, Stages]:
    """Named funnels for a width: `three_steps`, `paper`, `double_and_halve`, without stages at or above it.

    `n_items` : size of the corpus; longer lists are cut to it.

    Raises
    ------
    InvalidInputError : `k` below 1 or above `n_items`. DimensionError : `full_dim` below 1.

    Source: `paper` is the funnel of Kusupati et al. 2022, arXiv:2205.13147, section 4.3.1; the others: own definition.
    """
    check_dims([full_dim], max(full_dim, 1))
    check_count("k", k, most=n_items)
    schedules = {
        "three_steps": [(32, 1000), (128, 100)],
        "paper": [(16, 200), (32, 100), (64, 50), (128, 25), (256, 10)],
    }
    presets = {
        name: _fitted([*(stage for stage in stages if stage[0] < full_dim), (full_dim, k)], k, n_items)
        for name, stages in schedules.items()
    }
    doubled = double_and_halve(full_dim, start_dim=min(16, full_dim), shortlist_size=max(400, k), k=k, n_items=n_items)
    return presets | {"double_and_halve": doubled}


def _fitted(stages: list[tuple[int, int]], k: int, n_items: int | None) -> Stages:
    """No list shorter than k or longer than the corpus."""
    return tuple((dim, min(max(keep, k), n_items or max(keep, k))) for dim, keep in stages)


@dataclass(frozen=True)
class StorageCost(Result):
    """Bytes that a corpus takes: the searched codes, a float32 copy to rerank from, an HNSW graph.

    What every search scans, codes and graph, is held in memory; the copy, of which a search reads a few rows, on disk.
    """

    _also = ("memory_bytes", "disk_bytes", "total_bytes")

    n_items: int
    code_bytes: int
    rerank_bytes: int
    graph_bytes: int
    formula: str

    @property
    def memory_bytes(self) -> int:
        """What is scanned: codes and graph."""
        return self.code_bytes + self.graph_bytes

    @property
    def disk_bytes(self) -> int:
        """What is only reranked from."""
        return self.rerank_bytes

    @property
    def total_bytes(self) -> int:
        """All three together."""
        return self.memory_bytes + self.disk_bytes

    def takeaway(self) -> str:
        def said(size: int) -> str:
            return f"{size / 1e9:,.2f} GB, {size / self.n_items:,.0f} bytes each,"

        disk = f" and {said(self.disk_bytes)} on disk" if self.disk_bytes else ""
        return f"{self.n_items:,} vectors take {said(self.memory_bytes)} in memory{disk}."


def storage_cost(
    n_items: int,
    dim: int,
    *,
    dtype: str = "float32",
    rerank_dim: int | None = None,
    hnsw_links: int | None = None,
    n_levels: int | None = None,
) -> StorageCost:
    """What `n_items` vectors take, in memory and on disk.

    Parameters
    ----------
    dim, dtype : of the searched vectors; dtype "pq" is a product code
    rerank_dim : width of the separate float32 copy that reranking reads; None without a rerank
    hnsw_links : faiss's M, links per vector and upper level (twice as many at the bottom); None without a graph
    n_levels : of an early stop, which keeps a norm of what is left at each and of the whole; None without one

    Raises
    ------
    InvalidInputError : a count below 1 or an unknown dtype.

    Source: level sizes of HNSW: Malkov & Yashunin 2016, arXiv:1603.09320, section 4.1; a vector has on
    average 1/(M - 1) upper levels.
    """
    for name, value in (("n_items", n_items), ("dim", dim), ("rerank_dim", rerank_dim or 1)):
        check_count(name, value)
    is_pq = dtype == "pq"
    code_bytes = pq_parts(dim) if is_pq else bytes_per_vector(dim, dtype)
    is_plain = not is_pq and family(dtype) == dtype
    parts = [f"{dim} x {bits(dtype)}/8" if is_plain else f"{code_bytes} code bytes"]
    if n_levels is not None:
        check_count("n_levels", n_levels)
        code_bytes += NORM_BYTES * (n_levels + 1)
        parts.append(f"({n_levels} + 1) x {NORM_BYTES}")
    graph = 0.0
    if hnsw_links is not None:
        check_count("hnsw_links", hnsw_links, 2)
        graph = LINK_BYTES * (2 * hnsw_links + hnsw_links / (hnsw_links - 1)) + HNSW_BOOKKEEPING_BYTES
        parts.append(f"{LINK_BYTES} x (2 x {hnsw_links} + {hnsw_links}/{hnsw_links - 1}) + {HNSW_BOOKKEEPING_BYTES}")
    if rerank_dim:
        parts.append(f"{rerank_dim} x 4")
    return StorageCost(
        n_items=n_items,
        code_bytes=n_items * code_bytes,
        rerank_bytes=n_items * (rerank_dim or 0) * 4,
        graph_bytes=round(n_items * graph),
        formula=f"{n_items:,} x ({' + '.join(parts)})",
    )
