"""Approximate search through faiss: HNSW, IVF or PQ over renormalised prefixes, reranked from a wider float32 copy."""

from __future__ import annotations

from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import InvalidInputError, OptionalDependencyError, ShapeError
from mrl_viz.retrieval.codes import pq_parts
from mrl_viz.retrieval.index import checked_queries
from mrl_viz.retrieval.results import SearchResult
from mrl_viz.sweep import check_k
from mrl_viz.truncation import FloatMatrix, check_count, check_dims, check_embeddings, truncate_and_normalize

ANN_KINDS = ("hnsw", "ivf", "pq")
# faiss's usual choices: 32 links per node; a search that looks at 64 candidates or as many as it must return.
HNSW_LINKS, HNSW_BUILD_CANDIDATES, HNSW_SEARCH_CANDIDATES = 32, 100, 64
# k-means of faiss wants at least 39 training points per centroid; 4·sqrt(n) lists, of which a sixteenth is searched.
POINTS_PER_CENTROID, LIST_FACTOR, PROBED_SHARE = 39, 4, 1 / 16


class AnnIndex:
    """An approximate index over `dim`-prefixes; with a `rerank_dim`, faiss's IndexRefine over exact wider prefixes.

    Parameters
    ----------
    corpus : array_like of shape (n_items, full_dim)
    kind : "hnsw" (graph), "ivf" (inverted lists) or "pq" (product codes)
    dim : width that is searched approximately
    rerank_dim : width of the float32 copy that the shortlist is scored with, from `dim` up; None without a rerank
    calibration : (n_learnt, full_dim), rows that lists and codebooks are learnt from and sized for; None takes the
        corpus

    Raises
    ------
    InvalidInputError : an unknown kind, or PQ over fewer than 2 items. DimensionError : a width out of range.
    ShapeError, EmptyInputError : an unusable corpus. OptionalDependencyError : faiss is not installed.

    Source: faiss, Douze et al. 2024, arXiv:2401.08281. faiss builds HNSW with several threads, so two builds may
    differ, and it breaks ties as they come.
    """

    dtype = "float32"

    def __init__(
        self,
        corpus: npt.ArrayLike,
        kind: str,
        dim: int,
        *,
        rerank_dim: int | None = None,
        calibration: npt.ArrayLike | None = None,
    ) -> None:
        if kind not in ANN_KINDS:
            raise InvalidInputError(f"`kind` is {kind!r}; choose one of {list(ANN_KINDS)}.")
        rows = check_embeddings(corpus, "corpus")
        self.n_items, self.full_dim = rows.shape
        check_dims([dim], self.full_dim if rerank_dim is None else check_dims([rerank_dim], self.full_dim)[0])
        self.kind, self.dim, self.rerank_dim = kind, dim, rerank_dim
        self._faiss = load_faiss()
        learnt = rows if calibration is None else self._checked(calibration, "calibration")
        base, self._n_probe = _approximate(self._faiss, kind, dim, len(learnt))
        if rerank_dim is not None:
            base = self._faiss.IndexPreTransform(base)
            base.prepend_transform(self._faiss.NormalizationTransform(dim, 2.0))
            base.prepend_transform(self._faiss.RemapDimensionsTransform(rerank_dim, dim, False))
            base = self._faiss.IndexRefineFlat(base)
        vectors = self._prefixes(rows)
        base.train(vectors if learnt is rows else self._prefixes(learnt))
        base.add(vectors)
        self._index = base

    def refill(self, corpus: npt.ArrayLike) -> None:
        """Hold these rows (n_items, full_dim) instead, by what was learnt; ShapeError for another width."""
        rows = self._checked(corpus, "corpus")
        self.n_items = len(rows)
        self._index.reset()
        self._index.add(self._prefixes(rows))

    def _checked(self, rows: npt.ArrayLike, name: str) -> FloatMatrix:
        found = check_embeddings(rows, name)
        if found.shape[1] != self.full_dim:
            raise ShapeError(
                f"`{name}` has {found.shape[1]} coordinates and this index is of {self.full_dim}; give such rows."
            )
        return found

    def _prefixes(self, rows: FloatMatrix) -> npt.NDArray[np.float32]:
        return truncate_and_normalize(rows, self.rerank_dim or self.dim).astype(np.float32, copy=False)

    @property
    def nbytes(self) -> int:
        """Bytes of the index as faiss writes it, counted without keeping them."""
        sizes: list[int] = []
        self._faiss.write_index(self._index, self._faiss.PyCallbackIOWriter(lambda part: sizes.append(len(part))))
        return sum(sizes)

    def search(self, queries: npt.ArrayLike, k: int = 10, *, shortlist_size: int | None = None) -> SearchResult:
        """About the k nearest items, best first, by cosine at `rerank_dim` if there is one, else at `dim`.

        Parameters
        ----------
        queries : array_like of shape (n_queries, full_dim)
        k : 1 to n_items
        shortlist_size : items to rerank, k to n_items; 10·k when None; without a rerank it must be None

        Raises
        ------
        ShapeError, EmptyInputError : unusable queries. InvalidInputError : a count out of range.
        """
        started = perf_counter()
        check_k(k, self.n_items)
        width = self.rerank_dim or self.dim
        rows = truncate_and_normalize(checked_queries(queries, self.full_dim), width)
        if self.rerank_dim is None:
            if shortlist_size is not None:
                raise InvalidInputError("`shortlist_size` needs a rerank; build this index with a `rerank_dim`.")
            similarities, indices = self._index.search(rows, k, params=self._parameters(k))
        else:
            size = min(10 * k, self.n_items) if shortlist_size is None else shortlist_size
            check_count("shortlist_size", size, k, self.n_items)
            # The parameters hold no reference to those inside them, so each needs a name while faiss searches.
            inner = self._parameters(size)
            base = self._faiss.SearchParametersPreTransform(index_params=inner)
            # faiss rounds k·k_factor down; half an item more keeps a rounding error from costing one.
            outer = self._faiss.IndexRefineSearchParameters(k_factor=(size + 0.5) / k, base_index_params=base)
            similarities, indices = self._index.search(rows, k, params=outer)
        similarities = np.where(indices >= 0, np.clip(similarities, -1, 1), -np.inf).astype(np.float32)
        indices = indices.astype(np.int32)
        return SearchResult.of_stage(
            started, width, self.n_items, indices, similarities, multiply_adds=None, bytes_read=None
        )

    def _parameters(self, size: int) -> Any:
        """How hard to look for `size` items."""
        if self.kind == "hnsw":
            return self._faiss.SearchParametersHNSW(efSearch=max(size, HNSW_SEARCH_CANDIDATES))
        if self.kind == "ivf":
            return self._faiss.SearchParametersIVF(nprobe=self._n_probe)
        return None


def _approximate(faiss: ModuleType, kind: str, dim: int, n_items: int) -> tuple[Any, int]:
    """The empty index and how many lists IVF probes."""
    metric = faiss.METRIC_INNER_PRODUCT
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(dim, HNSW_LINKS, metric)
        index.hnsw.efConstruction = HNSW_BUILD_CANDIDATES
        return index, 0
    if kind == "ivf":
        n_lists = max(1, min(int(LIST_FACTOR * n_items**0.5), n_items // POINTS_PER_CENTROID))
        return faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, n_lists, metric), max(1, round(n_lists * PROBED_SHARE))
    n_bits = min(8, (n_items // POINTS_PER_CENTROID).bit_length() - 1)
    if n_bits < 1:
        raise InvalidInputError(
            f"`corpus` has {n_items} items and product codes learn from at least "
            f"{2 * POINTS_PER_CENTROID}; add more or choose another kind."
        )
    return faiss.IndexPQ(dim, pq_parts(dim), n_bits, metric), 0


def load_faiss() -> ModuleType:
    """The faiss module; OptionalDependencyError where it is not installed."""
    try:
        import faiss
    except ImportError as error:
        raise OptionalDependencyError("Approximate search needs faiss; run `pip install faiss-cpu`.") from error
    module: ModuleType = faiss
    return module
