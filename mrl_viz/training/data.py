"""What training learns from: texts with labels, pairs and triplets, or pairs with scores, part of them held out."""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from mrl_viz.data.corpus import LANGUAGE
from mrl_viz.errors import DataFormatError, EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.result import Result
from mrl_viz.tasks.languages import pair_rows
from mrl_viz.tasks.pairs import FEWEST_PAIRS, check_scores

if TYPE_CHECKING:
    from mrl_viz.data.corpus import Corpus

Kind = Literal["labels", "pairs", "scored"]
Split = Literal["texts", "classes"]
Source = Literal["labels", "relevance", "scores", "pairs"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SOURCES: tuple[Source, ...] = get_args(Source)
# Enough held-out texts for intervals that tell two models apart, from a few hundred texts in all.
HELD_OUT_SHARE = 0.4
# A class gives two texts to train on, the fewest that make a pair, and one to be held out.
FEWEST_OF_CLASS = 3
# Of scored sentence pairs those in the upper fifth of the scale mean the same.
SAME_MEANING_SHARE = 0.8

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TrainingData(Result):
    """Texts, which of them are trained on, and which are held out for the comparison.

    `kind` : "labels" (two texts with one label are a pair), "pairs", or "scored" (pairs, each with its score).
    `texts` : each once. `train`, `held_out` : rows of `texts`: (text,) with labels, (left, right) of scored pairs, else
    (anchor, positive) or (anchor, positive, negative). No text of a held-out pair is trained on.
    `labels` : one per text, empty for pairs. `scores` : of scored pairs, those trained on and then those held out.
    `notes` : what was left out and why.
    """

    name: str
    kind: Kind
    texts: tuple[str, ...]
    train: tuple[tuple[int, ...], ...]
    held_out: tuple[tuple[int, ...], ...]
    labels: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    has_unseen_classes: bool = False
    notes: tuple[str, ...] = ()

    @cached_property
    def score_of(self) -> Mapping[tuple[int, ...], float]:
        """The score of each scored pair, trained on or held out."""
        return dict(zip((*self.train, *self.held_out), self.scores))

    @property
    def n_columns(self) -> int:
        """Texts that belong together in one training example: 2, or 3 with a negative."""
        return 2 if self.kind == "labels" else len(self.train[0])

    def batch_examples(self, batch_size: int) -> int:
        """Examples in a batch: at most one of each class, since a second would be a wrong answer to the first."""
        return (
            batch_size if self.kind != "labels" else min(batch_size, len({self.labels[row] for (row,) in self.train}))
        )

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> TrainingData:
        """What `to_dict` wrote, also after a trip through JSON.

        Raises
        ------
        DataFormatError : fields are missing or not what they should be.
        """
        try:
            train, held_out = (tuple(tuple(map(int, row)) for row in fields[key]) for key in ("train", "held_out"))
            columns = {name: tuple(map(str, fields[name])) for name in ("texts", "labels", "notes")}
            data = cls(
                name=str(fields["name"]),
                kind=fields["kind"],
                train=train,
                held_out=held_out,
                scores=tuple(map(float, fields.get("scores", ()))),
                has_unseen_classes=bool(fields["has_unseen_classes"]),
                **columns,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataFormatError(f"`data` is no saved training data ({error}); prepare it again.") from error
        rows = [row for example in (*train, *held_out) for row in example]
        n_scores = len(train) + len(held_out) if data.kind == "scored" else 0
        if (
            data.kind not in KINDS
            or not train
            or len(data.scores) != n_scores
            or not all(0 <= row < len(data.texts) for row in rows)
        ):
            raise DataFormatError("`data` names texts that it does not hold; prepare it again.")
        return data

    def takeaway(self) -> str:
        """One sentence: how much there is to train on and to compare with."""
        n_train, n_held_out = len(self.train), len(self.held_out)
        if self.kind != "labels":
            what = "scored pairs" if self.kind == "scored" else "triplets" if self.n_columns == 3 else "pairs"
            return f"{n_train} {what} to train on and {n_held_out} held out, none of whose texts are trained on."
        n_classes = len({self.labels[row] for (row,) in self.train})
        which = "other" if self.has_unseen_classes else "the same"
        return f"{n_train} texts of {n_classes} classes to train on and {n_held_out} of {which} classes held out."


def labelled_data(
    texts: Sequence[str],
    labels: Sequence[str | None],
    *,
    name: str = "texts",
    split: Split = "texts",
    held_out_share: float = HELD_OUT_SHARE,
    seed: int = 0,
) -> TrainingData:
    """Training data in which two texts with one label are a pair.

    Parameters
    ----------
    texts, labels : one label per text, None for none; a text that comes again is left out
    split : "texts" holds out texts of every class, "classes" holds out whole classes, which is the harder test
    held_out_share : in (0, 1)
    seed : of the split

    Raises
    ------
    ShapeError : another number of labels than texts. InvalidInputError : fewer than two classes of three texts, or
        four for "classes"; an unknown split, or a share outside (0, 1).
    """
    if len(labels) != len(texts):
        raise ShapeError(f"`labels` has {len(labels)} values for {len(texts)} texts; give one each.")
    check_share("held_out_share", held_out_share, HELD_OUT_SHARE)
    if split not in ("texts", "classes"):
        raise InvalidInputError(f"`split` is {split!r}; choose 'texts' or 'classes'.")
    first = {text: str(label) for text, label in reversed(list(zip(texts, labels))) if label is not None}
    counts = Counter(first.values())
    kept = {
        text: first[text] for text in dict.fromkeys(texts) if text in first and counts[first[text]] >= FEWEST_OF_CLASS
    }
    classes = sorted(set(kept.values()))
    fewest = 2 if split == "texts" else 4
    if len(classes) < fewest:
        raise InvalidInputError(
            f"`labels` has {len(counts)} classes, {len(classes)} of them with {FEWEST_OF_CLASS} different texts or "
            f"more; training needs {fewest} such classes, so add texts of others or choose another column."
        )
    numbers = {label: number for number, label in enumerate(classes)}
    codes = np.array([numbers[label] for label in kept.values()])
    if split == "classes":
        n_held_out = min(max(round(len(classes) * held_out_share), 2), len(classes) - 2)
        chosen = np.random.default_rng(seed).permutation(len(classes))[:n_held_out]
        held_out = np.flatnonzero(np.isin(codes, chosen))
    else:
        held_out = drawn_per_class(codes, held_out_share, fewest_left=FEWEST_OF_CLASS - 1, seed=seed)
    train = np.setdiff1d(np.arange(len(codes)), held_out)
    n_left_out = len(texts) - len(kept)
    notes = (f"{n_left_out} texts repeat another, have no label, or are one of too few with it; they are left out.",)
    return TrainingData(
        name=name,
        kind="labels",
        texts=tuple(kept),
        labels=tuple(kept.values()),
        has_unseen_classes=split == "classes",
        train=tuple((row,) for row in train.tolist()),
        held_out=tuple((row,) for row in held_out.tolist()),
        notes=notes if n_left_out else (),
    )


def paired_data(
    anchors: Sequence[str],
    positives: Sequence[str],
    negatives: Sequence[str] | None = None,
    *,
    name: str = "pairs",
    held_out_share: float = HELD_OUT_SHARE,
    seed: int = 0,
) -> TrainingData:
    """Training data of pairs, or of triplets: an anchor, a text that belongs to it, and one that does not.

    Pairs that share a text stay on one side of the split.

    Raises
    ------
    EmptyInputError : no pairs. ShapeError : columns of different lengths.
    InvalidInputError : the texts hang together so that nothing can be held out, or a share outside (0, 1).
    """
    check_share("held_out_share", held_out_share, HELD_OUT_SHARE)
    columns = [anchors, positives] if negatives is None else [anchors, positives, negatives]
    if len({len(column) for column in columns}) > 1:
        raise ShapeError(
            f"`anchors`, `positives` and `negatives` have {[len(c) for c in columns]} texts; give equally many."
        )
    whole = [row for row in zip(*columns) if all(text.strip() for text in row) and len(set(row)) == len(row)]
    if not whole:
        raise EmptyInputError(f"`{name}` has no pairs of two different texts; give at least two.")
    rows = {text: number for number, text in enumerate(dict.fromkeys(text for row in whole for text in row))}
    examples = list(dict.fromkeys(tuple(rows[text] for text in row) for row in whole))
    links = [(example[0], other) for example in examples for other in example[1:]]
    group_of = _hanging_together(links, len(rows))
    held_out = _drawn_groups(name, examples, [group_of[example[0]] for example in examples], held_out_share, seed)
    chosen = set(held_out)
    n_left_out = len(anchors) - len(examples)
    notes = (f"{n_left_out} pairs repeat another, have an empty text, or twice the same one; they are left out.",)
    return TrainingData(
        name=name,
        kind="pairs",
        texts=tuple(rows),
        train=tuple(example for example in examples if example not in chosen),
        held_out=tuple(example for example in examples if example in chosen),
        notes=notes if n_left_out else (),
    )


def scored_data(
    lefts: Sequence[str],
    rights: Sequence[str],
    scores: Sequence[float],
    *,
    groups: Sequence[str] | None = None,
    name: str = "pairs",
    held_out_share: float = HELD_OUT_SHARE,
    seed: int = 0,
) -> TrainingData:
    """Training data of pairs with a score each, the higher the more alike.

    Pairs that share a text, or are of one group, stay on one side of the split.

    Parameters
    ----------
    lefts, rights, scores : one each per pair
    groups : of each pair, such as the id that its translations have as well; "" for a pair of its own
    held_out_share, seed : of the split

    Raises
    ------
    ShapeError : columns of different lengths. EmptyInputError : too few pairs to train on some and correlate others.
    InvalidInputError : scores that are all equal or not finite, on either side of the split; the texts hang together so
        that nothing can be held out; a share outside (0, 1).
    """
    check_share("held_out_share", held_out_share, HELD_OUT_SHARE)
    ids = [""] * len(lefts) if groups is None else groups
    if len({len(column) for column in (lefts, rights, scores, ids)}) > 1:
        raise ShapeError(
            f"`lefts`, `rights`, `scores` and `groups` have {[len(c) for c in (lefts, rights, scores, ids)]} values; "
            "give equally many."
        )
    check_scores(scores)
    kept: dict[tuple[str, str], tuple[float, str]] = {}
    for left, right, score, group in zip(lefts, rights, scores, ids):
        if left.strip() and right.strip() and left != right and (right, left) not in kept:
            kept.setdefault((left, right), (float(score), group))
    rows = {text: number for number, text in enumerate(dict.fromkeys(text for pair in kept for text in pair))}
    examples = [(rows[left], rows[right]) for left, right in kept]
    score_of = dict(zip(examples, (score for score, _ in kept.values())))
    # A group is one more thing that pairs share, as a text is.
    named = {group: len(rows) + n for n, group in enumerate(dict.fromkeys(group for _, group in kept.values()))}
    links = [*examples, *((left, named[group]) for (left, _), (_, group) in zip(examples, kept.values()) if group)]
    group_of = _hanging_together(links, len(rows) + len(named))
    chosen = set(_drawn_groups(name, examples, [group_of[left] for left, _ in examples], held_out_share, seed))
    train, held_out = (tuple(one for one in examples if (one in chosen) == is_out) for is_out in (False, True))
    for side, what in ((train, "to train on"), (held_out, "held out")):
        values = {score_of[one] for one in side}
        if len(side) < FEWEST_PAIRS or len(values) == 1:
            raise InvalidInputError(
                f"`{name}` has {len(side)} scored pairs {what} with {len(values)} different scores; "
                f"{FEWEST_PAIRS} pairs with 2 are needed, so add pairs."
            )
    n_left_out = len(lefts) - len(examples)
    notes = (f"{n_left_out} pairs repeat another, have an empty text, or twice the same one; they are left out.",)
    return TrainingData(
        name=name,
        kind="scored",
        texts=tuple(rows),
        train=train,
        held_out=held_out,
        scores=tuple(score_of[one] for one in (*train, *held_out)),
        notes=notes if n_left_out else (),
    )


def _hanging_together(links: Sequence[tuple[int, int]], n_nodes: int) -> Rows:
    """The group of each of `n_nodes`: those that links lead from one to the other."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    shared = coo_array((np.ones(len(links)), tuple(np.array(links).T)), shape=(n_nodes, n_nodes))
    return np.asarray(connected_components(shared, directed=False)[1], dtype=np.int64)


def _drawn_groups(
    name: str, examples: Sequence[tuple[int, ...]], group_of: Sequence[int], share: float, seed: int
) -> list[tuple[int, ...]]:
    """The examples to be held out: whole groups, a seeded share at most.

    Raises
    ------
    InvalidInputError : fewer than two, or all of them.
    """
    groups: defaultdict[int, list[tuple[int, ...]]] = defaultdict(list)
    for example, group in zip(examples, group_of):
        groups[group].append(example)
    members = list(groups.values())
    held_out: list[tuple[int, ...]] = []
    most = math.ceil(len(examples) * share)
    for number in np.random.default_rng(seed).permutation(len(members)):
        if len(held_out) + len(members[number]) <= most:
            held_out += members[number]
    if len(held_out) < 2 or len(held_out) == len(examples):
        raise InvalidInputError(
            f"`{name}` has {len(examples)} pairs in {len(members)} groups without a common text, so none can be held "
            "out; add pairs."
        )
    return held_out


def training_data(
    corpus: Corpus,
    *,
    source: Source | None = None,
    label_column: str | None = None,
    language: str | None = None,
    split: Split = "texts",
    held_out_share: float = HELD_OUT_SHARE,
    seed: int = 0,
) -> TrainingData:
    """Training data from what came with a corpus.

    Parameters
    ----------
    corpus : with labels, relevance judgements or scored pairs
    source : "labels", "relevance" (each query with its texts of the best grade), "scores" (all scored pairs, to agree
        with their scores) or "pairs" (those scored in the upper fifth, which mean the same); None takes the first that
        there is
    label_column : of the labels, None for the first
    language : of scored pairs in several languages, None for all of them
    split, held_out_share, seed : see `labelled_data`; pairs are always split by text, and translations stay together

    Raises
    ------
    EmptyInputError : nothing to train on. InvalidInputError : a source, column or language that is not there, ready
        vectors, or pairs in all languages without the ids that tell translations.
    """
    if corpus.embeddings is not None:
        raise InvalidInputError(
            f"`{corpus.name}` holds ready vectors, which no text model can be trained on; give texts."
        )
    there = available_sources(corpus)
    chosen = source or next(iter(there), None)
    if chosen is None:
        raise EmptyInputError(
            f"`{corpus.name}` has no labels, judgements or pairs to train on; give a label column or pairs."
        )
    if chosen not in there:
        raise InvalidInputError(f"`source` is {source!r} but `{corpus.name}` has {[*there]}; choose one.")
    if chosen == "labels":
        column = label_column or next(iter(corpus.labels))
        if column not in corpus.labels:
            raise InvalidInputError(f"`label_column` is {label_column!r}; choose one of {list(corpus.labels)}.")
        name, labels = f"{corpus.name}, {column}", corpus.labels[column]
        return labelled_data(corpus.texts, labels, name=name, split=split, held_out_share=held_out_share, seed=seed)
    if chosen == "scores":
        return _scored_of(corpus, language, held_out_share, seed)
    if chosen == "pairs":
        enough = SAME_MEANING_SHARE * max(score for _, _, score in corpus.pairs)
        found = [(corpus.texts[i], corpus.texts[j]) for i, j, score in corpus.pairs if score >= enough]
    else:
        documents, queries = dict(zip(corpus.ids, corpus.texts)), dict(zip(corpus.query_ids, corpus.query_texts))
        found = [
            (queries[query], documents[document])
            for query, grades in corpus.qrels.items()
            for document, grade in grades.items()
            if grade > 0 and grade == max(grades.values())
        ]
    lefts, rights = [left for left, _ in found], [right for _, right in found]
    return paired_data(lefts, rights, name=corpus.name, held_out_share=held_out_share, seed=seed)


def available_sources(corpus: Corpus) -> tuple[Source, ...]:
    """What a corpus can be trained by, in the order of SOURCES; of its labels, one language a text is none."""
    labels = set(corpus.labels) - ({LANGUAGE} if corpus.pairs else set())
    there = {"labels": labels, "relevance": corpus.qrels, "scores": corpus.pairs, "pairs": corpus.pairs}
    return tuple(source for source in SOURCES if there[source])


def _scored_of(corpus: Corpus, language: str | None, held_out_share: float, seed: int) -> TrainingData:
    spoken = pair_rows(corpus)
    if language is not None and language not in spoken:
        raise InvalidInputError(f"`language` is {language!r}; choose one of {', '.join(spoken) or 'none'}.")
    are_translations = language is None and len(spoken) > 1
    if are_translations and not (corpus.pair_ids and all(corpus.pair_ids)):
        n_without = corpus.pair_ids.count("") if corpus.pair_ids else len(corpus.pairs)
        raise InvalidInputError(
            f"`{corpus.name}` has pairs in {len(spoken)} languages, {n_without} of them without an id that tells "
            "translations, so one could be trained on and the other held out; give all of them ids, or choose one "
            "language."
        )
    rows = range(len(corpus.pairs)) if language is None else spoken[language]
    lefts, rights, scores = zip(*(corpus.pairs[row] for row in rows))
    return scored_data(
        [corpus.texts[row] for row in lefts],
        [corpus.texts[row] for row in rights],
        scores,
        groups=[corpus.pair_ids[row] for row in rows] if are_translations else None,
        name=corpus.name if language is None else f"{corpus.name}, {language}",
        held_out_share=held_out_share,
        seed=seed,
    )


def check_batch(data: TrainingData, batch_size: int) -> None:
    """Raise unless the data fill a batch.

    Raises
    ------
    InvalidInputError : `batch_size` below 2. EmptyInputError : fewer training examples than a batch, or no two that can
        stand in one.
    """
    if batch_size < 2:
        raise InvalidInputError(
            f"`batch_size` is {batch_size}; the other examples of a batch are what to tell apart, so choose 2 or more."
        )
    if (n_train := len(data.train)) < batch_size:
        what = "texts" if data.kind == "labels" else "pairs"
        raise EmptyInputError(
            f"`batch_size` is {batch_size} but {n_train} {what} are trained on; choose a smaller one or add {what}."
        )
    if next(epoch_batches(data, batch_size, seed=0, epoch=0), None) is None:
        raise EmptyInputError(
            f"`{data.name}` has no two training pairs without a common text, so none can be told from another; add "
            "pairs."
        )


def epoch_batches(data: TrainingData, batch_size: int, *, seed: int, epoch: int) -> Iterator[tuple[Rows, ...]]:
    """The batches of one epoch, each as one array of rows per column; they depend on seed and epoch only.

    With labels a batch has one pair of each of its classes, all classes equally often; so many batches make an epoch as
    it takes to draw as many anchors as there are texts. With pairs every example comes once, and no text twice in a
    batch, where it would be a wrong answer; scored pairs come once each, in any company.
    """
    rng = np.random.default_rng((seed, epoch))
    if data.kind == "labels":
        members: defaultdict[str, list[int]] = defaultdict(list)
        for (row,) in data.train:
            members[data.labels[row]].append(row)
        groups = [np.array(rows) for rows in members.values()]
        size = data.batch_examples(batch_size)
        for _ in range(math.ceil(len(data.train) / size)):
            pairs = [rng.choice(groups[number], 2, replace=False) for number in rng.permutation(len(groups))[:size]]
            yield tuple(np.array(pairs).T)
        return
    if data.kind == "scored":
        order = rng.permutation(np.array(data.train))
        batches = (order[start : start + batch_size] for start in range(0, len(order), batch_size))
        yield from (tuple(batch.T) for batch in batches if len(batch) > 1)
        return
    waiting = deque(rng.permutation(np.array(data.train)).tolist())
    while waiting:
        batch: list[list[int]] = []
        used: set[int] = set()
        later: list[list[int]] = []
        while waiting and len(batch) < batch_size:
            example = waiting.popleft()
            if used.isdisjoint(example):
                batch.append(example)
                used.update(example)
            else:
                later.append(example)
        waiting.extendleft(reversed(later))
        if len(batch) > 1:  # one example alone has nothing to be told apart from
            yield tuple(np.array(batch).T)


def check_share(name: str, share: float, usual: float) -> None:
    """Raise InvalidInputError unless the share is in (0, 1)."""
    if not 0 < share < 1:
        raise InvalidInputError(f"`{name}` is {share}; choose a share above 0 and below 1, such as {usual}.")


def drawn_per_class(codes: Rows, share: float, *, fewest_left: int, seed: int) -> Rows:
    """Ascending rows: a seeded share of every class, at least one, but never so many that fewer than some are left."""
    rng = np.random.default_rng(seed)
    drawn = []
    for code in np.unique(codes):
        members = rng.permutation(np.flatnonzero(codes == code))
        drawn.append(members[: min(max(round(len(members) * share), 1), len(members) - fewest_left)])
    return np.sort(np.concatenate(drawn))
