"""Showing results: charts with alt text and data, tables, sentences, code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from mimetypes import guess_type
from typing import Any, Literal, NoReturn

import streamlit as st
from plotly.graph_objects import Figure
from streamlit.delta_generator import DeltaGenerator
from streamlit.elements.lib.mutable_popover_container import PopoverContainer

from mrl_viz.errors import MrlVizError
from mrl_viz.ui.memory import MB, Shelf, size_of
from mrl_viz.ui.thumbnails import Picture

# plotly.js would otherwise offer a button that uploads the chart.
PLOTLY_CONFIG = {"showSendToCloud": False, "displaylogo": False, "responsive": True}
# What the camera above a chart saves; a report's figures are saved as SVG too.
PICTURE = {"format": "png", "scale": 2}
# Of figures kept with a result: one for each focus width that a visitor tries.
DRAWN_BYTES = 4 * MB
# Pixels of a table's column of pictures.
PICTURE_COLUMN = 48
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
        failure(str(error))
        st.stop()


def failure(text: str) -> None:
    st.error(plain(text), icon=":material/error:")


def hint(text: str) -> None:
    """What to do, or to wait for, where there is nothing to show yet; in markdown."""
    st.info(text, icon=":material/info:")


def stop_with(text: str) -> NoReturn:
    """Nothing more of this page, and why."""
    hint(text)
    st.stop()


def in_tabs(key: str, parts: Mapping[str, Callable[[], None]]) -> None:
    """Parts of a page behind tabs of their names; only the open one is computed, sent and drawn.

    Which one is open stands in the address, under `key`.
    """
    for tab, part in zip(st.tabs(list(parts), key=key, bind="query-params"), parts.values()):
        if tab.open:
            with tab:
                part()


def headline(text: str) -> None:
    st.markdown(f"**{plain(text)}**")


def small_print(*texts: str) -> None:
    for text in texts:
        st.caption(plain(text))


def plain(text: str) -> str:
    """`text` with markdown's special characters escaped, backticks kept for names."""
    parts = text.split("`")
    # Between backticks an escape would be seen; but only where it is sure what is between.
    names = range(0) if "``" in text or "\n" in text else range(1, len(parts) - 1, 2)
    return "`".join(part if place in names else _escaped(part) for place, part in enumerate(parts))


def _escaped(text: str) -> str:
    return "".join(f"\\{character}" if character in MARKDOWN else character for character in text)


def draw(
    key: str, figure: Callable[..., Figure], result: Any, *options: Any, takeaway: str = "", alt: str = "",
    rows: Callable[[], Sequence[dict[str, Any]]] | None = None, on_select: Callable[[str], None] | None = None,
    height: int | Literal["content"] = "content", is_said: bool = False, code: object = None, **named: Any,
) -> None:  # fmt: skip
    """A result as a figure: its takeaway above it and as alt text, and under it a row with its records and the code.

    `options`, `named` : what the figure is given beside the result. `takeaway`, `rows` : other ones than the result's;
    the records are made when somebody opens them. `alt` : another one than the takeaway, where that says something of
    the focus width and the figure does not: a browser draws a chart again whose alt text is another. `height` : pixels,
    else as high as the figure would be. `is_said` : the takeaway stands above already. `code` : what made it.
    """
    said = takeaway or result.takeaway()
    choosing = _choosing(key, on_select, "points", "lasso")
    made = drawn(figure, result, options, named)
    if not is_said:
        headline(said)
    config = PLOTLY_CONFIG | {"toImageButtonOptions": PICTURE | {"filename": f"mrl_viz_{key}"}}
    st.plotly_chart(made, width="stretch", height=height, key=key, config=config, alt=alt or said, **choosing)
    _row(key, rows or result.rows, code)


@st.fragment
def _row(key: str, rows: Callable[[], Sequence[dict[str, Any]]] | None, code: object) -> None:
    """What a figure is made of, on request. It runs alone when one of it is opened: a table of all texts takes longer
    to make and to send than its chart, and what colors code is more than all the rest that a browser loads first."""
    with st.container(horizontal=True, key=f"{key}_row", gap="small"):
        if rows is not None:
            with _opened("Data", "table_rows", f"{key}_data") as data:
                if data.open:
                    table(rows(), key=key)
        if code is not None:
            with _opened("Code", "code", f"{key}_shown") as shown:
                if shown.open:
                    st.code(str(code), language="python")
        with _opened("Link", "link", f"{key}_link") as link:
            if link.open:
                st.caption("The address of this page holds the view: data, model, widths and k. No text is in it.")
                st.code(st.context.url or "", language=None)


def _opened(name: str, icon: str, key: str) -> PopoverContainer:
    return st.popover(name, icon=f":material/{icon}:", type="tertiary", key=key, on_change="rerun")


def drawn(figure: Callable[..., Figure], result: Any, options: tuple[Any, ...], named: dict[str, Any]) -> Figure:
    """The figure, kept with the result for its last few options: making figures is most of a page's time."""
    key = (figure, options, tuple(named.items()))
    try:
        hash(key)
        kept: Shelf = vars(result).setdefault("_drawn", Shelf(DRAWN_BYTES))
    except TypeError:  # a list among the options, or a result without room
        return figure(result, *options, **named)
    return kept.take(key, lambda: _finished(figure(result, *options, **named)), lambda made: size_of(made.to_dict()))


def _finished(figure: Figure) -> Figure:
    """Streamlit asks a figure for its dict in every run; that of a finished one is made once."""
    finished = figure.to_dict()
    vars(figure)["to_dict"] = lambda: finished
    return figure


def _choosing(key: str, on_select: Callable[[str], None] | None, *modes: str) -> dict[str, Any]:
    """The options of something to choose in, whose key `on_select` is called with."""
    return {"on_select": partial(on_select, key), "selection_mode": modes} if on_select else {}


def table(
    rows: Sequence[dict[str, Any]], *, key: str, on_select: Callable[[str], None] | None = None,
    widths: dict[str, int] | None = None,
) -> None:  # fmt: skip
    """Records as a table headed by their names in words, with a CSV download of the names as they are.

    A cell that a spreadsheet would run begins with an apostrophe; pictures are in the table alone.

    `widths` : pixels of some columns, whose long texts would push others out of sight.
    """
    import pandas as pd

    frame = pd.DataFrame.from_records([{name: _inert(value) for name, value in row.items()} for row in rows])
    choosing = _choosing(f"{key}_table", on_select, "single-row")
    pictures = [name for name, value in (rows[0] if rows else {}).items() if isinstance(value, Picture)]
    columns: dict[Any, Any] = {
        name: st.column_config.Column(name.replace("_", " "), width=(widths or {}).get(name)) for name in frame.columns
    } | {name: st.column_config.ImageColumn("", width=PICTURE_COLUMN) for name in pictures}
    st.dataframe(frame, hide_index=True, width="stretch", key=f"{key}_table", column_config=columns or None, **choosing)
    download("Download CSV", lambda: frame.drop(columns=pictures).to_csv(index=False), f"{key}.csv", f"{key}_csv")


def download(
    label: str, content: Callable[[], str | bytes], file: str, key: str, area: DeltaGenerator | None = None,
    width: Literal["content", "stretch"] = "content",
) -> None:  # fmt: skip
    """A button for a file that is made when asked for: one made ahead is gone after the next rerun."""
    (area or st).download_button(
        label, content, file, mime=guess_type(file)[0], key=key, on_click="ignore", width=width
    )


def metrics(*cells: tuple[str, ...], framed: bool = False) -> None:
    """Big numbers side by side: each a name, a value and, as its help or under it in a frame, a note."""
    for column, (name, value, *notes) in zip(st.columns(len(cells)), cells):
        column.metric(name, value, border=framed, help=None if framed or not notes else notes[0])
        if framed:
            column.caption(notes[0])


def _inert(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def code_shown(code: object, key: str = "code") -> None:
    """The lines of library code that made what is shown, on request; `key` : a name where a page shows several."""
    _row(key, None, code)
