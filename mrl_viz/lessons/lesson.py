"""A lesson as data: steps of a question, what to guess with, what it is judged by, and what to say; one TOML file."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from mrl_viz.errors import DataFormatError
from mrl_viz.home import home
from mrl_viz.result import Result

FOLDER = Path(__file__).parent
SHIPPED = {
    "25 minutes": FOLDER / "workshop_25.toml",
    "10 minutes": FOLDER / "workshop_10.toml",
    "Languages, 8 minutes": FOLDER / "languages_8.toml",
}
KINDS = ("join", "vote", "exit")
# What a vote goes through: think and lock, talk, vote again, see.
PHASES = ("think", "talk", "revote", "reveal")
# What a step may be judged by, and the options of each; `mrl_viz.lessons.truth` computes them.
MEASURES: dict[str, tuple[str, ...]] = {
    "neighbors_kept": ("dim", "k"),
    "top_results_changed": ("dim",),
    "trained_for_it": ("dim",),
    "best_in_bytes": ("n_bytes",),
    "shortlist_finds": ("dim", "size", "k"),
    "least_agreement_kept": ("dim",),
    "translations_kept": ("dim",),
    "promise": ("share", "n"),
}
# What a link to a page may set; `tab` is the name of one on that page.
STATE = {"focus": int, "k": int, "dims": str, "data": str, "model": str, "tab": str}
# What a text of a step may hold for a number of the data in use.
WORDS = ("full_dim", "n_items")
MOST_BYTES, MOST_STEPS, MOST_CHARACTERS, MOST_OPTIONS, MOST_SECONDS, MOST_NUMBER = 100_000, 20, 600, 6, 3600, 10**6
FIELDS = (
    "kind", "title", "question", "misconception", "options", "range", "unit", "near", "truth", "twin", "page", "state",
    "say", "seconds", "wrong",
)  # fmt: skip


@dataclass(frozen=True)
class Truth(Result):
    """What a question's answer is, and a sentence that says it.

    `value` : a number on the step's slider, or one of its options. `low`, `high` : the number's 95 % interval, where it
    has one. `chance` : the number that chance alone would give, where there is one.
    """

    value: float | str
    said: str
    low: float | None = None
    high: float | None = None
    chance: float | None = None

    def takeaway(self) -> str:
        """The sentence."""
        return self.said


@dataclass(frozen=True)
class Twin(Result):
    """A step's question once more: in other words, for other numbers of its truth, with other options if need be."""

    question: str
    numbers: tuple[tuple[str, float], ...]
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step(Result):
    """One step of a lesson.

    `options` : to choose from, else empty; `range` : least, largest and step of a slider, else None, in `unit`.
    `near` : a guess so far from the truth is right; of a slider only. `truth` : a measure's name and its options.
    `twin` : the question once more, for other numbers. `page`, `state` : what to open then. `seconds` : of
    each phase. `wrong` : answers to expect, with what to say.
    """

    kind: str
    title: str
    question: str = ""
    misconception: str = ""
    options: tuple[str, ...] = ()
    range: tuple[float, float, float] | None = None
    unit: str = ""
    near: float = 0
    truth: tuple[str, tuple[tuple[str, float], ...]] | None = None
    twin: Twin | None = None
    page: str = ""
    state: tuple[tuple[str, int | str], ...] = ()
    say: str = ""
    seconds: tuple[tuple[str, int], ...] = ()
    wrong: tuple[tuple[str, str], ...] = ()

    @property
    def phases(self) -> tuple[str, ...]:
        """What the step goes through, in order."""
        return PHASES if self.kind == "vote" else ("open",)

    def seconds_of(self, phase: str) -> int:
        """How long a phase should take; 0 where the lesson does not say."""
        return dict(self.seconds).get(phase, 0)

    def timing(self) -> str:
        """The seconds of its phases, in words; empty where the lesson does not say."""
        return ", ".join(f"{phase} {seconds} s" for phase, seconds in self.seconds)

    def is_right(self, answer: float | str, truth: float | str) -> bool:
        """Whether a guess is the truth, or within `near` of it."""
        if isinstance(answer, str) or isinstance(truth, str):
            return answer == truth
        return abs(answer - truth) <= self.near

    def said(self, answer: float | str) -> str:
        """An answer in words, a number with its unit."""
        return answer if isinstance(answer, str) else f"{answer:g} {self.unit}".strip()

    def again(self) -> Step | None:
        """The same question for the twin's numbers, None where the step has no twin."""
        if self.twin is None or self.truth is None:
            return None
        options, truth = self.twin.options or self.options, (self.truth[0], self.twin.numbers)
        return replace(self, question=self.twin.question, options=options, truth=truth, twin=None)

    def worded(self, **words: int) -> Step:
        """The step with numbers of the data in use where its texts have {full_dim} or {n_items}.

        Its twin is asked of other data and keeps them.
        """

        def fill(text: str) -> str:
            for name in WORDS:
                if name in words:
                    text = text.replace(f"{{{name}}}", f"{words[name]:,}")
            return text

        texts = fill(self.question), fill(self.misconception), fill(self.say)
        return replace(self, question=texts[0], misconception=texts[1], say=texts[2])


@dataclass(frozen=True)
class Lesson(Result):
    """A title, the minutes it takes, and its steps."""

    title: str
    minutes: int
    steps: tuple[Step, ...]

    def takeaway(self) -> str:
        """What it is, in a sentence."""
        votes = sum(step.kind == "vote" for step in self.steps)
        return f"{self.title}: {self.minutes} minutes, {len(self.steps)} steps, {votes} of them guesses."

    @property
    def first_vote(self) -> int | None:
        """Place of the first question, which the exit asks again."""
        return next((place for place, step in enumerate(self.steps) if step.kind == "vote"), None)

    def worded(self, **words: int) -> Lesson:
        """The lesson with numbers of the data in use where its texts have {full_dim} or {n_items}."""
        return replace(self, steps=tuple(step.worded(**words) for step in self.steps))


def read_lesson(source: str | Path | bytes, name: str = "") -> Lesson:
    """The lesson of a TOML file, or of an uploaded one's bytes.

    Raises
    ------
    DataFormatError : it is no lesson; the message has the line.
    """
    name = name or (str(source) if isinstance(source, (str, Path)) else "lesson")
    try:
        content = source if isinstance(source, bytes) else Path(source).read_bytes()
        text = content.decode()
    except OSError as error:
        raise DataFormatError(f"`{name}` cannot be read ({error.strerror}); give a TOML file.") from error
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataFormatError(f"`{name}`, line {line}: this is not UTF-8; save the file as UTF-8.") from error
    if len(content) > MOST_BYTES:
        raise DataFormatError(f"`{name}` has {len(content):,} bytes; a lesson has {MOST_BYTES:,} at most.")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        said = re.sub(r" \(at .*\)", "", str(error))
        raise DataFormatError(f"`{name}`, line {line}: this is not TOML ({said}).") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise DataFormatError(f"`{name}` has a number too long or lists too deep to be read; shorten them.") from error
    return _Reader(name, text.splitlines()).lesson(data)


class _Reader:
    """Turns plain data into a lesson, and says in which line what it cannot use stands."""

    def __init__(self, name: str, lines: list[str]) -> None:
        self.name, self.lines = name, lines
        self.headers = [n for n, line in enumerate(lines) if re.match(r"\s*\[\[\s*step\s*]]", line)]

    def wrong(self, where: int | None, key: str | None, said: str) -> NoReturn:
        """Raise, with the line of a key, in the step of that number or before all steps."""
        first = 0 if where is None else self.headers[where]
        later = [header for header in self.headers if header > first]
        last = later[0] if later else len(self.lines)
        pattern = re.compile(rf"\s*{re.escape(key)}\s*[=.]" if key else r"\s*\S")
        places = [n for n in range(first, last) if pattern.match(self.lines[n])]
        raise DataFormatError(f"`{self.name}`, line {(places or [first])[0] + 1}: {said}")

    def lesson(self, data: Mapping[str, Any]) -> Lesson:
        for key in data:
            if key not in ("title", "minutes", "step"):
                self.wrong(None, key, f"`{key}` is no part of a lesson; it has title, minutes and [[step]].")
        title = self.text(None, data, "title", needed=True)
        minutes = self.number(None, data, "minutes", 1, 600)
        steps = data.get("step", [])
        if not isinstance(steps, list) or not 1 <= len(steps) <= MOST_STEPS or len(steps) != len(self.headers):
            self.wrong(None, "step", f"a lesson has 1 to {MOST_STEPS} steps, each under its own line [[step]].")
        return Lesson(title, int(minutes), tuple(self.step(n, step) for n, step in enumerate(steps)))

    def step(self, n: int, data: Mapping[str, Any]) -> Step:
        for key in data:
            if key not in FIELDS:
                self.wrong(n, key, f"`{key}` is no part of a step; it has {', '.join(FIELDS)}.")
        kind = self.text(n, data, "kind", needed=True)
        if kind not in KINDS:
            self.wrong(n, "kind", f"`kind` is {kind!r}; choose one of {', '.join(KINDS)}.")
        is_vote = kind == "vote"
        options, slider = self.options(n, data), self.slider(n, data)
        if is_vote and bool(options) == bool(slider):
            self.wrong(n, None, "a vote has either `options` or a `range`.")
        page = self.text(n, data, "page")
        if page and not re.fullmatch(r"[a-z]+/[a-z_]+", page):
            self.wrong(n, "page", f"`page` is {page!r}; name one as explore/neighbors.")
        if page and not (home() / "pages" / f"{page}.py").is_file():
            known = ", ".join(sorted(f"{path.parent.name}/{path.stem}" for path in home().glob("pages/*/*.py")))
            self.wrong(n, "page", f"`page` is {page!r}; the pages are {known}.")
        truth = self.truth(n, data, needed=is_vote)
        return Step(
            kind=kind, title=self.text(n, data, "title", needed=True),
            question=self.text(n, data, "question", needed=is_vote), misconception=self.text(n, data, "misconception"),
            options=options, range=slider, unit=self.text(n, data, "unit"),
            near=float(self.number(n, data, "near", 0, 1e9)) if "near" in data else 0.0,
            truth=truth, twin=self.twin(n, data, truth), page=page, state=self.state(n, data),
            say=self.text(n, data, "say"), seconds=self.seconds(n, data), wrong=self.expected(n, data, options, slider),
        )  # fmt: skip

    def text(self, n: int | None, data: Mapping[str, Any], key: str, *, needed: bool = False) -> str:
        value = data.get(key, "")
        if not isinstance(value, str) or len(value) > MOST_CHARACTERS or (needed and not value.strip()):
            self.wrong(n, key if key in data else None, f"`{key}` has to be a text of up to {MOST_CHARACTERS} letters.")
        return " ".join(value.split())

    def number(self, n: int | None, data: Mapping[str, Any], key: str, low: float, high: float) -> float:
        value = data.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            self.wrong(n, key if key in data else None, f"`{key}` is {value!r}; give a number, {low:g} to {high:g}.")
        return value

    def table(self, n: int, data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        value = data.get(key, {})
        if not isinstance(value, dict):
            self.wrong(n, key, f"`{key}` has to be a table, as {key} = {{ name = value }}.")
        return value

    def options(self, n: int, data: Mapping[str, Any], key: str = "options") -> tuple[str, ...]:
        given = data.get("options", [])
        is_list = isinstance(given, list) and all(
            isinstance(one, str) and one.strip() and len(one) <= MOST_CHARACTERS for one in given
        )
        if not is_list or len(set(given)) != len(given) or (given and not 2 <= len(given) <= MOST_OPTIONS):
            self.wrong(n, key, f"`options` has to be a list of 2 to {MOST_OPTIONS} different texts.")
        return tuple(given)

    def slider(self, n: int, data: Mapping[str, Any]) -> tuple[float, float, float] | None:
        if "range" not in data:
            return None
        given = data["range"]
        is_three = isinstance(given, list) and len(given) == 3 and all(map(_is_number, given))
        if not is_three or not given[0] < given[1] or not 0 < given[2] <= given[1] - given[0]:
            self.wrong(n, "range", f"`range` is {given!r}; give least, largest and step, as [0, 10, 1].")
        return float(given[0]), float(given[1]), float(given[2])

    def truth(
        self, n: int, data: Mapping[str, Any], *, needed: bool
    ) -> tuple[str, tuple[tuple[str, float], ...]] | None:
        given = dict(self.table(n, data, "truth"))
        if not given and not needed:
            return None
        measure = given.pop("measure", None)
        if measure not in MEASURES:
            self.wrong(n, "truth", f"`truth` has the measure {measure!r}; choose one of {', '.join(MEASURES)}.")
        needs = MEASURES[measure]
        if set(given) != set(needs):
            self.wrong(n, "truth", f"`truth` with {measure} needs the numbers {', '.join(needs)}.")
        self.measured(n, "truth", given)
        return measure, tuple(sorted(given.items()))

    def twin(
        self, n: int, data: Mapping[str, Any], truth: tuple[str, tuple[tuple[str, float], ...]] | None
    ) -> Twin | None:
        given = dict(self.table(n, data, "twin"))
        if not given:
            return None
        question, options = given.pop("question", None), self.options(n, given, "twin")
        given.pop("options", None)
        is_text = isinstance(question, str) and 0 < len(question.strip()) <= MOST_CHARACTERS
        if truth is None or not is_text or bool(options) > ("options" in data):
            self.wrong(n, "twin", "`twin` of a vote has a question, other numbers of its truth, and options if it has.")
        if not set(given) <= set(MEASURES[truth[0]]):
            self.wrong(n, "twin", f"`twin` may change {', '.join(MEASURES[truth[0]])}, as the truth has them.")
        self.measured(n, "twin", given)
        return Twin(" ".join(question.split()), tuple(sorted((dict(truth[1]) | given).items())), options)

    def measured(self, n: int, key: str, numbers: Mapping[str, Any]) -> None:
        """A share lies in 0..1, the others are counts."""
        for name, value in numbers.items():
            if name == "share" and not (_is_number(value) and 0 < value <= 1):
                self.wrong(n, key, f"`{key}` has share = {value!r}; give a share above 0, 1 at most.")
            if name != "share" and (type(value) is not int or not 1 <= value <= MOST_NUMBER):
                self.wrong(n, key, f"`{key}` has {name} = {value!r}; give a whole number, 1 to {MOST_NUMBER:,}.")

    def state(self, n: int, data: Mapping[str, Any]) -> tuple[tuple[str, int | str], ...]:
        given = self.table(n, data, "state")
        for key, value in given.items():
            if key not in STATE or type(value) is not STATE[key]:
                known = ", ".join(f"{name} ({kind.__name__})" for name, kind in STATE.items())
                self.wrong(n, "state", f"`state` cannot set {key} to {value!r}; it may set {known}.")
        return tuple(given.items())

    def seconds(self, n: int, data: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
        given = self.table(n, data, "seconds")
        for phase, value in given.items():
            if phase not in (*PHASES, "open") or type(value) is not int or not 1 <= value <= MOST_SECONDS:
                self.wrong(
                    n, "seconds",
                    f"`seconds` has {phase} = {value!r}; it takes {', '.join(PHASES)} and open, 1 to {MOST_SECONDS}.",
                )  # fmt: skip
        return tuple(given.items())

    def expected(
        self, n: int, data: Mapping[str, Any], options: tuple[str, ...], slider: tuple[float, float, float] | None
    ) -> tuple[tuple[str, str], ...]:
        given = data.get("wrong", [])
        keys = {"answer", "because"}
        if not isinstance(given, list) or not all(isinstance(one, dict) and set(one) == keys for one in given):
            self.wrong(n, "wrong", "`wrong` has to be a list of { answer = ..., because = ... }.")
        for one in given:
            if options and one["answer"] not in options:
                self.wrong(n, "wrong", f"`wrong` has the answer {one['answer']!r}, which is none of the options.")
            if slider and (not _is_number(one["answer"]) or not slider[0] <= one["answer"] <= slider[1]):
                self.wrong(n, "wrong", f"`wrong` has the answer {one['answer']!r}, which is not on the slider.")
        return tuple((str(one["answer"]), str(one["because"])[:MOST_CHARACTERS]) for one in given)


def _is_number(value: Any) -> bool:
    """Whether it is a number that a slider can show: JSON knows no infinity."""
    return type(value) in (int, float) and math.isfinite(value) and abs(value) <= MOST_NUMBER
