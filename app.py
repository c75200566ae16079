"""The app: page config, navigation and the shared sidebar."""

import streamlit as st

from mrl_viz.ui.charts import errors_shown
from mrl_viz.ui.frame import style
from mrl_viz.ui.memory import settle
from mrl_viz.ui.sidebar import sidebar

# By group: a page's file, its title, its icon, and its address where the file does not name that.
PAGES = {
    "": [("home/start", "Start", "home")],
    "Learn": [("learn/workshop", "Workshop", "school"), ("learn/claims", "Claims", "fact_check")],
    "Explore": [
        ("explore/anatomy", "Anatomy", "layers"),
        ("explore/similarity", "Similarity", "compare_arrows"),
        ("explore/neighbors", "Neighbors", "hub"),
        ("explore/map", "Map", "scatter_plot"),
        ("explore/quality", "Task quality", "verified"),
        ("explore/space", "Inside the space", "blur_on"),
        ("explore/search", "Search lab", "search"),
    ],
    "Decide": [
        ("decide/compare", "Compare models", "balance"),
        ("decide/choose", "Choose a dimension", "task_alt"),
        ("decide/monitor", "Monitor", "monitor_heart"),
    ],
    "Train": [
        ("train/mrl", "Train MRL", "model_training", "train"),
        ("train/adaptive", "Adaptive classification", "stairs"),
        ("train/adaptor", "Adaptor", "transform"),
    ],
    "Take away": [("take/report", "Report & notebook", "ios_share")],
}


def _page(file: str, title: str, icon: str, address: str | None = None) -> st.Page:
    icon, is_first = f":material/{icon}:", file == "home/start"
    return st.Page(f"pages/{file}.py", title=title, icon=icon, url_path=address, default=is_first)


st.set_page_config(page_title="mrl_viz", page_icon="docs/icon.png", layout="wide")
page = st.navigation(
    {group: [_page(*entry) for entry in entries] for group, entries in PAGES.items()},
    position="top",
)
style()
sidebar()
with errors_shown():
    page.run()
settle(page.url_path)
