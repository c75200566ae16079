"""Monitor: does the deployed plan still keep its promise?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import monitor as page
from mrl_viz.ui.charts import draw, headline, in_tabs, small_print, table
from mrl_viz.ui.frame import title

title("Does the deployed plan still keep its promise?", "overlap", "interval", "canary")
whose, history = page.history()
page.refused_shown(history)
shown = page.one_of(history)
headline(shown.takeaway())
code = page.code(whose, history, shown)
left, right = st.columns(2, gap="medium")
with left:
    st.caption("Overlap with the full width, with its interval, against the target")
    draw("monitor_overlap", figures.monitor_overlap, shown, is_said=True, code=code)
with right:
    if page.canaries_there(shown):
        st.caption("Frozen texts, embedded again: how far each is from where it was")
        draw(
            "monitor_canaries", figures.monitor_canaries, shown, takeaway=shown.canary_takeaway(), is_said=True,
            rows=shown.canary_rows, code=code,
        )  # fmt: skip


def _moved() -> None:
    small_print(shown.canary_takeaway())
    if moved := shown.canary_rows():
        table(moved, key="canaries_moved")


in_tabs("monitor_part", {"Make your own checks": page.commands_shown, "Which canaries moved": _moved})
