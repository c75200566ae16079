"""The decision record: what was decided, on which evidence, for a reader who was not there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mrl_viz.decide.corpus_size import CorpusSizeEffect
from mrl_viz.decide.recommendation import PlanEvidence, Recommendation, milliseconds
from mrl_viz.decide.threshold import MeasuredThreshold
from mrl_viz.errors import DataFormatError, InvalidInputError
from mrl_viz.retrieval.codes import BITS
from mrl_viz.retrieval.plan import KINDS, Plan

SCHEMA, KIND = 2, "mrl_viz decision record"
# Schemas whose plans are still plans, and what has changed since.
CHANGED_SINCE = {
    1: "This record is from before memory and disk were told apart: its bytes, and a budget for memory, count together "
    "the codes that are searched and the float32 copy that is reranked; its plan is read as it was."
}


@dataclass(frozen=True)
class DecisionRecord:
    """A decision as data and as a document.

    `record` : ready for JSON. `markdown` : the same for people.
    """

    record: Mapping[str, Any]
    markdown: str

    def to_dict(self) -> dict[str, Any]:
        """The data."""
        return dict(self.record)

    def to_json(self) -> str:
        """The data as JSON text."""
        return json.dumps(self.record, indent=2, ensure_ascii=False) + "\n"


def decision_record(
    recommendation: Recommendation,
    *,
    corpus_size: CorpusSizeEffect | None = None,
    thresholds: Sequence[MeasuredThreshold] = (),
    price_per_gb: float | None = None,
    currency: str = "",
    note: str = "",
    data_file: str = "",
    decided_at: str | None = None,
) -> DecisionRecord:
    """The record of a recommendation: data fingerprint, model, plan, evidence, caveats.

    Parameters
    ----------
    corpus_size : of the chosen plan, so that the record says what more vectors do to it
    thresholds : of the chosen plan and its runners-up, from `plan_thresholds`, so that whoever keeps results above a
        score knows which one
    price_per_gb, currency : your price of a gigabyte for a month
    note : your own words
    data_file : what the data were read from, as `read_corpus` was given it
    decided_at : a date, ISO 8601; now (UTC) when None

    Raises
    ------
    InvalidInputError : the price is below 0, or `corpus_size` or `thresholds` are of other plans.
    """
    plan = recommendation.plan
    if corpus_size is not None and corpus_size.plan != plan:
        raise InvalidInputError(
            f"`corpus_size` is of {corpus_size.plan.label}, not of the plan decided on; measure that one."
        )
    rows = [row for row in (recommendation.chosen, *recommendation.runners_up) if row is not None]
    measured = {one.plan: one for one in thresholds}
    for other in set(measured) - {row.plan for row in rows}:
        raise InvalidInputError(
            f"`thresholds` has {other.label}, which is neither the plan decided on nor a runner-up; measure those."
        )
    storage = None if plan is None else recommendation.storage(price_per_gb=price_per_gb)
    decided = recommendation.to_dict()

    def parts(*names: str) -> dict[str, Any]:
        return {name: decided[name] for name in names}

    def with_threshold(row: PlanEvidence) -> dict[str, Any]:
        threshold = measured.get(row.plan)
        return row.to_dict() | {"threshold": threshold.to_dict() if threshold else None}

    record: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": KIND,
        "decided_at": decided_at or datetime.now(UTC).isoformat(timespec="seconds"),
        "decision": decided["takeaway"],
        "status": decided["status"],
        "data": ({"file": data_file} if data_file else {}) | parts("fingerprint", "n_items", "n_queries"),
        "model": {"name": decided["model"], "full_dim": decided["full_dim"]},
        "aim": parts("metric", "target", "confidence", "n_vectors", "budgets", "smallest"),
        "plan": plan.to_dict() if plan else None,
        "evidence": with_threshold(recommendation.chosen) if recommendation.chosen else None,
        "runners_up": [with_threshold(row) for row in recommendation.runners_up],
        **parts("undecided", "trade_offs"),
        "storage": storage.to_dict() if storage else None,
        "currency": currency,
        "corpus_size": corpus_size.to_dict() if corpus_size else None,
        "caveats": _caveats(recommendation, corpus_size),
        "note": note,
    }
    # A round trip makes lists of tuples, so that what is compared later is what was written.
    record = json.loads(json.dumps(record))
    storage_lines = [] if storage is None else [storage.takeaway(), "", f"    {storage.formula}"]
    threshold_lines = _threshold_lines([measured[row.plan] for row in rows if row.plan in measured])
    return DecisionRecord(record, _markdown(recommendation, record, threshold_lines, storage_lines))


def plan_from_text(text: str) -> Plan:
    """The plan of a short text: the width, then in any order its dtype, its kind and what it reranks.

    "64" · "64,int8" · "64,float32,hnsw" · "64,binary,200@768" (200 reranked at 768 dims) · "32,1000@128,100@768".

    Raises
    ------
    InvalidInputError, DimensionError : a text that makes no plan.
    """
    first, *parts = [part.strip() for part in str(text).split(",")]
    if not first.isdecimal():
        raise InvalidInputError(
            f"`plan` is {text!r}; give a decision record's JSON file, or a width with details such as 64,int8,200@768."
        )
    named: dict[str, str] = {}
    rerank: list[tuple[int, int]] = []
    for part in parts:
        size, at, dim = part.partition("@")
        field = "dtype" if part in BITS else "kind" if part in KINDS else None
        if at and size.isdecimal() and dim.isdecimal():
            rerank.append((int(size), int(dim)))
        elif field is not None and field not in named:
            named[field] = part
        else:
            raise InvalidInputError(
                f"`plan` has {part!r}; choose at most one of {list(BITS)}, one of {list(KINDS)}, SIZE@DIM to rerank."
            )
    return Plan(int(first), **named, rerank=tuple(rerank))


def plan_from_record(record: Mapping[str, Any], *, fingerprint: str | None = None) -> Plan:
    """The plan of a decision record, checked against the data it is to be used on.

    Parameters
    ----------
    record : as `DecisionRecord.record`, or read from its JSON, also of the schema before; see `changed_since`
    fingerprint : of the data in use, `Embedded.fingerprint`; None skips the check

    Raises
    ------
    DataFormatError : not a decision record, or one without a plan.
    InvalidInputError : a record of other data.
    """
    if not isinstance(record, Mapping) or record.get("kind") != KIND or "plan" not in record:
        raise DataFormatError("This is no decision record; give the JSON that `decision_record` wrote.")
    if record.get("schema") not in (SCHEMA, *CHANGED_SINCE):
        raise DataFormatError(
            f"This decision record has schema {record.get('schema')!r} and this version reads 1 to {SCHEMA}; use the "
            "version of mrl_viz that wrote it, or decide again."
        )
    if record["plan"] is None:
        raise DataFormatError("This decision record holds no plan: nothing met its target within its budgets.")
    data = record.get("data")
    decided = data.get("fingerprint") if isinstance(data, Mapping) else None
    if fingerprint is not None and decided != fingerprint:
        raise InvalidInputError(
            f"`record` was decided on data {decided} and these are {fingerprint}: other texts, labels, queries, "
            "judgements or another model; choose again for these data."
        )
    return Plan.from_dict(record["plan"])


def changed_since(record: Mapping[str, Any]) -> tuple[str, ...]:
    """What a record of an earlier schema says otherwise than one of today, in sentences; none for one of today."""
    return tuple(sentence for schema, sentence in CHANGED_SINCE.items() if record.get("schema") == schema)


def _caveats(recommendation: Recommendation, corpus_size: CorpusSizeEffect | None) -> list[str]:
    caveats = [
        f"The lower bound is about queries like the {recommendation.n_queries} measured ones, this corpus and model.",
        "All plans that meet the target do so together (95 %), so the choice among them does not spoil the promise; it "
        "is for a target set before looking at the results.",
        *recommendation.notes,
    ]
    if "overlap" in recommendation.metric:
        caveats.append("Overlap is agreement with the full-width vectors, not quality for users; label some queries.")
    if recommendation.status == "not_enough_texts":
        caveats.append("There are too few queries to tell; the plan is the safe one, not the smallest that would do.")
    if corpus_size is not None:
        caveats.append(corpus_size.takeaway())
        if corpus_size.extrapolated is not None and corpus_size.extrapolated.low < recommendation.target:
            caveats.append("At production size the overlap may be below the target: measure again there.")
    elif recommendation.n_vectors > recommendation.n_items:
        caveats.append("How more vectors change the quality was not measured here.")
    return caveats


def _threshold_lines(thresholds: Sequence[MeasuredThreshold]) -> list[str]:
    if not thresholds:
        return []
    first, rate = thresholds[0], f"{100 * thresholds[0].false_positive_rate:.4g} %"
    return [
        "## Threshold",
        "",
        _plain(first.takeaway()),
        "",
        f"| plan | score that lets {rate} of false pairs through | what full width’s {first.full_threshold.value:.3f} "
        "lets through here |",
        "|---|---|---|",
        *(f"| {one.plan.label} | {one.threshold:.3f} | {one.rate_kept:.2%} |" for one in thresholds),
        "",
        _plain(first.about()),
        "",
    ]


def _markdown(
    recommendation: Recommendation, record: Mapping[str, Any], thresholds: list[str], storage: list[str]
) -> str:
    aim, data = record["aim"], record["data"]
    budgets = ", ".join(f"{name} {limit:g}" for name, limit in aim["budgets"].items()) or "none"
    rows = [("decided", recommendation.chosen), *(("runner-up", row) for row in recommendation.runners_up)]
    rows += [(f"needs {more:,} more queries", row) for row, more in recommendation.undecided[:5]]
    lines = [
        f"# Decision: {recommendation.plan.label if recommendation.plan else 'no plan'}",
        "",
        _plain(record["decision"]),
        "",
        f"- decided: {record['decided_at']}",
        f"- data: {f'{_plain(data_file)}, ' if (data_file := data.get('file')) else ''}{data['n_items']:,} texts, "
        f"{data['n_queries']:,} queries, fingerprint `{data['fingerprint']}`",
        f"- model: {_plain(recommendation.model)}, {recommendation.full_dim} dims",
        f"- aim: {recommendation.target:.0%} of {_plain(recommendation.metric)} at {recommendation.n_vectors:,} "
        f"vectors; budgets: {budgets}; smallest by: {aim['smallest']}",
        "",
        "| | plan | quality | at least (95 %) | bytes per vector in memory | on disk | p95 here | p95 expected |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(name, row) for name, row in rows if row is not None),
        "",
        *(line for one in recommendation.trade_offs for line in (_plain(one.takeaway()), "")),
        *thresholds,
        "## Storage",
        "",
        *(storage or ["No plan, no storage."]),
        "",
        "## Caveats",
        "",
        *(f"- {_plain(caveat)}" for caveat in record["caveats"]),
    ]
    if record["currency"]:
        lines.append(f"- prices in {_plain(record['currency'])}")
    if record["note"]:
        lines += ["", "## Note", "", *(_plain(line) for line in record["note"].splitlines())]
    return "\n".join(lines) + "\n"


def _row(name: str, row: PlanEvidence) -> str:
    return (
        f"| {name} | {row.plan.label} | {row.quality:.1%} | {row.low:.1%} | {row.memory_bytes_per_vector:,} | "
        f"{row.disk_bytes_per_vector:,} | {milliseconds(row.latency.p95_ms)} | "
        f"{milliseconds(row.expected_ms)} |"
    )


def _plain(text: str) -> str:
    """A user's text on one line of a table or list, without HTML."""
    return " ".join(text.replace("|", "/").replace("<", "&lt;").split())
