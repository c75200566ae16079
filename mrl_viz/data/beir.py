"""BEIR folders and zips: texts or ready vectors, queries and graded relevance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from mrl_viz.data.content import Members, Options, cell, decode, json_lines, not_used
from mrl_viz.data.corpus import Corpus, clean, corpus_from_texts, with_retrieval
from mrl_viz.data.tables import MOST_LABEL_VALUES
from mrl_viz.data.vectors import QUERY_VECTORS, SUFFIXES, read_arrays, read_parts
from mrl_viz.errors import DataFormatError

CORPUS = "corpus.jsonl"
VECTOR_FILES = tuple(stem + suffix for stem in ("embeddings", "vectors") for suffix in SUFFIXES)
QUERY_FILES = tuple(stem + suffix for stem in QUERY_VECTORS for suffix in SUFFIXES)
QRELS_FILES = ("qrels/test.tsv", "qrels.tsv")


def read_zip(filename: str, members: Mapping[str, Callable[[], bytes]], options: Options) -> Corpus:
    """The collection in a zip, wherever in it the folder is."""
    roots = [path.parent for path in map(PurePosixPath, members) if path.name in (CORPUS, *VECTOR_FILES)]
    if not roots:
        raise DataFormatError(f"`{filename}` has no corpus.jsonl; zip a BEIR folder (with queries.jsonl and qrels/).")
    root = min(roots, key=lambda path: len(path.parts))

    def read(member: str) -> bytes | None:
        unpack = members.get(str(root / member))
        return None if unpack is None else unpack()

    return read_collection(read, filename, options)


def read_collection(read: Members, name: str, options: Options) -> Corpus:
    """A collection of corpus.jsonl, queries.jsonl and qrels/test.tsv; vectors beside them are used instead of a model.

    Vectors lie in embeddings.npy (or .npz, .safetensors; or `vectors`), those of the queries in the same file or in
    queries.npy, in the order of the .jsonl files, which may then be missing: rows are called by their number, from 0.
    Beside vectors, `image` in every row of corpus.jsonl names a picture of the collection.

    Raises
    ------
    DataFormatError, EmptyInputError, ShapeError : members that cannot be used, or do not go together.
    """
    rows, query_rows = _rows(read, CORPUS), _rows(read, "queries.jsonl")
    qrels_file = _first(read, QRELS_FILES)
    qrels = read_qrels(*qrels_file) if qrels_file else {}
    vector_file = _first(read, VECTOR_FILES)
    if vector_file is not None:
        return _with_vectors(read, name, vector_file, rows, query_rows, qrels, options)
    if rows is None:
        raise DataFormatError(
            f"`{name}` is not a BEIR folder: it has no corpus.jsonl; add it (or embeddings.npy), or give a single file."
        )
    ids, texts = [cell(row["_id"]) for row in rows], _texts(rows)
    labels, notes = _metadata_labels(rows, options.label_column)
    keep, limit = options.keep_duplicates, options.limit
    corpus = corpus_from_texts(texts, name=name, ids=ids, labels=labels, keep_duplicates=keep, limit=limit, notes=notes)
    if query_rows is None:
        return corpus
    kept = {text: identifier for identifier, text in zip(reversed(corpus.ids), reversed(corpus.texts))}
    moved = {} if keep else {i: kept[c] for i, t in zip(ids, texts) if (c := clean(t)) in kept}
    queries = {cell(row["_id"]): text for row in query_rows if (text := clean(cell(row["text"])))}
    return with_retrieval(corpus, queries, qrels, moved)


def _with_vectors(
    read: Members,
    name: str,
    vector_file: tuple[str, bytes],
    rows: Sequence[Mapping[str, Any]] | None,
    query_rows: Sequence[Mapping[str, Any]] | None,
    qrels: Mapping[str, Mapping[str, int]],
    options: Options,
) -> Corpus:
    """The collection's vectors, with what the .jsonl files know of their rows."""
    plain = replace(options, text_column=None, label_column=None)
    parts = read_parts(vector_file[0], read_arrays(*vector_file), plain)
    parts.notes.append(f"Vectors are read from {vector_file[0]}; no model embeds the texts.")
    query_file = _first(read, QUERY_FILES)
    if query_file is not None:
        found = read_parts(query_file[0], read_arrays(*query_file), plain)
        parts.queries, parts.query_texts, parts.query_ids = found.vectors, found.texts, found.ids
        parts.notes += found.notes
    if rows is not None:
        parts.ids, parts.texts = [cell(row["_id"]) for row in rows], _texts(rows)
        parts.labels, notes = _metadata_labels(rows, options.label_column)
        parts.notes += notes
        if any(row.get("image") for row in rows):
            parts.image_files = [cell(row.get("image")) for row in rows]
    if query_rows is not None:
        parts.query_ids = [cell(row["_id"]) for row in query_rows]
        parts.query_texts = [cell(row["text"]) for row in query_rows]
    parts.qrels = qrels or parts.qrels
    return parts.corpus(name, options, read)


def _first(read: Members, names: Sequence[str]) -> tuple[str, bytes] | None:
    """The first of these members that is there, with its name."""
    return next(((name, content) for name in names if (content := read(name)) is not None), None)


def _rows(read: Members, member: str) -> list[dict[str, Any]] | None:
    if (content := read(member)) is None:
        return None
    rows = json_lines(member, content)
    for number, row in enumerate(rows, start=1):
        if row.get("_id") is None or "text" not in row:
            raise DataFormatError(f"`{member}` row {number} has no `_id` or no `text`; BEIR rows need both.")
    return rows


def _texts(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"{cell(row.get('title'))} {cell(row['text'])}".strip() for row in rows]


def _metadata_labels(
    rows: Sequence[Mapping[str, Any]], label_column: str | None
) -> tuple[dict[str, tuple[str | None, ...]], list[str]]:
    """The metadata as label columns, and a note that names what has too many values for one."""
    metadata = [row["metadata"] if isinstance(row.get("metadata"), dict) else {} for row in rows]
    keys = list(dict.fromkeys(key for entry in metadata for key in entry))
    if label_column is not None:
        if label_column not in keys:
            raise DataFormatError(f"`{label_column}` is no metadata here; choose one of {', '.join(keys) or '(none)'}.")
        keys = [label_column]
    labels = {key: tuple(cell(entry.get(key)) or None for entry in metadata) for key in keys}
    few = {key: values for key, values in labels.items() if len(set(values)) <= MOST_LABEL_VALUES}
    return few, not_used("Metadata", [key for key in labels if key not in few])


def read_qrels(name: str, content: bytes) -> dict[str, dict[str, int]]:
    """Query id to text id to grade: BEIR's three columns separated by tabs, or TREC's four (the second is skipped).

    Raises
    ------
    DataFormatError : a line that is neither.
    """
    qrels: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for number, line in enumerate(decode(name, content).splitlines(), start=1):
        cells = line.split("\t")
        if (number == 1 and cells[0] == "query-id") or not line.strip():
            continue
        if len(fields := line.split()) == 4 and len(cells) in (1, 4):
            cells = [fields[0], *fields[2:]]
        try:
            query, document, grade = cells[0], cells[1], int(cells[2])
        except (IndexError, ValueError) as error:
            what = f"`{name}` line {number} is not query-id, corpus-id, whole-number score"
            raise DataFormatError(f"{what}; separate the three by tabs.") from error
        qrels[query][document] = grade
    return dict(qrels)
