"""Access to models: load one for all visitors, encode one text, refuse what costs the owner money."""

from __future__ import annotations

import os
import threading

import numpy as np
import streamlit as st

from mrl_viz.embedding.embedded import embed_texts
from mrl_viz.embedding.encoders import Encoder, Kind, load_encoder, revision_of
from mrl_viz.embedding.encoders.api import is_paid
from mrl_viz.errors import InvalidInputError
from mrl_viz.truncation import FloatMatrix

# One encoding at a time: models are not thread-safe and two cores gain nothing from two at once.
ENCODING = threading.Lock()


@st.cache_resource(max_entries=2, show_spinner="Loading the model…")
def _encoder(model: str, revision: str) -> Encoder:
    return load_encoder(model)


def encoder_of(model: str) -> Encoder:
    """The loaded model, kept for all visitors."""
    return _encoder(model, revision_of(model))


def encode_one(model: str, text: str, kind: Kind = "document") -> FloatMatrix:
    """The vector of one text by the current model, shape (full_dim,); kept in the store like any text's."""
    encoder = encoder_of(model)
    with ENCODING:
        return np.asarray(embed_texts([text], encoder, kind=kind)[0])


def refuse_paid_models(model: str) -> None:
    """Raise InvalidInputError for an API model in the app, unless the machine's owner allows it: it spends the owner's money."""
    if is_paid(model) and os.environ.get("MRL_VIZ_ALLOW_API") != "1":
        raise InvalidInputError(
            f"`{model}` is a paid API; the owner of this machine allows it with MRL_VIZ_ALLOW_API=1."
        )
