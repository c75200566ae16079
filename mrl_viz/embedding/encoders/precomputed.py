"""Ready vectors as an encoder: texts whose vectors are known, and the vectors that come with the sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from mrl_viz.data.samples import sample_data_folder
from mrl_viz.embedding.catalogue import find_card, is_available
from mrl_viz.embedding.encoder import Encoder
from mrl_viz.embedding.encoders import revision_of
from mrl_viz.errors import InvalidInputError, ShapeError
from mrl_viz.fingerprint import fingerprint
from mrl_viz.truncation import FloatMatrix, check_embeddings

# Models whose vectors of the sample lie beside it, so that a first visit, or a room's, loads none of them.
SAMPLE_MODELS = ("wordllama", "all-MiniLM-L6-v2")


@dataclass(frozen=True)
class PrecomputedEncoder(Encoder):
    """An `Encoder` that looks vectors up; a text it does not know is an error, never a guess.

    `texts` : the known texts; `embeddings` : their vectors, (n_texts, full_dim), of equal texts the first.
    `known_revision` : of the model that made them, where it is known.
    """

    name: str
    texts: tuple[str, ...]
    embeddings: FloatMatrix
    known_revision: str = ""

    def __post_init__(self) -> None:
        array = check_embeddings(self.embeddings)
        if len(array) != len(self.texts):
            raise ShapeError(f"`embeddings` has {len(array)} rows for {len(self.texts)} texts; give one row each.")
        object.__setattr__(self, "embeddings", np.ascontiguousarray(array, dtype=np.float32))

    @property
    def full_dim(self) -> int:
        """Coordinates per vector."""
        return int(self.embeddings.shape[1])

    @cached_property
    def revision(self) -> str:
        """`known_revision`, else one that changes with any text or vector."""
        return self.known_revision or f"vectors-{fingerprint(self.texts, self.embeddings)}"

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each known text."""
        return {text: row for row, text in reversed(list(enumerate(self.texts)))}

    def _batches(self, texts: Sequence[str]) -> list[range]:
        return [range(len(texts))] if texts else []

    def _vectors(self, batch: list[str], prompt: str, cancelled: Callable[[], bool] | None) -> FloatMatrix:
        n_unknown = sum(text not in self.rows for text in batch)
        if n_unknown:
            raise InvalidInputError(
                f"`{self.name}` has no vectors for {n_unknown} of {len(batch)} texts; "
                "ready vectors cannot embed new texts."
            )
        return self.embeddings[[self.rows[text] for text in batch]]


def sample_vectors(model: str) -> Path:
    """The file of a model's vectors of the sample."""
    return sample_data_folder() / f"{model}.safetensors"


def shipped_encoder(name: str, texts: Sequence[str]) -> PrecomputedEncoder | None:
    """The vectors that come with the sample, when they are of model `name` and cover all the texts; else None.

    Only of a model that is on this machine: what else one would ask of it needs itself.
    """
    card = find_card(name)
    if card is None or card.name not in SAMPLE_MODELS or not is_available(card):
        return None
    path = sample_vectors(card.name)
    if not path.is_file():
        return None
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        known = tuple(
            bytes(row).decode() for row in np.split(file.get_tensor("texts"), file.get_tensor("text_ends")[:-1])
        )
        if not set(texts) <= set(known):
            return None
        rows = file.get_tensor("embeddings")
        return PrecomputedEncoder(
            card.name, known, rows, matryoshka_dims=card.matryoshka_dims, known_revision=revision_of(name),
            max_tokens=card.max_tokens,
        )  # fmt: skip
