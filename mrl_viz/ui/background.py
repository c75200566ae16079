"""Work beside the page: a thread a piece, so that a click elsewhere does not end it; with progress and a stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from mrl_viz.adaptor.adaptor import one_thread
from mrl_viz.errors import CancelledError, MrlVizError
from mrl_viz.ui.charts import code_shown, hint, plain
from mrl_viz.ui.code import Script

TASKS_KEY = "background_tasks"
POLL_S = 1.0
# What is done within this time shows no progress: it would only flicker.
QUICK_S = 0.5
# A browser that lost its connection comes back within this time, or not at all.
ABANDONED_S = 60.0
# Results kept per session, and of the samples for everybody; the oldest finished one goes first.
MOST_TASKS, MOST_SHARED = 12, 24
# One at a time for all visitors: two trainings on two cores only slow each other down.
WORKING = threading.Lock()

Result = TypeVar("Result")
Report = Callable[[int, int, str], None]
Stopped = Callable[[], bool]
Work = Callable[[Report, Stopped], Result]


@dataclass
class Task(Generic[Result]):
    """One piece of work. `work` is given (report, stopped): what to call with (done, total, words), and what to ask.

    `first_look` : done before it, for a `draft` to look at meanwhile. `watchers` : the sessions that wait for it; it
    stops when none does any more.
    """

    work: Work[Result]
    first_look: Work[Result] | None = None
    done: int = 0
    total: int = 0
    words: str = "Waiting for other work on this machine…"
    draft: Result | None = None
    result: Result | None = None
    error: MrlVizError | None = None
    thread: threading.Thread | None = None
    watchers: set[str] = field(default_factory=set)
    last_seen: float = 0.0

    def start(self) -> None:
        """Begin in a thread of its own; it ends with the server at the latest."""
        self.last_seen = time.monotonic()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            with WORKING, one_thread():
                self.words = "Preparing…"
                if self.first_look is not None:
                    self.draft = self.first_look(self._report, self._is_stopped)
                self.result = self.work(self._report, self._is_stopped)
        except MrlVizError as error:
            self.error = error

    def _is_stopped(self) -> bool:
        """Whether all pressed Stop, or nobody has had the page open for a while: others wait for their turn."""
        if any(map(_is_open, tuple(self.watchers))):
            self.last_seen = time.monotonic()
        return not self.watchers or time.monotonic() - self.last_seen > ABANDONED_S

    def _report(self, done: int, total: int, words: str) -> None:
        self.done, self.total, self.words = done, total, words

    @property
    def is_running(self) -> bool:
        """Whether the thread is at it, or waits for its turn."""
        return self.thread is not None and self.thread.is_alive()


# Work on the samples, which a room asks for at once and which is done once.
_SHARED: dict[str, Task[Any]] = {}
_SHARING = threading.Lock()


def _session() -> str:
    context = get_script_run_ctx()
    return context.session_id if context else ""


def _is_open(session: str) -> bool:
    return not session or not runtime.exists() or runtime.get_instance().is_active_session(session)


def _tasks() -> dict[str, Task[Any]]:
    """The session's tasks by name, running or finished."""
    tasks: dict[str, Task[Any]] = st.session_state.setdefault(TASKS_KEY, {})
    return tasks


def finished(key: str) -> Any:
    """The result of the named work, where this session asked for it and it is done; else None."""
    found = _tasks().get(key)
    return None if found is None else found.result


def _begin(key: str, work: Work[Any], is_shared: bool, first_look: Work[Any] | None = None) -> Task[Any]:
    """Start a task under that name in place of the session's earlier one, or wait for the one that others started."""
    tasks = _tasks()
    before = tasks.pop(key, None)
    with _SHARING:
        task = _SHARED.get(key) if is_shared else None
        if task is None or task is before or not (task.result is not None or (task.is_running and task.watchers)):
            task = Task(work, first_look)
        task.watchers.add(_session())
        if task.thread is None:
            task.start()
        if is_shared:
            _SHARED[key] = task
            _forget(_SHARED, MOST_SHARED)
    tasks[key] = task
    _forget(tasks, MOST_TASKS)
    if task.thread is not None:
        task.thread.join(QUICK_S)
    return task


def _forget(tasks: dict[str, Task[Any]], most: int) -> None:
    for name in [name for name, old in tasks.items() if not old.is_running][: max(0, len(tasks) - most)]:
        del tasks[name]


def _leave(key: str) -> None:
    """Stop waiting; the work itself goes on while somebody else waits for it."""
    task = _tasks()[key]
    task.watchers.discard(_session())
    if task.watchers:
        del _tasks()[key]


def steps(report: Report, stopped: Stopped, words: str) -> Callable[[int, int], None]:
    """What work that only tells its progress is given: it reports after those words, and ends the work after a stop."""

    def progress(done: int, total: int) -> None:
        if stopped():
            raise CancelledError(f"Stopped after {done} of {total} steps.")
        report(done, total, f"{words}: {done:,} of {total:,}")

    return progress


def asked_for(
    key: str, words: tuple[str, str], button: str, work: Work[Result], about: str, code: Script | None = None, *,
    at_hand: Result | None = None, first_look: Work[Result] | None = None, is_shared: bool = False,
    starts: bool = False,
) -> Result:  # fmt: skip
    """The result of the named work, started by a button: `words` to do it again and the first time, `about` it before.

    While there is none the page ends with the code of the work, after progress and a Stop button while it runs.

    Parameters
    ----------
    at_hand : a result that is there already; it is shown until the work was asked for
    first_look : quicker work of the same kind, done first; its result is shown below the progress of the whole, and
        after a stop
    is_shared : everybody who asks for this name asks for the same; it is done once
    starts : without its button, which is there only to start it again after a stop

    Raises
    ------
    MrlVizError : what the work raised. RuntimeError : it ended with an error that is not ours; the server's log has it.
    """
    found = _tasks().get(key)
    if found is not None and isinstance(found.error, CancelledError):
        about, starts = f"{plain(str(found.error))} {about}", False
        if at_hand is None and found.draft is not None:
            hint(about)
            at_hand = found.draft
        found = None
    is_wanted = starts and found is None and at_hand is None
    if not starts and (found is None or not found.is_running):
        is_first = found is None and at_hand is None
        is_wanted = st.button(words[is_first], key=button, type="primary" if is_first else "secondary")
    if is_wanted:
        found = _begin(key, work, is_shared, first_look)
    if found is None and at_hand is not None:
        return at_hand
    if found is None or found.is_running:
        if found is None:
            hint(about)
        else:
            _watch(key, has_draft=found.draft is not None)
            if found.draft is not None:
                draft: Result = found.draft
                return draft
        if code is not None:
            code_shown(code)
        st.stop()
    if found.error is not None:
        raise found.error
    if found.result is None:
        raise RuntimeError(f"the work {key!r} ended without a result; see the server's log")
    result: Result = found.result
    return result


@st.fragment(run_every=POLL_S)
def _watch(key: str, has_draft: bool) -> None:
    found = _tasks().get(key)
    if found is None or not found.is_running or (found.draft is not None) != has_draft:
        st.rerun()
    with st.container(border=True):
        st.progress(min(found.done / max(found.total, 1), 1.0), text=found.words)
        st.caption("It goes on while you look at other pages; come back for the result.")
        st.button("Stop", key=f"stop_{key}", on_click=_leave, args=(key,))
