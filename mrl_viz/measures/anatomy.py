"""What does truncating do to one vector, to the cosine of two, and is an API's short vector the same as ours?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import InvalidInputError, ShapeError
from mrl_viz.measures.estimate import Estimate, bootstrap
from mrl_viz.measures.lists import nearest_level
from mrl_viz.result import Result
from mrl_viz.sweep import pair_similarities
from mrl_viz.truncation import (
    ZERO_PREFIX_ENERGY,
    FloatMatrix,
    Floats,
    check_count,
    check_dims,
    check_embeddings,
    normalize,
    prefix_energy,
    truncate_and_normalize,
)

FloatVector = npt.NDArray[np.floating[Any]]

BYTES_PER_FLOAT32 = 4
# A coordinate below this share of the vector's root mean square is dead. MiniLM has three such, two near 1e-33 and one
# near 2e-8, where a typical one is 3e-2; relative errors there are rounding noise divided by nothing.
DEAD_SHARE = 1e-6
# Same direction and other length: a forgotten renormalisation, beyond the rounding of float32 and of JSON.
SAME_DIRECTION, OTHER_LENGTH = 1 - 1e-4, 1e-2


@dataclass(frozen=True)
class VectorAnatomy(Result):
    """One vector, rescaled to unit length, and what each of its prefixes keeps.

    `coordinates` : ndarray of shape (full_dim,), unit L2 norm, or all 0 for a zero vector. `full_norm` : norm as given.
    One entry per width of `dims`: `n_bytes` per vector; `energy` share of the squared norm kept, in [0, 1];
    `norm_before` the prefix's norm, `norm_after` its norm once renormalised, 1, or 0 where nothing is left to rescale.
    """

    dims: tuple[int, ...]
    full_dim: int
    full_norm: float
    coordinates: FloatVector
    n_bytes: tuple[int, ...]
    energy: tuple[float, ...]
    norm_before: tuple[float, ...]
    norm_after: tuple[float, ...]

    def cut(self, dim: int) -> FloatVector:
        """The unit vector's first `dim` coordinates, not renormalised, (dim,); DimensionError outside 1..full_dim."""
        (dim,) = check_dims([dim], self.full_dim)
        return self.coordinates[:dim].copy()

    def short(self, dim: int) -> FloatVector:
        """The first `dim` coordinates renormalised, shape (dim,), the vector to deploy; DimensionError as in `cut`."""
        return np.asarray(truncate_and_normalize(self.coordinates[None], dim)[0])

    def rows(self) -> list[dict[str, Any]]:
        """One record per width; `even_share` is the energy an even spread over the coordinates would keep."""
        even = [dim / self.full_dim for dim in self.dims]
        return self.records(
            bytes=self.n_bytes, energy=self.energy, even_share=even, norm_before=self.norm_before,
            norm_after=self.norm_after,
        )  # fmt: skip

    def takeaway(self) -> str:
        return self.takeaway_at(self.dims[nearest_level(self.dims, self.full_dim / 4)])

    def takeaway_at(self, dim: int) -> str:
        """What that many coordinates keep, in a sentence."""
        level = self.dims.index(dim)
        if self.norm_after[level] == 0:
            return f"The first {dim} of {self.full_dim} coordinates are all zero: no direction left to rescale."
        return (
            f"The first {dim} of {self.full_dim} coordinates keep {self.energy[level]:.1%} of this vector's energy (an "
            f"even spread keeps {dim / self.full_dim:.1%}); their norm is {self.norm_before[level]:.2f} and has to be "
            "brought back to 1."
        )

    def dolls_takeaway(self, dim: int) -> str:
        """What the doll of one width holds, in a sentence."""
        level = self.dims.index(dim)
        return (
            f"The doll of {dim} of {self.full_dim} dims takes {self.n_bytes[level]:,} of {self.n_bytes[-1]:,} bytes "
            f"and holds {self.energy[level]:.1%} of the energy."
        )

    def norms_takeaway(self, dim: int) -> str:
        """What cutting to one width does to the length, in a sentence."""
        level = self.dims.index(dim)
        return (
            f"Only cut to {dim} dims, the norm falls from 1 to {self.norm_before[level]:.2f}; renormalised it is "
            f"{self.norm_after[level]:.0f} again."
        )


@dataclass(frozen=True)
class PairByWidth(Result):
    """Two vectors at every width, with and without renormalising the prefixes.

    One entry per width: `cosine` of the prefixes, in [-1, 1], 0 where one of them is zero; `dot_product` of the
    prefixes of the two *unit* vectors, what a search computes that forgot to renormalise; `norm_product` of these
    prefixes, in [0, 1], the factor between the two.
    `n_without_direction` : up to this width (almost) nothing is left of one of the two, 0 when that never happens.
    """

    dims: tuple[int, ...]
    full_dim: int
    cosine: tuple[float, ...]
    dot_product: tuple[float, ...]
    norm_product: tuple[float, ...]
    n_without_direction: int

    def rows(self) -> list[dict[str, Any]]:
        """One record per width; `error` is what the missing renormalisation does."""
        error = np.subtract(self.dot_product, self.cosine).tolist()
        return self.records("cosine", "dot_product", "norm_product", error=error)

    def takeaway(self) -> str:
        return self.takeaway_at(self.dims[nearest_level(self.dims, self.full_dim / 4)])

    def takeaway_at(self, dim: int) -> str:
        """The pair at one width, in a sentence."""
        level = nearest_level(self.dims, dim)
        empty = self.n_without_direction
        flagged = f" Up to {empty} dims one of the two has nothing left." if empty else ""
        return (
            f"At {self.dims[level]} of {self.full_dim} dims the cosine is {self.cosine[level]:.2f} "
            f"({self.cosine[-1]:.2f} at full width); without renormalising it reads {self.dot_product[level]:.2f}, "
            f"shrunk to {self.norm_product[level]:.0%}.{flagged}"
        )


@dataclass(frozen=True)
class ShortVectorAgreement(Result):
    """A short vector from an API beside a locally truncated one.

    `api`, `local` : the two, float64 of shape (dim,). `mape` : mean of |api - local|/|api| over the coordinates
    that are not dead, 1 = 100 %; `median_ape` : their median, which a few small coordinates do not move; both None when
    every coordinate is dead. `wmape` : sum of |api - local| over sum of |api|, None when `api` is zero. All three are
    None too when their value is beyond floating point. `cosine` : in [-1, 1], 0 when one is zero.
    `dead` : coordinates where `api` is below a millionth of its root mean square, left out of `mape` and `median_ape`.
    It says nothing about what truncation itself loses: that is overlap and task quality.
    """

    dim: int
    mape: float | None
    median_ape: float | None
    wmape: float | None
    cosine: float
    api_norm: float
    local_norm: float
    dead: tuple[int, ...]
    api: Floats
    local: Floats

    def rows(self) -> list[dict[str, Any]]:
        """One record per coordinate."""
        dead = set(self.dead)
        return [
            {"coordinate": j, "api": float(a), "local": float(b), "difference": float(b - a), "dead": j in dead}
            for j, (a, b) in enumerate(zip(self.api, self.local))
        ]

    def takeaway(self) -> str:
        if self.api_norm == 0 or self.local_norm == 0:
            which = "API vector" if self.api_norm == 0 else "local vector"
            return f"The {which} is all zeros, so the two have no direction to compare."
        parts = f"cosine {self.cosine:.4f}, wMAPE {_percent(self.wmape)}, MAPE {_percent(self.mape)}"
        left_out = ""
        if self.dead:
            left_out = f" MAPE leaves out {len(self.dead)} dead coordinate{'s' if len(self.dead) > 1 else ''}."
        return f"API short against local short at {self.dim} dims: {parts}.{left_out}{self._verdict()}"

    def _verdict(self) -> str:
        """What a pair that agrees in direction and not in length means, and one that does not agree at all."""
        if self.cosine < SAME_DIRECTION:
            return " They differ by more than rounding: check model, prompt, quantisation, and steps before the slice."
        if abs(self.local_norm / self.api_norm - 1) > OTHER_LENGTH:
            norms = f"{self.api_norm:.2f} and {self.local_norm:.2f}"
            return f" Same direction, norms {norms}: one of the two was not renormalised."
        return " They agree in direction and length."


@dataclass(frozen=True, eq=False)
class ShortVectors(Result):
    """Short vectors from an API beside locally truncated ones, over many texts.

    `origin` : where the API's came from, in words, such as "recorded in short.npy" or "simulated here".
    `cosine`, `wmape` : means over the texts with 95 % bootstrap intervals, see `ShortVectorAgreement`; `lowest_cosine`
    of any text. `n_turned` : texts whose two vectors differ in direction by more than rounding; `n_other_length` :
    whose norms differ by more than a hundredth. `cosines` : of every text, shape (n_items,).
    """

    _without = ("cosines",)

    origin: str
    dim: int
    n_items: int
    cosine: Estimate
    lowest_cosine: float
    wmape: Estimate
    n_turned: int
    n_other_length: int
    cosines: Floats

    def takeaway(self) -> str:
        """Whether they are the same vectors, in a sentence, and what it says when they are not."""
        said = (
            f"{self.n_items:,} texts at {self.dim} dims, {self.origin}: cosine {self.cosine.value:.4f} on average, "
            f"{self.lowest_cosine:.4f} at least, wMAPE {self.wmape:.2%}."
        )
        if self.n_turned:
            return (
                f"{said} {self.n_turned:,} differ by more than rounding: check model, prompt, quantisation, and steps "
                "before the slice."
            )
        if self.n_other_length:
            return f"{said} Same directions, but {self.n_other_length:,} have another length: one was not renormalised."
        return f"{said} They agree in direction and length."


def vector_anatomy(
    vector: npt.ArrayLike, *, dims: Iterable[int], bytes_per_coordinate: int = BYTES_PER_FLOAT32
) -> VectorAnatomy:
    """One vector (full_dim,), brought to unit length, as nested prefixes: bytes, energy, both norms.

    `bytes_per_coordinate` : of the stored vector, 4 for float32. The full width is added to `dims`.

    Raises
    ------
    DimensionError, ShapeError : unusable widths or vector.
    InvalidInputError : `bytes_per_coordinate` is below 1.

    Source: Kusupati et al. 2022, arXiv:2205.13147, section 3; energy: own definition.
    """
    check_count("bytes_per_coordinate", bytes_per_coordinate)
    row = _as_row(vector, "vector")
    full_dim = row.shape[1]
    dims = check_dims((*dims, full_dim), full_dim)
    unit = normalize(row)
    return VectorAnatomy(
        dims,
        full_dim,
        full_norm=_norm(row[0]),
        coordinates=unit[0],
        n_bytes=tuple(dim * bytes_per_coordinate for dim in dims),
        energy=prefix_energy(unit, dims).mean,
        norm_before=tuple(_norm(unit[0, :dim]) for dim in dims),
        norm_after=tuple(_norm(truncate_and_normalize(unit, dim)[0]) for dim in dims),
    )


def pair_by_width(left: npt.ArrayLike, right: npt.ArrayLike, *, dims: Iterable[int] | None = None) -> PairByWidth:
    """Cosine of two vectors (full_dim,) at each width, and what it reads when the prefixes are not renormalised.

    The full width is added to `dims`; None takes every width.

    Raises
    ------
    DimensionError, ShapeError : unusable widths or vectors, or two of different length.

    Source: own definition. dot_product = cosine x norm_product, so it never exceeds the cosine in size.
    """
    left, right = _as_row(left, "left"), _as_row(right, "right")
    full_dim = left.shape[1]
    if right.shape[1] != full_dim:
        raise ShapeError(f"`left` has {full_dim} coordinates and `right` {right.shape[1]}; embed both with one model.")
    dims = check_dims(range(1, full_dim + 1) if dims is None else (*dims, full_dim), full_dim)
    last = np.asarray(dims) - 1
    a, b = (normalize(row.astype(np.float64))[0] for row in (left, right))
    energies = np.cumsum([a * a, b * b], axis=1)
    dots = np.cumsum(a * b)[last]
    norms = np.sqrt(energies.prod(axis=0))[last]
    without_direction = (energies.min(axis=0) < ZERO_PREFIX_ENERGY)[last]
    return PairByWidth(
        dims, full_dim, tuple(pair_similarities(left, right, dims)[:, 0].tolist()),
        tuple(np.clip(dots, -1, 1).tolist()), tuple(np.minimum(norms, 1).tolist()),
        n_without_direction=dims[int(without_direction.sum()) - 1] if without_direction.any() else 0,
    )  # fmt: skip


def api_short_vs_local_short(api: npt.ArrayLike, local: npt.ArrayLike) -> ShortVectorAgreement:
    """How well a locally truncated vector (m,) agrees with the one an API gave for `dimensions=m`, in float64.

    `local` may be renormalised or, the mistake to look for, not. Dead coordinates are left out of MAPE and counted.

    Raises
    ------
    ShapeError : unusable vectors, or two of different length.

    Source: own definition. For a unit vector x, its prefix against the renormalised prefix has MAPE 1 - ‖x[:m]‖.
    """
    a, b = _as_row(api, "api")[0].astype(np.float64), _as_row(local, "local")[0].astype(np.float64)
    if a.shape != b.shape:
        raise ShapeError(f"`api` has {len(a)} coordinates and `local` {len(b)}; truncate both to the same width.")
    size, error = np.abs(a), np.abs(a - b)
    is_dead = size <= DEAD_SHARE * _norm(a) / np.sqrt(len(a))
    mape = median = wmape = None
    if not is_dead.all():
        with np.errstate(over="ignore"):
            relative = error[~is_dead] / size[~is_dead]
            mape, median, wmape = map(_finite, (relative.mean(), np.median(relative), error.sum() / size.sum()))
    dead = tuple(np.flatnonzero(is_dead).tolist())
    unit_a, unit_b = normalize([a, b])
    cosine = float(np.clip(unit_a @ unit_b, -1, 1))
    return ShortVectorAgreement(len(a), mape, median, wmape, cosine, _norm(a), _norm(b), dead, a, b)


def short_vectors_over_texts(api: npt.ArrayLike, local: npt.ArrayLike, *, origin: str, seed: int = 0) -> ShortVectors:
    """How well locally truncated vectors agree with those that an API gave for `dimensions=m`, text by text.

    Parameters
    ----------
    api, local : array_like of shape (n_items, m), rows of the same texts
    origin : where `api` came from, in words
    seed : of the bootstrap

    Raises
    ------
    ShapeError, EmptyInputError : unusable vectors, or two shapes.

    Source: as `api_short_vs_local_short`.
    """
    a, b = (check_embeddings(rows, name).astype(np.float64) for rows, name in ((api, "api"), (local, "local")))
    if a.shape != b.shape:
        raise ShapeError(
            f"`api` has shape {a.shape} and `local` {b.shape}; give a short vector of each text, in order."
        )
    cosines = np.clip(np.einsum("ij,ij->i", normalize(a), normalize(b)), -1, 1)
    sizes = np.abs(a).sum(axis=1)
    errors = np.abs(a - b).sum(axis=1) / np.where(sizes > 0, sizes, 1)
    lengths, own = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    cosine, wmape = bootstrap(np.stack([cosines, errors]), seed=seed)
    return ShortVectors(
        origin, a.shape[1], len(a), cosine, float(cosines.min()), wmape, int((cosines < SAME_DIRECTION).sum()),
        int((np.abs(own - lengths) > OTHER_LENGTH * lengths).sum()), cosines,
    )  # fmt: skip


def simulated_short(embeddings: npt.ArrayLike, dim: int, *, renormalizes: bool = True, bits: int = 32) -> FloatMatrix:
    """What an API would give for `dimensions=dim`, made here from full vectors: cut, brought to length 1, written down.

    Parameters
    ----------
    embeddings : array_like of shape (n_items, full_dim); rows are brought to length 1 first, as APIs give them
    renormalizes : False is the mistake to look for
    bits : 32 rounds to eight decimals, as JSON carries them; 8 to 255 steps of the largest coordinate

    Raises
    ------
    DimensionError, ShapeError, InvalidInputError : unusable width, vectors or bits.
    """
    if bits not in (8, 32):
        raise InvalidInputError(f"`bits` is {bits}; choose 8 or 32.")
    unit = normalize(check_embeddings(embeddings).astype(np.float64))
    short = truncate_and_normalize(unit, dim) if renormalizes else unit[:, : check_dims([dim], unit.shape[1])[0]]
    if bits == 32:
        return np.asarray(short.round(8), dtype=np.float32)
    step = np.abs(short).max() / 127 or 1.0
    return np.asarray((short / step).round() * step, dtype=np.float32)


def _as_row(vector: npt.ArrayLike, name: str) -> FloatMatrix:
    """A vector as a checked matrix of one row."""
    try:
        array = np.asarray(vector)
    except ValueError as error:
        raise ShapeError(f"`{name}` is ragged; give one vector of shape (full_dim,).") from error
    if array.ndim != 1:
        raise ShapeError(f"`{name}` has shape {array.shape}; give one vector of shape (full_dim,).")
    return check_embeddings(array[None], name)


def _norm(vector: FloatVector) -> float:
    """L2 norm in float64, divided by the largest coordinate first: its square may leave the range of floats."""
    largest = float(np.abs(vector).max())
    return largest * float(np.linalg.norm(vector.astype(np.float64) / largest)) if largest else 0.0


def _finite(value: np.floating[Any]) -> float | None:
    return float(value) if np.isfinite(value) else None


def _percent(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2%}"
