"""Which words of a text a similarity comes from, at every width: each left out once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, ShapeError
from mrl_viz.measures.lists import nearest_level
from mrl_viz.result import Result
from mrl_viz.sweep import pair_similarities
from mrl_viz.truncation import Floats, check_dims, check_embeddings

# Words of a text that are left out in turn; a longer text is looked at up to there.
MOST_WORDS = 60


@dataclass(frozen=True, eq=False)
class WordInfluence(Result):
    """What each word does for the cosine of two texts, at every width.

    `words` : of the first text, in its order. `cosine` : of both texts, one per width, in [-1, 1].
    `influence` : the cosine less that without the word, shape (n_dims, n_words): above 0 where the word brings the two
    texts together.
    """

    words: tuple[str, ...]
    dims: tuple[int, ...]
    cosine: tuple[float, ...]
    influence: Floats

    def rows(self) -> list[dict[str, object]]:
        """One record per word: its influence at each width."""
        return [
            {"word": word, **{f"dims_{dim}": float(value) for dim, value in zip(self.dims, column)}}
            for word, column in zip(self.words, self.influence.T)
        ]

    def takeaway(self) -> str:
        return self.takeaway_at(self.dims[nearest_level(self.dims, self.dims[-1] / 4)])

    def takeaway_at(self, dim: int) -> str:
        """The word that brings the texts together most at one width, and at full width, in a sentence."""
        level = nearest_level(self.dims, dim)
        here, full = (int(self.influence[at].argmax()) for at in (level, -1))
        said = f"At {self.dims[level]} dims “{self.words[here]}” brings these texts together most"
        numbers = f"without it the cosine of {self.cosine[level]:.2f} changes by {-self.influence[level, here]:+.2f}"
        if here == full:
            return f"{said}, as at full width: {numbers}."
        return f"{said}: {numbers}. At full width it is “{self.words[full]}”."


def without_each_word(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words of a text, as spaces part them, and for each the text without it: at most sixty of each.

    Raises
    ------
    EmptyInputError : fewer than two words; without its only one nothing is left to compare.
    """
    words = text.split()
    if len(words) < 2:
        raise EmptyInputError(
            f"The text has {len(words)} word between spaces; give two or more, so that something is left without one."
        )
    places = range(min(len(words), MOST_WORDS))
    return tuple(words[:MOST_WORDS]), tuple(" ".join(words[:at] + words[at + 1 :]) for at in places)


def word_influence(
    words: Iterable[str], text: npt.ArrayLike, without: npt.ArrayLike, other: npt.ArrayLike, *, dims: Iterable[int]
) -> WordInfluence:
    """The influence of each word of a text on its cosine with another, at every width.

    Parameters
    ----------
    words : those left out, n_words of them
    text, other : array_like of shape (full_dim,), the two texts' vectors
    without : array_like of shape (n_words, full_dim), vectors of the text without each word
    dims : widths in 1..full_dim; the full width is added

    Raises
    ------
    ShapeError, EmptyInputError, DimensionError : unusable vectors or widths, or not one vector a word.

    Source: leave-one-out importance of words, Li, Monroe & Jurafsky 2016, arXiv:1612.08220; here of a cosine.
    """
    named, rows = tuple(words), check_embeddings(without, "without")
    if len(named) != len(rows):
        raise ShapeError(f"`without` has {len(rows)} vectors for {len(named)} words; give one each.")
    full_dim = rows.shape[1]
    widths = check_dims((*dims, full_dim), full_dim)
    named_vectors = (("text", text), ("other", other))
    first, second = (check_embeddings(np.asarray(vector)[None], name) for name, vector in named_vectors)
    for name, vector in (("text", first), ("other", second)):
        if vector.shape[1] != full_dim:
            raise ShapeError(f"`{name}` has {vector.shape[1]} coordinates and `without` {full_dim}; use one model.")
    left = np.concatenate([first, rows])
    cosines = pair_similarities(left, np.repeat(second, len(left), axis=0), widths).astype(np.float64)
    return WordInfluence(named, widths, tuple(cosines[:, 0].tolist()), cosines[:, :1] - cosines[:, 1:])
