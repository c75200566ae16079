"""The choice to measure a search by vectors together with a search by words."""

from __future__ import annotations

import streamlit as st

from mrl_viz.data.corpus import Corpus
from mrl_viz.errors import InvalidInputError
from mrl_viz.tasks.hybrid import FUSION_K, check_has_words

MOST_FUSION_K = 1000


def fusion_chosen(corpus: Corpus, key: str, *, texts_ask: bool = False) -> int | None:
    """The constant of the fusion, None where only vectors search; without texts the choice is grey and says why.

    `texts_ask` : texts search for each other, so that queries need no words.
    """
    words = "Every width's list is fused with the list of BM25, by reciprocal rank, as search engines do it."
    try:
        check_has_words(corpus, texts_ask=texts_ask)
    except InvalidInputError as error:
        st.toggle("Measured as hybrid", key=key, value=False, disabled=True, help=str(error))
        return None
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    if not left.toggle("Measured as hybrid: vectors and words together", key=key, help=words):
        return None
    return int(
        right.number_input(
            "k of the fusion", 1, MOST_FUSION_K, FUSION_K, key=f"{key}_k",
            help="A text scores 1 / (k + its rank) in either list; the larger k, the less the first ranks stand out.",
        )
    )  # fmt: skip
