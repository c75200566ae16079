"""Parts of the Choose a dimension page: what is measured once, what the sliders choose from it, and the record."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from mrl_viz.decide import (
    Candidates,
    CorpusSizeEffect,
    DecisionRecord,
    DeploymentStorage,
    MeasuredThreshold,
    Recommendation,
    corpus_size_effect,
    decision_record,
    measure_candidates,
    plan_thresholds,
)
from mrl_viz.decide import choose as choose
from mrl_viz.decide.metrics import AT_K
from mrl_viz.decide.recommendation import SMALLEST, milliseconds
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import EmptyInputError
from mrl_viz.export import deployment_snippets, scripts
from mrl_viz.retrieval.plan import Plan
from mrl_viz.tasks.hybrid import HYBRID
from mrl_viz.ui.background import Report, Stopped, asked_for, steps
from mrl_viz.ui.charts import download, hint, metrics, plain, small_print
from mrl_viz.ui.code import Script
from mrl_viz.ui.hybrid import fusion_chosen
from mrl_viz.ui.results import embed_queries, is_of_sample, measured, with_queries
from mrl_viz.ui.shipped import answer_key, at_hand
from mrl_viz.ui.workspace import Workspace, current_workspace

NO_LIMIT, DECISION_KEY, NOTE_KEY = "no limit", "last_decision", "choose_note"
SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
GIGABYTES = (0.001, 0.01, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, NO_LIMIT)
EXACT = ("exact", "panorama")
SMALLEST_WORDS = {"memory": "in memory", "total": "in all"}
LATENCY_MS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, NO_LIMIT)
STATUS = {
    "met": (st.success, ":material/check_circle:"),
    "not_enough_texts": (st.warning, ":material/hourglass_empty:"),
    "nothing_fits": (st.warning, ":material/block:"),
}
FIRST_LOOK = (
    "A first look: exact plans alone, timed with few queries. Plans that rerank, stop early or have a graph were still "
    "to be measured."
)
FIRST_RUNS = 5
HOW_TO_READ = (
    "In the figure faint plans are beaten by another in quality, memory, disk and time at once. Whiskers reach down to "
    "the 95 % lower bounds: all plans whose bound reaches a target set beforehand truly reach it. Markers "
    "with a dot rerank, from vectors that lie on disk; colour is the measured median time of a query."
)
CORPUS_SIZE_KEY, TOO_FEW_KEY, PRICE_KEY = "choose_corpus_size", "choose_too_few", "choose_price"
# The effect of the corpus size of more texts than this takes long enough to ask first.
MOST_UNASKED = 5000


def metrics_of(workspace: Workspace) -> list[str]:
    """The metrics that the data have labels for; overlap, which needs none, first."""
    corpus, k = workspace.corpus, workspace.k
    names = [f"overlap@{k}"]
    if corpus.qrels:
        names += [f"{kind}@{k}" for kind in ("ndcg", "recall", "mrr")]
    names += [f"accuracy:{column}" for column in corpus.class_columns]
    return [*names, "spearman"] if corpus.pairs else names


def measured_plans(workspace: Workspace) -> Candidates:
    """Every plan measured by the chosen metric, once asked for; before, the page ends with a sentence or progress."""
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    metric = left.selectbox(
        "Metric", metrics_of(workspace), key="choose_metric",
        help="overlap: results shared with the full width, no labels needed. The others: share of the full width's "
        "own quality.",
    )  # fmt: skip
    fusion_k = None
    if metric.partition("@")[0] in AT_K:
        is_self = metric.startswith("overlap") and not workspace.corpus.query_texts
        with right:
            fusion_k = fusion_chosen(workspace.corpus, "choose_hybrid", texts_ask=is_self)
    made_of = (metric, *(() if fusion_k is None else (fusion_k,)))
    shipped = at_hand(Candidates, "plans", workspace, *made_of)

    def vectors() -> Embedded:
        asked = _is_of_queries(metric)
        return embed_queries(workspace.embedded, workspace.model) if asked else workspace.embedded

    def first_look(report: Report, stopped: Stopped) -> Candidates:
        progress = steps(report, stopped, "Measuring exact plans first")
        found = measure_candidates(
            vectors(), metric=metric, fusion_k=fusion_k, kinds=("exact",), allow_rerank=False, n_runs=FIRST_RUNS,
            progress=progress,
        )  # fmt: skip
        return replace(found, notes=(*found.notes, FIRST_LOOK))

    def measure(report: Report, stopped: Stopped) -> Candidates:
        progress = steps(report, stopped, "Measuring all plans")
        return measure_candidates(vectors(), metric=metric, fusion_k=fusion_k, progress=progress)

    measured = asked_for(
        f"plans {answer_key(workspace.embedded, *made_of)}", ("Measure again", f"Measure every plan by {metric}"),
        "run_choose", measure,
        "Every width, precision, index and rerank is searched with and timed once, some seconds for a thousand texts. "
        "Moving a slider afterwards only chooses again.",
        first_look=first_look, at_hand=shipped, is_shared=is_of_sample(workspace.embedded),
    )  # fmt: skip
    if measured is shipped:
        small_print(
            "These measurements came with the sample: what is kept is the same everywhere, times are of the machine "
            "that made them. Measure again for times of this one."
        )
    return measured


def vectors_for(workspace: Workspace, metric: str) -> Embedded:
    return with_queries(workspace) if _is_of_queries(metric) else workspace.embedded


def _is_of_queries(metric: str) -> bool:
    return not metric.startswith(("accuracy", "spearman"))


def choose_options(measured: Candidates) -> dict[str, Any]:
    """Sliders of target, production size, budgets and what is allowed, as options of `choose`."""
    left, right = st.columns(2)
    target = left.slider("Target, % kept", 50, 100, 90, key="choose_target", bind="query-params")
    sizes = sorted({measured.n_items, *(size for size in SIZES if size > measured.n_items)})
    n_vectors = right.select_slider(
        "Vectors in production", sizes, sizes[min(3, len(sizes) - 1)], key="choose_vectors", format_func=_readable
    )
    memory = left.select_slider(
        "Memory, GB", GIGABYTES, NO_LIMIT, key="choose_memory", help="What a search scans: the codes, and the graph."
    )
    disk = right.select_slider(
        "Disk, GB", GIGABYTES, NO_LIMIT, key="choose_disk", help="What is only reranked: the full float32 vectors."
    )
    latency = left.select_slider("Latency, ms (95th percentile)", LATENCY_MS, NO_LIMIT, key="choose_latency")
    smallest = right.segmented_control(
        "Smallest means", list(SMALLEST), default=SMALLEST[0], key="choose_smallest", required=True,
        format_func=SMALLEST_WORDS.__getitem__, help="Least memory, then least disk; or the fewest bytes in all.",
    )  # fmt: skip
    allow_rerank = st.toggle(
        "Rerank from a float32 copy", True, key="choose_rerank", help="A shortlist is scored again at full width."
    )
    graphs = st.toggle(
        "Graph index (HNSW)", True, key="choose_graphs", disabled="hnsw" not in {p.kind for p in measured.plans}
    )
    there = tuple(dict.fromkeys(plan.dtype for plan in measured.plans))
    dtypes = st.pills("Precisions", there, selection_mode="multi", default=there, key="choose_dtypes") or there
    return {
        "target": target / 100, "n_vectors": n_vectors, "memory_gb": _limit(memory), "disk_gb": _limit(disk),
        "latency_ms": _limit(latency), "smallest": smallest,
        "dtypes": tuple(dtypes), "kinds": (*EXACT, "hnsw") if graphs else EXACT, "allow_rerank": allow_rerank,
    }  # fmt: skip


def decision_shown(decision: Recommendation, grown: CorpusSizeEffect | None) -> None:
    """The verdict with what more texts do to it, the plan's figures, and what settles a smaller one."""
    decided_at = datetime.now(UTC).isoformat(timespec="seconds")
    st.session_state[DECISION_KEY] = current_workspace().embedded.fingerprint, decision, grown, decided_at
    show, icon = STATUS[decision.status]
    show(plain(" ".join((decision.takeaway(), _with_more_texts(decision, grown))).strip()), icon=icon)
    row = decision.chosen or decision.nearest
    if row is not None:
        st.markdown(f"**{'Plan' if decision.chosen else 'Nearest plan'}: {plain(row.plan.label)}**")
        share = "Kept" if decision.metric.startswith("overlap") else "Share kept"
        metrics((share, f"{row.quality:.1%}"), ("At least (95 %)", f"{row.low:.1%}"))
        metrics(
            ("Memory", gigabytes(row.memory_gb), f"{row.memory_bytes_per_vector:,} bytes a vector, which are scanned."),
            ("Disk", gigabytes(row.disk_gb), f"{row.disk_bytes_per_vector:,} bytes a vector, which are only reranked."),
            ("p95 expected", milliseconds(row.expected_ms), "Of a query, with all the vectors of production."),
        )
    for threshold in thresholds_of(current_workspace(), decision)[:1]:
        small_print(f"Score: {threshold.advice()}")


def thresholds_of(workspace: Workspace, decision: Recommendation) -> tuple[MeasuredThreshold, ...]:
    """The measured thresholds of the plan and its runners-up; none where there are too few pairs to measure one."""
    plans = tuple(row.plan for row in (decision.chosen, *decision.runners_up) if row is not None)
    try:
        return _thresholds(vectors_for(workspace, decision.metric), decision.metric, plans, decision)
    except EmptyInputError:
        return ()


@measured("Measuring scores…")
def _thresholds(
    vectors: Embedded, metric: str, plans: tuple[Plan, ...], _decision: Recommendation
) -> tuple[MeasuredThreshold, ...]:
    return plan_thresholds(vectors, _decision)


def _with_more_texts(decision: Recommendation, grown: CorpusSizeEffect | None) -> str:
    """What is known of the plan's overlap at production size, in a sentence; nothing where there is no more."""
    if decision.plan is None or decision.n_vectors <= decision.n_items:
        return ""
    if grown is None:
        return f"With {decision.n_vectors:,} texts: not known, see what more texts do."
    return grown.beyond()


def runner_up_rows(decision: Recommendation) -> list[dict[str, Any]]:
    """The chosen plan, the next larger ones, and smaller ones that more queries could settle."""
    rows = [("chosen", decision.chosen), *(("runner-up", row) for row in decision.runners_up)]
    rows += [(f"{more:,} more queries would settle it", row) for row, more in decision.undecided]
    if not decision.chosen:
        rows += [("nearest", decision.nearest), ("best within the budgets", decision.best_within)]
    return [
        {"": name, "plan": row.plan.label, "kept": round(row.quality, 4), "at least": round(row.low, 4),
         "bytes in memory": row.memory_bytes_per_vector, "bytes on disk": row.disk_bytes_per_vector,
         "GB in memory": float(f"{row.memory_gb:.3g}"), "GB on disk": float(f"{row.disk_gb:.3g}"),
         "p50 ms here": float(f"{row.latency.p50_ms:.2g}"), "p95 ms expected": float(f"{row.expected_ms:.2g}")}
        for name, row in rows if row
    ]  # fmt: skip


def storage_of(decision: Recommendation) -> DeploymentStorage | None:
    """The chosen plan's bytes and price, by the user's own price; None without a plan."""
    words = "Your price of a gigabyte for a month, any currency"
    price = st.number_input(words, 0.0, value=0.0, step=0.1, key=PRICE_KEY, format="%.2f", persist_state="session")
    return decision.storage(price_per_gb=price or None) if decision.plan else None


def storage_rows(storage: DeploymentStorage) -> list[dict[str, Any]]:
    parts = (
        ("float32 at full width, for comparison", storage.raw_gb), ("searched vectors", storage.code_gb),
        ("HNSW graph", storage.graph_gb), ("in memory: what is scanned", storage.memory_gb),
        ("on disk: float32 copy to rerank from", storage.disk_gb), ("the plan in all", storage.total_gb),
    )  # fmt: skip
    price = storage.price_per_gb
    return [
        {"part": name, "size": gigabytes(size)} | ({"a month": round(size * price, 2)} if price else {})
        for name, size in parts
    ]


def ask_corpus_size(workspace: Workspace, decision: Recommendation) -> None:
    """What the reader may do to see the effect of more texts, or why she cannot."""
    n_items = workspace.corpus.n_items
    if decision.metric.startswith(HYBRID):
        hint("This is measured of lists of vectors alone: switch hybrid off to see it.")
    elif decision.plan is None:
        hint("No plan, nothing to follow: relax a budget or the target.")
    elif n_items > MOST_UNASKED:
        words = f"Measure it on parts of {n_items:,} texts"
        st.toggle(words, key=CORPUS_SIZE_KEY, persist_state="session")
    elif note := st.session_state.get(TOO_FEW_KEY):
        hint(plain(note))


def corpus_size_of(workspace: Workspace, decision: Recommendation) -> CorpusSizeEffect | None:
    """Overlap of the plan on nested subsamples; None without a plan, with too few texts, or while many are not asked
    for."""
    st.session_state.pop(TOO_FEW_KEY, None)
    is_unasked = workspace.corpus.n_items > MOST_UNASKED and not st.session_state.get(CORPUS_SIZE_KEY)
    if decision.plan is None or decision.metric.startswith(HYBRID) or is_unasked:
        return None
    plan, k = decision.plan, workspace.k
    made_of = (decision.metric, plan, k, decision.n_vectors)
    try:
        return at_hand(CorpusSizeEffect, "corpus_size", workspace, *made_of) or _grown(
            vectors_for(workspace, decision.metric), *made_of[1:]
        )
    except EmptyInputError as error:
        st.session_state[TOO_FEW_KEY] = str(error)
        return None


@measured("Searching parts of the texts…")
def _grown(vectors: Embedded, plan: Plan, k: int, n_vectors: int) -> CorpusSizeEffect:
    return corpus_size_effect(vectors, plan, k=k, n_vectors=n_vectors)


def record_buttons(workspace: Workspace, decision: Recommendation, grown: CorpusSizeEffect | None) -> None:
    st.text_input(
        "A note for the record", key=NOTE_KEY, placeholder="Who decided, and why this target",
        persist_state="session",
    )  # fmt: skip
    left, right = st.columns(2)

    def made() -> DecisionRecord:
        return _record_of(workspace, decision, grown)

    download("Download the record (JSON)", lambda: made().to_json(), "decision.json", "record_json", left)
    download("Download the record (Markdown)", lambda: made().markdown, "decision.md", "record_markdown", right)


def _record_of(
    workspace: Workspace, decision: Recommendation, grown: CorpusSizeEffect | None, decided_at: str | None = None
) -> DecisionRecord:
    price, note = st.session_state.get(PRICE_KEY) or None, st.session_state.get(NOTE_KEY) or ""
    return decision_record(
        decision, corpus_size=grown, thresholds=thresholds_of(workspace, decision), price_per_gb=price, note=note,
        data_file=workspace.source.file, decided_at=decided_at,
    )  # fmt: skip


def last_decision(workspace: Workspace) -> tuple[Recommendation | None, DecisionRecord | None]:
    """What this session decided last, with its record, where it was decided for these data by this model."""
    fingerprint, *made = st.session_state.get(DECISION_KEY, (None,))
    if fingerprint != workspace.embedded.fingerprint:
        return None, None
    return made[0], _record_of(workspace, *made)


def snippet_shown(decision: Recommendation) -> None:
    """The plan as a program for one vector store, and whether the tests run it."""
    if decision.plan is None:
        hint("No plan, nothing to deploy: relax a budget or the target.")
        return
    made = deployment_snippets(decision.plan, model=decision.model, full_dim=decision.full_dim)
    snippets = {each.title: each for each in made}
    chosen = snippets[str(st.selectbox("Vector store", list(snippets), key="choose_store", persist_state="session"))]
    if chosen.executed:
        st.success(
            "Our tests run this program and compare what it finds with our own search.", icon=":material/verified:"
        )
    else:
        st.warning(
            "Not executed by our tests: it follows the store's documentation. Try it before you rely on it.",
            icon=":material/warning:",
        )
    small_print(*chosen.notes)
    st.code(chosen.code, language=chosen.language)


def gigabytes(value: float) -> str:
    """Three digits in a unit that suits, decimal."""
    for unit, size in (("TB", 1e3), ("GB", 1.0), ("MB", 1e-3)):
        if value >= size:
            return f"{value / size:,.3g} {unit}" if value < 1e6 else f"{value / size:,.0f} {unit}"
    return f"{value * 1e6:,.3g} kB"


def _limit(value: Any) -> float | None:
    return None if value == NO_LIMIT else float(value)


def _readable(number: int) -> str:
    for unit, size in (("billion", 10**9), ("million", 10**6)):
        if number >= size:
            return f"{number / size:g} {unit}"
    return f"{number:,}"


def decision_code(
    workspace: Workspace, measured: Candidates, options: dict[str, Any], decision: Recommendation,
    grown: CorpusSizeEffect | None,
) -> Script:  # fmt: skip
    metric = measured.metric.removeprefix(HYBRID)
    return scripts.decision_code(
        workspace, metric, options, is_of_queries=_is_of_queries(metric), fusion_k=measured.fusion_k,
        grown_k=None if grown is None else grown.k, has_thresholds=bool(thresholds_of(workspace, decision)),
    )  # fmt: skip
