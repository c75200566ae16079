"""Classes told apart by few examples, many for some and one for most, and classes added after the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mrl_viz.data.corpus import HELD_OUT, SPLIT, Corpus
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import InvalidInputError, ShapeError
from mrl_viz.measures.estimate import Estimate, bootstrap
from mrl_viz.measures.lists import nearest_level
from mrl_viz.result import Result
from mrl_viz.sweep.machine import single_threaded_blas
from mrl_viz.tasks.classes import (
    MOST_CLASSES,
    Classes,
    check_codes,
    classes_from_labels,
    sample_of_classes,
    some_classes,
)
from mrl_viz.tasks.curves import MetricCurve, mean_curve
from mrl_viz.truncation import (
    FloatMatrix,
    Floats,
    Ints,
    Progress,
    check_count,
    check_dims,
    check_embeddings,
    normalize,
)

By = Literal["mean", "example"]
HEAD, TAIL, NOVEL = "head", "tail", "novel"
# Examples of the largest class, falling as one over its rank (Zipf); no more than there are classes, so that some class
# has one alone.
MOST_SHOTS = 12
# How many of the largest classes are the head.
N_HEAD = 3
# One class in five is added later, with so many examples.
NOVEL_SHARE, NOVEL_SHOTS = 5, 3
# The mean over this many draws of ranks and examples moves by a hundredth or two from seed to seed.
TAIL_DRAWS = 100
# Every text is classified in every draw: of more a seeded sample is used.
MOST_TAIL_ITEMS = 5000
# With so many, one of them added later, the others give 4, 2, 1 and 1 examples: the shortest tail there is.
FEWEST_CLASSES = 5
GROUP_NAMES = {HEAD: "the head", TAIL: "the tail", NOVEL: "the added classes"}


@dataclass(frozen=True)
class LongTail(Result):
    """Accuracy by few examples in the head, the tail and in classes added later, at every width, the full one last.

    `column` : the label. `by` : the nearest class mean, or the nearest example. `shots` : examples of the classes that
    were there from the beginning, the largest first; the first `n_head` are the head, those with one the tail.
    `n_novel` classes are added after them, with `novel_shots` each. `n_draws` : of ranks and examples.
    `curves` : HEAD, TAIL and NOVEL to their curves, over the texts that were classified in that group. `cost` : HEAD
    and TAIL to what the added classes change in their accuracy. `twin` : the model compared with, "" for none; `gain` :
    each group to the accuracy minus the twin's. `things` : what was classified, in a word. 95 % bootstrap intervals
    over texts, paired.
    """

    column: str
    by: By
    dims: tuple[int, ...]
    shots: tuple[int, ...]
    n_head: int
    n_novel: int
    novel_shots: int
    n_draws: int
    curves: Mapping[str, MetricCurve]
    cost: Mapping[str, tuple[Estimate, ...]]
    twin: str
    gain: Mapping[str, tuple[Estimate, ...]]
    things: str
    notes: tuple[str, ...]

    def group_names(self) -> dict[str, str]:
        """What each group is, in a few words."""
        most, least = self.shots[0], self.shots[self.n_head - 1]
        examples = f"{most} examples" if most == least else f"{most} to {least} examples"
        return {
            HEAD: f"head: {examples}", TAIL: "tail: 1 example",
            NOVEL: f"added later: {self.novel_shots} examples",
        }  # fmt: skip

    def rows(self) -> list[dict[str, Any]]:
        """One record per group and width."""
        return [
            {"group": group} | row | _named("change by added classes", self.cost.get(group), level)
            | _named("minus twin", self.gain.get(group), level)
            for group, curve in self.curves.items()
            for level, row in enumerate(curve.rows())
        ]  # fmt: skip

    def takeaway(self) -> str:
        return self.takeaway_at(self.dims[nearest_level(self.dims, self.dims[-1] / 4)])

    def takeaway_at(self, dim: int) -> str:
        """The accuracy of the groups at one width, what the added classes cost, and the twin, in a sentence each."""
        level = self.dims.index(dim)
        head, tail, novel = (self.curves[group].value[level].value for group in (HEAD, TAIL, NOVEL))
        added = "the class" if self.n_novel == 1 else f"the {self.n_novel}"
        said = (
            f"At {dim} dims {head:.0%} of {self.things} of the {self.n_head} largest classes are named right, "
            f"{tail:.0%} of those of classes with one example, and {novel:.0%} of those of {added} added later."
        )
        worst = min((HEAD, TAIL), key=lambda group: self.cost[group][level].value)
        said += f" The addition changes the {worst}'s accuracy by {self.cost[worst][level]:+.3f}."
        return f"{said} {self._against_twin(level)}" if self.twin else said

    def _against_twin(self, level: int) -> str:
        better = [GROUP_NAMES[group] for group, gain in self.gain.items() if gain[level].low > 0]
        worse = [GROUP_NAMES[group] for group, gain in self.gain.items() if gain[level].high < 0]
        found = [
            f"{what} in {'every group' if len(groups) == len(GROUP_NAMES) else ' and '.join(groups)}"
            for what, groups in (("better", better), ("worse", worse))
            if groups
        ]
        said = " and ".join(found) or "not surely different in any group"
        return f"Against its plain twin it is {said}, in the tail by {self.gain[TAIL][level]:+.3f}."


def _named(name: str, estimates: Sequence[Estimate] | None, level: int) -> dict[str, float | None]:
    found = None if estimates is None else estimates[level]
    ends = (None, None, None) if found is None else (found.value, found.low, found.high)
    return dict(zip((name, f"{name} low", f"{name} high"), ends))


def zipf_shots(n_classes: int, most: int = MOST_SHOTS) -> tuple[int, ...]:
    """Examples of each class by its rank, the largest first: `most` over the rank, rounded, at least one.

    Source: Zipf 1949, exponent 1; a long tail of classes as in Wallingford et al. 2020, arXiv:2007.02519 (FLUID).
    """
    check_count("n_classes", n_classes)
    check_count("most", most)
    return tuple(int(n) for n in np.maximum(1, np.rint(most / (1 + np.arange(n_classes)))))


def long_tail_values(
    embeddings: npt.ArrayLike,
    codes: Ints,
    *,
    dims: Sequence[int],
    shots: Sequence[int],
    n_novel: int = 0,
    novel_shots: int = NOVEL_SHOTS,
    by: By = "mean",
    n_draws: int = TAIL_DRAWS,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """How often each item goes to its class while it is in the head, in the tail, or in a class added later.

    In each draw the classes are ranked at random and give as many random examples as their rank has, a class always
    leaving one text to classify. The last ranks are added later. The other texts go to the class of the nearest mean of
    examples, or of the nearest example, by cosine. Nothing is fitted, so nothing is fitted again.

    Parameters
    ----------
    embeddings : array_like of shape (n_items, full_dim)
    codes : int64 of shape (n_items,), classes 0..n_classes - 1, each with two members or more
    dims : widths in 1..full_dim
    shots : examples by rank of the classes that are there from the beginning, descending, the last with one
    n_novel, novel_shots : classes added later, and their examples; len(shots) + n_novel classes in all
    by : "mean" or "example"
    n_draws, seed : of ranks and examples
    progress : called with (widths done, widths in all)

    Returns
    -------
    after, before : HEAD, TAIL, NOVEL to an ndarray of shape (n_dims, n_items), in [0, 1], the mean over the draws in
        which an item of the group was no example, NaN where there was none; among all classes, and among those there
        before others were added

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError : unusable arrays or widths.
    InvalidInputError : another number of classes, a class of one, or no draws.

    Source: Snell, Swersky & Zemel 2017, arXiv:1703.05175 (means); nearest means for a long tail and for new classes as
    in Kusupati et al. 2022, arXiv:2205.13147, section 5 (FLUID), here with renormalised prefixes.
    """
    array = check_embeddings(embeddings)
    dims = check_dims(dims, array.shape[1])
    check_codes(codes, len(array))
    check_count("n_draws", n_draws)
    members = [np.flatnonzero(codes == code) for code in range(int(codes.max()) + 1)]
    if len(members) != len(shots) + n_novel or min(map(len, members)) < 2:
        raise InvalidInputError(
            f"`codes` has {len(members)} classes, the smallest with {min(map(len, members))} members, for "
            f"{len(shots)} ranks and {n_novel} added later; give as many, of two members or more."
        )
    draws = _drawn(members, np.array([*shots, *[novel_shots] * n_novel]), n_draws, seed)
    n_head = head_size(shots)
    group_of_rank = np.array([*np.where(np.array(shots) == 1, 1, -1), *[2] * n_novel])
    group_of_rank[:n_head] = 0
    right = np.zeros((2, 3, len(dims), len(array)))
    times = np.zeros((3, len(array)))
    items = np.arange(len(array))
    for level, dim in enumerate(dims):
        unit = normalize(array[:, :dim])
        for ranks, examples in draws:
            known, owner = _known(unit, examples, by)
            cosines = unit @ known.T
            is_new = ranks[owner] >= len(shots)
            group = group_of_rank[ranks][codes]
            is_tested = group >= 0
            is_tested[np.concatenate(examples)] = False
            rows = items[is_tested]
            if level == 0:
                times[group[rows], rows] += 1
            right[0, group[rows], level, rows] += owner[cosines[rows].argmax(axis=1)] == codes[rows]
            if n_novel:
                cosines[:, is_new] = -np.inf
                right[1, group[rows], level, rows] += owner[cosines[rows].argmax(axis=1)] == codes[rows]
        if progress is not None:
            progress(level + 1, len(dims))
    with np.errstate(invalid="ignore"):
        after, before = right / times[:, None]
    groups = (HEAD, TAIL, NOVEL)
    return dict(zip(groups, after)), dict(zip(groups[:2], before if n_novel else after))


def head_size(shots: Sequence[int]) -> int:
    """How many of the ranks are the head: the first three, without those that have one example."""
    return max(1, min(N_HEAD, sum(n > 1 for n in shots)))


def _drawn(members: Sequence[Ints], shots: Ints, n_draws: int, seed: int) -> list[tuple[Ints, list[Ints]]]:
    """Of each draw the rank of every class, and its examples."""
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(n_draws):
        ranks = rng.permutation(len(members))
        sizes = (min(n, len(group) - 1) for n, group in zip(shots[ranks], members))
        drawn.append((ranks, [rng.choice(group, n, replace=False) for n, group in zip(sizes, members)]))
    return drawn


def _known(unit: FloatMatrix, examples: Sequence[Ints], by: By) -> tuple[FloatMatrix, Ints]:
    """The vectors that texts are compared with, and the class of each."""
    if by == "mean":
        return normalize(np.stack([unit[rows].mean(axis=0) for rows in examples])), np.arange(len(examples))
    return unit[np.concatenate(examples)], np.repeat(np.arange(len(examples)), [len(rows) for rows in examples])


def has_long_tail(corpus: Corpus) -> bool:
    """Whether a label has enough classes: one for the head, one for the tail, one to add."""
    return bool(tail_columns(corpus))


def tail_columns(corpus: Corpus) -> tuple[str, ...]:
    """The labels with five classes or more of two texts each, those with the most classes first."""
    counts = {name: _n_classes(corpus, name) for name in corpus.class_columns}
    return tuple(sorted((name for name in counts if counts[name] >= FEWEST_CLASSES), key=lambda name: -counts[name]))


def _n_classes(corpus: Corpus, column: str) -> int:
    """How many classes have two texts or more."""
    return sum(n >= 2 for label, n in Counter(_labels(corpus, column)).items() if label is not None)


def _labels(corpus: Corpus, column: str) -> tuple[str | None, ...]:
    """The labels of the texts that may be judged: where it is known, only of those that the vectors have not seen."""
    labels = corpus.labels[column]
    split = corpus.labels.get(SPLIT, ())
    if HELD_OUT not in split:
        return labels
    return tuple(label if side == HELD_OUT else None for label, side in zip(labels, split))


def long_tail(
    embedded: Embedded,
    *,
    dims: Iterable[int],
    column: str | None = None,
    by: By = "mean",
    twin: Embedded | None = None,
    n_draws: int = TAIL_DRAWS,
    seed: int = 0,
    progress: Progress | None = None,
) -> LongTail:
    """Few-shot accuracy with a long tail of classes, one in five of them added after the others, at every width.

    Parameters
    ----------
    embedded : of a corpus with labels; where `split` tells which texts were held out, only those are used
    dims : widths in 1..full_dim; the full width is added
    column : the label; None takes that with the most classes
    by : what a text goes to: the nearest "mean" of a class' examples, or the nearest "example"
    twin : a plain model's vectors of the same texts, to be compared with draw by draw
    n_draws, seed : of ranks and examples; the seed is the bootstrap's too
    progress : called with (widths done, widths in all)

    Raises
    ------
    InvalidInputError : no such label, or none with five classes of two texts. ShapeError : a twin of other texts, or
    of another width.
    """
    corpus = embedded.corpus
    checked = check_dims((*dims, embedded.full_dim), embedded.full_dim)
    if twin is not None and twin.matrix.shape != embedded.matrix.shape:
        raise ShapeError(
            f"`twin` has vectors of shape {twin.matrix.shape} and the model {embedded.matrix.shape}; give the same "
            "texts by a model of the same width."
        )
    classes, column, notes = _classes(corpus, column, seed)
    n_classes = len(classes.names)
    n_novel = max(1, n_classes // NOVEL_SHARE)
    shots = zipf_shots(n_classes - n_novel, min(MOST_SHOTS, n_classes - n_novel))
    smallest = int(np.bincount(classes.codes).min())
    if smallest <= max(shots[0], NOVEL_SHOTS):
        notes.append(
            f"`{column}`: its smallest class has {smallest} {corpus.things}; a class gives all but one where "
            "its rank asks for more."
        )

    def values(model: Embedded, told: Progress | None) -> tuple[dict[str, Floats], dict[str, Floats]]:
        return long_tail_values(
            model.matrix[classes.rows], classes.codes, dims=checked, shots=shots, n_novel=n_novel, by=by,
            n_draws=n_draws, seed=seed, progress=told,
        )  # fmt: skip

    n_models = 1 if twin is None else 2

    def told_of(place: int) -> Progress | None:
        if progress is None:
            return None
        return lambda done, total: progress(place * total + done, n_models * total)

    with single_threaded_blas():
        after, before = values(embedded, told_of(0))
        others = None if twin is None else values(twin, told_of(1))[0]
    tested = {group: ~np.isnan(after[group][0]) for group in after}
    if unseen := [group for group, is_tested in tested.items() if not is_tested.any()]:
        raise InvalidInputError(
            f"`{column}` leaves no text to classify in {' and '.join(unseen)}; give more texts a class, or more draws."
        )
    curves = {
        group: mean_curve(f"{group} accuracy", checked, values[:, tested[group]], seed=seed)
        for group, values in after.items()
    }
    cost = {group: bootstrap((after[group] - before[group])[:, tested[group]], seed=seed) for group in (HEAD, TAIL)}
    gain = {} if others is None else {
        group: bootstrap((after[group] - others[group])[:, tested[group]], seed=seed) for group in after
    }  # fmt: skip
    return LongTail(
        column, by, checked, shots, head_size(shots), n_novel, NOVEL_SHOTS, n_draws, curves, cost,
        "" if twin is None else name_of(twin), gain, corpus.things, tuple(notes),
    )  # fmt: skip


def name_of(embedded: Embedded) -> str:
    """What tells vectors of the same texts apart: the data where they came ready, else the model."""
    return embedded.corpus.name if embedded.corpus.embeddings is not None else embedded.model


def _classes(corpus: Corpus, column: str | None, seed: int) -> tuple[Classes, str, list[str]]:
    """The classes that are drawn from, their label, and notes on what is left out."""
    if column is not None and column not in corpus.labels:
        raise InvalidInputError(f"`{corpus.name}` has no label column {column!r}; choose one of {list(corpus.labels)}.")
    able = tail_columns(corpus) if column is None else (column,)
    if not able or _n_classes(corpus, able[0]) < FEWEST_CLASSES:
        raise InvalidInputError(
            f"`{corpus.name}` has no label {f'`{column}` ' if column else ''}with five classes of two texts each; a "
            "long tail needs some for its head, its tail and to add."
        )
    column, notes = able[0], []
    labels = _labels(corpus, column)
    if labels is not corpus.labels[column]:
        n_used = sum(label is not None for label in labels)
        notes.append(f"Only the {n_used:,} {corpus.things} held out from the training of these vectors are used.")
    found = classes_from_labels(labels, column)
    if found.n_single:
        notes.append(f"`{column}`: {found.n_single:,} {corpus.things} alone in their class are left out.")
    n_classes = len(found.names)
    if n_classes <= MOST_CLASSES and len(found.rows) <= MOST_TAIL_ITEMS:
        return found, column, notes
    kept, _ = some_classes(found.codes, seed)
    kept = kept[sample_of_classes(found.codes[kept], MOST_TAIL_ITEMS, seed)]
    used, codes = np.unique(found.codes[kept], return_inverse=True)
    if len(used) < FEWEST_CLASSES:
        raise InvalidInputError(f"`{column}`: a sample of {MOST_TAIL_ITEMS:,} texts has no five classes of two texts.")
    notes.append(
        f"`{column}`: a seeded sample of {len(used):,} of {n_classes:,} classes is used, {len(kept):,} {corpus.things}."
    )
    names = tuple(found.names[code] for code in used)
    return Classes(names, found.rows[kept], codes.astype(np.int64), 0, 0), column, notes
