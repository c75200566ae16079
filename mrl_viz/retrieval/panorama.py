"""Exact search by faiss that stops reading a vector once it cannot be among the best: Panorama after an SVD."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import numpy.typing as npt

from mrl_viz.arrangements import svd_rotation
from mrl_viz.retrieval.ann import load_faiss
from mrl_viz.retrieval.index import PrefixIndex, checked_queries
from mrl_viz.retrieval.quantization import calibrating
from mrl_viz.retrieval.results import SearchResult
from mrl_viz.retrieval.topk import rounding_margin
from mrl_viz.sweep import check_k
from mrl_viz.truncation import FloatMatrix, check_dims, check_embeddings, truncate_and_normalize

# faiss looks at its bound after each level of so many coordinates, for a batch of vectors at once; it finds no more
# than a batch.
LEVEL_DIMS, BATCH_SIZE = 32, 1024
# So many more than asked for are found, among which cosines of the vectors as they are decide.
SPARE = 10


class PanoramaIndex:
    """The lists of exact search over `dim`-prefixes, ties as there.

    Vectors are rotated by an SVD of at most 10,000 of them, which changes no cosine but brings what counts to the
    front. Found are a few more than asked for, among which the cosines of the vectors as they are decide; where faiss'
    rounding could hide one, and for lists longer than a batch, the search is the plain one.

    Parameters
    ----------
    corpus : array_like of shape (n_items, full_dim)
    dim : width that is searched
    plain : of the same corpus and holding `dim`, shared by several plans; built when None
    seed : of the sample that is decomposed

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError : unusable corpus or width. OptionalDependencyError : no faiss.

    Source: Panorama, arXiv:2510.00566; the rotation here is `svd_rotation`.
    """

    dtype = "float32"

    def __init__(self, corpus: npt.ArrayLike, dim: int, *, plain: PrefixIndex | None = None, seed: int = 0) -> None:
        rows = check_embeddings(corpus, "corpus")
        self.n_items, self.full_dim = rows.shape
        check_dims([dim], self.full_dim)
        self.dim = dim
        self._plain = plain or PrefixIndex(rows, [dim])
        self._plain.level(dim)
        prefixes = truncate_and_normalize(rows, dim).astype(np.float32, copy=False)
        self._rotation = np.ascontiguousarray(svd_rotation(calibrating(prefixes, None, seed)).T)
        self._index = load_faiss().IndexFlatIPPanorama(dim, n_levels(dim), BATCH_SIZE)
        self._index.add(prefixes @ self._rotation)

    @property
    def nbytes(self) -> int:
        """Bytes of faiss' index, with what it fills its last batch up with, and of the plain prefixes."""
        return int(self._index.codes.size() + 4 * self._index.cum_sums.size() + self._plain.nbytes_up_to(self.dim))

    def search(self, queries: npt.ArrayLike, k: int = 10) -> SearchResult:
        """The k items of highest cosine, as `PrefixIndex.search` gives them.

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
        rows = checked_queries(queries, self.full_dim)
        size = min(k + SPARE, self.n_items)
        if size > BATCH_SIZE:
            return self._plain.search(rows, k, dim=self.dim)
        similarities, found = self._index.search(self._rotated(rows), size)
        # Rotating both sides and adding up in another order moves a score by at most that much.
        is_sure = np.full(len(rows), size == self.n_items)
        is_sure |= similarities[:, k - 1] - similarities[:, -1] > 3 * rounding_margin(self.dim)
        indices, cosines = self._plain.best_among(rows, np.sort(found, axis=1), self.dim, k)
        if not is_sure.all():
            again = self._plain.search(rows[~is_sure], k, dim=self.dim)
            indices[~is_sure], cosines[~is_sure] = again.indices, again.similarities
        return SearchResult.of_stage(
            started, self.dim, self.n_items, indices, cosines, multiply_adds=None, bytes_read=None
        )

    def _rotated(self, rows: FloatMatrix) -> npt.NDArray[np.float32]:
        return np.asarray(truncate_and_normalize(rows, self.dim).astype(np.float32, copy=False) @ self._rotation)


def n_levels(dim: int) -> int:
    """Times that the bound is looked at; a norm is kept with every vector for each, and one for the whole."""
    return -(-dim // LEVEL_DIMS)
