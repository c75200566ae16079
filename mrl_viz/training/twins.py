"""A Matryoshka model against its plain twin: trained the same way, compared at every width on texts neither has seen."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import DataFormatError, InvalidInputError
from mrl_viz.files import disk_errors, write_json
from mrl_viz.measures.estimate import bootstrap_mean, difference_tests
from mrl_viz.tasks.task import Task
from mrl_viz.training.card import model_card
from mrl_viz.training.checkpoints import ADVICE, save_model
from mrl_viz.training.config import RUNS, Run, TextModel, TrainingConfig, check_config
from mrl_viz.training.data import TrainingData
from mrl_viz.training.loop import Progress, TrainedModel, train_contrastive
from mrl_viz.truncation import FloatMatrix, check_dims, check_embeddings

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# The share of the size at which the best-known Matryoshka text model was reported to keep 98 % of its quality.
SMALL_SHARE = 0.083
# Widths up to this share of the full one are where the classic picture shows, if it does.
CLASSIC_SHARE = 1 / 8
RETRIEVAL, KNN = "nDCG@10", "kNN accuracy"
SIGNIFICANT = 0.05
RESULT_FILE = "comparison.json"

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TwinCurve:
    """One model at every width: mean quality in [0, 1] and its 95 % bootstrap interval over held-out texts or queries."""

    name: str
    value: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class TwinComparison:
    """The Matryoshka model and its plain twin at every width, on the same held-out texts or queries.

    `measure` : KNN or RETRIEVAL, in [0, 1]. `n_items` : texts or queries measured. `small_dim` : 8.3 % of the full width.
    `curves` : "matryoshka", "plain" and, where given, "before" (the model before training).
    `gain`, `gain_low`, `gain_high` : Matryoshka minus plain, paired, with its 95 % interval. `p_holm` : of a paired t-test
    per width, Holm-adjusted. `narrow_gain` : (mean, low, high) of the gain averaged over the widths up to an eighth.
    """

    measure: str
    dims: tuple[int, ...]
    n_items: int
    small_dim: int
    curves: tuple[TwinCurve, ...]
    gain: tuple[float, ...]
    gain_low: tuple[float, ...]
    gain_high: tuple[float, ...]
    p_holm: tuple[float, ...]
    narrow_dims: tuple[int, ...]
    narrow_gain: tuple[float, float, float]

    def curve(self, name: str) -> TwinCurve:
        """The curve of "matryoshka", "plain" or "before".

        Raises
        ------
        InvalidInputError : there is none of that name.
        """
        found = next((curve for curve in self.curves if curve.name == name), None)
        if found is None:
            raise InvalidInputError(f"`name` is {name!r}; choose one of {[curve.name for curve in self.curves]}.")
        return found

    def verdicts(self) -> tuple[str, ...]:
        """Per width "better", "worse" or "equal": the Matryoshka model against its twin at 5 %, Holm-adjusted over widths."""
        return tuple(
            "equal" if p >= SIGNIFICANT else "better" if gain > 0 else "worse"
            for gain, p in zip(self.gain, self.p_holm)
        )

    @property
    def is_classic(self) -> bool:
        """Whether small widths surely (95 %) gain and the full width does not surely lose."""
        return self.narrow_gain[1] > 0 and self.gain_high[-1] >= 0

    def kept(self, name: str) -> float | None:
        """Share of the plain twin's full-width quality that a model has at `small_dim`; None where that is 0."""
        full = self.curve("plain").value[-1]
        return self.curve(name).value[self.dims.index(self.small_dim)] / full if full > 0 else None

    def rows(self) -> list[dict[str, Any]]:
        """One record per width."""
        verdicts = self.verdicts()
        return [
            {"dim": dim, "size": dim / self.dims[-1]}
            | {curve.name + end: getattr(curve, key)[level] for curve in self.curves for end, key in (("", "value"), ("_low", "low"), ("_high", "high"))}
            | {"gain": self.gain[level], "gain_low": self.gain_low[level], "gain_high": self.gain_high[level]}
            | {"p_holm": self.p_holm[level], "verdict": verdicts[level]}
            for level, dim in enumerate(self.dims)
        ]  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> TwinComparison:
        """What `to_dict` wrote, also after a trip through JSON.

        Raises
        ------
        DataFormatError : fields are missing.
        """
        try:
            values = {field.name: _tuples(saved[field.name]) for field in fields(cls) if field.name != "curves"}
            curves = tuple(
                TwinCurve(**{name: _tuples(value) for name, value in curve.items()}) for curve in saved["curves"]
            )
            return cls(curves=curves, **values)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataFormatError(f"`comparison` is no saved comparison ({error}); run it again.") from error

    def gain_takeaway(self) -> str:
        """One sentence: where the two surely differ."""
        verdicts = self.verdicts()
        better, worse = (
            [str(dim) for dim, found in zip(self.dims, verdicts) if found == what] for what in ("better", "worse")
        )
        parts = [f"better at {', '.join(better)} dims"] if better else []
        parts += [f"worse at {', '.join(worse)} dims"] if worse else []
        found = f"is {' and '.join(parts)}" if parts else "cannot be told from its plain twin at any single width"
        return f"At 5 %, Holm-adjusted over {len(self.dims)} widths, the Matryoshka model {found}."

    def takeaway(self) -> str:
        """Two sentences: both models at 8.3 % of the size, and whether the classic picture shows."""
        level = self.dims.index(self.small_dim)
        own, plain = self.curve("matryoshka"), self.curve("plain")
        shares = [
            f" ({kept:.0%} of the twin's full width)" if (kept := self.kept(name)) is not None else "" for name in RUNS
        ]
        first = (
            f"At {self.small_dim} of {self.dims[-1]} dims, {self.small_dim / self.dims[-1]:.1%} of the size, the Matryoshka model has "
            f"{self.measure} {own.value[level]:.3f}{shares[0]} and its plain twin {plain.value[level]:.3f}{shares[1]}, "
            f"a gain of {_interval(self.gain[level], self.gain_low[level], self.gain_high[level])}."
        )
        narrow, full = _interval(*self.narrow_gain), _interval(self.gain[-1], self.gain_low[-1], self.gain_high[-1])
        widths = (
            f"{self.narrow_dims[0]} to {self.narrow_dims[-1]}"
            if len(self.narrow_dims) > 1
            else str(self.narrow_dims[0])
        )
        if self.is_classic:
            return f"{first} The classic picture shows: {narrow} over {widths} dims, and {full} at full width."
        if self.narrow_gain[1] > 0:
            return f"{first} The classic picture shows only in part: {narrow} over {widths} dims, but {full} at full width."
        why = (
            "the plain twin is better"
            if self.narrow_gain[2] < 0
            else f"{self.n_items} held-out items cannot tell the two apart"
        )
        return f"{first} The classic picture does not show here: {narrow} over {widths} dims, so {why}; {full} at full width."


def compare_twins(
    matryoshka: npt.ArrayLike, plain: npt.ArrayLike, score: Callable[[FloatMatrix, tuple[int, ...]], Values], *,
    dims: Sequence[int], measure: str, before: npt.ArrayLike | None = None, seed: int = 0,
) -> TwinComparison:  # fmt: skip
    """Two or three embeddings of the same texts, scored alike at every width.

    Parameters
    ----------
    matryoshka, plain, before : array_like of shape (n_texts, full_dim), the same texts in the same order
    score : from embeddings and widths to quality of shape (n_dims, n_items), such as `held_out_score(data)`
    dims : widths in 1..full_dim; the full width and 8.3 % of it are added
    measure : what an item's quality is called
    seed : of the bootstrap

    Raises
    ------
    InvalidInputError : embeddings of different shapes. DimensionError, ShapeError, EmptyInputError : unusable arrays or widths.

    Source: own definition; the 8.3 % after the sentence-transformers documentation of MatryoshkaLoss.
    """
    given = {"matryoshka": matryoshka, "plain": plain} | ({} if before is None else {"before": before})
    arrays = {name: check_embeddings(rows, name) for name, rows in given.items()}
    if len({rows.shape for rows in arrays.values()}) > 1:
        raise InvalidInputError(
            f"`matryoshka` and `plain` have shapes {[rows.shape for rows in arrays.values()]}; embed the same texts."
        )
    full_dim = arrays["matryoshka"].shape[1]
    small_dim = max(1, round(SMALL_SHARE * full_dim))
    checked = check_dims((*dims, small_dim, full_dim), full_dim)
    values = {name: score(rows, checked) for name, rows in arrays.items()}
    curves = []
    for name, value in values.items():
        low, high = bootstrap_mean(value, seed=seed)
        curves.append(TwinCurve(name, _floats(value.mean(axis=1)), _floats(low), _floats(high)))
    difference = values["matryoshka"] - values["plain"]
    narrow = [level for level, dim in enumerate(checked) if dim <= max(full_dim * CLASSIC_SHARE, checked[0])]
    pooled = np.vstack([difference, difference[narrow].mean(axis=0)])
    low, high = bootstrap_mean(pooled, seed=seed)
    return TwinComparison(
        measure=measure, dims=checked, n_items=difference.shape[1], small_dim=small_dim, curves=tuple(curves),
        gain=_floats(difference.mean(axis=1)), gain_low=_floats(low[:-1]), gain_high=_floats(high[:-1]), p_holm=_floats(difference_tests(difference)),
        narrow_dims=tuple(checked[level] for level in narrow), narrow_gain=(float(pooled[-1].mean()), float(low[-1]), float(high[-1])),
    )  # fmt: skip


def held_out_score(data: TrainingData) -> tuple[str, Callable[[FloatMatrix, tuple[int, ...]], Values]]:
    """The measure that fits the data, and the function that computes it from embeddings of all of `data.texts`.

    Labels: whether the 5 nearest neighbors of a held-out text vote for its class; they are training texts, or other held-out
    ones where whole classes were held out. Pairs: nDCG@10 of each held-out anchor among the held-out positives and negatives.

    Source: kNN as in Kusupati et al. 2022, arXiv:2205.13147, section 4.2; tie rule as in `knn_correct`.
    """
    task = _held_out_task(data)
    measure = RETRIEVAL if task.kind == "retrieval" else KNN
    return measure, lambda embeddings, dims: task.measure(embeddings, embeddings, dims)


def _held_out_task(data: TrainingData) -> Task:
    train, held_out = (
        np.array([example[0] for example in rows], dtype=np.int64) for rows in (data.train, data.held_out)
    )
    if data.kind == "pairs":
        anchors = np.array(list(dict.fromkeys(held_out.tolist())))
        documents = list(dict.fromkeys(row for example in data.held_out for row in example[1:]))
        places = {document: place for place, document in enumerate(documents)}
        grades: dict[int, dict[int, int]] = {anchor: {} for anchor in anchors.tolist()}
        for example in data.held_out:
            grades[example[0]][places[example[1]]] = 1
        return Task("retrieval", "ndcg@10", anchors, np.array(documents), grades=tuple(grades.values()))
    codes = np.unique(np.array(data.labels), return_inverse=True)[1].astype(np.int64)
    if data.has_unseen_classes:
        return Task("classification", "knn_accuracy", held_out, held_out, np.arange(len(held_out)), codes=codes)
    return Task("classification", "knn_accuracy", held_out, train, codes=codes)


@dataclass(frozen=True)
class TwinRun:
    """A finished run: what was trained, how that went, and the comparison; `folder` holds both models.

    `training` : per run what `TrainedModel.to_dict` gives. `seconds` : of training both and comparing them, all attempts.
    """

    folder: Path
    config: TrainingConfig
    data: str
    training: Mapping[str, Mapping[str, Any]]
    comparison: TwinComparison
    seconds: float

    def model_folder(self, run: Run = "matryoshka") -> Path:
        """A folder that `SentenceTransformer(folder, truncate_dim=…)` loads."""
        return self.folder / run

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data, without the folder."""
        return {
            "schema": 1, "config": self.config.to_dict(), "data": self.data, "training": dict(self.training),
            "comparison": self.comparison.to_dict(), "seconds": self.seconds,
        }  # fmt: skip

    def card(self, run: Run) -> str:
        """README text of one of the two models."""
        comparison = self.comparison
        lines = [
            f"## Measured: {comparison.measure} on {comparison.n_items} held-out items",
            "",
            self.takeaway(),
            "",
            "| dims | Matryoshka | plain twin | before training | Matryoshka − plain, 95 % |",
            "|---|---|---|---|---|",
        ]
        for row in comparison.rows():
            before = f"{row['before']:.3f}" if "before" in row else "–"
            lines.append(
                f"| {row['dim']} | {row['matryoshka']:.3f} | {row['plain']:.3f} | {before} "
                f"| {row['gain']:+.3f} [{row['gain_low']:+.3f}, {row['gain_high']:+.3f}] |"
            )
        return model_card(self.config, self.data, self.training[run], comparison.small_dim, lines)

    def takeaway(self) -> str:
        """The comparison's sentences, after a warning where training ended early."""
        early = [
            f"The {run} model: {about['stopped']}. "
            for run, about in self.training.items()
            if about["stopped"] != "epochs"
        ]
        return "".join(early) + self.comparison.takeaway()


def train_twins(
    model: TextModel,
    data: TrainingData,
    config: TrainingConfig,
    folder: str | Path,
    *,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> TwinRun:
    """Train both models, compare them, and save them with cards of what was measured.

    Parameters
    ----------
    model, data, config, progress, cancelled : see `train_contrastive`
    folder : gets `matryoshka/`, `plain/` and comparison.json; checkpoints lie there until the end, so that a second call after
        a stop or a kill goes on where the first one was

    Raises
    ------
    StoreError : the disk refuses. Everything `train_contrastive` raises.
    """
    folder = Path(folder)
    dims = check_config(config, model.full_dim)
    checkpoints = {run: folder / f"{run}.checkpoint.safetensors" for run in RUNS}
    trained: dict[str, TrainedModel] = {}
    for run in RUNS:
        trained[run] = train_contrastive(
            model, data, config, run=run, checkpoint=checkpoints[run], progress=progress, cancelled=cancelled
        )
    compared = time.perf_counter()
    measure, score = held_out_score(data)
    embeddings = {run: _embed(data, _encoder(trained[run].model, model)) for run in RUNS}
    comparison = compare_twins(
        embeddings["matryoshka"], embeddings["plain"], score, dims=dims, measure=measure, seed=config.seed,
        before=_embed(data, lambda texts, kind: model.encode(texts, kind=kind)),
    )  # fmt: skip
    result = TwinRun(
        folder, config, data.takeaway(), {run: trained[run].to_dict() for run in RUNS}, comparison,
        sum(about.seconds for about in trained.values()) + time.perf_counter() - compared,
    )  # fmt: skip
    for run in RUNS:
        save_model(trained[run].model, folder / run, dims=trained[run].dims, card=result.card(run))
    with disk_errors(folder, ADVICE):
        write_json(folder / RESULT_FILE, result.to_dict())
        for path in checkpoints.values():
            path.unlink(missing_ok=True)
    return result


def load_twin_run(folder: str | Path) -> TwinRun:
    """A finished run from the folder that `train_twins` wrote.

    Raises
    ------
    DataFormatError : there is none, or it cannot be read.
    """
    path = Path(folder) / RESULT_FILE
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        return TwinRun(
            Path(folder), TrainingConfig.from_dict(saved["config"]), str(saved["data"]), saved["training"],
            TwinComparison.from_dict(saved["comparison"]), float(saved["seconds"]),
        )  # fmt: skip
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataFormatError(f"`{path}` holds no finished training ({type(error).__name__}); train again.") from error


Encode = Callable[[Sequence[str], Literal["document", "query"]], FloatMatrix]


def _encoder(trained: SentenceTransformer, start: TextModel) -> Encode:
    """The trained model with the prompts of the one it started from."""

    def encode(texts: Sequence[str], kind: Literal["document", "query"]) -> FloatMatrix:
        prompt = start.query_prompt if kind == "query" else start.document_prompt
        return trained.encode(list(texts), prompt=prompt, show_progress_bar=False, convert_to_numpy=True)

    return encode


def _embed(data: TrainingData, encode: Encode) -> FloatMatrix:
    """Vectors of all texts, (n_texts, full_dim); the anchors of pairs are queries."""
    embeddings = encode(data.texts, "document")
    anchors = sorted({example[0] for example in data.held_out}) if data.kind == "pairs" else []
    if anchors:
        # A text that is an anchor and a positive too is measured as an anchor.
        embeddings[anchors] = encode([data.texts[row] for row in anchors], "query")
    return embeddings


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"


def _floats(values: npt.NDArray[np.floating[Any]]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _tuples(value: Any) -> Any:
    """JSON lists as tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value
