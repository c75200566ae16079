"""Reading corpora from files: texts, tables, BEIR folders and zips, sentence pairs, ready vectors. Never pickle."""

from __future__ import annotations

import io
import json
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tokenize import TokenError
from typing import TYPE_CHECKING, Any

import numpy as np

from mrl_viz.data.corpus import (
    Corpus,
    clean,
    corpus_from_texts,
    corpus_from_vectors,
    sample_data_folder,
    with_retrieval,
)
from mrl_viz.errors import DataFormatError, EmptyInputError, ShapeError

if TYPE_CHECKING:
    import pandas as pd

MEGABYTE = 1 << 20
# The same as the app's upload limit (.streamlit/config.toml).
MOST_BYTES = 200 * MEGABYTE
# Vectors on disk are larger than texts and are mapped, not copied, by the reader.
MOST_VECTOR_BYTES = 2048 * MEGABYTE
MOST_UNZIPPED_BYTES = 1024 * MEGABYTE
# Text compresses by 3 to 10; a bomb by a thousand.
MOST_ZIP_RATIO = 200
TEXT_COLUMNS = ("text", "sentence", "content", "body", "passage", "document", "question", "query", "title")
PAIR_COLUMNS = (("sentence1", "sentence2"), ("sentence_a", "sentence_b"), ("text1", "text2"), ("premise", "hypothesis"))
LABEL_COLUMNS = ("label", "labels", "category", "class", "topic", "domain")
SCORE_COLUMNS = ("score", "similarity", "similarity_score", "label")
VECTOR_COLUMNS = ("embedding", "embeddings", "vector", "vectors")
# A guessed label column groups the texts: at most this many values.
MOST_LABEL_VALUES = 500
# What zipfile and numpy raise for a damaged or encrypted archive, member or header.
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, TokenError, RuntimeError, EOFError, OSError, ValueError,
          OverflowError, MemoryError, SystemError)  # fmt: skip
SUFFIXES = ".txt, .csv, .tsv, .jsonl, .parquet, .zip (BEIR), .npy, .npz, .safetensors"


@dataclass(frozen=True)
class _Options:
    text_column: str | None
    label_column: str | None
    limit: int | None
    keep_duplicates: bool


def read_corpus(
    source: str | Path,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    limit: int | None = None,
    keep_duplicates: bool = False,
    fewest: int = 2,
) -> Corpus:
    """The corpus in a file or BEIR folder, or the sample for the word "sample"; `fewest` texts must be left of it.

    Raises
    ------
    DataFormatError : no such file, or not what its name promises. Others : see `read_upload`.
    """
    options = _Options(text_column, label_column, limit, keep_duplicates)
    try:
        path = sample_data_folder() if str(source) == "sample" else Path(os.path.expanduser(source))
        if path.is_dir():
            name = "sample" if str(source) == "sample" else path.resolve().name
            return _read_beir(lambda member: _folder_member(path, member), name, options).at_least(fewest)
        if not path.is_file():
            raise DataFormatError(f"`{source}` is no file here; give a path to {SUFFIXES}, a BEIR folder, or `sample`.")
        is_vectors = path.suffix.lower() in (".npy", ".npz", ".safetensors", ".parquet")
        _check_size(path.name, path.stat().st_size, MOST_VECTOR_BYTES if is_vectors else MOST_BYTES)
        return _read_content(path.name, path.read_bytes(), options).at_least(fewest)
    except OSError as error:
        raise DataFormatError(f"`{source}` cannot be opened ({error}); check its name and permissions.") from error


def read_upload(
    filename: str,
    content: bytes,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    limit: int | None = None,
    keep_duplicates: bool = False,
    fewest: int = 2,
) -> Corpus:
    """The corpus in a file's bytes; its name says the format, and `fewest` texts must be left of it.

    Raises
    ------
    DataFormatError : not what its name promises. EmptyInputError, InvalidInputError, ShapeError : unusable.
    """
    _check_size(filename, len(content), MOST_BYTES)
    options = _Options(text_column, label_column, limit, keep_duplicates)
    return _read_content(filename, content, options).at_least(fewest)


def _read_content(filename: str, content: bytes, options: _Options) -> Corpus:
    suffix = Path(filename).suffix.lower()
    if suffix == ".txt":
        lines = _decode(filename, content).splitlines()
        return corpus_from_texts(lines, name=filename, keep_duplicates=options.keep_duplicates, limit=options.limit)
    if suffix in (".npy", ".npz", ".safetensors"):
        return _from_arrays(filename, _read_arrays(filename, content), options.limit)
    if suffix == ".zip":
        return _read_zip(filename, content, options)
    if suffix in (".csv", ".tsv", ".jsonl", ".parquet"):
        return _from_table(filename, _table(filename, content), options)
    raise DataFormatError(f"`{filename}` is of a kind that is not read here; give one of {SUFFIXES}.")


def sample_corpus() -> Corpus:
    """The project's own 480 passages with domain and topic labels, 96 queries and graded relevance."""
    return read_corpus("sample")


def read_queries(source: str | Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids and texts of the queries in any file of texts.

    Raises
    ------
    DataFormatError, EmptyInputError : see `read_corpus`.
    """
    corpus = read_corpus(source, keep_duplicates=True, fewest=1)
    return corpus.ids, corpus.texts


def table_columns(filename: str, content: bytes) -> tuple[tuple[str, ...], str | None, tuple[str, ...]]:
    """Columns of a table, the guessed text column (None for vectors or pairs) and the guessed label columns.

    Raises
    ------
    DataFormatError, EmptyInputError : see `read_upload`.
    """
    _check_size(filename, len(content), MOST_VECTOR_BYTES)
    frame = _table(filename, content)
    is_other = _pair_columns(frame) is not None or _vector_column(frame) is not None
    return tuple(frame.columns), None if is_other else _guess_text(frame), _guess_labels(frame)


def _check_size(filename: str, size: int, most: int) -> None:
    if size == 0:
        raise EmptyInputError(f"`{filename}` is empty; give a file with at least two texts.")
    if size > most:
        megabytes = f"{size / MEGABYTE:,.0f} MB; the limit is {most // MEGABYTE:,} MB"
        raise DataFormatError(f"`{filename}` has {megabytes}, so split it.")


def _decode(filename: str, content: bytes) -> str:
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataFormatError(f"`{filename}` is not UTF-8 (byte {error.start}); save it as UTF-8.") from error
    if "\0" in text:
        raise DataFormatError(f"`{filename}` holds binary data, not text; give a text file saved as UTF-8.")
    return text


def _json_lines(filename: str, content: bytes) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(_decode(filename, content).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataFormatError(f"`{filename}` line {number} is not JSON; give one JSON object a line.") from error
        if not isinstance(row, dict):
            raise DataFormatError(f"`{filename}` line {number} is no JSON object; give one JSON object a line.")
        rows.append(row)
    if not rows:
        raise EmptyInputError(f"`{filename}` has no rows; give at least two texts.")
    return rows


def _table(filename: str, content: bytes) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    suffix = Path(filename).suffix.lower()
    rows = _json_lines(filename, content) if suffix == ".jsonl" else []
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
            text = _decode(filename, content)
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


def _guess_text(frame: pd.DataFrame) -> str:
    by_name = {column.lower(): column for column in frame.columns}
    named = [by_name[name] for name in TEXT_COLUMNS if name in by_name]
    if named:
        return str(named[0])
    lengths = {column: frame[column].head(200).map(_cell).map(len).mean() for column in frame.columns}
    return str(max(lengths, key=lambda column: lengths[column]))


def _guess_labels(frame: pd.DataFrame) -> tuple[str, ...]:
    by_name = {column.lower(): column for column in frame.columns}
    found = [by_name[name] for name in LABEL_COLUMNS if name in by_name]
    return tuple(c for c in found if frame[c].map(_cell).nunique() <= MOST_LABEL_VALUES)


def _pair_columns(frame: pd.DataFrame) -> tuple[str, str, str] | None:
    by_name = {column.lower(): column for column in frame.columns}
    for left, right in PAIR_COLUMNS:
        score = next((by_name[name] for name in SCORE_COLUMNS if name in by_name), None)
        if left in by_name and right in by_name and score is not None:
            return by_name[left], by_name[right], score
    return None


def _vector_column(frame: pd.DataFrame) -> str | None:
    for column in (column for column in frame.columns if column.lower() in VECTOR_COLUMNS):
        if any(isinstance(value, (list, np.ndarray)) for value in frame[column]):
            return str(column)
    return None


def _from_table(name: str, frame: pd.DataFrame, options: _Options) -> Corpus:
    for column in (options.text_column, options.label_column):
        if column is not None and column not in frame.columns:
            raise DataFormatError(f"`{name}` has no column {column!r}; choose one of {', '.join(frame.columns)}.")
    label_columns = (options.label_column,) if options.label_column else _guess_labels(frame)
    labels = {column: tuple(_cell(value) or None for value in frame[column]) for column in label_columns}
    vectors, pairs, limit = _vector_column(frame), _pair_columns(frame), options.limit
    if vectors is not None and options.text_column is None:
        has_texts = any(column.lower() in TEXT_COLUMNS for column in frame.columns)
        texts = [_cell(value) for value in frame[_guess_text(frame)]] if has_texts else None
        rows = [value if isinstance(value, (list, np.ndarray)) else [] for value in frame[vectors]]
        return corpus_from_vectors(rows, texts=texts, labels=labels, name=name, limit=limit)
    if pairs is not None and options.text_column is None:
        return _from_pairs(name, frame, pairs, limit)
    column = options.text_column or _guess_text(frame)
    ids = next(([_cell(value) for value in frame[c]] for c in ("_id", "id") if c in frame.columns), None)
    labels.pop(column, None)
    texts = [_cell(value) for value in frame[column]]
    keep = options.keep_duplicates
    return corpus_from_texts(texts, name=name, ids=ids, labels=labels, keep_duplicates=keep, limit=limit)


def _cell(value: Any) -> str:
    try:
        return "" if value is None or (isinstance(value, float) and value != value) else str(value)
    except RecursionError as error:  # JSON may be read deeper than it can be written, which differs between Pythons
        raise DataFormatError("`jsonl` cells hold lists nested too deeply; give plain texts.") from error


def _from_pairs(name: str, frame: pd.DataFrame, columns: tuple[str, str, str], limit: int | None) -> Corpus:
    """Sentence pairs: the corpus is the distinct sentences in order, the pairs point into it."""
    left, right, score = columns
    position: dict[str, int] = {}
    pairs = []
    n_bad = 0
    for a, b, value in zip(frame[left][:limit], frame[right][:limit], frame[score][:limit]):
        a, b = clean(_cell(a)), clean(_cell(b))
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
    notes = [f"{n_bad} pairs lack a sentence or a score and are left out."] if n_bad else []
    return replace(corpus_from_texts(list(position), name=name, notes=notes), pairs=tuple(pairs))


def _read_arrays(filename: str, content: bytes) -> dict[str, Any]:
    """The arrays of a .npy, .npz or .safetensors file by name; object arrays (pickle) are refused."""
    suffix = Path(filename).suffix.lower()
    if suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            return load(content)
        except (SafetensorError, KeyError) as error:  # KeyError: a type that numpy lacks
            raise DataFormatError(f"`{filename}` is no safetensors file for numpy ({error}); save float32.") from error
    try:
        if suffix == ".npy":
            return {"": _load_npy(content)}
        members = [member for member in _check_zip(filename, content) if member.filename.endswith(".npy")]
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {member.filename[:-4]: _load_npy(_unpack(archive, member, filename)) for member in members}
    except DAMAGE as error:
        what = f"`{filename}` is no plain {suffix[1:]} of numbers (objects and pickles are refused)"
        raise DataFormatError(f"{what}; save a float matrix, and texts as a unicode array.") from error


def _load_npy(content: bytes) -> Any:
    array = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    if array.dtype.kind == "U":
        array.tolist()  # raises ValueError or SystemError where the bytes are no characters
    return array


def _from_arrays(filename: str, arrays: Mapping[str, Any], limit: int | None) -> Corpus:
    """The only matrix, or the one with a vectors' name, with the `texts` and `labels` beside it."""
    # A .npy array has no name, and its shape is judged with the other properties of vectors.
    matrices = {key: value for key, value in arrays.items() if value.ndim == 2 or key == ""}
    key = next(iter(matrices)) if len(matrices) == 1 else next((k for k in VECTOR_COLUMNS if k in matrices), None)
    if key is None:
        raise DataFormatError(f"`{filename}` holds {len(matrices)} matrices; give one, or call it `embeddings`.")
    texts, values = _strings(filename, arrays, "texts", "U"), _strings(filename, arrays, "labels", "Uiub")
    labels = {} if values is None else {"labels": [value.strip() or None for value in values]}
    return corpus_from_vectors(matrices[key], texts=texts, labels=labels, name=filename, limit=limit)


def _strings(filename: str, arrays: Mapping[str, Any], key: str, kinds: str) -> list[str] | None:
    array = arrays.get(key)
    if array is None:
        return None
    if array.ndim != 1 or array.dtype.kind not in kinds:
        raise ShapeError(f"`{key}` in `{filename}` is {array.dtype}, shape {array.shape}; save a 1-D unicode array.")
    return [str(value) for value in array.tolist()]


def _check_zip(filename: str, content: bytes) -> list[zipfile.ZipInfo]:
    """The members of a zip, after its promised size was compared with the limits."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
    except DAMAGE as error:
        raise DataFormatError(f"`{filename}` is no zip archive; zip the folder again.") from error
    total = sum(member.file_size for member in members)
    if total > MOST_UNZIPPED_BYTES or total > MOST_ZIP_RATIO * len(content):
        raise DataFormatError(
            f"`{filename}` would unpack to {total / MEGABYTE:,.0f} MB from {len(content) / MEGABYTE:,.1f} MB; "
            f"the limits are {MOST_UNZIPPED_BYTES // MEGABYTE} MB and {MOST_ZIP_RATIO} times its size, so split it."
        )
    return members


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, filename: str) -> bytes:
    """The member's bytes, never more than its promised size."""
    try:
        with archive.open(member) as file:
            return file.read(member.file_size)
    except DAMAGE as error:
        raise DataFormatError(f"`{filename}` cannot be unpacked ({member.filename}); zip it unencrypted.") from error


def _read_zip(filename: str, content: bytes, options: _Options) -> Corpus:
    members = _check_zip(filename, content)
    roots = [PurePosixPath(m.filename).parent for m in members if PurePosixPath(m.filename).name == "corpus.jsonl"]
    if not roots:
        raise DataFormatError(f"`{filename}` has no corpus.jsonl; zip a BEIR folder (with queries.jsonl and qrels/).")
    root = min(roots, key=lambda path: len(path.parts))
    by_name = {member.filename: member for member in members}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:

        def read(member: str) -> bytes | None:
            info = by_name.get(str(root / member))
            return None if info is None else _unpack(archive, info, filename)

        return _read_beir(read, filename, options)


def _folder_member(folder: Path, member: str) -> bytes | None:
    path = folder / member
    if not path.is_file():
        return None
    if path.stat().st_size > MOST_UNZIPPED_BYTES:
        raise DataFormatError(f"`{member}` is larger than {MOST_UNZIPPED_BYTES // MEGABYTE} MB; split the collection.")
    return path.read_bytes()


def _read_beir(read: Callable[[str], bytes | None], name: str, options: _Options) -> Corpus:
    content = read("corpus.jsonl")
    if content is None:
        raise DataFormatError(f"`{name}` is not a BEIR folder: it has no corpus.jsonl; add it, or give a single file.")
    rows = _beir_rows("corpus.jsonl", content)
    ids = [_cell(row["_id"]) for row in rows]
    texts = [f"{_cell(row.get('title'))} {_cell(row['text'])}".strip() for row in rows]
    labels = _metadata_labels(rows, options.label_column)
    keep, limit = options.keep_duplicates, options.limit
    corpus = corpus_from_texts(texts, name=name, ids=ids, labels=labels, keep_duplicates=keep, limit=limit)
    queries_content = read("queries.jsonl")
    if queries_content is None:
        return corpus
    queries = {_cell(row["_id"]): clean(_cell(row["text"])) for row in _beir_rows("queries.jsonl", queries_content)}
    kept = {text: identifier for identifier, text in zip(reversed(corpus.ids), reversed(corpus.texts))}
    moved = {} if keep else {i: kept[c] for i, t in zip(ids, texts) if (c := clean(t)) in kept}
    queries = {identifier: text for identifier, text in queries.items() if text}
    return with_retrieval(corpus, queries, _read_qrels(read("qrels/test.tsv") or b""), moved)


def _beir_rows(member: str, content: bytes) -> list[dict[str, Any]]:
    rows = _json_lines(member, content)
    for number, row in enumerate(rows, start=1):
        if row.get("_id") is None or "text" not in row:
            raise DataFormatError(f"`{member}` row {number} has no `_id` or no `text`; BEIR rows need both.")
    return rows


def _metadata_labels(rows: Sequence[Mapping[str, Any]], label_column: str | None) -> dict[str, tuple[str | None, ...]]:
    metadata = [row["metadata"] if isinstance(row.get("metadata"), dict) else {} for row in rows]
    keys = list(dict.fromkeys(key for entry in metadata for key in entry))
    if label_column is not None:
        if label_column not in keys:
            raise DataFormatError(f"`{label_column}` is no metadata here; choose one of {', '.join(keys) or '(none)'}.")
        keys = [label_column]
    labels = {key: tuple(_cell(entry.get(key)) or None for entry in metadata) for key in keys}
    return {key: values for key, values in labels.items() if len(set(values)) <= MOST_LABEL_VALUES}


def _read_qrels(content: bytes) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    for number, line in enumerate(_decode("qrels/test.tsv", content).splitlines(), start=1):
        cells = line.split("\t")
        if (number == 1 and cells[0] == "query-id") or not line.strip():
            continue
        try:
            query, document, grade = cells[0], cells[1], int(cells[2])
        except (IndexError, ValueError) as error:
            what = f"`qrels/test.tsv` line {number} is not query-id, corpus-id, whole-number score"
            raise DataFormatError(f"{what}; separate the three by tabs.") from error
        qrels.setdefault(query, {})[document] = grade
    return qrels
