"""What can go wrong far past memory: one clear sentence each, and what was finished is kept and goes on."""

import csv
import errno
import json
import os
import pty
import signal
import subprocess
import sys
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mrl_viz import files
from mrl_viz.cli.main import main
from mrl_viz.embedding.encoders import CallableEncoder
from mrl_viz.errors import DataFormatError, InvalidInputError, StoreError
from mrl_viz.files import cache_folder
from mrl_viz.scale import embedding, streaming, texts
from mrl_viz.scale.embedding import embed_file
from mrl_viz.scale.parts import merge_parts, part_file, write_part
from mrl_viz.scale.rows import open_rows
from mrl_viz.scale.streaming import job_of, sampled_queries, slice_of, stream_slice
from mrl_viz.scale.texts import TextFile
from mrl_viz.sweep import machine
from mrl_viz.sweep.fused import TILE
from tests.unit.test_scale import as_npy, as_zarr
from tests.unit.test_scale_embedding import encoder, files_of, written

N_ROWS, FULL_DIM = 8 * TILE + 33, 12
ASKED = ["--sample-queries", "20", "--k", "3", "--dims", "4"]
TEXTS = [f"text {number}" for number in range(300)]


@pytest.fixture(scope="module")
def matrix():
    return np.random.default_rng(0).normal(size=(N_ROWS, FULL_DIM)).astype(np.float32)


def make(source, folder, shard):
    return main(["sweep", str(source), *ASKED, "--shard", shard, "--out", str(folder)])


def failed(capsys, code, *words):
    """Exit code 2, and one line with these words."""
    said = capsys.readouterr().err
    assert code == 2 and said.count("\n") == 1 and all(word in said for word in words), said


def stamps(folder):
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.glob("*.npz")}


def test_a_part_of_another_source(tmp_path, matrix, capsys):
    """Named when it would be made beside the others, and when it lies there; the parts stay."""
    one, other = as_npy(tmp_path / "one", matrix), as_npy(tmp_path / "other", matrix[::-1])
    parts = tmp_path / "parts"
    assert make(one, parts, "1/2") == make(one, parts, "2/2") == 0
    before = stamps(parts)
    failed(capsys, make(other, parts, "2/2"), "part-2-of-2.npz` is a part of another source", "choose another folder")
    assert make(other, tmp_path / "theirs", "2/2") == 0
    (parts / "theirs.npz").write_bytes((tmp_path / "theirs" / "part-2-of-2.npz").read_bytes())
    failed(capsys, main(["merge", str(parts)]), "`theirs.npz` is a part of another source than `part-1-of-2.npz`")
    (parts / "theirs.npz").unlink()
    assert stamps(parts) == before and main(["merge", str(parts)]) == 0


def test_slices_of_two_divisions(tmp_path, matrix, capsys):
    """Overlapping slices are refused, both named; the same slice twice is one; a hole says which slice is missing."""
    source, parts = as_npy(tmp_path / "v", matrix), tmp_path / "parts"
    assert all(make(source, parts, f"{index}/4") == 0 for index in (1, 2, 4))
    failed(capsys, main(["merge", str(parts)]), "lacks rows 1,920 to 2,880 (--shard 3/4)")
    assert make(source, parts, "3/4") == 0
    (parts / "again.npz").write_bytes((parts / "part-2-of-4.npz").read_bytes())
    assert main(["merge", str(parts), "--json", str(tmp_path / "merged.json")]) == 0
    (parts / "again.npz").unlink()
    assert make(source, parts, "2/3") == 0
    first, last = slice_of(N_ROWS, 2, 3)
    failed(
        capsys, main(["merge", str(parts)]), "`part-2-of-4.npz` has rows 960 to 1,920 and `part-2-of-3.npz` rows "
        f"{first:,} to {last:,}: slices of two divisions; keep those of one",
    )  # fmt: skip
    (parts / "part-2-of-3.npz").unlink()
    assert main(["sweep", str(source), *ASKED, "--json", str(tmp_path / "one.json")]) == 0
    assert json.loads((tmp_path / "merged.json").read_text()) == json.loads((tmp_path / "one.json").read_text())


def test_vectors_of_another_width(tmp_path, matrix, capsys):
    """Queries, a file of the folder, and an array that is embedded into: the widths are said."""
    source, narrow = as_zarr(tmp_path / "v", matrix), as_zarr(tmp_path / "narrow", matrix[:, :8])
    failed(capsys, main(["sweep", str(source), "--queries", str(narrow)]), "`queries` have 8 coordinates", "12")
    folder = tmp_path / "folder"
    folder.mkdir()
    for path in (source, narrow):
        path.rename(folder / path.name)
    failed(capsys, main(["sweep", str(folder)]), "v.zarr` has 12 coordinates and", "narrow.zarr` 8")
    given = TextFile(written(tmp_path / "texts.txt", TEXTS))
    embed_file(given, encoder(), tmp_path / "w.zarr")
    wider = CallableEncoder(lambda texts: np.ones((len(texts), 5), dtype=np.float32), "digests", "1")
    with pytest.raises(InvalidInputError, match=r"w.zarr` is float32 of shape \(300, 12\); choose another folder"):
        embed_file(given, wider, tmp_path / "w.zarr")


def test_nan_in_a_late_block(tmp_path, matrix, capsys, monkeypatch):
    """The row is named, finished blocks and parts are kept, and after a repair only what was missing is made."""
    monkeypatch.setattr(streaming, "BLOCK", TILE)
    monkeypatch.setitem(stream_slice.__kwdefaults__, "block_bytes", 1)
    monkeypatch.setenv("MRL_VIZ_CACHE", str(tmp_path / "cache"))
    broken, bad = matrix.copy(), 7 * TILE + 5
    broken[bad, 3] = np.nan
    source, parts = as_npy(tmp_path / "v", broken), tmp_path / "parts"
    assert make(source, parts, "1/2") == 0
    before = stamps(parts)
    failed(capsys, make(source, parts, "2/2"), f"NaN or infinity in row {bad:,}")
    states = list((tmp_path / "cache" / "sweeps").iterdir())
    assert len(states) == 1 and stamps(parts) == before
    as_npy(tmp_path / "v", matrix)
    asked, read = [], open_rows(source).__class__.read
    monkeypatch.setattr(
        "mrl_viz.scale.rows.NpyRows.read", lambda rows, start, stop: asked.append(start) or read(rows, start, stop)
    )
    assert make(source, parts, "2/2") == 0
    assert min(asked) == 7 * TILE and stamps(parts).items() >= before.items()
    assert make(source, tmp_path / "whole", "2/2") == 0
    assert (parts / "part-2-of-2.npz").read_bytes() == (tmp_path / "whole" / "part-2-of-2.npz").read_bytes()


def test_ragged_lists_in_parquet(tmp_path, capsys):
    """The row, and how many numbers it has."""
    pq.write_table(pa.table({"embedding": [[1.0, 2.0]] * 700 + [[5.0]] + [[1.0, 2.0]] * 9}), tmp_path / "v.parquet")
    code = main(["sweep", str(tmp_path / "v.parquet"), "--sample-queries", "3", "--k", "3"])
    failed(capsys, code, "has 1 numbers in row 700 and 2 in the first")


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_is_full(tmp_path, matrix, capsys, monkeypatch):
    """For a part, the state of a sweep and a shard-file: said; what was there stays, and nothing half is left."""
    rows = open_rows(as_npy(tmp_path / "v", matrix))
    queries, folder = sampled_queries(rows, 6), tmp_path / "parts"
    job = job_of(rows, queries, dims=[4], k=3)
    lists = stream_slice(rows, queries, job)
    write_part(part_file(folder, 1, 1), job, 0, N_ROWS, lists)
    before = stamps(folder)
    message = r"cannot be written \(No space left on device\); free some space or choose another folder"
    with monkeypatch.context() as patched:
        patched.setattr(np, "savez", full)
        with pytest.raises(StoreError, match=message):
            write_part(part_file(folder, 1, 1), job, 0, N_ROWS, lists)
    with monkeypatch.context() as patched:
        patched.setattr(streaming, "write_result", full)
        patched.setattr(streaming, "KEEP_S", -1.0)
        with pytest.raises(StoreError, match=message):
            stream_slice(rows, queries, job, state=tmp_path / "state.npz")
    with monkeypatch.context() as patched:
        patched.setattr(files.os, "replace", full)
        with pytest.raises(StoreError, match=message):
            write_part(part_file(folder, 1, 1), job, 0, N_ROWS, lists)
    assert stamps(folder) == before and len(list(folder.iterdir())) == 1
    merge_parts(folder)


LIMITED = """
import resource, sys
from mrl_viz.cli.main import main
import mrl_viz.scale.embedding, mrl_viz.scale.streaming
mrl_viz.scale.embedding.SHARD_ROWS, mrl_viz.scale.embedding.CHUNK_ROWS = 64, 16
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


def test_a_disk_that_ends_in_the_middle_of_a_file(tmp_path, matrix):
    """Really, in a process whose files may not grow: a part and a shard-file are refused whole, and made afterwards."""
    source, given = str(as_npy(tmp_path / "v", matrix)), str(written(tmp_path / "texts.txt", TEXTS))
    sweep = ["sweep", source, *ASKED, "--shard", "1/1", "--out", str(tmp_path / "parts")]
    embed = ["embed", given, "--out", str(tmp_path / "v.zarr")]
    for command, left in ((sweep, tmp_path / "parts"), (embed, tmp_path / "v.zarr" / "c")):
        limited = [sys.executable, "-c", LIMITED, "1300", *command]
        found = subprocess.run(limited, capture_output=True, text=True, timeout=120)
        assert found.returncode == 2 and found.stderr.count("\n") == 1, found.stderr
        assert "cannot be written (File too large); free some space or choose another folder" in found.stderr
        assert not [path for path in left.rglob("*") if path.is_file()]
        assert main(command) == 0


def test_compiled_code_is_not_kept_on_a_full_disk(monkeypatch):
    """Then a process compiles for itself."""
    import numba

    kept, jit = [], numba.njit

    def refusing(*signature, cache, **options):
        kept.append(cache)
        return full if cache else jit(*signature, cache=cache, **options)

    monkeypatch.setattr(numba, "njit", refusing)
    monkeypatch.setattr(machine, "compiled_code_kept", lambda: machine.contextmanager(lambda: iter([True]))())
    made = machine.compiled(twice, numba.float64(numba.float64), ())
    assert made(4.0) == 8.0 and kept == [True, False]


def twice(number):
    """As in the program."""
    return 2 * number


INTERRUPTED = """
import signal, sys, time
from mrl_viz.cli.main import main
from mrl_viz.scale import embedding, streaming
from mrl_viz.scale.rows import NpyRows
how = sys.argv[1]
# A shell that starts tests in the background has its children ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
embedding.SHARD_ROWS, embedding.CHUNK_ROWS = 64, 16
streaming.stream_slice.__kwdefaults__["block_bytes"] = 1
n_read, n_norms, n_batches, read = 0, 0, 0, NpyRows.read
norms, before = streaming.Walk.block_norms, embedding.islice
def pause(is_now):
    if is_now and how == "interrupted":
        print("half way", flush=True)
        time.sleep(60)
def reading(rows, start, stop):
    global n_read
    n_read += stop - start > 1
    return read(rows, start, stop)
def in_the_middle_of_a_block(walk, start):
    global n_norms
    n_norms += 1
    pause(n_norms == 4)
    return norms(walk, start)
def batches(*arguments):
    global n_batches
    n_batches += 1
    pause(n_batches == 4)
    return before(*arguments)
NpyRows.read, streaming.Walk.block_norms, embedding.islice = reading, in_the_middle_of_a_block, batches
code = main(sys.argv[2:])
print("blocks read", n_read)
sys.exit(code)
"""


def interrupted(command, tmp_path):
    """The command, interrupted by Ctrl-C in the middle of its fourth step; then what it says when it is done again."""
    env = dict(os.environ, MRL_VIZ_CACHE=str(tmp_path / "cache"), OMP_NUM_THREADS="1")
    env["NUMBA_CACHE_DIR"] = str(cache_folder() / "compiled")

    def run(how):
        words = [sys.executable, "-c", INTERRUPTED, how, *command]
        return subprocess.Popen(words, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    with run("interrupted") as one:
        assert one.stdout.readline() == "half way\n", one.stderr.read()
        one.send_signal(signal.SIGINT)
        said = one.stderr.read()
    assert one.returncode == 130 and "what was finished is kept, and the same command goes on from there" in said
    with run("again") as again:
        return again.stdout.read()


def test_ctrl_c_keeps_finished_blocks(tmp_path):
    """In the middle of the fourth block: three are kept, and the part has the bytes of an undisturbed run."""
    rows = np.random.default_rng(3).normal(size=(6 * streaming.BLOCK, 8)).astype(np.float16)
    source = as_npy(tmp_path / "v", rows)
    said = interrupted(["sweep", str(source), *ASKED, "--shard", "1/1", "--out", str(tmp_path / "parts")], tmp_path)
    assert said.endswith("blocks read 3\n"), said
    assert not list((tmp_path / "cache" / "sweeps").iterdir())
    assert make(source, tmp_path / "whole", "1/1") == 0
    assert stamps(tmp_path / "parts")["part-1-of-1.npz"][1] == stamps(tmp_path / "whole")["part-1-of-1.npz"][1]


def test_ctrl_c_keeps_finished_shard_files(tmp_path, monkeypatch):
    """Three of five are there, and the array has the bytes of an undisturbed run."""
    given = written(tmp_path / "texts.txt", TEXTS)
    said = interrupted(["embed", str(given), "--out", str(tmp_path / "v.zarr")], tmp_path)
    assert "rows 0 to 300 are there, 108 of them made now" in said
    monkeypatch.setattr(embedding, "SHARD_ROWS", 64)
    monkeypatch.setattr(embedding, "CHUNK_ROWS", 16)
    assert main(["embed", str(given), "--out", str(tmp_path / "whole.zarr")]) == 0
    assert files_of(tmp_path / "v.zarr") == files_of(tmp_path / "whole.zarr")


MANY_BLOCKS = """
import sys
from mrl_viz.cli.main import main
from mrl_viz.scale import streaming
streaming.stream_slice.__kwdefaults__["block_bytes"] = 1
sys.exit(main(sys.argv[1:]))
"""


def test_progress_tells_rows_a_second(tmp_path):
    """On a terminal: how far, how fast and how long still; nothing of it in what is printed."""
    ours, theirs = pty.openpty()
    env = dict(os.environ, TERM="xterm", COLUMNS="120")
    n_rows = 4 * streaming.BLOCK
    source = as_npy(tmp_path / "v", np.random.default_rng(0).normal(size=(n_rows, 8)).astype(np.float16))
    command = [sys.executable, "-c", MANY_BLOCKS, "sweep", str(source), *ASKED]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=theirs, text=True) as run:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # Linux says so that the other end is closed
                break
        said = run.stdout.read()
    os.close(ours)
    assert run.returncode == 0 and f"{n_rows}/{n_rows}".encode() in shown and b"rows/s" in shown
    assert "rows/s" not in said


def test_the_limit_of_cells_is_left_as_it_was(tmp_path):
    """Long cells are read, also by two threads at once, and nobody else's limit is another one then."""
    before = csv.field_size_limit()
    long = "a" * (before + 10)
    path = written(tmp_path / "texts.csv", [long, "b", long])
    found = []

    def read():
        found.extend(map(len, TextFile(path).texts()))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert sorted(found) == [1, 1, *[before + 10] * 4] and csv.field_size_limit() == before
    stopped = TextFile(path).texts()
    next(stopped)
    assert csv.field_size_limit() == before
    too_long = written(tmp_path / "more.csv", ["a" * (texts.MOST_CELL + 10)])
    with pytest.raises(DataFormatError, match="is no readable table"):
        list(TextFile(too_long).texts())
    assert csv.field_size_limit() == before
