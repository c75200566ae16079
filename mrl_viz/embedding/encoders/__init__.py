"""Encoders: from texts to vectors at full width, whatever the model."""

from __future__ import annotations

from mrl_viz.embedding.encoder import Encoder, Kind, model_identity

__all__ = ["Encoder", "Kind", "load_encoder", "model_identity", "revision_of"]


def revision_of(model: str) -> str:
    """The revision that a named model would have now, found without loading it: for cache keys that must notice a change.

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
