"""The frame of every page: its question as title, the words it uses, and where the story goes on."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from mrl_viz.ui.charts import hint
from mrl_viz.ui.glossary import words_shown
from mrl_viz.ui.sidebar import LOST_KEY

STYLE = Path(__file__).parent / "page.css"
# By a page's question: the page that comes after it, and what that asks.
NEXT = {
    "What does each embedding width keep?": ("explore/anatomy", "one vector, cut"),
    "How do I take this with me?": ("decide/compare", "would another model do better?"),
    "What would you have guessed?": ("home/start", "look for yourself"),
    "What was claimed, and does it hold here?": ("learn/workshop", "what would you have guessed?"),
    "What does truncating do to one vector?": ("explore/neighbors", "do neighbors survive?"),
    "Do neighbors survive?": ("explore/quality", "does the task still work?"),
    "Does the task still work at a smaller width?": ("explore/similarity", "how do scores drift?"),
    "How do similarities drift with the width?": ("explore/map", "where do texts move?"),
    "Where do texts move?": ("explore/search", "what would a search return?"),
    "What would a search return at each width?": ("decide/choose", "which width to deploy?"),
    "Which is the smallest plan that is good enough?": ("take/report", "take it with you"),
    "Does the deployed plan still keep its promise?": ("decide/choose", "which plan would do today?"),
    "Which model at which width, per byte?": ("train/adaptor", "can a frozen model learn it?"),
    "What happens to the space as a whole?": ("explore/search", "what would a search return?"),
    "How do nested losses make a model truncatable?": ("train/adaptive", "how few numbers for each text?"),
    "How few dims does each example need?": ("decide/choose", "which width to deploy?"),
    "Can these vectors be made truncatable?": ("decide/choose", "which width to deploy?"),
}


def style() -> None:
    """The few rules of our own."""
    st.html(STYLE)


def title(question: str, *terms: str) -> None:
    """A page's question; under it the `terms` that it uses, with their meanings, and the way to the next page."""
    st.title(question, anchor=False)
    words, onward = st.columns([3, 2], vertical_alignment="center")
    if terms:
        with words:
            words_shown(*terms)
    if question in NEXT:
        file, asks = NEXT[question]
        with onward.container(horizontal=True, horizontal_alignment="right"):
            st.page_link(f"pages/{file}.py", label=f"Next: {asks}", icon=":material/arrow_forward:")
    if LOST_KEY in st.session_state:
        hint(
            "Your texts are not here: a reload, or a link, begins a new visit, and they were not kept. This is the "
            "sample; give your texts again on Start."
        )
