"""Pictures of how similarities change with the width."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mrl_viz.figures.anatomy import focus_line
from mrl_viz.figures.style import BAND, BLUE, GREEN, GREY, MOST_MARKERS, ORANGE, finish, shorten, width_axis
from mrl_viz.measures.matrices import SimilarityMatrices
from mrl_viz.measures.similarity import SimilarityBand, SimilarityDensity, ThresholdMeaning

HOVER_CHARACTERS = 80
LEGEND_CHARACTERS = 24
# The rest of the Okabe-Ito colours, after those with a meaning on these pages.
PAIR_COLORS = (ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#000000")
PAIR_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
PAIR_SYMBOLS = ("square", "diamond", "cross", "x", "triangle-up", "star")
# Names of more groups than this overlap along a heat map.
MOST_GROUP_NAMES = 12
GROUP_CHARACTERS = 14


def similarity_curves(
    band: SimilarityBand, texts: Sequence[tuple[str, str]] = (), focus_dim: int | None = None
) -> go.Figure:
    """Cosine of the chosen pairs against width, over the 5-95 % band and the median of all sampled pairs.

    `texts` : the two texts of each chosen pair, in the order of `band.pairs`.
    """
    dims = np.asarray(band.dims)
    mode = "lines+markers" if len(dims) <= MOST_MARKERS else "lines"
    figure = go.Figure()
    figure.add_scatter(x=dims, y=np.asarray(band.high), mode="lines", line_width=0, hoverinfo="skip", showlegend=False)
    figure.add_scatter(
        x=dims, y=np.asarray(band.low), mode="lines", line_width=0, fill="tonexty", fillcolor=BAND, hoverinfo="skip",
        name="5 to 95 % of pairs",
    )  # fmt: skip
    figure.add_scatter(
        x=dims, y=np.asarray(band.median), mode=mode, name="median pair", line={"color": BLUE, "width": 3},
        marker={"size": 8}, customdata=np.stack([band.low, band.high], axis=1),
        hovertemplate="%{x} dims: median %{y:.3f}<br>band %{customdata[0]:.3f} to %{customdata[1]:.3f}<extra></extra>",
    )  # fmt: skip
    for position, cosines in enumerate(band.pair_cosines):
        both = texts[position] if position < len(texts) else tuple(f"text {item}" for item in band.pairs[position])
        style = position % len(PAIR_COLORS)
        figure.add_scatter(
            x=dims, y=cosines, mode=mode, customdata=band.pair_percentiles[position],
            name=f"{position + 1}. {' | '.join(shorten(text, LEGEND_CHARACTERS) for text in both)}",
            text=np.full(len(dims), "<br>".join(shorten(text, HOVER_CHARACTERS) for text in both)),
            line={"color": PAIR_COLORS[style], "width": 2.5, "dash": PAIR_DASHES[style]},
            marker={"symbol": PAIR_SYMBOLS[style], "size": 9},
            hovertemplate="%{x} dims: %{y:.3f}, above %{customdata:.1%} of pairs<br>%{text}<extra></extra>",
        )  # fmt: skip
    focus_line(figure, focus_dim)
    width_axis(figure, band.dims)
    figure.update_yaxes(title="cosine")
    return finish(figure).update_layout(legend_traceorder="normal")


def density_heatmap(density: SimilarityDensity) -> go.Figure:
    """Pairs per cell of cosine at full width (across) and at `dim` (up), with the diagonal and the best line."""
    centers = (density.edges[:-1] + density.edges[1:]) / 2
    some = density.counts > 0
    # A logarithmic scale, so that the few pairs far from the crowd stay visible; empty cells stay empty.
    shade = np.full(density.counts.shape, np.nan)
    shade[some] = np.log10(density.counts[some])
    ticks = np.arange(int(np.nanmax(shade)) + 1)
    figure = go.Figure(
        go.Heatmap(
            z=shade, x=centers, y=centers, customdata=density.counts, colorscale="Viridis", hoverongaps=False,
            colorbar={"title": "pairs", "tickvals": ticks, "ticktext": [f"{10**int(tick):,}" for tick in ticks]},
            hovertemplate="full %{x:.3f}, truncated %{y:.3f}<br>%{customdata:,} pairs<extra></extra>",
        )
    )  # fmt: skip
    ends = density.edges[[0, -1]]
    for values, name, color, dash in (
        (ends, "no change", GREY, "dash"),
        (density.slope * ends + density.intercept, f"best line, R² {density.r2:.2f}", ORANGE, "solid"),
    ):
        figure.add_scatter(
            x=ends, y=values, mode="lines", name=name, line={"color": color, "dash": dash, "width": 3}, hoverinfo="skip"
        )
    figure.update_xaxes(title=f"cosine at {density.full_dim} dims", range=ends.tolist(), constrain="domain")
    figure.update_yaxes(title=f"cosine at {density.dim} dims", range=ends.tolist(), scaleanchor="x", constrain="domain")
    return finish(figure, height=520)


def similarity_heatmaps(matrices: SimilarityMatrices, texts: Sequence[str]) -> go.Figure:
    """Full, truncated and difference side by side; `texts` : those of `matrices.items` in their order, for hovers."""
    # The position in front keeps equal texts apart; the names travel once per axis instead of once per cell.
    names = [f"{n + 1}. {shorten(text, HOVER_CHARACTERS)}" for n, text in enumerate(texts)]
    figure = make_subplots(
        1, 3, shared_yaxes=True, horizontal_spacing=0.03,
        subplot_titles=(f"{matrices.full_dim} dims", f"{matrices.dim} dims", "difference"),
    )  # fmt: skip
    off = ~np.eye(len(names), dtype=bool)
    cosines = np.concatenate([matrices.full[off], matrices.truncated[off]])
    most = float(np.abs(matrices.difference).max()) or 0.01
    for column, (values, axis) in enumerate(
        ((matrices.full, "coloraxis"), (matrices.truncated, "coloraxis"), (matrices.difference, "coloraxis2")), start=1
    ):
        figure.add_trace(
            go.Heatmap(
                z=values, x=names, y=names, coloraxis=axis, hovertemplate="%{z:.3f}<br>%{y}<br>%{x}<extra></extra>"
            ),
            row=1,
            col=column,
        )
    starts = [start for _, start, _ in matrices.groups[1:]]
    for column in (1, 2, 3):
        for start in starts:
            figure.add_vline(x=start - 0.5, line={"color": "white", "width": 1}, row=1, col=column)
            figure.add_hline(y=start - 0.5, line={"color": "white", "width": 1}, row=1, col=column)
    figure.update_layout(
        coloraxis={
            "colorscale": "Viridis", "cmin": float(cosines.min()), "cmax": float(cosines.max()),
            "colorbar": {"title": {"text": "cosine", "side": "bottom"}, "orientation": "h", "x": 0.32, "y": -0.05, "yanchor": "top", "len": 0.6, "thickness": 12},
        },
        coloraxis2={
            "colorscale": "PuOr", "cmin": -most, "cmax": most,
            "colorbar": {"title": {"text": "change", "side": "bottom"}, "nticks": 3, "orientation": "h", "x": 0.84, "y": -0.05, "yanchor": "top", "len": 0.3, "thickness": 12},
        },
    )  # fmt: skip
    figure.update_xaxes(showticklabels=False)
    figure.update_yaxes(showticklabels=False, autorange="reversed")
    if 0 < len(matrices.groups) <= MOST_GROUP_NAMES:
        figure.update_yaxes(
            row=1, col=1, showticklabels=True, automargin=True,
            tickvals=[names[(start + stop) // 2] for _, start, stop in matrices.groups],
            ticktext=[shorten(label, GROUP_CHARACTERS) for label, _, _ in matrices.groups],
        )  # fmt: skip
    return finish(figure, height=460).update_layout(margin_b=90)


def threshold_shift(meaning: ThresholdMeaning, focus_dim: int | None = None) -> go.Figure:
    """Left: pairs at or above the fixed threshold; right: the threshold that keeps as many pairs as at full width."""
    dims = np.asarray(meaning.dims)
    mode = "lines+markers" if len(dims) <= MOST_MARKERS else "lines"
    figure = make_subplots(
        1, 2, horizontal_spacing=0.12,
        subplot_titles=(f"Pairs at or above {meaning.threshold:.2f}", "Threshold that keeps as many pairs"),
    )  # fmt: skip
    figure.add_scatter(
        x=dims, y=np.asarray(meaning.share_above), mode=mode, name="pairs kept by the fixed threshold",
        line={"color": BLUE, "width": 3}, marker={"size": 9}, hovertemplate="%{x} dims: %{y:.3%}<extra></extra>",
        row=1, col=1,
    )  # fmt: skip
    figure.add_scatter(
        x=dims, y=np.full(len(dims), meaning.share_above[-1]), mode="lines", name="as many as at full width",
        line={"color": GREY, "dash": "dot"}, hoverinfo="skip", row=1, col=1,
    )  # fmt: skip
    if meaning.matched_threshold[-1] is not None:
        figure.add_scatter(
            x=dims, y=np.array(meaning.matched_threshold, dtype=float), mode=mode, name="matched threshold",
            customdata=np.array(meaning.same_pairs, dtype=float), line={"color": GREEN, "width": 3, "dash": "dash"},
            marker={"size": 9, "symbol": "diamond"},
            hovertemplate="%{x} dims: %{y:.3f}<br>%{customdata:.1%} are the full width's pairs<extra></extra>",
            row=1, col=2,
        )  # fmt: skip
    figure.add_scatter(
        x=dims, y=np.full(len(dims), meaning.threshold), mode="lines", name="fixed threshold",
        line={"color": GREY, "dash": "dashdot"}, hoverinfo="skip", row=1, col=2,
    )  # fmt: skip
    if focus_dim is not None:
        for column in (1, 2):
            figure.add_vline(x=focus_dim, line={"color": ORANGE, "dash": "dot", "width": 2}, row=1, col=column)
    width_axis(figure, meaning.dims)
    # Shares differ by orders of magnitude between widths; a logarithm shows that, where none is 0.
    scale = "log" if min(meaning.share_above) > 0 else "linear"
    figure.update_yaxes(title="share of pairs", tickformat=".2~%", type=scale, row=1, col=1)
    figure.update_yaxes(title="cosine", row=1, col=2)
    return finish(figure)
