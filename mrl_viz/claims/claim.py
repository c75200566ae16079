"""A claim, what was measured of it here, and the verdict that its rule gives; all of them as one table."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from mrl_viz.data.samples import sample_data_folder
from mrl_viz.errors import DataFormatError, InvalidInputError
from mrl_viz.files import write_json
from mrl_viz.measures.estimate import Estimate
from mrl_viz.result import Result

FILE = Path(__file__).parent / "claims.toml"
REPRODUCED, NOT_HERE, NOT_TESTABLE, NOT_YET = "reproduced", "not here", "not testable here", "not measured yet"
VERDICTS = (REPRODUCED, NOT_HERE, NOT_TESTABLE, NOT_YET)
SCHEMA = 1
# How a number of ours stands to theirs: its interval contains or exceeds it, lies above it, does not lie above it.
Comparison = Literal["reaches", "exceeds", "does not exceed"]
Unit = Literal["share", "times", "difference"]
SPELLED: Mapping[Unit, str] = {"share": ".1%", "times": ".1f", "difference": "+.3f"}


@dataclass(frozen=True)
class Claim(Result):
    """What was claimed, by whom, on what, and by which rule we say whether it holds here.

    `number` : theirs, in words. `source` : who says it; `url` : its public address; `seen` : what of it we have read.
    `measure` : the function of `mrl_viz.claims.measures`; "" where nothing is measured, and then `why`. `rule` : of the
    verdict. `page`, `state` : what to open, and its address' parameters. `is_slow` : takes more than a few seconds.
    `is_timed` : by the clock, which another machine may answer otherwise. `is_pending` : measurable here, but not yet.
    """

    id: str
    claim: str
    number: str
    source: str
    on: str
    rule: str
    page: str
    url: str = ""
    seen: str = ""
    measure: str = ""
    why: str = ""
    state: Mapping[str, str | int] = field(default_factory=dict)
    is_slow: bool = False
    is_timed: bool = False
    is_pending: bool = False

    @property
    def who(self) -> str:
        """The source up to its title."""
        return self.source.split(", ")[0]


@dataclass(frozen=True)
class Part(Result):
    """One number of ours, with its 95 % interval, beside theirs.

    `ours`, `theirs` : in `unit`: a share, so many times, or a difference. `how` : ours has to stand to theirs.
    `short` : ours in a table, {} stands for the value.
    """

    _also: ClassVar = ("holds",)

    what: str
    theirs: float
    ours: Estimate
    unit: Unit = "share"
    how: Comparison = "reaches"
    short: str = "{}"

    @property
    def holds(self) -> bool:
        """Whether ours stands to theirs as the rule wants it."""
        if self.how == "reaches":
            return self.ours.high >= self.theirs
        return (self.ours.low > self.theirs) == (self.how == "exceeds")

    @property
    def value(self) -> str:
        """Ours as a word, without its interval."""
        return f"{self.ours.value:{SPELLED[self.unit]}}{' ×' if self.unit == 'times' else ''}"

    @property
    def said(self) -> str:
        """Ours as words, such as "97.1% [95.9%, 98.0%]"; without an interval where it is counted."""
        if self.ours.low == self.ours.high:
            return self.value
        return f"{self.ours:{SPELLED[self.unit]}}{' ×' if self.unit == 'times' else ''}"

    @property
    def asked(self) -> str:
        """What the rule wants of the interval, such as "reaches 99.00%"."""
        return self._phrase(self.how != "does not exceed")

    @property
    def outcome(self) -> str:
        """What the interval does, in the words of `asked`."""
        return self._phrase(self.holds == (self.how != "does not exceed"))

    def _phrase(self, does: bool) -> str:
        spelled = {"share": ".2%", "times": ".0f", "difference": "+.3f"}[self.unit]
        theirs = f"{self.theirs:{spelled}}{' ×' if self.unit == 'times' else ''}"
        verb = "reach" if self.how == "reaches" else "lie above"
        return f"{'reaches' if verb == 'reach' else 'lies above'} {theirs}" if does else f"does not {verb} {theirs}"


@dataclass(frozen=True)
class Finding(Result):
    """What was measured of one claim: its parts, on what, when (a date), in how many seconds, and a note."""

    _also: ClassVar = ("verdict",)

    id: str
    parts: tuple[Part, ...]
    on: str
    note: str
    when: str
    seconds: float

    @property
    def verdict(self) -> str:
        """By the claim's rule: REPRODUCED where every part holds, else NOT_HERE."""
        return REPRODUCED if all(part.holds for part in self.parts) else NOT_HERE

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Finding:
        """What `to_dict` wrote, also after a trip through JSON.

        Raises
        ------
        DataFormatError : fields are missing.
        """
        try:
            parts = tuple(
                Part(part["what"], part["theirs"], Estimate(part["ours"], part["ours_low"], part["ours_high"]),
                     part["unit"], part["how"], part["short"])
                for part in saved["parts"]
            )  # fmt: skip
            return cls(saved["id"], parts, *(saved[name] for name in ("on", "note", "when", "seconds")))
        except (KeyError, TypeError) as error:
            raise DataFormatError(f"`claims` holds no finding ({error}); measure the claims again.") from error


@dataclass(frozen=True)
class Record(Result):
    """A claim beside what was measured of it, None where nothing was."""

    claim: Claim
    finding: Finding | None

    @property
    def verdict(self) -> str:
        """One of VERDICTS."""
        if self.finding is not None:
            return self.finding.verdict
        return NOT_YET if self.claim.is_pending or self.claim.measure else NOT_TESTABLE

    @property
    def ours(self) -> str:
        """Our numbers with their intervals, in a few words; a dash where there are none."""
        return "; ".join(part.short.format(part.said) for part in self.finding.parts) if self.finding else "–"

    @property
    def brief(self) -> str:
        """Our numbers without their intervals; a dash where there are none."""
        return "; ".join(part.short.format(part.value) for part in self.finding.parts) if self.finding else "–"

    @property
    def script(self) -> str:
        """What measures it again; "" where nothing does."""
        return f"mrl_viz claims --only {self.claim.id}" if self.claim.measure else ""

    def to_dict(self) -> dict[str, Any]:
        """The claim's fields, `verdict`, `script`, and `measured`: the finding, None where there is none."""
        found = None if self.finding is None else self.finding.to_dict()
        return self.claim.to_dict() | {"verdict": self.verdict, "script": self.script, "measured": found}

    def takeaway(self) -> str:
        """The verdict with its numbers, or why there is none, in a sentence."""
        if self.finding is None:
            return f"{self.verdict.capitalize()}. {self.claim.why}".strip()
        parts = [f"{part.what} {part.said} {part.outcome}" for part in self.finding.parts]
        return f"{self.verdict.capitalize()}: {'; '.join(parts)}."


@dataclass(frozen=True)
class ClaimsTable(Result):
    """All claims, in the order of their file."""

    records: tuple[Record, ...]  # type: ignore[assignment]

    def only(self, *verdicts: str) -> tuple[Record, ...]:
        """Those with one of the verdicts."""
        return tuple(record for record in self.records if record.verdict in verdicts)

    def record(self, id: str) -> Record:
        """The one of an id; InvalidInputError where there is none."""
        return next(record for record in self.records if record.claim.id == known_id(id, self.records))

    def rows(self) -> list[dict[str, Any]]:
        """One record per claim, in short."""
        return [
            {"claim": one.claim.claim, "theirs": one.claim.number, "ours": one.ours, "verdict": one.verdict}
            for one in self.records
        ]

    def to_dict(self) -> dict[str, Any]:
        """`schema`, the sentence, and one record a claim."""
        return {"schema": SCHEMA, "takeaway": self.takeaway(), "records": [one.to_dict() for one in self.records]}

    def takeaway(self) -> str:
        """How many of how many were reproduced, in a sentence."""
        n = Counter(record.verdict for record in self.records)
        measured = n[REPRODUCED] + n[NOT_HERE]
        rest = [
            f"{n[verdict]} {'is' if n[verdict] == 1 else 'are'} {verdict}"
            for verdict in (NOT_TESTABLE, NOT_YET)
            if n[verdict]
        ]
        return "; ".join([f"{n[REPRODUCED]} of {measured} claims measured here were reproduced", *rest]) + "."

    def to_json(self) -> str:
        """The same as text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    def markdown(self) -> str:
        """The table and every claim's details as markdown."""
        lines = [
            self.takeaway(),
            "",
            "| claim | their number | ours, with its 95 % interval | verdict |",
            "|---|---|---|---|",
        ]
        lines += [f"| {' | '.join(map(_cell, row.values()))} |" for row in self.rows()]
        for one in self.records:
            claim, finding = one.claim, one.finding
            source = f"[{claim.source}]({claim.url})" if claim.url else claim.source
            lines += ["", f"## {claim.claim}", "", f"- **Theirs:** {claim.number}, on {claim.on}. {source}."]
            lines[-1] += f" We have read {claim.seen}." if claim.seen else ""
            if finding is None:
                lines.append(f"- **{one.verdict.capitalize()}:** {claim.why}")
                continue
            lines.append(f"- **Rule:** {claim.rule}")
            lines += [f"- {part.what}: **{part.said}** {part.outcome}" for part in finding.parts]
            lines.append(f"- **{one.verdict.capitalize()}**, on {finding.on}. {finding.note}".rstrip())
            lines.append(f"- Measured on {finding.when} by `{one.script}`.")
        return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def known_id(id: str, among: Iterable[Record]) -> str:
    """The id, when there is such a claim; else InvalidInputError."""
    known = [record.claim.id for record in among]
    if id not in known:
        raise InvalidInputError(f"`--only` is {id!r}; choose from {', '.join(known)}.")
    return id


def read_claims(file: Path = FILE) -> tuple[Claim, ...]:
    """The claims of a file such as ours.

    Raises
    ------
    DataFormatError : fields that a claim has not, or lacks.
    """
    try:
        return tuple(Claim(**entry) for entry in tomllib.loads(file.read_text(encoding="utf-8"))["claim"])
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise DataFormatError(f"`{file.name}` holds no claims ({error}).") from error


def shipped_file() -> Path:
    """Where the findings lie that come with the project."""
    return sample_data_folder() / "results" / "claims.json"


def shipped_table() -> ClaimsTable:
    """The claims beside the findings that come with the project; one that lacks its finding is not measured yet.

    Raises
    ------
    DataFormatError : the file is no such file.
    """
    file, found = shipped_file(), {}
    if file.is_file():
        try:
            saved = json.loads(file.read_text(encoding="utf-8"))["findings"]
        except (ValueError, KeyError, TypeError) as error:
            raise DataFormatError(f"`{file.name}` holds no findings ({error}); measure the claims again.") from error
        found = {finding.id: finding for finding in map(Finding.from_dict, saved)}
    return ClaimsTable(tuple(Record(claim, found.get(claim.id)) for claim in read_claims()))


def ship(table: ClaimsTable) -> Path:
    """Write the findings of a table to where those lie that come with the project."""
    findings = [one.finding.to_dict() for one in table.records if one.finding is not None]
    write_json(shipped_file(), {"schema": SCHEMA, "findings": findings})
    return shipped_file()
