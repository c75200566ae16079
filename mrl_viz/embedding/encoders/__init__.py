"""Encoders: from texts to vectors at full width, whatever the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

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


def load_encoder(name: str = "wordllama", *, device: str | None = None, trust_remote_code: bool = False) -> Encoder:
    """The encoder of a catalogue name, a Hub name, a local folder or an API's model.

    Parameters
    ----------
    name : such as "wordllama", "all-MiniLM-L6-v2", "owner/model" or a folder; "openai:MODEL", "openai:MODEL@DIMENSIONS"
        or "bedrock:amazon.titan-embed-text-v2:0@512" for an API, whose calls the key's owner pays
    device : a torch device; None takes CUDA, then MPS, then the CPU; APIs ignore it
    trust_remote_code : let the model's repository run its own code

    Raises
    ------
    ModelUnavailableError : the model cannot be loaded here; the message says what to do.
    OptionalDependencyError : an API's client is not installed.
    InvalidInputError, DimensionError : an API's address or width that cannot be.
    """
    provider, colon, model = name.strip().partition(":")
    if colon and provider == "openai":
        from mrl_viz.embedding.encoders import openai_compatible

        return openai_compatible.load(model)
    if colon and provider == "bedrock":
        from mrl_viz.embedding.encoders import bedrock

        return bedrock.load(model)
    from mrl_viz.embedding.encoders.sentence_transformers import load

    return load(name, device=device, trust_remote_code=trust_remote_code)
