"""Tables: .csv, .tsv, .jsonl and .parquet with texts, labels, sentence pairs or vectors in columns."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mrl_viz.data.content import MOST_VECTOR_BYTES, Options, cell, check_size, decode, json_lines, not_used
from mrl_viz.data.corpus import LANGUAGE, Corpus, clean, corpus_from_texts
from mrl_viz.data.vectors import IMAGES, LABELS, Parts
from mrl_viz.errors import DataFormatError, EmptyInputError

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
TEXT_COLUMNS = ("text", "sentence", "content", "body", "passage", "document", "question", "query", "title")
PAIR_COLUMNS = (("sentence1", "sentence2"), ("sentence_a", "sentence_b"), ("text1", "text2"), ("premise", "hypothesis"))
SCORE_COLUMNS = ("score", "similarity", "similarity_score", "label")
# Of sentence pairs.
LANGUAGE_COLUMNS = ("language", "lang")
VECTOR_COLUMNS = ("embedding", "embeddings", "vector", "vectors")
# A guessed label column groups the texts: at most this many values.
MOST_LABEL_VALUES = 500
# A column called otherwise that could be one: as many texts share a value on average, at least.
FEWEST_TEXTS_A_VALUE = 2


def table_columns(filename: str, content: bytes) -> tuple[tuple[str, ...], str | None, tuple[str, ...]]:
    """Columns of a table, the guessed text column (None for vectors or pairs) and the guessed label columns.

    Raises
    ------
    DataFormatError, EmptyInputError : see `read_upload`.
    """
    check_size(filename, len(content), MOST_VECTOR_BYTES)
    frame = _table(filename, content)
    is_other = _pair_columns(frame) is not None or _vector_column(frame) is not None
    return tuple(frame.columns), None if is_other else _guess_text(frame), _guess_labels(frame)


def label_candidates(filename: str, content: bytes) -> dict[str, int]:
    """Columns that could be labels whatever they are called, the one with the fewest values first, and how many those
    are: at least two texts share one on average.

    Raises
    ------
    DataFormatError, EmptyInputError : see `read_upload`.
    """
    frame = _table(filename, content)
    return _candidates(frame, _guess_text(frame))


def _candidates(frame: pd.DataFrame, text_column: str | None) -> dict[str, int]:
    most = min(MOST_LABEL_VALUES, len(frame) // FEWEST_TEXTS_A_VALUE)
    others = [column for column in frame.columns if column not in (text_column, "_id", "id")]
    found = {str(column): frame[column].map(cell).nunique() for column in others}
    return {column: n for column, n in sorted(found.items(), key=lambda pair: pair[1]) if 2 <= n <= most}


def _table(filename: str, content: bytes) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    suffix = Path(filename).suffix.lower()
    rows = json_lines(filename, content) if suffix == ".jsonl" else []
    try:
        if rows:
            frame = pd.DataFrame(rows)
        elif suffix == ".parquet":
            table = pq.read_table(pa.BufferReader(content))
            table.validate(full=True)
            # Without pandas' own metadata, which may be damaged, an index is one more column.
            names = [name for name in table.column_names if not name.startswith("__index_level_")]
            frame = table.select(names).to_pandas(ignore_metadata=True)
        else:
            text = decode(filename, content)
            separator = "\t" if suffix == ".tsv" else ","
            frame = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, keep_default_na=False)
            if not isinstance(frame.index, pd.RangeIndex):
                raise ValueError("rows have more cells than the header")
    except (pa.ArrowException, OSError, ValueError) as error:
        # The first sentence says what is wrong, after a preamble of pandas.
        reason = str(error).replace("Error tokenizing data. C error: ", "").partition("\n")[0].split(". ")[0][:120]
        raise DataFormatError(f"`{filename}` is no readable {suffix[1:]} ({reason}); check its format.") from error
    frame.columns = [str(column) for column in frame.columns]
    if frame.empty:
        raise EmptyInputError(f"`{filename}` has no rows; give at least two texts.")
    return frame


def _named(frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """The columns that have one of these names, whatever their case, in the order of the names."""
    by_name = {column.lower(): str(column) for column in frame.columns}
    return [by_name[name] for name in names if name in by_name]


def _guess_text(frame: pd.DataFrame) -> str:
    if named := _named(frame, TEXT_COLUMNS):
        return named[0]
    lengths = {column: frame[column].head(200).map(cell).map(len).mean() for column in frame.columns}
    return str(max(lengths, key=lambda column: lengths[column]))


def _guess_labels(frame: pd.DataFrame) -> tuple[str, ...]:
    return tuple(c for c in _named(frame, LABELS) if frame[c].map(cell).nunique() <= MOST_LABEL_VALUES)


def _pair_columns(frame: pd.DataFrame) -> tuple[str, str, str] | None:
    scores = _named(frame, SCORE_COLUMNS)
    pairs = (_named(frame, names) for names in PAIR_COLUMNS)
    return next(((pair[0], pair[1], scores[0]) for pair in pairs if len(pair) == 2 and scores), None)


def _language_columns(frame: pd.DataFrame, id_column: str | None) -> tuple[str, ...]:
    """Of pairs in two languages or more: the column of languages, and that of ids where there is one; else none."""
    named = _named(frame, LANGUAGE_COLUMNS)[:1]
    if not named or not 2 <= frame[named[0]].map(cell).nunique() <= MOST_LABEL_VALUES:
        return ()
    return (*named, *([] if id_column is None else [id_column]))


def _vector_column(frame: pd.DataFrame) -> str | None:
    for column in (column for column in frame.columns if column.lower() in VECTOR_COLUMNS):
        if any(isinstance(value, (list, np.ndarray)) for value in frame[column]):
            return str(column)
    return None


def read_rows(filename: str, content: bytes, options: Options) -> Parts:
    """What a table says of rows of vectors, which lie in one of its columns, or elsewhere: then `vectors` is None.

    Raises
    ------
    DataFormatError, EmptyInputError : no table, or no such column.
    """
    frame = _chosen_from(filename, content, options)
    return _parts(frame, options, _vector_column(frame))


def _chosen_from(filename: str, content: bytes, options: Options) -> pd.DataFrame:
    """The table, which has the columns that were asked for."""
    frame = _table(filename, content)
    for column in (options.text_column, options.label_column):
        if column is not None and column not in frame.columns:
            raise DataFormatError(f"`{filename}` has no column {column!r}; choose one of {', '.join(frame.columns)}.")
    return frame


def _cells(frame: pd.DataFrame, column: str) -> list[str]:
    return [cell(value) for value in frame[column]]


def _id_column(frame: pd.DataFrame) -> str | None:
    return next((column for column in ("_id", "id") if column in frame.columns), None)


def _labels(frame: pd.DataFrame, columns: Sequence[str], text: str | None) -> dict[str, list[str | None]]:
    return {column: [value or None for value in _cells(frame, column)] for column in columns if column != text}


def _parts(frame: pd.DataFrame, options: Options, vectors: str | None) -> Parts:
    text = options.text_column or next(iter(_named(frame, TEXT_COLUMNS)), None)
    image, ids = next(iter(_named(frame, IMAGES)), None), _id_column(frame)
    image = None if image == text else image
    columns = (options.label_column,) if options.label_column else _guess_labels(frame)
    used = [text, ids, image, vectors, *columns]
    rows = (value if isinstance(value, (list, np.ndarray)) else [] for value in frame[vectors]) if vectors else None
    return Parts(
        None if rows is None else list(rows),
        texts=None if text is None else _cells(frame, text),
        ids=None if ids is None else _cells(frame, ids),
        labels=_labels(frame, columns, text),
        image_files=None if image is None else _cells(frame, image),
        notes=not_used("Columns", [column for column in frame.columns if column not in used]),
    )


def read_table(filename: str, content: bytes, options: Options) -> Corpus:
    """The corpus in a table: vectors, sentence pairs, or texts; a text column that was chosen means texts.

    Raises
    ------
    DataFormatError : no table, or no such column. EmptyInputError, InvalidInputError, ShapeError : unusable contents.
    """
    frame = _chosen_from(filename, content, options)
    vectors = _vector_column(frame)
    if options.text_column is None and vectors is not None:
        return _parts(frame, options, vectors).corpus(filename, options)
    label_columns = (options.label_column,) if options.label_column else _guess_labels(frame)
    id_column, text_column = _id_column(frame), options.text_column or _guess_text(frame)
    pairs = _pair_columns(frame) if options.text_column is None else None
    languages = _language_columns(frame, id_column) if pairs else ()
    used = (*pairs, *languages) if pairs else (text_column, id_column, *label_columns)
    notes = not_used("Columns", [column for column in frame.columns if column not in used])
    if pairs:
        return _from_pairs(filename, frame, pairs, languages, options.limit, notes)
    if not label_columns and vectors is None and (could := _candidates(frame, text_column)):
        listed = ", ".join(f"`{column}` ({n} values)" for column, n in list(could.items())[:3])
        notes = [*notes, f"No label column was found by its name; {listed} could be one: choose it as label column."]
    return corpus_from_texts(
        _cells(frame, text_column), name=filename, ids=None if id_column is None else _cells(frame, id_column),
        labels=_labels(frame, label_columns, text_column), keep_duplicates=options.keep_duplicates,
        limit=options.limit, notes=notes,
    )  # fmt: skip


def _from_pairs(
    name: str, frame: pd.DataFrame, columns: tuple[str, str, str], about: tuple[str, ...], limit: int | None,
    notes: list[str],
) -> Corpus:  # fmt: skip
    """Sentence pairs: the corpus is the distinct sentences of each language in order, the pairs point into it.

    `about` : columns of each pair's language and, where there is one, of its id; empty for pairs of one language.
    """
    position: dict[tuple[str | None, str], int] = {}
    pairs, ids, n_bad = [], [], 0
    for a, b, value, *said in zip(*(frame[column][:limit] for column in (*columns, *about))):
        a, b = clean(cell(a)), clean(cell(b))
        try:
            number = float(value)
        except (ValueError, TypeError, OverflowError):
            number = np.nan
        if not a or not b or not np.isfinite(number):
            n_bad += 1
            continue
        language = (clean(cell(said[0])) or None) if said else None
        left, right = (position.setdefault((language, text), len(position)) for text in (a, b))
        pairs.append((left, right, number))
        ids += [clean(cell(one)) for one in said[1:]]
    if not pairs:
        raise EmptyInputError(f"`{name}` has {n_bad} pairs, none with two sentences and a score; give all three.")
    notes = [*([f"{n_bad} pairs lack a sentence or a score and are left out."] if n_bad else []), *notes]
    labels = {LANGUAGE: [language for language, _ in position]} if about else None
    # The same words may be a sentence in two languages.
    texts = [text for _, text in position]
    corpus = corpus_from_texts(texts, name=name, labels=labels, keep_duplicates=bool(about), notes=notes)
    return replace(corpus, pairs=tuple(pairs), pair_ids=tuple(ids))
