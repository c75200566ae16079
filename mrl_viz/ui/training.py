"""Parts of the Train MRL page: what to train on and how, and runs that go on beside the app."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import streamlit as st

from mrl_viz import figures
from mrl_viz.errors import InvalidInputError, MrlVizError
from mrl_viz.fingerprint import fingerprint
from mrl_viz.tasks.languages import languages_of
from mrl_viz.training import jobs
from mrl_viz.training.card import SAMPLE_DATA, overlay_code, repeat_code
from mrl_viz.training.config import (
    BASES,
    IMPORTANCE_ALPHA,
    MOST_ALPHA,
    SCHEDULES,
    SMALL_BASES,
    Base,
    NamedWeights,
    Schedule,
    Spacing,
    TrainingConfig,
    check_config,
    nesting_dims,
)
from mrl_viz.training.data import (
    Source,
    Split,
    TrainingData,
    available_sources,
    check_batch,
    training_data,
)
from mrl_viz.training.jobs import JobStatus
from mrl_viz.training.loop import EpochLosses
from mrl_viz.training.overlay import MOST_LAID, HeldOutValues, Overlay, against_alone, lay_over_runs, run_labels
from mrl_viz.training.twins import TwinRun, small_dim
from mrl_viz.truncation import default_dims, parse_dims
from mrl_viz.ui.charts import draw, failure, headline, hint, metrics, plain, small_print, stop_with
from mrl_viz.ui.code import Script
from mrl_viz.ui.memory import own_shelf
from mrl_viz.ui.models import DEFAULT_MODEL, use_model
from mrl_viz.ui.shipped import at_hand
from mrl_viz.ui.workspace import Workspace

# Ids of the runs this browser session started or opened; the URL carries the one shown, for a reload to find it.
RUNS_KEY, SHOWN_KEY, URL_KEY = "training_runs", "training_run", "run"
NOTE_KEY = "training_note"
ALL_JOBS = "MRL_VIZ_ALL_JOBS"
POLL_S = 1.0
# The sample trains in a small part of a minute with as many.
EPOCHS = 12
SOURCE_NAMES = {
    "labels": "the same label",
    "relevance": "relevance judgements",
    "scores": "scores of pairs",
    "pairs": "pairs of like meaning",
}
SPACING_NAMES: dict[Spacing | Literal["own"], str] = {
    "log": "Doubling: 8, 16, 32 …",
    "even": "As many, in even steps",
    "own": "My own list",
}
SMALLEST = 8
BASE_NAMES = {
    "projection": "A small projection of frozen vectors (seconds)",
    "static": "The rows of a static table, such as wordllama's (seconds)",
    "whole": "The whole model (minutes to hours)",
}
SCHEDULE_NAMES = {
    "all": "All widths in every step",
    "progressive": "Progressive: small widths first, larger ones join",
    "large-first": "The full width first, smaller ones join",
    "sampled": "Sampled: some random widths a step",
}
SPLIT_NAMES = {"texts": "texts of every class", "classes": "whole classes (harder)"}
WEIGHT_NAMES: dict[NamedWeights | Literal["own"], str] = {
    "uniform": "Equal",
    "importance": "α, α², α³ … from the smallest on",
    "boost": "The smallest twice: 2, 1, 1 …",
    "own": "My own numbers",
}
ALL_LANGUAGES = "all"
# Runs that came with a sample: of its labels, and of the pairs in several languages.
SHIPPED = ("training", "training_languages")
# What the names of runs begin with that came with the sample.
SHIPPED_KEY = "shipped"
# Finished runs that are looked at for the overlay, the newest first.
MOST_OFFERED = 20


def new_run(workspace: Workspace) -> None:
    """What to train on and how, and the button that starts it; a sentence where that cannot be trained."""
    there = available_sources(workspace.corpus)
    if workspace.is_ready or not there:
        unsaid = "texts without labels, relevance judgements or scored pairs"
        hint(
            f"These are {'ready vectors' if workspace.is_ready else unsaid}: nothing says which texts belong together, "
            "so no text model can be trained on them. Choose the sample in the sidebar, or upload texts with a label "
            "column."
        )
        return
    try:
        data, code = _choose_data(workspace, there)
        small_print(" ".join((data.takeaway(), *data.notes)))
        config = _choose_config(workspace)
        check_batch(data, config.batch_size)
        small_print(f"To be trained: {config.takeaway()}")
        _start_button(workspace, data, config, code)
    except MrlVizError as error:
        failure(str(error))


def _choose_data(workspace: Workspace, there: Sequence[Source]) -> tuple[TrainingData, str]:
    left, middle, right = st.columns(3)
    corpus = workspace.corpus
    source = left.selectbox("Texts belong together by", there, key="train_source", format_func=SOURCE_NAMES.__getitem__)
    column: str | None = None
    split: Split = "texts"
    if source == "labels":
        column = middle.selectbox("Label column", list(corpus.class_columns), key="train_column")
        split = right.selectbox("Held out", get_args(Split), key="train_split", format_func=SPLIT_NAMES.__getitem__)
    language: str | None = None
    if source == "scores" and len(spoken := languages_of(corpus)) > 1:
        chosen = middle.selectbox("Language", [ALL_LANGUAGES, *spoken], key="train_language")
        language = None if chosen == ALL_LANGUAGES else chosen
    data = training_data(corpus, source=source, label_column=column, language=language, split=split)
    script = Script(workspace, embeds=False)
    options = {"source": source} | ({"label_column": column, "split": split} if column else {})
    return data, script.call(training_data, script.reading(), **options | ({"language": language} if language else {}))


def _choose_config(workspace: Workspace) -> TrainingConfig:
    full_dim = workspace.embedded.full_dim
    left, middle, right = st.columns(3)
    base: Base = left.selectbox("What is trained", BASES, key="train_base", format_func=BASE_NAMES.__getitem__)
    spacings = list(SPACING_NAMES)
    spacing = middle.selectbox(
        "Widths of the loss", spacings, key="train_spacing", format_func=SPACING_NAMES.__getitem__
    )
    if spacing == "own":
        text = right.text_input(
            "Your widths", key="train_dims", placeholder="8, 16, 32 … (empty: powers of two)",
            help=f"Comma-separated, 1 to {full_dim}; the full width is always among them.",
        )  # fmt: skip
        dims = parse_dims(text, full_dim) if text and text.strip() else ()
    else:
        smallest = min(SMALLEST, full_dim - 1)
        smallest = right.number_input("Smallest width", 1, full_dim - 1, smallest, key="train_smallest")
        dims = nesting_dims(full_dim, spacing, int(smallest))
        dims = () if dims == default_dims(full_dim) else dims
    left, middle, right = st.columns(3)
    names = list(WEIGHT_NAMES)
    weights = left.selectbox("Weights of the widths", names, key="train_weights", format_func=WEIGHT_NAMES.__getitem__)
    schedule: Schedule = middle.selectbox(
        "Schedule", SCHEDULES, key="train_schedule", format_func=SCHEDULE_NAMES.__getitem__
    )
    own = "One number per width, the full one last"
    given = right.text_input(own, key="train_own_weights") if weights == "own" else ""
    alpha, n_sampled = IMPORTANCE_ALPHA, TrainingConfig.n_dims_per_step
    if weights == "importance":
        note = "Below 1 small widths count more, above 1 large ones."
        alpha = right.number_input("α", 0.01, MOST_ALPHA, alpha, 0.05, key="train_alpha", help=note)
    if schedule == "sampled":
        n_sampled = right.number_input("Widths a step", 1, 64, n_sampled, key="train_sampled")
    with st.expander("More settings"):
        cells = st.columns(4)
        epochs = cells[0].number_input("Epochs", 1, 1000, EPOCHS, key="train_epochs")
        note = "Of texts with labels, at most one of each class is in a batch."
        batch_size = cells[1].number_input("Batch size", 2, 1024, 32, key="train_batch", help=note)
        note = "0: 0.01, or 0.00002 for a whole model."
        rate = cells[2].number_input("Learning rate", 0.0, 10.0, 0.0, format="%g", key="train_rate", help=note)
        seed = cells[3].number_input("Seed", 0, 2**31 - 1, 0, key="train_seed")
    config = TrainingConfig(
        model=workspace.model, base=base, dims=dims, schedule=schedule, n_dims_per_step=int(n_sampled),
        epochs=int(epochs), batch_size=int(batch_size), seed=int(seed), learning_rate=float(rate) or None,
        weights=_numbers(given) if weights == "own" else weights, alpha=float(alpha),
    )  # fmt: skip
    trained = check_config(config, full_dim)
    widths = tuple(sorted({*trained[:-1], small_dim(full_dim)} - {full_dim}))
    is_alone = st.checkbox(
        f"Also train a model for each width alone: {len(widths)} more", key="train_alone",
        disabled=base not in SMALL_BASES, help="Is one nested model as good as one for each width? Small bases only.",
    )  # fmt: skip
    return replace(config, alone=widths) if is_alone and base in SMALL_BASES else config


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise InvalidInputError(
            f"`weights` is {text!r}; give numbers separated by commas, such as 1, 1, 0.5."
        ) from error


def _start_button(workspace: Workspace, data: TrainingData, config: TrainingConfig, data_code: str) -> None:
    """The button that starts a run in a process of its own; `data_code` makes the same data outside the app."""
    small_print(
        f"The run goes on when you leave the page. It keeps these texts on the app's machine, in {jobs.jobs_folder()}, "
        "until you delete it. Only someone with the run's address sees it: keep this page's address to come back "
        "after closing the browser."
    )
    if not st.button("Train both models", key="train_start", type="primary"):
        return
    model = f"a model trained here ({config.base})" if Path(config.model).is_dir() else config.model
    how = f"{config.widths_said}, {config.weights_said} weights, {config.schedule_said}"
    name = f"{model} on {data.name}, {config.base}, {how}"
    full_dim = workspace.embedded.full_dim
    show_run(jobs.start_job(data, config, full_dim=full_dim, data_code=data_code, name=name).id)


def show_run(run: str | None) -> None:
    """Show that run from here on, and have it among the visitor's; None shows the newest."""
    if run is not None:
        st.session_state.setdefault(RUNS_KEY, set()).add(run)
    st.session_state[SHOWN_KEY] = run


def choose_run() -> JobStatus | None:
    """The run to show: the one chosen, else the newest of this visitor; None where there is none."""
    from_address = st.query_params.get(URL_KEY)
    if from_address and SHOWN_KEY not in st.session_state:
        show_run(from_address)
    # Sees all: the owner of the machine, who says so in its environment; addresses and proxies prove nothing.
    ids = None if os.environ.get(ALL_JOBS) == "1" else st.session_state.setdefault(RUNS_KEY, set())
    runs = {status.id: status for status in jobs.list_jobs(ids=ids)}
    if not runs:
        st.query_params.pop(URL_KEY, None)
        return None
    wanted = st.session_state.get(SHOWN_KEY)
    shown = wanted if wanted in runs else next(iter(runs))
    st.session_state["train_run"] = shown
    st.selectbox(
        "Runs", list(runs), key="train_run", format_func=lambda run: _run_label(runs[run]),
        on_change=lambda: show_run(st.session_state["train_run"]),
    )  # fmt: skip
    st.query_params[URL_KEY] = shown
    return runs[shown]


def _run_label(status: JobStatus) -> str:
    state = "running" if status.is_active else status.state
    return f"{status.created[:16].replace('T', ' ')} UTC · {status.name} · {state}"


def finished_run(workspace: Workspace, status: JobStatus | None) -> tuple[TwinRun, tuple[EpochLosses, ...]]:
    """A run with its losses: the chosen one, else one that came with the sample; the page ends until it is finished.

    While it works: its progress and losses, once a second, with Cancel; after, with Resume and Delete.
    """
    if note := st.session_state.pop(NOTE_KEY, None):
        failure(note)
    if status is None:
        return _shipped_run(workspace)
    if status.is_active:
        _live(str(status.folder))
        st.stop()
    if status.state != "done":
        _shown(status)
    _buttons(status)
    if status.state != "done":
        st.stop()
    return jobs.job_result(status.folder), status.epochs


def _shipped_run(workspace: Workspace) -> tuple[TwinRun, tuple[EpochLosses, ...]]:
    found = _shipped(workspace)
    if found is None:
        stop_with("No run yet: start one above.")
    small_print(f"No run of yours yet; this one came with the sample. {found[0].config.takeaway()}")
    return found


def _shipped(workspace: Workspace) -> tuple[TwinRun, tuple[EpochLosses, ...]] | None:
    """The run that came with the data, and its losses."""
    for name in SHIPPED:
        run = at_hand(TwinRun, name, workspace, given=lambda: {"folder": Path(), "training": {}})
        epochs = at_hand(tuple[EpochLosses, ...], f"{name}_losses", workspace)
        if run is not None and epochs is not None:
            return run, epochs
    return None


@st.fragment(run_every=POLL_S)
def _live(folder: str) -> None:
    status = jobs.job_status(folder)
    if not status.is_active:
        st.rerun()
    _shown(status)
    st.button("Cancel", key="train_cancel", on_click=_do, args=(jobs.cancel_job, folder))


def _shown(status: JobStatus) -> None:
    if status.is_active:
        which = "both" if status.config.n_models == 2 else f"all {status.config.n_models}"
        at_work = f"{status.done} of {status.total} epochs of {which} models"
        text = at_work if status.epochs else "Starting: the model is loaded…"
        st.progress(min(status.done / status.total, 1.0), text=text)
    elif status.state == "failed":
        failure(status.takeaway())
    elif status.state != "done":
        st.warning(plain(status.takeaway()), icon=":material/pause_circle:")
    if status.epochs:
        losses(status.epochs)


def losses(epochs: tuple[EpochLosses, ...]) -> None:
    """The losses of each epoch so far; at the end what became of the Matryoshka model's."""
    nested = [epoch for epoch in epochs if epoch.run == "matryoshka"]
    is_over = nested and len(nested) == nested[-1].n_epochs and epochs[-1].epoch == epochs[-1].n_epochs
    said, rows = (nested if is_over else epochs)[-1].takeaway(), partial(_loss_rows, epochs)
    draw("training_losses", figures.training_losses, epochs, takeaway=said, rows=rows)


def _loss_rows(epochs: Sequence[EpochLosses]) -> list[dict[str, Any]]:
    return [
        {"model": epoch.run, "epoch": epoch.epoch, "dim": dim, "loss": loss, "seconds": epoch.seconds}
        for epoch in epochs for dim, loss in zip(epoch.dims, epoch.losses)
    ]  # fmt: skip


def _buttons(status: JobStatus) -> None:
    folder = str(status.folder)
    with st.container(horizontal=True):
        if status.can_resume:
            st.button("Resume", key="train_resume", type="primary", on_click=_do, args=(jobs.resume_job, folder))
        with st.popover("Delete this run"):
            st.write("Its texts, losses and models are removed from the app's machine.")
            st.button("Delete it for good", key="train_delete", on_click=_do, args=(jobs.delete_job, folder))


def _do(work: Callable[[str], object], folder: str) -> None:
    """A click's work, before the page is drawn again; what goes wrong is said there."""
    try:
        work(folder)
    except MrlVizError as error:
        st.session_state[NOTE_KEY] = str(error)
        return
    if work is jobs.delete_job:
        show_run(None)
        if str(st.session_state.get("model", "")).startswith(folder):
            use_model(DEFAULT_MODEL)


def verdict(run: TwinRun) -> None:
    """What came out, in a sentence or two."""
    if run.comparison.is_classic:
        st.success(plain(run.takeaway()), icon=":material/check_circle:")
    else:
        st.warning(plain(run.takeaway()), icon=":material/info:")


def twin_numbers(run: TwinRun) -> None:
    """Both models at 8.3 % of the size and at full width, in big figures."""
    comparison = run.comparison
    small = comparison.dims.index(comparison.small_dim)
    cells = []
    for level in (small, -1):
        for name, label in (("matryoshka", "Matryoshka"), ("plain", "Plain twin")):
            found = comparison.curves[name][level]
            note = f"{comparison.measure}; 95 %: {found.low:.3f} to {found.high:.3f}"
            cells.append((f"{label}, {comparison.dims[level]} dims", f"{found.value:.3f}", note))
    metrics(*cells)


def kept_part(run: TwinRun) -> None:
    """What 8.3 % of the size keeps of each model's own full width."""
    comparison = run.comparison
    own, plain_share = comparison.own_share("matryoshka"), comparison.own_share("plain")
    if own is None or plain_share is None:
        hint(comparison.kept_takeaway())
        return
    said = comparison.kept_takeaway()
    draw("twin_kept", figures.twin_kept, comparison, takeaway=said, rows=partial(_share_rows, run))
    st.caption(
        f"Each model against its own {comparison.measure} at full width; 95 % intervals over the "
        f"{comparison.n_items} held-out items. The best-known figures of this kind, 98.37 % against 96.46 % of "
        "Spearman, are another model's on other data: what we make of them stands on the page Claims. A model with a "
        "low full width keeps much of little, so look at the first tab too."
    )


def _share_rows(run: TwinRun) -> list[dict[str, Any]]:
    comparison = run.comparison
    return comparison.records(**{name: comparison.shares[name] for name in ("matryoshka", "plain")})


def alone_part(run: TwinRun) -> None:
    """One nested model against models for one width alone."""
    values = run.values
    if values is None or not values.alone_dims:
        hint(
            "Is one nested model as good as one for each width? Tick “Also train a model for each width alone” and "
            "train: each gets the same start, batches and steps, with the loss at its one width."
        )
        return
    found = _laid_over(("alone", id_of(values)), lambda: against_alone(values))
    _draw_overlay(found, "alone")
    st.caption(
        "At full width the plain twin is the model trained alone. One training each: another seed moves all of them."
    )


def overlay_part(run: TwinRun, status: JobStatus | None, workspace: Workspace) -> None:
    """The shown run and others on the same held-out items, in one picture."""
    if run.values is None:
        hint("This run is of an earlier version and has no values to lay over others; train it again.")
        return
    others, n_elsewhere = _others(run, status, workspace)
    if n_elsewhere:
        small_print(f"{n_elsewhere} more of your runs were judged on other held-out items, so they are not offered.")
    if not others:
        hint(
            "Which choice is better? Change one above, such as even steps instead of doubling, and train again: "
            "finished runs stay, and those on the same held-out items are laid over this one."
        )
        return
    labels = run_labels([run.values, *others.values()])
    named = {key: f"{label}, seed {one.config.seed}" for (key, one), label in zip(others.items(), labels[1:])}
    small_print(f"Compared with the run that is shown: {labels[0]}, seed {run.config.seed}.")
    named = {
        key: f"{name}, came with the sample" if key.startswith(SHIPPED_KEY) else name for key, name in named.items()
    }
    # A visitor's own runs; those that came with the sample only until there are any.
    first = [key for key in named if not key.startswith(SHIPPED_KEY)] or list(named)
    chosen = st.multiselect(
        "Lay over it", list(named), first[: MOST_LAID - 1], key=f"train_overlay_{id_of(run.values)}_{len(named)}",
        format_func=named.__getitem__, max_selections=MOST_LAID - 1,
    )  # fmt: skip
    if not chosen:
        return
    laid = [run.values, *(others[key] for key in chosen)]
    found = _laid_over(("overlay", *map(id_of, laid)), lambda: lay_over_runs(laid))
    configs = [one.config for one in laid]
    _draw_overlay(found, "overlay", overlay_code(configs, status.data_code if status else SAMPLE_DATA))
    st.caption(
        "Paired: the same held-out items for all. Runs that differ in nothing but their seed are averaged. One "
        "training of a choice says little about the choice: train it with other seeds before you believe a small "
        "difference."
    )


def _others(run: TwinRun, status: JobStatus | None, workspace: Workspace) -> tuple[dict[str, HeldOutValues], int]:
    """Finished runs to lay over the shown one, by name, newest first, then shipped ones; and how many cannot be."""
    found: dict[str, HeldOutValues] = {}
    shown = run.values
    assert shown is not None
    ids = None if os.environ.get(ALL_JOBS) == "1" else st.session_state.get(RUNS_KEY, set())
    done = [one for one in jobs.list_jobs(ids=ids) if one.state == "done" and (status is None or one.id != status.id)]
    for one in done[:MOST_OFFERED]:
        values = jobs.job_result(one.folder).values
        if values is not None:
            found[one.id] = values
    n_own = len(found)
    found = {key: values for key, values in found.items() if values.judged == shown.judged}
    n_elsewhere = n_own - len(found)
    shipped = list(at_hand(tuple[HeldOutValues, ...], "training_choices", workspace) or ())
    if status is not None and (first := _shipped(workspace)) is not None and first[0].values is not None:
        shipped.insert(0, first[0].values)
    for place, values in enumerate(shipped):
        if values.judged == shown.judged:
            found[f"{SHIPPED_KEY} {place}"] = values
    return found, n_elsewhere


def id_of(values: HeldOutValues) -> str:
    """What tells a run from others in a visit: its settings and what it was judged on."""
    return fingerprint(values.judged, values.config.to_dict(), values.values["matryoshka"])


def _laid_over(key: tuple[str, ...], make: Callable[[], Overlay]) -> Overlay:
    """Thousands of resamples: made once for the same runs."""
    return own_shelf().take(key, make)


def _draw_overlay(found: Overlay, key: str, code: str | None = None) -> None:
    if len(found.gain) == 1:
        headline(found.takeaway())
    else:
        headline(f"Against {found.first}:")
        st.markdown("\n".join(f"- {plain(found.against_first(label))}" for label in found.gain))
    draw(f"{key}_curves", figures.overlay_curves, found, is_said=True, code=code)
    said = f"Each minus {found.first}; the intervals hold all together at 95 %."
    small_print(said)
    draw(f"{key}_gains", figures.overlay_gains, found, takeaway=said, is_said=True)


def take_away(run: TwinRun) -> None:
    """Where the models are, and a button that makes the Matryoshka one the app's model."""
    folder = str(run.model_folder().resolve())
    st.button("Use the Matryoshka model in the app", key="train_use", on_click=use_model, args=(folder,))
    st.caption("A sentence-transformers folder with a card of what was measured; its plain twin lies beside it:")
    st.code(
        "from sentence_transformers import SentenceTransformer\n\n"
        f"model = SentenceTransformer({folder!r}, truncate_dim={run.comparison.small_dim})", language="python",
    )  # fmt: skip


def training_code(status: JobStatus | None, run: TwinRun) -> str:
    repeated = repeat_code(run.config, status.data_code) if status else repeat_code(run.config)
    drawn = [figures.twin_curves, figures.twin_gain]
    if run.comparison.own_share("matryoshka") is not None and run.comparison.own_share("plain") is not None:
        drawn.append(figures.twin_kept)
    lines = [
        "from mrl_viz import figures", repeated, *(f"figures.{one.__name__}(run.comparison).show()" for one in drawn),
    ]  # fmt: skip
    if run.values is not None and run.values.alone_dims:
        lines += [
            "from mrl_viz.training.overlay import against_alone", "alone = against_alone(run.values)",
            "print(alone.takeaway())", "figures.overlay_curves(alone).show()", "figures.overlay_gains(alone).show()",
        ]  # fmt: skip
    return "\n".join(lines)
