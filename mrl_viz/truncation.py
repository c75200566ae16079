"""Keep a prefix of an embedding, rescale it, and say how much of it was kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import DimensionError, EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.result import Result

FloatMatrix = npt.NDArray[np.floating[Any]]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
# Called with (steps done, steps in all).
Progress = Callable[[int, int], None]

# Below this share of its own energy a prefix is rounding noise: its direction means nothing.
ZERO_PREFIX_ENERGY = 1e-12


def check_embeddings(embeddings: npt.ArrayLike, name: str = "embeddings") -> FloatMatrix:
    """The same values as a finite float matrix; integers, booleans and float16 become float32, other floats stay.

    Parameters
    ----------
    embeddings : array_like of shape (n_items, full_dim), real numbers
    name : what an error message calls the array

    Returns
    -------
    ndarray of shape (n_items, full_dim), float32 or float64; the input itself when nothing had to change.

    Raises
    ------
    ShapeError : not 2-D, no columns, not numbers, NaN or infinite.
    EmptyInputError : no rows.
    """
    array = as_matrix(embeddings, name)
    check_finite(array, name)
    return array


def as_matrix(embeddings: npt.ArrayLike, name: str) -> FloatMatrix:
    """What `check_embeddings` returns, without looking for NaN and infinity."""
    try:
        array = np.asarray(embeddings)
    except ValueError as error:
        raise ShapeError(f"`{name}` has rows of different lengths; give every row the same width.") from error
    if array.dtype == object or array.dtype.kind not in "fiub":
        raise ShapeError(f"`{name}` holds {array.dtype}, not real numbers; give a numeric matrix.")
    if array.ndim != 2:
        raise ShapeError(f"`{name}` has shape {array.shape}; give a matrix of shape (n_items, full_dim).")
    if array.shape[0] == 0:
        raise EmptyInputError(f"`{name}` has no rows; give at least one vector.")
    if array.shape[1] == 0:
        raise ShapeError(f"`{name}` has no columns; give vectors of at least one coordinate.")
    if array.dtype.kind != "f" or array.dtype == np.float16:
        array = array.astype(np.float32)
    return array


def check_finite(array: FloatMatrix, name: str) -> None:
    """Raise ShapeError if a row has NaN or infinity, with the index of the first."""
    with np.errstate(over="ignore", invalid="ignore"):
        suspects = np.flatnonzero(~np.isfinite(array.sum(axis=1)))  # a sum of finite numbers may overflow: look closer
    bad = suspects[~np.isfinite(array[suspects]).all(axis=1)]
    if len(bad):
        row = int(bad[0])
        raise ShapeError(f"`{name}` has NaN or infinity in row {row}; remove or repair that row.")


def check_dims(dims: Iterable[int], full_dim: int) -> tuple[int, ...]:
    """The widths as ascending distinct integers; DimensionError unless whole numbers in 1..full_dim, one at least."""
    checked = set()
    for dim in dims:
        if isinstance(dim, bool) or not isinstance(dim, (int, np.integer)):
            raise DimensionError(f"`dim` is {dim!r}, not a whole number; choose 1 to {full_dim}.")
        if not 1 <= dim <= full_dim:
            raise DimensionError(
                f"`dim` is {dim} but these embeddings have {full_dim} coordinates; choose 1 to {full_dim}."
            )
        checked.add(int(dim))
    if not checked:
        raise DimensionError(f"`dims` is empty; choose at least one width from 1 to {full_dim}.")
    return tuple(sorted(checked))


def check_count(name: str, value: object, least: int = 1, most: int | None = None) -> None:
    """Raise InvalidInputError unless `value` is a whole number in least..most."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):  # type: ignore[operator]  # whole by then
        allowed = f"{least} or more" if most is None else f"{least} to {most}"
        raise InvalidInputError(f"`{name}` is {value!r}; choose a whole number, {allowed}.")


def check_share(name: str, value: float) -> None:
    """Raise InvalidInputError unless `value` is in (0, 1]."""
    if not 0 < value <= 1:
        raise InvalidInputError(f"`{name}` is {value}; choose a share above 0 and up to 1, such as 0.95.")


def default_dims(full_dim: int, matryoshka_dims: Iterable[int] | None = None) -> tuple[int, ...]:
    """The powers of two from 8 up, the trained widths, and `full_dim`: the widths worth looking at first."""
    dims = {2**power for power in range(3, 20) if 2**power < full_dim} | {full_dim}
    dims |= {dim for dim in matryoshka_dims or () if 1 <= dim <= full_dim}
    return tuple(sorted(dims))


def parse_dims(text: str, full_dim: int, matryoshka_dims: Iterable[int] | None = None) -> tuple[int, ...]:
    """The widths of a comma-separated list, of `all`, or the default ones for an empty text.

    Raises
    ------
    DimensionError : an entry is not a whole number in 1..full_dim.
    """
    if not text.strip():
        return default_dims(full_dim, matryoshka_dims)
    if text.strip().lower() == "all":
        return tuple(range(1, full_dim + 1))
    dims = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            dims.append(int(part))
        except ValueError as error:
            raise DimensionError(f"`dims` has {part!r}, not a whole number; choose 1 to {full_dim}.") from error
    return check_dims(dims, full_dim)


def truncate(embeddings: npt.ArrayLike, dim: int) -> FloatMatrix:
    """The first `dim` coordinates of each row, as a new array of shape (n_items, dim), not rescaled.

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError : see `check_dims` and `check_embeddings`.
    """
    array = check_embeddings(embeddings)
    (dim,) = check_dims([dim], array.shape[1])
    return array[:, :dim].copy()


def normalize(embeddings: npt.ArrayLike) -> FloatMatrix:
    """The rows rescaled to unit L2 norm, shape (n_items, full_dim); a row of zeros stays zero.

    Raises
    ------
    ShapeError, EmptyInputError : see `check_embeddings`.
    """
    array = check_embeddings(embeddings)
    # Dividing by the largest coordinate first keeps the squares of very large and very small rows in range.
    largest = np.abs(array).max(axis=1, keepdims=True)
    scaled = array / np.where(largest > 0, largest, 1)
    norms = np.sqrt(np.einsum("ij,ij->i", scaled, scaled, dtype=np.float64))[:, None]
    return (scaled / np.where(norms > 0, norms, 1)).astype(array.dtype)


def truncate_and_normalize(embeddings: npt.ArrayLike, dim: int) -> FloatMatrix:
    """Keep the first `dim` coordinates of each row and rescale the rows to unit L2 norm.

    Parameters
    ----------
    embeddings : array_like of shape (n_items, full_dim), float
    dim : int, 1 <= dim <= full_dim

    Returns
    -------
    ndarray of shape (n_items, dim), float32 or float64; a row whose prefix is 0 stays 0.

    Raises
    ------
    DimensionError : `dim` is outside 1..full_dim.
    ShapeError, EmptyInputError : see `check_embeddings`.

    Source: Kusupati et al. 2022, arXiv:2205.13147, section 3.
    """
    return normalize(truncate(embeddings, dim))


@dataclass(frozen=True)
class PrefixEnergy(Result):
    """Share of the squared norm that each prefix keeps.

    `mean`, `low`, `high` : per width, the mean and the 5th and 95th percentile over items, in [0, 1].
    `n_zero` : per width, how many items have (almost) nothing left in the prefix, so that no direction is left.
    """

    dims: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    n_zero: tuple[int, ...]


def prefix_energy(embeddings: npt.ArrayLike, dims: Iterable[int]) -> PrefixEnergy:
    """The share ‖x[:m]‖²/‖x‖² of each item (n_items, full_dim) at each width, over items; a zero vector keeps 0.

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError : see `check_dims` and `check_embeddings`.

    Source: own definition, after Kusupati et al. 2022, arXiv:2205.13147.
    """
    array = normalize(embeddings)
    dims = check_dims(dims, array.shape[1])
    starts = (0, *dims[:-1])
    blocks = [np.einsum("ij,ij->i", array[:, a:b], array[:, a:b], dtype=np.float64) for a, b in zip(starts, dims)]
    energy = np.minimum(np.cumsum(blocks, axis=0), 1.0)
    low, high = np.percentile(energy, [5, 95], axis=1)
    n_zero = (energy < ZERO_PREFIX_ENERGY).sum(axis=1)
    return PrefixEnergy(dims, *(tuple(row.tolist()) for row in (energy.mean(axis=1), low, high, n_zero)))
