"""What every encoder has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mrl_viz.errors import CancelledError, ShapeError
from mrl_viz.fingerprint import fingerprint
from mrl_viz.truncation import FloatMatrix, check_embeddings

Kind = Literal["document", "query"]
# Texts that a function gets at once, so that progress moves and a run can be stopped.
CALL_BATCH = 256


@dataclass(frozen=True, kw_only=True)
class Encoder(ABC):
    """A model that turns texts into vectors: in batches, with progress after each, and a stop between two.

    `revision` changes whenever the same text could give another vector. `matryoshka_dims` are the widths it was trained
    at, None when unknown or none. `pre_truncation` ("none" or "layer_norm") is already applied by `encode`.
    A subclass has `name`, `revision` and `full_dim`, and says in `_vectors` how a batch is encoded.
    """

    matryoshka_dims: tuple[int, ...] | None = None
    query_prompt: str = ""
    document_prompt: str = ""
    pre_truncation: str = "none"
    max_tokens: int | None = None
    batch_size: int = CALL_BATCH

    if TYPE_CHECKING:  # fields of some subclasses and properties of others

        @property
        def name(self) -> str: ...
        @property
        def revision(self) -> str: ...
        @property
        def full_dim(self) -> int: ...

    @abstractmethod
    def _vectors(self, batch: list[str], prompt: str, cancelled: Callable[[], bool] | None) -> FloatMatrix:
        """The vectors of one batch."""

    def _batches(self, texts: Sequence[str]) -> Iterable[Sequence[int]]:
        """Rows of the texts, in order, in batches; a row in none is never sent, and its vector is 0."""
        rows = range(len(texts))
        return [rows[start : start + self.batch_size] for start in rows[:: self.batch_size]]

    def encode(
        self,
        texts: Sequence[str],
        *,
        kind: Kind = "document",
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> FloatMatrix:
        """Vectors of shape (n_texts, full_dim), float32, at full width, as the model gives them.

        Parameters
        ----------
        texts : any number
        kind : which prompt stands before each text
        progress : called with (texts done, texts in all); cancelled : asked between batches

        Raises
        ------
        CancelledError : `cancelled` returned true. ShapeError : the model does not give one vector for each text.
        """
        prompt = self.query_prompt if kind == "query" else self.document_prompt
        rows: FloatMatrix | None = None
        done = 0
        for batch in self._batches(texts):
            if cancelled is not None and cancelled():
                raise CancelledError(f"Embedding was stopped after {done} of {len(texts)} texts.")
            vectors = self._vectors([texts[row] for row in batch], prompt, cancelled)
            if rows is None:
                rows = np.zeros((len(texts), vectors.shape[1]), dtype=np.float32)
            if vectors.shape != (len(batch), rows.shape[1]):
                raise ShapeError(
                    f"`{self.name}` gave an array of shape {vectors.shape} for {len(batch)} texts; "
                    "give one vector each, all of one width."
                )
            rows[np.asarray(batch)] = vectors
            done = batch[-1] + 1
            if progress is not None:
                progress(done, len(texts))
        if progress is not None and done < len(texts):
            progress(len(texts), len(texts))
        return np.zeros((len(texts), self.full_dim), dtype=np.float32) if rows is None else rows

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text before any cut; its words, where there is no tokenizer."""
        return [len(text.split()) for text in texts]


def model_identity(encoder: Encoder) -> str:
    """A fingerprint of all that makes a model's vectors: name, revision, prompts and the step before truncation.

    It is "" for a function without a revision.
    """
    if not encoder.revision:
        return ""
    prompts = encoder.query_prompt, encoder.document_prompt
    return fingerprint(encoder.name, encoder.revision, *prompts, encoder.pre_truncation)


@dataclass(frozen=True)
class CallableEncoder(Encoder):
    """Any function from texts to vectors as an `Encoder`.

    `call` : from a list of texts to an array of shape (n_texts, full_dim). `name` : what results call it. Prompts are
    put before each text. `revision` : with one, vectors are kept in the store; without, nothing is, since nobody can
    know that a function is still the same.
    """

    call: Callable[[list[str]], Any] = field(repr=False)
    name: str
    revision: str = ""

    @cached_property
    def full_dim(self) -> int:
        """Coordinates per vector, found by encoding one word."""
        return int(self.encode(["word"]).shape[1])

    def _vectors(self, batch: list[str], prompt: str, cancelled: Callable[[], bool] | None) -> FloatMatrix:
        given = self.call([prompt + text for text in batch])
        return check_embeddings(given.detach().cpu() if hasattr(given, "detach") else given, self.name)
