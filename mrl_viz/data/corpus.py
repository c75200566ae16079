"""A corpus: texts with ids, labels, queries, relevance, pairs, vectors or pictures; the check of what was read."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mrl_viz.data.images import Images, check_images, thumbnails
from mrl_viz.errors import EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.fingerprint import fingerprint
from mrl_viz.result import Result
from mrl_viz.truncation import FloatMatrix, check_embeddings

# Beyond these a laptop's browser and memory suffer; the error says to split or to use --limit.
MOST_TEXTS = 200_000
MOST_CHARACTERS = 1_000_000
# The label that says in which language a text is.
LANGUAGE = "language"
# The label that says what a text was used for when a model was trained, and its value for those the model has not seen.
SPLIT, HELD_OUT = "split", "held out"


@dataclass(frozen=True)
class DataCheck(Result):
    """What was read, dropped and found. Counts are rows; `longest_chars` is in characters."""

    n_rows: int
    n_empty: int
    n_duplicates: int
    n_items: int
    n_truncated_by_limit: int
    longest_chars: int
    label_columns: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def flattering(self) -> tuple[str, ...]:
        """The notes that say that the vectors were trained on what they may be judged by."""
        return tuple(note for note in self.notes if "trained on" in note)


@dataclass(frozen=True)
class Corpus:
    """Texts, and whatever came with them.

    `labels` : column name to one value per text. `qrels` : query id to document id to grade. `pairs` : (left, right,
    score) by position in `texts`. `pair_ids` : of pairs in several languages, which the label LANGUAGE tells, the id of
    each; pairs of one id are translations of each other. `embeddings` : ready vectors, float32 of shape (n_items,
    full_dim), or None; then queries have vectors too, `query_embeddings` of shape (n_queries, full_dim).
    `matryoshka_dims` : the widths that ready vectors were trained at, None where that is not known. `images` : a
    picture of each text, to be looked at: uint8 of shape (n_items, h, w) or (n_items, h, w, 3), at most 64 pixels a
    side, or None.
    """

    name: str
    texts: tuple[str, ...]
    ids: tuple[str, ...]
    check: DataCheck
    labels: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    query_ids: tuple[str, ...] = ()
    query_texts: tuple[str, ...] = ()
    qrels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    pairs: tuple[tuple[int, int, float], ...] = ()
    embeddings: FloatMatrix | None = None
    query_embeddings: FloatMatrix | None = None
    pair_ids: tuple[str, ...] = ()
    matryoshka_dims: tuple[int, ...] | None = None
    images: Images | None = None

    @property
    def n_items(self) -> int:
        """How many texts there are."""
        return len(self.texts)

    @property
    def things(self) -> str:
        """What the items are called on a page: "texts", or "pictures" where they have some."""
        return "texts" if self.images is None else "pictures"

    @property
    def class_columns(self) -> tuple[str, ...]:
        """The label columns that name classes: all but SPLIT, unless there is no other."""
        return tuple(name for name in self.labels if name != SPLIT) or tuple(self.labels)

    def at_least(self, fewest: int) -> Corpus:
        """The corpus itself, where enough is left of it.

        Raises
        ------
        EmptyInputError : fewer than `fewest` items are left.
        """
        check = self.check
        if self.n_items < fewest:
            raise EmptyInputError(
                f"`{self.name}` has {self.n_items} item left of {check.n_rows} rows ({check.n_empty} empty, "
                f"{check.n_duplicates} duplicate, {check.n_truncated_by_limit} over the limit); "
                "add at least one more text."
            )
        return self

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change with all evidence, not with the name or the check."""
        # What few data have counts where it is there, so that the others keep the fingerprint they had.
        rare = (self.pair_ids or None, self.matryoshka_dims, self.images)
        return fingerprint(
            self.texts, self.ids, tuple(self.labels.items()), self.query_ids, self.query_texts, self.query_embeddings,
            self.qrels, self.pairs, self.embeddings,
            *(value for value in rare if value is not None),
        )  # fmt: skip

    def judgements_by_row(self) -> dict[int, dict[int, int]]:
        """The relevance judgements by the rows of queries and texts: {query row: {text row: grade}}.

        Raises
        ------
        EmptyInputError : there are none.
        """
        if not self.qrels:
            raise EmptyInputError(f"`{self.name}` has no relevance judgements; give a BEIR folder, or do without them.")
        row_of = {identifier: row for row, identifier in enumerate(self.ids)}
        return {
            place: {row_of[document]: grade for document, grade in self.qrels.get(query, {}).items()}
            for place, query in enumerate(self.query_ids)
        }


# What holds texts or vectors: also a pandas column, or a tensor.
Data: TypeAlias = "Corpus | Sequence[str] | npt.ArrayLike"


def clean(text: str) -> str:
    """The text without surrounding space; control characters other than tab and newline become spaces."""
    if text.isprintable():
        return text.strip()
    return "".join(" " if unicodedata.category(c) == "Cc" and c not in "\t\n" else c for c in text).strip()


def _check(n_rows: int, limit: int | None, columns: Mapping[str, Sequence[Any] | None]) -> None:
    if limit is not None and limit < 1:
        raise InvalidInputError(f"`limit` is {limit}; choose 1 or more.")
    for what, values in columns.items():
        if values is not None and len(values) != n_rows:
            raise ShapeError(f"`{what}` has {len(values)} values for {n_rows} rows; give one each.")


def corpus_from_texts(
    texts: Sequence[str],
    *,
    name: str = "texts",
    ids: Sequence[str] | None = None,
    labels: Mapping[str, Sequence[str | None]] | None = None,
    keep_duplicates: bool = False,
    limit: int | None = None,
    notes: Sequence[str] = (),
) -> Corpus:
    """A corpus of the first `limit` texts without empties and, unless kept, without exact duplicates (the first stays).

    Raises
    ------
    EmptyInputError : no text is left. InvalidInputError : too many texts, one is too long, or `limit` is below 1.
    ShapeError : lengths differ.
    """
    n_rows = len(texts)
    _check(n_rows, limit, {"ids": ids, **(labels or {})})
    texts = [clean(text) for text in texts[:limit]]
    filled = [row for row, text in enumerate(texts) if text]
    first = {texts[row]: row for row in reversed(filled)}
    kept = filled if keep_duplicates else sorted(first.values())
    if not kept:
        raise EmptyInputError(f"`{name}` has {n_rows} rows and no text in them; give at least two texts.")
    if len(kept) > MOST_TEXTS:
        raise InvalidInputError(f"`{name}` has {len(kept):,} texts; at most {MOST_TEXTS:,} are read, so use a limit.")
    longest = max(len(texts[row]) for row in kept)
    if longest > MOST_CHARACTERS:
        raise InvalidInputError(
            f"`{name}` has a text of {longest:,} characters; the limit is {MOST_CHARACTERS:,}, so split it."
        )
    counts = {"n_empty": len(texts) - len(filled), "n_duplicates": len(filled) - len(first)}
    counts |= {"n_rows": n_rows, "n_truncated_by_limit": n_rows - len(texts)}
    return _of_rows(kept, [texts[row] for row in kept], name, ids, labels, notes, counts)


def _of_rows(
    rows: Sequence[int],
    texts: Sequence[str],
    name: str,
    ids: Sequence[str] | None,
    labels: Mapping[str, Sequence[str | None]] | None,
    notes: Sequence[str],
    counts: Mapping[str, int],
) -> Corpus:
    """The corpus of some rows, whose texts are given; without ids they are called by their number."""
    columns = {column: tuple(values[row] for row in rows) for column, values in (labels or {}).items()}
    longest = max(map(len, texts))
    check = DataCheck(
        n_items=len(rows), longest_chars=longest, label_columns=tuple(columns), notes=tuple(notes), **counts
    )
    return Corpus(name, tuple(texts), tuple(str(row if ids is None else ids[row]) for row in rows), check, columns)


def corpus_from_vectors(
    embeddings: npt.ArrayLike,
    *,
    texts: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    labels: Mapping[str, Sequence[str | None]] | None = None,
    name: str = "vectors",
    limit: int | None = None,
    unnamed: str = "vector",
    images: npt.ArrayLike | None = None,
) -> Corpus:
    """A corpus of ready vectors, every row kept; without texts they are called "vector 0", "vector 1", …, or `unnamed`.

    `images` : a picture of each row, see `with_images`.

    Raises
    ------
    ShapeError, EmptyInputError : unusable vectors or pictures, or another number of texts, ids, labels or pictures than
    vectors. InvalidInputError : `limit` is below 1.
    """
    array = check_embeddings(embeddings, name)
    n_rows = len(array)
    pictures = None if images is None else check_images(images, name)
    _check(n_rows, limit, {"ids": ids, "images": pictures, **(labels or {})})  # type: ignore[dict-item] # has a length
    if array.dtype != np.float32:
        largest = np.abs(array).max(axis=1)
        if largest.max() > np.finfo(np.float32).max:
            what = f"`{name}` has {largest.max():.3g} in row {largest.argmax()}"
            raise ShapeError(f"{what}, beyond float32; rescale that row.")
    notes = []
    given = np.asarray(embeddings).dtype
    if given != np.float32:
        notes.append(f"The vectors were {given} and are read as float32.")
    array = np.ascontiguousarray(array[:limit], dtype=np.float32)
    if n_zero := int((~array.any(axis=1)).sum()):
        notes.append(f"{n_zero} vectors are all zero; their similarity with everything is 0.")
    n_items = len(array)
    counts = {"n_empty": 0, "n_duplicates": n_items - len(np.unique(array, axis=0))}
    counts |= {"n_rows": n_rows, "n_truncated_by_limit": n_rows - n_items}
    shown = [f"{unnamed} {row}" for row in range(n_items)]
    corpus = replace(_of_rows(range(n_items), shown, name, ids, labels, notes, counts), embeddings=array)
    if pictures is not None:
        corpus = with_images(corpus, pictures[:n_items])
    if texts is None:
        return corpus
    _check_texts(name, n_rows, len(texts))
    return with_texts(corpus, texts[:n_items])


def as_corpus(data: Data, *, unnamed: str = "vector") -> Corpus:
    """A list, a pandas column or an array as a corpus of its rows; a note counts duplicates, which are kept.

    Raises
    ------
    InvalidInputError : one text or a table, or a row without a text. ShapeError, EmptyInputError : unusable vectors.
    """
    if isinstance(data, Corpus):
        return data
    if isinstance(data, str) or hasattr(data, "columns"):
        kind = "one text" if isinstance(data, str) else "a table"
        raise InvalidInputError(f"`data` is {kind}; give a list of texts, one column, or a file through `read_corpus`.")
    rows: Any = np.asarray(data.detach().cpu()) if hasattr(data, "detach") else data  # a tensor
    rows = list(rows) if isinstance(rows, Iterable) and not isinstance(rows, np.ndarray) else np.asarray(rows)
    named = getattr(data, "name", None)
    if (isinstance(rows, np.ndarray) and rows.ndim != 1) or not any(isinstance(row, str) for row in rows):
        return corpus_from_vectors(rows, name=str(named or "vectors"), unnamed=unnamed)
    name = str(named or "texts")
    if empty := [row for row, text in enumerate(rows) if not (isinstance(text, str) and clean(text))]:
        raise InvalidInputError(
            f"`{name}` has no text in {len(empty)} of {len(rows)} rows, the first is row {empty[0]}; leave them out."
        )
    corpus = corpus_from_texts(rows, name=name, keep_duplicates=True)
    n_twice = corpus.check.n_duplicates
    return with_notes(corpus, [f"{n_twice} exact duplicates are kept; they inflate overlap."] if n_twice else [])


def with_texts(corpus: Corpus, texts: Sequence[str]) -> Corpus:
    """The corpus of ready vectors with a text for each, in their order; an empty text is called "(empty)".

    Raises
    ------
    ShapeError : another number of texts than vectors. InvalidInputError : the corpus has no vectors.
    """
    if corpus.embeddings is None:
        raise InvalidInputError(f"`{corpus.name}` has no vectors to give texts to; read a file of vectors first.")
    _check_texts(corpus.name, corpus.n_items, len(texts))
    shown = tuple(clean(text) or "(empty)" for text in texts)
    return replace(corpus, texts=shown, check=replace(corpus.check, longest_chars=max(map(len, shown))))


def with_images(corpus: Corpus, images: npt.ArrayLike, notes: Sequence[str] = ()) -> Corpus:
    """The corpus with a picture for each text, in their order; what is larger than 64 pixels a side is shrunk.

    `images` : see `check_images`. `notes` : what reading them had to say.

    Raises
    ------
    ShapeError : no pictures, or another number of them than texts.
    """
    pictures = check_images(images, corpus.name)
    if len(pictures) != corpus.n_items:
        raise ShapeError(f"`{corpus.name}` has {corpus.n_items} texts but {len(pictures)} pictures; give one each.")
    kept, said = thumbnails(pictures)
    return with_notes(replace(corpus, images=kept), [*notes, *said])


def _check_texts(name: str, n_vectors: int, n_texts: int) -> None:
    if n_texts != n_vectors:
        raise ShapeError(f"`{name}` has {n_vectors} vectors but {n_texts} texts; give one text each.")


def with_notes(corpus: Corpus, notes: Sequence[str]) -> Corpus:
    """The corpus with more notes in its data check."""
    return replace(corpus, check=replace(corpus.check, notes=(*corpus.check.notes, *notes))) if notes else corpus


def with_queries(corpus: Corpus, queries: Corpus) -> Corpus:
    """The corpus with the items of another one as its queries: texts in texts, vectors in vectors. Earlier queries go.

    Raises
    ------
    ShapeError : vectors of another width. InvalidInputError : texts for vectors, or vectors for texts.
    """
    if (corpus.embeddings is None) != (queries.embeddings is None):
        kinds = ("texts", "vectors") if corpus.embeddings is None else ("vectors", "texts")
        raise InvalidInputError(
            f"`{corpus.name}` holds {kinds[0]} and `{queries.name}` {kinds[1]}; "
            "give both as texts, or both as vectors of one model."
        )
    if corpus.embeddings is not None and queries.embeddings is not None:
        width, own = queries.embeddings.shape[1], corpus.embeddings.shape[1]
        if width != own:
            what = f"`{queries.name}` has vectors of {width} coordinates and `{corpus.name}` of {own}"
            raise ShapeError(f"{what}; use one model for both.")
    notes = [f"Queries: {note}" for note in queries.check.notes]
    if n_own := len(corpus.query_ids):
        notes.append(f"The {n_own} queries that came with the data, and their judgements, are replaced.")
    return replace(
        with_notes(corpus, notes),
        query_ids=queries.ids, query_texts=queries.texts, query_embeddings=queries.embeddings, qrels={},
    )  # fmt: skip


def with_qrels(
    corpus: Corpus,
    qrels: Mapping[str, Mapping[str, int]],
    *,
    moved: Mapping[str, str] | None = None,
    are_named: bool = False,
) -> Corpus:
    """The corpus with graded relevance: query id to text id to grade. A note counts judgements of what is not here.

    Parameters
    ----------
    moved : dropped duplicates and the text that was kept, which takes their judgements; the highest grade wins
    are_named : the judgements were asked for, so that none at all is an error

    Raises
    ------
    InvalidInputError : no judgement names a query and a text that are here, where that is asked for.
    """
    queries, known = set(corpus.query_ids), set(corpus.ids)
    judged: dict[str, dict[str, int]] = {}
    n_unknown = 0
    for query, grades in qrels.items():
        for document, grade in grades.items():
            document = (moved or {}).get(document, document)
            if query not in queries or document not in known:
                n_unknown += 1
                continue
            row = judged.setdefault(query, {})
            row[document] = max(grade, row.get(document, grade))
    if are_named and not judged:
        ids = f"{corpus.query_ids[0]!r} and {corpus.ids[0]!r}" if corpus.query_ids else "(no queries)"
        raise InvalidInputError(
            f"`qrels` has {n_unknown} judgements and none names a query and a text of `{corpus.name}`, whose ids are "
            f"such as {ids}; give queries, and judgements with their ids."
        )
    lost = f"{n_unknown} relevance judgements name a query or text that is not here; they are left out."
    return replace(with_notes(corpus, [lost] if n_unknown else []), qrels=judged)


def with_retrieval(
    corpus: Corpus, queries: Mapping[str, str], qrels: Mapping[str, Mapping[str, int]], moved: Mapping[str, str]
) -> Corpus:
    """The corpus of texts with queries, id to text, and graded relevance: see `with_qrels`."""
    asked = replace(corpus, query_ids=tuple(queries), query_texts=tuple(queries.values()))
    return with_qrels(asked, qrels, moved=moved)


def same_items(corpora: Sequence[Corpus]) -> tuple[Corpus, ...]:
    """Several models' vectors of the same items, to be compared: what one file knows of them, all know.

    Texts, ids, labels, scored pairs, pictures, names of queries and judgements are those of the first that has them;
    rows belong together by their order. A corpus without queries stays without.

    Raises
    ------
    InvalidInputError : a corpus without vectors, other texts, or two of one name. ShapeError : other numbers of rows.
    """
    first = corpora[0]
    searched = [corpus for corpus in corpora if corpus.query_ids] or [first]
    for corpus in corpora:
        if corpus.embeddings is None:
            raise InvalidInputError(f"`{corpus.name}` holds no vectors; give files of vectors of the same texts.")
        n_queries, expected = len(corpus.query_ids), len(searched[0].query_ids)
        if corpus.n_items != first.n_items or n_queries not in (0, expected):
            raise ShapeError(
                f"`{corpus.name}` has {corpus.n_items} vectors and {n_queries} queries, `{first.name}` {first.n_items} "
                f"and {expected}; give vectors of the same texts and queries, in the same order."
            )
    if len({corpus.name for corpus in corpora}) < len(corpora):
        raise InvalidInputError(f"`{first.name}` is not the only file of that name; give files different names.")

    def known(holders: Sequence[Corpus], field: str, unnamed: str) -> tuple[str, ...]:
        """The values that are more than row numbers, which have to be the same wherever they are."""
        numbers = tuple(f"{unnamed}{row}" for row in range(len(getattr(holders[0], field))))
        named = [corpus for corpus in holders if getattr(corpus, field) != numbers]
        for corpus in named:
            if getattr(corpus, field) != getattr(named[0], field):
                raise InvalidInputError(
                    f"`{corpus.name}` has other texts or ids than `{named[0].name}`; give vectors of the same."
                )
        return getattr(named[0], field) if named else numbers

    ids, query_ids = known(corpora, "ids", ""), known(searched, "query_ids", "")
    judged = next((one for one in searched if one.qrels), searched[0])
    texts_of, queries_of = dict(zip(judged.ids, ids)), dict(zip(judged.query_ids, query_ids))
    shared: dict[str, Any] = {
        "texts": known(corpora, "texts", "vector "),
        "ids": ids,
        "labels": next((one.labels for one in corpora if one.labels), {}),
        "pairs": next((one.pairs for one in corpora if one.pairs), ()),
        "pair_ids": next((one.pair_ids for one in corpora if one.pairs), ()),
        "images": next((one.images for one in corpora if one.images is not None), None),
    }
    asked: dict[str, Any] = {
        "query_texts": known(searched, "query_texts", "query "),
        "query_ids": query_ids,
        "qrels": {
            queries_of[query]: {texts_of[text]: grade for text, grade in grades.items()}
            for query, grades in judged.qrels.items()
        },
    }
    return tuple(replace(corpus, **shared, **(asked if corpus.query_ids else {})) for corpus in corpora)
