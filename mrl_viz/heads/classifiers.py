"""Classification at every width: MRL heads, the efficient MRL-E head, and separately trained heads to compare with."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from mrl_viz.errors import EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.heads.training import HeadTraining, Linear, Trunk, train_classifier
from mrl_viz.measures.estimate import Estimate, bootstrap
from mrl_viz.result import Result
from mrl_viz.training.data import check_share, drawn_per_class
from mrl_viz.truncation import FloatMatrix, check_dims, check_embeddings, normalize

HeadKind = Literal["mrl", "mrl-e", "separate"]
KINDS: tuple[HeadKind, ...] = get_args(HeadKind)


@dataclass(frozen=True, eq=False)
class TrainedHeads(Result):
    """Linear classifiers on frozen embeddings, one per width, and how well they do on rows they have not seen.

    Tuples have one entry per width; accuracies are shares in [0, 1].
    `classes` : the labels, in the order of the columns of `probabilities`.
    `accuracy` : on the held-out rows, with its 95 % bootstrap interval. `accuracy_train` : on those trained on.
    `correct` : booleans of shape (n_dims, n_held_out); `held_out` : their row numbers.
    `losses` : mean training loss per epoch and width, ndarray of shape (n_epochs, n_dims), cross-entropy in nats.
    `weights` : per width the matrix (n_classes, full_dim or m) and bias, a linear map in front multiplied in.
    `trunks` : per width the hidden layers before that, `hidden_dim` and one as wide as the widest head; empty without.
    `stopped` : why training ended: "epochs", "cancelled" or "loss is not finite".
    """

    kind: HeadKind
    dims: tuple[int, ...]
    classes: tuple[Any, ...]
    n_train: int
    accuracy: tuple[Estimate, ...]
    accuracy_train: tuple[float, ...]
    stopped: str
    held_out: npt.NDArray[np.int64]
    correct: npt.NDArray[np.bool_]
    losses: npt.NDArray[np.float64]
    weights: tuple[Linear, ...]
    trunks: tuple[Trunk, ...]
    _without: ClassVar = ("weights", "trunks", "held_out", "correct")

    def probabilities(self, embeddings: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Softmax over classes at every width, shape (n_dims, n_items, n_classes), each row summing to 1.

        Raises
        ------
        ShapeError, EmptyInputError : unusable embeddings, or narrower than the heads.
        """
        rows = _scaled(embeddings)
        widest = max((trunk[0] if trunk else head)[0].shape[1] for trunk, head in zip(self.trunks, self.weights))
        if rows.shape[1] < widest:
            raise ShapeError(
                f"`embeddings` have {rows.shape[1]} coordinates but the heads read {widest}; use their model."
            )
        return np.asarray(softmax(_logits(rows, self.trunks, self.weights), axis=2), dtype=np.float32)

    def embed(self, embeddings: npt.ArrayLike) -> FloatMatrix:
        """What the heads read prefixes of, behind the hidden layers: shape (n_items, largest of `dims`), float32.

        Raises
        ------
        InvalidInputError : there are no hidden layers. ShapeError, EmptyInputError : unusable embeddings.
        """
        if not self.trunks[-1]:
            raise InvalidInputError("`training` had no hidden layer, so the heads read what they are given; set one.")
        return _through(self.trunks[-1], _scaled(embeddings))

    def rows(self, **columns: Any) -> list[dict[str, Any]]:
        """One record per width, other columns too."""
        return self.records("accuracy", "accuracy_train", kind=[self.kind] * len(self.dims), **columns)

    def to_dict(self) -> dict[str, Any]:
        """The summary as plain data, without weights and per-row values."""
        return super().to_dict() | {"classes": [str(label) for label in self.classes]}

    def takeaway(self) -> str:
        """One sentence: the smallest width whose interval reaches the accuracy of the largest."""
        best = self.accuracy[-1].value
        level = next(level for level, accuracy in enumerate(self.accuracy) if accuracy.high >= best)
        return (
            f"On {len(self.held_out)} held-out rows the {self.kind} heads are right for {best:.0%} at "
            f"{self.dims[-1]} dims and for {self.accuracy[level].value:.0%} at {self.dims[level]}."
        )


def train_heads(
    embeddings: npt.ArrayLike,
    labels: Sequence[Hashable] | npt.NDArray[Any],
    dims: Iterable[int],
    *,
    kind: HeadKind = "mrl",
    held_out: float | Sequence[int] | npt.NDArray[np.int64] = 0.3,
    training: HeadTraining | None = None,
    seed: int = 0,
    cancelled: Callable[[], bool] | None = None,
) -> TrainedHeads:
    """Linear classifiers at every width on frozen embeddings, measured on held-out rows.

    Parameters
    ----------
    embeddings : array_like of shape (n_items, full_dim); rows are normalised, their prefixes are not (as in the paper)
    labels : one per row, any hashable values, at least two different ones
    dims : widths in 1..full_dim
    kind : "mrl" one head per width, trained together; "mrl-e" one head, columns shared; "separate" each width on its
        own, with its own map: the fixed-feature baseline
    held_out : share of rows in (0, 1), drawn within each class, or the row numbers themselves
    training : see `HeadTraining`
    seed : of the initial weights, the split and the batches
    cancelled : asked after each epoch; the heads so far are returned, `stopped` says so

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError, InvalidInputError : unusable arrays, labels, widths or settings.

    Source: Kusupati et al. 2022, arXiv:2205.13147, section 4.2 (linear classification, MRL, MRL-E and FF).
    """
    rows = _scaled(embeddings)
    widths = check_dims(dims, rows.shape[1])
    classes, targets = encode_labels(labels, len(rows))
    if kind not in KINDS:
        raise InvalidInputError(f"`kind` is {kind!r}; choose one of {list(KINDS)}.")
    training = training or HeadTraining()
    training.check()
    test = split_rows(targets, held_out, seed=seed)
    train = np.setdiff1d(np.arange(len(rows)), test)
    if len(np.unique(targets[train])) < 2:
        raise EmptyInputError("`labels` leave fewer than 2 classes to train on; give more rows per class.")
    stopped, matrices, trunks, curves = "epochs", [], [], []
    for group in [(dim,) for dim in widths] if kind == "separate" else [widths]:
        # After one that did not end as it should the others stay untrained.
        n_epochs = training.epochs if stopped == "epochs" else 0
        part, trunk, curve, ended = train_classifier(
            group, kind == "mrl-e", rows[train], targets[train], len(classes), training, n_epochs, seed, cancelled
        )
        stopped = ended if stopped == "epochs" else stopped
        matrices += part
        trunks += [trunk] * len(part)
        curves.append(curve)
    longest = max(map(len, curves))
    losses = np.hstack([np.pad(curve, [(0, longest - len(curve)), (0, 0)], constant_values=np.nan) for curve in curves])
    hits = _logits(rows, trunks, matrices).argmax(axis=2) == targets
    correct = hits[:, test]
    return TrainedHeads(
        kind=kind,
        dims=widths,
        classes=classes,
        n_train=len(train),
        accuracy=bootstrap(correct, seed=seed),
        accuracy_train=tuple(hits[:, train].mean(axis=1).tolist()),
        stopped=stopped,
        held_out=test,
        correct=correct,
        losses=losses,
        weights=tuple(matrices),
        trunks=tuple(trunks),
    )


def _through(trunk: Trunk, rows: FloatMatrix) -> FloatMatrix:
    """The rows behind hidden layers, rectified between them."""
    for number, (weight, bias) in enumerate(trunk):
        rows = np.asarray((np.maximum(rows, 0) if number else rows) @ weight.T + bias, dtype=np.float32)
    return rows


def _logits(rows: FloatMatrix, trunks: Sequence[Trunk], weights: Sequence[Linear]) -> FloatMatrix:
    """What the head of every width gives, shape (n_dims, n_items, n_classes)."""
    logits = []
    last: Trunk = ()
    read = rows
    for trunk, (weight, bias) in zip(trunks, weights):
        if trunk is not last:
            last, read = trunk, _through(trunk, rows)
        logits.append(read[:, : weight.shape[1]] @ weight.T + bias)
    return np.stack(logits)


def encode_labels(
    labels: Sequence[Hashable] | npt.NDArray[Any], n_items: int
) -> tuple[tuple[Any, ...], npt.NDArray[np.int64]]:
    """The distinct labels, sorted by their text, and each row's position among them.

    Raises
    ------
    ShapeError : not one label per row. EmptyInputError : fewer than two different labels. InvalidInputError : one is
        missing.
    """
    values = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    if len(values) != n_items:
        raise ShapeError(f"`labels` has {len(values)} values for {n_items} rows; give one each.")
    if None in values:
        raise InvalidInputError(f"`labels` has none in row {values.index(None)}; leave rows without a label out.")
    classes = tuple(
        sorted(set(values), key=lambda label: (label if isinstance(label, (int, float)) else 0, str(label)))
    )
    if len(classes) < 2:
        raise EmptyInputError(f"`labels` has {len(classes)} class; classification needs at least 2.")
    position = {label: number for number, label in enumerate(classes)}
    return classes, np.array([position[value] for value in values], dtype=np.int64)


def split_rows(
    targets: npt.NDArray[np.int64], held_out: float | Sequence[int] | npt.NDArray[np.int64], *, seed: int
) -> npt.NDArray[np.int64]:
    """Ascending row numbers to hold out: those given, or a seeded share of every class (at least one row, never all).

    Raises
    ------
    InvalidInputError : a share outside (0, 1), or row numbers that do not exist or leave nothing to train on.
    EmptyInputError : nothing would be held out.
    """
    if not isinstance(held_out, (float, int)):
        chosen = np.unique(np.asarray(held_out, dtype=np.int64))
        if len(chosen) == 0:
            raise EmptyInputError("`held_out` is empty; hold at least one row out.")
        if chosen[0] < 0 or chosen[-1] >= len(targets) or len(chosen) == len(targets):
            raise InvalidInputError(f"`held_out` must name some of the rows 0 to {len(targets) - 1}, not all of them.")
        return chosen
    check_share("held_out", held_out, 0.3)
    chosen = drawn_per_class(targets, held_out, fewest_left=1, seed=seed)
    if len(chosen) == 0:
        raise EmptyInputError(
            "`labels` has one row per class, so none can be held out; give at least 2 rows of a class."
        )
    return chosen


def _scaled(embeddings: npt.ArrayLike) -> FloatMatrix:
    """Unit rows times sqrt(full_dim), float32: coordinates of size 1, for which one learning rate fits every model."""
    rows = normalize(check_embeddings(embeddings))
    return np.asarray(rows * np.sqrt(rows.shape[1]), dtype=np.float32)
