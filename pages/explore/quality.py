"""Task quality: does the task still work at a smaller width?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import evidence as page
from mrl_viz.ui import hard_cases
from mrl_viz.ui.charts import draw, in_tabs, small_print
from mrl_viz.ui.frame import title
from mrl_viz.ui.workspace import require_workspace

title("Does the task still work at a smaller width?", "nDCG", "Spearman", "interval", "long tail", "plain twin")
workspace = require_workspace()
focus = workspace.focus_dim


def by_task() -> None:
    quality = page.task_quality(workspace)
    metrics = page.choose_metrics(quality)
    draw(
        "quality", figures.quality_curves, quality, metrics, focus, alt=quality.takeaway(),
        takeaway=quality.takeaway_at(focus), code=page.quality_code(workspace, quality, metrics),
    )  # fmt: skip
    small_print(*quality.notes)
    about_intervals()
    st.write(
        "Measured against labels, not against the full-width vectors: a width may move many neighbors and still answer "
        "as well, or the other way round. The value stands beside its share of full width: a share hides a poor start."
    )


def by_language() -> None:
    agreement, translations = st.container(), st.container()
    with translations:
        source = page.choose_source(workspace)
    found = page.quality_by_language(workspace, source)
    with agreement:
        draw(
            "languages", figures.language_curves, found, focus, alt=found.takeaway(),
            takeaway=found.agreement_at(focus), code=page.languages_code(workspace, found),
        )  # fmt: skip
        small_print(*found.notes)
        about_intervals()
    if not found.found:
        return
    with translations:
        draw(
            "translations", figures.translation_curves, found, focus, alt=found.takeaway(),
            takeaway=found.found_at(focus), code=page.languages_code(workspace, found),
        )  # fmt: skip
        st.caption(
            "Each sentence is searched for among all those of one other language. Its translation is right, and that "
            "of a sentence that people scored as high as any with it. A width can keep the order of pairs in a "
            "language and still have no common space for two."
        )


def about_intervals() -> None:
    st.caption(
        "Intervals: 95 % bootstrap, paired between widths. With a star: differs from the full width at 5 %, by a "
        "paired test, Holm-adjusted over the widths."
    )


def between() -> None:
    found = page.quality_between(workspace)
    draw("between", figures.between_curve, found, code=page.between_code(workspace))
    st.caption(
        "◆: widths that the model was trained at, joined by their line. A width between them was never trained for "
        "itself; how far it lies from the line says whether that matters."
    )


def few_examples() -> None:
    found = hard_cases.few_examples(workspace, *hard_cases.choose_long_tail(workspace))
    draw(
        "long_tail", figures.long_tail_curves, found, focus, alt=found.takeaway(),
        takeaway=found.takeaway_at(focus), code=hard_cases.long_tail_code(workspace, found),
    )  # fmt: skip
    hard_cases.about_long_tail(found)


def changed() -> None:
    found, task = hard_cases.changed(workspace)
    draw(
        "robustness", figures.robustness_curves, found, focus, alt=found.takeaway(),
        takeaway=found.takeaway_at(focus), code=hard_cases.robustness_code(workspace, found, task),
    )  # fmt: skip
    hard_cases.about_change(found)


parts = {"By task": by_task}
if page.tells_languages(workspace):
    parts["By language"] = by_language
if hard_cases.has_long_tail(workspace):
    parts["Few examples"] = few_examples
parts[f"Changed {workspace.corpus.things}"] = changed
if page.has_between(workspace):
    parts["Between trained widths"] = between
in_tabs("quality_tab", parts)
