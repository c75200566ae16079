"""A retrieval plan as data: what is searched, at which width and precision, and what is reranked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import DataFormatError, DimensionError, InvalidInputError, MrlVizError
from mrl_viz.result import Result
from mrl_viz.retrieval.ann import ANN_KINDS, HNSW_LINKS, AnnIndex
from mrl_viz.retrieval.coded import CodedIndex, coded_index
from mrl_viz.retrieval.codes import bits
from mrl_viz.retrieval.cost import RetrievalCost, Stages, StorageCost, funnel_cost, storage_cost
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.panorama import PanoramaIndex, n_levels
from mrl_viz.retrieval.results import SearchResult
from mrl_viz.retrieval.shortlist import funnel_search, rerank
from mrl_viz.truncation import check_count

KINDS = ("exact", "panorama", *ANN_KINDS)
# What a plan's record says beside its fields; computed, so not read again.
BYTES = ("memory_bytes_per_vector", "disk_bytes_per_vector")


@dataclass(frozen=True)
class Plan(Result):
    """How to search, independent of the data.

    `dim` : width of the first pass. `dtype` : of its vectors; approximate kinds take float32 (PQ makes its own codes).
    `kind` : "exact", "panorama" (exact, each vector read only as far as it can still be among the best), "hnsw", "ivf"
    or "pq".
    `rerank` : (size, dim) pairs: so many items rescored with float32 at that width; none, one, or a funnel of several.

    Raises
    ------
    InvalidInputError, DimensionError : fields that do not fit together.
    """

    dim: int
    dtype: str = "float32"
    kind: str = "exact"
    rerank: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        check_count("dim", self.dim)
        bits(self.dtype)
        if self.kind not in KINDS:
            raise InvalidInputError(f"`kind` is {self.kind!r}; choose one of {list(KINDS)}.")
        if self.kind != "exact" and (self.dtype != "float32" or len(self.rerank) > 1):
            raise InvalidInputError(
                f"`kind` {self.kind!r} works with float32 and at most one rerank; choose those or kind 'exact'."
            )
        most, dim = None, self.dim
        for size, wider in self.rerank:
            check_count("rerank size", size, most=most)
            check_count("rerank dim", wider)
            if wider < dim:
                raise DimensionError(
                    f"`rerank` goes from {dim} dims back to {wider}; order the widths from small to large."
                )
            most, dim = size, wider

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Plan:
        """The plan that `to_dict` wrote; DataFormatError for unknown or missing fields or values that make none.

        Its bytes per vector, which records from before they were written lack, are computed and not read.
        """
        known = {field.name for field in fields(cls)}
        if not isinstance(record, Mapping) or "dim" not in record or not set(record) <= {*known, *BYTES}:
            raise DataFormatError(
                f"A plan is a record with `dim` and optionally {sorted(known - {'dim'})}; this is {record!r}."
            )
        try:
            pairs = tuple((size, dim) for size, dim in record.get("rerank", ()))
            own = {name: value for name, value in record.items() if name in known}
            return cls(**{**own, "rerank": pairs})
        except (MrlVizError, TypeError, ValueError) as error:
            raise DataFormatError(f"This record makes no plan: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """The fields and the bytes per vector in memory and on disk as plain data, ready for JSON."""
        sizes = {name: getattr(self, name) for name in BYTES}
        return super().to_dict() | {"rerank": [list(pair) for pair in self.rerank]} | sizes

    @property
    def label(self) -> str:
        """A short name, such as "64 dims float32 exact, 200 reranked at 768"."""
        steps = [f"{size:,} reranked at {dim}" for size, dim in self.rerank]
        kind = "exact, early stop" if self.kind == "panorama" else self.kind
        return ", ".join([f"{self.dim} dims {self.dtype} {kind}", *steps])

    @property
    def widest(self) -> int:
        """The largest width it reads."""
        return self.rerank[-1][1] if self.rerank else self.dim

    @property
    def memory_bytes_per_vector(self) -> int:
        """Bytes per vector of what a search scans: the code and the links of the graph.

        Also where the first pass is exact float32: scanning the prefixes of whole rows on disk would read nearly all of
        the disk, so a deployment holds a copy of the prefixes in memory.
        """
        return self.storage(1).memory_bytes

    @property
    def disk_bytes_per_vector(self) -> int:
        """Bytes per vector of what is only reranked, a float32 row of the widest rerank; 0 without a rerank."""
        return self.storage(1).disk_bytes

    @property
    def bytes_per_vector(self) -> int:
        """Stored bytes per vector, in memory and on disk together.

        `PlannedIndex.nbytes` may be less: here everything is in memory, where an exact float32 first pass reads the
        prefix of the rerank copy itself.
        """
        return self.storage(1).total_bytes

    def storage(self, n_items: int) -> StorageCost:
        """What so many vectors take in memory and on disk; InvalidInputError below 1."""
        dtype = "pq" if self.kind == "pq" else self.dtype
        links = HNSW_LINKS if self.kind == "hnsw" else None
        rerank_dim = self.rerank[-1][1] if self.rerank else None
        levels = n_levels(self.dim) if self.kind == "panorama" else None
        return storage_cost(n_items, self.dim, dtype=dtype, rerank_dim=rerank_dim, hnsw_links=links, n_levels=levels)

    def allows(self, k: int) -> bool:
        """Whether every list is long enough for k results."""
        return not self.rerank or self.rerank[-1][0] >= k

    def stages(self, k: int) -> Stages:
        """The (dim, keep) pairs of the funnel that it is; InvalidInputError where a list is shorter than k."""
        check_count("k", k)
        if not self.allows(k):
            raise InvalidInputError(
                f"`k` is {k} but this plan reranks only {self.rerank[-1][0]}; lower `k` or rerank more."
            )
        dims = [self.dim, *(dim for _, dim in self.rerank)]
        return tuple(zip(dims, [*(size for size, _ in self.rerank), k]))

    def cost(self, n_items: int, full_dim: int, k: int = 10) -> RetrievalCost:
        """Multiply-adds and bytes per query of an exact plan.

        Raises
        ------
        InvalidInputError, DimensionError, EmptyInputError : a plan of another kind, whose cost depends on the data, or
        sizes that do not fit the corpus.
        """
        if self.kind != "exact":
            raise InvalidInputError(
                f"`kind` is {self.kind!r}, whose multiply-adds depend on the data; measure its latency."
            )
        return funnel_cost(n_items, self.stages(k), full_dim, dtype=self.dtype)


class PlannedIndex:
    """A plan built over a corpus by `build_plan`. `plan` : how it searches."""

    def __init__(
        self, plan: Plan, first: PrefixIndex | CodedIndex | AnnIndex | PanoramaIndex, wide: PrefixIndex | None
    ) -> None:
        self.plan, self._first, self._wide = plan, first, wide
        self.n_items, self.full_dim = first.n_items, first.full_dim

    @property
    def nbytes(self) -> int:
        """Bytes of everything a search reads."""
        copy = self._wide.nbytes_up_to(self.plan.widest) if self._wide is not None else 0
        return copy + (0 if isinstance(self._first, PrefixIndex) else self._first.nbytes)

    def search(self, queries: npt.ArrayLike, k: int = 10, *, own: npt.ArrayLike | None = None) -> SearchResult:
        """The k items that the plan finds for each query, with its trace.

        `own` : as in `PrefixIndex.search`.

        Raises
        ------
        ShapeError, EmptyInputError : unusable queries. InvalidInputError : `k` longer than the lists or the corpus.
        """
        check_count("k", k, most=self.n_items - (own is not None))
        stages = self.plan.stages(k)
        if own is not None:  # a list of everything is one of everything else
            stages = tuple((dim, min(keep, self.n_items - 1)) for dim, keep in stages)
        (_, keep), *rest = stages
        if isinstance(self._first, PrefixIndex):
            return funnel_search(self._first, queries, stages, own=own)
        one_more = int(own is not None)
        if isinstance(self._first, AnnIndex):
            size = keep + one_more if rest else None
            result, rest = self._first.search(queries, k + one_more, shortlist_size=size), []
        else:
            result = self._first.search(queries, keep + one_more)
        if own is not None:
            result = result.without(np.asarray(own))
        for dim, keep in rest:
            if self._wide is not None:
                result = rerank(self._wide, queries, result, dim=dim, k=keep)
        return result

    def reranked(self, queries: npt.ArrayLike, found: SearchResult, k: int = 10) -> SearchResult:
        """What an exact plan's search gives, from what its first pass finds: several plans may share that.

        `found` : of the same queries by the plan without its reranks, with lists as long as its shortlist or longer.

        Raises
        ------
        ShapeError, EmptyInputError : other queries. InvalidInputError : `k` longer than the lists, or those too short.
        """
        (_, keep), *rest = self.plan.stages(k)
        check_count("rerank size", keep, most=found.indices.shape[1])
        result = found.first(keep)
        for dim, keep in rest:
            if self._wide is not None:
                result = rerank(self._wide, queries, result, dim=dim, k=keep)
        return result


def build_plan(
    plan: Plan,
    corpus: npt.ArrayLike,
    *,
    prefix_index: PrefixIndex | None = None,
    codes: CodedIndex | None = None,
    seed: int = 0,
) -> PlannedIndex:
    """The index that searches a corpus by a plan.

    Parameters
    ----------
    corpus : array_like of shape (n_items, full_dim)
    prefix_index : of the same corpus and holding the plan's widths, shared by several plans; built when None
    codes : of the same corpus in the plan's width and dtype, likewise
    seed : of the sample of the corpus that ranges and codebooks come from

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError, InvalidInputError : a plan that does not fit the corpus.
    OptionalDependencyError : a plan of another kind than exact without faiss.
    """
    if plan.kind in ANN_KINDS:
        ann = AnnIndex(corpus, plan.kind, plan.dim, rerank_dim=plan.rerank[0][1] if plan.rerank else None)
        return PlannedIndex(plan, ann, None)
    wide = prefix_index
    if wide is None and (plan.rerank or plan.dtype == "float32"):
        wide = PrefixIndex(corpus, [plan.dim, *(dim for _, dim in plan.rerank)])
    if plan.kind == "panorama":
        panorama = PanoramaIndex(corpus, plan.dim, plain=wide, seed=seed)
        return PlannedIndex(plan, panorama, wide if plan.rerank else None)
    if plan.dtype == "float32" and wide is not None:
        wide.level(plan.dim)
        return PlannedIndex(plan, wide, wide)
    first = codes or coded_index(corpus, plan.dim, plan.dtype, seed=seed)
    return PlannedIndex(plan, first, wide if plan.rerank else None)
