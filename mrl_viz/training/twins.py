"""A Matryoshka model against its plain twin, trained the same way, at every width, on texts neither has seen."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mrl_viz.archive import read_result, write_result
from mrl_viz.embedding.encoder import Encoder
from mrl_viz.errors import DataFormatError, InvalidInputError
from mrl_viz.files import disk_errors, write_json
from mrl_viz.fingerprint import fingerprint
from mrl_viz.measures.estimate import (
    Estimate,
    bootstrap,
    difference_tests,
    paired_bootstrap,
    share_difference,
)
from mrl_viz.result import Result
from mrl_viz.tasks.task import Task
from mrl_viz.training.card import model_card
from mrl_viz.training.checkpoints import ADVICE, save_model
from mrl_viz.training.config import RUNS, Run, TrainingConfig, check_config
from mrl_viz.training.data import TrainingData
from mrl_viz.training.loop import Progress, train_contrastive, trainable
from mrl_viz.training.overlay import HeldOutValues
from mrl_viz.truncation import FloatMatrix, Floats, check_dims, check_embeddings, default_dims

# The share of the size at which the best-known Matryoshka text model was reported to keep 98 % of its quality.
SMALL_SHARE = 0.083
# Widths up to this share of the full one are where the classic picture shows, if it does.
CLASSIC_SHARE = 1 / 8
MEASURES = {"retrieval": "nDCG@10", "classification": "kNN accuracy", "pairs": "Spearman"}
SIGNIFICANT = 0.05
RESULT_FILE, SCHEMA = "comparison.json", 2
VALUES_FILE = "values.npz"


@dataclass(frozen=True)
class TwinComparison(Result):
    """The Matryoshka model and its plain twin at every width, on the same held-out texts, queries or pairs.

    `measure` : one of MEASURES, in [-1, 1]. `n_items` : what was measured. `small_dim` : 8.3 % of full width.
    `curves` : mean quality per width of "matryoshka", "plain" and, where given, "before" (the model before training).
    `gain` : Matryoshka minus plain per width, paired. `p_holm` : of a paired t-test per width, Holm-adjusted.
    `narrow_gain` : the gain averaged over `narrow_dims`, the widths up to an eighth. `shares` : of every model the
    share of its own full width that each width keeps, None where that is not above 0; `share_gain` : that of the
    Matryoshka model minus the plain twin's at `small_dim`. All intervals are 95 % bootstrap ones over the items.
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
    shares: Mapping[str, tuple[Estimate | None, ...]] = field(default_factory=dict)
    share_gain: Estimate | None = None

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
            # A run of an earlier version has no shares of its own full width.
            saved = {"shares": {}, "share_gain": None, **saved}
            values = {field.name: saved[field.name] for field in fields(cls)}
            values |= {name: tuple(saved[name]) for name in ("dims", "p_holm", "narrow_dims")}
            values["curves"] = {
                name: tuple(Estimate(**point) for point in curve) for name, curve in saved["curves"].items()
            }
            values["gain"] = tuple(map(Estimate, saved["gain"], saved["gain_low"], saved["gain_high"]))
            narrow = (saved[f"narrow_gain{end}"] for end in ("", "_low", "_high"))
            values["shares"] = {
                name: tuple(None if point is None else Estimate(**point) for point in curve)
                for name, curve in saved["shares"].items()
            }
            if saved["share_gain"] is not None:
                values["share_gain"] = Estimate(*(saved[f"share_gain{end}"] for end in ("", "_low", "_high")))
            return cls(**values | {"narrow_gain": Estimate(*narrow)})
        except (KeyError, TypeError, AttributeError) as error:
            raise DataFormatError(f"`comparison` is no saved comparison ({error}); run it again.") from error

    def kept_takeaway(self) -> str:
        """One or two sentences: what both keep of their own full width at 8.3 % of the size, and the difference."""
        where = f"{self.small_dim} of {self.dims[-1]} dims, {self.small_dim / self.dims[-1]:.1%} of the size"
        own, plain = (self.own_share(name) for name in RUNS)
        if own is None or plain is None or self.share_gain is None:
            return f"At {where}, no share can be given: {self.measure} at full width is not above 0."
        first = (
            f"At {where}, the Matryoshka model keeps {own:.2%} of its own {self.measure}, its plain twin {plain:.2%}."
        )
        low, high = self.share_gain.low, self.share_gain.high
        found = "keeps more" if low > 0 else "keeps less" if high < 0 else "cannot be told from its twin by this"
        points = f"{100 * self.share_gain.value:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"
        return f"{first} The difference is {points}: with {self.n_items} held-out items, the Matryoshka model {found}."

    def own_share(self, name: str) -> Estimate | None:
        """The share of its own full width that "matryoshka", "plain" or "before" has at `small_dim`."""
        return self.shares[name][self.dims.index(self.small_dim)] if name in self.shares else None

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
    checked = check_dims((*dims, small_dim(shapes[0][1]), shapes[0][1]), shapes[0][1])
    values = {name: task.measure(rows, rows, checked) for name, rows in arrays.items()}
    return _compared(MEASURES[task.kind], checked, values, seed)


def small_dim(full_dim: int) -> int:
    """8.3 % of the full width, in dims."""
    return max(1, round(SMALL_SHARE * full_dim))


def _compared(measure: str, dims: tuple[int, ...], values: Mapping[str, Floats], seed: int) -> TwinComparison:
    """From the value of every item at every width, (n_dims, n_items), by model."""
    full_dim, small = dims[-1], small_dim(dims[-1])
    difference = values["matryoshka"] - values["plain"]
    narrow = [level for level, dim in enumerate(dims) if dim <= max(full_dim * CLASSIC_SHARE, dims[0])]
    *gain, narrow_gain = bootstrap(np.vstack([difference, difference[narrow].mean(axis=0)]), seed=seed)
    at_both = [dims.index(small), -1]
    return TwinComparison(
        measure=measure,
        dims=dims,
        n_items=difference.shape[1],
        small_dim=small,
        curves={name: bootstrap(value, seed=seed) for name, value in values.items()},
        gain=tuple(gain),
        p_holm=tuple(difference_tests(difference).tolist()),
        narrow_dims=tuple(dims[level] for level in narrow),
        narrow_gain=narrow_gain,
        shares={
            name: tuple(found.retention for found in paired_bootstrap(value, seed=seed))
            for name, value in values.items()
        },
        share_gain=share_difference(*(value for name in RUNS for value in values[name][at_both]), seed=seed),
    )


def held_out_task(data: TrainingData) -> Task:
    """What judges embeddings of all of `data.texts` by what was held out.

    Labels: whether the 5 nearest neighbors of a held-out text vote for its class; they are training texts, or other
    held-out ones where whole classes were held out. Pairs: nDCG@10 of each held-out anchor among the held-out positives
    and negatives. Scored pairs: Spearman's correlation of cosine and score over those held out.

    Source: kNN as in Kusupati et al. 2022, arXiv:2205.13147, section 4.2; tie rule as in `knn_correct`.
    """
    if data.kind == "scored":
        lefts, rights = np.array(data.held_out, dtype=np.int64).T
        scores = np.array([data.score_of[pair] for pair in data.held_out])
        return Task("pairs", "spearman", np.arange(len(scores)), pairs=(lefts, rights, scores))
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

    `training` : per run what `TrainedModel.to_dict` gives. `seconds` : of training all and comparing them, all
    attempts. `values` : what every held-out item is worth, for the run to be laid over others; None of a run of an
    earlier version.
    """

    folder: Path
    config: TrainingConfig
    data: str
    training: Mapping[Run, Mapping[str, Any]]
    comparison: TwinComparison
    seconds: float
    values: HeldOutValues | None = field(default=None, compare=False, repr=False)
    _without: ClassVar = ("folder", "values")

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
    """Train both models, and those for one width alone; compare them, and save both with cards of what was measured.

    Parameters
    ----------
    model, data, config, progress, cancelled : see `train_contrastive`
    folder : gets `matryoshka/`, `plain/`, comparison.json and values.npz; checkpoints lie there until the end, so
        that a second call after a stop or a kill goes on where the first one was

    Raises
    ------
    StoreError : the disk refuses. Everything `train_contrastive` raises.
    """
    folder = Path(folder)
    dims = check_config(config, model.full_dim)
    checkpoints = {name: folder / f"{name}.checkpoint.safetensors" for name in (*RUNS, *_alone_names(config))}
    given: dict[str, Any] = {"progress": progress, "cancelled": cancelled}
    trained = {
        run: train_contrastive(model, data, config, run=run, checkpoint=checkpoints[run], **given) for run in RUNS
    }
    # A trained model holds the step before truncation itself.
    start = trainable(model)
    task, full_dim = held_out_task(data), model.full_dim
    alone, alone_s = [], 0.0
    for name, width in _alone_names(config).items():
        one = train_contrastive(model, data, config, run="alone", width=width, checkpoint=checkpoints[name], **given)
        rows = _embed(data, replace(start, model=one.model, pre_truncation="none"))
        alone.append(task.measure(rows, rows, (width,))[0])
        alone_s += one.seconds
    compared = time.perf_counter()
    encoders = {run: replace(start, model=trained[run].model, pre_truncation="none") for run in RUNS}
    arrays = {run: _embed(data, encoder) for run, encoder in encoders.items()} | {"before": _embed(data, model)}
    compared_dims = check_dims((*dims, small_dim(full_dim)), full_dim)
    # At the usual widths too, so that runs at other widths have some in common.
    all_dims = tuple(sorted({*compared_dims, *default_dims(full_dim), *config.alone}))
    values = {name: task.measure(rows, rows, all_dims) for name, rows in arrays.items()}
    levels = [all_dims.index(dim) for dim in compared_dims]
    measure = MEASURES[task.kind]
    comparison = _compared(measure, compared_dims, {name: value[levels] for name, value in values.items()}, config.seed)
    if alone:
        values["alone"] = np.stack(alone)
    judged = fingerprint(data.kind, data.texts, data.train, data.held_out, data.labels, data.scores)
    held_out = HeldOutValues(config, judged, measure, all_dims, values, tuple(_alone_names(config).values()))
    seconds = sum(about.seconds for about in trained.values()) + alone_s + time.perf_counter() - compared
    about = {run: trained[run].to_dict() for run in RUNS}
    result = TwinRun(folder, config, data.takeaway(), about, comparison, seconds, held_out)
    for run in RUNS:
        save_model(trained[run].model, folder / run, dims=trained[run].dims, card=result.card(run))
    with disk_errors(folder, ADVICE):
        write_result(held_out, folder / VALUES_FILE, key=judged)
        write_json(folder / RESULT_FILE, result.to_dict() | {"judged": judged})
        for path in checkpoints.values():
            path.unlink(missing_ok=True)
    return result


def _alone_names(config: TrainingConfig) -> dict[str, int]:
    """What the models for one width alone are called, ascending."""
    return {f"alone-{width}": width for width in sorted(set(config.alone))}


def plain_twin_of(model: str) -> str | None:
    """The folder of the plain twin of a Matryoshka model that `train_twins` wrote; None for any other model."""
    folder = Path(model)
    twin = folder.parent / RUNS[1]
    return str(twin) if folder.name == RUNS[0] and (folder.parent / RESULT_FILE).is_file() and twin.is_dir() else None


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
            values=read_result(HeldOutValues, path.parent / VALUES_FILE, key=str(saved.get("judged", ""))),
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
