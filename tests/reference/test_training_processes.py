"""Training in processes of its own: killed, cancelled, out of space; and models that load without this library."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.training.config import BASES, RUNS, TrainingConfig
from mrl_viz.training.data import labelled_data
from mrl_viz.training.jobs import cancel_job, delete_job, job_result, job_status, resume_job, start_job
from mrl_viz.training.twins import train_twins
from tests.tiny_model import save_tiny_model, tiny_texts

ROOT = Path(__file__).parent.parent.parent
DATA = labelled_data(*tiny_texts())
WAIT_S = 180
POLL_S = 0.05


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny_model(tmp_path_factory.mktemp("tiny") / "model"))


def wait(folder, enough):
    """The job's status as soon as it is what it should become."""
    give_up = time.monotonic() + WAIT_S
    while not enough(status := job_status(folder)):
        assert time.monotonic() < give_up, (status.takeaway(), (folder / "log.txt").read_text())
        time.sleep(POLL_S)
    return status


def ended(status):
    return not status.is_active


def process_of(folder):
    """The id of the process that works on a job, as it says itself."""
    return json.loads((folder / "running.json").read_text())["pid"]


def test_a_killed_job_is_resumed_and_gives_the_same_weights(model, tmp_path):
    """kill -9 between checkpoints: interrupted, resumed, it ends as an undisturbed run, bit for bit."""
    config = TrainingConfig(model=model, dims=(2, 4), epochs=80, batch_size=4)
    job = start_job(DATA, config, full_dim=16, root=tmp_path / "jobs")
    wait(
        job.folder,
        lambda status: (
            (status.folder / "result" / "matryoshka.checkpoint.safetensors").exists() and status.done % 80 > 5
        ),
    )
    os.kill(process_of(job.folder), signal.SIGKILL)
    status = wait(job.folder, ended)
    assert status.state == "interrupted" and 0 < status.done < status.total and status.message == ""
    resume_job(job.folder)
    status = wait(job.folder, ended)
    assert status.state == "done" and status.done == status.total
    whole = train_twins(load_encoder(model, device="cpu"), DATA, config, tmp_path / "whole")
    result = job_result(job.folder)
    assert result.comparison == whole.comparison
    for run in ("matryoshka", "plain"):
        mine, theirs = (load_encoder(str(one.model_folder(run))).model.state_dict() for one in (result, whole))
        assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_a_job_outlives_who_started_it_and_is_cancelled_and_resumed(model, tmp_path):
    """The starter ends at once; the job goes on, stops and resumes when asked, and leaves nothing when deleted."""
    code = (
        "import sys; from mrl_viz.training.jobs import start_job; from mrl_viz.training.config import TrainingConfig;"
        "from tests.reference.test_training_processes import DATA; from pathlib import Path;"
        "config = TrainingConfig(model=sys.argv[1], dims=(2, 4), epochs=250, batch_size=4);"
        "print(start_job(DATA, config, root=Path(sys.argv[2])).folder)"
    )
    started = subprocess.run(
        [sys.executable, "-c", code, model, str(tmp_path / "jobs")],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    folder = Path(started.stdout.strip())
    wait(folder, lambda status: status.done >= 3)
    cancel_job(folder)
    status = wait(folder, ended)
    assert status.state == "cancelled" and 3 <= status.done < status.total
    resume_job(folder)
    again = wait(folder, lambda now: now.done > status.done or ended(now))
    assert again.state in ("running", "done")
    cancel_job(folder)
    wait(folder, ended)
    delete_job(folder)
    assert os.listdir(tmp_path / "jobs") == []


def test_a_full_disk_fails_the_job_and_says_so(model, tmp_path):
    """On a disk of 256 KB the models do not fit: the outcome says what to do, and the checkpoints are there."""
    root = tmp_path / "small"
    root.mkdir()
    code = f"""
import os, sys
from pathlib import Path
from mrl_viz.training.jobs import job_status, run_job
from mrl_viz.files import write_json
from mrl_viz.training.config import TrainingConfig
from tests.reference.test_training_processes import DATA
folder = Path({str(root)!r}) / "job"
folder.mkdir()
config = TrainingConfig(model={model!r}, dims=(2, 4), epochs=3, batch_size=4)
write_json(folder / "data.json", DATA.to_dict())
write_json(folder / "job.json", {{"name": "a job", "created": "now", "config": config.to_dict()}})
disk = os.statvfs(folder)
try:
    (folder.parent / "filler").write_bytes(os.urandom(disk.f_bavail * disk.f_frsize - 32768))
except OSError:
    pass
run_job(folder)
print(job_status(folder).takeaway())
print(sorted(os.listdir(folder / "result")) if (folder / "result").is_dir() else [])
os.remove(folder.parent / "filler")
run_job(folder)
print(job_status(folder).state)
"""
    script = f'mount -t tmpfs -o size=256k none {root} && exec {sys.executable} -c "$CODE"'
    probe = subprocess.run(["unshare", "--map-root-user", "--mount", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("this machine lets no test mount a small disk of its own")
    ran = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=ROOT,
        env=os.environ | {"CODE": code},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    said, _, state = ran.stdout.strip().splitlines()
    assert "a job failed after" in said and "cannot be written" in said and "free some space" in said
    assert state == "done"


def test_saved_models_load_in_a_fresh_process_with_sentence_transformers_alone(model, tmp_path):
    """Nothing of ours is imported there; a `truncate_dim` gives the prefix of the full vector, as embedded here."""
    texts = ["sun moon", "bread"]
    folders = []
    for base in BASES:
        config = TrainingConfig(model=model, base=base, dims=(2, 4), epochs=2, batch_size=4, learning_rate=0.01)
        run = train_twins(load_encoder(model, device="cpu"), DATA, config, tmp_path / base)
        folders += [str(run.model_folder(name)) for name in RUNS]
    code = f"""
import sys
import numpy as np
from sentence_transformers import SentenceTransformer
rows = []
for folder in sys.argv[2:]:
    full, short = (SentenceTransformer(folder, truncate_dim=dim, device="cpu").encode({texts!r}) for dim in (None, 4))
    assert short.shape == (2, 4) and np.array_equal(short, full[:, :4]), folder
    rows.append(full)
assert not [name for name in sys.modules if name.startswith("mrl_viz")]
np.save(sys.argv[1], rows)
"""
    subprocess.run([sys.executable, "-I", "-c", code, str(tmp_path / "rows.npy"), *folders], cwd=tmp_path, check=True)
    for folder, rows in zip(folders, np.load(tmp_path / "rows.npy"), strict=True):
        np.testing.assert_allclose(rows, load_encoder(folder, device="cpu").encode(texts), rtol=1e-5, atol=1e-6)
