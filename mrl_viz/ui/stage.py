"""The presenter's screen: where the lesson stands, how many have locked, what is next; big enough for a room."""

from __future__ import annotations

import io
from functools import partial
from urllib.parse import urlsplit

import segno
import streamlit as st

from mrl_viz import figures
from mrl_viz.errors import InvalidInputError, MrlVizError
from mrl_viz.lessons.lesson import Step
from mrl_viz.lessons.room import Room, View
from mrl_viz.ui.charts import download, failure, hint, plain, small_print
from mrl_viz.ui.lesson_truth import asked_shown, data_of, picture, truth_in, truth_shown
from mrl_viz.ui.seat import TALK

POLL_S = 2.0
FIGURE_HEIGHT = 340
QR_PIXELS = 280
HERE_ONLY = ("localhost", "127.0.0.1", "::1")
PHASES = {
    "think": "think and lock", "talk": "talk", "revote": "guess again", "reveal": "what was measured", "open": "",
}  # fmt: skip
NEXT = {"think": "Talk", "talk": "Guess again", "revote": "Reveal", "reveal": "Next step", "open": "Next step"}
COUNTED = {"reveal": "looked", "open": "done"}
NAMES = {"first": "alone", "second": "after talking", "again": "at the end"}


def stage_shown(room: Room, key: str) -> None:
    """The step as the room sees it, and the presenter's buttons."""
    room.check_key(key)
    view = room.view()
    step = room.lesson.steps[view.step]
    head, controls = st.columns([5, 4], vertical_alignment="center")
    with head:
        _watch(room, _shown(view))
    if view.is_over:
        st.title("That was the lesson", anchor=False)
        _summary(room, key)
        return
    with controls.container(horizontal=True, horizontal_alignment="right"):
        _controls(room, key, view, step)
    if room.trouble:
        st.warning(plain(room.trouble))
    if view.phase == "reveal":
        _revealed(room, view, step)
    else:
        _asked(room, key, view, step)


def _shown(view: View) -> tuple[object, ...]:
    return view.step, view.phase, view.turn, view.is_over


@st.fragment(run_every=POLL_S)
def _watch(room: Room, shown: tuple[object, ...]) -> None:
    """The only part that asks again by itself: time left, and how many have answered."""
    view = room.view()
    if _shown(view) != shown:
        st.rerun()
    step = room.lesson.steps[view.step]
    left = view.seconds_left
    time = "" if left is None or view.is_over else f" · {left // 60}:{left % 60:02} left"
    count = f"{view.n_answers} of {view.n_seats} {COUNTED.get(view.phase, 'locked')}"
    if view.is_over or step.kind == "join":
        count = f"{view.n_seats} {'took part' if view.is_over else 'here'}"
    doing = PHASES[view.phase] and f" · {PHASES[view.phase]}"
    st.markdown(f"### {count}{time}\nstep {view.step + 1} of {len(room.lesson.steps)}{doing} · room **{room.code}**")


def _controls(room: Room, key: str, view: View, step: Step) -> None:
    """What comes next, in the same place: the first press reveals, the second moves on."""
    name, seen = f"{view.step}_{view.phase}_{view.turn}", (view.step, view.phase)
    is_last = view.step + 1 == len(room.lesson.steps)
    words = "End" if is_last and view.phase in ("reveal", "open") else NEXT[view.phase]
    # A button's name says what was seen when it was pressed: a press that comes late moves nothing.
    if st.button(words, key=f"next_{name}", type="primary"):
        _go(room, key, seen, step, reveals=view.phase == "revote")
    if view.phase in ("think", "talk") and st.button("Reveal", key=f"reveal_{name}"):
        _go(room, key, seen, step, reveals=True)
    if step.kind != "join" and st.button("Reset", key=f"reset_{name}", help="Begins this step again without its votes"):
        room.reset(key, seen)
        st.rerun()
    with st.popover("More", key=f"more_{name}"):
        if step.kind == "vote" and view.phase != "reveal" and st.button("Skip this step", key=f"skip_{name}"):
            room.skip(key, seen)
            st.rerun()
        if view.phase == "reveal":
            _way_in(room)
        _notes(step)
        _csv(room, key)


def _go(room: Room, key: str, seen: tuple[int, str], step: Step, *, reveals: bool) -> None:
    """Move on; what cannot be measured or came late is said, and the room stays where it is."""
    try:
        if reveals:
            workspace = data_of(room)
            if workspace is None:
                raise InvalidInputError(
                    f"This room asks about `{room.data}` by `{room.model}`, which this browser has not got (any more): "
                    "choose them in the sidebar, or skip the step under More."
                )
            room.reveal(key, seen, truth_in(workspace, step))
        else:
            room.advance(key, seen)
    except MrlVizError as error:
        failure(str(error))
        return
    st.rerun()


def _asked(room: Room, key: str, view: View, step: Step) -> None:
    left, right = st.columns([7, 3], gap="medium")
    with left:
        st.title(plain(step.question or step.title), anchor=False)
        if step.kind == "exit":
            _tallies(room, key)
        has_figure = False
        if step.kind == "vote" and (workspace := data_of(room)) is not None:
            try:
                has_figure = asked_shown(workspace, step, FIGURE_HEIGHT)
            except MrlVizError as error:
                failure(str(error))
        if step.options and not has_figure:
            st.markdown(
                "\n".join(f"### {letter}\u2002{plain(option)}" for letter, option in zip("ABCDEF", step.options))
            )
        elif step.options:
            st.markdown("#### " + "\u2003".join(plain(option) for option in step.options))
        elif step.range and not has_figure:
            low, high, _ = step.range
            st.markdown(f"### {low:g} to {high:g} {plain(step.unit)}")
        if view.phase == "talk":
            st.markdown(f"#### {TALK}")
        if step.kind == "join" and step.say:
            st.markdown(f"#### {plain(step.say)}")
    with right:
        _way_in(room)


def _way_in(room: Room) -> None:
    """The code, the address and its QR code."""
    address = _address(room.code)
    if urlsplit(address).hostname in HERE_ONLY:  # a QR code of it would lead a phone to itself
        st.warning(
            "Only this machine reaches this address, so there is no QR code. For a room start with "
            "`STREAMLIT_SERVER_ADDRESS=0.0.0.0` and open this page by the machine's own name or number."
        )
    else:
        st.image(_qr(address), width=QR_PIXELS, alt=f"QR code of {address}")
    st.markdown(f"## {room.code}\n{plain(address)}")


def _address(code: str) -> str:
    """Where participants go: this page, without the presenter's key."""
    base = (st.context.url or "/workshop").partition("?")[0].partition("#")[0]
    return f"{base}?room={code}"


@st.cache_data(max_entries=200, show_spinner=False)
def _qr(address: str) -> bytes:
    out = io.BytesIO()
    segno.make(address, error="m").save(out, kind="png", scale=8, border=2)
    return out.getvalue()


def _revealed(room: Room, view: View, step: Step) -> None:
    """The truth in a sentence, the figure it is read from, and the class beside it."""
    if view.truth is None:
        return
    st.title(plain(view.truth.said), anchor=False)
    left, right = st.columns([3, 2])
    with left:
        try:
            if (workspace := data_of(room)) is not None:
                truth_shown(workspace, step, view.truth.said, FIGURE_HEIGHT)
        except MrlVizError as error:
            failure(str(error))
    with right:
        said = " ".join(f"{NAMES[tally.round].capitalize()}: {tally.takeaway()}" for tally in view.tallies)
        picture("votes", figures.votes(step, view.tallies, view.truth, FIGURE_HEIGHT), said, FIGURE_HEIGHT)
        small_print(said)
    if step.say:
        st.markdown(f"##### {plain(step.say)}")


def _notes(step: Step) -> None:
    """For the presenter's own eyes: nobody else's screen has them, but this one may be on the wall."""
    if step.misconception:
        st.markdown(f"**Misconception:** {plain(step.misconception)}")
    for answer, because in step.wrong:
        st.markdown(f"**{plain(answer)}**: {plain(because)}")
    if step.say:
        st.markdown(f"**Say:** {plain(step.say)}")


def _csv(room: Room, key: str) -> None:
    download("Download the answers (CSV)", partial(room.to_csv, key), f"room_{room.code}.csv", "room_csv")


def _summary(room: Room, key: str) -> None:
    """How the class did, and its answers to take along."""
    _tallies(room, key)
    _csv(room, key)
    hint("The answers are kept on this server until the room's hours are over, then they are gone.")


def _tallies(room: Room, key: str) -> None:
    """Right answers of every question that was revealed: alone, after talking, and of the first one at the end."""
    found: dict[int, dict[str, str]] = {}
    for tally in room.tallies(key):
        place = room.lesson.first_vote if tally.round == "again" else tally.step
        # Before the end the last vote is still going on.
        if (
            place is not None
            and tally.n_right is not None
            and tally.n_votes
            and (tally.round != "again" or room.is_over)
        ):
            share = f"{tally.n_right / tally.n_votes:.0%} ({tally.n_right} of {tally.n_votes})"
            found.setdefault(place, {})[NAMES[tally.round]] = share
    if found:
        rows = [{"right about": plain(room.lesson.steps[place].title), **dict.fromkeys(NAMES.values(), ""), **shares}
                for place, shares in sorted(found.items())]  # fmt: skip
        st.table({name: [row[name] for row in rows] for name in rows[0]})
