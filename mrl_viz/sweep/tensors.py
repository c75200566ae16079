"""The nested sweep in PyTorch, for GPUs: the same lists as the fused kernel of the CPU, ties included.

Queries and corpus are cut into tiles; a tile's scores are divided by the corpus prefix norms, and only scores that beat
a query's k-th best so far leave the tile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mrl_viz.truncation import FloatMatrix

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


def sweep_tensors(
    queries: FloatMatrix,
    corpus: FloatMatrix,
    dims: tuple[int, ...],
    k: int,
    is_self: bool,
    progress: Callable[[int, int], None] | None = None,
    device: str = "cpu",
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
    """1/‖x[:m]‖ of shape (n_dims, n_rows), 0 for a zero prefix; squares add up in float64."""
    import torch

    squares = torch.stack([rows[:, a:b].double().square_().sum(dim=1) for a, b in blocks])
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
