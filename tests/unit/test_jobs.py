"""Jobs as their folders show them, run in this process; tests/reference/test_training_processes.py starts others."""

import json
import os
import stat
import time

import pytest
from filelock import FileLock

from mrl_viz.errors import DataFormatError, DimensionError, EmptyInputError, InvalidInputError, StoreError
from mrl_viz.files import write_json
from mrl_viz.training.config import TrainingConfig
from mrl_viz.training.data import labelled_data
from mrl_viz.training.jobs import (
    MOST_ACTIVE,
    cancel_job,
    delete_job,
    job_result,
    job_status,
    list_jobs,
    resume_job,
    run_job,
    start_job,
)
from tests.tiny_model import save_tiny_model, tiny_texts

TEXTS, LABELS = tiny_texts()
DATA = labelled_data(TEXTS, LABELS)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny_model(tmp_path_factory.mktemp("tiny") / "model"))


@pytest.fixture
def job(tmp_path, model):
    """A job as `start_job` leaves it, whose process never came up."""
    return prepared(tmp_path / "jobs" / "20260101-000000-aa", model)


def prepared(folder, model, launched=0.0, **changes):
    """A job's folder without its process; launched long ago unless said otherwise."""
    folder.mkdir(parents=True)
    config = TrainingConfig(model=model, **{"dims": (2, 4), "epochs": 3, "batch_size": 4} | changes)
    write_json(folder / "data.json", DATA.to_dict())
    write_json(
        folder / "job.json",
        {"name": "a job", "created": "2026-01-01T00:00:00+00:00", "config": config.to_dict(), "data_code": "mine"},
    )
    write_json(folder / "attempt.json", {"id": "one", "launched": launched, "log_bytes": 0})
    return folder


def test_a_job_that_ran_is_done_and_has_its_result(job):
    """Epochs of both runs in order, a result to look at, models beside it; it is neither resumed nor run twice."""
    assert job_status(job).state == "interrupted"
    run_job(job)
    status = job_status(job)
    assert (status.state, status.done, status.total, status.message, status.data_code) == ("done", 6, 6, "", "mine")
    assert [(epoch.run, epoch.epoch) for epoch in status.epochs] == [
        (run, n) for run in ("matryoshka", "plain") for n in (1, 2, 3)
    ]
    assert job_result(job).model_folder().is_dir() and job_result(job).config == status.config
    assert not (job / "reserve").exists()
    with pytest.raises(InvalidInputError, match="`a job` is done; only"):
        resume_job(job)
    assert json.loads(json.dumps(status.to_dict()))["state"] == "done" and status.takeaway() == "a job is done."


def test_a_job_asked_to_stop_is_cancelled(job):
    """A job that finds the wish to stop ends before its next step and can be resumed; there is no result."""
    (job / "cancel").touch()
    run_job(job)
    status = job_status(job)
    assert status.state == "cancelled" and status.can_resume and not status.is_active
    assert status.takeaway() == "a job was cancelled after 0 of 6 epochs; resume it to go on from there."
    with pytest.raises(DataFormatError, match="holds no finished training"):
        job_result(job)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "/no/such/model"}, "/no/such/model"),
        ({"dims": (2, 999)}, "999"),
        ({"dims": (16,)}, "`dims` has no width below the full 16"),
        ({"model": "openai:x"}, "openai"),
    ],
)
def test_what_goes_wrong_on_purpose_is_the_outcome(tmp_path, model, changes, message):
    """A model that is not there or settings that do not fit it: a failed job that says which."""
    folder = prepared(tmp_path / "jobs" / "x", **{"model": model} | changes)
    run_job(folder)
    status = job_status(folder)
    assert status.state == "failed" and message in status.message and status.can_resume
    assert message in status.takeaway()


def test_states_are_read_off_the_folder(tmp_path, model, monkeypatch):
    """Just launched: starting; locked: running; neither: interrupted, with the last line of a traceback, if any."""
    monkeypatch.setattr("mrl_viz.training.jobs.LOCK_WAIT_S", 0.1)
    folder = prepared(tmp_path / "jobs" / "x", model, launched=time.time())
    assert job_status(folder).state == "starting" and job_status(folder).is_active
    with FileLock(folder / "lock"):
        assert job_status(folder).state == "running"
        with pytest.raises(InvalidInputError, match="`a job` is running; cancel it first"):
            delete_job(folder)
        with pytest.raises(InvalidInputError, match="`a job` is running; only"):
            resume_job(folder)
        assert cancel_job(folder).state == "running" and (folder / "cancel").exists()
        run_job(folder)  # a second process finds the lock taken, and leaves
        assert not (folder / "outcome.json").exists()
    write_json(folder / "running.json", {"attempt": "one", "pid": 1})
    assert job_status(folder).state == "interrupted" and job_status(folder).message == ""
    (folder / "log.txt").write_text("a warning\n")
    assert job_status(folder).message == ""
    (folder / "log.txt").write_text("Traceback (most recent call last):\n  ...\nMemoryError: too much\n")
    assert (
        job_status(folder).takeaway()
        == "a job was interrupted after 0 of 6 epochs (MemoryError: too much); resume it to go on from there."
    )
    assert cancel_job(folder).state == "cancelled"


def test_half_a_line_of_progress_is_passed_over(job):
    """A kill in the middle of a line loses that epoch only; an epoch that was repeated counts once, the last time."""
    row = {
        "run": "matryoshka",
        "epoch": 1,
        "n_epochs": 3,
        "dims": [2, 4, 16],
        "losses": [3.0, 2.0, None],
        "seconds": 1.0,
    }
    lines = [json.dumps(row), json.dumps(row | {"losses": [1.0, 1.0, 1.0]}), json.dumps(row | {"epoch": 2})[:40]]
    (job / "progress.jsonl").write_text("\n".join(lines))
    (epoch,) = job_status(job).epochs
    assert epoch.losses == (1.0, 1.0, 1.0) and epoch.dims == (2, 4, 16)


def test_only_jobs_whose_ids_one_has_are_listed(tmp_path, model):
    """Newest first; an id lists itself only, and one that looks like a path lists nothing."""
    root = tmp_path / "jobs"
    ids = ["20260101-000000-aa", "20260102-000000-bb"]
    for name in ids:
        prepared(root / name, model)
    (root / "something else").mkdir()
    (root / "broken").mkdir()
    (root / "broken" / "job.json").write_text("{")
    assert [status.id for status in list_jobs(root)] == ids[::-1]
    assert [status.id for status in list_jobs(root, ids={ids[0]})] == ids[:1]
    assert list_jobs(root, ids={f"../jobs/{ids[0]}", "", "*"}) == () == list_jobs(root, ids=())
    assert list_jobs(tmp_path / "nothing") == ()
    with pytest.raises(DataFormatError, match="holds no job"):
        job_status(root / "broken")


def test_a_deleted_job_leaves_nothing(job):
    """The folder with the texts is gone."""
    run_job(job)
    delete_job(job)
    assert not job.exists() and job.parent.is_dir()


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"batch_size": 512}, EmptyInputError, "`batch_size` is 512 but 28 texts"),
        ({"dims": (16,)}, DimensionError, "no width below the full 16"),
        ({"dims": (4, 8), "weights": (1.0, 1.0)}, InvalidInputError, "the full width 16 needs one as well"),
    ],
)
def test_what_cannot_be_trained_starts_nothing(tmp_path, model, changes, error, match):
    """Settings that do not fit are refused before a folder is made."""
    with pytest.raises(error, match=match):
        start_job(DATA, TrainingConfig(model=model, **changes), full_dim=16, root=tmp_path / "jobs")
    assert not (tmp_path / "jobs").exists()


def test_a_busy_machine_refuses_more(tmp_path, model):
    """With as many jobs at work as there should be, neither a start nor a resume adds one."""
    root = tmp_path / "jobs"
    for number in range(MOST_ACTIVE):
        prepared(root / f"busy {number}", model, launched=time.time())
    waiting = prepared(root / "waiting", model)
    before = sorted(os.listdir(root))
    with pytest.raises(InvalidInputError, match=f"{MOST_ACTIVE} trainings are running on this machine already"):
        start_job(DATA, TrainingConfig(model=model, batch_size=4), root=root)
    with pytest.raises(InvalidInputError, match="wait until one ends"):
        resume_job(waiting)
    assert sorted(os.listdir(root)) == before


def test_a_place_that_cannot_be_written_is_said(tmp_path, model):
    """A file where the folder should be is one sentence."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        start_job(DATA, TrainingConfig(model=model, batch_size=4), root=tmp_path / "file")


def test_others_cannot_read_a_job(tmp_path, model, monkeypatch):
    """The folder with a user's texts is closed to other accounts, and its id cannot be guessed."""
    monkeypatch.setattr("mrl_viz.training.jobs._launch", lambda folder: None)
    first, second = (start_job(DATA, TrainingConfig(model=model, batch_size=4), root=tmp_path) for _ in range(2))
    assert stat.S_IMODE(first.folder.stat().st_mode) == 0o700
    tokens = {status.id.rsplit("-", 1)[1] for status in (first, second)}
    assert len(tokens) == 2 and all(len(token) == 16 for token in tokens)
