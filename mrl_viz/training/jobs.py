"""Training beside the app: each job is a process with a folder of its own, which outlives pages, visitors and the app.

    job.json         what to train and from which model; written once, so that the folder is all a resume needs
    data.json        the user's texts and which of them are trained on; nobody else's account can read the folder
    attempt.json     when the process was last started, and how long the log was
    running.json     what the process says when it has begun
    lock             held by the process as long as it lives, however it ends: who can take it knows nobody works here
    progress.jsonl   one line per finished epoch
    cancel           there when somebody asked to stop
    outcome.json     "done", "cancelled" or "failed", and why; missing after a kill
    reserve          some room on the disk, given back at the end so that a full disk can still be reported
    log.txt          what the process printed
    result/          checkpoints, then both models and comparison.json: see `mrl_viz.training.twins`

Plain JSON and safetensors throughout. Run by hand: python -m mrl_viz.training.jobs JOBFOLDER

A job's id ends in 64 random bits. It is the only key to it: the app shows a visitor the jobs whose ids that visitor
has, never a list of all, unless the machine's owner allows that (MRL_VIZ_ALL_JOBS=1).
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from mrl_viz.errors import CancelledError, DataFormatError, InvalidInputError, MrlVizError
from mrl_viz.files import disk_errors, write_json
from mrl_viz.result import Result
from mrl_viz.training.config import SMALL_BASES, Run, TrainingConfig, check_config
from mrl_viz.training.data import TrainingData, check_batch
from mrl_viz.training.loop import EpochLosses
from mrl_viz.training.twins import TwinRun, load_twin_run, train_twins

State = Literal["starting", "running", "interrupted", "done", "cancelled", "failed"]
ACTIVE: tuple[State, ...] = ("starting", "running")
# A process without its lock after so long was killed before it could take it; on a busy machine Python takes seconds.
STARTING_S = 60.0
# A status asked at the very moment a job starts holds the lock for an instant; the job waits that out.
LOCK_WAIT_S = 5.0
# Visitors come before training.
NICENESS = 5
# Two cores: a third training would only slow down all of them, and the app.
MOST_ACTIVE = 2
# Enough for outcome.json.
RESERVE_BYTES = 16_384
LOG_CHARACTERS = 300
TOKEN_BYTES = 8

_CHILDREN: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class JobStatus(Result):
    """A job as its folder shows it.

    `state` : "starting", "running", "interrupted" (killed; it can be resumed), "done", "cancelled" or "failed".
    `message` : why it failed or broke off, where known, else empty. `epochs` : finished ones, oldest first, each once.
    `created` : UTC, ISO 8601. `data_code` : Python that makes the data.
    """

    folder: Path
    name: str
    state: State
    created: str
    config: TrainingConfig
    data_code: str
    message: str
    epochs: tuple[EpochLosses, ...]
    _also: ClassVar = ("id", "done", "total")
    _without: ClassVar = ("folder", "config", "data_code")

    @property
    def id(self) -> str:
        """The folder's own name."""
        return self.folder.name

    @property
    def done(self) -> int:
        """Finished epochs of all models."""
        return len(self.epochs)

    @property
    def total(self) -> int:
        """Epochs of all models."""
        return self.config.n_models * self.config.epochs

    @property
    def is_active(self) -> bool:
        """Whether a process works on it."""
        return self.state in ACTIVE

    @property
    def can_resume(self) -> bool:
        """Whether `resume_job` goes on from a checkpoint."""
        return self.state in ("interrupted", "cancelled", "failed")

    def takeaway(self) -> str:
        """One sentence: where it stands."""
        so_far = f"{self.done} of {self.total} epochs"
        why = f" ({self.message})" if self.message else ""
        return {
            "starting": f"{self.name} is starting.",
            "running": f"{self.name} is training: {so_far} are done.",
            "interrupted": f"{self.name} was interrupted after {so_far}{why}; resume it to go on from there.",
            "done": f"{self.name} is done.",
            "cancelled": f"{self.name} was cancelled after {so_far}; resume it to go on from there.",
            "failed": f"{self.name} failed after {so_far}: {self.message}",
        }[self.state]


def jobs_folder() -> Path:
    """Where jobs lie unless said otherwise: MRL_VIZ_JOBS of the environment, else the user's data folder."""
    if given := os.environ.get("MRL_VIZ_JOBS"):
        return Path(given)
    from platformdirs import user_data_dir

    return Path(user_data_dir("mrl_viz")) / "jobs"


def start_job(
    data: TrainingData,
    config: TrainingConfig,
    *,
    full_dim: int | None = None,
    name: str | None = None,
    data_code: str = "...",
    root: Path | None = None,
) -> JobStatus:
    """Start training in a process of its own and return at once.

    Parameters
    ----------
    data, config : as for `train_twins`; `config.model` is loaded by the job
    full_dim : width of that model where it is known, so that settings which do not fit it are refused here already;
        with None they show as a failed job
    name : what the job is called; None makes one of model and data
    data_code : Python expression that makes the same data, to repeat the run outside
    root : where its folder is made; None takes `jobs_folder()`

    Raises
    ------
    InvalidInputError, DimensionError, EmptyInputError : settings and data that do not go together, or MOST_ACTIVE jobs
        are running. StoreError : the folder cannot be written, or no process can be started.
    """
    if full_dim is not None:
        check_config(config, full_dim)
    check_batch(data, config.batch_size)
    root = root or jobs_folder()
    _check_room(root)
    created = datetime.now(UTC)
    # The time sorts, the random part is the key.
    folder = root / f"{created:%Y%m%d-%H%M%S}-{secrets.token_hex(TOKEN_BYTES)}"
    with disk_errors(folder):
        root.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
        write_json(folder / "data.json", data.to_dict())
        about = {"name": name or f"{config.model} on {data.name}", "created": created.isoformat(timespec="seconds")}
        job = {"schema": 1, **about, "config": config.to_dict(), "data_code": data_code}
        write_json(folder / "job.json", job)
    _launch(folder)
    return job_status(folder)


def resume_job(folder: str | Path) -> JobStatus:
    """Start a job again that was killed, cancelled or failed; it goes on from its checkpoint.

    Raises
    ------
    InvalidInputError : it is running or done, or MOST_ACTIVE others are. DataFormatError : no job. StoreError : as in
        `start_job`.
    """
    status = job_status(folder)
    if not status.can_resume:
        raise InvalidInputError(
            f"`{status.name}` is {status.state}; only an interrupted, cancelled or failed job can be resumed."
        )
    _check_room(status.folder.parent)
    with disk_errors(status.folder):
        for file in ("outcome.json", "cancel"):
            (status.folder / file).unlink(missing_ok=True)
    _launch(status.folder)
    return job_status(status.folder)


def cancel_job(folder: str | Path) -> JobStatus:
    """Ask a job to stop before its next step; nothing happens to one that has ended.

    Raises
    ------
    DataFormatError : no job. StoreError : the folder cannot be written.
    """
    status = job_status(folder)
    with disk_errors(status.folder):
        if status.is_active:
            (status.folder / "cancel").touch()
        elif status.state == "interrupted":
            write_json(status.folder / "outcome.json", {"state": "cancelled", "message": ""})
    return job_status(folder)


def delete_job(folder: str | Path) -> None:
    """Remove a job that has ended, its models included.

    Raises
    ------
    InvalidInputError : it is running; cancel it first. DataFormatError : no job. StoreError : it cannot be removed.
    """
    status = job_status(folder)
    if status.is_active:
        raise InvalidInputError(f"`{status.name}` is {status.state}; cancel it first.")
    with disk_errors(status.folder):
        shutil.rmtree(status.folder)


def list_jobs(root: Path | None = None, *, ids: Collection[str] | None = None) -> tuple[JobStatus, ...]:
    """The jobs of a folder, newest first; folders that are no jobs are passed over.

    `ids` : only these, None for all. Names are compared, never joined to a path, so that an id from outside leads
    nowhere else.
    """
    root = root or jobs_folder()
    folders = sorted((path.parent for path in root.glob("*/job.json")), key=lambda path: path.name, reverse=True)
    found = []
    for folder in folders:
        if ids is None or folder.name in ids:
            with suppress(DataFormatError):
                found.append(job_status(folder))
    return tuple(found)


def job_status(folder: str | Path) -> JobStatus:
    """Where a job stands; asks nobody, reads its folder only.

    Raises
    ------
    DataFormatError : the folder holds no job.
    """
    folder = Path(folder)
    # Let go of processes of ours that have ended.
    _CHILDREN[:] = [child for child in _CHILDREN if child.poll() is None]
    job = _read(folder / "job.json")
    if not {"config", "name", "created"} <= set(job):
        raise DataFormatError(f"`{folder}` holds no job; choose one that `list_jobs` names.")
    # In this order: a job that ends in between has written its outcome before it lets go of the lock.
    is_locked = _is_locked(folder)
    outcome = _read(folder / "outcome.json")
    epochs, config = _progress(folder), TrainingConfig.from_dict(job["config"])
    state: State = "interrupted"
    message = ""
    if outcome:
        state, message = outcome["state"], str(outcome["message"])
    elif is_locked:
        state = "running"
    else:
        attempt, running = _read(folder / "attempt.json"), _read(folder / "running.json")
        if running.get("attempt") != attempt.get("id") and time.time() - float(attempt.get("launched", 0)) < STARTING_S:
            state = "starting"
        else:
            message = _last_words(folder, int(attempt.get("log_bytes", 0)))
    code = str(job.get("data_code", "..."))
    return JobStatus(folder, str(job["name"]), state, str(job["created"]), config, code, message, epochs)


def job_result(folder: str | Path) -> TwinRun:
    """The comparison of a finished job, and where its models are.

    Raises
    ------
    DataFormatError : the job has no result yet.
    """
    return load_twin_run(Path(folder) / "result")


def run_job(folder: Path) -> None:
    """Do the work of a job in this process; what goes wrong on purpose becomes its outcome."""
    from filelock import FileLock, Timeout

    try:
        held = FileLock(folder / "lock").acquire(timeout=LOCK_WAIT_S)
    except Timeout:
        return  # another process is at work already, as after two clicks
    with held:
        outcome = {"state": "done", "message": ""}
        try:
            with disk_errors(folder, "free some space, then resume"):
                attempt = _read(folder / "attempt.json").get("id")
                write_json(folder / "running.json", {"attempt": attempt, "pid": os.getpid()})
                # Random, so that no file system stores it in less.
                (folder / "reserve").write_bytes(secrets.token_bytes(RESERVE_BYTES))
                _train(folder)
        except CancelledError:
            outcome = {"state": "cancelled", "message": ""}
        except MrlVizError as error:
            outcome = {"state": "failed", "message": str(error)}
        (folder / "reserve").unlink(missing_ok=True)
        write_json(folder / "outcome.json", outcome)


def _train(folder: Path) -> None:
    config = TrainingConfig.from_dict(_read(folder / "job.json")["config"])
    data = TrainingData.from_dict(_read(folder / "data.json"))
    if config.base in SMALL_BASES:
        # Small matrices gain nothing from a second thread and lose much when the app wants it too.
        import torch

        torch.set_num_threads(1)
    from mrl_viz.embedding.encoders import load_encoder

    def report(epoch: EpochLosses) -> None:
        with (folder / "progress.jsonl").open("a", encoding="utf-8") as file:
            # Its own line even after a line that a kill cut short.
            file.write(f"\n{json.dumps(epoch.to_dict())}\n")

    stop = folder / "cancel"
    train_twins(load_encoder(config.model), data, config, folder / "result", progress=report, cancelled=stop.exists)


def _check_room(root: Path) -> None:
    """Raise where as many jobs are at work as the machine should have."""
    n_active = sum(status.is_active for status in list_jobs(root))
    if n_active >= MOST_ACTIVE:
        raise InvalidInputError(
            f"{n_active} trainings are running on this machine already; wait until one ends, or cancel yours."
        )


def _launch(folder: Path) -> None:
    """Start the process: its own session, so that stopping the app leaves it alone."""
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "mrl_viz.training.jobs", str(folder.resolve())]
    with disk_errors(folder), (folder / "log.txt").open("ab") as log:
        attempt = {"id": secrets.token_hex(4), "launched": time.time(), "log_bytes": log.tell()}
        write_json(folder / "attempt.json", attempt)
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
    _CHILDREN.append(process)


def _last_words(folder: Path, start: int) -> str:
    """The last line of a traceback in this attempt's log; empty after a kill, which leaves none."""
    try:
        log = (folder / "log.txt").read_bytes()[start:].decode("utf-8", "replace")
    except OSError:
        return ""
    return log.strip().splitlines()[-1][:LOG_CHARACTERS] if "Traceback (most recent call last)" in log else ""


def _is_locked(folder: Path) -> bool:
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder / "lock", timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a read-only folder can be looked at too; nobody works in it
        return False


def _progress(folder: Path) -> tuple[EpochLosses, ...]:
    """The epochs on record; of one that a resumed job repeated the last counts, and a kill may leave half a line."""
    try:
        lines = (folder / "progress.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()
    found: dict[tuple[int, int, int], EpochLosses] = {}
    for line in filter(None, lines):
        with suppress(ValueError, TypeError, KeyError):
            row: dict[str, Any] = json.loads(line)
            epoch = EpochLosses(**row | {"dims": tuple(row["dims"]), "losses": tuple(row["losses"])})
            found[get_args(Run).index(epoch.run), epoch.dims[0], epoch.epoch] = epoch
    return tuple(epoch for _, epoch in sorted(found.items()))


def _read(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one where there is none."""
    with suppress(OSError, ValueError):
        content = json.loads(path.read_text(encoding="utf-8"))
        return content if isinstance(content, dict) else {}
    return {}


def main() -> None:
    """python -m mrl_viz.training.jobs JOBFOLDER"""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m mrl_viz.training.jobs JOBFOLDER")
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    run_job(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
