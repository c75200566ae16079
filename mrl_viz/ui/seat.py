"""A participant's seat at a lesson: think and lock, talk, vote again, see, say what was seen; in a room or alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import streamlit as st

from mrl_viz import figures
from mrl_viz.errors import MrlVizError
from mrl_viz.lessons.lesson import Step, Truth
from mrl_viz.lessons.room import MOST_WORDS, SAW, Answer, Room, View
from mrl_viz.ui.charts import failure, headline, plain, small_print
from mrl_viz.ui.lesson_truth import (
    FIGURE_HEIGHT,
    asked_shown,
    data_of,
    is_everybodys,
    picture,
    truth_in,
    truth_shown,
    usual,
    words_of,
)
from mrl_viz.ui.search import index_of
from mrl_viz.ui.selection import shortened, typed_subject
from mrl_viz.ui.views import way_to
from mrl_viz.ui.workspace import OWN, Workspace, current_workspace

SAID_KEY, WISH_KEY = "seat_said", "seat_wish"
PHASES = {
    "think": "think, and lock a guess", "talk": "talk", "revote": "guess again", "reveal": "what was measured",
    "open": "",
}  # fmt: skip
TALK = "Find a neighbor who guessed otherwise. Why? What would have to be true for each of you to be right?"
TALK_ALONE = "Say in a sentence why, aloud or to a neighbor; then guess again."
SENTENCE_CHARACTERS = 300


@dataclass(frozen=True)
class Place:
    """A seat in a room. `key` : of a walk alone, where the participant is her own presenter; else empty."""

    room: Room
    seat: str
    key: str = ""

    @property
    def is_alone(self) -> bool:
        """Whether it is a walk without a room."""
        return bool(self.key)

    def data(self) -> Workspace | None:
        """What the questions are measured in, where this session can draw it."""
        if self.is_alone:
            return usual(current_workspace())
        return data_of(self.room) if is_everybodys(self.room) else None


def seat_shown(place: Place) -> None:
    """The step as it stands; drawn again alone, while the sidebar stays."""
    _reveal_alone(place)
    view = place.room.view()
    step = place.room.lesson.steps[view.step]
    if place.is_alone:
        step = step.worded(**words_of(usual(current_workspace())))
    _head(place, view, step)
    if view.is_over:
        _over(place)
    elif step.kind == "join":
        _join(place, view, step)
    elif step.kind == "exit":
        _exit(place, view, step)
    elif view.phase == "reveal":
        _reveal(place, view, step)
    else:
        _guess(place, view, step)
    _complaint(view)


def _head(place: Place, view: View, step: Step) -> None:
    where = f"Step {view.step + 1} of {len(place.room.lesson.steps)}"
    doing = PHASES[view.phase] or step.kind
    is_timed = view.seconds_left and not place.is_alone and not view.is_over
    left = f" · {view.seconds_left} s left" if is_timed else ""
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        st.caption(f"{where} · {doing}{left}")
        if not place.is_alone:
            st.caption(f"room **{view.code}**")
    if not view.is_over:
        _named(place, step.title)


def _named(place: Place, words: str) -> None:
    """The step's name: in a room nothing stands above it, alone the page's question."""
    (st.subheader if place.is_alone else st.title)(plain(words), anchor=False)


def _guess(place: Place, view: View, step: Step) -> None:
    """The question, and a guess that is locked once; between two guesses, what to talk about."""
    st.markdown(f"#### {plain(step.question)}")
    if (workspace := place.data()) is not None:
        with _sentences():
            asked_shown(workspace, step)
    round = "second" if view.phase == "revote" else "first"
    first, locked = place.room.answer_of(place.seat, "first"), place.room.answer_of(place.seat, round)
    if locked is None:
        key = f"guess_{view.code}_{view.step}_{view.turn}_{round}"
        with st.form(f"form_{key}", border=False):
            _answer(step, key, first)
            if round == "first":
                st.text_input("Why? One line, if you like; the presenter gets it without a name.", key=f"{key}_why",
                              max_chars=MOST_WORDS)  # fmt: skip
            words = "Lock" if round == "first" else "Lock the second guess"
            st.form_submit_button(words, type="primary", on_click=_lock, args=(place, view, round, key))
        return
    st.markdown(f"Locked: **{plain(step.said(locked))}**")
    if place.is_alone:
        st.write(TALK_ALONE)
        with st.container(horizontal=True):
            st.button("Guess again", key="seat_again", type="primary", on_click=_move, args=(place, view, "revote"))
            st.button("Show me", key="seat_show", on_click=_move, args=(place, view, "reveal"))
            st.button("Skip", key="seat_skip", type="tertiary", on_click=_move, args=(place, view, "next"))
    elif view.phase == "talk":
        st.write(TALK)
    else:
        st.caption("The presenter goes on when all are ready; nobody sees the guesses before that.")


def _answer(step: Step, key: str, start: Answer | None) -> None:
    """A slider or options to guess with."""
    if step.range is None:
        place = step.options.index(start) if isinstance(start, str) and start in step.options else None
        st.radio("Your guess", step.options, index=place, key=key, format_func=plain)
        return
    low, high, width = step.range
    middle = start if isinstance(start, float) else low + width * round((high - low) / width / 2)
    label = f"Your guess, {step.unit}" if step.unit else "Your guess"
    if all(number.is_integer() for number in (low, high, width, middle)):
        st.slider(label, int(low), int(high), int(middle), int(width), key=key)
    else:
        st.slider(label, low, high, middle, width, key=key)


def _lock(place: Place, view: View, round: str, key: str) -> None:
    answer = st.session_state.get(key)
    if answer is None:
        _complain(view, "Choose an answer first.")
        return
    _voted(place, view, round, answer)
    if why := str(st.session_state.get(f"{key}_why") or "").strip():
        _voted(place, view, "reason", why)
    if place.is_alone and round == "second":
        _move(place, place.room.view(), "reveal")


def _voted(place: Place, view: View, round: str, answer: Answer) -> None:
    try:
        place.room.vote(place.seat, view.step, round, answer)
    except MrlVizError as error:
        _complain(view, str(error))


def _move(place: Place, view: View, phase: str) -> None:
    """Alone: go on to a phase of the step, or to the next step."""
    room, seen = place.room, (view.step, view.phase)
    if phase == "reveal":
        st.session_state[WISH_KEY] = seen
        return
    try:
        if phase == "next":
            room.skip(place.key, seen)
        else:
            room.advance(place.key, seen)
            room.advance(place.key, (room.step, room.phase))
    except MrlVizError as error:
        _complain(room.view(), str(error))


def _reveal_alone(place: Place) -> None:
    """Measure what the question is judged by, after the press that asked for it."""
    wish, view = st.session_state.pop(WISH_KEY, None), place.room.view()
    if not place.is_alone or wish != (view.step, view.phase):
        return
    workspace = usual(current_workspace())
    step = place.room.lesson.steps[view.step].worded(**words_of(workspace))
    try:
        place.room.reveal(place.key, wish, truth_in(workspace, step))
    except MrlVizError as error:
        _complain(view, str(error))


def _reveal(place: Place, view: View, step: Step) -> None:
    """The class beside the truth, the figure, what was seen, the twin, and the page to go on with."""
    truth = view.truth
    if truth is None:
        return
    headline(truth.said)
    _own_guesses(place, step, truth)
    if not place.is_alone:
        said = " ".join(f"{name}: {tally.takeaway()}" for name, tally in zip(("Alone", "After talking"), view.tallies))
        picture("votes", figures.votes(step, view.tallies, truth, FIGURE_HEIGHT - 60), said, FIGURE_HEIGHT - 60)
    if (workspace := place.data()) is not None:
        with _sentences():
            truth_shown(workspace, step, truth.said)
    small_print(step.say)
    saw = place.room.answer_of(place.seat, "saw")
    st.markdown("**What did you see?**" + (f" {saw}" if saw else ""))
    if saw is None:
        with st.container(horizontal=True):
            for number, option in enumerate(SAW):
                st.button(f"{option[0].upper()}{option[1:]}", key=f"saw_{view.code}_{view.step}_{view.turn}_{number}",
                          on_click=_voted, args=(place, view, "saw", option))  # fmt: skip
    else:
        _twin(step, f"{view.code}_{view.step}")
        _way_on(step)
    if place.is_alone:
        st.button("Next step", key="seat_next", type="primary", on_click=_move, args=(place, view, "next"))


def _own_guesses(place: Place, step: Step, truth: Truth) -> None:
    guesses = [place.room.answer_of(place.seat, round) for round in ("first", "second")]
    if all(guess is None for guess in guesses):
        return
    said = [f"{step.said(guess)} {'✓' if step.is_right(guess, truth.value) else '✗'}" for guess in guesses
            if guess is not None]  # fmt: skip
    near = f" (within {step.near:g} counts as right)" if step.range is not None and step.near else ""
    st.markdown(f"You guessed {plain(', then '.join(said))}{near}.")


def _twin(step: Step, key: str) -> None:
    """The question once more, on the texts of this session; what is answered here goes nowhere."""
    workspace, twin = usual(current_workspace()), step.again()
    if twin is None:
        return
    twin = twin.worded(**words_of(workspace))
    is_own = st.session_state.get("data") == OWN
    with st.form(f"twin_{key}"):
        where = "on your own texts" if is_own else "on the sample (with texts of your own, from Start, on those)"
        st.markdown(f"**Once more, {where}:** {plain(twin.question)}")
        _answer(twin, f"twin_answer_{key}", None)
        if not st.form_submit_button("Check"):
            return
    answer = st.session_state.get(f"twin_answer_{key}")
    if answer is None:
        failure("Choose an answer first.")
        return
    with _sentences():
        truth = truth_in(workspace, twin)
        st.markdown(f"{'✓' if twin.is_right(answer, truth.value) else '✗'} {plain(truth.said)}")


def _way_on(step: Step) -> None:
    """To the page in the state that the step needs."""
    if step.page:
        note = "You come back by Learn, Workshop: your place is kept."
        way_to("Look for yourself", step.page, step.state, key="look", note=note)


def _join(place: Place, view: View, step: Step) -> None:
    """A sentence of one's own and the text that is nearest to it; it is not sent to the room."""
    if step.question:
        st.markdown(f"#### {plain(step.question)}")
    workspace = usual(current_workspace())
    if workspace.is_ready:
        st.caption("These vectors came without their model, so that no sentence can be embedded.")
    else:
        with _sentences():
            subject = typed_subject(workspace, "Your sentence", key="own_sentence", placeholder="Any sentence")
            if subject is not None:
                found = index_of(workspace).search(subject.vector, 1).indices[0]
                st.markdown("Nearest to it:")
                st.text(shortened(workspace.corpus.texts[int(found[0])], SENTENCE_CHARACTERS))
    small_print(step.say)
    _way_on(step)
    if place.is_alone:
        st.button("Next step", key="seat_next", type="primary", on_click=_move, args=(place, view, "next"))
    else:
        st.caption("You are in. The presenter begins in a moment.")


def _exit(place: Place, view: View, step: Step) -> None:
    """A sentence for the door, and the first question once more."""
    room, first = place.room, place.room.lesson.first_vote
    key = f"exit_{view.code}_{view.turn}"
    written, again = (room.answer_of(place.seat, round) for round in ("exit", "again"))
    if written is not None or again is not None:
        st.markdown("Locked. Thank you.")
        if place.is_alone:
            st.button("End", key="seat_next", type="primary", on_click=_move, args=(place, view, "next"))
        return
    with st.form(f"form_{key}", border=False):
        st.text_area(plain(step.question) or "One sentence", key=key, max_chars=MOST_WORDS)
        if first is not None:
            asked = room.lesson.steps[first]
            if place.is_alone:
                asked = asked.worded(**words_of(usual(current_workspace())))
            st.markdown(f"**And once more:** {plain(asked.question)}")
            _answer(asked, f"{key}_again", None)
        st.form_submit_button("Lock", type="primary", on_click=_leave, args=(place, view, key))


def _leave(place: Place, view: View, key: str) -> None:
    written, again = str(st.session_state.get(key) or "").strip(), st.session_state.get(f"{key}_again")
    if not written and again is None:
        _complain(view, "Write a sentence, or answer the question.")
    if written:
        _voted(place, view, "exit", written)
    if again is not None:
        _voted(place, view, "again", again)


def _over(place: Place) -> None:
    n_asked, first, second = place.room.score_of(place.seat)
    _named(place, "That was the lesson")
    headline(f"Of {n_asked} questions you were right about {first} at once and about {second} after a second thought.")
    asked = place.room.lesson.first_vote
    again = place.room.answer_of(place.seat, "again")
    if again is not None and asked is not None and (truth := place.room.truths.get(asked)) is not None:
        step = place.room.lesson.steps[asked]
        st.markdown(f"The first question again: {plain(step.said(again))} "
                    f"{'✓' if step.is_right(again, truth.value) else '✗'}")  # fmt: skip
    st.page_link("pages/home/start.py", label="Use your own texts", icon=":material/arrow_forward:")


def _complain(view: View, text: str) -> None:
    """Say it under the step until that goes on."""
    st.session_state[SAID_KEY] = (view.code, view.step, view.phase, view.turn), text


def _complaint(view: View) -> None:
    about, text = st.session_state.get(SAID_KEY, (None, ""))
    if about == (view.code, view.step, view.phase, view.turn):
        failure(text)


@contextmanager
def _sentences() -> Iterator[None]:
    """What cannot be measured is a sentence here, and the lesson goes on."""
    try:
        yield
    except MrlVizError as error:
        failure(str(error))
