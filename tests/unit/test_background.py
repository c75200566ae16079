"""Work beside the page: done once for a room, stopped when nobody waits for it."""

import threading

import pytest

from mrl_viz.errors import CancelledError, InvalidInputError
from mrl_viz.ui import background


@pytest.fixture
def visitor(monkeypatch):
    """Who is asking, and what each has begun."""
    now, tasks = ["first"], {"first": {}, "second": {}}
    monkeypatch.setattr(background, "_session", lambda: now[0])
    monkeypatch.setattr(background, "_is_open", lambda session: True)
    monkeypatch.setattr(background, "_tasks", lambda: tasks[now[0]])
    monkeypatch.setattr(background, "_SHARED", {})
    monkeypatch.setattr(background, "QUICK_S", 0)
    return now


class Work:
    """Counts how often it was begun; works until it is let go or stopped."""

    def __init__(self):
        self.begun, self.go = 0, threading.Event()

    def __call__(self, report, stopped):
        self.begun += 1
        progress = background.steps(report, stopped, "Working")
        while not self.go.wait(0.01):
            progress(1, 2)
        return self.begun


def test_a_room_that_asks_for_the_same_has_it_done_once(visitor):
    """Two visitors wait for one piece of work and have one result; asked for again it is done again."""
    work = Work()
    one = background._begin("answer", work, True)
    visitor[0] = "second"
    assert background._begin("answer", work, True) is one
    work.go.set()
    one.thread.join()
    assert one.result == work.begun == 1
    again = background._begin("answer", work, True)
    again.thread.join()
    assert again is not one and again.result == 2


def test_work_of_ones_own_is_not_shared(visitor):
    """The same name asked for by two visitors of their own data is two pieces of work."""
    works = {}
    for name in ("first", "second"):
        visitor[0], works[name] = name, Work()
        works[name].go.set()
        background._begin("answer", works[name], False).thread.join()
    assert [work.begun for work in works.values()] == [1, 1]


def test_work_goes_on_while_somebody_waits_for_it(visitor):
    """One of two presses Stop: she waits no more, the other has the result; when the last one leaves, it stops."""
    work = Work()
    task = background._begin("answer", work, True)
    visitor[0] = "second"
    background._begin("answer", work, True)
    background._leave("answer")
    assert not background._tasks() and task.is_running
    visitor[0] = "first"
    background._leave("answer")
    task.thread.join(5)
    assert not task.is_running and isinstance(task.error, CancelledError) and task.result is None
    assert "Stopped after 1 of 2 steps" in str(task.error) and background._tasks() == {"answer": task}
    work.go.set()
    new = background._begin("answer", work, True)
    new.thread.join()
    assert new is not task and new.result == 2


def test_what_the_work_raises_is_kept_for_the_page(visitor):
    """An error of ours is the task's; the next one who asks starts again."""

    def fails(report, stopped):
        raise InvalidInputError("no such thing")

    task = background._begin("answer", fails, True)
    task.thread.join()
    assert str(task.error) == "no such thing" and task.result is None
    work = Work()
    work.go.set()
    background._begin("answer", work, True).thread.join()
    assert work.begun == 1


def test_few_results_are_kept(visitor, monkeypatch):
    """Of finished work the oldest goes; what still runs stays."""
    monkeypatch.setattr(background, "MOST_TASKS", 2)
    for name in ("a", "b", "c"):
        background._begin(name, lambda report, stopped: 1, False).thread.join()
    assert list(background._tasks()) == ["b", "c"]
    monkeypatch.setattr(background, "MOST_TASKS", 1)
    running = Work()
    background._begin("running", running, False)
    assert list(background._tasks()) == ["running"]
    running.go.set()
    background._tasks()["running"].thread.join()


def test_a_first_look_is_there_while_the_work_goes_on_and_after_a_stop(visitor):
    """The draft comes before the work and is kept whatever becomes of it."""
    work = Work()
    task = background._begin("answer", work, False, first_look=lambda report, stopped: "draft")
    while not work.begun:
        task.thread.join(0.01)
    assert task.is_running and task.draft == "draft" and task.result is None
    background._leave("answer")
    task.thread.join()
    assert isinstance(task.error, CancelledError) and task.draft == "draft"
