"""Pictures of one vector's prefixes, of a pair at every width and the words it comes from, of two short vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from mrl_viz.figures.style import BLUE, DASHED, GREEN, GREY, ORANGE, add_line, add_mark, by_width, finish, shorten

if TYPE_CHECKING:
    from mrl_viz.measures.anatomy import PairByWidth, ShortVectorAgreement, VectorAnatomy
    from mrl_viz.measures.words import WordInfluence
    from mrl_viz.tasks.summary import WidthSummary

# More dolls than this leave no room for their labels.
MOST_DOLLS = 10
DOLL_HEIGHT = 44
# A label is longer than a small doll: its own paper keeps it readable across the lines of larger ones.
LABEL_PAPER, LABEL_INK = "rgba(255, 255, 255, 0.85)", "#1F2A44"
# Colours of a strip end at this percentile of size: one outlying coordinate would turn all others grey.
STRIP_PERCENTILE = 99.5


def coordinate_strip(anatomy: VectorAnatomy, dim: int) -> go.Figure:
    """All coordinates as heat strips: the whole vector, its first `dim` with the rest cut off, those renormalised."""
    strips = np.full((3, anatomy.full_dim), np.nan)
    strips[0] = anatomy.coordinates
    strips[1, :dim], strips[2, :dim] = anatomy.cut(dim), anatomy.short(dim)
    names = [f"all {anatomy.full_dim}", f"first {dim}, cut", f"first {dim}, renormalised"]
    most = float(np.nanpercentile(np.abs(strips), STRIP_PERCENTILE)) or 1.0
    figure = go.Figure().add_heatmap(
        z=strips, x=np.arange(1, anatomy.full_dim + 1), y=names, zmin=-most, zmax=most, colorscale="RdBu",
        ygap=10, hoverongaps=False, colorbar={"title": "value", "thickness": 16},
        hovertemplate="%{y}<br>coordinate %{x}: %{z:.4f}<extra></extra>",
    )  # fmt: skip
    if dim < anatomy.full_dim:
        add_mark(figure, dim + 0.5, f"cut at {dim}", width=3)
    figure.update_xaxes(title="coordinate, in the model's order", showgrid=False, range=[0.5, anatomy.full_dim + 0.5])
    return finish(figure, 280, autorange="reversed", showgrid=False, automargin=True)


def nested_dolls(
    anatomy: VectorAnatomy, focus_dim: int | None = None, summary: WidthSummary | None = None
) -> go.Figure:
    """A doll inside a doll for each width, as long as it has dims, labelled with dims, bytes and energy kept.

    `summary` : what the widths keep over all texts, which the labels then say too. A doll's `customdata` is its width.
    """
    levels = _spread_levels(anatomy.dims, focus_dim)
    figure = go.Figure()
    for place, level in reversed(list(enumerate(levels))):
        dim, top = anatomy.dims[level], place + 1.0
        focused = dim == focus_dim
        color, width = (ORANGE, 4) if focused else (BLUE, 1.5)
        label = f"{dim} dims · {anatomy.n_bytes[level]:,} bytes · {anatomy.energy[level]:.1%} of the energy"
        if summary is not None and dim in summary.dims:
            label += f" · {_kept(summary, dim)}"
        # A bar, as it can be clicked anywhere; the smaller ones lie on it.
        figure.add_bar(
            x=[dim / 2], y=[top], width=[dim], customdata=[dim], text=[label], textposition="none", hoverinfo="text",
            showlegend=False, name=f"{dim} dims", unselected={"marker": {"opacity": 1}},
            marker={"color": "rgba(0, 114, 178, 0.09)", "line": {"color": color, "width": width}},
        )  # fmt: skip
        figure.add_annotation(
            x=0, y=place + 0.5, xanchor="left", xshift=8, text=f"<b>{label}</b>" if focused else label, showarrow=False,
            bgcolor=LABEL_PAPER, font={"color": LABEL_INK},
        )  # fmt: skip
    figure.update_layout(barmode="overlay")
    figure.update_xaxes(title="dims, to scale", range=[0, anatomy.full_dim * 1.02], showgrid=False, zeroline=False)
    return finish(figure, DOLL_HEIGHT * len(levels) + 100, visible=False, range=[0, len(levels) + 0.1])


def _kept(summary: WidthSummary, dim: int) -> str:
    """What a width keeps over all texts, in a few words."""
    level = summary.dims.index(dim)
    kept = f"{summary.overlap.overlap[level].value:.0%} of neighbors"
    share = None if summary.useful is None else summary.useful.retention[level]
    return kept if share is None else f"{kept} · {share.value:.0%} of {summary.judge}"


def prefix_norms(anatomy: VectorAnatomy, focus_dim: int | None = None) -> go.Figure:
    """Norm of each prefix of the unit vector before and after renormalising, and the energy it keeps, against width."""
    dims, figure = anatomy.dims, go.Figure()
    add_line(figure, dims, anatomy.norm_after, "norm, renormalised", BLUE)
    add_line(figure, dims, anatomy.norm_before, "norm, only cut", ORANGE, "dash", "square")
    add_line(figure, dims, anatomy.energy, "energy kept (norm squared)", GREEN, "dot", "diamond")
    even = np.asarray(dims) / anatomy.full_dim
    add_line(figure, dims, even, "energy if spread evenly", GREY, "dashdot", mode="lines", width=2)
    return by_width(figure, dims, focus_dim, title="norm, share of energy", range=[0, 1.05])


def pair_curve(pair: PairByWidth, focus_dim: int | None = None) -> go.Figure:
    """Two texts' cosine at every width, and the dot product that a forgotten renormalisation gives instead."""
    figure = go.Figure()
    add_line(figure, pair.dims, pair.cosine, "cosine (renormalised)", BLUE)
    add_line(
        figure, pair.dims, pair.dot_product, "not renormalised: the bug", ORANGE, "dash", "square",
        customdata=np.asarray(pair.norm_product), hover="%{x} dims: %{y:.3f}, the cosine shrunk to %{customdata:.0%}",
    )  # fmt: skip
    figure.add_hline(y=pair.cosine[-1], line={"color": GREY, "dash": "dot"})
    return by_width(figure, pair.dims, focus_dim, title="similarity", zeroline=True)


def word_influence_map(found: WordInfluence, focus_dim: int | None = None) -> go.Figure:
    """Each word's influence on the cosine of two texts, words against widths; blue brings the texts together."""
    most = float(np.abs(found.influence).max()) or 1.0
    names = [str(dim) for dim in found.dims]
    figure = go.Figure().add_heatmap(
        z=found.influence, x=list(range(len(found.words))), y=names, zmin=-most, zmax=most, colorscale="RdBu",
        text=[[shorten(word, 40) for word in found.words]] * len(names),
        colorbar={"title": "cosine<br>through it", "thickness": 16},
        hovertemplate="%{text}, %{y} dims: %{z:+.3f}<extra></extra>",
    )  # fmt: skip
    if focus_dim in found.dims:
        level = found.dims.index(focus_dim)
        figure.add_shape(
            type="rect", x0=-0.5, x1=len(found.words) - 0.5, y0=level - 0.5, y1=level + 0.5,
            line={"color": ORANGE, "width": 3},
        )  # fmt: skip
    words = [shorten(word, 16) for word in found.words]
    figure.update_xaxes(tickvals=list(range(len(words))), ticktext=words, showgrid=False)
    return finish(figure, 140 + 34 * len(names), type="category", title="width, dims", showgrid=False)


def short_vectors(agreement: ShortVectorAgreement) -> go.Figure:
    """Each coordinate of the local short vector against the API's; on the diagonal they agree."""
    is_dead = np.zeros(agreement.dim, dtype=bool)
    is_dead[list(agreement.dead)] = True
    figure = go.Figure()
    low = float(min(agreement.api.min(), agreement.local.min()))
    high = float(max(agreement.api.max(), agreement.local.max()))
    figure.add_scatter(x=[low, high], y=[low, high], mode="lines", name="equal", line=DASHED, hoverinfo="skip")
    kinds = ((~is_dead, "coordinate", BLUE, "circle"), (is_dead, "dead coordinate", ORANGE, "x"))
    for chosen, name, color, symbol in kinds:
        if chosen.any():
            figure.add_scatter(
                x=agreement.api[chosen], y=agreement.local[chosen], mode="markers", name=name,
                customdata=np.flatnonzero(chosen) + 1,
                marker={"color": color, "symbol": symbol, "size": 8, "opacity": 0.8},
                hovertemplate="coordinate %{customdata}<br>API %{x:.5f}, local %{y:.5f}",
            )  # fmt: skip
    figure.update_xaxes(title="API short vector")
    return finish(figure, title="local short vector")


def _spread_levels(dims: Sequence[int], focus_dim: int | None) -> list[int]:
    """Positions of at most MOST_DOLLS widths, evenly on a log scale, with the full one and the focus among them."""
    if len(dims) <= MOST_DOLLS:
        return list(range(len(dims)))
    wanted = np.geomspace(dims[0], dims[-1], MOST_DOLLS)
    levels = [int(np.argmin(np.abs(np.log(np.asarray(dims) / dim)))) for dim in wanted]
    if focus_dim is not None and focus_dim in dims:
        nearest = int(np.argmin(np.abs(np.log(wanted[:-1] / focus_dim))))
        levels[nearest] = list(dims).index(focus_dim)
    return sorted(set(levels))
