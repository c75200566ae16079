"""A page in a state that somebody chose beforehand: a lesson's step, a claim."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from mrl_viz.ui.sidebar import ask_for


def way_to(label: str, page: str, state: Iterable[tuple[str, str | int]], *, key: str, note: str | None = None) -> None:
    """A button to a page, such as explore/neighbors, in a state: data, model, focus, k, dims, tab or a widget's key."""
    given = page, tuple(state)
    if st.button(label, key=key, icon=":material/arrow_forward:", on_click=_set, args=given, help=note):
        # Without a dict it would refuse, as widgets are bound to the address; they write themselves there again.
        st.switch_page(f"pages/{page}.py", query_params={})


def _set(page: str, state: Iterable[tuple[str, str | int]]) -> None:
    """Data, model, widths and tab as they are wanted; the address of that page has them then."""
    for name, value in state:
        if name in ("focus", "k"):
            ask_for(name, int(value))
        elif name in ("data", "model"):
            st.session_state[f"next_{name}"] = value
        else:
            st.session_state[f"{page.split('/')[-1]}_tab" if name == "tab" else name] = value
