"""What to measure plans with: a corpus' own queries where there are any, else items that do not find themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mrl_viz.result import Result
from mrl_viz.truncation import FloatMatrix, Ints, check_count, check_embeddings

# Recall of so many queries is known to about two percentage points.
MOST_PROBES = 200


@dataclass(frozen=True)
class Probes(Result):
    """Queries to measure plans with.

    `rows` : (n_queries, full_dim). `own` : where items search, as searches take it, else None. `n_items` : how many
    items each is searched among.
    """

    rows: FloatMatrix
    own: Ints | None
    n_items: int

    _without = ("rows", "own")

    def takeaway(self) -> str:
        if self.own is None:
            return f"Measured with {len(self.rows):,} of your data's own queries."
        return f"Your data have no queries: measured with {len(self.rows):,} of the texts, none of which finds itself."


def probes(
    corpus: npt.ArrayLike, queries: npt.ArrayLike | None = None, *, most: int = MOST_PROBES, seed: int = 0
) -> Probes:
    """A seeded sample of at most so many queries, or of items where there are no queries.

    Parameters
    ----------
    corpus : array_like of shape (n_items, full_dim)
    queries : array_like of shape (n_queries, full_dim), or None
    most : 1 or more

    Raises
    ------
    ShapeError, EmptyInputError : unusable arrays. InvalidInputError : `most` below 1.
    """
    check_count("most", most)
    items = check_embeddings(corpus, "corpus")
    asked = items if queries is None else check_embeddings(queries, "queries")
    chosen = np.sort(np.random.default_rng(seed).permutation(len(asked))[:most]).astype(np.int64)
    return Probes(asked[chosen], chosen if queries is None else None, len(items) - (queries is None))
