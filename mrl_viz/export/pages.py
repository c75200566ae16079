"""The pages that can be taken along: of each the code of its figures, for a notebook, and the figures, for a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mrl_viz import figures
from mrl_viz.data.corpus import Corpus
from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.export import scripts
from mrl_viz.export.code import Script
from mrl_viz.export.findings import Choices, Findings, Shown
from mrl_viz.export.workspace import Workspace
from mrl_viz.measures.anatomy import pair_by_width, vector_anatomy
from mrl_viz.measures.similarity import similarity_band, similarity_density
from mrl_viz.measures.space import geometry, hubness, space_agreement
from mrl_viz.projection import pca_maps
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.probes import probes
from mrl_viz.retrieval.shortlist import shortlist_curve
from mrl_viz.tasks.task import available_tasks, find_task

Scripts = Iterator[tuple[str, Script]]


@dataclass(frozen=True)
class Page:
    """A page by its name: the question it answers, how to read it, `scripts` with their titles, and what it `shows`."""

    name: str
    title: str
    question: str
    about: str
    scripts: Callable[[Workspace, Choices], Scripts]
    shows: Callable[[Findings], Iterator[Shown]]


def pages_named(names: Sequence[str]) -> tuple[Page, ...]:
    """Those pages in their order; none given means the default ones.

    Raises
    ------
    InvalidInputError : no page of that name.
    """
    if unknown := [name for name in names if name not in PAGES]:
        raise InvalidInputError(f"`pages` has {unknown[0]!r}; choose among {', '.join(PAGES)}.")
    return tuple(page for page in PAGES.values() if page.name in (names or DEFAULT))


def _ending(script: Script, result: str) -> Script:
    """The result as the last line instead of its sentence: a notebook shows it as the sentence and a table."""
    said = ("", f"print({result}.takeaway())")
    if said in script.lines:
        script.lines.remove(said)
    script.add(result)
    return script


def _start_scripts(workspace: Workspace, choices: Choices) -> Scripts:
    task = next(iter(available_tasks(workspace.corpus)), None)
    yield "The same neighbors, and the same usefulness", scripts.start_code(workspace, task)


def _start(found: Findings) -> Iterator[Shown]:
    here, summary = found.workspace, found.summary
    drawn = figures.kept_and_useful(summary, here.focus_dim, here.trained)
    title = "The same neighbors, and the same usefulness"
    yield Shown(title, summary.takeaway_at(here.focus_dim), drawn, rows=summary.rows())


def _neighbors_scripts(workspace: Workspace, choices: Choices) -> Scripts:
    yield "How many survive at each width", _ending(scripts.overlap_code(workspace), "result.overlap")
    yield "Every list length", scripts.by_k_code(workspace)
    yield "Which texts", scripts.per_item_code(workspace, choices.item)
    yield "Where one text's neighbors go", scripts.bump_code(workspace, choices.item)


def _neighbors(found: Findings) -> Iterator[Shown]:
    here, overlap = found.workspace, found.analysis.overlap
    drawn = figures.overlap_curve(overlap, here.focus_dim, here.trained)
    yield Shown("How many survive at each width", overlap.takeaway(), drawn, (overlap.meaning(),), overlap.rows())
    by_k = figures.overlap_by_k(overlap)
    yield Shown("Every list length", overlap.k_takeaway(here.focus_dim), by_k, rows=overlap.k_rows())


def _controls_scripts(workspace: Workspace, choices: Choices) -> Scripts:
    script = scripts.controls_code(workspace, choices.arrangements)
    yield "The prefix beside random, suffix and SVD", _ending(script, "beside.nestedness")


def _controls(found: Findings) -> Iterator[Shown]:
    here, beside = found.workspace, found.controls
    rows = [{"arrangement": name} | row for name, curve in beside.curves.items() for row in curve.rows()]
    drawn = figures.controls_curve(beside, here.focus_dim, here.trained)
    yield Shown("The prefix beside random, suffix and SVD", beside.takeaway(), drawn, tuple(beside.notes), rows)
    if beside.nestedness is not None:
        bars, said = figures.nestedness_bars(beside.nestedness), beside.nestedness.takeaway()
        yield Shown("How far the prefix stands above random", said, bars, rows=beside.nestedness.rows())


def _similarity_scripts(workspace: Workspace, choices: Choices) -> Scripts:
    yield "One text's nearest pairs over the band of all", scripts.nearest_band_code(workspace, choices.item)
    yield "Against the full width", scripts.density_code(workspace)
    yield "The biggest movers", scripts.movers_code(workspace)


def _similarity(found: Findings) -> Iterator[Shown]:
    here, sample = found.workspace, found.analysis.sample
    band = similarity_band(sample, found.pairs)
    names = [(found.text(left), found.text(right)) for left, right in found.pairs]
    drawn = figures.similarity_curves(band, names, here.focus_dim)
    title = "One text's nearest pairs over the band of all"
    yield Shown(title, band.takeaway_at(here.focus_dim), drawn, rows=band.rows())
    density = similarity_density(sample, here.focus_dim)
    yield Shown("Against the full width", density.takeaway(), figures.density_heatmap(density))


def _anatomy_scripts(workspace: Workspace, choices: Choices) -> Scripts:
    yield f"Text {choices.item + 1}, taken apart", _ending(scripts.anatomy_code(workspace, choices.item), "anatomy")


def _anatomy(found: Findings) -> Iterator[Shown]:
    here, item = found.workspace, found.choices.item
    anatomy = vector_anatomy(here.embedded.matrix[item], dims=here.dims)
    strip = figures.coordinate_strip(anatomy, here.focus_dim)
    yield Shown(f"“{found.text(item)}”", anatomy.takeaway_at(here.focus_dim), strip, rows=anatomy.rows())
    dolls = figures.nested_dolls(anatomy, here.focus_dim)
    yield Shown("A doll in a doll for each width", anatomy.dolls_takeaway(here.focus_dim), dolls)
    norms = figures.prefix_norms(anatomy, here.focus_dim)
    yield Shown("The norm before and after renormalising", anatomy.norms_takeaway(here.focus_dim), norms)
    pair = pair_by_width(here.embedded.matrix[item], here.embedded.matrix[found.pairs[0][1]])
    drawn = figures.pair_curve(pair, here.focus_dim)
    yield Shown("With its nearest neighbor, renormalised and not", pair.takeaway_at(here.focus_dim), drawn)


def _tasks(corpus: Corpus) -> tuple[str, ...]:
    tasks = available_tasks(corpus)
    if not tasks:
        raise EmptyInputError(
            "Task quality needs labels: queries with relevance judgements, sentence pairs with scores, or a label "
            "column."
        )
    return tasks


def _quality_scripts(workspace: Workspace, choices: Choices) -> Scripts:
    for task in _tasks(workspace.corpus):
        if task != "retrieval":
            find_task(workspace.embedded, task)  # labels that cannot judge are said here, and no cell fails later
        yield task.capitalize(), _ending(scripts.quality_code(workspace, task), "quality")


def _quality(found: Findings) -> Iterator[Shown]:
    for task in _tasks(found.workspace.corpus):
        quality = found.quality(task)
        drawn = figures.quality_curves(quality, quality.main_metrics, found.workspace.focus_dim)
        yield Shown(
            task.capitalize(), quality.takeaway_at(found.workspace.focus_dim), drawn, quality.notes, quality.rows()
        )


def _map_scripts(workspace: Workspace, choices: Choices) -> Scripts:
    yield "One PCA basis for all widths", scripts.map_code(workspace)


def _map(found: Findings) -> Iterator[Shown]:
    here = found.workspace
    maps = pca_maps(here.embedded.matrix, here.dims[-scripts.MOST_PANELS :], k=here.k, seed=here.seed)
    texts = [found.text(item) for item in range(here.corpus.n_items)]
    yield Shown("One PCA basis for all widths", maps.takeaway(), figures.map_panels(maps, texts), rows=maps.rows())


def _space_scripts(workspace: Workspace, choices: Choices) -> Scripts:
    yield "The cloud of vectors as a whole", scripts.space_code(workspace)


def _space(found: Findings) -> Iterator[Shown]:
    here, focus = found.workspace, found.workspace.focus_dim
    agreement = space_agreement(here.embedded.matrix, dims=here.dims, seed=here.seed)
    shape = geometry(here.embedded.matrix, dims=here.dims, seed=here.seed)
    hubs = hubness(found.analysis.sweep)
    drawn = figures.space_agreement_curves(agreement, focus)
    yield Shown("Is it still the same space?", agreement.takeaway_at(focus), drawn, rows=agreement.rows())
    directions = figures.geometry_curves(shape, focus)
    yield Shown("How many directions are in use?", shape.takeaway_at(focus), directions, rows=shape.rows())
    yield Shown(
        "Who is everybody's neighbor?", hubs.takeaway_at(focus), figures.hubness_curves(hubs, focus), rows=hubs.rows()
    )


def _stages(workspace: Workspace) -> tuple[tuple[int, int], ...]:
    """A shortlist at the focus width, five times as long as the list, reranked at full width."""
    full, k = workspace.embedded.full_dim, workspace.k
    if workspace.focus_dim == full:
        raise InvalidInputError("The focus width is the full width, which needs no rerank: choose a smaller one.")
    most = max(k, workspace.corpus.n_items - 1)
    return ((workspace.focus_dim, min(5 * k, most)), (full, k))


def _search_scripts(workspace: Workspace, choices: Choices) -> Scripts:
    yield "Shortlist at the focus width, rerank at the full one", scripts.search_code(workspace, _stages(workspace))


def _search(found: Findings) -> Iterator[Shown]:
    here, stages = found.workspace, _stages(found.workspace)
    index = PrefixIndex(here.embedded.matrix, here.dims)
    asked = probes(here.embedded.matrix, found.asked.queries)
    curve = shortlist_curve(index, asked.rows, shortlist_dim=stages[0][0], k=here.k, own=asked.own)
    drawn = figures.shortlist_overlap(curve, stages[0][1])
    title = "Shortlist at the focus width, rerank at the full one"
    yield Shown(title, curve.takeaway(), drawn, (asked.takeaway(),), curve.rows())


def _compare_scripts(workspace: Workspace, choices: Choices) -> Scripts:
    if not choices.models:
        raise InvalidInputError("Nothing to compare with: choose another model of the same texts.")
    own = () if workspace.is_ready else (workspace.model,)
    has_quality = bool(available_tasks(workspace.corpus))
    script = scripts.comparison_code(workspace, (*own, *choices.models), has_quality=has_quality)
    yield "Quality and agreement, per byte of a vector", _ending(script, "comparison")


def _compare(found: Findings) -> Iterator[Shown]:
    result = found.comparison
    if result.metric is not None:
        drawn, rows = figures.quality_per_byte(result), result.model_rows()
        yield Shown("Task quality per byte", result.takeaway(), drawn, tuple(result.notes), rows)
    drawn = figures.overlap_per_byte(result)
    yield Shown("Agreement with oneself per byte", result.self_takeaway(), drawn, rows=result.rows())
    drawn, rows = figures.n2o_heatmap(result), result.agreement_rows()
    yield Shown("Do the models agree with each other?", result.agreement_takeaway(), drawn, rows=rows)


def _choose_scripts(workspace: Workspace, choices: Choices) -> Scripts:
    metric, options = f"overlap@{workspace.k}", {"target": choices.target}
    script = scripts.decision_code(workspace, metric, options, is_of_queries=True, **choices.measured)
    yield "The smallest plan that is good enough", _ending(script, "decision")


def _choose(found: Findings) -> Iterator[Shown]:
    decision = found.chosen
    rows = [row for row in (decision.chosen, *decision.runners_up, decision.nearest, decision.best_within) if row]
    shown = [
        {"plan": row.plan.label, "kept": row.quality, "at least (95 %)": row.low,
         "bytes in memory": row.memory_bytes_per_vector, "bytes on disk": row.disk_bytes_per_vector,
         "p95 ms expected": row.expected_ms}
        for row in rows
    ]  # fmt: skip
    yield Shown("Plans", decision.takeaway(), figures.pareto(decision), tuple(decision.notes), shown)
    other = decision.sensitivity
    yield Shown("If the list were longer, or the target another", other.takeaway(), figures.sensitivity_heatmap(other))


PAGES = {
    page.name: page
    for page in (
        Page(
            "start", "Start", "What does each embedding width keep?",
            "Of a text's nearest neighbors, and of what the data's labels judge, each as a share of the full width.",
            _start_scripts, _start,
        ),
        Page(
            "neighbors", "Neighbors", "Do neighbors survive?",
            "The nearest texts at full width are the reference. A width keeps one of them when it is still among the "
            "nearest after cutting and renormalising; chance is what lists at random would share.",
            _neighbors_scripts, _neighbors,
        ),
        Page(
            "controls", "Controls", "Is it the training, or would any coordinates do?",
            "Dropping coordinates at random costs most models little. A prefix that was trained stands above as many "
            "random coordinates; one that was not does not. SVD is the rival that needs no training.",
            _controls_scripts, _controls,
        ),
        Page(
            "similarity", "Similarity", "How do similarities drift with the width?",
            "Scores at different widths are not comparable. A shift changes every score and no ranking; what is left "
            "around it reorders.",
            _similarity_scripts, _similarity,
        ),
        Page(
            "anatomy", "Anatomy", "What does truncating do to one vector?",
            "Keep the first coordinates, then bring the length back to 1: without that a dot product is no cosine, and "
            "scores shrink, differently for every text.",
            _anatomy_scripts, _anatomy,
        ),
        Page(
            "quality", "Task quality", "Does the task still work at a smaller width?",
            "Measured against labels, not against the full-width vectors: a width may move many neighbors and still "
            "answer as well, or the other way round.",
            _quality_scripts, _quality,
        ),
        Page(
            "map", "Map", "Where do texts move?",
            "A picture of two coordinates illustrates; every number comes from the true vectors.",
            _map_scripts, _map,
        ),
        Page(
            "space", "Inside the space", "What happens to the space as a whole?",
            "These measures are dominated by the many distant pairs and may stay high while the nearest neighbors "
            "change; for search, trust the overlap.",
            _space_scripts, _space,
        ),
        Page(
            "search", "Search lab", "What does a shortlist find?",
            "A shortlist by short vectors, scored again by the full ones, finds what the full width finds if the "
            "shortlist is long enough.",
            _search_scripts, _search,
        ),
        Page(
            "compare", "Compare models", "Which model at which width, per byte?",
            "Agreement with oneself says what truncation loses, not which model is better: models are ranked by task "
            "quality only.",
            _compare_scripts, _compare,
        ),
        Page(
            "choose", "Choose a dimension", "Which is the smallest plan that is good enough?",
            "Every width, precision, index and rerank is measured, which takes some seconds for a thousand texts; then "
            "the smallest is chosen whose lower bound (95 %) meets the target.",
            _choose_scripts, _choose,
        ),
    )
}  # fmt: skip
# Measured in seconds for a thousand texts.
DEFAULT = ("start", "neighbors", "controls", "similarity", "anatomy", "quality")
