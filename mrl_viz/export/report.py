"""A comparison as one HTML file that needs nothing else: no network, no server, no second file."""

from __future__ import annotations

from html import escape
from itertools import count

import plotly.graph_objects as go

from mrl_viz.comparison import ModelComparison
from mrl_viz.export.html import document, figure_part
from mrl_viz.figures.comparison import n2o_heatmap, overlap_per_byte, quality_per_byte
from mrl_viz.result import html_table

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
        html_table(comparison.model_rows()),
        "<h2>Task quality per byte</h2>",
    ]
    numbers = count()

    def add(figure: go.Figure, caption: str) -> None:
        parts.append(figure_part(figure, caption, next(numbers), "comparison"))

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
        html_table([row | {"dim": row["dim"] or "full"} for row in comparison.agreement_rows()]),
        "<h2>Every width and dtype</h2>",
        f"<details><summary>{len(comparison.points)} points</summary>{html_table(comparison.rows())}</details>",
        "<h2>How it was measured</h2>",
        f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in (*_method(comparison), *comparison.notes))}</ul>",
    ]
    return document(f"Models compared: {source.name}", parts)


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
