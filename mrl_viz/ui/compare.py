"""Parts of the Compare models page: models and files of vectors to compare, the comparison, one text side by side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from mrl_viz import figures
from mrl_viz.comparison import ModelComparison, SideBySide, compare_models, encode_speed, neighbors_side_by_side
from mrl_viz.comparison.compare import FEWEST_MODELS, MOST_MODELS
from mrl_viz.data.corpus import Corpus, with_texts
from mrl_viz.data.reading import read_corpus, read_upload
from mrl_viz.embedding.embedded import Embedded, embed
from mrl_viz.embedding.encoders import revision_of
from mrl_viz.embedding.encoders.api import is_paid
from mrl_viz.errors import InvalidInputError
from mrl_viz.export import comparison_report
from mrl_viz.ui.charts import download, small_print, stop_with
from mrl_viz.ui.code import Script
from mrl_viz.ui.models import ENCODING, ask_to_pay, encoder_of, loaded, model_names
from mrl_viz.ui.results import measured, with_queries
from mrl_viz.ui.selection import choose_own_query, current_item, shortened
from mrl_viz.ui.sources import VECTOR_TYPES
from mrl_viz.ui.workspace import Workspace

CELL_CHARACTERS = 80
MODELS_KEY, DONE_KEY = "compared_models", "compared"


@dataclass(frozen=True)
class Compared:
    """What is compared: models that embed the texts, and vectors of further models for the same texts.

    `models` : names; without the data's own vectors, where they came ready. `files` : corpora of ready vectors.
    """

    models: tuple[str, ...]
    files: tuple[Corpus, ...]


def choose_models(workspace: Workspace) -> Compared:
    """Two to four models or files of vectors, ready vectors being one; with fewer a sentence ends the page."""
    ready = workspace.is_ready
    models: tuple[str, ...] = ()
    if ready:
        small_print(f"{workspace.corpus.name} holds the vectors of one model. Add those of others below.")
    else:
        names = list(dict.fromkeys([workspace.model, *model_names()]))
        models = tuple(
            st.multiselect(
                "Models", names, default=names[:2], key=MODELS_KEY, max_selections=MOST_MODELS, accept_new_options=True,
                help="Type a Hub name, an API's model or a local folder for any other model.",
            )
        )  # fmt: skip
    files = _vector_files(workspace.corpus)
    if ready + len(models) + len(files) < FEWEST_MODELS:
        stop_with("Upload vectors of another model." if ready else "Choose at least two models, or upload vectors.")
    return Compared(models, files)


def _vector_files(corpus: Corpus) -> tuple[Corpus, ...]:
    """The uploaded vectors as corpora with the data's texts."""
    files = st.file_uploader(
        "Vectors of another model for the same texts", type=VECTOR_TYPES, key="compared_vectors",
        accept_multiple_files=True,
        help="One row a text, in the order of the data. An .npz may hold `queries` beside `embeddings`.",
    )  # fmt: skip
    found = [_vectors(file.file_id, file.name, file.getvalue()) for file in files]
    # Vectors that came with texts of their own are compared with the data's, not renamed to them.
    return tuple(with_texts(one, corpus.texts) if one.texts[0] == "vector 0" else one for one in found)


@measured("Reading…", MOST_MODELS)
def _vectors(file_id: str, name: str, _content: bytes) -> Corpus:
    found = read_upload(name, _content, keep_duplicates=True)
    if found.embeddings is None:
        raise InvalidInputError(f"`{name}` holds texts, not vectors; give one vector for each text of the data.")
    return found


def comparison(workspace: Workspace, chosen: Compared) -> ModelComparison:
    """The comparison, once its button was pressed for these data and models; the page ends before."""
    area = st.empty()
    for model in chosen.models:
        ask_to_pay(workspace.corpus, model, area, partial(_leave_out, model))
    key = (
        workspace.embedded.fingerprint, *(f"{model} {revision_of(model)}" for model in chosen.models),
        *(f"{file.name} {file.fingerprint}" for file in chosen.files), workspace.k,
    )  # fmt: skip
    done: set[tuple[Any, ...]] = st.session_state.setdefault(DONE_KEY, set())
    if key not in done:
        if not area.button(f"Compare on {workspace.corpus.n_items:,} texts", key="run_compare", type="primary"):
            stop_with("Every model embeds the texts once; what is embedded is kept. Some seconds to minutes.")
        done.add(key)
        area.empty()
    return _comparison(key, chosen, workspace)


def _leave_out(model: str) -> None:
    st.session_state[MODELS_KEY] = [name for name in st.session_state[MODELS_KEY] if name != model]


@measured("Embedding and comparing…", 4)
def _comparison(key: tuple[Any, ...], _chosen: Compared, _workspace: Workspace) -> ModelComparison:
    corpus = _workspace.corpus
    embedded: list[Embedded] = [with_queries(_workspace)] if _workspace.is_ready else []
    speeds: dict[str, float] = {}
    for model in _chosen.models:
        with ENCODING:
            embedded.append(embed(corpus, loaded(model)))
            if not is_paid(model):  # timing an API means paying it again
                speeds[embedded[-1].model] = encode_speed(encoder_of(model).encode, corpus.texts)
    embedded += [embed(file) for file in _chosen.files]
    return compare_models(embedded, k=_workspace.k, texts_per_second=speeds)


def side_by_side(workspace: Workspace, result: ModelComparison) -> SideBySide:
    """The neighbors of the selected text, or of a query where queries were compared, by each model at focus width."""
    item = current_item(workspace) if result.is_self else choose_own_query(workspace, "side_query")
    return neighbors_side_by_side(result, item, workspace.focus_dim)


def side_rows(workspace: Workspace, side: SideBySide) -> list[dict[str, Any]]:
    return list(side.rows([shortened(text, CELL_CHARACTERS) for text in workspace.corpus.texts]))


def report_button(result: ModelComparison) -> None:
    download("Download the report (HTML)", lambda: comparison_report(result), "comparison.html", "report_html")


def comparison_code(workspace: Workspace, chosen: Compared, result: ModelComparison) -> Script:
    script = Script(workspace, embeds=False)
    embedded = [script.call(embed, script.corpus)] if workspace.is_ready else []
    embedded += [script.call(embed, script.corpus, model) for model in chosen.models]
    for file in chosen.files:
        vectors = script.call(read_corpus, file.name, keep_duplicates=True)
        if file.texts == workspace.corpus.texts:
            vectors = script.call(with_texts, vectors, script.corpus.texts)
        embedded.append(script.call(embed, vectors))
    again = script.let("comparison", compare_models, embedded, k=workspace.k)
    script.say(again)
    if result.metric is not None:
        script.show(figures.quality_per_byte, again)
    return script.show(figures.overlap_per_byte, again).show(figures.n2o_heatmap, again)
