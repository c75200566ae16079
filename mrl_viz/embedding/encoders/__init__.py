"""Encoders: from texts to vectors at full width, whatever the model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from mrl_viz.embedding.catalogue import find_card
from mrl_viz.embedding.encoder import CallableEncoder, Encoder, Kind, model_identity
from mrl_viz.errors import InvalidInputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = [
    "CallableEncoder", "Encoder", "Kind", "Model", "as_encoder", "load_encoder", "model_identity", "revision_of",
]  # fmt: skip

# A name, a loaded model, or any function from a list of texts to an array of vectors.
Model: TypeAlias = "str | Encoder | SentenceTransformer | Callable[[list[str]], Any]"


def as_encoder(model: Model, *, device: str | None = None, trust_remote_code: bool = False) -> Encoder:
    """Whatever can embed, as an encoder: a name (see `load_encoder`), a SentenceTransformer, a function, an encoder.

    A SentenceTransformer is known by its weights, and its vectors are kept in the store. A bare function is known by
    nothing, and its vectors are not: give it a revision with `CallableEncoder` where it has one.

    Raises
    ------
    InvalidInputError : something else. Others : as `load_encoder`.
    """
    if isinstance(model, str):
        return load_encoder(model, device=device, trust_remote_code=trust_remote_code)
    if hasattr(model, "pre_truncation"):
        return cast(Encoder, model)
    library = sys.modules.get("sentence_transformers")
    if library is not None and isinstance(model, library.SentenceTransformer):
        from mrl_viz.embedding.encoders.sentence_transformers import from_object

        return from_object(model)
    if callable(model):
        return CallableEncoder(model, getattr(model, "__qualname__", type(model).__name__))
    raise InvalidInputError(
        f"`model` is a {type(model).__name__}; give a name, a SentenceTransformer, or a function from texts to vectors."
    )


def revision_of(model: str) -> str:
    """The revision that a named model would have now, found without loading it: for cache keys.

    Raises
    ------
    ModelUnavailableError : a folder that holds no model.
    """
    from mrl_viz.embedding.encoders.api import is_paid
    from mrl_viz.embedding.encoders.sentence_transformers import revision

    return "api" if is_paid(model) else revision(model)


def load_encoder(name: str = "wordllama", *, device: str | None = None, trust_remote_code: bool = False) -> Encoder:
    """The encoder of a catalogue name, a Hub name, a local folder or an API's model.

    Parameters
    ----------
    name : such as "wordllama", "all-MiniLM-L6-v2", "owner/model" or a folder; "openai:MODEL", "openai:MODEL@DIMENSIONS"
        or "bedrock:amazon.titan-embed-text-v2:0@512" for an API, whose calls the key's owner pays
    device : a torch device; None takes CUDA, then MPS, then the CPU; the default model and APIs ignore it
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
    card = find_card(name)
    if card is not None and card.name == "wordllama":
        from mrl_viz.embedding.encoders import static

        return static.load(card)
    from mrl_viz.embedding.encoders.sentence_transformers import load

    return load(name, device=device, trust_remote_code=trust_remote_code)
