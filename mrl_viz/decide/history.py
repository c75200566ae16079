"""Checks of a deployed plan over time, read back from what `mrl_viz monitor --json` wrote, and what they say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise, takewhile
from math import isfinite
from pathlib import Path
from typing import Any

from mrl_viz.data.samples import sample_data_folder
from mrl_viz.decide.canary import CanaryResult
from mrl_viz.decide.monitoring import KIND, SCHEMA, MonitorResult
from mrl_viz.errors import DataFormatError, InvalidInputError, MrlVizError
from mrl_viz.measures.estimate import Estimate
from mrl_viz.result import Result
from mrl_viz.retrieval.plan import Plan

# A record with ten thousand canaries takes a quarter of it.
MOST_BYTES = 1_000_000
EXAMPLE = "monitor.json"


@dataclass(frozen=True)
class CanaryCheck(Result):
    """What frozen texts said in a check, as in `CanaryResult`; `change` : 1 - cosine by row."""

    tolerance: float
    moved: tuple[int, ...]
    agreement: Estimate
    change: tuple[float, ...]

    @property
    def largest(self) -> float:
        """The largest change."""
        return max(self.change)


@dataclass(frozen=True)
class MonitorCheck(Result):
    """One check: when, of what, and its overlap with full width, as in `MonitorResult`.

    `file` : what it was read from. `measured_at` : in UTC. `canary` : None where no canaries were asked.
    """

    file: str
    measured_at: datetime
    plan: Plan
    model: str
    k: int
    target: float
    n_queries: int
    n_items: int
    overlap: Estimate
    fingerprint: str
    canary: CanaryCheck | None

    @property
    def label(self) -> str:
        """What it is a check of: checks of different things make no line."""
        return f"{self.plan.label}, overlap@{self.k}{f', {self.model}' if self.model else ''}"

    @property
    def day(self) -> str:
        """Its date."""
        return self.measured_at.date().isoformat()

    @property
    def is_below(self) -> bool:
        """Whether the overlap is below the target."""
        return self.overlap.value < self.target

    @property
    def is_surely_below(self) -> bool:
        """Whether the whole interval is."""
        return self.overlap.high < self.target

    @property
    def n_moved(self) -> int:
        """How many canaries had moved; 0 where none were asked."""
        return 0 if self.canary is None else len(self.canary.moved)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data, the date in ISO 8601."""
        return super().to_dict() | {"measured_at": self.measured_at.isoformat()}


@dataclass(frozen=True)
class MonitorHistory(Result):
    """Checks, the earliest first, and a sentence for every file that none could be read from (`refused`)."""

    checks: tuple[MonitorCheck, ...]
    refused: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """What the checks are of, that of the latest first."""
        return tuple(dict.fromkeys(check.label for check in reversed(self.checks)))

    @property
    def mixed(self) -> tuple[str, ...]:
        """In sentences: that the checks are of several plans, models or list lengths, or had several targets."""
        said = []
        if len(self.labels) > 1:
            counts = (f"{label} ({sum(check.label == label for check in self.checks)})" for label in self.labels)
            said.append(f"The checks are of {len(self.labels)} different things, looked at apart: {'; '.join(counts)}.")
        for label in self.labels:
            checks = [check for check in self.checks if check.label == label]
            for before, after in pairwise(checks):
                if before.target != after.target:
                    went = f"from {_percent(before.target)} to {_percent(after.target)}"
                    said.append(f"{label}: the target went {went} on {after.day}.")
        return tuple(said)

    def only(self, label: str) -> MonitorHistory:
        """The checks of one thing; InvalidInputError where there are none."""
        if label not in self.labels:
            raise InvalidInputError(f"`label` is {label!r}; choose one of {list(self.labels)}.")
        return replace(self, checks=tuple(check for check in self.checks if check.label == label))

    @property
    def latest(self) -> MonitorHistory:
        """The checks of what the latest one is of; itself where there is none."""
        return self.only(self.labels[0]) if len(self.labels) > 1 else self

    def rows(self) -> list[dict[str, Any]]:
        """One record per check, the latest first."""
        return [
            {
                "date": check.measured_at.isoformat(sep=" ", timespec="minutes")[:16], "of": check.label,
                "overlap": check.overlap.value, "low": check.overlap.low, "high": check.overlap.high,
                "target": check.target, "held": not check.is_below, "queries": check.n_queries, "texts": check.n_items,
                "canaries": None if check.canary is None else len(check.canary.change),
                "moved": None if check.canary is None else check.n_moved, "file": check.file,
            }
            for check in reversed(self.checks)
        ]  # fmt: skip

    def canary_rows(self) -> list[dict[str, Any]]:
        """One record per canary that ever moved, the furthest at the last look first."""
        asked = [(check, check.canary) for check in self.checks if check.canary is not None]
        rows = sorted({row for _, canary in asked for row in canary.moved})
        found = []
        for row in rows:
            when = [check.day for check, canary in asked if row in canary.moved]
            changes = [canary.change[row] for _, canary in asked if row < len(canary.change)]
            found.append(
                {"canary": row, "first moved": when[0], "checks moved": len(when), "largest change": max(changes),
                 "change at the last look": changes[-1]}
            )  # fmt: skip
        return sorted(found, key=lambda one: -one["change at the last look"])

    def takeaway(self) -> str:
        checks = self.latest.checks
        if not checks:
            return "No check could be read."
        n_held, last = sum(not check.is_below for check in checks), checks[-1]
        held = "all" if n_held == len(checks) else n_held or "none"
        said = f"Held in {held} of {len(checks)} checks"
        if len(checks) == 1:
            said = "Held in the only check" if n_held else "Not held in the only check"
        surely = [place for place, check in enumerate(checks) if check.is_surely_below]
        since = len(checks) - len(list(takewhile(lambda check: check.is_surely_below, reversed(checks))))
        if since < len(checks):
            said += f"; since {checks[since].day} the interval lies below the target of {_percent(last.target)}, "
            said += _cause(checks, since)
        elif last.is_below:
            said += "; the last is below the target, but its interval reaches across it: sample more queries to be sure"
        if since == len(checks) and last.n_moved:
            moved, day = _moved(checks, len(checks) - 1)
            said += f"; but {moved} have moved since {day}: vectors of two models do not mix, embed the corpus again"
        before = [place for place in surely if place < since]
        if before:
            said += f". Surely below before, on {checks[before[-1]].day}, {_cause(checks, before[-1])}"
        return f"{said}."

    def canary_takeaway(self) -> str:
        """What the canaries say, in a sentence."""
        asked = [check for check in self.latest.checks if check.canary is not None]
        if not asked:
            return "No canaries were asked: `monitor --canary` says whether the model is still the same."
        last, canary = asked[-1], asked[-1].canary
        if canary is None or not canary.moved:
            moved = [check.day for check in asked if check.n_moved]
            once = f"; some had moved until {moved[-1]}" if moved else ""
            return f"On {last.day} all {len(canary.change) if canary else 0} canaries were where they were{once}."
        n_moved, since = _moved(asked, len(asked) - 1)
        return (
            f"{n_moved} have moved since {since}, row {canary.moved[0]} furthest: 1 − cosine {canary.largest:.2g}, "
            f"where {canary.tolerance:g} is tolerated."
        )


def check_record(result: MonitorResult, canary: CanaryResult | None = None) -> dict[str, Any]:
    """A check as plain data, ready for JSON, as `read_history` reads it."""
    return result.to_dict() | ({} if canary is None else {"canary": canary.to_dict()})


def read_history(files: Iterable[Path | str | tuple[str, bytes]]) -> MonitorHistory:
    """The checks that `monitor --json` wrote, by date; what cannot be read is named and left out.

    Parameters
    ----------
    files : paths, or names with what the files hold; the same check in two files counts once

    A history is never refused as a whole: `MonitorHistory.refused` has a sentence for each file that was.
    """
    checks: dict[tuple[datetime, str, Estimate, int], MonitorCheck] = {}
    refused = []
    for file in files:
        name = file[0] if isinstance(file, tuple) else Path(file).name
        try:
            content = file[1] if isinstance(file, tuple) else _content(Path(file))
            check = _check(name, content)
        except (MrlVizError, OSError) as error:
            reason = str(error) if isinstance(error, MrlVizError) else f"cannot be read: {error.strerror or error}."
            refused.append(f"`{name}` {reason}")
            continue
        checks.setdefault((check.measured_at, check.label, check.overlap, check.n_items), check)
    ordered = sorted(checks.values(), key=lambda check: (check.measured_at, check.label, check.file))
    return MonitorHistory(tuple(ordered), tuple(refused))


def shipped_history() -> MonitorHistory:
    """The example that comes with the project: real checks of a plan on the sample, with dates that were made up."""
    kept = json.loads((sample_data_folder() / "results" / EXAMPLE).read_text(encoding="utf-8"))
    return read_history((name, json.dumps(record).encode()) for name, record in kept.items())


def _content(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(MOST_BYTES + 1)


def _check(name: str, content: bytes) -> MonitorCheck:
    """A check from a file's content; DataFormatError, whose text goes on after the file's name."""
    if len(content) > MOST_BYTES:
        raise DataFormatError(f"is larger than {MOST_BYTES // 1_000_000} MB, which no check is; left out.")
    try:
        record = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataFormatError("is no JSON; give files that `mrl_viz monitor --json` wrote.") from error
    kind = record.get("kind", KIND) if isinstance(record, Mapping) else None
    if kind != KIND or "overlap" not in record:
        raise DataFormatError("is no check of a deployed plan; give files that `mrl_viz monitor --json` wrote.")
    if record.get("schema") != SCHEMA:
        raise DataFormatError(
            f"has schema {record.get('schema')!r} and this version reads {SCHEMA}; use the version that wrote it."
        )
    if not record.get("measured_at"):
        raise DataFormatError("has no date, as checks of earlier versions; only dated ones make a history.")
    try:
        return _read(name, record)
    except (MrlVizError, KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        reason = f"`{error.args[0]}` is missing" if isinstance(error, KeyError) else error
        raise DataFormatError(f"is damaged ({reason}); left out.") from error


def _read(name: str, record: Mapping[str, Any]) -> MonitorCheck:
    at = datetime.fromisoformat(str(record["measured_at"]))
    given = record.get("canary")
    return MonitorCheck(
        file=name,
        measured_at=(at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC),
        plan=Plan.from_dict(record["plan"]),
        model=str(record.get("model") or ""),
        k=_count("k", record),
        target=_number("target", record["target"], 1),
        n_queries=_count("n_queries", record),
        n_items=_count("n_items", record),
        overlap=_estimate(record, "overlap", "low", "high"),
        fingerprint=str(record.get("fingerprint") or ""),
        canary=None if given is None else _canary(given),
    )


def _canary(given: Any) -> CanaryCheck:
    if not isinstance(given, Mapping) or not all(isinstance(given[name], list) for name in ("change", "moved")):
        raise ValueError("`canary` is not what `monitor --canary` writes")
    change = tuple(_number("change", one, 2) for one in given["change"])
    moved = tuple(given["moved"])
    if not change or not all(isinstance(row, int) and 0 <= row < len(change) for row in moved):
        raise ValueError("`moved` names canaries that are not there")
    agreement = _estimate(given, "agreement", "agreement_low", "agreement_high")
    return CanaryCheck(_number("tolerance", given["tolerance"], 2), moved, agreement, change)


def _estimate(record: Mapping[str, Any], *names: str) -> Estimate:
    value, low, high = (_number(name, record[name], 1) for name in names)
    if not low <= value <= high:
        raise ValueError(f"`{names[0]}` {value:g} is not between {low:g} and {high:g}")
    return Estimate(value, low, high)


def _count(name: str, record: Mapping[str, Any]) -> int:
    return int(_number(name, record[name], 1e15))


def _number(name: str, value: object, most: float) -> float:
    """A number from 0 to `most`; rounding may pass either by a little."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"`{name}` is no number")
    number = float(value)
    if not isfinite(number) or not -1e-6 <= number <= most + 1e-6:
        raise ValueError(f"`{name}` is {number:g}, which is not from 0 to {most:g}")
    return number


def _cause(checks: Sequence[MonitorCheck], place: int) -> str:
    """What a check below the target falls together with: canaries that moved, or none that did."""
    check = checks[place]
    if check.canary is None:
        return "and no canaries were asked, so nothing tells another model from other data; `monitor --canary` does"
    if check.canary.moved:
        moved, since = _moved(checks, place)
        is_new = since == check.day
        what = f"together with {moved} moving" if is_new else f"and {moved} have moved since {since}"
        return f"{what}, so look at the model’s revision, prompt or runtime"
    same = [other for other in checks[:place] if other.fingerprint and other.fingerprint == check.fingerprint]
    if same and not same[-1].is_below:
        return f"and no canary moved and the data are those of {same[-1].day}, so it is the sample of queries: ask more"
    return "and no canary moved, so texts or queries are others and not the model: choose again on today’s"


def _moved(checks: Sequence[MonitorCheck], place: int) -> tuple[str, str]:
    """How many canaries had moved in a check, in words, and the day since which some had in every check."""
    check = checks[place]
    run = list(takewhile(lambda one: one.n_moved, reversed(checks[: place + 1])))
    n_canaries = 0 if check.canary is None else len(check.canary.change)
    return f"{check.n_moved} of {n_canaries} canaries", (run[-1] if run else check).day


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
