"""What changed texts leave of a model at every width: typing errors, dropped words, paraphrases, foreign texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import numpy as np

from mrl_viz.data.corpus import LANGUAGE, Corpus
from mrl_viz.embedding.embedded import Embedded, embed_texts
from mrl_viz.embedding.encoders import Kind, Model
from mrl_viz.errors import EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.measures.estimate import Estimate, bootstrap, share_difference, share_of_means
from mrl_viz.measures.lists import knn_correct, nearest_level, neighbor_lists
from mrl_viz.result import Result
from mrl_viz.sweep import pair_similarities
from mrl_viz.tasks.long_tail import name_of
from mrl_viz.tasks.pairs import spearman_values
from mrl_viz.tasks.task import Task, available_tasks, find_task, sample_rows
from mrl_viz.truncation import FloatMatrix, Floats, Ints, Progress, check_count, check_dims

Change = Literal["typos", "dropped words", "paraphrases", "another domain"]
CHANGES: tuple[Change, ...] = get_args(Change)
# Of words of four letters or more, two neighboring letters swapped in this share; of all words, this share dropped.
MISSPELT, DROPPED = 0.3, 0.2
SHORTEST_WORD = 4
# Texts or queries that are changed, and how often each is changed anew.
MOST_CHANGED, CHANGE_DRAWS = 200, 3
# Scores in the upper tenth of their range are of pairs that say the same.
PARAPHRASE = 0.9
# Foreign texts are looked for among so many nearest.
N_NEAREST = 10


@dataclass(frozen=True)
class ModelRobustness(Result):
    """One model, one entry per width.

    `similarity` : cosine of a changed text with its own original; empty where texts stay as they are. `found` : the
    share of changed texts whose own original is the nearest of all; with foreign texts, the share of own ones among the
    nearest ten. `before`, `after` : the task's metric without and with the change; `kept` : the second's share of the
    first at the same width, None where that is not above 0. All three are empty where no label judges.
    """

    similarity: tuple[Estimate, ...]
    found: tuple[Estimate, ...]
    before: tuple[Estimate, ...] = ()
    after: tuple[Estimate, ...] = ()
    kept: tuple[Estimate | None, ...] = ()


@dataclass(frozen=True)
class Robustness(Result):
    """What a change of the texts leaves at every width, the full one last; `robustness` makes it.

    `change` : one of CHANGES. `n_changed` : texts looked at; `n_draws` : how often each was changed anew. `chance` : of
    being found. `metric` : of the task that is judged, "" for none. `models` : by name, the model first, then its plain
    twin where there is one. `found_gain`, `kept_gain` : the model's value minus its twin's, empty without. 95 %
    bootstrap intervals over texts, paired between models, over the mean of the draws.
    """

    change: Change
    dims: tuple[int, ...]
    n_changed: int
    n_draws: int
    chance: float
    metric: str
    models: Mapping[str, ModelRobustness]
    found_gain: tuple[Estimate, ...]
    kept_gain: tuple[Estimate | None, ...]
    notes: tuple[str, ...]

    @property
    def is_foreign(self) -> bool:
        """Whether foreign texts lie among the others, and no text is changed."""
        return self.change == "another domain"

    def rows(self) -> list[dict[str, Any]]:
        """One record per model and width."""
        return [
            {"model": name} | row
            for name, one in self.models.items()
            for row in self.records(**{
                field: getattr(one, field) for field in ("similarity", "found", "before", "after", "kept")
                if getattr(one, field)
            })
        ]  # fmt: skip

    def takeaway(self) -> str:
        return self.takeaway_at(self.dims[nearest_level(self.dims, self.dims[-1] / 4)])

    def takeaway_at(self, dim: int) -> str:
        """What is found, how alike it stays, what the task keeps, and the twin, at one width."""
        level, full_dim = self.dims.index(dim), self.dims[-1]
        name, *others = self.models
        one = self.models[name]
        found, at_full = one.found[level].value, one.found[-1].value
        whole = "" if dim == full_dim else f" ({at_full:.0%} at {full_dim})"
        if self.is_foreign:
            said = (
                f"With texts of another domain beside them, {found:.0%} of a text's ten nearest are of its own at "
                f"{dim} dims{whole}; by chance {self.chance:.0%}."
            )
        else:
            said = (
                f"{WORDS[self.change]}, {dim} dims find a text's own original first in {found:.0%} of searches{whole}; "
                f"its cosine with it is {one.similarity[level].value:.2f}."
            )
        if one.kept and (kept := one.kept[level]) is not None:
            if self.is_foreign and self.metric.startswith("knn"):
                said += f" Their {self.metric} is {kept.value:.0%} of that of the texts here."
            else:
                said += f" Of {self.metric} at the same width {kept.value:.0%} is kept."
        if not others:
            return said
        gains = {"found": self.found_gain[level]}
        if self.kept_gain and (gain := self.kept_gain[level]) is not None:
            gains["kept"] = gain
        compared = ", ".join(f"{what} {gain:+.3f}" for what, gain in gains.items())
        is_same = all(gain.low <= 0 <= gain.high for gain in gains.values())
        return f"{said} Against its plain twin: {compared}{'; no difference is sure' if is_same else ''}."


WORDS = {
    "typos": f"With letters swapped in {MISSPELT:.0%} of the longer words",
    "dropped words": f"With {DROPPED:.0%} of the words dropped",
    "paraphrases": "From a paraphrase",
}


def misspelt(text: str, rng: np.random.Generator) -> str:
    """The text with two neighboring letters swapped inside some of its longer words.

    Source: own definition; swaps as in Belinkov & Bisk 2018, arXiv:1711.02173.
    """
    words = []
    for word in text.split():
        if len(word) >= SHORTEST_WORD and rng.random() < MISSPELT:
            at = int(rng.integers(1, len(word) - 2))
            word = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        words.append(word)
    return " ".join(words)


def with_words_dropped(text: str, rng: np.random.Generator) -> str:
    """The text without some of its words; one word at least stays.

    Source: own definition; random deletion as in Wei & Zou 2019, arXiv:1901.11196 (EDA).
    """
    words = text.split()
    is_kept = rng.random(len(words)) >= DROPPED
    if len(words) and not is_kept.any():
        is_kept[rng.integers(len(words))] = True
    return " ".join(word for word, stays in zip(words, is_kept) if stays)


CHANGING: Mapping[str, Callable[[str, np.random.Generator], str]] = {
    "typos": misspelt, "dropped words": with_words_dropped,
}  # fmt: skip
CAN_CHANGE: Mapping[str, Callable[[str], bool]] = {
    "typos": lambda text: any(len(word) >= SHORTEST_WORD for word in text.split()),
    "dropped words": lambda text: len(text.split()) > 1,
}
UNCHANGED = {
    "typos": f"there is no word of {SHORTEST_WORD} letters", "dropped words": "there is one word, which has to stay,",
}  # fmt: skip


def changes_of(corpus: Corpus) -> tuple[Change, ...]:
    """What can be measured of a corpus: ready vectors have no model that embeds another text."""
    words: tuple[Change, ...] = () if corpus.embeddings is not None else ("typos", "dropped words")
    pairs: tuple[Change, ...] = ("paraphrases",) if len(paraphrases(corpus)) else ()
    foreign: tuple[Change, ...] = () if corpus.embeddings is not None else ("another domain",)
    return (*words, *pairs, *foreign)


def paraphrases(corpus: Corpus) -> Ints:
    """Rows of the scored pairs that say the same: of two texts, and a score in the upper tenth of the range."""
    scores = np.array([score for _, _, score in corpus.pairs])
    if not len(scores) or np.ptp(scores) == 0:
        return np.empty(0, dtype=np.int64)
    least = scores.min() + PARAPHRASE * np.ptp(scores)
    is_two = np.array([left != right for left, right, _ in corpus.pairs])
    return np.flatnonzero((scores >= least) & is_two)


def robustness(
    embedded: Embedded,
    change: Change,
    *,
    dims: Iterable[int],
    task: str | None = None,
    model: Model | None = None,
    twin: Embedded | None = None,
    twin_model: Model | None = None,
    foreign: Corpus | None = None,
    most_changed: int | None = MOST_CHANGED,
    n_draws: int = CHANGE_DRAWS,
    seed: int = 0,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Robustness:
    """What a change of the texts leaves of finding the original and of the task, at every width.

    Typing errors and dropped words: changed texts search among all texts, each for its own original; queries, texts to
    be classified, and the left texts of pairs are changed for the task, what is searched is not. Paraphrases: each text
    of a pair that says the same searches for the other, within its language. Another domain: its texts lie among those
    that are searched, and nothing is changed.

    Parameters
    ----------
    embedded : with its queries where relevance is judged
    change : one of CHANGES
    dims : widths in 1..full_dim; the full width is added
    task : one of TASKS that judges; None takes the first that the corpus has labels for. Where labels cannot judge, a
        note says why
    model : the one that embedded the texts, where it is loaded already; None takes the object given then, or its name
    twin, twin_model : a plain model's vectors of the same texts, and that model, as `embedded` and `model`
    foreign : texts of another domain, to be embedded by the model
    most_changed : a seeded sample of so many texts, queries or pairs is changed where there are more; None changes all
    n_draws : how often each is changed anew
    seed : of the sample, the changes and the bootstrap
    progress : called with (texts embedded, texts in all); cancelled : asked between batches

    Raises
    ------
    InvalidInputError : ready vectors, which no model can embed changed texts for; another domain without `foreign`.
    EmptyInputError : no paraphrases. ShapeError : a twin of other texts or another width. CancelledError : a stop.
    """
    if change not in CHANGES:
        raise InvalidInputError(f"`change` is {change!r}; choose one of {', '.join(CHANGES)}.")
    check_count("n_draws", n_draws)
    corpus = embedded.corpus
    dims = check_dims((*dims, embedded.full_dim), embedded.full_dim)
    if corpus.embeddings is not None and change != "paraphrases":
        raise InvalidInputError(
            f"`{corpus.name}` holds ready vectors, and no model here can embed a changed one of its {corpus.things}: "
            "give texts and a model to measure that."
        )
    if twin is not None and twin.matrix.shape != embedded.matrix.shape:
        raise ShapeError(
            f"`twin` has vectors of shape {twin.matrix.shape} and the model {embedded.matrix.shape}; give the same "
            "texts by a model of the same width."
        )
    work = _work(embedded, change, task, foreign, most_changed, n_draws, seed)
    sides = [(embedded, model)] + ([] if twin is None else [(twin, twin_model)])
    measured = []
    for place, (vectors, loaded) in enumerate(sides):
        told = None if progress is None else _shifted(progress, place * work.n_texts, len(sides) * work.n_texts)
        encode = partial(_encoded, vectors, loaded, told, cancelled)
        measured.append(work.measure(vectors, encode, dims))
    is_paired, has_metric = work.is_paired, measured[0].before is not None
    names = [name_of(vectors) for vectors, _ in sides]
    if len(set(names)) < len(names):
        names[1] += ", the plain twin"
    found_gain: tuple[Estimate, ...] = ()
    kept_gain: tuple[Estimate | None, ...] = ()
    if twin is not None:
        one, other = measured
        found_gain = bootstrap(one.found - other.found, seed=seed)
        if one.after is not None and one.before is not None and other.after is not None and other.before is not None:
            kept_gain = tuple(
                share_difference(*shares, is_paired=is_paired, seed=seed)
                for shares in zip(one.after, one.before, other.after, other.before)
            )
    return Robustness(
        change, dims, measured[0].found.shape[1], work.n_draws, work.chance, work.metric if has_metric else "",
        dict(zip(names, (_of_model(one, is_paired, seed) for one in measured))), found_gain, kept_gain,
        tuple(work.notes),
    )  # fmt: skip


@dataclass(frozen=True)
class _Values:
    """What every text, query or pair is worth, (n_dims, n_items) each; None for what is not measured."""

    similarity: Floats | None
    found: Floats
    before: Floats | None = None
    after: Floats | None = None


Encode = Callable[[Sequence[str], Kind], FloatMatrix]


@dataclass(frozen=True)
class _Work:
    """What is measured of each model: `measure` is given its vectors, what embeds by it, and the widths."""

    measure: Callable[[Embedded, Encode, Sequence[int]], _Values]
    n_texts: int
    n_draws: int
    chance: float
    metric: str
    notes: list[str]
    is_paired: bool = True


def _work(
    embedded: Embedded, change: Change, kind: str | None, foreign: Corpus | None, most: int | None, n_draws: int,
    seed: int,
) -> _Work:  # fmt: skip
    if change == "paraphrases":
        return _paraphrases(embedded.corpus, most, seed)
    task, notes = _judging(embedded, kind, most, seed)
    if change == "another domain":
        if foreign is None:
            raise InvalidInputError("`foreign` is not given; give texts of another domain, such as those of a sample.")
        return _among_foreign(embedded.corpus, foreign, task, notes, most, seed)
    return _changed(embedded.corpus, change, task, notes, most, n_draws, seed)


def _judging(embedded: Embedded, kind: str | None, most: int | None, seed: int) -> tuple[Task | None, list[str]]:
    """The task that judges, and notes; without one, what is wrong with the labels."""
    there = available_tasks(embedded.corpus)
    if not there and kind is None:
        return None, []
    try:
        task = find_task(embedded, kind, most_judged=most, seed=seed)
    except (InvalidInputError, EmptyInputError) as error:
        if kind not in (None, *there):
            raise
        return None, [f"No task is judged: {error}"]
    return task, list(task.notes)


def _changed(
    corpus: Corpus, change: Change, task: Task | None, notes: list[str], most: int | None, n_draws: int, seed: int
) -> _Work:
    """Changed texts look for their own original, and ask what the task judges."""
    asks = task is not None and task.kind == "retrieval"
    if task is None or asks:
        rows = sample_rows(corpus.n_items, most, seed)
    else:
        rows = task.rows if task.pairs is None else task.pairs[0]
    queries = task.rows if task is not None and asks else np.empty(0, dtype=np.int64)
    given = [corpus.texts[row] for row in rows], [corpus.query_texts[row] for row in queries]
    if not any(map(CAN_CHANGE[change], given[0])):
        raise InvalidInputError(f"`{corpus.name}` has no text that can be changed so: {UNCHANGED[change]} in any.")
    if n_same := sum(not CAN_CHANGE[change](text) for text in given[0]):
        notes = [*notes, f"{n_same:,} of {len(rows):,} texts stay as they are: {UNCHANGED[change]} in them."]
    rng, alter = np.random.default_rng(seed), CHANGING[change]
    texts: list[list[str]] = []
    asked: list[list[str]] = []
    for _ in range(n_draws):
        texts.append([alter(text, rng) for text in given[0]])
        asked.append([alter(text, rng) for text in given[1]])
    # A text that is there twice is found in either place.
    first = {text: row for row, text in reversed([*enumerate(corpus.texts)])}
    place_of = np.array([first[text] for text in corpus.texts])

    def measure(vectors: Embedded, encode: Encode, dims: Sequence[int]) -> _Values:
        matrix, full_dim = vectors.matrix, vectors.full_dim
        changed = encode([text for draw in texts for text in draw], "document").reshape(n_draws, -1, full_dim)
        asking = encode([text for draw in asked for text in draw], "query") if len(queries) else None
        originals = np.tile(rows, n_draws)
        flat = changed.reshape(-1, full_dim)
        nearest = neighbor_lists(matrix, flat, dims, 1)[..., 0]
        found = _mean_of_draws(place_of[nearest] == place_of[originals], n_draws)
        alike = _mean_of_draws(pair_similarities(flat, matrix[originals], dims), n_draws)
        if task is None:
            return _Values(alike, found)
        before = task.measure(matrix, task.asking(vectors), dims)
        after = np.zeros_like(before)
        for draw in range(n_draws):
            if task.pairs is not None:
                cosines = pair_similarities(changed[draw], matrix[task.pairs[1]], dims)
                after += np.stack([spearman_values(row, task.pairs[2]) for row in cosines])
                continue
            rows_now = changed[draw] if asking is None else asking.reshape(n_draws, -1, full_dim)[draw]
            given_now = task.asking(vectors).copy()
            given_now[task.rows] = rows_now
            after += task.measure(matrix, given_now, dims)
        return _Values(alike, found, before, after / n_draws)

    n_texts = n_draws * (len(rows) + len(queries))
    metric = "" if task is None else task.metric
    return _Work(measure, n_texts, n_draws, 1 / corpus.n_items, metric, notes)


def _mean_of_draws(values: Any, n_draws: int) -> Floats:
    """From (n_dims, n_draws * n_items), draw after draw, to (n_dims, n_items)."""
    return np.asarray(np.asarray(values, dtype=np.float64).reshape(len(values), n_draws, -1).mean(axis=1))


def _paraphrases(corpus: Corpus, most: int | None, seed: int) -> _Work:
    """Either text of a pair that says the same looks for the other, among all of its language."""
    pairs = paraphrases(corpus)
    if not len(pairs):
        raise EmptyInputError(
            f"`{corpus.name}` has no pairs of texts that say the same; give sentence pairs with different scores."
        )
    kept = pairs[sample_rows(len(pairs), most, seed)]
    sides = np.array([corpus.pairs[row][:2] for row in kept], dtype=np.int64)
    asking, wanted = np.concatenate([sides[:, 0], sides[:, 1]]), np.concatenate([sides[:, 1], sides[:, 0]])
    spoken = np.array([str(label) for label in corpus.labels.get(LANGUAGE, [""] * corpus.n_items)])
    searched = {language: np.flatnonzero(spoken == language) for language in dict.fromkeys(spoken[asking])}
    smallest = min(map(len, searched.values()))
    if smallest < 3:
        raise EmptyInputError(f"`{corpus.name}` has {smallest} texts in a language to search among; give more.")

    def measure(vectors: Embedded, encode: Encode, dims: Sequence[int]) -> _Values:
        alike = pair_similarities(vectors.matrix[asking], vectors.matrix[wanted], dims).astype(np.float64)
        found = np.zeros(alike.shape)
        for language, items in searched.items():
            here = np.flatnonzero(spoken[asking] == language)
            own = np.searchsorted(items, asking[here])
            lists = neighbor_lists(vectors.matrix[items], vectors.matrix[asking[here]], dims, 1, own=own)
            found[:, here] = items[lists[..., 0]] == wanted[here]
        return _Values(alike, found)

    note = f"{len(kept):,} pairs with a score in the upper tenth of their range, searched from both sides."
    return _Work(measure, 0, 1, 1 / (smallest - 1), "", [note])


def _among_foreign(
    corpus: Corpus, foreign: Corpus, task: Task | None, notes: list[str], most: int | None, seed: int
) -> _Work:
    """Foreign texts lie among the others, and are named by them where both have the same classes."""
    twice = set(corpus.texts)
    texts = [row for row, text in enumerate(foreign.texts) if text not in twice]
    if not texts:
        raise EmptyInputError(f"`{foreign.name}` has no text that `{corpus.name}` has not; give another domain's.")
    rows = sample_rows(corpus.n_items, most, seed)
    k = min(N_NEAREST, corpus.n_items - 1)
    notes = [*notes, f"The {len(texts):,} texts of another domain are those of {foreign.name}."]
    column = next((name for name in corpus.class_columns if _shared(corpus, foreign, texts, name)), None)
    metric = "" if task is None or task.kind != "retrieval" else task.metric
    if column is not None:
        asked = [row for row in texts if foreign.labels[column][row] in set(corpus.labels[column])]
        metric = f"knn_accuracy:{column}"
        notes.append(
            f"{len(asked):,} of them have a `{column}` that is known here. What is kept is the accuracy of naming it "
            "by neighbors among the texts here, as a share of that of the texts here."
        )

    def measure(vectors: Embedded, encode: Encode, dims: Sequence[int]) -> _Values:
        others = encode([foreign.texts[row] for row in texts], "document")
        both = np.concatenate([vectors.matrix, others])
        lists = neighbor_lists(both, vectors.matrix[rows], dims, k, own=rows)
        found = (lists < corpus.n_items).mean(axis=-1)
        if column is not None:
            own = find_task(vectors, "classification", column=column, most_judged=most, seed=seed)
            names = {label: code for label, code in zip(corpus.labels[column], own.codes.tolist()) if code >= 0}
            # A class of one text here has no code, so nothing can be named by it.
            known = [place for place, row in enumerate(texts) if foreign.labels[column][row] in names]
            codes = np.array([names[foreign.labels[column][texts[place]]] for place in known])
            searched = own.searched(vectors.matrix)
            near = neighbor_lists(searched, others[known], dims, own.list_length(len(searched)))
            item_codes = own.codes if own.items is None else own.codes[own.items]
            before = own.measure(vectors.matrix, vectors.matrix, dims)
            return _Values(None, found, before, knn_correct(near, item_codes, codes))
        if task is None or task.kind != "retrieval":
            return _Values(None, found)
        asking = task.asking(vectors)
        return _Values(
            None, found, task.measure(vectors.matrix, asking, dims), task.measure(both, asking, dims)
        )  # fmt: skip

    chance = (corpus.n_items - 1) / (corpus.n_items - 1 + len(texts))
    return _Work(measure, len(texts), 1, chance, metric, notes, is_paired=column is None)


def _shared(corpus: Corpus, foreign: Corpus, rows: Sequence[int], column: str) -> bool:
    """Whether both have that label, with two classes or more in common."""
    if column not in foreign.labels:
        return False
    return len(set(corpus.labels[column]) & {foreign.labels[column][row] for row in rows} - {None}) > 1


def _of_model(values: _Values, is_paired: bool, seed: int) -> ModelRobustness:
    similarity = () if values.similarity is None else bootstrap(values.similarity, seed=seed)
    found = bootstrap(values.found, seed=seed)
    if values.before is None or values.after is None:
        return ModelRobustness(similarity, found)
    kept = tuple(
        share_of_means(after, before, is_paired=is_paired, seed=seed)
        for after, before in zip(values.after, values.before)
    )
    before, after = (bootstrap(side, seed=seed) for side in (values.before, values.after))
    return ModelRobustness(similarity, found, before, after, kept)


def _encoded(
    vectors: Embedded, model: Model | None, progress: Progress | None, cancelled: Callable[[], bool] | None,
    texts: Sequence[str], kind: Kind,
) -> FloatMatrix:  # fmt: skip
    """Texts by the model that made the vectors."""
    by = model or vectors.encoder or vectors.model
    found = embed_texts(texts, by, kind=kind, progress=progress, cancelled=cancelled)
    if found.shape[1] != vectors.full_dim:
        raise ShapeError(
            f"`model` makes vectors of {found.shape[1]} coordinates and the texts have {vectors.full_dim}; give the "
            "model that embedded them."
        )
    return found


def _shifted(progress: Progress, start: int, total: int) -> Progress:
    return lambda done, _: progress(min(start + done, total), total)
