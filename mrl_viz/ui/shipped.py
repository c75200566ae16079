"""Finished answers that nobody waits for: those about the sample come with the project, others are kept on its machine.

What is kept is found by what it was made of, so only who has the same texts, labels and choices finds it: after a
reload, too, when the texts are there again. No text is in it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import streamlit as st

from mrl_viz.archive import read_result, write_result
from mrl_viz.data.samples import sample_data_folder
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.embedding.store import EmbeddingStore
from mrl_viz.ui.memory import own_shelf
from mrl_viz.ui.results import is_of_sample
from mrl_viz.ui.workspace import Workspace

T = TypeVar("T")
# Files of answers kept, the last made; one takes some hundred kilobytes.
MOST_KEPT = 64
FOLDER = sample_data_folder() / "results"


def answer_key(vectors: Embedded, *made_of: object) -> str:
    """What an answer was made of: the vectors, without queries, and whatever was chosen."""
    return repr((vectors.fingerprint, *made_of))


def at_hand(
    kind: type[T], name: str, workspace: Workspace, *made_of: object, given: Callable[[], dict[str, Any]] = dict
) -> T | None:
    """The answer of that name that comes with a sample; None where data, model or choice are others.

    `given` : the fields that its file leaves out.
    """
    if not is_of_sample(workspace.embedded):
        return None
    found: T | None = _read(kind, name, answer_key(workspace.embedded, *made_of), given)
    return found


@st.cache_resource(show_spinner=False)
def _read(_kind: Any, name: str, key: str, _given: Callable[[], dict[str, Any]]) -> Any:
    """Read once per server, so that its figures are everybody's too."""
    return read_result(_kind, FOLDER / f"{name}.npz", key=key, **_given())


def keep(result: Any, name: str, key: str, without: tuple[str, ...] = ()) -> None:
    """Keep an answer on the app's machine, for `kept` to find; `without` : fields that are left out.

    Where the disk refuses it the answer is there all the same, until the session ends.
    """
    file = _kept_file(name, key)
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_result(result, file, key=key, without=without)
        for old in sorted(file.parent.glob("*.npz"), key=lambda one: one.stat().st_mtime)[:-MOST_KEPT]:
            old.unlink(missing_ok=True)


def kept(kind: type[T], name: str, key: str, given: Callable[[], dict[str, Any]] = dict) -> T | None:
    """The answer of that name made of that; None where none was kept. `given` : the fields that were left out."""
    file = _kept_file(name, key)
    if not file.is_file():
        return None
    return own_shelf().take(("kept", name, key), lambda: read_result(kind, file, key=key, **given()))


def _kept_file(name: str, key: str) -> Path:
    return EmbeddingStore().folder / "results" / f"{name}-{sha256(key.encode()).hexdigest()[:32]}.npz"
