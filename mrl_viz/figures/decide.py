"""Pictures of a decision: the Pareto front, how it depends on k and target, and on the corpus size."""

from __future__ import annotations

from math import log10

import numpy as np
import plotly.graph_objects as go

from mrl_viz.decide import CorpusSizeEffect, PlanEvidence, Recommendation, Sensitivity
from mrl_viz.figures.style import BAND, BLUE, GREEN, GREY, ORANGE, finish, shorten
from mrl_viz.measures.estimate import columns

# Whiskers and beaten plans stay in the background, in the light and in the dark.
WHISKER, FAINT = "rgba(127, 127, 127, 0.45)", 0.3
SYMBOLS = {"float32": "circle", "float16": "square", "int8": "diamond", "binary": "triangle-up"}


def pareto(recommendation: Recommendation) -> go.Figure:
    """Quality against bytes per vector, one marker a plan, coloured by median latency.

    Faint plans are beaten in quality, bytes and latency by another; the line joins those that no smaller plan reaches in
    quality. Marker shapes are dtypes, open markers rerank; the chosen plan is ringed, and the target is the dashed line.
    """
    figure = go.Figure()
    best: list[PlanEvidence] = []
    for row in sorted(recommendation.evidence, key=lambda row: (row.bytes_per_vector, -row.quality)):
        if not best or row.quality > best[-1].quality:
            best.append(row)
    figure.add_scatter(
        x=[row.bytes_per_vector for row in best], y=[row.quality for row in best], mode="lines", name="best for its bytes",
        line={"color": GREY, "dash": "dot", "shape": "hv"}, hoverinfo="skip",
    )  # fmt: skip
    times = [row.latency.p50_ms for row in recommendation.evidence]
    scale = {"cmin": log10(min(times)), "cmax": log10(max(times))}
    for number, dtype in enumerate(dict.fromkeys(row.plan.dtype for row in recommendation.evidence)):
        rows = [row for row in recommendation.evidence if row.plan.dtype == dtype]
        figure.add_scatter(
            x=[row.bytes_per_vector for row in rows], y=[row.quality for row in rows], mode="markers", name=dtype,
            error_y={
                "array": np.zeros(len(rows)), "thickness": 1.5, "width": 0, "color": WHISKER,
                "arrayminus": [row.quality - row.low if row.is_on_front else 0 for row in rows],
            },
            marker={
                "symbol": [SYMBOLS[dtype] + ("-open" if row.plan.rerank else "") for row in rows], "size": 11,
                "line_width": 2, "color": [log10(row.latency.p50_ms) for row in rows], "colorscale": "Viridis",
                "opacity": [1.0 if row.is_on_front else FAINT for row in rows],
                "showscale": number == 0, "colorbar": _milliseconds(min(times), max(times)), **scale,
            },
            text=[_hover(row) for row in rows], hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    if recommendation.chosen is not None:
        figure.add_scatter(
            x=[recommendation.chosen.bytes_per_vector], y=[recommendation.chosen.quality], mode="markers", name="chosen",
            marker={"symbol": "circle-open", "size": 24, "color": ORANGE, "line_width": 3}, hoverinfo="skip",
        )  # fmt: skip
    figure.add_hline(y=recommendation.target, line={"color": ORANGE, "dash": "dash"})
    most = max(row.bytes_per_vector for row in recommendation.evidence)
    ticks = [4**power for power in range(16) if 4**power <= 2 * most]
    figure.update_xaxes(
        title="bytes per vector (log scale)", type="log", tickvals=ticks, ticktext=[f"{tick:,}" for tick in ticks]
    )
    what = "" if recommendation.metric.startswith("overlap") else ", share of full width"
    figure.update_yaxes(title=f"{shorten(recommendation.metric)}{what}", tickformat=".0%")
    return finish(figure, height=520)


def sensitivity_heatmap(sensitivity: Sensitivity) -> go.Figure:
    """Bytes per vector of the plan chosen for every list length (rows) and target (columns); empty where none meets it."""
    sizes = [[float("nan") if size is None else size for size in row] for row in sensitivity.bytes_per_vector]
    text = [["none" if plan is None else f"{plan.dim} {plan.dtype}" for plan in row] for row in sensitivity.plans]
    names = [["no plan meets it" if plan is None else plan.label for plan in row] for row in sensitivity.plans]
    figure = go.Figure(
        go.Heatmap(
            z=np.log2(np.array(sizes, dtype=float)), x=[f"{100 * target:.4g}%" for target in sensitivity.targets],
            y=[str(k) for k in sensitivity.ks], text=text, texttemplate="%{text}", textfont_size=14, xgap=2, ygap=2, customdata=np.dstack([names, sizes]),
            colorscale="Viridis", reversescale=True, showscale=False,
            hovertemplate="k %{y}, target %{x}<br>%{customdata[0]}<br>%{customdata[1]} bytes per vector<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(title="target", type="category")
    figure.update_yaxes(title="list length k", type="category")
    return finish(figure, height=max(240, 120 + 60 * len(sensitivity.ks)))


def corpus_size_curve(effect: CorpusSizeEffect, target: float | None = None) -> go.Figure:
    """Overlap against corpus size with its interval, the extrapolation dashed and named, and the target."""
    sizes, (overlap, low, high) = np.asarray(effect.sizes), columns(effect.overlap)
    figure = go.Figure()
    figure.add_scatter(
        x=np.r_[sizes, sizes[::-1]], y=np.r_[high, low[::-1]], mode="lines", line_width=0, fill="toself",
        fillcolor=BAND, hoverinfo="skip", name="95 % interval",
    )  # fmt: skip
    figure.add_scatter(
        x=sizes, y=overlap, mode="lines+markers", name="measured", line={"color": BLUE, "width": 3},
        marker={"size": 9}, customdata=np.stack([low, high], axis=1),
        hovertemplate="%{x:,} texts: %{y:.3f}<br>95 %: %{customdata[0]:.3f} to %{customdata[1]:.3f}<extra></extra>",
    )  # fmt: skip
    ticks, beyond = list(effect.sizes), effect.extrapolated
    if effect.n_vectors is not None and beyond is not None:
        ticks.append(effect.n_vectors)
        figure.add_scatter(
            x=[sizes[-1], effect.n_vectors], y=[overlap[-1], beyond.value], mode="lines+markers", name="extrapolated",
            line={"color": GREEN, "dash": "dash"}, marker={"symbol": "diamond-open", "size": 12},
            error_y={
                "array": [0, beyond.high - beyond.value], "arrayminus": [0, beyond.value - beyond.low],
                "thickness": 2, "width": 6,
            },
            hovertemplate="%{x:,} texts: %{y:.3f}, extrapolated<extra></extra>",
        )  # fmt: skip
    if target is not None:
        figure.add_hline(y=target, line={"color": ORANGE, "dash": "dash"})
    figure.update_xaxes(
        title="texts searched (log scale)", type="log", tickvals=ticks, ticktext=[f"{size:,}" for size in ticks]
    )
    figure.update_yaxes(title=f"neighbors kept, overlap@{effect.k}", range=[0, 1.03], tickformat=".0%")
    return finish(figure)


def _milliseconds(least: float, most: float) -> dict[str, object]:
    """A colour bar of median latency, in milliseconds on a log scale."""
    ticks = np.linspace(log10(least), log10(most), 4)
    return {
        "title": {"text": "ms", "font": {"size": 14}},
        "thickness": 14,
        "tickvals": ticks,
        "ticktext": [f"{10**tick:.2g}" for tick in ticks],
    }


def _hover(row: PlanEvidence) -> str:
    return (
        f"{row.plan.label}<br>{row.quality:.3f}, 95 %: at least {row.low:.3f}<br>{row.bytes_per_vector:,} bytes per vector"
        f"<br>{row.latency.p50_ms:.2f} ms median, {row.latency.p95_ms:.2f} ms p95"
    )
