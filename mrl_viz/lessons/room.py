"""Rooms: forty people at the same step, each vote counted once, and nobody shown the others' before the reveal."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import json
import math
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mrl_viz.errors import InvalidInputError, MrlVizError, StoreError
from mrl_viz.files import disk_errors, replaced_file
from mrl_viz.lessons.lesson import Lesson, Step, Truth, Twin
from mrl_viz.result import Result

# Letters and digits that nobody takes for others, read aloud or written on a board.
ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
CODE_LENGTH, KEY_BYTES, SEAT_BYTES = 4, 24, 12
MOST_ROOMS, MOST_PARTICIPANTS, MOST_HOURS, MOST_WORDS = 50, 200, 6, 280
SCHEMA = 1
SAW = ("what I expected", "something else", "I do not see it yet")
# A spreadsheet takes a cell that begins so for a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
# Rounds that are asked for, and in which phases each is taken: who comes late may still make a first guess.
ROUNDS = {
    "first": ("think", "talk"), "reason": ("think", "talk"), "second": ("revote",), "saw": ("reveal",),
    "exit": ("open",), "again": ("open",),
}  # fmt: skip
# Of a step of the kind "exit": its own question, and the lesson's first one again.
AT_EXIT = ("exit", "again")
NUMBERED = ("first", "second", "again")

Answer = float | str


@dataclass
class Vote:
    """What a seat answered in a round of a step, and when (UTC, ISO 8601)."""

    round: str
    step: int
    seat: str
    answer: Answer
    at: str


@dataclass(frozen=True)
class Tally(Result):
    """The votes of one round of a step: how often each answer was given, of how many who voted, and the right ones."""

    step: int
    round: str
    counts: tuple[tuple[Answer, int], ...]
    n_votes: int
    n_right: int | None

    def takeaway(self) -> str:
        """How many were right, or how many voted while that is not known."""
        if self.n_right is None or not self.n_votes:
            return f"{self.n_votes} votes."
        return f"{self.n_right} of {self.n_votes} right ({self.n_right / self.n_votes:.0%})."


@dataclass(frozen=True)
class View:
    """What everybody in a room may see: the step, its phase, the seconds left (None without a limit).

    `n_seats`, `n_answers` : participants, and how many have answered in this phase's round. `truth` and `tallies` of
    both rounds are there after the reveal only. `turn` : how often the step was begun again.
    """

    code: str
    step: int
    phase: str
    seconds_left: int | None
    n_seats: int
    n_answers: int
    truth: Truth | None
    tallies: tuple[Tally, ...]
    is_over: bool
    turn: int = 0


@dataclass
class Room:
    """One class at one lesson. Every method may be called from any thread.

    `key_hash` : of the presenter's key, which the room itself does not know. `clock` : seconds that never jump.
    `data`, `model`, `fingerprint` : what its questions are measured in. `trouble` : why a restart would lose it, in a
    sentence; empty while it is kept.
    """

    code: str
    key_hash: str
    lesson: Lesson
    clock: Callable[[], float] = time.monotonic
    step: int = 0
    phase: str = ""
    seats: list[str] = field(default_factory=list)
    votes: dict[tuple[str, int, str], Vote] = field(default_factory=dict)
    truths: dict[int, Truth] = field(default_factory=dict)
    is_over: bool = False
    data: str = "sample"
    model: str = ""
    fingerprint: str = ""
    turn: int = 0
    trouble: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    changed: Callable[[Room], None] = field(default=lambda room: None, repr=False)

    def __post_init__(self) -> None:
        self._lesson_dict = asdict(self.lesson)
        self.phase = self.phase or self.at.phases[0]
        self.opened, self.began = self.clock(), self.clock()

    @classmethod
    def new(cls, code: str, lesson: Lesson, **named: Any) -> tuple[Room, str]:
        """A room, and its presenter's key, which is told once; `named` : other fields."""
        key = secrets.token_urlsafe(KEY_BYTES)
        return cls(code, _hashed(key), lesson, **named), key

    @property
    def at(self) -> Step:
        """The current step."""
        return self.lesson.steps[self.step]

    # Participants

    def join(self, seat: str | None = None) -> str:
        """The seat of a participant: the one she had, after a reload, or a new one.

        Raises
        ------
        InvalidInputError : the room is full or over.
        """
        with self.lock:
            if seat is not None and seat in self.seats:
                return seat
            self._check_open()
            if len(self.seats) >= MOST_PARTICIPANTS:
                raise InvalidInputError(f"Room `{self.code}` is full ({MOST_PARTICIPANTS} seats); ask for another.")
            self.seats.append(secrets.token_urlsafe(SEAT_BYTES))
            self.changed(self)
            return self.seats[-1]

    def vote(self, seat: str, step: int, round: str, answer: Answer) -> None:
        """Lock an answer; the first one of a seat, step and round counts.

        `step` : the one that the participant saw. `round` : one of ROUNDS.

        Raises
        ------
        InvalidInputError : another step or phase, an answer that the step does not take, a seat that is not in the
        room or has voted, or a room that is over.
        """
        with self.lock:
            self._check_open()
            if seat not in self.seats:
                raise InvalidInputError(f"Room `{self.code}` has no such seat; join it again.")
            if round not in ROUNDS:
                raise InvalidInputError(f"`round` is {str(round)[:20]!r}; it is one of {', '.join(ROUNDS)}.")
            is_asked = self.phase in ROUNDS[round] and (self.phase != "open" or self.at.kind == "exit")
            if type(step) is not int or step != self.step or not is_asked:
                raise InvalidInputError("The room has moved on, so this answer came too late; answer what it asks now.")
            if (round, step, seat) in self.votes:
                raise InvalidInputError("Your answer is locked already; it counts once.")
            now = datetime.now(UTC).isoformat(timespec="seconds")
            self.votes[round, step, seat] = Vote(round, step, seat, self._checked(round, answer), now)
            self.changed(self)

    def answer_of(self, seat: str, round: str) -> Answer | None:
        """What a seat has locked at the current step; None while nothing."""
        with self.lock:
            vote = self.votes.get((round, self.step, seat))
            return None if vote is None else vote.answer

    def view(self) -> View:
        """What everybody may see now."""
        with self.lock:
            is_shown = self.phase == "reveal"
            limit = self.at.seconds_of(self.phase)
            left = max(0, math.ceil(limit - (self.clock() - self.began))) if limit else None
            counted = next(name for name, phases in ROUNDS.items() if self.phase in phases)
            return View(
                self.code, self.step, self.phase, left, len(self.seats), self._n_votes(counted),
                self.truths.get(self.step) if is_shown else None,
                tuple(self._tally(self.step, name) for name in ("first", "second")) if is_shown else (),
                self.is_over or self.has_ended, self.turn,
            )  # fmt: skip

    # The presenter

    def check_key(self, key: str) -> None:
        """InvalidInputError where the key is not the presenter's."""
        if not hmac.compare_digest(_hashed(key), self.key_hash):
            raise InvalidInputError(f"This is not the presenter's link of room `{self.code}`; use your own.")

    def advance(self, key: str, seen: tuple[int, str], truth: Truth | None = None) -> None:
        """Go to the next phase, or from the last to the next step; after the last step the room is over.

        `seen` : step and phase that the presenter saw, so that two presses, or two presenters, do not skip one.
        `truth` : what the question is judged by, given with the step to "reveal".

        Raises
        ------
        InvalidInputError : a wrong key, a press that came late, a room that is over, or a reveal without a truth.
        """
        with self.lock:
            self._as_presenter(key, seen)
            phases = self.at.phases
            place = phases.index(self.phase) + 1
            if place < len(phases):
                self._show(phases[place], truth)
            else:
                self._next_step()
            self.changed(self)

    def skip(self, key: str, seen: tuple[int, str]) -> None:
        """Go to the next step, whatever phase this one is in, without its reveal; raises as `advance`."""
        with self.lock:
            self._as_presenter(key, seen)
            self._next_step()
            self.changed(self)

    def reveal(self, key: str, seen: tuple[int, str], truth: Truth) -> None:
        """Go straight to the reveal, whatever phase the step is in; raises as `advance`."""
        with self.lock:
            self._as_presenter(key, seen)
            if self.at.kind != "vote" or self.phase == "reveal":
                raise InvalidInputError("There is nothing to reveal at this step; move on.")
            self._show("reveal", truth)
            self.changed(self)

    def reset(self, key: str, seen: tuple[int, str]) -> None:
        """Begin the current step again, without its votes; raises as `advance`."""
        with self.lock:
            self._as_presenter(key, seen)
            self.votes = {place: vote for place, vote in self.votes.items() if vote.step != self.step}
            self.truths.pop(self.step, None)
            self.phase, self.began = self.at.phases[0], self.clock()
            self.turn += 1
            self.changed(self)

    def tallies(self, key: str) -> tuple[Tally, ...]:
        """Both rounds of every step that was voted on, and the exit's vote on the first one, for the presenter at any
        time; InvalidInputError for others."""
        with self.lock:
            self.check_key(key)
            asked = [n for n, step in enumerate(self.lesson.steps) if n <= self.step]
            votes = [(n, name) for n in asked for name in ("first", "second") if self.lesson.steps[n].kind == "vote"]
            again = [(n, "again") for n in asked if self.lesson.steps[n].kind == "exit"]
            return tuple(self._tally(*place) for place in (*votes, *again))

    def score_of(self, seat: str) -> tuple[int, int, int]:
        """Of a seat: questions revealed, right at the first guess, right at the second."""
        with self.lock:
            rights = [
                sum(bool(self._is_right(self.votes[name, step, seat])) for step in self.truths
                    if (name, step, seat) in self.votes)
                for name in ("first", "second")
            ]  # fmt: skip
            return len(self.truths), rights[0], rights[1]

    def to_csv(self, key: str) -> str:
        """All answers as a table: type, step, answer, correct, participant (a number), timestamp.

        Raises
        ------
        InvalidInputError : a wrong key.
        """
        with self.lock:
            self.check_key(key)
            numbers = {seat: number for number, seat in enumerate(self.seats, start=1)}
            file = io.StringIO()
            table = csv.writer(file, lineterminator="\n")
            table.writerow(("type", "step", "answer", "correct", "participant", "timestamp"))
            for vote in self.votes.values():
                right = self._is_right(vote)
                said = f"{vote.answer:g}" if isinstance(vote.answer, float) else _inert(vote.answer)
                table.writerow(
                    (vote.round, vote.step + 1, said, "" if right is None else int(right), numbers[vote.seat], vote.at)
                )
            return file.getvalue()

    # A restart

    def to_dict(self) -> dict[str, Any]:
        """Everything a restarted server needs, without the presenter's key."""
        with self.lock:
            now = self.clock()
            return {
                "schema": SCHEMA, "code": self.code, "key_hash": self.key_hash, "step": self.step, "phase": self.phase,
                "seats": self.seats, "votes": [vars(vote) for vote in self.votes.values()],
                "truths": [[step, asdict(truth)] for step, truth in self.truths.items()], "is_over": self.is_over,
                "data": self.data, "model": self.model, "fingerprint": self.fingerprint, "turn": self.turn,
                "age": now - self.opened, "since": now - self.began, "at": time.time(), "lesson": self._lesson_dict,
            }  # fmt: skip

    @classmethod
    def from_dict(cls, data: dict[str, Any], clock: Callable[[], float] = time.monotonic) -> Room:
        """The room that `to_dict` wrote down; its countdown goes on where it was.

        Raises
        ------
        InvalidInputError : it is of another schema, or damaged.
        """
        try:
            if data["schema"] != SCHEMA:
                raise InvalidInputError(f"This room is of another version (schema {data['schema']}); open a new one.")
            kept = data["lesson"]
            steps = tuple(map(_step, kept["steps"]))
            lesson = Lesson(kept["title"], kept["minutes"], steps)
            votes = [Vote(**vote) for vote in data["votes"]]
            room = cls(
                data["code"], data["key_hash"], lesson, clock, data["step"], data["phase"], list(data["seats"]),
                {(vote.round, vote.step, vote.seat): vote for vote in votes},
                {step: Truth(**truth) for step, truth in data["truths"]}, data["is_over"], data["data"], data["model"],
                data["fingerprint"], data["turn"],
            )  # fmt: skip
            # While the server was away hours passed, too; a wall clock that was set back makes none of them up.
            away = max(0.0, time.time() - data["at"])
            room.opened, room.began = clock() - data["age"] - away, clock() - data["since"]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InvalidInputError("What was kept of this room is damaged; open a new one.") from error
        return room

    @property
    def has_ended(self) -> bool:
        """Whether it was opened so many hours ago that it may go."""
        return self.clock() - self.opened > MOST_HOURS * 3600

    def _check_open(self) -> None:
        if self.is_over or self.has_ended:
            raise InvalidInputError(f"Room `{self.code}` is over; ask for a new one.")

    def _as_presenter(self, key: str, seen: tuple[int, str]) -> None:
        self.check_key(key)
        self._check_open()
        if seen != (self.step, self.phase):
            raise InvalidInputError("The room has moved on since you pressed, perhaps from another screen; look again.")

    def _next_step(self) -> None:
        if self.step + 1 < len(self.lesson.steps):
            self.step += 1
            self.phase, self.began, self.turn = self.at.phases[0], self.clock(), 0
        else:
            self.is_over = True

    def _show(self, phase: str, truth: Truth | None) -> None:
        if phase == "reveal":
            if truth is None:
                raise InvalidInputError("There is no truth to reveal yet; measure it first.")
            self.truths[self.step] = truth
        self.phase, self.began = phase, self.clock()

    def _checked(self, round: str, answer: Answer) -> Answer:
        """An answer as the step takes it."""
        asked = self._asked(round, self.step)
        if round in NUMBERED and asked is None:
            raise InvalidInputError("This lesson has no question to ask again.")
        if round in NUMBERED and asked is not None and asked.range is not None:
            low, high, _ = asked.range
            if isinstance(answer, bool) or not isinstance(answer, (int, float)) or not low <= answer <= high:
                raise InvalidInputError(f"An answer here is a number from {low:g} to {high:g}.")
            return float(answer)
        options = SAW if round == "saw" else asked.options if round in NUMBERED and asked is not None else ()
        if options:
            if not isinstance(answer, str) or answer not in options:
                raise InvalidInputError(f"An answer here is one of: {', '.join(options)}.")
            return answer
        if not isinstance(answer, str) or not answer.strip() or len(answer) > MOST_WORDS:
            raise InvalidInputError(f"An answer here is a text of 1 to {MOST_WORDS} characters.")
        return re.sub(r"\s+", " ", answer).strip()

    def _n_votes(self, round: str) -> int:
        return sum(vote.step == self.step and vote.round == round for vote in self.votes.values())

    def _place(self, round: str, step: int) -> int | None:
        """The step whose question a round asks: its own, or the first one of all again."""
        return self.lesson.first_vote if round == "again" else step

    def _asked(self, round: str, step: int) -> Step | None:
        place = self._place(round, step)
        return None if place is None else self.lesson.steps[place]

    def _tally(self, step: int, round: str) -> Tally:
        votes = [vote for vote in self.votes.values() if (vote.step, vote.round) == (step, round)]
        counts = Counter(vote.answer for vote in votes)
        asked = self._asked(round, step)
        options = (asked.options if asked else ()) or sorted(counts)
        is_known = self._place(round, step) in self.truths
        right = sum(bool(self._is_right(vote)) for vote in votes) if is_known else None
        return Tally(step, round, tuple((option, counts[option]) for option in options), len(votes), right)

    def _is_right(self, vote: Vote) -> bool | None:
        place = self._place(vote.round, vote.step)
        if vote.round not in NUMBERED or place is None or place not in self.truths:
            return None
        return self.lesson.steps[place].is_right(vote.answer, self.truths[place].value)


class Rooms:
    """The rooms of a server, bounded in number, each kept in a file of a folder so that a restart finds it again."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder, self.clock = folder, clock
        self._rooms: dict[str, Room] = {}
        self._lock = threading.Lock()
        for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
            try:
                room = Room.from_dict(json.loads(path.read_text(encoding="utf-8")), clock)
            except (OSError, ValueError, MrlVizError):
                continue  # another version's, or torn: its class opens a new one
            room.changed = self._keep
            self._rooms[room.code] = room
        self._forget_ended()

    def open(self, lesson: Lesson, *, data: str = "sample", model: str = "", fingerprint: str = "") -> tuple[Room, str]:
        """A new room, and the presenter's key, which is told once.

        Parameters
        ----------
        lesson : its steps
        data, model, fingerprint : what its questions are measured in

        Raises
        ------
        InvalidInputError : there are too many rooms.
        """
        with self._lock:
            self._forget_ended()
            if len(self._rooms) >= MOST_ROOMS:
                raise InvalidInputError(f"There are {MOST_ROOMS} rooms already; each ends after {MOST_HOURS} hours.")
            code = _new_code()
            while code in self._rooms or self._file(code).exists():
                code = _new_code()
            about = {"data": data, "model": model, "fingerprint": fingerprint}
            room, key = Room.new(code, lesson, clock=self.clock, changed=self._keep, **about)
            self._rooms[code] = room
        self._keep(room)
        return room, key

    def find(self, code: str) -> Room:
        """The room of a code, however it is written; InvalidInputError where there is none."""
        with self._lock:
            self._forget_ended()
            room = self._rooms.get(code.strip().upper())
        if room is None:
            raise InvalidInputError(f"There is no room `{code.strip()[:12]}`; look at the presenter's screen.")
        return room

    def _forget_ended(self) -> None:
        """What was written in rooms of hours ago goes, from memory and from the disk."""
        for code in [code for code, room in self._rooms.items() if room.has_ended]:
            del self._rooms[code]
            with suppress(OSError):
                self._file(code).unlink(missing_ok=True)

    def _file(self, code: str) -> Path:
        return self.folder / f"{code}.json"

    def _keep(self, room: Room) -> None:
        """Write a room down; where the disk refuses the class goes on, and its presenter is told."""
        try:
            with room.lock, disk_errors(self._file(room.code), "the room goes on, but a restart would lose it"):
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # lines that people wrote lie there
                # On one line: at two hundred seats each vote writes thousands, which indenting takes ten times as long.
                text = json.dumps(room.to_dict(), allow_nan=False)
                with replaced_file(self._file(room.code)) as aside:
                    aside.write_text(text, encoding="utf-8")
            room.trouble = ""
        except StoreError as error:
            room.trouble = str(error)


def _new_code() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _inert(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _step(data: dict[str, Any]) -> Step:
    fields = {name: _tuples(value) for name, value in data.items()}
    twin = data["twin"] and Twin(**{name: _tuples(value) for name, value in data["twin"].items()})
    return Step(**fields | {"twin": twin})


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
