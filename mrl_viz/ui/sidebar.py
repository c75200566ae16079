"""The sidebar of every page: data, model, widths, k, focus width and the selected text, all in the URL."""

from __future__ import annotations

from functools import partial

import streamlit as st

from mrl_viz.data.corpus import Corpus
from mrl_viz.data.samples import SAMPLES
from mrl_viz.truncation import parse_dims
from mrl_viz.ui.charts import errors_shown
from mrl_viz.ui.models import DEFAULT_MODEL, model_names, refuse_paid_models
from mrl_viz.ui.results import embedded, result_or_none, sample
from mrl_viz.ui.selection import selection_panel
from mrl_viz.ui.workspace import WORKSPACE_KEY, Source, Workspace, own_corpus, own_source

DRAWN_KEY = "sidebar_drawn"
DEFAULT_K = 10
MOST_K = 50


def sidebar() -> None:
    """Draw the shared controls and keep the resulting `Workspace` for the pages."""
    for name in ("data", "model"):
        if f"next_{name}" in st.session_state:
            st.session_state[name] = st.session_state.pop(f"next_{name}")
    # The browser forgot the sliders when a run ended before they were drawn; a value that is set is sent again. Else
    # none is set: it would be one more step of the browser's history, and Back would seem dead.
    is_forgotten = not st.session_state.pop(DRAWN_KEY, False)
    area = st.empty()
    own = own_corpus()
    options = [*SAMPLES, "mine"] if own else [*SAMPLES]
    if st.session_state.get("data") not in options:
        st.session_state.pop("data", None)
    # What goes wrong is said on the page, which is empty then, and not under the sidebar's fold.
    with errors_shown(), st.sidebar:
        # The width is what everybody moves: it stands first, though it depends on what comes below.
        first = st.container()
        named = partial(_data_label, own)
        data = st.selectbox("Data", options, key="data", bind="query-params", format_func=named)
        corpus = own if data == "mine" and own is not None else sample(data)
        model = _model_choice(corpus)
        refuse_paid_models(model)
        vectors = embedded(corpus, model, area)
        with st.expander("Widths"):
            text = st.text_input(
                "Widths to measure", key="dims", bind="query-params", placeholder="8, 16, 32 … (empty: default)",
                help="Comma-separated whole numbers; empty measures powers of two and the trained widths.",
            )  # fmt: skip
        dims = parse_dims(text or "", vectors.full_dim, vectors.matryoshka_dims)
        dims = tuple(sorted({*dims, vectors.full_dim}))
        k = _slider_k(max(1, min(MOST_K, corpus.n_items - 1)), is_forgotten)
        with first:
            focus = _focus(dims, vectors.matryoshka_dims or (), is_forgotten)
        st.session_state[DRAWN_KEY] = True
        source = own_source() if corpus is own else Source(data)
        st.session_state[WORKSPACE_KEY] = workspace = Workspace(corpus, vectors, dims, k, focus, model, source)
        selection_panel(workspace, result_or_none(workspace))


def _data_label(own: Corpus | None, option: str) -> str:
    if option == "mine" and own:
        return own.name
    corpus = sample(option)
    kind = option.partition(":")[2]
    column = next(iter(corpus.labels), None)
    what = f"{len(set(corpus.labels[column]))} {column}s" if column else f"{len(corpus.query_ids):,} queries"
    return f"Sample{kind and f' ({kind})'}: {corpus.n_items:,} texts, {what}"


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


def _slider_k(most: int, is_forgotten: bool) -> int:
    if most == 1:
        st.caption("Neighbors per text k: 1")
        return 1
    # A value given beside one that was set in this run would be ignored with a warning.
    start = None
    if "k" in st.session_state and (is_forgotten or st.session_state["k"] > most):
        st.session_state["k"] = min(st.session_state["k"], most)
    else:
        start = min(DEFAULT_K, most)
    return st.slider("Neighbors per text k", 1, most, start, key="k", bind="query-params")


def _focus(dims: tuple[int, ...], trained: tuple[int, ...], is_forgotten: bool) -> int:
    if len(dims) == 1:
        st.caption(f"Focus width: {dims[0]} dims")
        return dims[0]
    start = None
    if st.session_state.get("focus") not in dims:
        st.session_state.pop("focus", None)
    if "focus" in st.session_state and is_forgotten:
        st.session_state["focus"] = st.session_state["focus"]
    else:
        start = dims[max(0, len(dims) - 3)]
    return st.select_slider(
        "Focus width, dims", dims, start, key="focus", bind="query-params",
        format_func=lambda dim: f"{dim} ◆" if dim in trained else str(dim),
        help="◆ marks a width the model was trained at.",
    )  # fmt: skip
