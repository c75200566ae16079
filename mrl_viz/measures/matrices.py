"""Every cosine among a few texts at full width, truncated, and the difference, arranged so that blocks show."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.measures.sample import DECIMALS
from mrl_viz.result import Result
from mrl_viz.sweep import cosine_matrices
from mrl_viz.truncation import FloatMatrix, Ints, check_count, check_dims, check_embeddings

# A heat map of more texts than this has cells below a pixel.
MAX_MATRIX_ITEMS = 256

Order = Literal["given", "label", "cluster"]


@dataclass(frozen=True)
class SimilarityMatrices(Result):
    """Every cosine among a few texts at full width, at `dim`, and the difference truncated - full.

    `items` : the rows shown, in display order; `n_items` : of how many; `order` : how they are arranged.
    `full`, `truncated`, `difference` : float32 of shape (n_shown, n_shown).
    `groups` : with order "label", (label, first position, position after the last), in display order.
    """

    dim: int
    full_dim: int
    n_items: int
    seed: int
    order: Order
    items: tuple[int, ...]
    groups: tuple[tuple[str, int, int], ...]
    full: npt.NDArray[np.float32]
    truncated: npt.NDArray[np.float32]
    difference: npt.NDArray[np.float32]

    @property
    def is_sample(self) -> bool:
        """Not every text is shown."""
        return len(self.items) < self.n_items

    def sample_note(self) -> str:
        """Which texts are shown, as a sentence."""
        if not self.is_sample:
            return f"All {self.n_items} texts."
        return f"{len(self.items)} of {self.n_items:,} texts, drawn with seed {self.seed}."

    def rows(self) -> list[dict[str, float]]:
        """One record per pair of different texts shown."""
        return [
            {
                "left": self.items[i], "right": self.items[j], "full": float(self.full[i, j]),
                "truncated": float(self.truncated[i, j]), "difference": float(self.difference[i, j]),
            }
            for i, j in zip(*np.triu_indices(len(self.items), 1))
        ]  # fmt: skip

    def takeaway(self) -> str:
        above = np.triu_indices(len(self.items), 1)
        change = self.difference[above].astype(np.float64)
        move = f"{change.mean():+.2f} ± {change.std():.2f}"
        text = f"From {self.full_dim} to {self.dim} dims these cosines move by {move}"
        if not self.groups:
            return f"{text}."
        group = np.concatenate([np.full(stop - start, n) for n, (_, start, stop) in enumerate(self.groups)])
        same = group[above[0]] == group[above[1]]
        if same.all() or not same.any():
            return f"{text}."
        full, here = (float(m[above][same].mean() - m[above][~same].mean()) for m in (self.full, self.truncated))
        return (
            f"{text}; texts of one label stand {full:.2f} above those of different labels at full width, "
            f"{here:.2f} at {self.dim}."
        )


def similarity_matrices(
    embeddings: FloatMatrix,
    *,
    dim: int,
    order: Order = "cluster",
    labels: Sequence[Hashable] | None = None,
    max_items: int = MAX_MATRIX_ITEMS,
    seed: int = 0,
) -> SimilarityMatrices:
    """Cosines among up to `max_items` texts at full width and at `dim`, arranged so that blocks show.

    Parameters
    ----------
    embeddings : ndarray of shape (n_items, full_dim)
    dim : width in 1..full_dim
    order : "given", "label" (by the label as text), or "cluster": average linkage on 1 - cosine at full width, its
        leaves from left to right (without the optimal leaf ordering, which is slow)
    labels : one per item, for order "label"
    max_items : above this many, a seeded sample
    seed : of that sample

    Raises
    ------
    EmptyInputError : fewer than two texts.
    InvalidInputError : unknown `order`, no labels to order by, or `max_items` below 2.
    DimensionError, ShapeError : unusable array or width, or not one label per item.

    Source: own definition; linkage as in scipy.cluster.hierarchy.
    """
    embeddings = check_embeddings(embeddings)
    full_dim = embeddings.shape[1]
    dims = check_dims((dim, full_dim), full_dim)
    n_items = len(embeddings)
    if n_items < 2:
        raise EmptyInputError(f"`embeddings` has {n_items} text; add at least one more to compare it with.")
    check_count("max_items", max_items, 2)
    if order not in ("given", "label", "cluster"):
        raise InvalidInputError(f"`order` is {order!r}; choose 'given', 'label' or 'cluster'.")
    if order == "label" and labels is None:
        raise InvalidInputError("`order` is 'label' but there are no `labels`; give one per text or choose 'cluster'.")
    if labels is not None and len(labels) != n_items:
        raise ShapeError(f"`labels` has {len(labels)} entries for {n_items} texts; give one per text.")
    items = np.sort(np.random.default_rng(seed).permutation(n_items)[:max_items])
    cosines = np.round(cosine_matrices(embeddings[items], embeddings[items], dims), DECIMALS)
    groups: tuple[tuple[str, int, int], ...] = ()
    arranged = np.arange(len(items))
    if order == "label" and labels is not None:
        arranged, groups = _by_label([str(labels[item]) for item in items])
    elif order == "cluster":
        arranged = _by_cluster(cosines[-1])
    full, truncated = (cosines[level][np.ix_(arranged, arranged)] for level in (-1, 0))
    shown = tuple(int(item) for item in items[arranged])
    return SimilarityMatrices(
        dims[0], full_dim, n_items, seed, order, shown, groups, full, truncated, difference=truncated - full
    )


def _by_label(labels: list[str]) -> tuple[Ints, tuple[tuple[str, int, int], ...]]:
    """Positions sorted by label, ties as given, and where each label begins and ends."""
    arranged = np.argsort(labels, kind="stable")
    names, starts = np.unique(np.array(labels)[arranged], return_index=True)
    return arranged, tuple(zip(names.tolist(), starts.tolist(), [*starts[1:].tolist(), len(labels)]))


def _by_cluster(cosines: npt.NDArray[np.float32]) -> Ints:
    """Leaves of the average linkage on 1 - cosine, from left to right."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    above = np.triu_indices(len(cosines), 1)
    tree = linkage(1 - cosines[above].astype(np.float64), "average")
    return np.asarray(leaves_list(tree), dtype=np.int64)
