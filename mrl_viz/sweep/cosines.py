"""Cosines of chosen pairs at every width: what a sweep does not keep."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import ShapeError
from mrl_viz.truncation import FloatMatrix, as_matrix, check_dims, check_finite, normalize

# float32 squares stay exact enough between these row norms; rows outside are rescaled first, as cosine allows.
SMALLEST_NORM, LARGEST_NORM = 1e-15, 1e15


def as_float32(embeddings: npt.ArrayLike, name: str) -> npt.NDArray[np.float32]:
    """A float32 matrix whose nonzero rows have norms that float32 can square; the input itself where possible."""
    array = as_matrix(embeddings, name)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        norms = np.sqrt(np.einsum("ij,ij->i", array, array))
    if (extreme := ~((norms >= SMALLEST_NORM) & (norms < LARGEST_NORM))).any():
        check_finite(array, name)  # of a row with an ordinary norm every number is finite
        array = np.where(extreme[:, None], normalize(array), array)
    return np.ascontiguousarray(array, dtype=np.float32)


def pair_similarities(left: npt.ArrayLike, right: npt.ArrayLike, dims: Iterable[int]) -> npt.NDArray[np.float32]:
    """Cosine of row i of `left` with row i of `right` at each width, shape (n_dims, n_pairs), in [-1, 1].

    Raises
    ------
    ShapeError : the two have different shapes. DimensionError, EmptyInputError : as in `nested_sweep`.
    """
    left, right = as_float32(left, "left"), as_float32(right, "right")
    if left.shape != right.shape:
        raise ShapeError(f"`left` has shape {left.shape} and `right` {right.shape}; pairs need the same shape.")
    dims = check_dims(dims, left.shape[1])
    blocks = list(zip((0, *dims[:-1]), dims))

    def running(a: FloatMatrix, b: FloatMatrix) -> npt.NDArray[np.float64]:
        sums = [np.einsum("ij,ij->i", a[:, i:j], b[:, i:j], dtype=np.float64) for i, j in blocks]
        return np.asarray(np.cumsum(sums, axis=0))

    norms = np.sqrt(running(left, left) * running(right, right))
    cosines = running(left, right) / np.where(norms > 0, norms, 1)
    return np.clip(cosines, -1, 1).astype(np.float32)


def cosine_matrices(rows: npt.ArrayLike, columns: npt.ArrayLike, dims: Iterable[int]) -> npt.NDArray[np.float32]:
    """Every cosine between two small sets at each width, shape (n_dims, n_rows, n_columns); 0 for a zero prefix.

    Raises
    ------
    ShapeError : the two have different widths. DimensionError, EmptyInputError : as in `nested_sweep`.
    """
    rows, columns = as_float32(rows, "rows"), as_float32(columns, "columns")
    if rows.shape[1] != columns.shape[1]:
        raise ShapeError(
            f"`rows` have {rows.shape[1]} coordinates and `columns` {columns.shape[1]}; embed both with one model."
        )
    dims = check_dims(dims, rows.shape[1])
    result = np.empty((len(dims), len(rows), len(columns)), dtype=np.float32)
    dots = np.zeros(result.shape[1:], dtype=np.float32)
    row_squares, column_squares = np.zeros(len(rows)), np.zeros(len(columns))
    for level, (low, high) in enumerate(zip((0, *dims[:-1]), dims)):
        row_block, column_block = rows[:, low:high], columns[:, low:high]
        dots += row_block @ column_block.T
        row_squares += np.einsum("ij,ij->i", row_block, row_block)
        column_squares += np.einsum("ij,ij->i", column_block, column_block)
        norms = np.sqrt(np.outer(row_squares, column_squares))
        result[level] = dots / np.where(norms > 0, norms, 1)
    return np.clip(result, -1, 1, out=result)
