"""Tables: .csv, .tsv, .jsonl and .parquet with texts, labels, sentence pairs or vectors in columns."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mrl_viz.data.content import MOST_VECTOR_BYTES, Options, cell, check_size, decode, json_lines, not_used
from mrl_viz.data.corpus import Corpus, clean, corpus_from_texts
from mrl_viz.data.vectors import LABELS, Parts
from mrl_viz.errors import DataFormatError, EmptyInputError

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
TEXT_COLUMNS = ("text", "sentence", "content", "body", "passage", "document", "question", "query", "title")
PAIR_COLUMNS = (("sentence1", "sentence2"), ("sentence_a", "sentence_b"), ("text1", "text2"), ("premise", "hypothesis"))
SCORE_COLUMNS = ("score", "similarity", "similarity_score", "label")
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


def _vector_column(frame: pd.DataFrame) -> str | None:
    for column in (column for column in frame.columns if column.lower() in VECTOR_COLUMNS):
        if any(isinstance(value, (list, np.ndarray)) for value in frame[column]):
            return str(column)
    return None


def read_table(filename: str, content: bytes, options: Options) -> Corpus:
    """The corpus in a table: vectors, sentence pairs, or texts; a text column that was chosen means texts.

    Raises
    ------
    DataFormatError : no table, or no such column. EmptyInputError, InvalidInputError, ShapeError : unusable contents.
    """
    frame = _table(filename, content)
    for column in (options.text_column, options.label_column):
        if column is not None and column not in frame.columns:
            raise DataFormatError(f"`{filename}` has no column {column!r}; choose one of {', '.join(frame.columns)}.")

    def cells(column: str) -> list[str]:
        return [cell(value) for value in frame[column]]

    label_columns = (options.label_column,) if options.label_column else _guess_labels(frame)
    id_column = next((column for column in ("_id", "id") if column in frame.columns), None)
    text_column: str | None = options.text_column or _guess_text(frame)
    is_guess, vectors, pairs = options.text_column is None, _vector_column(frame), _pair_columns(frame)
    if is_guess and vectors is not None and not _named(frame, TEXT_COLUMNS):
        text_column = None
    is_pairs = is_guess and vectors is None and pairs is not None
    used = [*(pairs or ())] if is_pairs else [text_column, id_column, *label_columns, vectors if is_guess else None]
    notes = not_used("Columns", [column for column in frame.columns if column not in used])
    if is_pairs and pairs is not None:
        return _from_pairs(filename, frame, pairs, options.limit, notes)
    if not label_columns and vectors is None and (could := _candidates(frame, text_column)):
        listed = ", ".join(f"`{column}` ({n} values)" for column, n in list(could.items())[:3])
        notes = [*notes, f"No label column was found by its name; {listed} could be one: choose it as label column."]
    ids = None if id_column is None else cells(id_column)
    labels = {column: [value or None for value in cells(column)] for column in label_columns if column != text_column}
    if is_guess and vectors is not None:
        rows = [value if isinstance(value, (list, np.ndarray)) else [] for value in frame[vectors]]
        texts = None if text_column is None else cells(text_column)
        return Parts(rows, texts=texts, ids=ids, labels=labels, notes=notes).corpus(filename, options)
    return corpus_from_texts(
        cells(str(text_column)), name=filename, ids=ids, labels=labels, keep_duplicates=options.keep_duplicates,
        limit=options.limit, notes=notes,
    )  # fmt: skip


def _from_pairs(
    name: str, frame: pd.DataFrame, columns: tuple[str, str, str], limit: int | None, notes: list[str]
) -> Corpus:
    """Sentence pairs: the corpus is the distinct sentences in order, the pairs point into it."""
    position: dict[str, int] = {}
    pairs, n_bad = [], 0
    for a, b, value in zip(*(frame[column][:limit] for column in columns)):
        a, b = clean(cell(a)), clean(cell(b))
        try:
            number = float(value)
        except (ValueError, TypeError, OverflowError):
            number = np.nan
        if not a or not b or not np.isfinite(number):
            n_bad += 1
            continue
        pairs.append((position.setdefault(a, len(position)), position.setdefault(b, len(position)), number))
    if not pairs:
        raise EmptyInputError(f"`{name}` has {n_bad} pairs, none with two sentences and a score; give all three.")
    notes = [*([f"{n_bad} pairs lack a sentence or a score and are left out."] if n_bad else []), *notes]
    return replace(corpus_from_texts(list(position), name=name, notes=notes), pairs=tuple(pairs))
