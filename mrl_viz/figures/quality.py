"""Pictures of task quality: the value itself and what is kept of it, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mrl_viz.figures.style import (
    BLUE,
    DASHED,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    STAR,
    add_estimates,
    add_line,
    by_width,
    shorten,
)
from mrl_viz.measures.estimate import Estimate, columns

if TYPE_CHECKING:
    from mrl_viz.tasks.between import BetweenWidths
    from mrl_viz.tasks.curves import MetricCurve
    from mrl_viz.tasks.evaluation import Quality
    from mrl_viz.tasks.languages import LanguageQuality
    from mrl_viz.tasks.long_tail import LongTail
    from mrl_viz.tasks.robustness import Robustness

# Okabe-Ito again, with a dash and a marker each.
STYLES = (
    (BLUE, "solid", "circle"),
    ("#E69F00", "dash", "square"),
    (GREEN, "dashdot", "diamond"),
    (PURPLE, "dot", "x"),
    ("#56B4E9", "longdash", "triangle-up"),
    ("#8C8C8C", "longdashdot", "cross"),
)
SIGNIFICANT = 0.05
# How far lines stand from each other, as a factor of the width, where the bars of several would cover each other.
APART = 1.06


def quality_curves(quality: Quality, metrics: Sequence[str] | None = None, focus_dim: int | None = None) -> go.Figure:
    """Value (left) and share of the full width's value (right) against width, with 95 % intervals; one line a metric.

    A star stands above widths that differ from the full width at 5 %, Holm-adjusted. Several metrics, such as the same
    one for coarse and fine labels, share the axes.
    """
    chosen = [name for name in metrics or [quality.main_metric] if name in quality.curves]
    return _two_panels(quality.dims, {name: quality.curves[name] for name in chosen}, focus_dim)


def language_curves(languages: LanguageQuality, focus_dim: int | None = None) -> go.Figure:
    """Spearman of each language's pairs (left) and its share of the full width's (right), as in `quality_curves`."""
    return _two_panels(languages.dims, languages.spearman, focus_dim, first="Spearman", apart=APART)


def translation_curves(languages: LanguageQuality, focus_dim: int | None = None) -> go.Figure:
    """The share of searches whose first result is a translation, a line per language searched, as there."""
    # A language looks the same in both pictures.
    styles = {language: number for number, language in enumerate(languages.spearman)}
    figure = _two_panels(
        languages.dims, languages.found, focus_dim, first="translation found first", styles=styles, apart=APART
    )
    return figure.update_yaxes(tickformat=".0%", row=1, col=1)


def long_tail_curves(found: LongTail, focus_dim: int | None = None) -> go.Figure:
    """Accuracy of the head, the tail and added classes (left); right, that minus the plain twin's, or without a twin
    its share of the full width's, as in `quality_curves`."""
    names = found.group_names()
    curves = {names[group]: curve for group, curve in found.curves.items()}
    gain = {names[group]: gain for group, gain in found.gain.items()}
    # Without stars: all widths differ from the full one, and three lines have no room for them.
    figure = _two_panels(found.dims, curves, focus_dim, first="accuracy", apart=APART, gain=gain, has_stars=False)
    return figure.update_yaxes(tickformat=".0%", row=1, col=1)


def robustness_curves(found: Robustness, focus_dim: int | None = None) -> go.Figure:
    """What changed texts find and how alike they stay (left) and what the task keeps at the same width (right), with
    95 % intervals; a line a model. Without labels the left side alone."""
    has_task = any(one.kept for one in found.models.values())
    # Short enough to stand beside each other on a phone.
    own = "own texts nearest" if found.is_foreign else "own original"
    judged = found.metric.partition(":")[0].removeprefix("knn_")
    titles = (own, f"{judged} kept")[: 1 + has_task]
    figure = make_subplots(cols=1 + has_task, subplot_titles=titles, horizontal_spacing=0.1)
    for number, (one, of) in enumerate(zip(found.models.values(), ("", ", plain twin"))):
        lines = [("own" if found.is_foreign else "found first", one.found, 0, 1), ("cosine", one.similarity, 1, 1)]
        lines.append(("task kept", tuple(kept or Estimate(nan, nan, nan) for kept in one.kept), 2, 2))
        for name, estimates, kind, column in lines:
            if estimates:
                colour, dash, symbol = STYLES[kind + 3 * number]
                add_estimates(
                    figure, found.dims, columns(estimates), f"{name}{of}", colour, dash, symbol, row=1, col=column,
                    shift=APART ** (number - (len(found.models) - 1) / 2),
                )  # fmt: skip
    ends = [found.dims[0], found.dims[-1]]
    add_line(
        figure, ends, [found.chance] * 2, "chance", GREY, "longdash", mode="lines", width=2, hover="%{y:.4f}", row=1,
        col=1,
    )  # fmt: skip
    figure.update_yaxes(tickformat=".0%", row=1, col=1)
    if has_task:
        figure.add_hline(y=1, line=DASHED, row=1, col=2)
        figure.update_yaxes(tickformat=".0%", row=1, col=2)
    return by_width(figure, found.dims, focus_dim)


def _two_panels(
    dims: Sequence[int], curves: Mapping[str, MetricCurve], focus_dim: int | None, *, first: str = "value",
    styles: Mapping[str, int] | None = None, apart: float = 1, gain: Mapping[str, Sequence[Estimate]] | None = None,
    has_stars: bool = True,
) -> go.Figure:  # fmt: skip
    """The values of curves (left) and what is kept of them (right), or what they `gain` against a plain twin.

    `styles` : numbers of their lines, else as they come. `apart` : a factor of the width between neighboring lines.
    """
    second = "points over the twin" if gain else "share of full width's"
    figure = make_subplots(cols=2, subplot_titles=(first, second), horizontal_spacing=0.1)
    for place, (name, curve) in enumerate(curves.items()):
        number = place if styles is None else styles[name]
        colour, _, symbol = STYLES[number % len(STYLES)]
        # Another dash at every round of the colours, so that the seventh line is not taken for the first.
        dash = STYLES[(number + number // len(STYLES)) % len(STYLES)][1]
        shown = shorten(name)
        stars = [STAR if p < SIGNIFICANT else "" for p in curve.p_holm]
        shares = gain[name] if gain else [kept or Estimate(nan, nan, nan) for kept in curve.retention]
        against_full: dict[str, Any] = {
            "text": stars, "textposition": "top right", "textfont": {"size": 20, "color": colour},
            "mode": "lines+markers+text", "hovertext": [f"{p:.3f}" for p in curve.p_holm],
            "hover": "<br>p against full width %{hovertext}",
        }  # fmt: skip
        for column, side in enumerate((curve.value, shares), start=1):
            add_estimates(
                figure, dims, columns(side), shown, colour, dash, symbol, number=".3f", size=9,
                **(against_full if has_stars else {}), legendgroup=name, showlegend=column == 1, row=1,
                col=column, shift=apart ** (place - (len(curves) - 1) / 2),
            )  # fmt: skip
    figure.add_hline(y=0 if gain else 1, line=DASHED, row=1, col=2)
    figure.update_yaxes(tickformat="+.0%" if gain else ".0%", row=1, col=2)
    return by_width(figure, dims, focus_dim)


def between_curve(found: BetweenWidths) -> go.Figure:
    """Quality at the trained widths, joined by their line, and at widths between them, with 95 % intervals."""
    figure = go.Figure()
    add_estimates(
        figure, found.trained, columns(found.trained_value), "trained widths", BLUE, "solid", "diamond", number=".4f",
        size=12,
    )  # fmt: skip
    shown = [f"{deviation:+.4f} from the line" for deviation in found.deviation]
    add_estimates(
        figure, found.dims, columns(found.value), "between them", ORANGE, "solid", "circle", number=".4f",
        mode="markers", text=shown, hover="<br>%{text}",
    )  # fmt: skip
    return by_width(figure, sorted({*found.trained, *found.dims}), title=found.metric)
