"""What every encoder has in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np

from mrl_viz.errors import CancelledError, ShapeError
from mrl_viz.fingerprint import fingerprint
from mrl_viz.truncation import FloatMatrix, check_embeddings

Kind = Literal["document", "query"]
# Texts that a function gets at once, so that progress moves and a run can be stopped.
CALL_BATCH = 256


class Encoder(Protocol):
    """A model that turns texts into vectors.

    `revision` changes whenever the same text could give another vector. `matryoshka_dims` are the widths it was trained at,
    None when unknown or none. `pre_truncation` ("none" or "layer_norm") is already applied by `encode`.
    """

    @property
    def name(self) -> str: ...
    @property
    def revision(self) -> str: ...
    @property
    def full_dim(self) -> int: ...
    @property
    def matryoshka_dims(self) -> tuple[int, ...] | None: ...
    @property
    def query_prompt(self) -> str: ...
    @property
    def document_prompt(self) -> str: ...
    @property
    def pre_truncation(self) -> str: ...
    @property
    def max_tokens(self) -> int | None: ...

    def encode(
        self,
        texts: Sequence[str],
        *,
        kind: Kind = "document",
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> FloatMatrix:
        """Vectors of shape (n_texts, full_dim), float32, not truncated; `cancelled` is asked between batches."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as the model reads it, before any cut."""
        ...


def model_identity(encoder: Encoder) -> str:
    """A fingerprint of all that makes a model's vectors: name, revision, prompts and the step before truncation.

    It is "" for a function without a revision.
    """
    if not encoder.revision:
        return ""
    prompts = encoder.query_prompt, encoder.document_prompt
    return fingerprint(encoder.name, encoder.revision, *prompts, encoder.pre_truncation)


@dataclass(frozen=True)
class CallableEncoder:
    """Any function from texts to vectors as an `Encoder`.

    `call` : from a list of texts to an array of shape (n_texts, full_dim). `name` : what results call it. `revision` : changes
    whenever the same text could give another vector; with one, vectors are kept in the store, without, nothing is: nobody can
    know that a function is still the same. Prompts are put before each text.
    """

    call: Callable[[list[str]], Any] = field(repr=False)
    name: str
    revision: str = ""
    query_prompt: str = ""
    document_prompt: str = ""
    matryoshka_dims: tuple[int, ...] | None = None
    pre_truncation: str = "none"
    max_tokens: int | None = None

    @cached_property
    def full_dim(self) -> int:
        """Coordinates per vector, found by encoding one word."""
        return int(self.encode(["word"]).shape[1])

    def encode(
        self,
        texts: Sequence[str],
        *,
        kind: Kind = "document",
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> FloatMatrix:
        """Vectors of shape (n_texts, full_dim), float32.

        Raises
        ------
        ShapeError : not one vector for each text, of one width, finite. CancelledError : `cancelled` returned true.
        """
        prompt = self.query_prompt if kind == "query" else self.document_prompt
        parts: list[FloatMatrix] = []
        for start in range(0, len(texts), CALL_BATCH):
            if cancelled is not None and cancelled():
                raise CancelledError(f"Embedding was stopped after {start} of {len(texts)} texts.")
            batch = [prompt + text for text in texts[start : start + CALL_BATCH]]
            given = self.call(batch)
            rows = check_embeddings(given.detach().cpu() if hasattr(given, "detach") else given, self.name)
            if rows.shape != (len(batch), (parts or [rows])[0].shape[1]):
                raise ShapeError(
                    f"`{self.name}` gave an array of shape {rows.shape} for {len(batch)} texts; "
                    "give one vector each, all of one width."
                )
            parts.append(rows.astype(np.float32))
            if progress is not None:
                progress(start + len(batch), len(texts))
        return np.concatenate(parts) if parts else np.empty((0, self.full_dim), dtype=np.float32)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Words of each text: a function has no tokenizer."""
        return [len(text.split()) for text in texts]
