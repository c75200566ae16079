"""Workshop: predict, then look; alone, or forty in a room."""

import streamlit as st

from mrl_viz.ui import workshop as page
from mrl_viz.ui.charts import in_tabs
from mrl_viz.ui.frame import title
from mrl_viz.ui.workspace import require_workspace

require_workspace()
if page.room_asked_for():
    page.in_room()
    st.stop()
title("What would you have guessed?", "embedding", "width", "neighbor", "Matryoshka", "lower bound")
st.caption("Who predicts before looking learns more than who only looks, even from a wrong guess.")
chosen = page.choose_lesson()
if chosen is not None:
    name, lesson = chosen
    in_tabs("workshop_tab", {
        "Walk through it": lambda: page.alone(name, lesson),
        "Open or join a room": lambda: page.doors(name, lesson),
        "Worksheet and teacher's notes": lambda: page.papers(lesson),
    })  # fmt: skip
