"""The sample of pairs that drift, band, density, threshold, movers and flips look at: drawn once, at every width."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError
from mrl_viz.sweep import cosine_matrices, level_of
from mrl_viz.truncation import Flags, FloatMatrix, Floats, Ints, check_dims, check_embeddings

# A sample this large puts the sampling error of a mean cosine below 0.001 and the ranking of 9 widths under a second.
MAX_ROWS, MAX_COLUMNS = 200, 1000
# Cosines held at once: 80 MB of float32. A sweep of every integer width takes fewer texts, so that it still fits.
MOST_COSINES = 20_000_000
# Cosines of equal texts differ in the last bits; rounded, they tie.
DECIMALS = 6


def chosen_rows(n_items: int, most: int, seed: int) -> Ints:
    """All positions, or a seeded sample of so many, ascending."""
    if n_items <= most:
        return np.arange(n_items)
    return np.sort(np.random.default_rng(seed).choice(n_items, most, replace=False))


@dataclass(frozen=True)
class PairSample:
    """Cosines at every width between a seeded sample of texts and one of items.

    `is_self` : the texts are the corpus. `rows` : the sampled texts, `columns` : the sampled items; ascending.
    `cosines` : float32 of shape (n_dims, n_rows, n_columns), rounded to six decimals, in [-1, 1].
    `is_pair` : bool of shape (n_rows, n_columns), False where a text meets itself.
    `texts`, `corpus` : the vectors that it is of, (n_texts, full_dim) and (n_items, full_dim); texts are the queries
    where there are any.
    """

    dims: tuple[int, ...]
    seed: int
    is_self: bool
    rows: Ints
    columns: Ints
    cosines: npt.NDArray[np.float32]
    is_pair: Flags
    texts: FloatMatrix = field(repr=False)
    corpus: FloatMatrix = field(repr=False)

    def at(self, dim: int) -> int:
        """Position of a width on the first axis; see `level_of`."""
        return level_of(dim, self.dims)

    @cached_property
    def _once(self) -> Flags:
        """The pairs without the second order of a pair of which both orders are in the sample."""
        if not self.is_self:
            return self.is_pair
        rows, columns = self.rows[:, None], self.columns[None, :]
        is_both = np.isin(columns, rows) & np.isin(rows, columns)
        return np.asarray(self.is_pair & ~(is_both & (rows > columns)))

    @cached_property
    def pairs(self) -> tuple[Ints, Ints]:
        """Texts and items of the pairs, each pair once, two arrays of shape (n_pairs,)."""
        left, right = np.nonzero(self._once)
        return self.rows[left], self.columns[right]

    @cached_property
    def pair_cosines(self) -> npt.NDArray[np.float32]:
        """Their cosines, shape (n_dims, n_pairs)."""
        return self.cosines[:, self._once]

    def against_full(self, dim: int) -> tuple[Floats, Floats]:
        """Their cosines at a width and at full width."""
        level = self.at(dim)
        return self.pair_cosines[level].astype(np.float64), self.pair_cosines[-1].astype(np.float64)


def pair_sample(
    corpus: FloatMatrix,
    queries: FloatMatrix | None = None,
    *,
    dims: Iterable[int],
    seed: int = 0,
    max_rows: int = MAX_ROWS,
    max_columns: int = MAX_COLUMNS,
) -> PairSample:
    """Cosines at every width over a seeded sample of texts and items; all of them when they fit.

    Parameters
    ----------
    corpus, queries : ndarrays of shape (n_items, full_dim) and (n_queries, full_dim); without queries, pairs of
        different corpus items
    dims : widths in 1..full_dim; the full width is added
    seed, max_rows, max_columns : of the sample, its size at most; fewer rows at many widths (`MOST_COSINES`)

    Raises
    ------
    EmptyInputError : there is no pair of different items.
    DimensionError, ShapeError : unusable arrays or widths.
    """
    corpus = check_embeddings(corpus, "corpus")
    texts = corpus if queries is None else check_embeddings(queries, "queries")
    dims = check_dims((*dims, corpus.shape[1]), corpus.shape[1])
    if queries is None and len(corpus) < 2:
        raise EmptyInputError(f"`corpus` has {len(corpus)} text, which makes no pair; add at least one more text.")
    max_rows = max(1, min(max_rows, MOST_COSINES // (len(dims) * min(max_columns, len(corpus)))))
    rng = np.random.default_rng(seed)
    columns = np.sort(rng.permutation(len(corpus))[:max_columns])
    rows = np.sort(rng.permutation(len(texts))[:max_rows])
    cosines = cosine_matrices(texts[rows], corpus[columns], dims)
    is_pair = rows[:, None] != columns if queries is None else np.ones((len(rows), len(columns)), dtype=bool)
    cosines = np.round(cosines, DECIMALS, out=cosines)
    return PairSample(dims, seed, queries is None, rows, columns, cosines, is_pair, texts, corpus)
