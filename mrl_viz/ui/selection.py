"""One selection for all pages: a point, row, card or the search box chooses texts; a side panel shows the first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from mrl_viz.analysis import Analysis
from mrl_viz.embedding.encoders import Kind
from mrl_viz.measures.lists import neighbor_changes
from mrl_viz.truncation import FloatMatrix
from mrl_viz.ui import thumbnails
from mrl_viz.ui.charts import plain, small_print
from mrl_viz.ui.models import encode_one
from mrl_viz.ui.workspace import Workspace

SELECTION_KEY, URL_KEY, FIND_KEY, BOX_KEY = "selection", "text", "find", "find_box"
# As many as a map can draw trails for.
MOST_SELECTED = 8
# A list box sends all its options to the browser: above this many texts one types a part first.
MOST_OPTIONS = 2000
MOST_MATCHES = 100
OPTION_CHARACTERS = 90
PANEL_CHARACTERS, BRIEF_CHARACTERS = 110, 64
FULL_TEXT_CHARACTERS = 1500


@dataclass(frozen=True)
class Subject:
    """A text and its vector; `item` where it is one of the data, which does not find itself."""

    vector: FloatMatrix
    text: str
    item: int | None = None

    @property
    def own(self) -> list[int] | None:
        """The item as a search leaves it out."""
        return None if self.item is None else [self.item]


def select(*items: int) -> None:
    """Choose texts from the next run on; none clears the selection."""
    st.session_state[SELECTION_KEY] = tuple(dict.fromkeys(items))[:MOST_SELECTED]


def selection(workspace: Workspace) -> tuple[int, ...]:
    """The chosen texts of the current data, the first being the one shown; read from the URL on a first visit."""
    data = (workspace.corpus.fingerprint, workspace.corpus.n_items)
    if SELECTION_KEY not in st.session_state or goes_back():
        given = st.query_params.get(URL_KEY, "").split(",")
        select(*(int(part) for part in given if part.isascii() and part.isdigit()))
    elif st.session_state.get("selection_data", data) != data:
        select()
    st.session_state["selection_data"] = data
    chosen: tuple[int, ...] = st.session_state[SELECTION_KEY]
    return tuple(item for item in chosen if item < workspace.corpus.n_items)


def goes_back() -> bool:
    """Whether this run was brought about by the browser's Back or Forward: the address says what was seen."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def current_item(workspace: Workspace, fallback: int = 0) -> int:
    """The first selected text, or `fallback` when none is."""
    chosen = selection(workspace)
    return chosen[0] if chosen else fallback


def typed_subject(
    workspace: Workspace, label: str, *, key: str, placeholder: str, kind: Kind = "document"
) -> Subject | None:
    """A text typed into a box; None while it is empty."""
    text = (st.text_input(label, key=key, placeholder=placeholder) or "").strip()
    return Subject(encode_one(workspace.model, text, kind), text) if text else None


def selected_subject(workspace: Workspace) -> Subject:
    item = current_item(workspace)
    return Subject(workspace.embedded.matrix[item], workspace.corpus.texts[item], item)


def choose_own_query(workspace: Workspace, key: str) -> int:
    texts = workspace.corpus.query_texts
    rows = range(len(texts))
    chosen: int = st.selectbox(
        "One of the data's queries", rows, format_func=lambda row: shortened(texts[row]), key=key
    )
    return chosen


def choose_column(
    workspace: Workspace, label: str, options: Sequence[str], default: str, *, key: str
) -> tuple[str, str | None]:
    """One of several words, or "label" and one of the label columns, which are among the options."""
    chosen = st.segmented_control(label, options, default=default, key=key, required=True, persist_state="session")
    return ("label", chosen) if chosen in workspace.corpus.labels else (chosen or default, None)


def shortened(text: str, most: int = OPTION_CHARACTERS) -> str:
    """The text on one line, cut for a list."""
    line = " ".join(text[: 4 * most].split())
    return line if len(line) <= most and len(text) <= 4 * most else f"{line[: most - 1]}…"


def texts_of(workspace: Workspace, items: Iterable[int]) -> tuple[str, ...]:
    return tuple(workspace.corpus.texts[item] for item in items)


def find_text(
    workspace: Workspace, label: str, *, key: str, chosen: int | None, on_change: Callable[[], None] | None = None
) -> int | None:
    """A box that finds a text by what it contains, usable by keyboard; None while nothing is chosen."""
    texts = workspace.corpus.texts
    options: Sequence[int] = range(len(texts))
    if len(texts) > MOST_OPTIONS:
        part = st.text_input(f"{label}: a part of it", key=f"{key}_part").casefold()
        matches = (item for item, text in enumerate(texts) if part in text.casefold())
        options = [item for _, item in zip(range(MOST_MATCHES), matches)]
        if chosen is not None and chosen not in options:
            options = [chosen, *options]
    if st.session_state.get(key) != chosen:
        st.session_state[key] = chosen
    found: int | None = st.selectbox(
        label, options, key=key, index=None, placeholder="Type a part of it", filter_mode="contains",
        on_change=on_change, format_func=lambda item: f"{item}: {shortened(texts[item])}",
    )  # fmt: skip
    return found


def selection_panel(workspace: Workspace, result: Analysis | None) -> None:
    """Search box, the selected text, its labels, its neighbors at full and focus width; keeps the URL in step."""
    chosen = selection(workspace)
    find_text(workspace, "Find a text", key=BOX_KEY, chosen=chosen[0] if chosen else None, on_change=_found)
    if not chosen:
        st.query_params.pop(URL_KEY, None)
        return
    st.query_params[URL_KEY] = ",".join(map(str, chosen))
    item, corpus = chosen[0], workspace.corpus
    labels = [f"{column}: {values[item] or '(none)'}" for column, values in corpus.labels.items()]
    more = f"{len(chosen) - 1} more chosen" if len(chosen) > 1 else ""
    with st.container(gap=None):
        with thumbnails.beside(corpus, item, thumbnails.ALONE):
            about = plain(corpus.texts[item][:FULL_TEXT_CHARACTERS])
            st.text(shortened(corpus.texts[item], BRIEF_CHARACTERS), help=about)
        small_print(" · ".join(filter(None, [*labels, more])))
        if result is not None:
            _changes(workspace, result, item)
        st.button("Clear the selection", key="clear_selection", type="tertiary", on_click=select)


def _changes(workspace: Workspace, result: Analysis, item: int) -> None:
    """How many neighbors the text keeps, loses and gains at the focus width; each of them to choose, on request."""
    changes = neighbor_changes(result.sweep.indices, result.sweep.dims, item, workspace.focus_dim)
    with st.container(horizontal=True, gap="small"):
        for name, entries in (("kept", changes.kept), ("lost", changes.lost), ("gained", changes.gained)):
            with st.popover(f"{len(entries)} {name}", type="tertiary", key=f"panel_{name}"):
                small_print(f"{len(entries)} neighbors {name} at {workspace.focus_dim} dims; press one to choose it.")
                for neighbor, before, after in entries:
                    rank = after if before is None else before
                    with thumbnails.beside(workspace.corpus, neighbor):
                        st.button(
                            plain(f"{rank}. {shortened(workspace.corpus.texts[neighbor], PANEL_CHARACTERS)}"),
                            key=f"panel_{name}_{neighbor}", type="tertiary", on_click=select, args=(neighbor,),
                        )  # fmt: skip


def _found() -> None:
    item = st.session_state[BOX_KEY]
    select(*(() if item is None else (item,)))


def take_points(key: str) -> None:
    """What a chart calls when points are chosen in it: their `customdata` are texts."""
    points = st.session_state[key]["selection"]["points"]
    items = [point.get("customdata") for point in points]
    flat = [item[0] if isinstance(item, (list, tuple)) else item for item in items if item is not None]
    if flat:
        select(*map(int, flat))


def take_row(items: Sequence[int]) -> Callable[[str], None]:
    """What a table calls when a row is chosen in it: row n stands for text `items[n]`."""

    def take(key: str) -> None:
        if rows := st.session_state[key]["selection"]["rows"]:
            select(items[rows[0]])

    return take
