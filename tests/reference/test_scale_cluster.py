"""Slices on a Dask cluster of this machine's processes: whoever is killed, the lists are those of one process."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mrl_viz.cli.main import main
from mrl_viz.errors import InvalidInputError, MrlVizError, StoreError
from mrl_viz.scale import cluster
from mrl_viz.scale.cluster import cluster_at, sweep_on
from mrl_viz.scale.parts import merge_parts, part_file
from mrl_viz.scale.rows import open_rows
from mrl_viz.scale.streaming import job_of, sampled_queries, stream_slice
from mrl_viz.sweep.fused import TILE
from tests.unit.test_scale_embedding import files_of, written

N_SLICES = 12
pytestmark = pytest.mark.filterwarnings("ignore")  # Dask's own, of sockets and loops at its end


@pytest.fixture(scope="module")
def client():
    with cluster_at("local:2") as found:
        yield found


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "vectors.npy"
    np.save(path, np.random.default_rng(0).normal(size=(60 * TILE + 7, 32)).astype(np.float16))
    return path


@pytest.fixture(scope="module")
def asked(source):
    """Rows, queries, the job and the lists of one process."""
    rows = open_rows(source)
    queries = sampled_queries(rows, 300)
    job = job_of(rows, queries, dims=[4, 16], k=5)
    return queries, job, stream_slice(rows, queries, job)


def same(one, other):
    np.testing.assert_array_equal(one.items, other.items)
    np.testing.assert_array_equal(one.similarities, other.similarities)


def test_two_workers_make_the_lists_of_one_process(client, source, asked, tmp_path):
    """Merged by a tree of tasks; the parts stay, and merge by themselves; a second run makes none of them again."""
    queries, job, expected = asked
    seen = []
    found = sweep_on(client, str(source), queries, job, tmp_path, n_slices=N_SLICES, progress=lambda *s: seen.append(s))
    same(found, expected)
    assert seen == [(done, N_SLICES) for done in range(1, N_SLICES + 1)]
    same(merge_parts(tmp_path)[1], expected)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npz")}
    assert len(before) == N_SLICES
    part_file(tmp_path, 5, N_SLICES).write_bytes(b"torn")
    same(sweep_on(client, str(source), queries, job, tmp_path, n_slices=N_SLICES), expected)
    changed = [path for path, made in before.items() if path.stat().st_mtime_ns != made]
    assert changed == [part_file(tmp_path, 5, N_SLICES)]


def test_a_worker_that_is_killed_loses_only_what_it_was_at(client, source, asked, tmp_path):
    """SIGKILL in mid-run: its slices are made by another, and the lists are the same to the last bit."""
    queries, job, expected = asked
    victim, killed = sorted(client.run(os.getpid).values())[0], []

    def kill(done, total):
        if not killed:
            os.kill(victim, signal.SIGKILL)
            killed.append(done)

    same(sweep_on(client, str(source), queries, job, tmp_path, n_slices=N_SLICES, progress=kill), expected)
    assert killed and killed[0] < N_SLICES and victim not in client.run(os.getpid).values()


def test_what_a_cluster_cannot_do_is_said(client, source, asked, tmp_path, monkeypatch):
    """No scheduler, another version, a source that a worker does not see, parts of another sweep: a sentence each."""
    queries, job, _ = asked
    monkeypatch.setattr(cluster, "TIMEOUT_S", 1)
    for address, message in (
        ("tcp://127.0.0.1:9", r"finds no scheduler at .* within 1 s"),
        ("local:0", "write local:2"),
        ("nowhere", "write local, local"),
    ):
        with pytest.raises(InvalidInputError, match=message), cluster_at(address):
            pass
    with pytest.raises(MrlVizError, match="is not there"):
        sweep_on(client, str(tmp_path / "gone.npy"), queries, job, tmp_path / "a", n_slices=2)
    np.save(tmp_path / "last_month.npy", open_rows(source).read(0, job.n_rows)[::-1])
    with pytest.raises(InvalidInputError, match="is another one on a worker"):
        sweep_on(client, str(tmp_path / "last_month.npy"), queries, job, tmp_path / "d", n_slices=2)
    other = job_of(open_rows(source), queries, dims=[5], k=5)
    sweep_on(client, str(source), queries, other, tmp_path / "b", n_slices=2)
    with pytest.raises(InvalidInputError, match="is a part of other widths"):
        sweep_on(client, str(source), queries, job, tmp_path / "b", n_slices=2)
    monkeypatch.setattr(cluster, "_version", lambda: "0.0.1")
    with pytest.raises(InvalidInputError, match=r"a worker has mrl_viz .* and this program 0\.0\.1"):
        sweep_on(client, str(source), queries, job, tmp_path / "c", n_slices=2)
    with pytest.raises(StoreError, match="the cluster gave a slice up"):
        cluster._result(client.submit(lambda: 1 / 0, pure=False))


def test_a_program_that_is_killed_goes_on(source, asked, tmp_path):
    """The one who waits dies by SIGKILL with its workers; the same command keeps what was made and ends as one run."""
    code = "from mrl_viz.scale import cluster; cluster.TASK_ROWS = 2400; from mrl_viz.cli.main import main; import sys"
    script = tmp_path / "run.py"
    script.write_text(f"if __name__ == '__main__':\n    {code}\n    sys.exit(main(sys.argv[1:]))\n")
    command = ["sweep", str(source), "--sample-queries", "300", "--dims", "4,16", "--k", "5", "--cluster", "local:2"]
    parts = tmp_path / "parts"
    first = [sys.executable, str(script), *command, "--out", str(parts)]
    with subprocess.Popen(first, stdout=subprocess.DEVNULL) as one:
        deadline = time.monotonic() + 120
        while not list(parts.glob("*.npz")) and one.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        one.send_signal(signal.SIGKILL)
    kept = {path: path.stat().st_mtime_ns for path in parts.glob("*.npz")}
    assert kept
    again = [*first, "--json", str(tmp_path / "again.json")]
    subprocess.run(again, check=True, stdout=subprocess.DEVNULL, timeout=200)
    assert all(path.stat().st_mtime_ns == made for path, made in kept.items())
    same(merge_parts(parts)[1], asked[2])
    assert main([*command[:-2], "--json", str(tmp_path / "one.json")]) == 0
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "one.json").read_bytes()


def test_texts_embedded_by_workers_are_the_files_of_one(client, tmp_path):
    """The default model on two workers; a second run embeds nothing."""
    texts = written(tmp_path / "texts.txt", [f"text {number}" for number in range(cluster.SHARD_ROWS + 40)])
    assert main(["embed", str(texts), "--out", str(tmp_path / "one.zarr")]) == 0
    for n_made in (cluster.SHARD_ROWS + 40, 0):
        made = cluster.embed_on(client, str(texts), None, "wordllama", str(tmp_path / "two.zarr"))
        assert (made.n_rows, made.n_made) == (cluster.SHARD_ROWS + 40, n_made)
    assert files_of(tmp_path / "one.zarr") == files_of(tmp_path / "two.zarr")
