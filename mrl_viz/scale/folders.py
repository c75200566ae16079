"""Vectors in folders that a machine's owner named: what lies there, and a sample of it that fits into memory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mrl_viz.data.corpus import Corpus, corpus_from_vectors, with_notes
from mrl_viz.errors import InvalidInputError
from mrl_viz.scale.rows import SUFFIXES, is_rows, open_rows
from mrl_viz.truncation import check_count

# A folder is looked through so deep and so far; a store of texts or a home folder has more than anybody would scroll.
MOST_DEPTH, MOST_LOOKED_AT, MOST_SOURCES = 4, 20_000, 200
# What a sample's note says.
DRAWN = "drawn at random from all"


def found_sources(folders: Iterable[str | Path]) -> dict[str, Path]:
    """The sources of vectors in these folders by name, such as "vectors/wiki.npy": the folder's own name, then the way.

    What a link leads out of its folder is none, nor are hidden files and folders that cannot be read. Of two with one
    name the first is taken.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        root = Path(folder).resolve()
        left = MOST_LOOKED_AT
        waiting = [(root, root.name, 0)]
        while waiting and left > 0 and len(found) < MOST_SOURCES:
            here, name, depth = waiting.pop(0)
            try:
                entries = sorted(here.iterdir(), key=lambda path: path.name)[:left]
            except OSError:  # not ours to read, or gone
                continue
            left -= len(entries)
            for path in entries:
                if path.name.startswith(".") or not _is_inside(path, root):
                    continue
                is_named = path.suffix.lower() in SUFFIXES
                if (is_named or (path.is_dir() and _holds_parts(path))) and _all_inside(path, root):
                    found.setdefault(f"{name}/{path.name}", path)
                elif path.is_dir() and not is_named and not path.is_symlink() and depth < MOST_DEPTH:
                    waiting.append((path, f"{name}/{path.name}", depth + 1))
    return dict(list(found.items())[:MOST_SOURCES])


def _is_inside(path: Path, root: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):  # a link to nothing, or in a circle
        return False


def _all_inside(folder: Path, root: Path) -> bool:
    """Whether nothing in it, however deep, is a link that leads out; a chunk of an array may be one too."""
    for here, folders, files in os.walk(folder):
        for entry in (*folders, *files):
            path = Path(here, entry)
            if path.is_symlink() and not _is_inside(path, root):
                return False
    return True


def _holds_parts(folder: Path) -> bool:
    """Whether it is one source in parts."""
    try:
        return is_rows(folder)
    except OSError:
        return False


def sample_of(source: str | Path, n_rows: int = 5000, *, seed: int = 0, name: str | None = None) -> Corpus:
    """A corpus of rows drawn from a source without replacement, all equally likely; all rows where there are no more.

    Parameters
    ----------
    source : as of `open_rows`
    name : what to call the source, its path by default

    Returns
    -------
    Corpus : of ready vectors; the text of each says which row it is, and the name how many of how many they are.

    Raises
    ------
    InvalidInputError : fewer than 2 rows asked for. Others : as `open_rows` and `Rows.read`.
    """
    check_count("n_rows", n_rows)
    if n_rows < 2:
        raise InvalidInputError(f"`n_rows` is {n_rows}; neighbors need at least 2.")
    name = str(source) if name is None else name
    rows = open_rows(source, name=name)
    n_drawn = min(n_rows, rows.n_rows)
    items = np.sort(np.random.default_rng(seed).choice(rows.n_rows, n_drawn, replace=False)).astype(np.int64)
    corpus = corpus_from_vectors(
        rows.take(items), texts=[f"row {item:,}" for item in items], ids=[str(item) for item in items],
        name=f"{n_drawn:,} of {rows.n_rows:,} rows of {name}{f', seed {seed}' if n_drawn < rows.n_rows else ''}",
    )  # fmt: skip
    said = (
        f"These are {n_drawn:,} rows {DRAWN} {rows.n_rows:,} (seed {seed}), and neighbors are those among them: among "
        "all, where many are nearly as close, fewer usually survive a cut."
    )
    return with_notes(corpus, [said] if n_drawn < rows.n_rows else [])
