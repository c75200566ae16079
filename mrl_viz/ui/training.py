"""Parts of the Train MRL page: what to train on and how, and runs that go on beside the app."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import streamlit as st

from mrl_viz import figures
from mrl_viz.errors import InvalidInputError, MrlVizError
from mrl_viz.training import jobs
from mrl_viz.training.card import repeat_code
from mrl_viz.training.config import BASES, SCHEDULES, Base, Schedule, TrainingConfig, check_config
from mrl_viz.training.data import SOURCES, Source, Split, TrainingData, check_batch, training_data
from mrl_viz.training.jobs import JobStatus
from mrl_viz.training.loop import EpochLosses
from mrl_viz.training.twins import TwinRun
from mrl_viz.truncation import parse_dims
from mrl_viz.ui.charts import draw, failure, hint, metrics, plain, small_print, stop_with
from mrl_viz.ui.code import Script
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
SOURCE_NAMES = {"labels": "labels", "relevance": "relevance judgements", "pairs": "scored pairs"}
BASE_NAMES = {
    "projection": "A small projection of frozen vectors (seconds)",
    "static": "The rows of a static table, such as wordllama's (seconds)",
    "whole": "The whole model (minutes to hours)",
}
SCHEDULE_NAMES = {
    "all": "All widths in every step",
    "progressive": "Progressive: small widths first, larger ones join",
    "large-first": "The full width first, smaller ones join",
    "sampled": "Sampled: two random widths a step",
}
SPLIT_NAMES = {"texts": "texts of every class", "classes": "whole classes (harder)"}
WEIGHT_NAMES: dict[Literal["uniform", "importance", "own"], str] = {
    "uniform": "Equal",
    "importance": "Small widths count more (0.8 a step)",
    "own": "My own numbers",
}


def new_run(workspace: Workspace) -> None:
    """What to train on and how, and the button that starts it; a sentence where that cannot be trained."""
    corpus = workspace.corpus
    what_says = {"labels": corpus.labels, "relevance": corpus.qrels, "pairs": corpus.pairs}
    there = [source for source in SOURCES if what_says[source]]
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
        check_config(config, workspace.embedded.full_dim)
        check_batch(data, config.batch_size)
        small_print(f"To be trained: {config.takeaway()}")
        _start_button(workspace, data, config, code)
    except MrlVizError as error:
        failure(str(error))


def _choose_data(workspace: Workspace, there: list[Source]) -> tuple[TrainingData, str]:
    left, middle, right = st.columns(3)
    corpus = workspace.corpus
    source = left.selectbox("Texts belong together by", there, key="train_source", format_func=SOURCE_NAMES.__getitem__)
    column: str | None = None
    split: Split = "texts"
    if source == "labels":
        column = middle.selectbox("Label column", list(corpus.labels), key="train_column")
        split = right.selectbox("Held out", get_args(Split), key="train_split", format_func=SPLIT_NAMES.__getitem__)
    data = training_data(corpus, source=source, label_column=column, split=split)
    script = Script(workspace, embeds=False)
    options = {"source": source} | ({"label_column": column, "split": split} if column else {})
    return data, script.call(training_data, script.reading(), **options)


def _choose_config(workspace: Workspace) -> TrainingConfig:
    full_dim = workspace.embedded.full_dim
    left, right = st.columns(2)
    base: Base = left.selectbox("What is trained", BASES, key="train_base", format_func=BASE_NAMES.__getitem__)
    schedule: Schedule = right.selectbox(
        "Schedule", SCHEDULES, key="train_schedule", format_func=SCHEDULE_NAMES.__getitem__
    )
    text = left.text_input(
        "Widths of the loss", key="train_dims", placeholder="8, 16, 32 … (empty: powers of two)",
        help=f"Comma-separated, 1 to {full_dim}; the full width is always among them.",
    )  # fmt: skip
    dims = parse_dims(text, full_dim) if text and text.strip() else ()
    names = list(WEIGHT_NAMES)
    weights = right.selectbox("Weights of the widths", names, key="train_weights", format_func=WEIGHT_NAMES.__getitem__)
    own = "One number per width, the full one last"
    given = right.text_input(own, key="train_own_weights") if weights == "own" else ""
    with st.expander("More settings"):
        cells = st.columns(4)
        epochs = cells[0].number_input("Epochs", 1, 1000, EPOCHS, key="train_epochs")
        note = "At most one text of each class is in a batch."
        batch_size = cells[1].number_input("Batch size", 2, 1024, 32, key="train_batch", help=note)
        note = "0: 0.01, or 0.00002 for a whole model."
        rate = cells[2].number_input("Learning rate", 0.0, 10.0, 0.0, format="%g", key="train_rate", help=note)
        seed = cells[3].number_input("Seed", 0, 2**31 - 1, 0, key="train_seed")
    return TrainingConfig(
        model=workspace.model, base=base, dims=dims, schedule=schedule, epochs=int(epochs), batch_size=int(batch_size),
        seed=int(seed), learning_rate=float(rate) or None, weights=_numbers(given) if weights == "own" else weights,
    )  # fmt: skip


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
    name = f"{model} on {data.name}, {config.base}, {config.schedule}"
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


def finished_run(workspace: Workspace, status: JobStatus | None) -> TwinRun:
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
    _shown(status)
    _buttons(status)
    if status.state != "done":
        st.stop()
    return jobs.job_result(status.folder)


def _shipped_run(workspace: Workspace) -> TwinRun:
    run = at_hand(TwinRun, "training", workspace, given=lambda: {"folder": Path(), "training": {}})
    epochs = at_hand(tuple[EpochLosses, ...], "training_losses", workspace)
    if run is None or epochs is None:
        stop_with("No run yet: start one above.")
    small_print(f"No run of yours yet; this one came with the sample. {run.config.takeaway()}")
    _losses(epochs)
    return run


@st.fragment(run_every=POLL_S)
def _live(folder: str) -> None:
    status = jobs.job_status(folder)
    if not status.is_active:
        st.rerun()
    _shown(status)
    st.button("Cancel", key="train_cancel", on_click=_do, args=(jobs.cancel_job, folder))


def _shown(status: JobStatus) -> None:
    if status.is_active:
        at_work = f"{status.done} of {status.total} epochs of both models"
        text = at_work if status.epochs else "Starting: the model is loaded…"
        st.progress(min(status.done / status.total, 1.0), text=text)
    elif status.state == "failed":
        failure(status.takeaway())
    elif status.state != "done":
        st.warning(plain(status.takeaway()), icon=":material/pause_circle:")
    if status.epochs:
        _losses(status.epochs)


def _losses(epochs: tuple[EpochLosses, ...]) -> None:
    said, rows = epochs[-1].takeaway(), partial(_loss_rows, epochs)
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
    if comparison.is_classic:
        st.success(plain(run.takeaway()), icon=":material/check_circle:")
    else:
        st.warning(plain(run.takeaway()), icon=":material/info:")


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
    shown = [f"figures.{figure.__name__}(run.comparison).show()" for figure in (figures.twin_curves, figures.twin_gain)]
    return "\n".join(["from mrl_viz import figures", repeated, *shown])
