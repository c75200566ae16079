"""A visitor's own data kept on this machine, when she asks for it, so that a reload finds them; hers to delete.

The address then holds a name that cannot be guessed. Files are called by its hash, so that who can list them still
cannot open a page of what they hold; only who runs the server may read the folder.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import streamlit as st

from mrl_viz.archive import read_result, write_result
from mrl_viz.data.corpus import Corpus
from mrl_viz.embedding.store import EmbeddingStore
from mrl_viz.errors import InvalidInputError
from mrl_viz.files import disk_errors
from mrl_viz.ui.charts import errors_shown, small_print
from mrl_viz.ui.memory import MB
from mrl_viz.ui.workspace import Source, own_corpus, own_source, use_corpus

URL_KEY, FINGERPRINT_KEY = "kept", "kept_fingerprint"
NAME_BYTES, NAME = 16, re.compile(r"[A-Za-z0-9_-]{22}")
# Of all that is kept here.
MOST_BYTES = 2_000 * MB


@dataclass(frozen=True)
class _Kept:
    corpus: Corpus
    source: Source


def _file(name: str) -> Path:
    return EmbeddingStore().folder / "texts" / f"{sha256(name.encode()).hexdigest()[:32]}.npz"


def _name() -> str | None:
    """What the address calls the kept data; None where it names none as we would."""
    name = st.query_params.get(URL_KEY, "")
    return name if NAME.fullmatch(name) else None


def bring_back() -> None:
    """At a visit's beginning: the data that the address names become the session's own, where they are still kept."""
    name = _name()
    if name is None or own_corpus() is not None:
        return
    found = read_result(_Kept, _file(name), key=URL_KEY)
    if found is None:
        st.query_params.pop(URL_KEY, None)
        return
    st.session_state[FINGERPRINT_KEY] = found.corpus.fingerprint
    use_corpus(found.corpus, found.source)


def keep(corpus: Corpus, source: Source) -> None:
    """Write the data, in place of what the address names already, and name them in the address.

    Raises
    ------
    InvalidInputError : too much is kept here already. StoreError : the disk refuses.
    """
    name = _name() or secrets.token_urlsafe(NAME_BYTES)
    file = _file(name)
    with disk_errors(file.parent, "free some space, or go on without keeping them"):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if sum(other.stat().st_size for other in file.parent.iterdir()) > MOST_BYTES:
            raise InvalidInputError(
                f"More than {MOST_BYTES // MB:,} MB of texts are kept on this machine; delete some, or go on without."
            )
        write_result(_Kept(corpus, source), file, key=URL_KEY)
    st.query_params[URL_KEY], st.session_state[FINGERPRINT_KEY] = name, corpus.fingerprint


def forget() -> None:
    """Delete what the address names; the session goes on with it until it ends.

    Raises
    ------
    StoreError : the disk refuses.
    """
    name = _name()
    if name is not None:
        with disk_errors(_file(name), "ask the owner of the machine", doing="deleted"):
            _file(name).unlink(missing_ok=True)
    st.query_params.pop(URL_KEY, None)
    st.session_state.pop(FINGERPRINT_KEY, None)


def offer_to_keep() -> None:
    """Buttons to keep the session's own data on this machine and to delete what is kept; nothing for the sample."""
    corpus = own_corpus()
    if corpus is None:
        return
    is_kept = _name() is not None
    is_this = is_kept and st.session_state.get(FINGERPRINT_KEY) == corpus.fingerprint
    with st.container(horizontal=True):
        label = "Keep these instead of my earlier texts" if is_kept else "Keep my texts on this machine"
        wanted = not is_this and st.button(label, key="keep_texts")
        unwanted = is_kept and st.button("Delete my kept texts", key="delete_texts")
    if wanted or unwanted:
        with errors_shown():
            if wanted:
                keep(corpus, own_source())
            else:
                forget()
            st.rerun()
    small_print(
        "Kept on the machine that serves this page, under this page's address; whoever has the address can open them."
        if is_this
        else "A reload forgets your texts. Kept, they lie on the machine that serves this page until you delete them, "
        "and whoever has the page's address can open them."
    )
