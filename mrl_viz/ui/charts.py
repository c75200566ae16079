"""Showing results: charts with alt text and data, errors, code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import streamlit as st
from plotly.graph_objects import Figure

from mrl_viz.errors import MrlVizError

# plotly.js would otherwise offer a button that uploads the chart.
PLOTLY_CONFIG = {"showSendToCloud": False, "displaylogo": False, "responsive": True}


@contextmanager
def errors_shown() -> Iterator[None]:
    """Show a library error as one sentence and end the page there; anything else stays a visible traceback."""
    try:
        yield
    except MrlVizError as error:
        # Streamlit reads markdown in messages; the text of an error may quote a user's file.
        st.error(plain(str(error)), icon=":material/error:")
        st.stop()


def plain(text: str) -> str:
    """`text` with markdown's special characters escaped, backticks kept for names."""
    for character in "\\*_[]<>$#~|":
        text = text.replace(character, f"\\{character}")
    return text.replace(":", "\\:")


def chart(figure: Figure, *, key: str, takeaway: str, rows: Sequence[dict[str, Any]]) -> None:
    """A figure with its takeaway as caption and alt text, and its data as a table with a CSV download."""
    st.plotly_chart(figure, width="stretch", key=key, config=PLOTLY_CONFIG, alt=takeaway)
    st.caption(plain(takeaway))
    records(rows, key=key, label="Show data")


def records(rows: Sequence[dict[str, Any]], *, key: str, label: str) -> None:
    """Records as a table in an expander, downloadable as CSV through the table's own toolbar and a button."""
    import pandas as pd

    with st.expander(label):
        frame = pd.DataFrame.from_records(list(rows))
        st.dataframe(frame, hide_index=True, width="stretch")
        st.download_button(
            "Download CSV", frame.to_csv(index=False), file_name=f"{key}.csv", mime="text/csv", key=f"{key}_csv"
        )


def code_shown(code: str) -> None:
    """The lines of library code that made what is shown."""
    with st.expander("The code that made it"):
        st.code(code, language="python")
