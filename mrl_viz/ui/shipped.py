"""Finished answers about the sample, which come with the project: a first visit waits for none of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import streamlit as st

from mrl_viz.archive import read_result
from mrl_viz.data.samples import sample_data_folder
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.ui.results import SAMPLE, sample
from mrl_viz.ui.workspace import Workspace

T = TypeVar("T")
FOLDER = sample_data_folder() / "results"


def answer_key(vectors: Embedded, *made_of: object) -> str:
    """What an answer was made of: the vectors, without queries, and whatever was chosen."""
    return repr((vectors.fingerprint, *made_of))


def at_hand(
    kind: type[T], name: str, workspace: Workspace, *made_of: object, given: Callable[[], dict[str, Any]] = dict
) -> T | None:
    """The answer of that name that comes with the sample; None where data, model or choice are others.

    `given` : the fields that its file leaves out.
    """
    if workspace.corpus is not sample(SAMPLE):
        return None
    found: T | None = _read(kind, name, answer_key(workspace.embedded, *made_of), given)
    return found


@st.cache_resource(show_spinner=False)
def _read(_kind: Any, name: str, key: str, _given: Callable[[], dict[str, Any]]) -> Any:
    """Read once per server, so that its figures are everybody's too."""
    return read_result(_kind, FOLDER / f"{name}.npz", key=key, **_given())
