"""The nested sweep: exact neighbors at every width for about the price of one.

The dot product at width m is the one at the width before it plus the block between them, so all widths share one
full-width matrix product. Queries and corpus are cut into tiles that stay in cache; a tile's scores are divided by the
corpus prefix norms, and only scores that beat a query's k-th best so far leave the tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import InvalidInputError, ShapeError
from mrl_viz.truncation import FloatMatrix, check_dims, check_embeddings, normalize

if TYPE_CHECKING:
    import torch

# A tile of scores is QUERY_TILE x CORPUS_TILE float32, twice (sums, cosines): 2 x 16 MB, about a last-level cache.
QUERY_TILE = 1024
CORPUS_TILE = 4096
# Scores are looked at in groups of this many: a group's maximum says whether anything in it can be a neighbor. Its
# members lie a stride apart, so that it is an elementwise maximum of whole stretches, several times faster.
GROUP_LENGTH = 16
# A width at most this much above the one before has nearly its neighbors: their worst score is a close threshold.
CLOSE_STEP = 1 / 8
# float32 squares stay exact enough between these row norms; rows outside are rescaled first, as cosine allows.
SMALLEST_NORM, LARGEST_NORM = 1e-15, 1e15


@dataclass(frozen=True)
class Sweep:
    """Exact nearest neighbors by cosine at every width.

    `dims` : ascending widths; `full_dim` : the width of the embeddings, the last of `dims`.
    `indices` : int32 of shape (n_dims, n_queries, k), best first, ties to the lower index.
    `similarities` : float32 of the same shape, cosine in [-1, 1]; 0 where a prefix is zero.
    `n_items` : size of the corpus; `is_self` : the queries are the corpus, each excluded from its own list.
    """

    dims: tuple[int, ...]
    full_dim: int
    k: int
    n_items: int
    is_self: bool
    indices: npt.NDArray[np.int32]
    similarities: npt.NDArray[np.float32]

    @cached_property
    def n_queries(self) -> int:
        """How many neighbor lists there are at each width."""
        return int(self.indices.shape[1])

    @property
    def chance(self) -> float:
        """Overlap@k of two unrelated lists: k/(n_items - 1), or k/n_items when queries are not in the corpus."""
        return self.k / (self.n_items - self.is_self)

    def at(self, dim: int) -> int:
        """Position of a swept width on the first axis; see `level_of`."""
        return level_of(dim, self.dims)


def level_of(dim: int, dims: tuple[int, ...]) -> int:
    """Position of a width among those swept.

    Raises
    ------
    InvalidInputError : that width was not swept.
    """
    if dim not in dims:
        raise InvalidInputError(f"`dim` is {dim}, which was not swept; choose one of {list(dims)}.")
    return dims.index(dim)


def nested_sweep(
    corpus: npt.ArrayLike,
    queries: npt.ArrayLike | None = None,
    *,
    dims: Iterable[int],
    k: int = 10,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Sweep:
    """The k nearest corpus items of every query at every width, by cosine of the renormalised prefixes.

    Parameters
    ----------
    corpus : array_like of shape (n_items, full_dim)
    queries : array_like of shape (n_queries, full_dim); None sweeps the corpus against itself, each item left out of
        its own list by index, so an exact duplicate is a neighbor like any other
    dims : widths in 1..full_dim; `full_dim` is always added, since every measure compares with it
    k : neighbors per list, 1 to n_items (n_items - 1 for the corpus against itself)
    device : a torch device
    progress : called with (corpus tiles done, corpus tiles in all)

    Returns
    -------
    Sweep : computed in float32; equal float32 scores go to the lower index.

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError : unusable arrays or widths.
    InvalidInputError : `k` out of range.

    Source: own definition; exact search as in Kusupati et al. 2022, arXiv:2205.13147, section 4.3.
    """
    corpus = _as_float32(corpus, "corpus")
    n_items, full_dim = corpus.shape
    is_self = queries is None
    queries = corpus if queries is None else _as_float32(queries, "queries")
    if queries.shape[1] != full_dim:
        raise ShapeError(
            f"`queries` have {queries.shape[1]} coordinates and `corpus` {full_dim}; embed both with one model."
        )
    dims = check_dims((*dims, full_dim), full_dim)
    check_k(k, n_items - is_self)
    indices, similarities = _sweep_tiles(queries, corpus, dims, k, is_self, device, progress)
    return Sweep(dims, full_dim, k, n_items, is_self, indices, similarities)


def check_k(k: int, most: int) -> None:
    """Raise InvalidInputError unless 1 <= k <= most."""
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= most:
        hint = f"choose 1 to {most}" if most > 0 else "add at least one more text"
        raise InvalidInputError(f"`k` is {k!r} but an item here has {max(most, 0)} possible neighbors; {hint}.")


def _as_float32(embeddings: npt.ArrayLike, name: str) -> npt.NDArray[np.float32]:
    """A float32 matrix whose nonzero rows have norms that float32 can square; the input itself where possible."""
    array = check_embeddings(embeddings, name)
    with np.errstate(over="ignore", under="ignore"):
        norms = np.sqrt(np.einsum("ij,ij->i", array, array))
    if (extreme := ~((norms >= SMALLEST_NORM) & (norms < LARGEST_NORM))).any():
        array = np.where(extreme[:, None], normalize(array), array)
    return np.ascontiguousarray(array, dtype=np.float32)


def _sweep_tiles(
    queries: FloatMatrix,
    corpus: FloatMatrix,
    dims: tuple[int, ...],
    k: int,
    is_self: bool,
    device: str,
    progress: Callable[[int, int], None] | None,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """The kernel: corpus tiles outside (their prefix norms are computed once), query tiles inside, widths innermost."""
    import torch

    n_queries, n_items = len(queries), len(corpus)
    query_rows, corpus_rows = _on_device(queries, device), _on_device(corpus, device)
    blocks = list(zip((0, *dims[:-1]), dims))
    best = torch.full((len(dims), n_queries, k), -torch.inf, device=device)
    best_index = torch.full((len(dims), n_queries, k), -1, dtype=torch.int64, device=device)
    tile = min(CORPUS_TILE, -(-n_items // GROUP_LENGTH) * GROUP_LENGTH)
    rows = min(QUERY_TILE, n_queries)
    sums = torch.empty(rows, tile, device=device)
    cosines = torch.full((rows, tile), -torch.inf, device=device)
    starts = range(0, n_items, tile)
    with torch.inference_mode():
        for done, start in enumerate(starts):
            corpus_tile = corpus_rows[start : start + tile]
            width = len(corpus_tile)
            cosines[:, width:] = -torch.inf
            inverse_norms = _inverse_prefix_norms(corpus_tile, blocks)
            for first in range(0, n_queries, rows):
                query_tile = query_rows[first : first + rows]
                height = len(query_tile)
                dots, scores = sums[:height, :width], cosines[:height]
                for level, (low, high) in enumerate(blocks):
                    block = (query_tile[:, low:high], corpus_tile[:, low:high].T)
                    if level == 0:
                        torch.mm(*block, out=dots)
                    elif high - low == 1:  # an outer product: elementwise is twice as fast as BLAS
                        dots.addcmul_(block[0], block[1].contiguous())
                    else:
                        dots.addmm_(*block)
                    if high == 1:
                        # One coordinate has a sign and no angle: exactly ±1, so that rounding does not order the ties.
                        torch.mm(query_tile[:, :1].sign(), corpus_tile[:, :1].sign().T, out=scores[:, :width])
                    else:
                        torch.mul(dots, inverse_norms[level], out=scores[:, :width])
                    if is_self and first < start + width and start < first + height:
                        _exclude_self(scores, first, start, width)
                    rows_here = slice(first, first + height)
                    threshold = best[level, rows_here, -1]
                    if start == 0 and level and high - low <= CLOSE_STEP * low and k <= width - is_self:
                        threshold = _just_below(scores.gather(1, best_index[level - 1, rows_here]).amin(dim=1))
                    elif start == 0 and k <= tile // GROUP_LENGTH:
                        maxima = scores.view(height, GROUP_LENGTH, -1).amax(dim=1)
                        threshold = _just_below(maxima.topk(k, dim=1, sorted=False).values.amin(dim=1))
                    elif start == 0 and k <= width - is_self:
                        threshold = _just_below(scores[:, :width].topk(k, dim=1, sorted=False).values.amin(dim=1))
                    _keep_best(scores, start, threshold, best[level, rows_here], best_index[level, rows_here])
            if progress:
                progress(done + 1, len(starts))
        for first in range(0, n_queries, rows):
            query_norms = _inverse_prefix_norms(query_rows[first : first + rows], blocks)
            if dims[0] == 1:
                query_norms[0] = 1
            best[:, first : first + rows].mul_(query_norms[:, :, None]).clamp_(-1, 1)
    return best_index.to(torch.int32).cpu().numpy(), best.cpu().numpy()


def _on_device(array: FloatMatrix, device: str) -> torch.Tensor:
    import torch

    if not array.flags.writeable:  # torch warns about read-only memory; the kernel only ever reads it
        array = array.view()
        array = (
            np.frombuffer(array.data, dtype=array.dtype).reshape(array.shape) if array.flags.writeable else array.copy()
        )
    return torch.from_numpy(array).to(device)


def _inverse_prefix_norms(rows: torch.Tensor, blocks: list[tuple[int, int]]) -> torch.Tensor:
    """1/‖x[:m]‖ of shape (n_dims, n_rows), 0 for a zero prefix; block sums of squares add up in float64."""
    import torch

    squares = torch.stack([torch.linalg.vector_norm(rows[:, a:b], dim=1).double().square() for a, b in blocks])
    norms = squares.cumsum(0).sqrt_()
    return torch.where(norms > 0, 1 / norms, 0).float()


def _exclude_self(scores: torch.Tensor, first: int, start: int, width: int) -> None:
    """Put -inf where query and corpus item are the same row."""
    import torch

    low, high = max(first, start), min(first + len(scores), start + width)
    own = torch.arange(low, high, device=scores.device)
    scores[own - first, own - start] = -torch.inf


def _just_below(scores: torch.Tensor) -> torch.Tensor:
    """The next smaller floats, so that `>` lets the scores themselves pass."""
    import torch

    return torch.nextafter(scores, torch.full_like(scores, -torch.inf))


def _keep_best(
    scores: torch.Tensor, start: int, threshold: torch.Tensor, best: torch.Tensor, best_index: torch.Tensor
) -> None:
    """Merge the scores (n, tile) above each row's threshold (n,) into the running best lists (n, k), in place.

    Tiles come in corpus order, so a score equal to the k-th best so far is of a higher index and loses: `>` is enough.
    In a first tile the threshold is any score that at least k items reach.
    """
    import torch

    k = best.shape[1]
    grouped = scores.view(len(scores), GROUP_LENGTH, -1)
    row, group = (grouped.amax(dim=1) > threshold[:, None]).nonzero(as_tuple=True)
    if len(row) == 0:
        return
    members = grouped[row, :, group]
    which, offset = (members > threshold[row, None]).nonzero(as_tuple=True)
    value, column, row = members[which, offset], offset * grouped.shape[2] + group[which], row[which]
    touched, counts = row.unique_consecutive(return_counts=True)
    position = torch.arange(len(touched), device=row.device).repeat_interleave(counts)
    slot = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[position]
    longest = k + int(counts.max())
    merged = torch.full((len(touched), longest), -torch.inf, device=row.device)
    merged_index = torch.full((len(touched), longest), -1, dtype=torch.int64, device=row.device)
    merged[:, :k], merged_index[:, :k] = best[touched], best_index[touched]
    merged[position, k + slot], merged_index[position, k + slot] = value, column + start
    merged_index, by_index = merged_index.sort(dim=1)
    merged, by_score = merged.gather(1, by_index).sort(dim=1, descending=True, stable=True)
    best[touched] = merged[:, :k]
    best_index[touched] = merged_index.gather(1, by_score[:, :k])


def pair_similarities(left: npt.ArrayLike, right: npt.ArrayLike, dims: Iterable[int]) -> npt.NDArray[np.float32]:
    """Cosine of row i of `left` with row i of `right` at each width, shape (n_dims, n_pairs), in [-1, 1].

    Raises
    ------
    ShapeError : the two have different shapes. DimensionError, EmptyInputError : as in `nested_sweep`.
    """
    left, right = _as_float32(left, "left"), _as_float32(right, "right")
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
    rows, columns = _as_float32(rows, "rows"), _as_float32(columns, "columns")
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
