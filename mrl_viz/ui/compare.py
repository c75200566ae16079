"""Parts of the Compare models page."""

from __future__ import annotations

from typing import Any

import streamlit as st

from mrl_viz import figures
from mrl_viz.comparison import ModelComparison, SideBySide, compare_models, encode_speed, neighbors_side_by_side
from mrl_viz.embedding.catalogue import CATALOGUE, is_available
from mrl_viz.embedding.embedded import Embedded, embed
from mrl_viz.embedding.encoders import revision_of
from mrl_viz.export import comparison_report
from mrl_viz.ui.code import Code, Script
from mrl_viz.ui.models import ENCODING, encoder_of, refuse_paid_models
from mrl_viz.ui.selection import current_item, shortened
from mrl_viz.ui.workspace import Workspace

CELL_CHARACTERS = 80
MOST_MODELS = 4


def choose_models(workspace: Workspace) -> tuple[str, ...] | None:
    """Two to four models; None, with a sentence, while there are fewer or the data are ready vectors."""
    if workspace.corpus.embeddings is not None:
        st.info("Ready vectors are of one model. To compare models, give texts.", icon=":material/info:")
        return None
    here = [name for name, card in CATALOGUE.items() if is_available(card)]
    chosen = st.multiselect(
        "Models", here, default=list(dict.fromkeys([workspace.model, *here]))[:2], key="compared_models",
        max_selections=MOST_MODELS, accept_new_options=True, help="Type a Hub name or a local folder for any other model.",
    )  # fmt: skip
    if len(chosen) < 2:
        st.info("Choose at least two models.", icon=":material/info:")
        return None
    return tuple(chosen)


def comparison(workspace: Workspace, models: tuple[str, ...]) -> ModelComparison | None:
    """The comparison, once its button was pressed for these texts and models; None before."""
    for model in models:
        refuse_paid_models(model)
    n_items = workspace.corpus.n_items
    revisions = "_".join(f"{model} {revision_of(model)}" for model in models)
    key = f"compare_{workspace.corpus.fingerprint}_{revisions}_{workspace.k}"
    done: set[str] = st.session_state.setdefault("compared", set())
    if key not in done:
        if not st.button(f"Compare on {n_items:,} texts", key="run_compare", type="primary"):
            st.info(
                "Every model embeds the texts once; what is embedded is kept. Some seconds to minutes.",
                icon=":material/info:",
            )
            return None
        done.add(key)
    return _comparison(key, models, workspace.k, workspace)


@st.cache_resource(max_entries=4, scope="session", show_spinner="Embedding and comparing…")
def _comparison(key: str, models: tuple[str, ...], k: int, _workspace: Workspace) -> ModelComparison:
    embedded: list[Embedded] = []
    speeds: dict[str, float] = {}
    for model in models:
        with ENCODING:
            embedded.append(embed(_workspace.corpus, model))
            speeds[embedded[-1].model] = encode_speed(encoder_of(model).encode, _workspace.corpus.texts)
    return compare_models(embedded, k=k, texts_per_second=speeds)


def side_by_side(workspace: Workspace, result: ModelComparison) -> SideBySide | None:
    """The selected text's neighbors under each model at the focus width; None where queries were compared."""
    if not result.is_self:
        return None
    return neighbors_side_by_side(result, current_item(workspace), workspace.focus_dim)


def side_rows(workspace: Workspace, side: SideBySide) -> list[dict[str, Any]]:
    """The neighbors of each model with their texts."""
    return list(side.rows([shortened(text, CELL_CHARACTERS) for text in workspace.corpus.texts]))


def report_button(result: ModelComparison) -> None:
    """The comparison as one HTML file that asks nothing from anywhere."""
    st.download_button(
        "Download the report (HTML)", lambda: comparison_report(result), file_name="comparison.html", mime="text/html",
        key="report_html", on_click="ignore",
    )  # fmt: skip


def comparison_code(workspace: Workspace, models: tuple[str, ...], result: ModelComparison) -> Script:
    """The comparison and its figures again."""
    script = Script(workspace, embeds=False)
    embedded = Code(f"[{script.call(embed, script.corpus, Code('model'))} for model in {list(models)!r}]")
    again = script.let("comparison", compare_models, embedded, k=workspace.k)
    script.say(again)
    if result.metric is not None:
        script.show(figures.quality_per_byte, again)
    return script.show(figures.overlap_per_byte, again).show(figures.n2o_heatmap, again)
