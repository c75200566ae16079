"""Pictures of a decision: the Pareto front, how it depends on k and target, and on the corpus size."""

from __future__ import annotations

from math import log10
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from mrl_viz.figures.style import (
    BLUE,
    GREEN,
    GREY,
    KEPT,
    ORANGE,
    SHADES,
    add_band,
    add_estimates,
    add_line,
    add_rings,
    bytes_axis,
    dtype_symbol,
    finish,
    log_axis,
    rising,
    shorten,
)
from mrl_viz.measures.estimate import columns

if TYPE_CHECKING:
    from mrl_viz.decide import CorpusSizeEffect, PlanEvidence, Recommendation, Sensitivity

# Whiskers and beaten plans stay in the background, in the light and in the dark.
WHISKER, FAINT = "rgba(127, 127, 127, 0.45)", 0.5


def pareto(recommendation: Recommendation) -> go.Figure:
    """Quality against bytes per vector in memory, one marker a plan, coloured by median latency.

    Where plans are chosen by all their bytes, against those. Faint plans are beaten in quality, memory, disk and
    latency by another; the line joins those that no smaller plan reaches in quality. Marker shapes are dtypes, those
    with a dot rerank; the chosen plan is ringed, the target is the dashed line.
    """
    figure = go.Figure()
    evidence = recommendation.evidence
    by = recommendation.smallest
    sizes, values = [row.size(by)[0] for row in evidence], [row.quality for row in evidence]
    best = rising(sizes, values)
    figure.add_scatter(
        x=[sizes[place] for place in best], y=[values[place] for place in best], mode="lines", hoverinfo="skip",
        name="best for its bytes", line={"color": GREY, "dash": "dot", "shape": "hv"},
    )  # fmt: skip
    times = [row.latency.p50_ms for row in evidence]
    scale = {"cmin": log10(min(times)), "cmax": log10(max(times))}
    for number, dtype in enumerate(dict.fromkeys(row.plan.dtype for row in evidence)):
        rows = [row for row in evidence if row.plan.dtype == dtype]
        figure.add_scatter(
            x=[row.size(by)[0] for row in rows], y=[row.quality for row in rows], mode="markers", name=dtype,
            error_y={
                "array": np.zeros(len(rows)), "thickness": 1.5, "width": 0, "color": WHISKER,
                "arrayminus": [row.quality - row.low if row.is_on_front else 0 for row in rows],
            },
            marker={
                "symbol": [dtype_symbol(dtype) + ("-dot" if row.plan.rerank else "") for row in rows], "size": 11,
                "line_width": 1, "color": [log10(row.latency.p50_ms) for row in rows], "colorscale": list(SHADES),
                "opacity": [1.0 if row.is_on_front else FAINT for row in rows],
                "showscale": number == 0, "colorbar": _milliseconds(min(times), max(times)), **scale,
            },
            text=[_hover(row) for row in rows], hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    if (chosen := recommendation.chosen) is not None:
        add_rings(figure, [chosen.size(by)[0]], [chosen.quality], "chosen", 24)
    figure.add_hline(y=recommendation.target, line={"color": ORANGE, "dash": "dash"})
    bytes_axis(figure, sizes, "bytes per vector in memory" if by == "memory" else "bytes per vector, memory and disk")
    what = "" if recommendation.metric.startswith("overlap") else ", share of full width"
    asked = f"<br>{recommendation.n_queries:,} queries among {recommendation.n_items:,} texts"
    return finish(figure, 520, title=f"{shorten(recommendation.metric)}{what}{asked}", tickformat=".0%")


def sensitivity_heatmap(sensitivity: Sensitivity) -> go.Figure:
    """Bytes per vector in memory of the plan chosen for every list length (rows) and target (columns).

    Empty where there is no plan.
    """
    sizes = [[float("nan") if size is None else size for size in row] for row in sensitivity.memory_bytes_per_vector]
    text = [["none" if plan is None else f"{plan.dim} {plan.dtype}" for plan in row] for row in sensitivity.plans]
    names = [["no plan meets it" if plan is None else plan.label for plan in row] for row in sensitivity.plans]
    figure = go.Figure().add_heatmap(
        z=np.log2(np.array(sizes, dtype=float)), x=[f"{100 * target:.4g}%" for target in sensitivity.targets],
        y=[str(k) for k in sensitivity.ks], text=text, texttemplate="%{text}", textfont_size=14, xgap=2, ygap=2,
        customdata=np.dstack([names, sizes]), colorscale="Viridis", reversescale=True, showscale=False,
        hovertemplate="k %{y}, target %{x}<br>%{customdata[0]}<br>%{customdata[1]} bytes in memory<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title="target", type="category")
    return finish(figure, max(240, 120 + 60 * len(sensitivity.ks)), title="list length k", type="category")


def corpus_size_curve(effect: CorpusSizeEffect, target: float | None = None) -> go.Figure:
    """Overlap against corpus size with its interval, the extrapolation dashed and named, and the target."""
    sizes, sides = effect.sizes, columns(effect.overlap)
    figure, ticks, beyond = go.Figure(), list(sizes), effect.extrapolated
    add_band(figure, sizes, *sides[1:])
    add_estimates(figure, sizes, sides, "measured", BLUE, unit="texts", bars=False)
    if effect.n_vectors is not None and beyond is not None:
        ticks.append(effect.n_vectors)
        more, less = beyond.high - beyond.value, beyond.value - beyond.low
        add_line(
            figure, [sizes[-1], effect.n_vectors], [sides[0][-1], beyond.value], "extrapolated", GREEN, "dash",
            "diamond", size=12, hover="%{x:,} texts: %{y:.3f}",
            error_y={"array": [0, more], "arrayminus": [0, less], "thickness": 2, "width": 6},
        )  # fmt: skip
    if target is not None:
        figure.add_hline(y=target, line={"color": ORANGE, "dash": "dash"})
    log_axis(figure, "texts searched", ticks)
    return finish(figure, title=f"neighbors kept, overlap@{effect.k}", **KEPT)


def _milliseconds(least: float, most: float) -> dict[str, object]:
    """A colour bar of median latency, in milliseconds on a log scale."""
    ticks = np.linspace(log10(least), log10(most), 4)
    labels = [f"{10**tick:.2g}" for tick in ticks]
    return {"title": {"text": "ms", "font": {"size": 14}}, "thickness": 14, "tickvals": ticks, "ticktext": labels}


def _hover(row: PlanEvidence) -> str:
    return (
        f"{row.plan.label}<br>{row.quality:.3f}, 95 %: at least {row.low:.3f}<br>{row.memory_bytes_per_vector:,} bytes "
        f"per vector in memory, {row.disk_bytes_per_vector:,} on disk<br>"
        f"{row.latency.p50_ms:.2f} ms median, {row.latency.p95_ms:.2f} ms p95"
    )
