"""Showing results: charts with alt text and data, tables, errors, code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import streamlit as st
from plotly.graph_objects import Figure

from mrl_viz.errors import MrlVizError

# plotly.js would otherwise offer a button that uploads the chart.
PLOTLY_CONFIG = {"showSendToCloud": False, "displaylogo": False, "responsive": True}
MARKDOWN = "\\*_[]<>$#~|:"
# A spreadsheet takes a cell that begins so for a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


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
    parts = text.split("`")
    # Between backticks an escape would be seen; but only where it is sure what is between.
    names = range(0) if "``" in text or "\n" in text else range(1, len(parts) - 1, 2)
    return "`".join(part if place in names else _escaped(part) for place, part in enumerate(parts))


def _escaped(text: str) -> str:
    return "".join(f"\\{character}" if character in MARKDOWN else character for character in text)


def chart(
    figure: Figure,
    *,
    key: str,
    takeaway: str,
    rows: Sequence[dict[str, Any]],
    on_select: Callable[[], None] | None = None,
) -> None:
    """A figure with its takeaway as caption and alt text, and its data as a table with a CSV download."""
    choosing: dict[str, Any] = {"on_select": on_select, "selection_mode": ("points", "lasso")} if on_select else {}
    st.plotly_chart(figure, width="stretch", key=key, config=PLOTLY_CONFIG, alt=takeaway, **choosing)
    st.caption(plain(takeaway))
    with st.expander("Show data"):
        table(rows, key=key)


def table(rows: Sequence[dict[str, Any]], *, key: str, on_select: Callable[[], None] | None = None) -> None:
    """Records as a table, with a CSV download; a cell that a spreadsheet would run begins with an apostrophe."""
    import pandas as pd

    frame = pd.DataFrame.from_records([{name: _inert(value) for name, value in row.items()} for row in rows])
    choosing: dict[str, Any] = {"on_select": on_select, "selection_mode": "single-row"} if on_select else {}
    st.dataframe(frame, hide_index=True, width="stretch", key=f"{key}_table", **choosing)
    # Made when asked for: a file made ahead is gone after the next rerun, which on a live page comes every second.
    st.download_button(
        "Download CSV", lambda: frame.to_csv(index=False), file_name=f"{key}.csv", mime="text/csv", key=f"{key}_csv",
        on_click="ignore",
    )  # fmt: skip


def _inert(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def code_shown(code: object) -> None:
    """The lines of library code that made what is shown."""
    with st.expander("The code that made it"):
        st.code(str(code), language="python")
