"""What a server of many visitors holds: bounded by bytes, freed when they leave, out of the collector's way."""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import streamlit as st
from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx

from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import InvalidInputError

T = TypeVar("T")
MB = 1_000_000
# Of vectors and results in memory: a visitor's, of the samples for everybody, and of all visitors together. What goes
# is made again when it is asked for; vectors come back from the store.
SESSION_BYTES, SHARED_BYTES, ALL_BYTES = 500 * MB, 500 * MB, 4_000 * MB
# Of uploaded files, a visitor's and all visitors' together.
UPLOADED_BYTES, ALL_UPLOADED_BYTES = 400 * MB, 2_000 * MB
# How long garbage that was frozen with the rest may lie there.
SETTLE_EVERY_S = 300.0

_settled: dict[str, float] = {}
_uploaded: dict[str, dict[str, int]] = {}


def settle(page: str) -> None:
    """After a page's first run in this process, and every few minutes, take all that is loaded out of the collector's
    sight.

    Streamlit collects the whole heap after every run of a script. Most of the heap are modules, which stay anyway; with
    those frozen a run takes a third of the time. What is frozen is still freed when nothing refers to it any more; what
    closed sessions left in circles is found the next time.
    """
    now = time.monotonic()
    if page not in _settled or now - max(_settled.values()) > SETTLE_EVERY_S:
        _settled[page] = now
        gc.unfreeze()
        gc.collect()
        gc.freeze()


def size_of(value: object, _seen: set[int] | None = None) -> int:
    """Bytes that a result holds, about: arrays and texts, each once; vectors among its parts are counted elsewhere."""
    seen = set() if _seen is None else _seen
    if id(value) in seen or value is None or (seen and isinstance(value, Embedded)):
        return 0
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        return value.nbytes if value.base is None else size_of(value.base, seen)
    if isinstance(value, Mapping):
        return sum(size_of(part, seen) for pair in value.items() for part in pair)
    if isinstance(value, (tuple, list, set, frozenset)):
        return 8 * len(value) + sum(size_of(part, seen) for part in value)
    if hasattr(value, "__dict__") and not isinstance(value, type):
        return size_of(vars(value), seen)
    return sys.getsizeof(value)


class Shelf:
    """Values by key; of more than `most_bytes` the longest unused go, but never the newest one.

    Safe among threads: of several that ask for the same at once one makes it, and the others wait.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.used = time.monotonic()
        self._values: dict[Hashable, tuple[Any, int]] = {}
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    @property
    def n_bytes(self) -> int:
        """Bytes of all values, as they were when they were made."""
        with self._lock:
            return sum(size for _, size in self._values.values())

    def take(self, key: Hashable, make: Callable[[], T], size: Callable[[T], int] = size_of) -> T:
        """The value of that name, made where there is none."""
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                self.used = time.monotonic()
                if key in self._values:
                    self._values[key] = self._values.pop(key)
                    found: T = self._values[key][0]
                    return found
            made = make()
            with self._lock:
                self._values[key] = made, size(made)
                self._making.pop(key, None)
                while len(self._values) > 1 and sum(size for _, size in self._values.values()) > self.most_bytes:
                    self._drop_oldest()
            return made

    def shrink(self) -> bool:
        """Let the longest unused value go; whether there was one beside the newest."""
        with self._lock:
            if len(self._values) < 2:
                return False
            self._drop_oldest()
            return True

    def _drop_oldest(self) -> None:
        del self._values[next(iter(self._values))]

    def clear(self) -> None:
        """Let everything go."""
        with self._lock:
            self._values.clear()


SHARED = Shelf(SHARED_BYTES)
_shelves: weakref.WeakSet[Shelf] = weakref.WeakSet()


# Emptied when the session ends, not when the collector finds it.
@st.cache_resource(scope="session", show_spinner=False, on_release=Shelf.clear)
def own_shelf() -> Shelf:
    """The session's."""
    shelf = Shelf(SESSION_BYTES)
    _shelves.add(shelf)
    return shelf


def make_room() -> None:
    """Let go what visitors have not used for longest, while all of them together hold too much."""
    shelves = sorted(_shelves, key=lambda shelf: shelf.used)
    while shelves and sum(shelf.n_bytes for shelf in _shelves) > ALL_BYTES:
        if not shelves[0].shrink():
            shelves.pop(0)


def count_uploads(key: str, files: Sequence[Any]) -> None:
    """Count what was uploaded at one place; what is too much is dropped.

    Raises
    ------
    InvalidInputError : this visitor's files, or those of all visitors together, are too large.
    """
    context = get_script_run_ctx()
    session = context.session_id if context else ""
    for gone in [name for name in _uploaded if name != session and not _is_open(name)]:
        del _uploaded[gone]
    own = _uploaded.setdefault(session, {})
    own[key] = sum(file.size for file in files)
    everybodys = sum(sum(sizes.values()) for sizes in _uploaded.values())
    if sum(own.values()) <= UPLOADED_BYTES and everybodys <= ALL_UPLOADED_BYTES:
        return
    is_own = sum(own.values()) > UPLOADED_BYTES
    if context is not None and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        for file in files:
            context.uploaded_file_mgr.remove_file(session_id=session, file_id=file.file_id)
    own[key] = 0
    names = ", ".join(f"`{file.name}`" for file in files)
    if is_own:
        raise InvalidInputError(
            f"{names} was not kept: the files you uploaded take more than {UPLOADED_BYTES // MB:,} MB together. Remove "
            "one, or open the file with `mrl_viz sweep` on your own machine."
        )
    raise InvalidInputError(
        f"{names} was not kept: the files of everybody here take more than {ALL_UPLOADED_BYTES // MB:,} MB together. "
        "Try again later, or open the file with `mrl_viz sweep` on your own machine."
    )


def _is_open(session: str) -> bool:
    return not runtime.exists() or runtime.get_instance().is_active_session(session)
