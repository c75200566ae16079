"""Parts of the Report & notebook page: what is taken along, and the file."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from mrl_viz.data.samples import SAMPLES
from mrl_viz.embedding.embedded import Embedded, embed
from mrl_viz.embedding.encoders.api import is_paid
from mrl_viz.export.analysis_report import report_parts, title_of
from mrl_viz.export.findings import Choices, Findings
from mrl_viz.export.html import document
from mrl_viz.export.notebook import NOTEBOOK, notebook, notebook_with_texts
from mrl_viz.export.pages import DEFAULT, PAGES
from mrl_viz.tasks.task import available_tasks
from mrl_viz.ui.background import Report, Stopped, asked_for, steps
from mrl_viz.ui.charts import download, small_print, stop_with
from mrl_viz.ui.choose import last_decision
from mrl_viz.ui.evidence import qualities_at_hand
from mrl_viz.ui.models import ENCODING, loaded, model_names
from mrl_viz.ui.results import analysis, embed_queries, is_of_sample
from mrl_viz.ui.selection import current_item, shortened
from mrl_viz.ui.shipped import answer_key
from mrl_viz.ui.workspace import Workspace

NOTEBOOK_KIND, REPORT_KIND = "Notebook", "Report"
# Where texts of a notebook are.
BY_FILE, BESIDE, INSIDE = "by its file", "in a file beside it", "in the notebook"


@dataclass(frozen=True)
class Wanted:
    """What is taken along: a report, or else a notebook, of which pages, and what they show beside the workspace."""

    is_report: bool
    pages: tuple[str, ...]
    choices: Choices


def choose_what(workspace: Workspace) -> Wanted:
    """The kind, the pages, and models to compare with; a sentence ends the page without any."""
    kind = st.segmented_control(
        "Take along", [NOTEBOOK_KIND, REPORT_KIND], default=NOTEBOOK_KIND, key="take", required=True,
        bind="query-params",
    )  # fmt: skip
    can_judge = bool(available_tasks(workspace.corpus))
    default = [name for name in DEFAULT if can_judge or name != "quality"]
    pages = st.pills(
        "Pages", list(PAGES), selection_mode="multi", default=default, key="take_pages", persist_state="session",
        format_func=lambda name: PAGES[name].title,
    )  # fmt: skip
    if not pages:
        stop_with("Choose at least one page.")
    models: tuple[str, ...] = ()
    if "compare" in pages:
        here = [name for name in model_names() if name != workspace.model and not is_paid(name)]
        models = tuple(
            st.multiselect(
                "Compare with", here, default=here[:1], key="take_models", max_selections=3,
                help="Models that this machine has; any other one on the page Compare models.",
            )
        )  # fmt: skip
    return Wanted(kind == REPORT_KIND, tuple(pages), Choices(current_item(workspace), models))


def notebook_offered(workspace: Workspace, wanted: Wanted) -> None:
    """Where the texts go, and the notebook, with its texts in an archive where they have no file of their own."""
    source = workspace.source
    where = BY_FILE
    if source.file not in SAMPLES and not workspace.is_ready:
        options = [BY_FILE if source.is_saved else BESIDE, INSIDE]
        where = st.segmented_control(
            "Your texts", options, default=options[0], key=f"take_texts_{source.is_saved}", required=True,
            help="Whoever gets a notebook with your texts in it can read them.",
        )  # fmt: skip
    if where == BESIDE:
        content: bytes = notebook_with_texts(workspace, wanted.pages, choices=wanted.choices)
        download("Download notebook and texts (zip)", lambda: content, "analysis.zip", "take_zip")
    else:
        made = notebook(workspace, wanted.pages, choices=wanted.choices, with_texts=where == INSIDE)
        content = made.encode("utf-8", "backslashreplace")
        download("Download the notebook", lambda: content, NOTEBOOK, "take_notebook")
    small_print(f"{max(1, len(content) // 1000):,} kB. {_reading(workspace, where)}")


def _reading(workspace: Workspace, where: str) -> str:
    source = workspace.source
    if source.file in SAMPLES:
        return "The sample comes with mrl_viz, so the notebook needs nothing else."
    if where == BESIDE:
        return "Unpack both into one folder; no text is in the notebook itself."
    if where == INSIDE:
        return "Your texts are in it: whoever has it can read them."
    files = [name for name in (source.file, source.texts_file, source.queries, source.qrels) if name]
    return f"Put {' and '.join(f'`{name}`' for name in files)} beside it; no text is in the notebook itself."


def report_offered(workspace: Workspace, wanted: Wanted) -> None:
    """The report, once asked for; before, the page ends with a sentence or progress."""
    has_texts = st.toggle(
        "Name texts in it", key="take_named", help="Off: they are called by their number, and nobody can read them."
    )
    item = wanted.choices.item
    if "anatomy" in wanted.pages or "similarity" in wanted.pages:
        small_print(f"The text taken apart: {shortened(workspace.corpus.texts[item])}")
    decision, record = last_decision(workspace)
    measured, qualities = analysis(workspace), qualities_at_hand(workspace)

    def make(report: Report, stopped: Stopped) -> tuple[str, list[str]]:
        others = []
        for name in wanted.choices.models:
            with ENCODING:
                others.append(embed(workspace.corpus, loaded(name, workspace.corpus), cancelled=stopped))
        found = Findings(
            workspace, wanted.choices, measured, qualities, others, decision, has_texts, lambda: _searched(workspace)
        )
        told = steps(report, stopped, "Pages measured and drawn")
        kept = None if record is None else record.record
        return title_of(found), report_parts(found, wanted.pages, record=kept, progress=told)

    made_of = (
        wanted, has_texts, workspace.dims, workspace.k, workspace.focus_dim, record and record.to_json(),
    )  # fmt: skip
    title, parts = asked_for(
        f"report {answer_key(workspace.embedded, *made_of)}", ("Make it again", "Make the report"), "make_report", make,
        "What the pages have measured already is taken from them; the rest takes seconds for a thousand texts.",
        is_shared=is_of_sample(workspace.embedded) and record is None,
    )  # fmt: skip
    content = document(title, parts).encode("utf-8", "backslashreplace")
    download("Download the report (HTML)", lambda: content, "report.html", "take_report")
    ending = "" if record is None else " Your decision stands at its end."
    small_print(
        f"{len(content) / 1e6:.1f} MB. It opens in any browser and asks no network; figures move, and save themselves "
        f"as PNG or SVG.{ending}"
    )


def _searched(workspace: Workspace) -> Embedded:
    return embed_queries(workspace.embedded, workspace.model)
