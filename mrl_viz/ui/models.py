"""Access to models: the names to choose from, load one for all visitors, encode one text, ask before an API is paid."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from mrl_viz.data.corpus import Corpus
from mrl_viz.embedding.catalogue import CATALOGUE, is_available
from mrl_viz.embedding.embedded import embed_texts
from mrl_viz.embedding.encoders import Encoder, Kind, load_encoder, revision_of
from mrl_viz.embedding.encoders.api import estimate_cost, is_paid
from mrl_viz.embedding.encoders.precomputed import shipped_encoder
from mrl_viz.errors import InvalidInputError
from mrl_viz.truncation import FloatMatrix
from mrl_viz.ui.charts import plain

DEFAULT_MODEL = "wordllama"
USED_KEY, AGREED_KEY = "used_models", "agreed_to_pay"
# One encoding at a time: models are not thread-safe and two cores gain nothing from two at once.
ENCODING, LOADING = threading.Lock(), threading.Lock()


@lru_cache(maxsize=2)
def _encoder(model: str, revision: str) -> Encoder:
    return load_encoder(model)


def encoder_of(model: str) -> Encoder:
    """The loaded model, kept for all visitors until it is trained again; also beside the page."""
    with LOADING:
        return _encoder(model, revision_of(model))


def loaded(model: str, corpus: Corpus) -> str | Encoder:
    """What `embed` takes for a model: the loaded one, or its name where it needs no loading."""
    comes_ready = model == DEFAULT_MODEL or shipped_encoder(model, corpus.texts) is not None
    return model if comes_ready else encoder_of(model)


def encode_one(model: str, text: str, kind: Kind = "document") -> FloatMatrix:
    """The vector of one text, shape (full_dim,); from the store where it has it, so that a rerun asks no API again."""
    return encode_all(model, [text], kind).reshape(-1)


def encode_all(model: str, texts: Sequence[str], kind: Kind = "document") -> FloatMatrix:
    """The vectors of some texts, shape (n_texts, full_dim), as `encode_one`."""
    with ENCODING, st.spinner("Embedding…"):
        return np.asarray(embed_texts(list(texts), encoder_of(model), kind=kind))


def model_names() -> list[str]:
    """The default model, the others that are on this machine, and those that this session used, trained or adapted."""
    here = [name for name, card in CATALOGUE.items() if is_available(card)]
    used = [name for name in st.session_state.get(USED_KEY, []) if not os.path.isabs(name) or os.path.isdir(name)]
    return list(dict.fromkeys([DEFAULT_MODEL, *here, *used]))


def remember_model(model: str) -> None:
    used: list[str] = st.session_state.setdefault(USED_KEY, [])
    if model not in used:
        used.append(model)


def use_model(model: str) -> None:
    """Make it the model of every page, from a click."""
    st.session_state["model"] = model


def refuse_paid_models(model: str) -> None:
    """Refuse an API model unless the machine's owner allows it: it spends the owner's money.

    Raises
    ------
    InvalidInputError : MRL_VIZ_ALLOW_API is not 1.
    """
    if is_paid(model) and os.environ.get("MRL_VIZ_ALLOW_API") != "1":
        raise InvalidInputError(
            f"`{model}` is a paid API; the owner of this machine allows it with MRL_VIZ_ALLOW_API=1."
        )


def ask_to_pay(corpus: Corpus, model: str, area: DeltaGenerator, refuse: Callable[[], None]) -> None:
    """Say what an API would be sent and may cost; go on only after a press, once for these data and this model.

    Parameters
    ----------
    area : where the question stands
    refuse : called when the answer is no; it must choose another model

    Raises
    ------
    InvalidInputError : the machine's owner allows no paid models.
    """
    refuse_paid_models(model)
    agreed: set[tuple[str, str]] = st.session_state.setdefault(AGREED_KEY, set())
    key = (corpus.fingerprint, model)
    if not is_paid(model) or key in agreed:
        return
    with area.container(border=True):
        st.markdown(f"**{plain(model)}** answers for money. What it would be sent, at most, and each text once:")
        price = st.number_input(
            "Price of a million tokens, your currency", 0.0, value=0.02, format="%.4f", key=f"price {model}"
        )
        texts, queries = (estimate_cost(given, price) for given in (corpus.texts, corpus.query_texts))
        lines = [f"{texts.n_texts:,} texts, about {texts.tokens:,} tokens, now"]
        if queries.n_texts:
            lines.append(
                f"{queries.n_texts:,} queries, about {queries.tokens:,} tokens, when a page first searches with them"
            )
        lines.append("what you type to search with or to take apart, a few tokens each")
        cost, most = texts.cost + queries.cost, texts.cost_at_most + queries.cost_at_most
        st.markdown("\n".join(f"- {line}" for line in lines) + f"\n\nAbout {cost:.4f}, at most {most:.4f}.")
        left, right = st.columns(2)
        if left.button("Send them", key=f"agree {model}", type="primary", width="stretch"):
            agreed.add(key)
            st.rerun()
        right.button("Send nothing", key=f"refuse {model}", on_click=refuse, width="stretch")
    st.stop()
