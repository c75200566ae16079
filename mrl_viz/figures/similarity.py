"""Pictures of how similarities change with the width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mrl_viz.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, add_band, add_line, by_width, finish, shorten

if TYPE_CHECKING:
    from mrl_viz.measures.matrices import SimilarityMatrices
    from mrl_viz.measures.similarity import SimilarityBand, SimilarityDensity, ThresholdMeaning

HOVER_CHARACTERS = 60
LEGEND_CHARACTERS = 24
# The rest of the Okabe-Ito colours, after those with a meaning on these pages.
PAIR_STYLES = (
    (ORANGE, "solid", "square"),
    (GREEN, "dash", "diamond"),
    (PURPLE, "dot", "cross"),
    ("#E69F00", "dashdot", "x"),
    ("#56B4E9", "longdash", "triangle-up"),
    ("#000000", "longdashdot", "star"),
)
# Names of more groups than this overlap along a heat map.
MOST_GROUP_NAMES = 12
GROUP_CHARACTERS = 14


def similarity_curves(
    band: SimilarityBand, texts: Sequence[tuple[str, str]] = (), focus_dim: int | None = None
) -> go.Figure:
    """Cosine of the chosen pairs against width, over the 5-95 % band and the median of all sampled pairs.

    `texts` : the two texts of each chosen pair, in the order of `band.pairs`.
    """
    figure = go.Figure()
    add_band(figure, band.dims, band.low, band.high, "5 to 95 % of pairs")
    add_line(
        figure, band.dims, band.median, "median pair", BLUE, size=8, customdata=np.stack([band.low, band.high], axis=1),
        hover="%{x} dims: %{y:.3f}<br>band %{customdata[0]:.3f} to %{customdata[1]:.3f}",
    )  # fmt: skip
    for position, cosines in enumerate(band.pair_cosines):
        both = texts[position] if position < len(texts) else tuple(f"text {item}" for item in band.pairs[position])
        whole = "<br>".join(shorten(text, HOVER_CHARACTERS) for text in both)
        short = " | ".join(shorten(text, LEGEND_CHARACTERS) for text in both)
        style = PAIR_STYLES[position % len(PAIR_STYLES)]
        add_line(
            figure, band.dims, cosines, f"{position + 1}. {short}", *style, width=2.5,
            customdata=band.pair_percentiles[position], text=np.full(len(band.dims), whole),
            hovertemplate="%{x} dims: %{y:.3f}, above %{customdata:.1%} of pairs<br>%{text}<extra></extra>",
        )  # fmt: skip
    return by_width(figure, band.dims, focus_dim, title="cosine").update_layout(legend_traceorder="normal")


def density_heatmap(density: SimilarityDensity) -> go.Figure:
    """Pairs per cell of cosine at full width (across) and at `dim` (up), with the diagonal and the best line."""
    centers = (density.edges[:-1] + density.edges[1:]) / 2
    some = density.counts > 0
    # A logarithmic scale, so that the few pairs far from the crowd stay visible; empty cells stay empty.
    shade = np.full(density.counts.shape, np.nan, dtype=np.float32)
    shade[some] = np.log10(density.counts[some])
    ticks = np.arange(int(np.nanmax(shade)) + 1)
    counts = density.counts.astype(np.uint16 if density.counts.max() < 2**16 else np.uint32)
    figure = go.Figure().add_heatmap(
        z=shade, x=centers, y=centers, customdata=counts, colorscale="Viridis", hoverongaps=False,
        colorbar={"title": "pairs", "tickvals": ticks, "ticktext": [f"{10**int(tick):,}" for tick in ticks]},
        hovertemplate="full %{x:.3f}, truncated %{y:.3f}<br>%{customdata:,} pairs<extra></extra>",
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
    axis = {"range": ends.tolist(), "scaleanchor": "x", "constrain": "domain"}
    return finish(figure, 520, title=f"cosine at {density.dim} dims", **axis)


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
    for column, values in enumerate((matrices.full, matrices.truncated, matrices.difference), start=1):
        axis, hover = "coloraxis2" if column == 3 else "coloraxis", "%{z:.3f}<br>%{y}<br>%{x}<extra></extra>"
        figure.add_heatmap(z=values, x=names, y=names, coloraxis=axis, hovertemplate=hover, row=1, col=column)
    for _, start, _ in matrices.groups[1:]:
        figure.add_vline(x=start - 0.5, line={"color": "white", "width": 1}, row="all", col="all")
        figure.add_hline(y=start - 0.5, line={"color": "white", "width": 1}, row="all", col="all")
    below = {"orientation": "h", "y": -0.05, "yanchor": "top", "thickness": 12}
    scales = (
        ("coloraxis", "Viridis", float(cosines.min()), float(cosines.max()), "cosine", {"x": 0.32, "len": 0.6}),
        ("coloraxis2", "PuOr", -most, most, "change", {"x": 0.84, "len": 0.3, "nticks": 3}),
    )
    for axis, colorscale, low, high, title, place in scales:
        bar = {"title": {"text": title, "side": "bottom"}} | below | place
        figure.update_layout({axis: {"colorscale": colorscale, "cmin": low, "cmax": high, "colorbar": bar}})
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
    dims, share, fixed = meaning.dims, meaning.share_above, meaning.threshold
    left: dict[str, Any] = {"row": 1, "col": 1}
    right: dict[str, Any] = {"row": 1, "col": 2}
    figure = make_subplots(
        1, 2, horizontal_spacing=0.12,
        subplot_titles=(f"Pairs at or above {fixed:.2f}", "Threshold that keeps as many pairs"),
    )  # fmt: skip
    add_line(figure, dims, share, "pairs kept by the fixed threshold", BLUE, hover="%{x} dims: %{y:.3%}", **left)
    level = np.full(len(dims), share[-1])
    add_line(figure, dims, level, "as many as at full width", GREY, "dot", mode="lines", width=2, hover=None, **left)
    if meaning.matched_threshold[-1] is not None:
        add_line(
            figure, dims, np.array(meaning.matched_threshold, dtype=float), "matched threshold", GREEN, "dash",
            "diamond", customdata=np.array(meaning.same_pairs, dtype=float),
            hover="%{x} dims: %{y:.3f}<br>%{customdata:.1%} are the full width's pairs", **right,
        )  # fmt: skip
    level = np.full(len(dims), fixed)
    add_line(figure, dims, level, "fixed threshold", GREY, "dashdot", mode="lines", width=2, hover=None, **right)
    # Shares differ by orders of magnitude between widths; a logarithm shows that, where none is 0.
    scale = {"type": "log", "dtick": "D2"} if min(share) > 0 else {"type": "linear"}
    figure.update_yaxes(title="share of pairs", tickformat=".2~%", **scale, **left)
    figure.update_yaxes(title="cosine", **right)
    return by_width(figure, dims, focus_dim)
