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
from mrl_viz.errors import MrlVizError
from mrl_viz.ui.charts import code_shown, hint
from mrl_viz.ui.code import Script

TASKS_KEY = "background_tasks"
POLL_S = 1.0
# A browser that lost its connection comes back within this time, or not at all.
ABANDONED_S = 60.0
# Results kept per session; the oldest finished one goes first.
MOST_TASKS = 6
# One at a time for all visitors: two trainings on two cores only slow each other down.
WORKING = threading.Lock()

Result = TypeVar("Result")
Report = Callable[[int, int, str], None]
Stopped = Callable[[], bool]
Work = Callable[[Report, Stopped], Result]


@dataclass
class Task(Generic[Result]):
    """One piece of work. `work` is given (report, stopped): what to call with (done, total, words), and what to ask."""

    work: Work[Result]
    done: int = 0
    total: int = 0
    words: str = "Waiting for other work on this machine…"
    result: Result | None = None
    error: MrlVizError | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    session: str | None = None
    last_seen: float = 0.0

    def start(self) -> None:
        """Begin in a thread of its own; it ends with the server at the latest."""
        context = get_script_run_ctx()
        self.session, self.last_seen = (context.session_id if context else None), time.monotonic()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            with WORKING, one_thread():
                self.words = "Preparing…"
                self.result = self.work(self._report, self._is_stopped)
        except MrlVizError as error:
            self.error = error

    def _is_stopped(self) -> bool:
        """Whether somebody pressed Stop, or nobody has had the page open for a while: others wait for their turn."""
        if self.session is None or not runtime.exists() or runtime.get_instance().is_active_session(self.session):
            self.last_seen = time.monotonic()
        return self.stop.is_set() or time.monotonic() - self.last_seen > ABANDONED_S

    def _report(self, done: int, total: int, words: str) -> None:
        self.done, self.total, self.words = done, total, words

    @property
    def is_running(self) -> bool:
        """Whether the thread is at it, or waits for its turn."""
        return self.thread is not None and self.thread.is_alive()


def _tasks() -> dict[str, Task[Any]]:
    """The session's tasks by name, running or finished."""
    tasks: dict[str, Task[Any]] = st.session_state.setdefault(TASKS_KEY, {})
    return tasks


def _begin(key: str, work: Work[Any]) -> None:
    """Start a task under that name, in place of an earlier one."""
    tasks = _tasks()
    tasks.pop(key, None)
    tasks[key] = Task(work)
    tasks[key].start()
    for name in [name for name, old in tasks.items() if not old.is_running][: max(0, len(tasks) - MOST_TASKS)]:
        del tasks[name]


def asked_for(key: str, words: tuple[str, str], button: str, work: Work[Result], about: str, code: Script) -> Result:
    """The result of the named work, started by a button: `words` to do it again and the first time, `about` it before.

    While there is none the page ends with the code of the work, after progress and a Stop button while it runs.

    Raises
    ------
    MrlVizError : what the work raised. RuntimeError : it ended with an error that is not ours; the server's log has it.
    """
    found = _tasks().get(key)
    if (found is None or not found.is_running) and st.button(words[found is None], key=button, type="primary"):
        _begin(key, work)
        found = _tasks()[key]
    if found is None or found.is_running:
        if found is None:
            hint(about)
        else:
            _watch(key)
        code_shown(code)
        st.stop()
    if found.error is not None:
        raise found.error
    if found.result is None:
        raise RuntimeError(f"the work {key!r} ended without a result; see the server's log")
    result: Result = found.result
    return result


@st.fragment(run_every=POLL_S)
def _watch(key: str) -> None:
    found = _tasks().get(key)
    if found is None or not found.is_running:
        st.rerun()
    with st.container(border=True):
        st.progress(min(found.done / max(found.total, 1), 1.0), text=found.words)
        st.caption("It goes on while you look at other pages; come back for the result.")
        st.button("Stop", key=f"stop_{key}", on_click=found.stop.set)
