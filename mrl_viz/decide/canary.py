"""Frozen texts with their vectors: embedded again, they say whether the model that answers is still the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mrl_viz.errors import DimensionError, EmptyInputError, InvalidInputError
from mrl_viz.measures.estimate import Estimate, bootstrap
from mrl_viz.measures.lists import shared_share
from mrl_viz.result import Result
from mrl_viz.sweep import check_k, nested_sweep
from mrl_viz.truncation import FloatMatrix, Floats, check_dims, normalize

# Other sums of the same numbers move a cosine by 1e-6, another runtime's half precision by 1e-4 or so.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class CanaryResult(Result):
    """How far frozen texts have moved since their vectors were kept.

    `change` : 1 - cosine of each text's kept and new vector at full width, shape (n_canaries,), in [0, 2]; `largest` :
    the largest of them. `moved` : rows of the canaries whose change is above `tolerance`, the largest first.
    `agreement` : overlap@k of what each finds among the corpus at `dim` dims with its kept and its new vector.
    """

    dim: int
    k: int
    n_canaries: int
    tolerance: float
    largest: float
    moved: tuple[int, ...]
    agreement: Estimate
    change: Floats

    _also = ("has_moved",)

    @property
    def has_moved(self) -> bool:
        """Whether any text is further from where it was than the tolerance: the alarm."""
        return bool(self.moved)

    def takeaway(self) -> str:
        kept = f"their {self.k} neighbors at {self.dim} dims agree by {self.agreement:.1%}"
        if not self.has_moved:
            return (
                f"All {self.n_canaries} canaries are where they were (1 - cosine at most {self.largest:.1g}); {kept}."
            )
        return (
            f"{len(self.moved)} of {self.n_canaries} canaries have moved (1 - cosine up to {self.largest:.2g}, row "
            f"{self.moved[0]}); {kept}. Look for another revision, prompt or runtime, and embed the corpus again."
        )


def check_canaries(
    kept: FloatMatrix, again: FloatMatrix, corpus: FloatMatrix, *, dim: int, k: int = 10,
    tolerance: float = TOLERANCE, seed: int = 0,
) -> CanaryResult:  # fmt: skip
    """Frozen vectors against the same texts embedded now, and what both find.

    Parameters
    ----------
    kept : vectors of shape (n_canaries, full_dim) as they were when they were frozen
    again : of the same texts, as the model gives them today
    corpus : what is searched, of shape (n_items, full_dim)
    dim : the deployed width; k : neighbors compared
    tolerance : of 1 - cosine, in (0, 2)
    seed : of the bootstrap over canaries

    Raises
    ------
    EmptyInputError : no canaries. DimensionError : vectors of another width than the corpus has.
    InvalidInputError : a tolerance or `k` out of range, or another number of vectors.
    """
    if not len(kept):
        raise EmptyInputError("`canary` holds no texts; freeze at least one.")
    if not 0 < tolerance < 2:
        raise InvalidInputError(f"`tolerance` is {tolerance}; choose a 1 - cosine above 0 and below 2.")
    full_dim = corpus.shape[1]
    for vectors, words in ((kept, "`canary` has"), (again, "the model gives")):
        if vectors.shape[1] != full_dim:
            raise DimensionError(
                f"{words} {vectors.shape[1]} coordinates and the corpus {full_dim}; use the model that was frozen."
            )
    if len(again) != len(kept):
        raise InvalidInputError(f"`canary` has {len(kept)} vectors and {len(again)} texts; freeze them again.")
    (width,) = check_dims([dim], full_dim)
    check_k(k, len(corpus))
    cosines = np.einsum("ij,ij->i", *(normalize(rows).astype(np.float64) for rows in (kept, again)))
    change = np.maximum(1 - cosines, 0)
    order = np.argsort(-change, kind="stable")
    lists = [
        nested_sweep(np.ascontiguousarray(corpus[:, :width]), rows[:, :width], dims=[width], k=k).indices[-1]
        for rows in (kept, again)
    ]
    (agreement,) = bootstrap(shared_share(lists[1], lists[0]), seed=seed)
    moved = tuple(int(row) for row in order if change[row] > tolerance)
    return CanaryResult(width, k, len(kept), tolerance, float(change.max()), moved, agreement, change)
