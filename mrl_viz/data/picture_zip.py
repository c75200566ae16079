"""Zips of pictures with their vectors: a table or arrays whose column `image` names the files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from mrl_viz.data import images, tables, vectors
from mrl_viz.data.beir import CORPUS
from mrl_viz.data.content import Options
from mrl_viz.data.corpus import Corpus
from mrl_viz.data.vectors import Parts, read_arrays, read_parts
from mrl_viz.errors import DataFormatError


def holds_pictures(members: Mapping[str, object]) -> bool:
    """Whether a zip is one of pictures, and not a BEIR folder, which may have some too."""
    return bool(_of_kind(members, images.SUFFIXES)) and not any(PurePosixPath(name).name == CORPUS for name in members)


def read_picture_zip(filename: str, members: Mapping[str, Callable[[], bytes]], options: Options) -> Corpus:
    """Vectors with a picture each, and whatever else a table says of them. Nothing is unpacked to a disk.

    Vectors lie in a column of the only table (.jsonl, .parquet), or in the only .npy, .npz or .safetensors file, in the
    order of its rows. The column `image`, or an array of strings of that name, names the files, from its own folder or
    from the zip's; rows without a text are called by their file.

    Raises
    ------
    DataFormatError : no vectors, several files of them, several tables, or a picture that cannot be read. Others : as
        `Parts.corpus`.
    """
    table = _only(filename, "tables", _of_kind(members, tables.SUFFIXES))
    arrays = _only(filename, "files of vectors", _of_kind(members, vectors.SUFFIXES))
    rows = None if table is None else tables.read_rows(table, members[table](), options)
    if arrays is not None:
        plain = options if rows is None else replace(options, text_column=None, label_column=None)
        parts = read_parts(arrays, read_arrays(arrays, members[arrays]()), plain)
        parts = parts if rows is None else _joined(parts, rows)
    elif rows is not None and rows.vectors is not None:
        parts = rows
    else:
        raise DataFormatError(
            f"`{filename}` holds pictures, which nothing here embeds, and no vectors; add their vectors, such as "
            "embeddings.npy, and a table whose column `image` names the files in the same order."
        )
    n_pictures = len(_of_kind(members, images.SUFFIXES))
    if parts.images is None and parts.image_files is None:
        parts.notes.append(f"{n_pictures} pictures are left out: no column `image` says which row they are of.")
    if parts.texts is None:
        parts.texts = parts.image_files
    root = PurePosixPath(table or arrays or "").parent

    def read(file: str) -> bytes | None:
        unpack = members.get(str(root / file), members.get(file))
        return None if unpack is None else unpack()

    return parts.corpus(filename, options, read)


def _joined(parts: Parts, rows: Parts) -> Parts:
    """Vectors and what lies beside them, with what a table says of the same rows."""
    return replace(
        parts,
        texts=parts.texts if rows.texts is None else rows.texts,
        ids=parts.ids if rows.ids is None else rows.ids,
        labels={**parts.labels, **rows.labels},
        image_files=parts.image_files if rows.image_files is None else rows.image_files,
        notes=[*parts.notes, *rows.notes],
    )


def _of_kind(members: Mapping[str, object], suffixes: Sequence[str]) -> list[str]:
    """The files of some kinds, without those that systems add."""
    paths = [(name, PurePosixPath(name)) for name in members]
    return [
        name
        for name, path in paths
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and "__MACOSX" not in path.parts
    ]


def _only(filename: str, what: str, found: Sequence[str]) -> str | None:
    if len(found) > 1:
        raise DataFormatError(f"`{filename}` holds {len(found)} {what}, such as {found[0]} and {found[1]}; keep one.")
    return found[0] if found else None
