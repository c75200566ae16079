"""How do similarities move with the width? Bias, spread and rank agreement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.sweep import cosine_matrices
from mrl_viz.truncation import check_dims, check_embeddings

# A sample this large puts the sampling error of a mean cosine below 0.001 and the ranking of 9 widths under a second.
MAX_ROWS, MAX_COLUMNS = 200, 1000


@dataclass(frozen=True)
class SimilarityDrift:
    """Drift = cosine at a width - cosine at full width, over pairs of a seeded sample.

    One entry per width: `bias` mean, `mae` mean absolute, `rmse` root mean square, `largest` maximum absolute, all in cosine
    units [0, 2]; `spearman_per_text` mean over texts of the rank correlation of its similarities with those at full width;
    `spearman_global` the same over all pairs at once; both in [-1, 1].
    `n_rows`, `n_columns` : size of the sample (n_rows texts against n_columns items).
    """

    dims: tuple[int, ...]
    n_rows: int
    n_columns: int
    bias: tuple[float, ...]
    mae: tuple[float, ...]
    rmse: tuple[float, ...]
    largest: tuple[float, ...]
    spearman_per_text: tuple[float, ...]
    spearman_global: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data."""
        return asdict(self)

    def takeaway(self) -> str:
        """One sentence: shift and rank agreement at the smallest width."""
        return (
            f"At {self.dims[0]} dims similarities move by {self.bias[0]:+.2f} on average and each text's ranking of the "
            f"others still correlates {self.spearman_per_text[0]:.2f} with the full width."
        )


def similarity_drift(
    corpus: npt.NDArray[np.floating[Any]],
    queries: npt.NDArray[np.floating[Any]] | None = None,
    *,
    dims: Iterable[int],
    seed: int = 0,
    max_rows: int = MAX_ROWS,
    max_columns: int = MAX_COLUMNS,
) -> SimilarityDrift:
    """Drift of cosines at each width against the full width, over a seeded sample of texts and items.

    Parameters
    ----------
    corpus, queries : ndarrays of shape (n_items, full_dim) and (n_queries, full_dim); without queries, pairs of different
        corpus items
    dims : widths in 1..full_dim; the full width is added
    seed : of the sample
    max_rows, max_columns : the sample's size at most; everything is used when it fits

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError : unusable arrays or widths.

    Source: own definition; Spearman with mean ranks for ties, 1 when both sides are constant and 0 when only one is.
    """
    dims, cosines, is_pair, _, _ = sampled_cosines(corpus, queries, dims, seed, max_rows, max_columns)
    full = cosines[-1]
    full_ranks_rows, full_ranks_all = _ranks(full, is_pair), _ranks(full[is_pair][None], None)
    stats: list[tuple[float, ...]] = []
    for here in cosines:
        change = (here - full)[is_pair].astype(np.float64)
        if change.size == 0:
            stats.append((0.0, 0.0, 0.0, 0.0, 1.0, 1.0))
            continue
        stats.append(
            (
                float(change.mean()),
                float(np.abs(change).mean()),
                float(np.sqrt((change**2).mean())),
                float(np.abs(change).max()),
                float(np.mean(_correlations(_ranks(here, is_pair), full_ranks_rows, is_pair))),
                float(_correlations(_ranks(here[is_pair][None], None), full_ranks_all, None)[0]),
            )
        )
    bias, mae, rmse, largest, per_text, overall = (tuple(column) for column in zip(*stats))
    n_rows, n_columns = full.shape
    return SimilarityDrift(dims, n_rows, n_columns, bias, mae, rmse, largest, per_text, overall)


def sampled_cosines(
    corpus: npt.NDArray[np.floating[Any]],
    queries: npt.NDArray[np.floating[Any]] | None,
    dims: Iterable[int],
    seed: int,
    max_rows: int,
    max_columns: int,
) -> tuple[tuple[int, ...], npt.NDArray[np.float32], npt.NDArray[np.bool_], npt.NDArray[Any], npt.NDArray[Any]]:
    """Widths, cosines (n_dims, n_rows, n_columns), which are pairs of different items, and the sampled rows, columns.

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError : unusable arrays or widths.
    """
    corpus = check_embeddings(corpus, "corpus")
    full_dim = corpus.shape[1]
    checked = check_dims((*dims, full_dim), full_dim)
    rng = np.random.default_rng(seed)
    left = corpus if queries is None else check_embeddings(queries, "queries")
    columns = np.sort(rng.permutation(len(corpus))[:max_columns])
    rows = np.sort(rng.permutation(len(left))[:max_rows])
    is_pair = rows[:, None] != columns[None, :] if queries is None else np.ones((len(rows), len(columns)), dtype=bool)
    return checked, cosine_matrices(left[rows], corpus[columns], checked), is_pair, rows, columns


def each_pair_once(
    is_pair: npt.NDArray[np.bool_], rows: npt.NDArray[Any], columns: npt.NDArray[Any]
) -> npt.NDArray[np.bool_]:
    """The entries that are pairs, without the second order of a pair of which both orders are in the sample."""
    both = np.isin(columns[None, :], rows) & np.isin(rows[:, None], columns)
    return np.asarray(is_pair & ~(both & (rows[:, None] > columns[None, :])))


def spearman(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Rank correlation in [-1, 1] of two vectors of one length, ties and constants as in `similarity_drift`."""
    return float(_correlations(_ranks(a[None], None), _ranks(b[None], None), None)[0])


def _ranks(values: npt.NDArray[Any], is_pair: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.float64]:
    """Mean ranks along the last axis; entries that are no pair rank last and are left out later."""
    from scipy.stats import rankdata

    kept = values if is_pair is None else np.where(is_pair, values, np.inf)
    return np.asarray(rankdata(kept, axis=-1))


def _correlations(
    a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], is_pair: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.float64]:
    """Pearson correlation of matching rows over the entries that are pairs; see `similarity_drift` for constants."""
    weight = np.ones_like(a) if is_pair is None else is_pair.astype(np.float64)
    n = np.maximum(weight.sum(axis=1, keepdims=True), 1)
    a = (a - (a * weight).sum(axis=1, keepdims=True) / n) * weight
    b = (b - (b * weight).sum(axis=1, keepdims=True) / n) * weight
    size_a, size_b = (a * a).sum(axis=1), (b * b).sum(axis=1)
    product = np.sqrt(size_a * size_b)
    both_constant = (size_a == 0) & (size_b == 0)
    correlations: npt.NDArray[np.float64] = np.where(
        product > 0, (a * b).sum(axis=1) / np.where(product > 0, product, 1), both_constant.astype(float)
    )
    return correlations
