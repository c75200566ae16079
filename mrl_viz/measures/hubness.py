"""Inside the space at each width: hubs, texts that are nobody's neighbor, anisotropy and participation ratio."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.measures.space import sample_rows
from mrl_viz.sweep import Sweep
from mrl_viz.truncation import check_dims, normalize

# Enough rows for the covariance of a thousand coordinates; all widths of 1,024 then take about a second.
GEOMETRY_ROWS = 4000


@dataclass(frozen=True)
class Hubness:
    """How unevenly items serve as neighbors, one entry per width.

    `skewness` : of the k-occurrence counts (in how many lists an item is); 0 is even, above 1 there are clear hubs.
    `anti_hubs` : share of items that are in no list, in [0, 1]. `largest` : count of the greatest hub, in lists.
    """

    dims: tuple[int, ...]
    k: int
    skewness: tuple[float, ...]
    anti_hubs: tuple[float, ...]
    largest: tuple[int, ...]

    def rows(self) -> list[dict[str, float]]:
        """One record per width."""
        return [
            {"dim": dim, "skewness": skew, "anti_hubs": share, "largest": most}
            for dim, skew, share, most in zip(self.dims, self.skewness, self.anti_hubs, self.largest)
        ]

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data."""
        return asdict(self)

    def takeaway(self) -> str:
        """One sentence: anti-hubs and the greatest hub at the smallest and the full width."""
        return (
            f"At {self.dims[0]} dims {self.anti_hubs[0]:.0%} of the texts are nobody's neighbor "
            f"({self.anti_hubs[-1]:.0%} at {self.dims[-1]}) and one text is in {self.largest[0]} lists "
            f"({self.largest[-1]})."
        )


@dataclass(frozen=True)
class Geometry:
    """The shape of the cloud of renormalised prefixes, one entry per width.

    `anisotropy` : mean cosine of two different texts, in [-1, 1]; 0 is evenly spread. `participation_ratio` : how many
    directions share the variance, in [1, dim]. `n_rows` : rows of the seeded sample.
    """

    dims: tuple[int, ...]
    n_rows: int
    anisotropy: tuple[float, ...]
    participation_ratio: tuple[float, ...]

    def rows(self) -> list[dict[str, float]]:
        """One record per width."""
        return [
            {"dim": dim, "anisotropy": mean, "participation_ratio": ratio}
            for dim, mean, ratio in zip(self.dims, self.anisotropy, self.participation_ratio)
        ]

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data."""
        return asdict(self)

    def takeaway(self) -> str:
        """One sentence: directions in use and mean cosine at full width."""
        return (
            f"At {self.dims[-1]} dims the variance is shared by about {self.participation_ratio[-1]:.0f} directions "
            f"and two texts have cosine {self.anisotropy[-1]:.2f} on average."
        )


def hubness(sweep: Sweep) -> Hubness:
    """Skewness of k-occurrence, share of anti-hubs and the greatest hub at every swept width.

    Returns
    -------
    Hubness : the skewness is 0 where every item is in equally many lists.

    Source: Radovanović, Nanopoulos & Ivanović 2010, "Hubs in space", JMLR 11.
    """
    skewness, anti_hubs, largest = [], [], []
    for lists in sweep.indices:
        counts = np.bincount(lists.ravel(), minlength=sweep.n_items)
        deviation = counts - counts.mean()
        sd = np.sqrt((deviation**2).mean())
        skewness.append(float((deviation**3).mean() / sd**3) if sd > 0 else 0.0)
        anti_hubs.append(float((counts == 0).mean()))
        largest.append(int(counts.max()))
    return Hubness(sweep.dims, sweep.k, tuple(skewness), tuple(anti_hubs), tuple(largest))


def geometry(embeddings: npt.ArrayLike, *, dims: Iterable[int], seed: int = 0) -> Geometry:
    """Anisotropy and participation ratio of the renormalised prefixes at each width, over a seeded sample of rows.

    Parameters
    ----------
    embeddings : array_like of shape (n_items, full_dim), n_items >= 2
    dims : widths in 1..full_dim; the full width is added
    seed : of the sample

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError : unusable rows or widths, or fewer than two rows.

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
