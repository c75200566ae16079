"""Reading corpora from files: texts, tables, BEIR folders and zips, sentence pairs, vectors, pictures. Never pickle."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mrl_viz.data import beir, tables, vectors
from mrl_viz.data.content import (
    MOST_BYTES,
    MOST_VECTOR_BYTES,
    Options,
    check_size,
    decode,
    folder_members,
    zip_members,
)
from mrl_viz.data.corpus import Corpus, corpus_from_texts, with_qrels, with_queries
from mrl_viz.data.digits import digits_corpus
from mrl_viz.data.limit import limit_members
from mrl_viz.data.picture_zip import holds_pictures, read_picture_zip
from mrl_viz.data.samples import DIGITS, LIMIT, SAMPLES, sample_path
from mrl_viz.errors import DataFormatError

KINDS = ", ".join((".txt", *tables.SUFFIXES, ".zip (BEIR, or pictures with their vectors)", *vectors.SUFFIXES))


def read_corpus(
    source: str | Path,
    *,
    queries: str | Path | None = None,
    qrels: str | Path | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    limit: int | None = None,
    keep_duplicates: bool = False,
    fewest: int = 2,
) -> Corpus:
    """The corpus in a file or BEIR folder, or a sample by its word, such as "sample".

    Parameters
    ----------
    queries : any file that can be a corpus, to search with instead of the data's own queries: texts in texts, vectors
        of the same model in vectors
    qrels : graded relevance, BEIR's .tsv or TREC's; where files have no ids, rows are called by their number, from 0
    text_column, label_column : of a table, or names of arrays beside vectors; None guesses
    limit : only the first rows. keep_duplicates : keep exact duplicates. fewest : texts that must be left

    Raises
    ------
    DataFormatError : no such file, or not what its name promises. InvalidInputError : queries of another kind, or no
        judgement of these queries and texts. Others : see `read_upload`.
    """
    options = Options(text_column, label_column, limit, keep_duplicates)
    corpus = _read(source, options).at_least(fewest)
    if queries is not None:
        corpus = with_queries(corpus, read_queries(queries))
    if qrels is not None:
        corpus = with_qrels(corpus, beir.read_qrels(Path(qrels).name, _bytes(qrels, MOST_BYTES)), are_named=True)
    return corpus


def read_queries(source: str | Path) -> Corpus:
    """The queries in any file that can be a corpus: texts or vectors; one is enough, and equal ones are kept.

    Raises
    ------
    DataFormatError, EmptyInputError, ShapeError : see `read_corpus`.
    """
    return _read(source, Options(keep_duplicates=True, unnamed="query")).at_least(1)


def read_upload(filename: str, content: bytes, *, fewest: int = 2, **options: Any) -> Corpus:
    """The corpus in a file's bytes; its name says the format. Options : see `read_corpus`.

    Raises
    ------
    DataFormatError : not what its name promises. EmptyInputError, InvalidInputError, ShapeError : unusable.
    """
    check_size(filename, len(content), MOST_BYTES)
    return _read_content(filename, content, Options(**options)).at_least(fewest)


def _read(source: str | Path, options: Options) -> Corpus:
    own = sample_path(str(source))
    path = own or Path(os.path.expanduser(source))
    with _opening(source):
        if own is not None and str(source) in DIGITS:
            return digits_corpus(own, str(source), options)
        if path.is_dir():
            name = str(source) if own else path.resolve().name
            members = limit_members(path) if source == LIMIT else folder_members(path)
            return beir.read_collection(members, name, options)
        if path.is_file():
            is_vectors = path.suffix.lower() in (*vectors.SUFFIXES, ".parquet")
            corpus = _read_content(path.name, _bytes(path, MOST_VECTOR_BYTES if is_vectors else MOST_BYTES), options)
            return replace(corpus, name=str(source)) if own else corpus
    samples = ", ".join(f"`{word}`" for word in SAMPLES)
    raise DataFormatError(f"`{source}` is no file here; give a path to {KINDS}, a BEIR folder, or {samples}.")


def _bytes(path: str | Path, most: int) -> bytes:
    """The content of a file of at most so many bytes."""
    path = Path(path)
    with _opening(path):
        check_size(path.name, path.stat().st_size, most)
        return path.read_bytes()


@contextmanager
def _opening(source: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataFormatError(f"`{source}` cannot be opened ({error}); check its name and permissions.") from error


def _read_content(filename: str, content: bytes, options: Options) -> Corpus:
    suffix = Path(filename).suffix.lower()
    if suffix == ".txt":
        lines = decode(filename, content).splitlines()
        return corpus_from_texts(lines, name=filename, keep_duplicates=options.keep_duplicates, limit=options.limit)
    if suffix in vectors.SUFFIXES:
        return vectors.read_parts(filename, vectors.read_arrays(filename, content), options).corpus(filename, options)
    if suffix == ".zip":
        members = zip_members(filename, content)
        return (read_picture_zip if holds_pictures(members) else beir.read_zip)(filename, members, options)
    if suffix in tables.SUFFIXES:
        return tables.read_table(filename, content, options)
    raise DataFormatError(f"`{filename}` is of a kind that is not read here; give one of {KINDS}.")
