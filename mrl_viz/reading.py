"""Reading corpora from files: texts, tables, BEIR folders and zips, sentence pairs, ready vectors. Never pickle."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from mrl_viz.corpus import Corpus, clean, corpus_from_texts, corpus_from_vectors, sample_data_folder, with_retrieval
from mrl_viz.errors import DataFormatError, EmptyInputError

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
SUFFIXES = ".txt, .csv, .tsv, .jsonl, .parquet, .zip (BEIR), .npy, .npz, .safetensors"


def read_corpus(
    source: str | Path,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    limit: int | None = None,
    keep_duplicates: bool = False,
) -> Corpus:
    """The corpus in a file or BEIR folder, or the sample for the word "sample".

    Raises
    ------
    DataFormatError : no such file, or not what its name promises. EmptyInputError, InvalidInputError, ShapeError : unusable.
    """
    path = sample_data_folder() if str(source) == "sample" else Path(source).expanduser()
    options = {"label_column": label_column, "limit": limit, "keep_duplicates": keep_duplicates}
    if path.is_dir():
        return _read_beir(lambda member: _folder_member(path, member), "sample" if str(source) == "sample" else path.name, **options)
    if not path.is_file():
        raise DataFormatError(f"`{source}` is no file or folder here; give a path to {SUFFIXES}, a BEIR folder, or `sample`.")
    most = MOST_VECTOR_BYTES if path.suffix.lower() in (".npy", ".npz", ".safetensors", ".parquet") else MOST_BYTES
    size = path.stat().st_size
    if size > most:
        raise DataFormatError(f"`{path.name}` has {size / MEGABYTE:,.0f} MB; the limit is {most // MEGABYTE:,} MB, so split it.")
    return read_upload(path.name, path.read_bytes(), text_column=text_column, check_size=False, **options)


def read_upload(
    filename: str,
    content: bytes,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    limit: int | None = None,
    keep_duplicates: bool = False,
    check_size: bool = True,
) -> Corpus:
    """The corpus in a file's bytes; its name says the format.

    Raises
    ------
    DataFormatError, EmptyInputError, InvalidInputError, ShapeError
    """
    suffix = Path(filename).suffix.lower()
    if check_size and len(content) > MOST_BYTES:
        raise DataFormatError(
            f"`{filename}` has {len(content) / MEGABYTE:,.0f} MB; the limit is {MOST_BYTES // MEGABYTE} MB, so split it."
        )
    if not content:
        raise EmptyInputError(f"`{filename}` is empty; give a file with at least two texts.")
    options = {"limit": limit, "keep_duplicates": keep_duplicates}
    if suffix == ".txt":
        return corpus_from_texts(_decode(filename, content).splitlines(), name=filename, **options)
    if suffix in (".npy", ".npz", ".safetensors"):
        return corpus_from_vectors(_read_vectors(filename, content), name=filename, limit=limit)
    if suffix == ".zip":
        return _read_zip(filename, content, label_column=label_column, **options)
    if suffix in (".csv", ".tsv", ".jsonl", ".parquet"):
        return _from_table(filename, _table(filename, content), text_column, label_column, limit, keep_duplicates)
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
    corpus = read_corpus(source, keep_duplicates=True)
    return corpus.ids, corpus.texts


def table_columns(filename: str, content: bytes) -> tuple[tuple[str, ...], str | None, tuple[str, ...]]:
    """Columns of a table, the guessed text column (None for vectors or pairs) and the guessed label columns.

    Raises
    ------
    DataFormatError, EmptyInputError : see `read_upload`.
    """
    if not content:
        raise EmptyInputError(f"`{filename}` is empty; give a file with at least two texts.")
    frame = _table(filename, content)
    is_other = _pair_columns(frame) is not None or _vector_column(frame) is not None
    return tuple(frame.columns), None if is_other else _guess_text(frame), _guess_labels(frame)


def _decode(filename: str, content: bytes) -> str:
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataFormatError(f"`{filename}` is not UTF-8 (byte {error.start}); save it as UTF-8 and try again.") from error
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
        except (json.JSONDecodeError, RecursionError) as error:
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

    suffix = Path(filename).suffix.lower()
    try:
        if suffix == ".jsonl":
            frame = pd.DataFrame(_json_lines(filename, content))
        elif suffix == ".parquet":
            frame = pd.read_parquet(io.BytesIO(content))
        else:
            csv.field_size_limit(MOST_BYTES)
            text = _decode(filename, content)
            frame = pd.read_csv(io.StringIO(text), sep="\t" if suffix == ".tsv" else ",", dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        if isinstance(error, (DataFormatError, EmptyInputError)):
            raise
        reason = str(error).strip().splitlines()[0][:120]
        raise DataFormatError(f"`{filename}` cannot be read as {suffix[1:]} ({reason}); check its format.") from error
    frame.columns = [str(column) for column in frame.columns]
    if frame.empty:
        raise EmptyInputError(f"`{filename}` has no rows; give at least two texts.")
    return frame


def _guess_text(frame: pd.DataFrame) -> str:
    by_name = {column.lower(): column for column in frame.columns}
    for name in TEXT_COLUMNS:
        if name in by_name:
            return str(by_name[name])
    lengths = {column: frame[column].head(200).astype(str).str.len().mean() for column in frame.columns}
    return str(max(lengths, key=lambda column: lengths[column]))


def _guess_labels(frame: pd.DataFrame) -> tuple[str, ...]:
    by_name = {column.lower(): column for column in frame.columns}
    found = [by_name[name] for name in LABEL_COLUMNS if name in by_name]
    return tuple(c for c in found if frame[c].astype(str).nunique() <= MOST_LABEL_VALUES)


def _pair_columns(frame: pd.DataFrame) -> tuple[str, str, str] | None:
    by_name = {column.lower(): column for column in frame.columns}
    for left, right in PAIR_COLUMNS:
        score = next((by_name[name] for name in SCORE_COLUMNS if name in by_name), None)
        if left in by_name and right in by_name and score is not None:
            return by_name[left], by_name[right], score
    return None


def _vector_column(frame: pd.DataFrame) -> str | None:
    for column in frame.columns:
        first = frame[column].iloc[0]
        if column.lower() in VECTOR_COLUMNS and isinstance(first, (list, np.ndarray)):
            return str(column)
    return None


def _from_table(
    name: str, frame: pd.DataFrame, text_column: str | None, label_column: str | None, limit: int | None, keep_duplicates: bool
) -> Corpus:
    for column in (text_column, label_column):
        if column is not None and column not in frame.columns:
            raise DataFormatError(f"`{name}` has no column {column!r}; choose one of {', '.join(frame.columns)}.")
    label_columns = (label_column,) if label_column else _guess_labels(frame)
    labels = {column: tuple(_cell(value) or None for value in frame[column]) for column in label_columns}
    vectors = _vector_column(frame)
    if vectors is not None and text_column is None:
        texts = [_cell(v) for v in frame[_guess_text(frame)]] if any(c.lower() in TEXT_COLUMNS for c in frame.columns) else None
        return corpus_from_vectors(_stack(name, frame[vectors]), texts=texts, labels=labels, name=name, limit=limit)
    pairs = _pair_columns(frame)
    if pairs is not None and text_column is None:
        return _from_pairs(name, frame, pairs, limit)
    column = text_column or _guess_text(frame)
    ids = next((frame[c].astype(str).tolist() for c in ("_id", "id") if c in frame.columns), None)
    labels.pop(column, None)
    return corpus_from_texts(
        [_cell(value) for value in frame[column]], name=name, ids=ids, labels=labels, keep_duplicates=keep_duplicates, limit=limit
    )


def _cell(value: Any) -> str:
    return "" if value is None or (isinstance(value, float) and value != value) else str(value)


def _stack(name: str, column: Sequence[Any]) -> Any:
    widths = {len(value) if isinstance(value, (list, np.ndarray)) else 0 for value in column}
    if len(widths) > 1:
        raise DataFormatError(f"`{name}` has vectors of different widths ({min(widths)} to {max(widths)}); give one width.")
    return np.stack([np.asarray(value) for value in column])


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
        except ValueError:
            number = np.nan
        if not a or not b or not np.isfinite(number):
            n_bad += 1
            continue
        pairs.append((position.setdefault(a, len(position)), position.setdefault(b, len(position)), number))
    notes = [f"{n_bad} pairs lack a sentence or a score and are left out."] if n_bad else []
    return replace(corpus_from_texts(list(position), name=name, notes=notes), pairs=tuple(pairs))


def _read_vectors(filename: str, content: bytes) -> Any:
    """The only matrix of a .npy, .npz or .safetensors file; object arrays (pickle) are refused."""
    suffix = Path(filename).suffix.lower()
    try:
        if suffix == ".npy":
            return np.load(io.BytesIO(content), allow_pickle=False)
        if suffix == ".npz":
            _check_zip(filename, content)
            loaded = np.load(io.BytesIO(content), allow_pickle=False)
            if not isinstance(loaded, np.lib.npyio.NpzFile):
                raise DataFormatError(f"`{filename}` is not an npz archive; save it with numpy.savez.")
            arrays = {key: loaded[key] for key in loaded.files}
        else:
            from safetensors import SafetensorError
            from safetensors.numpy import load

            try:
                arrays = load(content)
            except SafetensorError as error:
                raise DataFormatError(f"`{filename}` is not a safetensors file; save it with safetensors.") from error
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, DataFormatError):
            raise
        raise DataFormatError(
            f"`{filename}` is no plain {suffix[1:]} of numbers (objects and pickles are refused); save a float matrix."
        ) from error
    matrices = {key: value for key, value in arrays.items() if value.ndim == 2}
    if len(matrices) == 1:
        return next(iter(matrices.values()))
    for key in VECTOR_COLUMNS:
        if key in matrices:
            return matrices[key]
    raise DataFormatError(f"`{filename}` holds {len(matrices)} matrices; give one, or call it `embeddings`.")


def _check_zip(filename: str, content: bytes) -> list[zipfile.ZipInfo]:
    """The members of a zip, after its promised size was compared with the limits."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
    except zipfile.BadZipFile as error:
        raise DataFormatError(f"`{filename}` is no zip archive; zip the folder again.") from error
    total = sum(member.file_size for member in members)
    if total > MOST_UNZIPPED_BYTES or total > MOST_ZIP_RATIO * len(content):
        raise DataFormatError(
            f"`{filename}` would unpack to {total / MEGABYTE:,.0f} MB from {len(content) / MEGABYTE:,.1f} MB; "
            f"the limits are {MOST_UNZIPPED_BYTES // MEGABYTE} MB and {MOST_ZIP_RATIO} times its size."
        )
    return members


def _read_zip(filename: str, content: bytes, **options: Any) -> Corpus:
    members = _check_zip(filename, content)
    roots = [PurePosixPath(m.filename).parent for m in members if PurePosixPath(m.filename).name == "corpus.jsonl"]
    if not roots:
        raise DataFormatError(f"`{filename}` has no corpus.jsonl; zip a BEIR folder (corpus.jsonl, queries.jsonl, qrels/).")
    root = min(roots, key=lambda path: len(path.parts))
    names = {member.filename for member in members}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:

        def read(member: str) -> bytes | None:
            name = str(root / member)
            try:
                return archive.read(name) if name in names else None
            except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
                raise DataFormatError(f"`{filename}` cannot be unpacked ({member}); zip it again without a password.") from error

        return _read_beir(read, filename, **options)


def _folder_member(folder: Path, member: str) -> bytes | None:
    path = folder / member
    if not path.is_file():
        return None
    if path.stat().st_size > MOST_UNZIPPED_BYTES:
        raise DataFormatError(f"`{path.name}` is larger than {MOST_UNZIPPED_BYTES // MEGABYTE} MB; split the collection.")
    return path.read_bytes()


def _read_beir(
    read: Callable[[str], bytes | None], name: str, *, label_column: str | None, limit: int | None, keep_duplicates: bool
) -> Corpus:
    content = read("corpus.jsonl")
    if content is None:
        raise DataFormatError(f"`{name}` is not a BEIR folder: it has no corpus.jsonl; add it, or give a single file.")
    rows = _json_lines("corpus.jsonl", content)
    for number, row in enumerate(rows, start=1):
        if "_id" not in row or "text" not in row:
            raise DataFormatError(f"`corpus.jsonl` row {number} has no `_id` or no `text`; BEIR rows need both.")
    ids = [str(row["_id"]) for row in rows]
    texts = [f"{_cell(row.get('title'))} {_cell(row['text'])}".strip() for row in rows]
    corpus = corpus_from_texts(
        texts, name=name, ids=ids, labels=_metadata_labels(rows, label_column), keep_duplicates=keep_duplicates, limit=limit
    )
    queries_content = read("queries.jsonl")
    if queries_content is None:
        return corpus
    queries = {str(q.get("_id")): clean(_cell(q.get("text"))) for q in _json_lines("queries.jsonl", queries_content)}
    kept = {text: identifier for identifier, text in zip(reversed(corpus.ids), reversed(corpus.texts))}
    moved = {} if keep_duplicates else {i: kept[c] for i, t in zip(ids, texts) if (c := clean(t)) in kept}
    queries = {identifier: text for identifier, text in queries.items() if text}
    return with_retrieval(corpus, queries, _read_qrels(read("qrels/test.tsv")), moved)


def _metadata_labels(rows: Sequence[Mapping[str, Any]], label_column: str | None) -> dict[str, tuple[str | None, ...]]:
    metadata = [row["metadata"] if isinstance(row.get("metadata"), dict) else {} for row in rows]
    keys = list(dict.fromkeys(key for entry in metadata for key in entry))
    if label_column is not None:
        if label_column not in keys:
            raise DataFormatError(f"`corpus.jsonl` has no metadata {label_column!r}; choose one of {', '.join(keys) or '(none)'}.")
        keys = [label_column]
    labels = {key: tuple(_cell(entry.get(key)) or None for entry in metadata) for key in keys}
    return {key: values for key, values in labels.items() if len(set(values)) <= MOST_LABEL_VALUES}


def _read_qrels(content: bytes | None) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    if content is None:
        return qrels
    for number, line in enumerate(_decode("qrels/test.tsv", content).splitlines(), start=1):
        cells = line.split("\t")
        if (number == 1 and cells[0] == "query-id") or not line.strip():
            continue
        try:
            query, document, grade = cells[0], cells[1], int(cells[2])
        except (IndexError, ValueError) as error:
            raise DataFormatError(
                f"`qrels/test.tsv` line {number} is not query-id, corpus-id, whole-number score, separated by tabs."
            ) from error
        qrels.setdefault(query, {})[document] = grade
    return qrels
