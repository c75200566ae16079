"""What every encoder has in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from mrl_viz.fingerprint import fingerprint
from mrl_viz.truncation import FloatMatrix

Kind = Literal["document", "query"]


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
    """A fingerprint of all that makes a model's vectors: name, revision, prompts and the step before truncation."""
    prompts = encoder.query_prompt, encoder.document_prompt
    return fingerprint(encoder.name, encoder.revision, *prompts, encoder.pre_truncation)
