"""Is it still the same space? Linear CKA and representational similarity of each width with the full width."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, ShapeError
from mrl_viz.sweep import cosine_matrices
from mrl_viz.tasks.pairs import correlation, mean_ranks
from mrl_viz.truncation import check_dims, check_embeddings, normalize

# CKA from this many rows is within a thousandth of that from all; RSA ranks every pair of its rows, 125,000 of them.
CKA_ROWS, RSA_ROWS = 2000, 500


@dataclass(frozen=True)
class SpaceAgreement:
    """Agreement of the renormalised prefix space with the full-width space, one entry per width.

    `cka` : linear CKA in [0, 1], blind to rotation and to one common scale. `rsa` : Spearman of the two sets of
    pairwise cosines, in [-1, 1]. Both are 1 at full width. `n_cka`, `n_rsa` : rows of the seeded samples.
    """

    dims: tuple[int, ...]
    n_cka: int
    n_rsa: int
    cka: tuple[float, ...]
    rsa: tuple[float, ...]

    def rows(self) -> list[dict[str, float]]:
        """One record per width."""
        return [{"dim": dim, "cka": cka, "rsa": rsa} for dim, cka, rsa in zip(self.dims, self.cka, self.rsa)]

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data."""
        return asdict(self)

    def takeaway(self) -> str:
        """One sentence: both at the smallest width."""
        return (
            f"At {self.dims[0]} dims the space agrees with the full width at CKA {self.cka[0]:.2f}, "
            f"and the order of similarities at {self.rsa[0]:.2f}."
        )


def linear_cka(left: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """Linear centred kernel alignment of two sets of vectors for the same items, in [0, 1].

    Parameters
    ----------
    left, right : array_like of shape (n_items, left_dim) and (n_items, right_dim)

    Returns
    -------
    float : ‖X_cᵀ Y_c‖² / (‖X_cᵀ X_c‖ ‖Y_cᵀ Y_c‖), Frobenius norms, centred columns; 1 when both sides are constant and
        0 when only one is.

    Raises
    ------
    ShapeError, EmptyInputError : unusable arrays, or another number of rows.

    Source: Kornblith et al. 2019, arXiv:1905.00414, section 3.
    """
    x, y = (check_embeddings(rows, name).astype(np.float64) for rows, name in ((left, "left"), (right, "right")))
    if len(x) != len(y):
        raise ShapeError(f"`left` has {len(x)} rows and `right` {len(y)}; give the same items in the same order.")
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    size_x, size_y = np.linalg.norm(x.T @ x), np.linalg.norm(y.T @ y)
    # Rounding of the mean leaves about 1e-32 of constant columns.
    if min(size_x, size_y) < 1e-24:
        return float(max(size_x, size_y) < 1e-24)
    return float(np.linalg.norm(x.T @ y) ** 2 / (size_x * size_y))


def space_agreement(embeddings: npt.ArrayLike, *, dims: Iterable[int], seed: int = 0) -> SpaceAgreement:
    """Linear CKA and RSA of every width with the full width, over seeded samples of rows.

    Parameters
    ----------
    embeddings : array_like of shape (n_items, full_dim), n_items >= 2
    dims : widths in 1..full_dim; the full width is added
    seed : of the samples

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError : unusable rows or widths, or fewer than two rows.

    Source: CKA as in `linear_cka`; RSA: Kriegeskorte, Mur & Bandettini 2008, "Representational similarity analysis".
    """
    rows = sample_rows(embeddings, CKA_ROWS, seed)
    full_dim = rows.shape[1]
    dims = check_dims((*dims, full_dim), full_dim)
    unit = normalize(rows)
    cka = [linear_cka(normalize(rows[:, :dim]), unit) for dim in dims]
    few = rows[:RSA_ROWS]
    pairs = np.triu_indices(len(few), 1)
    cosines = cosine_matrices(few, few, dims)
    full = mean_ranks(cosines[-1][pairs].astype(np.float64))
    rsa = [correlation(mean_ranks(level[pairs].astype(np.float64)), full, constant=1.0) for level in cosines]
    return SpaceAgreement(dims, len(rows), len(few), tuple(cka), tuple(rsa))


def sample_rows(embeddings: npt.ArrayLike, n_rows: int, seed: int) -> npt.NDArray[np.floating[Any]]:
    """At most `n_rows` rows in seeded random order.

    Raises
    ------
    EmptyInputError : fewer than two rows. ShapeError : unusable rows.
    """
    array = check_embeddings(embeddings)
    if len(array) < 2:
        raise EmptyInputError(f"`embeddings` has {len(array)} row; a space needs at least two.")
    return array[np.random.default_rng(seed).permutation(len(array))[:n_rows]]
