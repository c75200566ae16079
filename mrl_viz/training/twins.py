"""A Matryoshka model against its plain twin, trained the same way, at every width, on texts neither has seen."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mrl_viz.embedding.encoder import Encoder
from mrl_viz.errors import DataFormatError, InvalidInputError
from mrl_viz.files import disk_errors, write_json
from mrl_viz.measures.estimate import Estimate, bootstrap, difference_tests
from mrl_viz.result import Result
from mrl_viz.tasks.task import Task
from mrl_viz.training.card import model_card
from mrl_viz.training.checkpoints import ADVICE, save_model
from mrl_viz.training.config import RUNS, Run, TrainingConfig, check_config
from mrl_viz.training.data import TrainingData
from mrl_viz.training.loop import Progress, train_contrastive, trainable
from mrl_viz.truncation import FloatMatrix, check_dims, check_embeddings

# The share of the size at which the best-known Matryoshka text model was reported to keep 98 % of its quality.
SMALL_SHARE = 0.083
# Widths up to this share of the full one are where the classic picture shows, if it does.
CLASSIC_SHARE = 1 / 8
MEASURES = {"retrieval": "nDCG@10", "classification": "kNN accuracy"}
SIGNIFICANT = 0.05
RESULT_FILE, SCHEMA = "comparison.json", 2


@dataclass(frozen=True)
class TwinComparison(Result):
    """The Matryoshka model and its plain twin at every width, on the same held-out texts or queries.

    `measure` : one of MEASURES, in [0, 1]. `n_items` : texts or queries measured. `small_dim` : 8.3 % of full width.
    `curves` : mean quality per width of "matryoshka", "plain" and, where given, "before" (the model before training).
    `gain` : Matryoshka minus plain per width, paired. `p_holm` : of a paired t-test per width, Holm-adjusted.
    `narrow_gain` : the gain averaged over `narrow_dims`, the widths up to an eighth. All intervals are 95 % bootstrap
    ones over the items.
    """

    measure: str
    dims: tuple[int, ...]
    n_items: int
    small_dim: int
    curves: Mapping[str, tuple[Estimate, ...]]
    gain: tuple[Estimate, ...]
    p_holm: tuple[float, ...]
    narrow_dims: tuple[int, ...]
    narrow_gain: Estimate

    def verdicts(self) -> tuple[str, ...]:
        """Per width "better", "worse" or "equal": the Matryoshka model against its twin at 5 %, Holm-adjusted."""
        return tuple(
            "equal" if p >= SIGNIFICANT else "better" if gain.value > 0 else "worse"
            for gain, p in zip(self.gain, self.p_holm)
        )

    @property
    def is_classic(self) -> bool:
        """Whether small widths surely (95 %) gain and the full width does not surely lose."""
        return self.narrow_gain.low > 0 and self.gain[-1].high >= 0

    def at_small(self, name: str) -> Estimate:
        """The quality of "matryoshka", "plain" or "before" at `small_dim`."""
        return self.curves[name][self.dims.index(self.small_dim)]

    def kept(self, name: str) -> float | None:
        """Share of the plain twin's full-width quality that a model has at `small_dim`; None where that is 0."""
        full = self.curves["plain"][-1].value
        return self.at_small(name).value / full if full > 0 else None

    def rows(self) -> list[dict[str, Any]]:
        """One record per width."""
        shares = [dim / self.dims[-1] for dim in self.dims]
        return self.records("gain", "p_holm", **self.curves, size=shares, verdict=self.verdicts())

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> TwinComparison:
        """What `to_dict` wrote, also after a trip through JSON.

        Raises
        ------
        DataFormatError : fields are missing.
        """
        try:
            values = {field.name: saved[field.name] for field in fields(cls)}
            values |= {name: tuple(saved[name]) for name in ("dims", "p_holm", "narrow_dims")}
            values["curves"] = {
                name: tuple(Estimate(**point) for point in curve) for name, curve in saved["curves"].items()
            }
            values["gain"] = tuple(map(Estimate, saved["gain"], saved["gain_low"], saved["gain_high"]))
            narrow = (saved[f"narrow_gain{end}"] for end in ("", "_low", "_high"))
            return cls(**values | {"narrow_gain": Estimate(*narrow)})
        except (KeyError, TypeError, AttributeError) as error:
            raise DataFormatError(f"`comparison` is no saved comparison ({error}); run it again.") from error

    def gain_takeaway(self) -> str:
        """One sentence: where the two surely differ."""
        parts = []
        for what in ("better", "worse"):
            if dims := [str(dim) for dim, found in zip(self.dims, self.verdicts()) if found == what]:
                parts.append(f"{what} at {', '.join(dims)} dims")
        found = f"is {' and '.join(parts)}" if parts else "cannot be told from its plain twin at any single width"
        return f"At 5 %, Holm-adjusted over {len(self.dims)} widths, the Matryoshka model {found}."

    def takeaway(self) -> str:
        """Two sentences: both models at 8.3 % of the size, and whether the classic picture shows."""
        shares = [
            f" ({kept:.0%} of the twin's full width)" if (kept := self.kept(name)) is not None else "" for name in RUNS
        ]
        own, plain = (self.at_small(name).value for name in RUNS)
        first = (
            f"At {self.small_dim} of {self.dims[-1]} dims, {self.small_dim / self.dims[-1]:.1%} of the size, the "
            f"Matryoshka model has {self.measure} {own:.3f}{shares[0]} and its plain twin {plain:.3f}{shares[1]}, a "
            f"gain of {self.gain[self.dims.index(self.small_dim)]:+.3f}."
        )
        ends = dict.fromkeys((str(self.narrow_dims[0]), str(self.narrow_dims[-1])))
        narrow, full = f"{self.narrow_gain:+.3f} over {' to '.join(ends)} dims", f"{self.gain[-1]:+.3f} at full width"
        if self.is_classic:
            return f"{first} The classic picture shows: {narrow}, and {full}."
        if self.narrow_gain.low > 0:
            return f"{first} The classic picture shows only in part: {narrow}, but {full}."
        unknown = f"{self.n_items} held-out items cannot tell the two apart"
        why = "the plain twin is better" if self.narrow_gain.high < 0 else unknown
        return f"{first} The classic picture does not show here: {narrow}, so {why}; {full}."


def compare_twins(
    matryoshka: npt.ArrayLike,
    plain: npt.ArrayLike,
    task: Task,
    *,
    dims: Sequence[int],
    before: npt.ArrayLike | None = None,
    seed: int = 0,
) -> TwinComparison:
    """Two or three embeddings of the same texts, scored alike at every width.

    Parameters
    ----------
    matryoshka, plain, before : array_like of shape (n_texts, full_dim), the same texts in the same order
    task : what is judged and how, such as `held_out_task(data)`
    dims : widths in 1..full_dim; the full width and 8.3 % of it are added
    seed : of the bootstrap

    Raises
    ------
    InvalidInputError : embeddings of different shapes. DimensionError, ShapeError, EmptyInputError : unusable arrays or
        widths.

    Source: own definition; the 8.3 % after the sentence-transformers documentation of MatryoshkaLoss.
    """
    given = {"matryoshka": matryoshka, "plain": plain} | ({} if before is None else {"before": before})
    arrays = {name: check_embeddings(rows, name) for name, rows in given.items()}
    shapes = [rows.shape for rows in arrays.values()]
    if len(set(shapes)) > 1:
        raise InvalidInputError(f"`matryoshka` and `plain` have shapes {shapes}; embed the same texts.")
    full_dim = shapes[0][1]
    small_dim = max(1, round(SMALL_SHARE * full_dim))
    checked = check_dims((*dims, small_dim, full_dim), full_dim)
    values = {name: task.measure(rows, rows, checked) for name, rows in arrays.items()}
    difference = values["matryoshka"] - values["plain"]
    narrow = [level for level, dim in enumerate(checked) if dim <= max(full_dim * CLASSIC_SHARE, checked[0])]
    *gain, narrow_gain = bootstrap(np.vstack([difference, difference[narrow].mean(axis=0)]), seed=seed)
    return TwinComparison(
        measure=MEASURES[task.kind],
        dims=checked,
        n_items=difference.shape[1],
        small_dim=small_dim,
        curves={name: bootstrap(value, seed=seed) for name, value in values.items()},
        gain=tuple(gain),
        p_holm=tuple(difference_tests(difference).tolist()),
        narrow_dims=tuple(checked[level] for level in narrow),
        narrow_gain=narrow_gain,
    )


def held_out_task(data: TrainingData) -> Task:
    """What judges embeddings of all of `data.texts` by what was held out.

    Labels: whether the 5 nearest neighbors of a held-out text vote for its class; they are training texts, or other
    held-out ones where whole classes were held out. Pairs: nDCG@10 of each held-out anchor among the held-out positives
    and negatives.

    Source: kNN as in Kusupati et al. 2022, arXiv:2205.13147, section 4.2; tie rule as in `knn_correct`.
    """
    if data.kind == "pairs":
        documents = list(dict.fromkeys(row for example in data.held_out for row in example[1:]))
        places = {document: place for place, document in enumerate(documents)}
        grades: defaultdict[int, dict[int, int]] = defaultdict(dict)
        for anchor, positive, *_ in data.held_out:
            grades[anchor][places[positive]] = 1
        return Task("retrieval", "ndcg@10", np.array([*grades]), np.array(documents), grades=tuple(grades.values()))
    train, held_out = (np.array([row for (row,) in rows], dtype=np.int64) for rows in (data.train, data.held_out))
    codes = np.unique(np.array(data.labels), return_inverse=True)[1].astype(np.int64)
    if data.has_unseen_classes:
        return Task("classification", "knn_accuracy", held_out, held_out, np.arange(len(held_out)), codes=codes)
    return Task("classification", "knn_accuracy", held_out, train, codes=codes)


@dataclass(frozen=True)
class TwinRun(Result):
    """A finished run: what was trained, how that went, and the comparison; `folder` holds both models.

    `training` : per run what `TrainedModel.to_dict` gives. `seconds` : of training both and comparing them, all
    attempts.
    """

    folder: Path
    config: TrainingConfig
    data: str
    training: Mapping[Run, Mapping[str, Any]]
    comparison: TwinComparison
    seconds: float
    _without: ClassVar = ("folder",)

    def model_folder(self, run: Run = "matryoshka") -> Path:
        """A folder that `SentenceTransformer(folder, truncate_dim=…)` loads."""
        return self.folder / run

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data, without the folder."""
        return {"schema": SCHEMA} | super().to_dict()

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
        ends = {run: about["stopped"] for run, about in self.training.items()}
        early = [f"The {run} model: {stopped}. " for run, stopped in ends.items() if stopped != "epochs"]
        return "".join(early) + self.comparison.takeaway()


def train_twins(
    model: Encoder,
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
    folder : gets `matryoshka/`, `plain/` and comparison.json; checkpoints lie there until the end, so that a second
        call after a stop or a kill goes on where the first one was

    Raises
    ------
    StoreError : the disk refuses. Everything `train_contrastive` raises.
    """
    folder = Path(folder)
    dims = check_config(config, model.full_dim)
    checkpoints = {run: folder / f"{run}.checkpoint.safetensors" for run in RUNS}
    trained = {
        run: train_contrastive(
            model, data, config, run=run, checkpoint=checkpoints[run], progress=progress, cancelled=cancelled
        )
        for run in RUNS
    }
    compared = time.perf_counter()
    # A trained model holds the step before truncation itself.
    start = trainable(model)
    encoders = {run: replace(start, model=trained[run].model, pre_truncation="none") for run in RUNS}
    matryoshka, plain, before = (_embed(data, encoder) for encoder in (*encoders.values(), model))
    comparison = compare_twins(matryoshka, plain, held_out_task(data), dims=dims, before=before, seed=config.seed)
    seconds = sum(about.seconds for about in trained.values()) + time.perf_counter() - compared
    about = {run: trained[run].to_dict() for run in RUNS}
    result = TwinRun(folder, config, data.takeaway(), about, comparison, seconds)
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
            folder=Path(folder),
            config=TrainingConfig.from_dict(saved["config"]),
            data=str(saved["data"]),
            training=saved["training"],
            comparison=TwinComparison.from_dict(saved["comparison"]),
            seconds=float(saved["seconds"]),
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataFormatError(f"`{path}` holds no finished training ({type(error).__name__}); train again.") from error


def _embed(data: TrainingData, model: Encoder) -> FloatMatrix:
    """Vectors of all texts, (n_texts, full_dim); the anchors of pairs are queries."""
    embeddings = model.encode(data.texts)
    anchors = sorted({example[0] for example in data.held_out}) if data.kind == "pairs" else []
    if anchors:
        # A text that is an anchor and a positive too is measured as an anchor.
        embeddings[anchors] = model.encode([data.texts[row] for row in anchors], kind="query")
    return embeddings
