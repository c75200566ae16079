"""Parts of the Adaptor page: fit, show, keep; and the session's adaptor for other pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from mrl_viz import figures
from mrl_viz.adaptor.adaptor import Adaptor
from mrl_viz.adaptor.fit import FEWEST_ROWS, AdaptorMethod, fit_adaptor, suggested_settings
from mrl_viz.adaptor.model_folder import save_sentence_transformer
from mrl_viz.adaptor.report import AdaptorFit
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.embedding.encoders.sentence_transformers import as_sentence_transformer
from mrl_viz.embedding.store import EmbeddingStore
from mrl_viz.export.scripts import arrangement_code as arrangement_code
from mrl_viz.files import zipped
from mrl_viz.truncation import truncate_and_normalize
from mrl_viz.ui.background import Report, Stopped, asked_for
from mrl_viz.ui.charts import download, plain, small_print, stop_with
from mrl_viz.ui.code import Code, Script
from mrl_viz.ui.models import ENCODING, encoder_of, remember_model, use_model
from mrl_viz.ui.results import is_of_sample, with_queries
from mrl_viz.ui.shipped import answer_key, at_hand, keep, kept
from mrl_viz.ui.workspace import Workspace

METHOD_NAMES: dict[AdaptorMethod, str] = {
    "neighbors": "Keep neighbors (default): SVD, then rotated further so that each width keeps its neighbors",
    "paper": "Matryoshka-Adaptor, as in the paper: a residual network",
    "search": "Search-Adaptor: learns ranking at full width, from judgements",
    "svd": "SVD alone: a rotation, nothing to train",
}
ADAPTORS_KEY = "adaptors"
# Above this a fit takes minutes; the page says so.
MANY_TEXTS = 20_000


@dataclass(frozen=True)
class Choice:
    """What to fit: the widths below the full one, the method, and whether judgements teach too."""

    dims: tuple[int, ...]
    method: AdaptorMethod
    judged: bool


def choose_adaptor(workspace: Workspace) -> Choice:
    """The method and what it learns from; a sentence ends the page where nothing can be fitted."""
    n_items = workspace.corpus.n_items
    dims = workspace.dims[:-1]
    if n_items < FEWEST_ROWS:
        stop_with(
            f"There are {n_items:,} texts here. An adaptor needs at least {FEWEST_ROWS}: most of them to learn from, "
            "the others to measure it on. Add texts on the Start page."
        )
    if not dims:
        stop_with("Choose at least one width below the full one in the sidebar.")
    has_judgements = bool(workspace.corpus.qrels)
    methods = [name for name in METHOD_NAMES if name != "search" or has_judgements]
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    method = left.selectbox("Method", methods, key="adaptor_method", format_func=METHOD_NAMES.__getitem__)
    judged = method == "search" or (
        has_judgements and method in ("neighbors", "paper")
        and right.toggle("Judgements too", key="adaptor_judged", help="Which texts answer which queries, by your data.")
    )  # fmt: skip
    return Choice(dims, method, judged)


def adaptor_fit(workspace: Workspace, choice: Choice, code: Script) -> AdaptorFit:
    """The fit, once asked for; before, the page ends with a sentence or progress, and the code."""
    n_items = workspace.corpus.n_items
    minutes = "minutes" if n_items > MANY_TEXTS or choice.method == "search" else "some seconds"
    judged = with_queries(workspace) if choice.judged else None
    key = answer_key(workspace.embedded, choice)

    def made(report: Report, stopped: Stopped) -> AdaptorFit:
        fit = _fit(workspace.embedded, judged, choice, report, stopped)
        if fit.stopped != "cancelled":
            keep(fit, "adaptor", key)
        return fit

    fit = asked_for(
        f"adaptor {key}", ("Fit again", f"Fit on {n_items:,} texts"), "fit_adaptor", made,
        "Seven in ten texts train it, one in ten stops the training in time, two in ten only measure it. Takes "
        f"{minutes} and runs beside the page.", code,
        at_hand=at_hand(AdaptorFit, "adaptor", workspace, choice) or kept(AdaptorFit, "adaptor", key),
        is_shared=is_of_sample(workspace.embedded),
    )  # fmt: skip
    st.session_state.setdefault(ADAPTORS_KEY, {})[_model_key(workspace)] = fit
    return fit


def _fit(embedded: Embedded, judged: Embedded | None, choice: Choice, report: Report, stopped: Stopped) -> AdaptorFit:
    queries, qrels = (None, None) if judged is None else (judged.queries, judged.corpus.judgements_by_row())

    def progress(done: int, total: int, info: dict[str, Any]) -> None:
        words = f"{info['stage']}: epoch {done} of at most {total}, validation loss {info['validation']:.4f}"
        report(done, total, words)

    return fit_adaptor(
        embedded.matrix, choice.dims, method=choice.method, queries=queries, qrels=qrels,
        settings=suggested_settings(len(embedded.matrix), choice.method),
        model=None if embedded.corpus.embeddings is not None else embedded.model, progress=progress, cancelled=stopped,
    )  # fmt: skip


def _model_key(workspace: Workspace) -> str:
    """What an adaptor belongs to: a model, or, where vectors came ready, those very vectors."""
    return workspace.corpus.fingerprint if workspace.is_ready else workspace.embedded.identity


def session_adaptor(workspace: Workspace) -> AdaptorFit | None:
    """The adaptor this session fitted last for the current model, if any."""
    fits: dict[str, AdaptorFit] = st.session_state.get(ADAPTORS_KEY, {})
    return fits.get(_model_key(workspace))


def fit_facts(fit: AdaptorFit) -> None:
    """How the fit went, in small print."""
    split = f"{fit.n_train:,} texts to train on, {fit.n_validation:,} to stop by, {fit.n_held_out:,} held out"
    if fit.n_held_out_queries:
        split += f"; {fit.n_held_out_queries:,} queries held out"
    how = {
        "epochs": "all epochs done",
        "converged": "no better for a while",
        "cancelled": "stopped by you; the best so far is kept",
    }
    if fit.learnt_share < 1:
        used = f"{fit.learnt_share:.0%} is used" if fit.learnt_share else "nothing is used"
        split += f"; of what it learnt beyond SVD {used}, as the texts to stop by were served best so"
    small_print(f"{split}. {fit.seconds:.1f} s; ended: {how.get(fit.stopped, fit.stopped)}.")
    if weights := fit.weights_takeaway():
        small_print(weights)
    dims = fit.dims[:-1]  # the last is the full one, where nothing is to gain
    not_better = [str(dim) for dim, what in zip(dims, fit.verdicts()) if what != "better"]
    losses = [str(dim) for dim, gain in zip(dims, fit.gain_over_prefix) if gain.high < 0]
    if not_better and fit.adaptor.method != "svd":
        what = "it is no better than SVD, which needs no training: there, SVD does as well."
        st.warning(f"At {', '.join(not_better)} dims {what}", icon=":material/balance:")
    if losses:
        what = "the raw prefix is better: do not use it there."
        st.warning(f"At {', '.join(losses)} dims {what}", icon=":material/balance:")


def verdict_rows(fit: AdaptorFit) -> list[dict[str, Any]]:
    """One record per width below the full one: the three maps, the differences with their intervals, the verdict."""
    own = fit.quality("adaptor")
    columns = zip(
        fit.dims[:-1],
        *(fit.measured(name) for name in ("prefix", "svd", "adaptor")),
        own.ndcg_train if fit.n_held_out_queries else own.overlap_train,
        fit.verdicts(),
        fit.gain_over_svd,
    )
    return [
        {
            "dims": dim, "raw prefix": raw.value, "SVD": svd.value, "adaptor": adaptor.value,
            "adaptor, training": train,
            "against SVD": found, "difference": gain.value, "low": gain.low, "high": gain.high,
        }
        for dim, raw, svd, adaptor, train, found, gain in columns
    ]  # fmt: skip


def keep_adaptor(workspace: Workspace, fit: AdaptorFit) -> None:
    """Download the adaptor; for a sentence-transformers model also a model folder with the adaptor inside."""
    name = _file_name(workspace, fit)
    left, right = st.columns(2)
    download(
        "Download the adaptor (zip)", lambda: fit.adaptor.archive(card=fit.card()), f"{name}.zip", "adaptor_zip", left,
        "stretch",
    )  # fmt: skip
    left.caption(
        "Weights as safetensors, settings as JSON, and a card of what was measured. Applying it needs numpy and "
        "safetensors only."
    )
    if workspace.is_ready:
        right.caption("Ready vectors have no model here to put the adaptor into.")
        return
    folder = EmbeddingStore().folder / "adapted" / name
    if right.button("Make it a model of this app", key="adaptor_model", width="stretch"):
        _save_model(workspace, fit, folder)
        remember_model(str(folder))
    if not folder.is_dir():
        right.caption(
            "Puts the adaptor into a copy of the model, which sentence-transformers loads without this package."
        )
        return
    zip_name, key = f"{name}-model.zip", "adaptor_model_zip"
    download("Download the model (zip)", lambda: zipped(folder), zip_name, key, right, "stretch")
    right.button("Use it on every page", key="use_adapted", on_click=use_model, args=(str(folder),), width="stretch")
    right.caption(plain(f"Saved on the machine that runs this app, in {folder}. Choose it under Model in the sidebar."))


def _save_model(workspace: Workspace, fit: AdaptorFit, folder: Path) -> None:
    encoder = as_sentence_transformer(encoder_of(workspace.model))
    if encoder is None:
        st.error(
            "Only sentence-transformers models can hold an adaptor; download it and apply it to what the API gives."
        )
        return
    prompts = {"query": encoder.query_prompt, "document": encoder.document_prompt}
    with ENCODING, st.spinner("Saving the model…"):
        save_sentence_transformer(
            fit.adaptor, encoder.model, folder, pre_truncation=encoder.pre_truncation,
            prompts={name: text for name, text in prompts.items() if text}, card=fit.card(),
        )  # fmt: skip


def _file_name(workspace: Workspace, fit: AdaptorFit) -> str:
    """Model, method and the map's fingerprint."""
    model = re.sub(r"[^A-Za-z0-9.-]+", "-", Path(workspace.embedded.model).name)[:40].strip("-") or "vectors"
    return f"{model}-{fit.adaptor.method}-{fit.adaptor.fingerprint}"


def adaptor_code(workspace: Workspace, choice: Choice) -> Script:
    script = Script(workspace, queries=None if choice.judged else ())
    given: dict[str, object] = {"method": choice.method}
    if choice.judged:
        given |= {"queries": script.vectors.queries, "qrels": Code("vectors.corpus.judgements_by_row()")}
    model = None if workspace.is_ready else script.vectors.model
    settings = script.call(suggested_settings, Code("len(vectors.matrix)"), choice.method)
    again = script.let("fit", fit_adaptor, script.matrix, choice.dims, **given, settings=settings, model=model)
    script.say(again)
    if choice.judged:
        script.show(figures.adaptor_curves, again, "ndcg", workspace.focus_dim)
    script.show(figures.adaptor_curves, again, "overlap", workspace.focus_dim).show(figures.adaptor_gains, again)
    if choice.method != "svd":
        script.show(figures.adaptor_losses, again)
    script.add('fit.adaptor.save("my-adaptor")')
    script.add("")
    script.add("# elsewhere, with numpy only")
    adaptor = script.assign("adaptor", f'{script.name(Adaptor)}.load("my-adaptor")')
    script.let("short", truncate_and_normalize, Code(f"{adaptor}.apply(vectors.matrix)"), choice.dims[-1])
    return script
