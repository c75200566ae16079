"""An analysis as one HTML file: chosen pages with their figures and sentences, and the decision record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from itertools import count
from platform import python_version
from typing import Any

import numpy as np
import plotly

from mrl_viz import __version__
from mrl_viz.decide import changed_since, plan_from_record
from mrl_viz.errors import CancelledError, MrlVizError
from mrl_viz.export.findings import Findings, Shown
from mrl_viz.export.html import document, figure_part
from mrl_viz.export.pages import Page, pages_named
from mrl_viz.result import html_table

MOST_BYTES = 8_000_000
# What plotly.js and the frame of a report take of these.
FRAME_BYTES = 5_200_000
MOST_ROWS = 200


def analysis_report(
    findings: Findings, pages: Sequence[str] = (), *, record: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> str:  # fmt: skip
    """The analysis as a self-contained HTML page of at most 8 MB: plotly.js is inside, every user's text is escaped.

    Parameters, Raises : as `report_parts`.
    """
    return document(title_of(findings), report_parts(findings, pages, record=record, progress=progress))


def title_of(findings: Findings) -> str:
    """What a browser's tab says."""
    return f"{findings.workspace.corpus.name}: what each embedding width keeps"


def report_parts(
    findings: Findings, pages: Sequence[str] = (), *, record: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:  # fmt: skip
    """What is in a report, less the frame and plotly.js, which `document` adds.

    A page that cannot be measured is a sentence that says why; a figure that would be too much is left out, and said
    so. The same analysis gives the same text.

    Parameters
    ----------
    findings : what is reported, measured where it is not yet
    pages : names of PAGES; none takes the default ones
    record : a decision record as data, to stand at the end
    progress : called with (pages done, pages in all)

    Raises
    ------
    InvalidInputError : no such page. DataFormatError : `record` is no decision record. CancelledError : `progress`
    ended it.
    """
    chosen = pages_named(pages)
    if record is not None:
        plan_from_record(record)
    parts = _opening(findings, chosen, record is not None)
    numbers, left = count(), MOST_BYTES - FRAME_BYTES
    for done, page in enumerate(chosen):
        if progress is not None:
            progress(done, len(chosen))
        parts.append(f'<h2 id="{page.name}">{escape(page.title)}: {escape(page.question)}</h2>')
        parts.append(f'<p class="about">{escape(page.about)}</p>')
        try:
            for shown in page.shows(findings):
                made = _part(shown, numbers, page.name, left)
                left -= len(made.encode())
                parts.append(made)
        except CancelledError:
            raise
        except MrlVizError as error:
            parts.append(f'<p class="failed">{escape(str(error))}</p>')
    if record is not None:
        parts.append(_record(record, findings))
    if progress is not None:
        progress(len(chosen), len(chosen))
    return parts


def _opening(findings: Findings, pages: Sequence[Page], has_record: bool) -> list[str]:
    here, vectors = findings.workspace, findings.workspace.embedded
    widths = ", ".join(map(str, here.dims))
    facts = {
        "data": f"{here.corpus.name}, {here.corpus.n_items:,} texts, fingerprint {here.corpus.fingerprint}",
        "model": f"{vectors.model}, {vectors.full_dim} dims; with the data, fingerprint {vectors.fingerprint}",
        "settings": f"widths {widths}; focus {here.focus_dim}; k = {here.k}; seed {here.seed}",
        "versions": f"mrl_viz {__version__}, Python {python_version()}, numpy {np.__version__}, plotly "
        f"{plotly.__version__}",
        "texts": "in this report: whoever has it can read some of them" if findings.has_texts else "none in this "
        "report; they are called by their number",
    }  # fmt: skip
    links = [(page.name, page.title) for page in pages] + ([("record", "Decision record")] if has_record else [])
    to = " · ".join(f'<a href="#{name}">{escape(title)}</a>' for name, title in links)
    return [
        "<h1>What does each embedding width keep?</h1>",
        f"<ul>{''.join(f'<li><b>{name}</b>: {escape(fact)}</li>' for name, fact in facts.items())}</ul>",
        f"<nav>{to}</nav>",
    ]


def _part(shown: Shown, numbers: count[int], name: str, left: int) -> str:
    parts = [f"<h3>{escape(shown.title)}</h3>", f'<p class="takeaway">{escape(shown.takeaway)}</p>']
    if shown.figure is not None:
        number = next(numbers)
        drawn = figure_part(shown.figure, "", number, f"{name}-{number}")
        if (n_bytes := len(drawn.encode())) > left:
            parts.append(
                f'<p class="failed">This figure takes {n_bytes / 1e6:.1f} MB, more than is left of the '
                f"{MOST_BYTES / 1e6:g} MB of a report; see it in the app.</p>"
            )
        else:
            parts.append(drawn)
    parts += [f'<p class="note">{escape(note)}</p>' for note in shown.notes if note]
    if shown.rows:
        parts.append(f"<details><summary>The numbers</summary>{html_table(shown.rows, MOST_ROWS)}</details>")
    return f"<section>{''.join(parts)}</section>"


def _record(record: Mapping[str, Any], findings: Findings) -> str:
    """The decision record for a reader who was not there."""
    data, model, aim = (_mapping(record.get(name)) for name in ("data", "model", "aim"))
    facts = {
        "decided": record.get("decided_at"),
        "file": data.get("file"),
        "data": f"{data.get('n_items')} texts, {data.get('n_queries')} queries, fingerprint {data.get('fingerprint')}",
        "model": f"{model.get('name')}, {model.get('full_dim')} dims",
        "aim": f"{aim.get('target')} of {aim.get('metric')} at {aim.get('n_vectors')} vectors; budgets "
        f"{_named(_mapping(aim.get('budgets')))}; smallest by {aim.get('smallest', 'memory')}",
        "score": _mapping(_mapping(record.get("evidence")).get("threshold")).get("takeaway"),
        "storage": _mapping(record.get("storage")).get("formula"),
        "note": record.get("note"),
    }
    here = findings.workspace.embedded.fingerprint
    notes = list(changed_since(record))
    if data.get("fingerprint") not in (here, findings.asked.fingerprint):
        notes.append("This decision was made on other data or another model than this report is of.")
    lines = "".join(f"<li><b>{name}</b>: {escape(str(fact))}</li>" for name, fact in facts.items() if fact)
    caveats = record.get("caveats")
    said = "".join(f"<li>{escape(str(line))}</li>" for line in (caveats if isinstance(caveats, list) else ()))
    return (
        '<h2 id="record">The decision record</h2>'
        f'<p class="takeaway">{escape(str(record.get("decision", "")))}</p>'
        + "".join(f'<p class="failed">{escape(note)}</p>' for note in notes)
        + f"<ul>{lines}</ul>{html_table(_evidence(record))}<h3>Caveats</h3><ul>{said}</ul>"
    )


# A record's names for what a reader wants to know of a plan.
EVIDENCE = {
    "quality": "kept", "low": "at least (95 %)", "memory_bytes_per_vector": "bytes in memory",
    "disk_bytes_per_vector": "bytes on disk", "p95_ms": "p95 ms here", "expected_ms": "p95 ms expected",
}  # fmt: skip


def _evidence(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The plan and its runners-up; a record from elsewhere may lack some of it."""
    others = record.get("runners_up")
    rows = [("decided", record.get("evidence"))]
    rows += [("runner-up", row) for row in (others if isinstance(others, list) else ())]
    return [
        {"": name, "plan": str(row.get("plan", ""))} | {said: row.get(key) for key, said in EVIDENCE.items()}
        for name, row in ((name, _mapping(row)) for name, row in rows)
        if row
    ]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _named(values: Mapping[str, Any]) -> str:
    """Names with their values, in words."""
    told = (f"{name.replace('_', ' ')} {value}" for name, value in values.items() if value not in (None, "", []))
    return ", ".join(told) or "none"
