"""Choose a dimension: the smallest plan whose lower confidence bound meets a target."""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import choose as page
from mrl_viz.ui import precision
from mrl_viz.ui.charts import draw, hint, in_tabs, plain, small_print, table
from mrl_viz.ui.frame import title
from mrl_viz.ui.workspace import require_workspace

title("Which is the smallest plan that is good enough?", "overlap", "lower bound", "code", "shortlist")
workspace = require_workspace()
measured = page.measured_plans(workspace)
left, right = st.columns([5, 6], gap="medium")
with left:
    options = page.choose_options(measured)
decision = page.choose(measured, **options)
grown = page.corpus_size_of(workspace, decision)
with right:
    page.decision_shown(decision, grown)
code = page.decision_code(workspace, measured, options, decision, grown)
draw("pareto", figures.pareto, decision, takeaway=measured.takeaway(), alt=decision.takeaway(), code=code)


def _runners_up() -> None:
    table(page.runner_up_rows(decision), key="plans")
    small_print(page.HOW_TO_READ, *(one.takeaway() for one in decision.trade_offs), *decision.notes)
    draw("sensitivity", figures.sensitivity_heatmap, decision.sensitivity)


def _more_texts() -> None:
    st.caption(
        "Overlap with the full width, measured again on parts of the texts, each part of the next. What lies beyond "
        "the texts there are is extrapolated along two curves, with an interval; nobody has seen it."
    )
    page.ask_corpus_size(workspace, decision)
    if grown is not None:
        draw("corpus_size", figures.corpus_size_curve, grown)


def _storage() -> None:
    storage = page.storage_of(decision)
    if storage is None:
        hint("No plan, no storage: relax a budget or the target.")
        return
    st.markdown(plain(storage.takeaway()))
    st.code(storage.formula, language=None)
    table(page.storage_rows(storage), key="storage")


def _record() -> None:
    st.caption(
        "Data, model, plan, evidence and caveats, for a reader who was not there; the JSON is what `search --plan` "
        "takes."
    )
    page.record_buttons(workspace, decision, grown)


in_tabs(
    "choose_part",
    {
        "Runners-up": _runners_up, "What more texts do": _more_texts, "Storage": _storage,
        "Deploy": lambda: page.snippet_shown(decision), "Record": _record,
        precision.TITLE: lambda: precision.section(workspace),
    },
)  # fmt: skip
