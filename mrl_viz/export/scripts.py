"""The lines that draw each figure again: what a page shows as its code, and a notebook runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mrl_viz import figures
from mrl_viz.adaptor.adaptor import Adaptor
from mrl_viz.adaptor.importance import learn_importance
from mrl_viz.analysis import controls
from mrl_viz.arrangements import ARRANGEMENTS
from mrl_viz.comparison import compare_models
from mrl_viz.data.corpus import Corpus, with_texts
from mrl_viz.data.reading import read_corpus
from mrl_viz.decide import choose, corpus_size_effect, decision_record, measure_candidates, plan_thresholds
from mrl_viz.embedding.embedded import embed, with_queries
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.export.code import Code, Script
from mrl_viz.export.workspace import Workspace
from mrl_viz.measures.anatomy import pair_by_width, vector_anatomy
from mrl_viz.measures.lists import neighbor_overlap, neighbor_ranks
from mrl_viz.measures.matrices import Order, similarity_matrices
from mrl_viz.measures.movers import flipped_triples, relative_movers
from mrl_viz.measures.sample import pair_sample
from mrl_viz.measures.similarity import similarity_band, similarity_density, threshold_meaning
from mrl_viz.measures.space import geometry, hubness, space_agreement
from mrl_viz.measures.words import without_each_word, word_influence
from mrl_viz.projection import pca_maps
from mrl_viz.retrieval.funnel import funnel_losses, neighbor_paths
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.layouts import layout_reads
from mrl_viz.retrieval.probes import probes
from mrl_viz.retrieval.results import recall_vs_full
from mrl_viz.retrieval.shortlist import funnel_search, shortlist_curve
from mrl_viz.retrieval.stopping import learn_stop
from mrl_viz.scale.rows import open_rows
from mrl_viz.scale.streaming import sampled_queries, stream_sweep
from mrl_viz.sweep import nested_sweep
from mrl_viz.tasks.between import MOST_BETWEEN, between_widths
from mrl_viz.tasks.evaluation import evaluate
from mrl_viz.tasks.languages import by_language
from mrl_viz.tasks.long_tail import long_tail
from mrl_viz.tasks.robustness import robustness
from mrl_viz.tasks.summary import MOST_ITEMS, MOST_JUDGED, WidthSummary, task_curve

# Texts in the heat maps: three times the square of it goes to every browser of a room at every move of the width.
N_MATRIX = 64
# Maps that have room beside each other; the widest are drawn.
MOST_PANELS = 8


def overlap_code(workspace: Workspace, every_width: bool = False) -> Script:
    script = Script(workspace)
    if every_width:
        widths = Code(f"range(1, {workspace.embedded.full_dim + 1})")
        sweep = script.let("sweep", nested_sweep, script.matrix, dims=widths, k=workspace.k)
        overlap = script.call(neighbor_overlap, sweep)
    else:
        overlap = script.analysis().overlap
    return script.show(figures.overlap_curve, overlap, workspace.focus_dim, workspace.trained)


def by_k_code(workspace: Workspace) -> Script:
    script = Script(workspace)
    return script.show(figures.overlap_by_k, script.analysis().overlap)


def per_item_code(workspace: Workspace, item: int) -> Script:
    script = Script(workspace)
    overlap = script.analysis().overlap
    return script.show(figures.per_item_strip, overlap, workspace.focus_dim, script.corpus.texts, item)


def map_code(workspace: Workspace) -> Script:
    """One PCA basis for all widths, as panels side by side."""
    script = Script(workspace)
    dims = workspace.dims[-MOST_PANELS:]
    maps = script.let("maps", pca_maps, script.matrix, dims, k=workspace.k, seed=workspace.seed)
    return script.say(maps).show(figures.map_panels, maps, script.corpus.texts)


def bump_code(workspace: Workspace, item: int) -> Script:
    script = Script(workspace)
    ranks = script.let("ranks", neighbor_ranks, script.matrix, item, script.analysis().sweep)
    return script.show(figures.neighbor_bump, ranks, Code("[corpus.texts[j] for j in ranks.neighbors]"), workspace.k)


def controls_code(
    workspace: Workspace, further: Sequence[str] = (), *, has_adaptor: bool = False, has_bars: bool = True,
    has_order: bool = False,
) -> Script:  # fmt: skip
    """The prefix beside its controls. `has_adaptor` : one that is read from a folder. `has_bars` : of nestedness.
    `has_order` : a learnt one of the coordinates."""
    script = Script(workspace)
    given: dict[str, object] = {}
    names = [*map(repr, (*ARRANGEMENTS, *further))]
    if has_adaptor:
        names.append(arrangement_code(script))
    if has_order:
        narrow = [dim for dim in workspace.dims if dim < workspace.embedded.full_dim]
        names.append(script.let("learnt", learn_importance, script.matrix, narrow, k=workspace.k).arrangement)
    if len(names) > len(ARRANGEMENTS):
        given["arrangements"] = Code(f"({', '.join(names)})")
    beside = script.let("beside", controls, script.analysis(), **given, seed=workspace.seed)
    script.show(figures.controls_curve, beside, workspace.focus_dim, workspace.trained)
    script.say(beside)
    if has_bars:
        script.show(figures.nestedness_bars, beside.nestedness)
    return script.show(figures.coordinate_order, Code("learnt"), workspace.focus_dim) if has_order else script


def arrangement_code(script: Script) -> Code:
    """The session's adaptor as an arrangement, in shown code: read from the folder that the Adaptor page offers."""
    script.add("# adaptor: the folder in the file that the Adaptor page offers")
    return Code(f'{script.name(Adaptor)}.load("adaptor").arrangement()')


def _sample_code(workspace: Workspace) -> tuple[Script, Code]:
    script = Script(workspace)
    if workspace.embedded.queries is None:
        return script, script.analysis().sample
    drawn = script.let("sample", pair_sample, script.matrix, dims=workspace.dims, seed=workspace.seed)
    return script, drawn


def band_code(workspace: Workspace, pairs: Sequence[tuple[int, int]]) -> Script:
    script, sample = _sample_code(workspace)
    band = script.let("band", similarity_band, sample, list(pairs))
    texts = Code(f"[(corpus.texts[a], corpus.texts[b]) for a, b in {list(pairs)}]")
    return script.show(figures.similarity_curves, band, texts, workspace.focus_dim)


def nearest_band_code(workspace: Workspace, item: int, n_pairs: int = 4) -> Script:
    """The similarities of a text with its nearest neighbors, which the analysis finds."""
    script, sample = _sample_code(workspace)
    lists = script.analysis().sweep
    pairs = script.assign("pairs", f"[({item}, int(other)) for other in {lists}.indices[-1, {item}, :{n_pairs}]]")
    band = script.let("band", similarity_band, sample, pairs)
    texts = Code("[(corpus.texts[a], corpus.texts[b]) for a, b in pairs]")
    return script.show(figures.similarity_curves, band, texts, workspace.focus_dim)


def density_code(workspace: Workspace) -> Script:
    script, sample = _sample_code(workspace)
    return script.show(figures.density_heatmap, script.call(similarity_density, sample, workspace.focus_dim))


def matrices_code(workspace: Workspace, order: Order, column: str | None) -> Script:
    script = Script(workspace)
    labels = Code(f'[value or "(none)" for value in corpus.labels[{column!r}]]') if column else None
    options: dict[str, object] = {"dim": workspace.focus_dim, "order": order, "labels": labels, "max_items": N_MATRIX}
    matrices = script.let("matrices", similarity_matrices, script.matrix, **options)
    texts = Code(f"[corpus.texts[item] for item in {matrices}.items]")
    return script.show(figures.similarity_heatmaps, matrices, texts)


def movers_code(workspace: Workspace) -> Script:
    script, sample = _sample_code(workspace)
    both = (script.call(measure, sample, workspace.focus_dim) for measure in (relative_movers, flipped_triples))
    return script.say(*both)


def threshold_code(workspace: Workspace, threshold: float) -> Script:
    script, sample = _sample_code(workspace)
    again = script.call(threshold_meaning, sample, threshold)
    return script.show(figures.threshold_shift, again, workspace.focus_dim)


def _subject_code(workspace: Workspace, item: int | None) -> tuple[Script, Code]:
    script = Script(workspace)
    if item is not None:
        return script, Code(f"{script.matrix}[{item}]")
    script.add("# sentence.txt: save the sentence there")
    sentence = script.call(read_corpus, "sentence.txt", fewest=1)
    return script, Code(f"{script.let('sentence', embed, sentence, model=workspace.model).matrix}[0]")


def start_code(workspace: Workspace, task: str | None) -> Script:
    """What each width keeps; `task` : what is judged."""
    script = Script(workspace)
    return script.show(figures.kept_and_useful, _summary(script, task), workspace.focus_dim, workspace.trained)


def whole_code(workspace: Workspace, n_queries: int) -> Script:
    """The overlap of sampled queries among all rows of a source on a disk."""
    script = Script(workspace, embeds=False)
    # It reads the rows themselves, and no sample of them.
    script.lines.clear()
    script.imports.clear()
    rows = script.let("rows", open_rows, workspace.source.file)
    queries = script.call(sampled_queries, rows, n_queries, seed=workspace.seed)
    sweep = script.let("sweep", stream_sweep, rows, queries, dims=workspace.dims, k=workspace.k)
    overlap = script.let("overlap", neighbor_overlap, sweep, seed=workspace.seed)
    return script.say(overlap).show(figures.overlap_curve, overlap, workspace.focus_dim, workspace.trained)


def _summary(script: Script, task: str | None) -> Code:
    workspace, overlap = script.workspace, script.analysis().overlap
    useful = []
    if task is not None:
        options = {"dims": workspace.dims, "kind": task, "most_judged": MOST_JUDGED, "most_items": MOST_ITEMS}
        # The overlap is of texts among themselves: queries come in for the judge alone.
        judged = script.call(with_queries, script.vectors) if task == "retrieval" else script.vectors
        useful = [script.let("useful", task_curve, judged, **options, seed=workspace.seed)]
    return script.call(WidthSummary, overlap, *useful)


def anatomy_code(
    workspace: Workspace, item: int | None, *, summarises: bool = False, task: str | None = None
) -> Script:
    """One vector taken apart; `item` None is a sentence of the user's own. `summarises` : with what the widths keep
    over all texts, judged as `start_code`."""
    script, vector = _subject_code(workspace, item)
    anatomy = script.let("anatomy", vector_anatomy, vector, dims=workspace.dims)
    summary = [script.assign("summary", _summary(script, task))] if summarises else []
    script.show(figures.coordinate_strip, anatomy, workspace.focus_dim)
    script.show(figures.nested_dolls, anatomy, workspace.focus_dim, *summary)
    return script.show(figures.prefix_norms, anatomy, workspace.focus_dim)


def pair_code(workspace: Workspace, item: int | None, other: int) -> Script:
    script, vector = _subject_code(workspace, item)
    pair = script.let("pair", pair_by_width, vector, Code(f"{script.matrix}[{other}]"))
    return script.show(figures.pair_curve, pair, workspace.focus_dim)


def words_code(workspace: Workspace, item: int | None, other: int) -> Script:
    """What each word of a text does for its cosine with another."""
    script, vector = _subject_code(workspace, item)
    text = Code(f"{script.corpus}.texts[{item}]") if item is not None else Code("sentence.corpus.texts[0]")
    both = script.let("words, texts", without_each_word, text)
    words, texts = both.split(", ")
    model = {} if workspace.is_ready else {"model": workspace.model}
    without = script.call(embed, Code(texts), **model).matrix
    against = Code(f"{script.matrix}[{other}]")
    found = script.let("found", word_influence, Code(words), vector, without, against, dims=workspace.dims)
    return script.say(found, at=workspace.focus_dim).show(figures.word_influence_map, found, workspace.focus_dim)


def quality_code(
    workspace: Workspace, task: str, metrics: Sequence[str] | None = None, fusion_k: int | None = None
) -> Script:
    """Task quality by those metrics; None draws the main ones."""
    script = Script(workspace, queries=None if task == "retrieval" else ())
    fused = {} if fusion_k is None else {"fusion_k": fusion_k}
    again = script.let(
        "quality", evaluate, script.vectors, dims=workspace.dims, task=task, seed=workspace.seed, **fused
    )
    shown = again.main_metrics if metrics is None else list(metrics)
    return script.say(again, at=workspace.focus_dim).show(figures.quality_curves, again, shown, workspace.focus_dim)


def languages_code(workspace: Workspace, source: str, *, has_translations: bool) -> Script:
    """Each language's curves, and the translations found from sentences of `source` where they are known."""
    script = Script(workspace)
    options = {"dims": workspace.dims, "source": source, "seed": workspace.seed}
    again = script.let("languages", by_language, script.vectors, **options)
    script.add(f"print({again}.agreement_at({workspace.focus_dim}))")
    script.show(figures.language_curves, again, workspace.focus_dim)
    if has_translations:
        script.add(f"print({again}.found_at({workspace.focus_dim}))")
        script.show(figures.translation_curves, again, workspace.focus_dim)
    return script


def between_code(workspace: Workspace, task: str) -> Script:
    """Quality between the trained widths."""
    script = Script(workspace, queries=None if task == "retrieval" else ())
    options = {"trained": workspace.trained, "kind": task, "most_judged": MOST_BETWEEN, "most_items": MOST_ITEMS}
    found = script.let("found", between_widths, script.vectors, **options, seed=workspace.seed)
    return script.say(found).show(figures.between_curve, found)


def _twin_code(script: Script, twin: str | None) -> dict[str, object]:
    """The plain twin as an option, where there is one: a sample's word, or a model's folder."""
    if twin is None:
        return {}
    given = (script.call(read_corpus, twin),) if script.workspace.is_ready else (script.corpus, twin)
    return {"twin": script.let("twin", embed, *given)}


def long_tail_code(workspace: Workspace, column: str, by: str, twin: str | None) -> Script:
    """Few-shot accuracy with a long tail; `twin` : a sample's word or a model's folder."""
    script = Script(workspace)
    options = {"dims": workspace.dims, "column": column, "by": by, **_twin_code(script, twin), "seed": workspace.seed}
    again = script.let("found", long_tail, script.vectors, **options)
    return script.say(again, at=workspace.focus_dim).show(figures.long_tail_curves, again, workspace.focus_dim)


def robustness_code(
    workspace: Workspace, change: str, task: str | None, twin: str | None, foreign: str | None
) -> Script:
    """What a change of the texts leaves; `task` : what is judged; `foreign` : a sample's word."""
    script = Script(workspace, queries=None if task == "retrieval" else ())
    options = {"dims": workspace.dims, "task": task, **_twin_code(script, twin)}
    if foreign is not None:
        options["foreign"] = script.call(read_corpus, foreign)
    again = script.let("found", robustness, script.vectors, change, **options, seed=workspace.seed)
    return script.say(again, at=workspace.focus_dim).show(figures.robustness_curves, again, workspace.focus_dim)


def space_code(workspace: Workspace) -> Script:
    script, focus = Script(workspace), workspace.focus_dim
    result = script.analysis()
    drawn = {"dims": workspace.dims, "seed": workspace.seed}
    script.show(figures.space_agreement_curves, script.call(space_agreement, script.matrix, **drawn), focus)
    script.show(figures.geometry_curves, script.call(geometry, script.matrix, **drawn), focus)
    return script.show(figures.hubness_curves, script.call(hubness, result.sweep), focus)


def search_code(workspace: Workspace, stages: Sequence[tuple[int, int]]) -> Script:
    """A shortlist + rerank, or a funnel, of these (dim, keep) stages."""
    script, k = Script(workspace, queries=None), workspace.k
    dims = sorted({*workspace.dims, *(dim for dim, _ in stages)})
    index = script.let("index", PrefixIndex, script.matrix, dims)
    asked = script.let("asked", probes, script.matrix, script.vectors.queries)
    rows, own = asked.rows, asked.own
    found = script.let("found", funnel_search, index, rows, stages, own=own)
    exact = script.assign("exact", f"{index}.search({rows}, {k}, own={own})")
    script.say(asked, script.call(recall_vs_full, found.indices, exact.indices))
    again = script.call(shortlist_curve, index, rows, shortlist_dim=stages[0][0], k=k, own=own)
    return script.show(figures.shortlist_overlap, again, stages[0][1])


def _asking(workspace: Workspace, further: Sequence[int] = ()) -> tuple[Script, Code, Code]:
    """An index, of `further` widths too, and what plans are measured with."""
    script = Script(workspace, queries=None)
    index = script.let("index", PrefixIndex, script.matrix, sorted({*workspace.dims, *further}))
    return script, index, script.let("asked", probes, script.matrix, script.vectors.queries)


def _query_code(script: Script, item: int | None, own_query: int | None) -> Code:
    """A text of the data, one of its own queries, or, where both are None, a question in a file."""
    if item is not None:
        return Code(f"{script.matrix}[{item}]")
    if own_query is not None:
        return Code(f"{script.vectors}.queries[{own_query}]")
    script.add("# question.txt: save the question there")
    trusted = {"trust_remote_code": True} if script.workspace.trust_remote_code else {}
    encoder = script.call(load_encoder, script.workspace.model, **trusted)
    question = script.call(read_corpus, "question.txt", fewest=1)
    return script.assign("query", f"{encoder}.encode({question}.texts, kind='query')[0]")


def funnel_code(
    workspace: Workspace, stages: Sequence[tuple[int, int]], item: int | None, own_query: int | None, chosen: int | None
) -> Script:
    """What a funnel finds and loses, and the way of one query's neighbors: of a text of the data or one of its own
    queries, else of a typed question. `chosen` : the neighbor drawn bold."""
    script, index, asked = _asking(workspace, [dim for dim, _ in stages])
    losses = script.let("losses", funnel_losses, index, asked.rows, stages, own=asked.own)
    paths = script.let("paths", neighbor_paths, index, _query_code(script, item, own_query), stages, own=item)
    texts = Code(f"[{script.corpus}.texts[item] for item in {paths}.items]")
    return script.say(asked, losses, paths).show(figures.funnel, losses, paths, texts, chosen)


def stop_code(workspace: Workspace, shortlist_dim: int, target: float) -> Script:
    """A stop by the margin, learnt on half of the queries."""
    script, index, asked = _asking(workspace)
    options = {"shortlist_dim": shortlist_dim, "k": workspace.k, "target": target, "own": asked.own}
    rule = script.let("rule", learn_stop, index, asked.rows, **options, seed=workspace.seed)
    script.say(asked, rule).add(f"print({rule}.target_takeaway())")
    return script.show(figures.stop_curves, rule)


def layout_code(workspace: Workspace, most: int) -> Script:
    """What a disk is asked for by a search at each width, of at most so many texts."""
    script = Script(workspace)
    rows = Code(f"{script.matrix}[:{most}]") if workspace.corpus.n_items > most else script.matrix
    reads = script.let("reads", layout_reads, rows, workspace.dims)
    return script.say(reads, at=workspace.focus_dim).show(figures.layout_bytes, reads, workspace.focus_dim)


def comparison_code(
    workspace: Workspace, models: Sequence[str], files: Sequence[Corpus] = (), *, has_quality: bool
) -> Script:
    """Models that embed the texts, and files of further models' vectors, per byte."""
    script = Script(workspace, embeds=False)
    embedded = [script.call(embed, script.corpus)] if workspace.is_ready else []
    embedded += [script.call(embed, script.corpus, model) for model in models]
    for file in files:
        vectors = script.call(read_corpus, file.name, keep_duplicates=True)
        if file.texts == workspace.corpus.texts:
            vectors = script.call(with_texts, vectors, script.corpus.texts)
        embedded.append(script.call(embed, vectors))
    again = script.let("comparison", compare_models, embedded, k=workspace.k, seed=workspace.seed)
    script.say(again)
    if has_quality:
        script.show(figures.quality_per_byte, again)
    return script.show(figures.overlap_per_byte, again).show(figures.n2o_heatmap, again)


def decision_code(
    workspace: Workspace, metric: str, options: Mapping[str, Any], *, is_of_queries: bool, fusion_k: int | None = None,
    grown_k: int | None = None, has_thresholds: bool = False, **measured: Any,
) -> Script:  # fmt: skip
    """Every plan measured, one chosen by `options`, and its record. `grown_k` : also what more texts do, at this k.

    `has_thresholds` : also the scores to keep results from. `measured` : options of the measurement.
    """
    fused = {} if fusion_k is None else {"fusion_k": fusion_k}
    script = Script(workspace, queries=None if is_of_queries else ())
    again = script.let("measured", measure_candidates, script.vectors, metric=metric, **fused, **measured)
    decision = script.let("decision", choose, again, **options)
    script.say(decision).show(figures.pareto, decision)
    script.show(figures.sensitivity_heatmap, decision.sensitivity)
    grown = None
    if grown_k is not None:
        at = {"k": grown_k, "n_vectors": decision.n_vectors}
        grown = script.let("grown", corpus_size_effect, script.vectors, decision.plan, **at)
        script.show(figures.corpus_size_curve, grown)
    given: dict[str, Any] = {"corpus_size": grown}
    if has_thresholds:
        given["thresholds"] = script.let("thresholds", plan_thresholds, script.vectors, decision)
    record = script.call(decision_record, decision, **given, data_file=workspace.source.file)
    script.add(f"print({record}.markdown)")
    return script
