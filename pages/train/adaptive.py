"""Adaptive classification: how few dims per example, at which thresholds?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import adaptive as page
from mrl_viz.ui.charts import draw, headline, in_tabs, table
from mrl_viz.ui.frame import title
from mrl_viz.ui.workspace import require_workspace

title("How few dims does each example need?", "cascade", "expected width", "accuracy", "interval")
workspace = page.choose_data(require_workspace())
heads = page.choose_heads(workspace)
rule = page.choose_rule()
code = page.adaptive_code(workspace, heads, rule)
results = page.adaptive_result(workspace, heads, code)
result = page.choose_label(results)
cascades = result.cascades(rule)
cascade = cascades["mrl"]

headline(result.takeaway(rule))
page.cost_metrics(cascade)
draw("exit_shares", figures.exit_shares, cascade, rows=lambda: page.exit_rows([result], rule), is_said=True, code=code)


def heads_part() -> None:
    said = result.heads_takeaway()
    draw("accuracy_by_width", figures.accuracy_by_width, result, cascades, takeaway=said, rows=result.head_rows)
    table(result.cascade_rows(rule), key="cascades")


def classes_part() -> None:
    said = result.classes_takeaway()
    draw("class_losses", figures.class_losses, result, takeaway=said, rows=lambda: result.class_rows(cascade))


def labels_part() -> None:
    coarse, fine = results[0], results[-1]
    said = page.coarse_against_fine(coarse, fine, rule)
    both = [each.cascade(rule) for each in results]
    draw("exits_by_label", figures.exits_by_label, results, both, takeaway=said,
         rows=lambda: page.exit_rows(results, rule))  # fmt: skip
    rows = page.exits_by_class(coarse, fine, rule)
    draw("exits_by_class", figures.exits_by_class, rows, takeaway=said, rows=lambda: rows, is_said=True)


def examples_part() -> None:
    st.caption(
        "Easy: answered rightly, and earliest. Hard: answered last, wrong ones first. Right from: the smallest width "
        "whose head is right."
    )
    table(page.example_rows(workspace, result, cascade), key="examples")


parts = {"Heads": heads_part, "Which classes?": classes_part}
if len(results) > 1:
    parts["Coarse and fine labels"] = labels_part
in_tabs("adaptive_part", parts | {"Easy and hard examples": examples_part})
