"""Codes that faiss scans: int4, RaBitQ, TurboQuant and OPQ over renormalised prefixes, as an engine deploys them."""

from __future__ import annotations

from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.retrieval.ann import POINTS_PER_CENTROID, load_faiss
from mrl_viz.retrieval.codes import BITS, bits, bytes_per_vector, family, is_rotated, pq_parts, rotation
from mrl_viz.retrieval.index import checked_queries
from mrl_viz.retrieval.quantization import DTYPES, STEPS, QuantizedIndex, calibrating, fit_quantizer
from mrl_viz.retrieval.results import SearchResult
from mrl_viz.sweep import check_k
from mrl_viz.sweep.machine import single_threaded_blas
from mrl_viz.truncation import FloatMatrix, check_dims, check_embeddings, truncate_and_normalize

FAISS_DTYPES = ("int4", "int4-rotated", *(name for name in BITS if name not in DTYPES))
# RaBitQ queries are coded too, with so many bits: as good as float ones and several times faster.
RABITQ_QUERY_BITS = 8
# Product codes of a byte where the rows can teach 256 centroids, else of four bits.
CENTROID_BITS, FEW_CENTROID_BITS = 8, 4
# Turns of OPQ's alternation between rotation and codebooks, and of k-means in each; more gain nothing here.
OPQ_TURNS, OPQ_KMEANS_TURNS = 10, 4
# Rows taken into an index at once.
ROWS_AT_ONCE = 1 << 16


class FaissCodes:
    """The coded prefixes of a corpus, all scanned by faiss with float queries.

    Parameters
    ----------
    corpus : array_like of shape (n_items, full_dim)
    dim, dtype : width and dtype of the codes, one of FAISS_DTYPES
    calibration : rows for ranges and codebooks; a seeded sample of the corpus when None
    seed : of that sample

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError : unusable arrays or width, or too few rows for OPQ's centroids.
    InvalidInputError : another dtype. OptionalDependencyError : faiss is not installed.

    Source: RaBitQ: Gao & Long 2024, arXiv:2405.12497, with more bits Gao et al. 2024, arXiv:2409.09913; TurboQuant:
    Zandieh et al. 2025, arXiv:2504.19874; OPQ: Ge et al. 2013, doi:10.1109/CVPR.2013.379. int4 as in `Quantizer`.
    """

    def __init__(
        self, corpus: npt.ArrayLike, dim: int, dtype: str, *, calibration: npt.ArrayLike | None = None, seed: int = 0
    ) -> None:
        rows = check_embeddings(corpus, "corpus")
        self.n_items, self.full_dim = rows.shape
        check_dims([dim], self.full_dim)
        bits(dtype)
        if dtype not in FAISS_DTYPES:
            raise InvalidInputError(f"`dtype` is {dtype!r}; choose one of {list(FAISS_DTYPES)}.")
        self.dim, self.dtype = dim, dtype
        self._faiss = load_faiss()
        samples = calibrating(rows, calibration, seed)
        learned = self._prefixes(samples)
        with single_threaded_blas():
            self._index = _trained(self._faiss, dim, dtype, learned, samples)
        self._add(rows)

    @property
    def bytes_per_vector(self) -> int:
        """Bytes of one coded vector, with its own factors."""
        return bytes_per_vector(self.dim, self.dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of the codes in memory."""
        return int(self.n_items * self.bytes_per_vector)

    def search(self, queries: npt.ArrayLike, k: int = 10) -> SearchResult:
        """The k items of highest score for the renormalised query prefix.

        Parameters
        ----------
        queries : array_like of shape (n_queries, full_dim)
        k : 1 to n_items

        Raises
        ------
        ShapeError, EmptyInputError : unusable queries. InvalidInputError : `k` out of range.
        """
        started = perf_counter()
        check_k(k, self.n_items)
        rows = self._prefixes(checked_queries(queries, self.full_dim))
        similarities, indices = self._index.search(rows, k)
        return SearchResult.of_stage(
            started, self.dim, self.n_items, indices.astype(np.int32), similarities.astype(np.float32),
            multiply_adds=self.n_items * self.dim, bytes_read=self.nbytes,
        )  # fmt: skip

    def refill(self, corpus: npt.ArrayLike) -> None:
        """Hold these rows (n_items, full_dim) instead, coded by what was learnt; ShapeError for another width."""
        rows = check_embeddings(corpus, "corpus")
        if rows.shape[1] != self.full_dim:
            raise ShapeError(
                f"`corpus` has {rows.shape[1]} coordinates and these codes are of {self.full_dim}; give such rows."
            )
        self.n_items = len(rows)
        self._index.reset()
        self._add(rows)

    def _add(self, rows: FloatMatrix) -> None:
        with single_threaded_blas():
            for start in range(0, len(rows), ROWS_AT_ONCE):
                self._index.add(self._prefixes(rows[start : start + ROWS_AT_ONCE]))

    def repeat(self, times: int) -> None:
        """Hold the same codes so many times over, one after the other: more to scan without encoding more."""
        codes = self._index
        if family(self.dtype) == "opq":
            codes = self._faiss.downcast_index(codes.index)
        more = self._faiss.vector_to_array(codes.codes).reshape(self.n_items, -1)
        for _ in range(times - 1):
            codes.add_sa_codes(more)
        self.n_items = self._index.ntotal = codes.ntotal

    def decoded(self) -> npt.NDArray[np.float32]:
        """The vectors (n_items, dim) that the codes stand for; InvalidInputError for RaBitQ, which only has scores."""
        if family(self.dtype) == "rabitq":
            raise InvalidInputError(f"`dtype` {self.dtype!r} scores queries and has no vectors; choose another one.")
        rows = np.asarray(self._index.reconstruct_n(0, self.n_items), dtype=np.float32)
        return rows @ rotation(self.dim).T if is_rotated(self.dtype) else rows

    def _prefixes(self, rows: FloatMatrix) -> npt.NDArray[np.float32]:
        """Rows as they are coded: cut, renormalised, rotated."""
        cut = truncate_and_normalize(rows, self.dim).astype(np.float32, copy=False)
        return np.ascontiguousarray(cut @ rotation(self.dim) if is_rotated(self.dtype) else cut)


CodedIndex = QuantizedIndex | FaissCodes


def coded_index(
    corpus: npt.ArrayLike, dim: int, dtype: str, *, calibration: npt.ArrayLike | None = None, seed: int = 0
) -> CodedIndex:
    """The coded prefixes of a corpus in the dtype, scanned by faiss where it has the code; raises as those do."""
    made = FaissCodes if dtype in FAISS_DTYPES else QuantizedIndex
    return made(corpus, dim, dtype, calibration=calibration, seed=seed)


def stored(
    embeddings: npt.ArrayLike, dim: int, dtype: str, *, calibration: npt.ArrayLike | None = None, seed: int = 0
) -> npt.NDArray[np.float32]:
    """The vectors (n_items, dim) that the rows' codes stand for; raises as `coded_index` and `FaissCodes.decoded`."""
    if dtype in DTYPES:
        rows = check_embeddings(embeddings)
        quantizer = fit_quantizer(calibrating(rows, calibration, seed), dim, dtype)
        return quantizer.decode(quantizer.encode(rows))
    return FaissCodes(embeddings, dim, dtype, calibration=calibration, seed=seed).decoded()


def has_vectors(dtype: str) -> bool:
    """Whether codes can be turned back into vectors, as scored pairs need."""
    return family(dtype) != "rabitq"


def fewest_rows(dtype: str) -> int:
    """Rows that a dtype needs to learn from: for OPQ, what its fewest centroids need."""
    return POINTS_PER_CENTROID << FEW_CENTROID_BITS if family(dtype) == "opq" else 1


def _trained(faiss: ModuleType, dim: int, dtype: str, rows: npt.NDArray[np.float32], samples: FloatMatrix) -> Any:
    """The empty index of a dtype, its ranges and codebooks learnt from prefixes as they are coded."""
    metric, kind, each = faiss.METRIC_INNER_PRODUCT, family(dtype), bits(dtype)
    if kind == "rabitq":
        index = faiss.IndexRaBitQ(dim, metric, each)
        index.qb = RABITQ_QUERY_BITS
    elif kind == "turboquant":
        index = faiss.IndexScalarQuantizer(dim, getattr(faiss.ScalarQuantizer, f"QT_{each}bit_tqmse"), metric)
    elif kind == "opq":
        return _learned_codebooks(faiss, dim, dtype, rows)
    else:
        index = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_4bit, metric)
    index.train(rows)
    if kind == dtype:
        # faiss decodes to the middles of its steps, we to their ends: the same once the ranges are half a step wider.
        quantizer = fit_quantizer(samples, dim, dtype)
        ranges = np.concatenate([quantizer.low - quantizer.step / 2, STEPS["int4"] * quantizer.step])
        faiss.copy_array_to_vector(ranges.astype(np.float32), index.sq.trained)
    return index


def _learned_codebooks(faiss: ModuleType, dim: int, dtype: str, rows: npt.NDArray[np.float32]) -> Any:
    """OPQ: a learned rotation, then product codes of as many bytes as the dtype's bits make."""
    if len(rows) < fewest_rows(dtype):
        raise EmptyInputError(
            f"`{dtype}` learns {1 << FEW_CENTROID_BITS} centroids a part from at least {fewest_rows(dtype)} rows and "
            f"there are {len(rows)}; add more, or choose int4-rotated or turboquant{bits(dtype)}."
        )
    parts, centroid_bits = pq_parts(dim, 8 // bits(dtype)), CENTROID_BITS
    if len(rows) < POINTS_PER_CENTROID << CENTROID_BITS:
        parts, centroid_bits = 2 * parts if dim % (2 * parts) == 0 else parts, FEW_CENTROID_BITS
    turn = faiss.OPQMatrix(dim, parts)
    turn.niter, turn.niter_pq = OPQ_TURNS, OPQ_KMEANS_TURNS
    codebook = faiss.ProductQuantizer(dim, parts, centroid_bits)
    turn.pq = codebook  # the rotation is learnt for these codebooks; it keeps no reference
    turn.train(rows)
    turn.pq = None
    index = faiss.IndexPreTransform(turn, faiss.IndexPQ(dim, parts, centroid_bits, faiss.METRIC_INNER_PRODUCT))
    index.train(rows)
    return index
