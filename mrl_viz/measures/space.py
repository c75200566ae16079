"""The space at each width: is it still the same (CKA, RSA), which items are hubs, how many directions are in use?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, ShapeError
from mrl_viz.measures.correlation import rank_correlations
from mrl_viz.result import ByWidth
from mrl_viz.sweep import Sweep, cosine_matrices
from mrl_viz.truncation import FloatMatrix, check_dims, check_embeddings, normalize

# CKA from this many rows is within a thousandth of that from all; RSA ranks every pair of its rows, 125,000 of them.
CKA_ROWS, RSA_ROWS = 2000, 500
# Enough rows for the covariance of a thousand coordinates; all widths of 1,024 then take about a second.
GEOMETRY_ROWS = 4000


@dataclass(frozen=True)
class SpaceAgreement(ByWidth):
    """Agreement of the renormalised prefix space with the full-width space, one entry per width.

    `cka` : linear CKA in [0, 1], blind to rotation and to one common scale. `rsa` : Spearman of the two sets of
    pairwise cosines, in [-1, 1]. Both are 1 at full width. `n_cka`, `n_rsa` : rows of the seeded samples.
    """

    _columns = ("cka", "rsa")

    dims: tuple[int, ...]
    n_cka: int
    n_rsa: int
    cka: tuple[float, ...]
    rsa: tuple[float, ...]

    def takeaway(self) -> str:
        return self.takeaway_at(self.dims[0])

    def takeaway_at(self, dim: int) -> str:
        """Both at one width, in a sentence."""
        level = self.dims.index(dim)
        return (
            f"At {dim} dims the space agrees with the full width at CKA {self.cka[level]:.2f}, "
            f"and the order of similarities at {self.rsa[level]:.2f}."
        )


def linear_cka(left: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """Linear centred kernel alignment of vectors (n_items, left_dim) and (n_items, right_dim) of the same items.

    ‖X_cᵀ Y_c‖² / (‖X_cᵀ X_c‖ ‖Y_cᵀ Y_c‖), Frobenius norms, centred columns, in [0, 1]; 1 when both sides are constant
    and 0 when only one is.

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
    """Linear CKA and RSA of every width and the full one with the full width, over seeded samples of two rows or more.

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
    rsa = [float(rank_correlations(level[pairs], cosines[-1][pairs])) for level in cosines]
    return SpaceAgreement(dims, len(rows), len(few), tuple(cka), tuple(rsa))


def sample_rows(embeddings: npt.ArrayLike, n_rows: int, seed: int) -> FloatMatrix:
    """At most `n_rows` rows in seeded random order; EmptyInputError for fewer than two, ShapeError as usual."""
    array = check_embeddings(embeddings)
    if len(array) < 2:
        raise EmptyInputError(f"`embeddings` has {len(array)} row; a space needs at least two.")
    return array[np.random.default_rng(seed).permutation(len(array))[:n_rows]]


@dataclass(frozen=True)
class Hubness(ByWidth):
    """How unevenly items serve as neighbors, one entry per width.

    `skewness` : of the k-occurrence counts (in how many lists an item is); 0 is even, above 1 there are clear hubs.
    `anti_hubs` : share of items that are in no list, in [0, 1]. `largest` : count of the greatest hub, in lists.
    """

    _columns = ("skewness", "anti_hubs", "largest")

    dims: tuple[int, ...]
    k: int
    skewness: tuple[float, ...]
    anti_hubs: tuple[float, ...]
    largest: tuple[int, ...]

    def takeaway(self) -> str:
        return self.takeaway_at(self.dims[0])

    def takeaway_at(self, dim: int) -> str:
        """Hubs and anti-hubs at one width beside the full one's, in a sentence."""
        level = self.dims.index(dim)
        return (
            f"At {dim} dims {self.anti_hubs[level]:.0%} of the texts are nobody's neighbor "
            f"({self.anti_hubs[-1]:.0%} at {self.dims[-1]}) and one text is in {self.largest[level]} lists "
            f"({self.largest[-1]})."
        )


@dataclass(frozen=True)
class Geometry(ByWidth):
    """The shape of the cloud of renormalised prefixes, one entry per width.

    `anisotropy` : mean cosine of two different texts, in [-1, 1]; 0 is evenly spread. `participation_ratio` : how many
    directions share the variance, in [1, dim]. `n_rows` : rows of the seeded sample.
    """

    _columns = ("anisotropy", "participation_ratio")

    dims: tuple[int, ...]
    n_rows: int
    anisotropy: tuple[float, ...]
    participation_ratio: tuple[float, ...]

    def takeaway(self) -> str:
        return self.takeaway_at(self.dims[-1])

    def takeaway_at(self, dim: int) -> str:
        """The shape at one width, in a sentence."""
        level = self.dims.index(dim)
        return (
            f"At {dim} dims the variance is shared by about {self.participation_ratio[level]:.0f} directions "
            f"and two texts have cosine {self.anisotropy[level]:.2f} on average."
        )


def hubness(sweep: Sweep) -> Hubness:
    """Skewness of k-occurrence (0 where all items are in equally many lists), anti-hubs, greatest hub at each width.

    Source: Radovanović, Nanopoulos & Ivanović 2010, "Hubs in space", JMLR 11.
    """
    counts = np.stack([np.bincount(lists.ravel(), minlength=sweep.n_items) for lists in sweep.indices])
    deviation = counts - counts.mean(axis=1, keepdims=True)
    sd = np.sqrt((deviation**2).mean(axis=1))
    skewness = np.where(sd > 0, (deviation**3).mean(axis=1) / np.where(sd > 0, sd, 1) ** 3, 0.0)
    columns = (skewness, (counts == 0).mean(axis=1), counts.max(axis=1))
    return Hubness(sweep.dims, sweep.k, *(tuple(column.tolist()) for column in columns))


def geometry(embeddings: npt.ArrayLike, *, dims: Iterable[int], seed: int = 0) -> Geometry:
    """Anisotropy and participation ratio of the renormalised prefixes at each width, over such a sample.

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError : as in `space_agreement`.

    Source: anisotropy: Ethayarajh 2019, arXiv:1909.00512, section 3; participation ratio (Σλ)²/Σλ² of the covariance:
    Gao et al. 2017, "A theory of multineuronal dimensionality, dynamics and measurement".
    """
    rows = sample_rows(embeddings, GEOMETRY_ROWS, seed)
    full_dim = rows.shape[1]
    dims = check_dims((*dims, full_dim), full_dim)
    n_rows = len(rows)
    anisotropy, ratio = [], []
    for dim in dims:
        unit = normalize(rows[:, :dim]).astype(np.float64)
        total = unit.sum(axis=0)
        # The sum over all pairs is the squared length of the sum; a zero prefix has no cosine with itself to take away.
        anisotropy.append(float((total @ total - (unit * unit).sum()) / (n_rows * (n_rows - 1))))
        centred = unit - total / n_rows
        covariance = centred.T @ centred
        size = float((covariance**2).sum())
        # A cloud that is one point has no direction: counted as 1, the least there is.
        ratio.append(float(np.trace(covariance) ** 2 / size) if size > 1e-24 else 1.0)
    return Geometry(dims, n_rows, tuple(anisotropy), tuple(ratio))
