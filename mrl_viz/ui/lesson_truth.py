"""What a lesson's questions are judged by, and the figures that show it, measured in the data in use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st
from plotly.graph_objects import Figure

from mrl_viz import figures
from mrl_viz.comparison.precision import PrecisionComparison, compare_precisions
from mrl_viz.data.samples import SAMPLES
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.embedding.encoders.precomputed import SAMPLE_MODELS
from mrl_viz.errors import InvalidInputError
from mrl_viz.lessons.lesson import Step, Truth
from mrl_viz.lessons.room import Room
from mrl_viz.lessons.truth import promise, truth_of
from mrl_viz.measures.lists import NeighborOverlap, neighbor_overlap
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.shortlist import ShortlistCurve, shortlist_curve
from mrl_viz.sweep import nested_sweep
from mrl_viz.tasks.languages import LanguageQuality, by_language
from mrl_viz.truncation import parse_dims
from mrl_viz.ui.charts import PLOTLY_CONFIG, drawn
from mrl_viz.ui.evidence import plain_controls
from mrl_viz.ui.models import model_names
from mrl_viz.ui.results import SAMPLE, analysis, embedded, measured, sample
from mrl_viz.ui.shipped import at_hand
from mrl_viz.ui.workspace import Source, Workspace, current_workspace

USUAL_K = 10
# Of figures side by side on a presenter's screen, and alone on a telephone's.
FIGURE_HEIGHT = 330


def usual(workspace: Workspace) -> Workspace:
    """The data and model as they are, at the widths and k of the lessons, whatever the sidebar says."""
    vectors = workspace.embedded
    dims = {*parse_dims("", vectors.full_dim, vectors.matryoshka_dims), vectors.full_dim}
    k = max(1, min(USUAL_K, workspace.corpus.n_items - 1))
    return replace(workspace, dims=tuple(sorted(dims)), k=k, focus_dim=vectors.full_dim)


def data_of(room: Room) -> Workspace | None:
    """What a room's questions are measured in; None where this session has not got it: it is somebody else's data."""
    if room.data not in SAMPLES:
        own = current_workspace()
        return usual(own) if own.embedded.fingerprint == room.fingerprint else None
    if room.data == SAMPLE and room.model not in SAMPLE_MODELS and current_workspace().model != room.model:
        return None
    corpus = sample(room.data)
    vectors = embedded(corpus, room.model, st.empty())
    return usual(Workspace(corpus, vectors, (vectors.full_dim,), 1, vectors.full_dim, room.model, Source(room.data)))


def is_everybodys(room: Room) -> bool:
    """Whether every session can draw a room's figures without embedding anything."""
    return room.data == SAMPLE and room.model in SAMPLE_MODELS


def words_of(workspace: Workspace) -> dict[str, int]:
    """The numbers that a lesson's texts may name."""
    return {"full_dim": workspace.embedded.full_dim, "n_items": workspace.corpus.n_items}


def truth_in(workspace: Workspace, step: Step) -> Truth:
    """What a question is judged by.

    Raises
    ------
    MrlVizError : it cannot be measured in these data.
    """
    name = step.truth[0] if step.truth else ""
    models = _models(workspace) if name == "trained_for_it" else {workspace.model: workspace.embedded}
    precisions = _precisions(workspace, step) if name == "best_in_bytes" else None
    second = next((vectors for model, vectors in models.items() if model != workspace.model), None)
    return _truth(step, tuple(models), workspace.embedded, second, precisions)


@measured("Measuring what the question is judged by…")
def _truth(
    step: Step, models: tuple[str, ...], first: Embedded, second: Embedded | None,
    _precisions: PrecisionComparison | None,
) -> Truth:  # fmt: skip
    vectors = {name: one for name, one in zip(models, (first, second)) if one is not None}
    return truth_of(step, vectors, precisions=_precisions)


def _models(workspace: Workspace) -> dict[str, Embedded]:
    """The data as the workspace's model sees it, and as another one that is at hand does."""
    here = SAMPLE_MODELS if workspace.corpus is sample(SAMPLE) else model_names()
    others = [] if workspace.is_ready else [name for name in here if name != workspace.model]
    found = {workspace.model: workspace.embedded}
    return found | {name: embedded(workspace.corpus, name, st.empty()) for name in others[:1]}


def _precisions(workspace: Workspace, step: Step) -> PrecisionComparison:
    kept = at_hand(PrecisionComparison, "precision", workspace, workspace.dims, workspace.k)
    named = {int(part) for option in step.options for part in option.split()[:1] if part.isdigit()}
    return kept or _coded(workspace.embedded, tuple(sorted(named)), workspace.k)


@measured("Measuring every code…")
def _coded(vectors: Embedded, dims: tuple[int, ...], k: int) -> PrecisionComparison:
    return compare_precisions(vectors, dims=dims or None, arrangements=("prefix",), k=k)


@measured("Measuring every width…")
def _overlap(vectors: Embedded, dims: tuple[int, ...], k: int) -> NeighborOverlap:
    return neighbor_overlap(nested_sweep(vectors.matrix, dims=dims, k=k))


@measured("Measuring every language…")
def _languages(vectors: Embedded, dims: tuple[int, ...]) -> LanguageQuality:
    return by_language(vectors, dims=dims)


@measured("Ranking…")
def _shortlist(vectors: Embedded, dim: int, sizes: tuple[int, ...], k: int) -> ShortlistCurve:
    index = PrefixIndex(vectors.matrix, [dim, vectors.full_dim])
    own = np.arange(len(vectors.matrix))
    return shortlist_curve(index, vectors.matrix, shortlist_dim=dim, k=k, sizes=sizes, own=own)


def asked_shown(workspace: Workspace, step: Step, height: int = FIGURE_HEIGHT) -> bool:
    """The figure that belongs to a question, before its reveal; whether there is one."""
    if step.truth is None or step.truth[0] != "trained_for_it":
        return False
    models = _models(workspace)
    if len(models) < 2:
        raise InvalidInputError("This question compares two models, and these data have vectors of one only; skip it.")
    curves = {
        option: _overlap(vectors, _dims(vectors), workspace.k) for option, vectors in zip(step.options, models.values())
    }
    said = f"Neighbors kept by two models, {' and '.join(curves)}, against the share of their numbers that is kept."
    picture("asked", figures.blind_curves(curves, height), said, height)
    return True


def _dims(vectors: Embedded) -> tuple[int, ...]:
    return tuple(sorted({*parse_dims("", vectors.full_dim, vectors.matryoshka_dims), vectors.full_dim}))


def truth_shown(workspace: Workspace, step: Step, said: str, height: int = FIGURE_HEIGHT) -> None:
    """The real figure that a question's truth is read from; `said` : the truth as a sentence, where nothing else is."""
    if step.truth is None:
        return
    name, numbers = step.truth
    value: dict[str, Any] = dict(numbers)
    vectors, trained = workspace.embedded, workspace.trained
    if name == "promise":
        found = promise(value["share"], int(value["n"]))
        picture("revealed", figures.promised(found, height), found.takeaway(), height)
    elif name == "trained_for_it":
        panels = {
            f"{option}: {model}": plain_controls(
                analysis(replace(workspace, embedded=one, dims=_dims(one), model=model))
            )
            for option, (model, one) in zip(step.options, _models(workspace).items())
        }
        said = " ".join(f"{title}. {controls.takeaway()}" for title, controls in panels.items())
        picture("revealed", figures.trained_panels(panels, int(value["dim"]), height), said, height)
    elif name == "best_in_bytes":
        coded = _precisions(workspace, step)
        picture("revealed", figures.kept_in_bytes(coded, step.options, height), said, height)
    elif name == "shortlist_finds":
        size, k = int(value["size"]), int(value["k"])
        sizes = sorted({k, size, *(k * 2**power for power in range(1, 8) if k * 2**power < workspace.corpus.n_items)})
        curve = _shortlist(vectors, int(value["dim"]), tuple(sizes), k)
        picture("revealed", drawn(figures.shortlist_overlap, curve, (size,), {}), curve.takeaway(), height)
    elif name in ("least_agreement_kept", "translations_kept"):
        at = tuple(sorted({*workspace.dims, int(value["dim"])}))
        of_each = _languages(vectors, at)
        figure = figures.language_curves if name == "least_agreement_kept" else figures.translation_curves
        picture("revealed", drawn(figure, of_each, (int(value["dim"]),), {}), of_each.takeaway(), height)
    else:
        k = 1 if name == "top_results_changed" else int(value["k"])
        dims = tuple(sorted({*workspace.dims, int(value["dim"])}))
        overlap = _overlap(vectors, dims, k)
        made = drawn(figures.overlap_curve, overlap, (int(value["dim"]), trained), {})
        picture("revealed", made, overlap.takeaway(), height)


def picture(key: str, figure: Figure, alt: str, height: int) -> None:
    """A figure alone, with its alt text."""
    # A chart's buttons would cover what a phone or a projector shows.
    config = PLOTLY_CONFIG | {"displayModeBar": False}
    st.plotly_chart(figure, width="stretch", height=height, key=key, config=config, alt=alt)
