"""The sidebar of every page: focus width, data, model, k, widths and the chosen text, all in the URL."""

from __future__ import annotations

import math
from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from mrl_viz.data.corpus import Corpus
from mrl_viz.data.samples import SAMPLES
from mrl_viz.embedding.catalogue import CATALOGUE
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import MrlVizError
from mrl_viz.truncation import parse_dims
from mrl_viz.ui.charts import errors_shown, failure, small_print
from mrl_viz.ui.glossary import define
from mrl_viz.ui.keeping import bring_back
from mrl_viz.ui.models import DEFAULT_MODEL, model_names, refuse_paid_models
from mrl_viz.ui.results import embedded, result_or_none, sample
from mrl_viz.ui.selection import selection_panel
from mrl_viz.ui.workspace import OWN, WORKSPACE_KEY, Source, Workspace, own_corpus, own_source

DEFAULT_K = 10
MOST_K = 50
# How alike a name must be to one that was mistyped.
CLOSE_NAMES = 0.5
MOST_DIGITS = 6
# The numbers that were asked for last, where the data at hand have others; whether own texts were, which are gone.
WANTED_KEY, LOST_KEY = "wanted", "own_texts_gone"


def sidebar() -> None:
    """Draw the shared controls and keep the resulting `Workspace` for the pages.

    What cannot be had is said above the page, which is then of the data with what can be had.
    """
    if "next_model" in st.session_state:
        st.session_state["model"] = st.session_state.pop("next_model")
    area, messages = st.empty(), st.container()
    with errors_shown(), st.sidebar:
        # The width is what everybody moves: it stands first, though it depends on what comes below.
        first = st.container()
        source, corpus = _data_choice()
        model = _model_choice(corpus)
        try:
            refuse_paid_models(model)
            vectors = embedded(corpus, model, area)
        except MrlVizError as error:
            model = "vectors" if corpus.embeddings is not None else DEFAULT_MODEL
            said = f"{error}{_close_to(st.session_state.get('model') or '')} This page is of `{model}` until then."
            with messages:
                failure(said)
            vectors = embedded(corpus, model, area)
        k = _slider_k(max(1, min(MOST_K, corpus.n_items - 1)))
        with st.expander("Widths"):
            dims = _dims(vectors, messages)
        with first:
            focus = _focus(dims, vectors)
        st.session_state[WORKSPACE_KEY] = workspace = Workspace(corpus, vectors, dims, k, focus, model, source)
        selection_panel(workspace, result_or_none(workspace))


def _data_choice() -> tuple[Source, Corpus]:
    """The data's source and the data themselves."""
    bring_back()
    if "next_data" in st.session_state:
        st.session_state["data"] = st.session_state.pop("next_data")
    own = own_corpus()
    if own is None and st.query_params.get("data") == OWN:
        st.session_state[LOST_KEY] = True
    options = [*SAMPLES, OWN] if own else [*SAMPLES]
    if st.session_state.get("data") not in options:
        st.session_state.pop("data", None)
        # Streamlit knows an option in an address by its label; people type its name.
        if (named := st.query_params.get("data")) in options:
            st.session_state["data"] = named
    data = st.selectbox(
        "Data", options, key="data", bind="query-params", format_func=partial(_data_label, own), on_change=_data_chosen
    )
    if data == OWN and own is not None:
        st.session_state.pop(LOST_KEY, None)
        return own_source(), own
    return Source(data), sample(data)


def _data_chosen() -> None:
    st.session_state.pop(LOST_KEY, None)


def _data_label(own: Corpus | None, option: str) -> str:
    if option == OWN and own:
        return own.name
    corpus = sample(option)
    kind = option.partition(":")[2]
    column = next(iter(corpus.labels), None)
    what = f"{len(set(corpus.labels[column]))} {column}s" if column else f"{len(corpus.query_ids):,} queries"
    things = "texts" if corpus.images is None else "pictures"
    return f"Sample{kind and f' ({kind})'}: {corpus.n_items:,} {things}, {what}"


def _model_choice(corpus: Corpus) -> str:
    if corpus.embeddings is not None:
        st.caption("Model: ready vectors")
        return "vectors"
    # What was typed is an option like the others.
    names = dict.fromkeys([*model_names(), st.session_state.get("model") or DEFAULT_MODEL])
    chosen = st.selectbox(
        "Model", list(names), key="model", bind="query-params", accept_new_options=True,
        help="Type a Hub name or a local folder for any other sentence-transformers model.",
    )  # fmt: skip
    return chosen or DEFAULT_MODEL


def _close_to(model: str) -> str:
    """A question with the name that was perhaps meant."""
    names = {name.rpartition("/")[2].lower(): name for name in [*model_names(), *CATALOGUE]}
    close = get_close_matches(model.rpartition("/")[2].lower(), names, n=1, cutoff=CLOSE_NAMES)
    return f" Did you mean `{names[close[0]]}`?" if close else ""


def _dims(vectors: Embedded, messages: DeltaGenerator) -> tuple[int, ...]:
    """The widths that were typed, else the usual ones; the full one among them."""
    text = st.text_input(
        "Widths to measure", key="dims", bind="query-params", placeholder="8, 16, 32 … (empty: default)",
        help="Comma-separated whole numbers; empty measures powers of two and the trained widths.",
    )  # fmt: skip
    try:
        dims = parse_dims(text or "", vectors.full_dim, vectors.matryoshka_dims)
    except MrlVizError as error:
        with messages:
            failure(f"{error} This page has the usual widths until then.")
        dims = parse_dims("", vectors.full_dim, vectors.matryoshka_dims)
    return tuple(sorted({*dims, vectors.full_dim}))


def _slider_k(most: int) -> int:
    if most == 1:
        st.caption("Neighbors per text k: 1")
        return 1
    default = min(DEFAULT_K, most)
    _hold("k", range(1, most + 1), default)
    found = st.slider(
        "Neighbors per text k", 1, most, default, key="k", bind="query-params",
        help="How many nearest texts count as a text's neighbors.",
    )  # fmt: skip
    k = _held("k", found)
    if (asked := st.session_state[WANTED_KEY].get("k", k)) != k:
        small_print(f"{asked} is more than there may be here; {k} is the most.")
    return k


def _focus(dims: tuple[int, ...], vectors: Embedded) -> int:
    if len(dims) == 1:
        st.caption(f"Focus width: {dims[0]} dims")
        return dims[0]
    default = dims[max(0, len(dims) - 3)]
    _hold("focus", dims, default)
    found = st.select_slider(
        "Focus width, dims", dims, default, key="focus", bind="query-params",
        help=define("focus width"),
    )  # fmt: skip
    focus = _held("focus", found)
    small_print(_about_focus(focus, vectors))
    return focus


def _about_focus(dim: int, vectors: Embedded) -> str:
    """Whether the model was trained at that width, and what there was instead of the one that was asked for."""
    trained = vectors.matryoshka_dims or ()
    if not trained and vectors.corpus.embeddings is not None:
        said = "These vectors came ready: which widths they were trained at is not known."
    elif not trained:
        said = "This model was trained at its full width only."
    elif dim in trained:
        said = "◆ This model was trained at this width."
    else:
        said = f"Trained at {', '.join(map(str, trained))}."
    asked = st.session_state.get(WANTED_KEY, {}).get("focus", dim)
    return said if asked == dim else f"{said} {asked} is not among these widths; {dim} is the nearest."


def ask_for(name: str, number: int) -> None:
    """A `focus` width or `k` from the next run on, or the nearest there is; before a run, as in a widget's callback."""
    st.session_state.setdefault(WANTED_KEY, {})[name] = st.session_state[name] = number


def _hold(name: str, options: Sequence[int], default: int) -> None:
    """Before a slider is drawn: it stands at the number that was wanted last, or at the nearest that there is.

    The browser forgets a slider in a run that ended before it was drawn; data or model may take its number away; an
    address may ask for one that there is not. Streamlit would fall back to the default without a word.
    """
    wanted, state = st.session_state.setdefault(WANTED_KEY, {}), st.session_state
    if name in state and state[name] in options and state.get(f"{name}_options") == tuple(options):
        if (_in_address(name) or default) != state[name]:
            # A page was left before the browser had drawn the slider: it knows nothing of it; what is set is sent.
            state[name] = state[name]
        return
    state[f"{name}_options"] = tuple(options)
    asked = wanted.get(name, state.get(name)) if name in wanted or name in state else _in_address(name)
    if asked is None:
        return
    wanted[name] = asked
    state[name] = nearest = min(options, key=lambda option: (abs(math.log(option / asked)), option))
    state[f"{name}_instead"] = nearest


def _held(name: str, found: int) -> int:
    """What stands there is what is wanted from now on, unless it is only the nearest to that."""
    state = st.session_state
    if state.get(f"{name}_instead") != found:
        state[WANTED_KEY][name] = found
        state.pop(f"{name}_instead", None)
    return found


def _in_address(name: str) -> int | None:
    """The number that the address asks for; addresses once had a sign after it."""
    number = st.query_params.get(name, "").partition(" ")[0]
    is_number = number.isascii() and number.isdigit() and len(number) <= MOST_DIGITS
    return int(number) or None if is_number else None
