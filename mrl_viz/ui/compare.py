"""Parts of the Compare models page: models and files of vectors to compare, the comparison, one text side by side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from mrl_viz.comparison import ModelComparison, SideBySide, compare_models, encode_speed, neighbors_side_by_side
from mrl_viz.comparison.compare import FEWEST_MODELS, MOST_MODELS
from mrl_viz.data.corpus import Corpus, with_texts
from mrl_viz.data.reading import read_upload
from mrl_viz.data.samples import DIGITS
from mrl_viz.embedding.embedded import embed
from mrl_viz.embedding.encoders import revision_of
from mrl_viz.embedding.encoders.api import is_paid
from mrl_viz.errors import InvalidInputError
from mrl_viz.export import comparison_report, scripts
from mrl_viz.ui import thumbnails
from mrl_viz.ui.background import Report, Stopped, asked_for, steps
from mrl_viz.ui.charts import download, plain, small_print, stop_with
from mrl_viz.ui.code import Script
from mrl_viz.ui.memory import count_uploads
from mrl_viz.ui.models import ENCODING, ask_to_pay, encoder_of, loaded, model_names
from mrl_viz.ui.results import is_of_sample, measured, sample
from mrl_viz.ui.selection import choose_own_query, current_item, shortened
from mrl_viz.ui.shipped import answer_key, at_hand, keep, kept
from mrl_viz.ui.sources import VECTOR_TYPES
from mrl_viz.ui.workspace import Workspace

CELL_CHARACTERS = 80
MODELS_KEY = "compared_models"


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
        small_print(f"{workspace.corpus.name} holds the vectors of one model. Add those of others.")
    else:
        names = list(dict.fromkeys([workspace.model, *model_names()]))
        models = tuple(
            st.multiselect(
                "Models", names, default=names[:2], key=MODELS_KEY, max_selections=MOST_MODELS, accept_new_options=True,
                help="Type a Hub name, an API's model or a local folder for any other model.",
            )
        )  # fmt: skip
    files = (*_siblings(workspace), *_vector_files(workspace.corpus))
    if ready + len(models) + len(files) < FEWEST_MODELS:
        stop_with("Upload vectors of another model." if ready else "Choose at least two models, or upload vectors.")
    return Compared(models, files)


def _siblings(workspace: Workspace) -> tuple[Corpus, ...]:
    """The samples that hold other vectors of the same pictures, chosen among; none for other data."""
    own = workspace.source.file
    if own not in DIGITS or workspace.corpus is not sample(own):
        return ()
    others = [word for word in DIGITS if word != own]
    return tuple(
        sample(word)
        for word in st.multiselect("Other vectors of the same pictures", others, default=others, key="compared_samples")
    )


def _vector_files(corpus: Corpus) -> tuple[Corpus, ...]:
    """The uploaded vectors as corpora with the data's texts."""
    with st.expander("Vectors of another model for the same texts", expanded=corpus.embeddings is not None):
        files = st.file_uploader(
            "One row a text, in the order of the data", type=VECTOR_TYPES, key="compared_vectors",
            accept_multiple_files=True, help="An .npz may hold `queries` beside `embeddings`.",
        )  # fmt: skip
    count_uploads("compared_vectors", files)
    found = [_vectors(file.file_id, file.name, file.getvalue()) for file in files]
    # Vectors that came with texts of their own are compared with the data's, not renamed to them.
    return tuple(with_texts(one, corpus.texts) if one.texts[0] == "vector 0" else one for one in found)


@measured("Reading…")
def _vectors(file_id: str, name: str, _content: bytes) -> Corpus:
    found = read_upload(name, _content, keep_duplicates=True)
    if found.embeddings is None:
        raise InvalidInputError(f"`{name}` holds texts, not vectors; give one vector for each text of the data.")
    return found


def comparison(workspace: Workspace, chosen: Compared) -> ModelComparison:
    """The comparison, once asked for; before, the page ends with a sentence or progress."""
    area, corpus = st.empty(), workspace.corpus
    for model in chosen.models:
        ask_to_pay(corpus, model, area, partial(_leave_out, model))
    made_of = (
        *(f"{model} {revision_of(model)}" for model in chosen.models),
        *(f"{file.name} {file.fingerprint}" for file in chosen.files), workspace.k,
    )  # fmt: skip
    key = answer_key(workspace.embedded, *made_of)
    # Vectors that came ready are not in the store, and asking an API again costs money: such a comparison is not kept.
    keeps = not (chosen.files or workspace.is_ready or any(map(is_paid, chosen.models)))

    def made(report: Report, stopped: Stopped) -> ModelComparison:
        found = _compare(workspace, chosen, report, stopped)
        if keeps:
            keep(found, "comparison", key, without=("embedded",))
        return found

    def stored() -> dict[str, Any]:
        return _compared(workspace.corpus, chosen.models)

    shipped = at_hand(ModelComparison, "comparison", workspace, *made_of, given=stored)
    before = shipped or (kept(ModelComparison, "comparison", key, stored) if keeps else None)
    result = asked_for(
        f"comparison {key}", ("Compare again", f"Compare on {corpus.n_items:,} {corpus.things}"), "run_compare", made,
        "Every model embeds the texts once; what is embedded is kept. Some seconds to minutes.",
        at_hand=before, is_shared=is_of_sample(workspace.embedded) and not chosen.files,
    )  # fmt: skip
    if result is shipped:
        small_print("This comparison came with the sample; speeds are of the machine that made it.")
    return result


def _compared(corpus: Corpus, models: tuple[str, ...]) -> dict[str, Any]:
    """What an answer that comes with the sample, or was kept, leaves out."""
    with ENCODING:
        return {"embedded": tuple(embed(corpus, model) for model in models)}


def _leave_out(model: str) -> None:
    st.session_state[MODELS_KEY] = [name for name in st.session_state[MODELS_KEY] if name != model]


def _compare(workspace: Workspace, chosen: Compared, report: Report, stopped: Stopped) -> ModelComparison:
    corpus = workspace.corpus
    embedded = [embed(corpus)] if workspace.is_ready else []
    speeds: dict[str, float] = {}
    for model in chosen.models:
        with ENCODING:
            told = steps(report, stopped, f"{plain(model)}, texts embedded")
            embedded.append(embed(corpus, loaded(model, corpus), progress=told, cancelled=stopped))
            if not is_paid(model):  # timing an API means paying it again
                speeds[embedded[-1].model] = encode_speed(encoder_of(model).encode, corpus.texts)
    embedded += [embed(file) for file in chosen.files]
    told = steps(report, stopped, "Comparing")
    return compare_models(embedded, k=workspace.k, texts_per_second=speeds, progress=told)


def side_by_side(workspace: Workspace, result: ModelComparison) -> SideBySide:
    """The neighbors of the selected text, or of a query where queries were compared, by each model at focus width."""
    item = current_item(workspace) if result.is_self else choose_own_query(workspace, "side_query")
    return neighbors_side_by_side(result, item, workspace.focus_dim)


def side_rows(workspace: Workspace, side: SideBySide) -> list[dict[str, Any]]:
    corpus = workspace.corpus
    return [
        thumbnails.cells(corpus, text=row["item"]) | row
        for row in side.rows([shortened(text, CELL_CHARACTERS) for text in corpus.texts])
    ]


def report_button(result: ModelComparison) -> None:
    download("Download the report (HTML)", lambda: comparison_report(result), "comparison.html", "report_html")


def comparison_code(workspace: Workspace, chosen: Compared, result: ModelComparison) -> Script:
    has_quality = result.metric is not None
    return scripts.comparison_code(workspace, chosen.models, chosen.files, has_quality=has_quality)
