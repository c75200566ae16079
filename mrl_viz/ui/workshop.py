"""The Workshop page's doors: alone, by a room's code, or as its presenter; the lessons there are."""

from __future__ import annotations

import random

import streamlit as st

from mrl_viz.data.samples import SAMPLES
from mrl_viz.errors import MrlVizError
from mrl_viz.files import cache_folder
from mrl_viz.lessons.lesson import MOST_BYTES, SHIPPED, Lesson, read_lesson
from mrl_viz.lessons.room import MOST_HOURS, Room, Rooms
from mrl_viz.lessons.worksheet import teacher_page, worksheet
from mrl_viz.ui.charts import download, failure, plain, small_print
from mrl_viz.ui.lesson_truth import usual, words_of
from mrl_viz.ui.memory import count_uploads
from mrl_viz.ui.seat import Place, seat_shown
from mrl_viz.ui.stage import stage_shown
from mrl_viz.ui.workspace import current_workspace

ROOM, SEAT, KEY = "room", "seat", "key"
ADDRESS_KEY, ALONE_KEY, OWN_KEY, EVERY_KEY = "workshop_address", "workshop_alone", "own_lesson", "workshop_every"
OWN = "A file of yours"
# Seconds between two looks of a participant's page at its room; each has its own: a class does not come at once.
EVERY_S, JITTER_S = 5.0, 3.0


@st.cache_resource(show_spinner=False)
def rooms() -> Rooms:
    """The server's rooms."""
    return Rooms(cache_folder() / "rooms")


def room_asked_for() -> bool:
    """Whether the address, or this session before it went to another page, is in a room; the address has it then."""
    kept: dict[str, str] = st.session_state.get(ADDRESS_KEY, {})
    if ROOM in st.query_params:
        if kept.get(ROOM) != st.query_params[ROOM]:
            kept = {}
        named = {name: st.query_params[name] for name in (ROOM, SEAT, KEY) if name in st.query_params}
        st.session_state[ADDRESS_KEY] = kept = kept | named
    for name, value in kept.items():
        st.query_params[name] = value
    return bool(kept)


def in_room() -> None:
    """The presenter's screen where the address has a key, else a seat."""
    kept: dict[str, str] = st.session_state[ADDRESS_KEY]
    try:
        room = rooms().find(kept[ROOM])
        if KEY in kept:
            st.set_page_config(initial_sidebar_state="collapsed")  # room for what the class reads
            stage_shown(room, kept[KEY])
            return
        seat = room.join(kept.get(SEAT))
    except MrlVizError as error:
        failure(str(error))
        with st.container(horizontal=True):
            st.button("Go on without a room", key="leave_room", on_click=_leave)
            if KEY in kept:
                st.button("Join as a participant", key="join_instead", on_click=_without_key)
        return
    # The address carries the seat, so that a reload finds it; what is shown to the room has none.
    kept[SEAT] = st.query_params[SEAT] = seat
    every = st.session_state.setdefault(EVERY_KEY, EVERY_S + random.uniform(0, JITTER_S))
    st.fragment(seat_shown, run_every=every)(Place(room, seat))
    st.button("Leave the room", key="leave_room", type="tertiary", on_click=_leave)


def _leave() -> None:
    st.session_state.pop(ADDRESS_KEY, None)
    for name in (ROOM, SEAT, KEY):
        st.query_params.pop(name, None)


def _without_key() -> None:
    st.session_state[ADDRESS_KEY].pop(KEY, None)
    st.query_params.pop(KEY, None)


def choose_lesson() -> tuple[str, Lesson] | None:
    """The lesson to walk through or to open a room with, by its name; None while a file of one's own is awaited."""
    name = st.segmented_control(
        "Lesson", [*SHIPPED, OWN], default=next(iter(SHIPPED)), required=True, key="lesson",
        label_visibility="collapsed", persist_state="session",
    )  # fmt: skip
    if name != OWN:
        return str(name), read_lesson(SHIPPED[str(name)])
    file = st.file_uploader(
        f"A lesson as one TOML file, up to {MOST_BYTES // 1000} kB (docs/workshop.md has the format)", ["toml"],
        key="lesson_file",
    )  # fmt: skip
    count_uploads("lesson_file", [file] if file else [])
    if file is not None:
        try:
            st.session_state[OWN_KEY] = f"{file.name} {file.file_id}", read_lesson(file.getvalue(), file.name)
        except MrlVizError as error:
            failure(str(error))
            return None
    own: tuple[str, Lesson] | None = st.session_state.get(OWN_KEY)
    return own


def alone(name: str, lesson: Lesson) -> None:
    """The lesson step by step, without a room."""
    kept: tuple[str, Place] | None = st.session_state.get(ALONE_KEY)
    if kept is None or kept[0] != name:
        room, key = Room.new("ALONE", lesson)
        kept = st.session_state[ALONE_KEY] = name, Place(room, room.join(), key)
    st.fragment(seat_shown)(kept[1])
    if kept[1].room.view().step:
        st.button("Start again", key="start_again", type="tertiary", on_click=_forget_walk)


def _forget_walk() -> None:
    st.session_state.pop(ALONE_KEY, None)


def doors(name: str, lesson: Lesson) -> None:
    """Open a room with the lesson, or join one by its code."""
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Present")
        small_print(
            f"{lesson.takeaway()} You get a code and a QR code for the room, and go on by a button. The address of "
            "your page then holds your key: keep it to yourself, and project in full screen."
        )
        if st.button("Open a room", key="open_room", type="primary"):
            _open(lesson)
    with right, st.form("join_form", border=False):
        st.subheader("Join")
        code = st.text_input("Room code", key="room_code", max_chars=12, placeholder="as on the presenter's screen")
        if st.form_submit_button("Join the room"):
            _enter({ROOM: (code or "").strip().upper()})
    small_print(
        f"A room keeps what is locked and written in it under seats without names, on this server, for {MOST_HOURS} "
        "hours; sentences and texts of your own are not sent to it."
    )


def _open(lesson: Lesson) -> None:
    workspace = usual(current_workspace())
    data = str(st.session_state.get("data"))
    about = {
        "data": data if data in SAMPLES else "data of the presenter's own", "model": workspace.model,
        "fingerprint": workspace.embedded.fingerprint,
    }  # fmt: skip
    try:
        room, key = rooms().open(lesson.worded(**words_of(workspace)), **about)
    except MrlVizError as error:
        failure(str(error))
        return
    _enter({ROOM: room.code, KEY: key})


def _enter(address: dict[str, str]) -> None:
    st.session_state[ADDRESS_KEY] = address
    for name, value in address.items():
        st.query_params[name] = value
    st.rerun()


def papers(lesson: Lesson) -> None:
    """A sheet for each participant and notes for the teacher, as files that a browser prints."""
    words = words_of(usual(current_workspace()))
    with st.container(horizontal=True):
        made = lesson.worded(**words)
        download("Worksheet, one A4 side (HTML)", lambda: worksheet(made), "worksheet.html", "worksheet")
        download("Teacher's notes (HTML)", lambda: teacher_page(made), "teacher.html", "teacher")
    st.caption("Open a file in a browser and print it; it needs no network.")
    for number, step in enumerate(made.steps, start=1):
        st.markdown(f"**{number} {plain(step.title)}** {plain(step.timing())}")
        lines = [step.question, step.misconception and f"Misconception: {step.misconception}"]
        lines += [f"{answer}: {because}" for answer, because in step.wrong]
        lines.append(step.say and f"Say: {step.say}")
        small_print(*filter(None, lines))
