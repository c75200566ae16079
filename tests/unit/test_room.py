"""Rooms: votes counted once, nobody sees results early, a reload keeps the seat, a restart keeps the room."""

import csv
import io
import json
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrl_viz.errors import InvalidInputError
from mrl_viz.lessons import room as rooms_module
from mrl_viz.lessons.lesson import PHASES, SHIPPED, Truth, read_lesson
from mrl_viz.lessons.room import MOST_HOURS, MOST_PARTICIPANTS, ROUNDS, SAW, Room, Rooms
from tests.unit.test_lesson import LESSON

THREE_STEPS = LESSON + '\n[[step]]\nkind = "exit"\ntitle = "Bye"\nquestion = "Your width?"\n'
LESSON_OF_THREE = read_lesson(THREE_STEPS.encode(), "three.toml")
TRUTH = Truth(6.1, "So it is.", 5.9, 6.3, 0.08)
JOIN, THINK, TALK, REVOTE, REVEAL = (0, "open"), (1, "think"), (1, "talk"), (1, "revote"), (1, "reveal")


class Clock:
    """Seconds that pass when told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def opened(tmp_path, clock):
    """The rooms of a server, one of them at its first guess, and its presenter's key."""
    rooms = Rooms(tmp_path / "rooms", clock)
    room, key = rooms.open(LESSON_OF_THREE)
    room.advance(key, JOIN)
    return rooms, room, key


def to(room, key, phase):
    """Move on until the room is at a phase."""
    while room.phase != phase:
        room.advance(key, (room.step, room.phase), TRUTH)


def test_every_phase_asks_for_something():
    """No phase of a step is without a round that may be answered in it."""
    assert {*PHASES, "open"} == {phase for phases in ROUNDS.values() for phase in phases}


def test_forty_vote_at_once_and_each_is_counted_once(opened):
    """From as many threads, each pressing twice: forty votes in both rounds, in the distribution after the reveal."""
    _, room, key = opened
    seats = [room.join() for _ in range(40)]
    assert len(set(seats)) == 40

    def press(seat, number, round):
        room.vote(seat, 1, round, number % 11)
        with pytest.raises(InvalidInputError, match="locked already"):
            room.vote(seat, 1, round, 3)

    for phase, round in (("think", "first"), ("revote", "second")):
        to(room, key, phase)
        threads = [threading.Thread(target=press, args=(seat, number, round)) for number, seat in enumerate(seats)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert room.view().n_answers == 40
    to(room, key, "reveal")
    for tally in room.view().tallies:
        assert tally.n_votes == 40 == sum(count for _, count in tally.counts)
        assert dict(tally.counts)[0] == 4 and dict(tally.counts)[9] == 3
        assert tally.n_right == dict(tally.counts)[6] and "of 40 right" in tally.takeaway()


def test_nobody_sees_results_before_the_reveal(opened):
    """What everybody sees has no distribution and no truth until then; only the presenter's key shows them earlier."""
    _, room, key = opened
    seat = room.join()
    room.vote(seat, 1, "first", 7)
    for phase in ("think", "talk", "revote"):
        to(room, key, phase)
        view = room.view()
        assert view.tallies == () and view.truth is None
        with pytest.raises(InvalidInputError, match="not the presenter's link"):
            room.tallies("guess")
    assert dict(room.tallies(key)[0].counts) == {7: 1}
    to(room, key, "reveal")
    assert room.view().truth.value == 6.1 and room.view().tallies[0].n_votes == 1


def test_only_the_presenter_moves_the_room_and_two_presses_move_it_once(opened):
    """A wrong key changes nothing; of two presenters' presses at the same moment the later is told so."""
    _, room, key = opened
    for move in (
        lambda: room.advance("x", THINK),
        lambda: room.reset("x", THINK),
        lambda: room.reveal("x", THINK, TRUTH),
    ):
        with pytest.raises(InvalidInputError, match="not the presenter's link"):
            move()
    room.advance(key, THINK)
    with pytest.raises(InvalidInputError, match="moved on since you pressed"):
        room.advance(key, THINK)
    assert (room.step, room.phase) == TALK
    room.advance(key, TALK)
    with pytest.raises(InvalidInputError, match="no truth to reveal"):
        room.advance(key, REVOTE)
    assert (room.step, room.phase) == REVOTE
    room.reveal(key, REVOTE, TRUTH)
    with pytest.raises(InvalidInputError, match="nothing to reveal"):
        room.reveal(key, REVEAL, TRUTH)
    room.advance(key, REVEAL)
    assert room.at.kind == "exit" and not room.view().is_over
    room.advance(key, (2, "open"))
    assert room.view().is_over
    with pytest.raises(InvalidInputError, match="is over; ask for a new one"):
        room.join()


@pytest.mark.parametrize(
    ("step", "round", "answer", "said"),
    [
        (0, "first", 5, "came too late"),
        (2, "first", 5, "came too late"),
        ("1", "first", 5, "came too late"),
        (True, "first", 5, "came too late"),
        (1, "second", 5, "came too late"),
        (1, "exit", "bye", "came too late"),
        (1, "<script>alert(1)</script>", 5, "`round` is '<script>alert.1.</sc'; it is one of"),
        (1, "first", 11, "number from 0 to 10"),
        (1, "first", float("nan"), "number from 0 to 10"),
        (1, "first", float("inf"), "number from 0 to 10"),
        (1, "first", True, "number from 0 to 10"),
        (1, "first", "5", "number from 0 to 10"),
        (1, "first", [5], "number from 0 to 10"),
        (1, "reason", "x" * 281, "1 to 280 characters"),
        (1, "reason", "   ", "1 to 280 characters"),
        (1, "reason", {"a": 1}, "1 to 280 characters"),
        (1, "again", 5, "came too late"),
    ],
)
def test_hostile_votes_are_refused(opened, step, round, answer, said):
    """Another step, another phase, something huge or not of the step: one sentence, and nothing is counted."""
    _, room, _ = opened
    seat = room.join()
    with pytest.raises(InvalidInputError, match=said):
        room.vote(seat, step, round, answer)
    assert not room.votes
    with pytest.raises(InvalidInputError, match="no such seat"):
        room.vote("somebody", 1, "first", 5)


def test_a_reload_keeps_the_seat_and_a_stranger_gets_a_new_one(opened):
    """The seat is the one that was given, and what it has locked is there."""
    _, room, _ = opened
    seat = room.join()
    room.vote(seat, 1, "first", 4)
    assert room.join(seat) == seat and room.answer_of(seat, "first") == 4
    assert room.join("made up") not in (seat, "made up") and len(room.seats) == 2


def test_who_comes_late_is_at_the_current_step(opened):
    """A first guess is taken while others talk; before the second vote nothing of the others is seen."""
    _, room, key = opened
    to(room, key, "talk")
    seat = room.join()
    room.vote(seat, 1, "first", 4)
    assert room.view().phase == "talk" and room.view().n_answers == 1


def test_rooms_never_mix(opened):
    """A seat, a key and a vote of one room are nothing in another."""
    rooms, room, key = opened
    other, other_key = rooms.open(LESSON_OF_THREE)
    assert other.code != room.code and other_key != key
    other.advance(other_key, JOIN)
    seat = room.join()
    with pytest.raises(InvalidInputError, match="no such seat"):
        other.vote(seat, 1, "first", 5)
    with pytest.raises(InvalidInputError, match="not the presenter's link"):
        other.advance(key, THINK)
    room.vote(seat, 1, "first", 5)
    assert other.view().n_answers == 0 and rooms.find(f" {room.code.lower()} ") is room


def test_a_restart_keeps_the_room(opened, clock, tmp_path):
    """From its file: the step, the seats, the votes, the countdown, and the presenter's key still fits."""
    _, room, key = opened
    seat = room.join()
    room.vote(seat, 1, "first", 4)
    clock.now += 20
    room.join()
    later = Clock()
    later.now = 5.0  # a clock that began anew with the machine
    again = Rooms(tmp_path / "rooms", later).find(room.code)
    assert (again.step, again.phase, again.seats) == (room.step, room.phase, room.seats)
    assert again.answer_of(seat, "first") == 4 and again.lesson == room.lesson
    assert again.view().seconds_left == room.view().seconds_left == 25
    assert key not in json.dumps(room.to_dict())
    again.advance(key, THINK)
    again.vote(again.join(), 1, "first", 5)
    assert Rooms(tmp_path / "rooms", later).find(room.code).phase == "talk"


def test_torn_and_foreign_files_of_rooms_are_left_alone(opened, tmp_path):
    """What cannot be read is no room, and hides no other."""
    _, room, _ = opened
    for name, text in (("AAAA", "{"), ("BBBB", "[]"), ("CCCC", json.dumps(room.to_dict() | {"schema": 99}))):
        (tmp_path / "rooms" / f"{name}.json").write_text(text)
    again = Rooms(tmp_path / "rooms")
    assert again.find(room.code).code == room.code
    with pytest.raises(InvalidInputError, match="no room `AAAA`"):
        again.find("AAAA")


def test_the_countdown_does_not_follow_the_wall_clock(opened, clock):
    """It is of seconds that pass; at its end nothing moves by itself."""
    _, room, key = opened
    clock.now += 30
    assert room.view().seconds_left == 15
    clock.now += 3000
    assert room.view().seconds_left == 0 and room.view().phase == "think"
    room.advance(key, THINK)
    assert room.view().seconds_left is None


def test_rooms_and_seats_are_bounded_and_end(opened, clock, monkeypatch, tmp_path):
    """A full room, too many rooms and a room of yesterday are one sentence; yesterday's makes room for a new one."""
    rooms, room, _ = opened
    for _ in range(MOST_PARTICIPANTS):
        room.join()
    with pytest.raises(InvalidInputError, match=rf"Room `{room.code}` is full .200 seats."):
        room.join()
    monkeypatch.setattr(rooms_module, "MOST_ROOMS", 2)
    rooms.open(LESSON_OF_THREE)
    with pytest.raises(InvalidInputError, match="2 rooms already"):
        rooms.open(LESSON_OF_THREE)
    clock.now += MOST_HOURS * 3600 + 1
    with pytest.raises(InvalidInputError, match="no room"):
        rooms.find(room.code)
    fresh, _ = rooms.open(LESSON_OF_THREE)
    assert [path.stem for path in (tmp_path / "rooms").glob("*.json")] == [fresh.code]


def test_a_reset_begins_the_step_again(opened):
    """Its votes and its truth are gone, those of other steps stay."""
    _, room, key = opened
    seat = room.join()
    room.vote(seat, 1, "first", 4)
    to(room, key, "reveal")
    room.vote(seat, 1, "saw", SAW[1])
    room.reset(key, REVEAL)
    assert (room.step, room.phase) == THINK and not room.votes and room.view().truth is None
    room.vote(seat, 1, "first", 6)
    assert room.answer_of(seat, "first") == 6


def test_the_table_has_every_answer_and_no_formula(opened):
    """Type, step, answer, correct, participant, timestamp; people are numbers, and no cell begins a formula."""
    _, room, key = opened
    seats = [room.join(), room.join()]
    room.vote(seats[0], 1, "reason", "=HYPERLINK(1)")
    room.vote(seats[0], 1, "first", 6)
    room.vote(seats[1], 1, "first", 9)
    to(room, key, "reveal")
    rows = list(csv.DictReader(io.StringIO(room.to_csv(key))))
    assert list(rows[0]) == ["type", "step", "answer", "correct", "participant", "timestamp"]
    shown = [(row["type"], row["step"], row["answer"], row["correct"], row["participant"]) for row in rows]
    assert shown == [
        ("reason", "2", "'=HYPERLINK(1)", "", "1"), ("first", "2", "6", "1", "1"), ("first", "2", "9", "0", "2"),
    ]  # fmt: skip
    assert not any(seat in room.to_csv(key) for seat in seats)
    with pytest.raises(InvalidInputError, match="not the presenter's link"):
        room.to_csv("")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(sorted(ROUNDS)), st.integers(0, 10)), max_size=40))
def test_whatever_is_pressed_counts_agree_with_the_votes(presses):
    """Any order of votes and moves: each seat has at most one vote a round, tallies add up, and a copy is equal."""
    room = Room("TEST", rooms_module._hashed("key"), LESSON_OF_THREE)
    seats = [room.join() for _ in range(4)]
    for who, round, answer in presses:
        try:
            if who == 4:
                room.advance("key", (room.step, room.phase), TRUTH)
            else:
                room.vote(seats[who], room.step, round, SAW[0] if round in ("reason", "saw", "exit") else answer)
        except InvalidInputError:
            continue
    for tally in room.tallies("key"):
        mine = [vote for vote in room.votes.values() if (vote.step, vote.round) == (tally.step, tally.round)]
        assert tally.n_votes == len(mine) == len({vote.seat for vote in mine}) <= 4
    copy = Room.from_dict(json.loads(json.dumps(room.to_dict())))
    assert copy.votes == room.votes and copy.truths == room.truths and copy.lesson == room.lesson


def test_nothing_is_written_where_nothing_is_asked(opened):
    """While people join, no text is taken; after the reveal what one saw is one of three clicks."""
    rooms, room, key = opened
    other, other_key = rooms.open(LESSON_OF_THREE)
    seat = other.join()
    for round in ("exit", "again"):
        with pytest.raises(InvalidInputError, match="came too late"):
            other.vote(seat, 0, round, "a text of mine")
    seat = room.join()
    to(room, key, "reveal")
    for answer in ("<script>alert(1)</script>", "x" * 10_000, 3, ["what I expected"]):
        with pytest.raises(InvalidInputError, match="one of: what I expected, something else"):
            room.vote(seat, 1, "saw", answer)
    room.vote(seat, 1, "saw", SAW[0])
    assert other_key != key and len(room.votes) == 1 and not other.votes


def test_the_exit_asks_the_first_question_again(opened):
    """Its vote is judged as the first question was, and stands in the table; the first vote of it counts."""
    _, room, key = opened
    seat = room.join()
    room.vote(seat, 1, "first", 9)
    to(room, key, "reveal")
    assert room.score_of(seat) == (1, 0, 0)
    room.advance(key, REVEAL)
    with pytest.raises(InvalidInputError, match="number from 0 to 10"):
        room.vote(seat, 2, "again", 11)
    room.vote(seat, 2, "again", 6)
    room.vote(seat, 2, "exit", "64, as nDCG stays")
    assert room.tallies(key)[-1].round == "again" and room.tallies(key)[-1].n_right == 1
    assert [row["correct"] for row in csv.DictReader(io.StringIO(room.to_csv(key)))] == ["0", "1", ""]


def test_a_step_that_cannot_be_judged_is_skipped(opened):
    """Without its reveal: nobody is shown a truth, and its votes are not judged."""
    _, room, key = opened
    seat = room.join()
    room.vote(seat, 1, "first", 6)
    with pytest.raises(InvalidInputError, match="not the presenter's link"):
        room.skip("x", THINK)
    room.skip(key, THINK)
    assert room.at.kind == "exit" and room.score_of(seat) == (0, 0, 0)
    assert [tally.n_right for tally in room.tallies(key)] == [None, None, None]


def test_a_disk_that_refuses_does_not_stop_the_class(opened, tmp_path):
    """The vote counts, the presenter is told in a sentence that a restart would lose the room, and it is kept again
    as soon as that works."""
    rooms, room, key = opened
    (tmp_path / "rooms" / f"{room.code}.json").unlink()
    (tmp_path / "rooms").rmdir()
    (tmp_path / "rooms").write_text("a file where the folder was")
    seat = room.join()
    room.vote(seat, 1, "first", 4)
    assert room.answer_of(seat, "first") == 4
    assert "cannot be written" in room.trouble and "a restart would lose it" in room.trouble
    (tmp_path / "rooms").unlink()
    room.advance(key, THINK)
    assert room.trouble == "" and Rooms(tmp_path / "rooms", rooms.clock).find(room.code).phase == "talk"


def test_a_room_ends_while_the_server_is_away_and_a_clock_that_was_set_back_ends_none(opened, clock, tmp_path):
    """What was written in it does not outlive its hours on the disk."""
    _, room, _ = opened
    file = tmp_path / "rooms" / f"{room.code}.json"
    kept = json.loads(file.read_text())
    file.write_text(json.dumps(kept | {"at": kept["at"] + 10**9}))
    assert Rooms(tmp_path / "rooms", clock).find(room.code).code == room.code
    file.write_text(json.dumps(kept | {"at": kept["at"] - MOST_HOURS * 3600 - 60}))
    again = Rooms(tmp_path / "rooms", clock)
    with pytest.raises(InvalidInputError, match="no room"):
        again.find(room.code)
    assert not file.exists()


def test_a_room_of_a_shipped_lesson_comes_back_equal(tmp_path):
    """With its twins and links, and the data that it is about."""
    for path in SHIPPED.values():
        room, _ = Rooms(tmp_path).open(read_lesson(path), data="sample:hard", model="wordllama", fingerprint="abc")
        again = Rooms(tmp_path).find(room.code)
        assert again.lesson == room.lesson
        assert (again.data, again.model, again.fingerprint) == ("sample:hard", "wordllama", "abc")
