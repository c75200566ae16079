"""A comparison as one HTML file that needs nothing else: no network, no server, no second file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import count
from typing import Any

import plotly.graph_objects as go

from mrl_viz.comparison import ModelComparison
from mrl_viz.figures.comparison import n2o_heatmap, overlap_per_byte, quality_per_byte

# plotly.js would otherwise offer a button that uploads the chart.
PLOTLY_CONFIG = {"showSendToCloud": False, "displaylogo": False, "responsive": True}
# The file may show what it carries and load nothing.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
STYLE = """
body { font-family: system-ui, sans-serif; font-size: 17px; line-height: 1.5; color: #222; background: #fff;
  margin: 0 auto; max-width: 1100px; padding: 1em }
table { border-collapse: collapse; font-size: 15px; margin: 1em 0 } .wide { overflow-x: auto }
th, td { border-bottom: 1px solid #ccc; padding: .25em .8em; text-align: right } th { background: #f2f2f2 }
td.text, th.text { text-align: left } figure { margin: 1em 0 } figcaption { color: #444 }
.takeaway { border-left: 5px solid #0072B2; padding-left: 1em; font-size: 19px }
"""
OVERLAP_CAPTION = (
    "How much each model keeps of its own full-width neighbors. "
    "A higher line is a model that keeps more of itself, not a better one."
)


def comparison_report(comparison: ModelComparison) -> str:
    """A comparison as a self-contained HTML page: takeaway, figures, tables, notes, how it was measured.

    plotly.js is inside, once (about 5 MB); every text that came from a user is escaped. The same comparison gives
    the same text.
    """
    source = comparison.embedded[0].corpus
    parts = [
        "<h1>Models compared, per byte</h1>",
        f"<p>{escape(source.name)}, {comparison.n_items:,} texts, fingerprint {escape(comparison.fingerprint)}</p>",
        f'<p class="takeaway">{escape(comparison.takeaway())}</p>',
        "<h2>Models</h2>",
        _table(comparison.model_rows()),
        "<h2>Task quality per byte</h2>",
    ]
    numbers = count()

    def add(figure: go.Figure, caption: str) -> None:
        parts.append(_figure(figure, caption, next(numbers)))

    if comparison.metric is None:
        parts.append("<p>There is no task quality to rank the models by. Overlap with itself does not rank them.</p>")
    else:
        judged = f"{comparison.metric} over {comparison.n_judged:,} judged"
        add(quality_per_byte(comparison), f"{judged}; rings mark the Pareto front, with 95 % intervals.")
    parts.append("<h2>What each model keeps of itself</h2>")
    add(overlap_per_byte(comparison), OVERLAP_CAPTION)
    parts.append("<h2>How far the models agree (N2O)</h2>")
    shared = f"Share of the {comparison.k} nearest neighbors in common, each model at full width"
    add(n2o_heatmap(comparison), f"{shared} (chance {comparison.chance:.1%}).")
    parts += [
        _table([row | {"dim": row["dim"] or "full"} for row in comparison.agreement_rows()]),
        "<h2>Every width and dtype</h2>",
        f"<details><summary>{len(comparison.points)} points</summary>{_table(comparison.rows())}</details>",
        "<h2>How it was measured</h2>",
        f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in (*_method(comparison), *comparison.notes))}</ul>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>Models compared: {escape(source.name)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _method(comparison: ModelComparison) -> tuple[str, ...]:
    """How the numbers came about, one sentence each."""
    what = "the texts among themselves" if comparison.is_self else "the queries among the texts"
    method = (
        f"Overlap@{comparison.k}: share of a model's own full-width float32 neighbors that are still there, over the "
        f"lists of {comparison.n_measured:,} of {what}.",
        "N2O: the same share between two models' float32 neighbors (Lin & Smith 2019, arXiv:1909.10724).",
        "Codes: prefix, renormalised, quantised; int8 ranges are of a seeded half of the texts. Searches compare them "
        "with float32 queries, scored pairs with each other.",
        "Embed seconds: what getting the vectors took, from the store where it had them; not a speed.",
        "Intervals: 95 % bootstrap over lists or judged items, the same resamples for every model, width and dtype.",
    )
    quality = f"Quality: {comparison.metric}, task {comparison.task}. The Pareto front goes by the measured values."
    return method if comparison.task is None else (*method, quality)


def _figure(figure: go.Figure, caption: str, number: int) -> str:
    """The first one brings plotly.js."""
    name, said = f"figure-{number}", escape(caption)
    drawn = figure.to_html(full_html=False, include_plotlyjs=number == 0, config=PLOTLY_CONFIG, div_id=name)
    return f'<figure role="group" aria-label="{said}">{drawn}<figcaption>{said}</figcaption></figure>'


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    head = "".join(f"<th{_side(value)}>{escape(name.replace('_', ' '))}</th>" for name, value in rows[0].items())
    body = "".join(
        f"<tr>{''.join(f'<td{_side(value)}>{escape(_shown(value))}</td>' for value in row.values())}</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _side(value: object) -> str:
    return ' class="text"' if isinstance(value, str) else ""


def _shown(value: object) -> str:
    """A value as a reader wants it; what is not known is a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 10 else f"{value:,.0f}"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
