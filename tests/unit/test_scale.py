"""Rows on a disk, sweeps that are stopped and go on, parts and their merging; and what is said where that fails."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr

from mrl_viz.cli.main import main
from mrl_viz.errors import (
    CancelledError,
    DataFormatError,
    EmptyInputError,
    InvalidInputError,
    MrlVizError,
    ShapeError,
)
from mrl_viz.scale import parts as parts_module
from mrl_viz.scale import streaming
from mrl_viz.scale.parts import is_done, merge_parts, part_file, write_part
from mrl_viz.scale.rows import is_rows, open_rows
from mrl_viz.scale.streaming import given_queries, job_of, sampled_queries, slice_of, stream_slice, stream_sweep
from mrl_viz.sweep.fused import TILE

N_ROWS, FULL_DIM = 5 * TILE + 33, 20


@pytest.fixture(scope="module")
def matrix():
    return np.random.default_rng(0).normal(size=(N_ROWS, FULL_DIM)).astype(np.float32)


def as_npy(path, matrix):
    np.save(path.with_suffix(".npy"), matrix)
    return path.with_suffix(".npy")


def as_zarr(path, matrix):
    array = zarr.create_array(
        str(path.with_suffix(".zarr")), shape=matrix.shape, chunks=(700, 8), dtype=matrix.dtype, zarr_format=2
    )
    array[:] = matrix
    return path.with_suffix(".zarr")


def as_parquet(path, matrix):
    table = pa.table({"id": np.arange(len(matrix)), "embedding": pa.array(list(matrix))})
    pq.write_table(table, path.with_suffix(".parquet"), row_group_size=501)
    return path.with_suffix(".parquet")


def as_folder(path, matrix):
    """Eleven parts of three kinds, the tenth after the ninth."""
    path.mkdir()
    for number, rows in enumerate(np.array_split(matrix, 11)):
        (as_npy, as_zarr, as_parquet)[number % 3](path / f"part-{number}", rows)
    return path


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("save", [as_npy, as_zarr, as_parquet, as_folder])
def test_every_kind_of_source_gives_the_same_rows(tmp_path, matrix, save, dtype):
    """Any stretch of rows, also across parts, chunks and row groups; and one fingerprint for the same numbers."""
    kept = matrix.astype(dtype)
    path = save(tmp_path / "vectors", kept)
    rows = open_rows(path)
    assert is_rows(path) and (rows.n_rows, rows.full_dim, rows.dtype) == (N_ROWS, FULL_DIM, dtype)
    for start, stop in ((0, N_ROWS), (0, 1), (499, 1402), (N_ROWS - 1, N_ROWS), (700, 701)):
        np.testing.assert_array_equal(rows.read(start, stop), kept[start:stop].astype(np.float32))
    blocks = dict(rows.blocks(TILE, N_ROWS, 1000))
    assert list(blocks) == list(range(TILE, N_ROWS, 1000))
    np.testing.assert_array_equal(np.concatenate(list(blocks.values())), kept[TILE:].astype(np.float32))
    assert rows.fingerprint() == open_rows(as_npy(tmp_path / "other", kept)).fingerprint()
    changed = kept.copy()
    changed[-1, 0] += 1
    assert rows.fingerprint() != open_rows(as_npy(tmp_path / "other", changed)).fingerprint()


def test_memory_holds_blocks_and_not_the_source(tmp_path, matrix):
    """No stretch longer than a block is asked for, and every row once."""
    rows, asked = open_rows(as_npy(tmp_path / "v", matrix)), []
    queries = sampled_queries(rows, 5)
    job, read = job_of(rows, queries, dims=[4], k=3), rows.read
    rows.read = lambda start, stop: asked.append((start, stop)) or read(start, stop)
    stream_slice(rows, queries, job, TILE, 4 * TILE, block_bytes=1)
    assert asked == [(TILE, 4 * TILE)]  # a block is 17 tiles at least
    assert all(stop - start <= streaming.BLOCK for start, stop in asked)


@pytest.mark.parametrize(
    ("save", "message"),
    [
        (lambda path: (path / "v.npy").write_bytes(b"\x93NUMPY\x01"), "is no .npy file"),
        (lambda path: np.save(path / "v.npy", np.zeros((4, 3), dtype=np.int32)), "is int32 of shape"),
        (lambda path: np.save(path / "v.npy", np.zeros(4, dtype=np.float32)), r"of shape \(4,\)"),
        (lambda path: np.save(path / "v.npy", np.zeros((0, 3), dtype=np.float32)), "has 0 rows"),
        (lambda path: np.save(path / "v.npy", np.asfortranarray(np.ones((4, 3)))), "column by column"),
        (lambda path: np.save(path / "v.npy", np.array([{}, {}], dtype=object)), "is object of shape"),
        (lambda path: (path / "v.npy").mkdir(), "has no .npy"),
        (lambda path: (path / "v.zarr").mkdir(), "is no Zarr array"),
        (lambda path: (path / "v.parquet").write_bytes(b"PAR1"), "is no parquet file"),
        (lambda path: pq.write_table(pa.table({"text": ["a"]}), path / "v.parquet"), "has 0 columns of lists"),
        (lambda path: (path / "v.csv").write_text("text"), "is no .npy, .zarr, .parquet"),
        (lambda path: None, "is not there"),
    ],
)
def test_what_is_no_source_is_said(tmp_path, save, message):
    """One sentence each."""
    save(tmp_path)
    found = next(iter(tmp_path.iterdir()), tmp_path / "v.npy")
    with pytest.raises(MrlVizError, match=message):
        open_rows(found)


def test_bad_rows_are_named(tmp_path, matrix):
    """NaN deep in a file, ragged lists, a file cut off, a damaged chunk, parts of two widths: which, and what to do."""
    broken = matrix.copy()
    broken[2 * TILE + 5, 3] = np.nan
    rows = open_rows(as_npy(tmp_path / "nan", broken))
    with pytest.raises(ShapeError, match=f"NaN or infinity in row {2 * TILE + 5:,}"):
        rows.read(TILE, 4 * TILE)
    ragged = pa.table({"embedding": [[1.0, 2.0], [3.0, 4.0], [5.0]]})
    pq.write_table(ragged, tmp_path / "ragged.parquet", row_group_size=2)
    with pytest.raises(ShapeError, match="has 1 numbers in row 2 and 2 in the first"):
        open_rows(tmp_path / "ragged.parquet").read(0, 3)
    empty = pa.table({"embedding": [[1.0, 2.0], None]})
    pq.write_table(empty, tmp_path / "null.parquet")
    with pytest.raises(ShapeError, match="has 0 numbers in row 1"):
        open_rows(tmp_path / "null.parquet").read(0, 2)
    whole = as_npy(tmp_path / "cut", matrix)
    rows, content = open_rows(whole), whole.read_bytes()
    whole.write_bytes(content[:-8])
    with pytest.raises(DataFormatError, match="ends before row"):
        rows.read(0, N_ROWS)
    with pytest.raises(DataFormatError, match="ends after"):
        open_rows(whole)
    folder = tmp_path / "two"
    folder.mkdir()
    as_npy(folder / "a", matrix)
    as_npy(folder / "b", matrix[:, :7])
    with pytest.raises(ShapeError, match=r"b.npy` has 7 coordinates and .*a.npy` 20"):
        open_rows(folder)
    path = as_zarr(tmp_path / "chunks", matrix)
    chunk = next(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    chunk.write_bytes(b"nothing of the kind")
    with pytest.raises(MrlVizError, match=r"damaged chunk|cannot be read"):
        open_rows(path).read(0, N_ROWS)


def test_queries_that_cannot_be_asked_are_said(tmp_path, matrix):
    """Of another width, more than there are rows, k beyond all rows."""
    rows = open_rows(as_npy(tmp_path / "v", matrix[:10]))
    with pytest.raises(ShapeError, match="`queries` have 3 coordinates"):
        given_queries(np.ones((2, 3)), rows)
    with pytest.raises(InvalidInputError, match="`--sample-queries` is 11 of 10 rows"):
        sampled_queries(rows, 11)
    with pytest.raises(InvalidInputError, match="`k` is 10"):
        job_of(rows, sampled_queries(rows, 4), dims=[2], k=10)


def test_slices_are_whole_tiles_and_make_the_whole():
    """Every row in one slice; no slice empty; at most as many as there are tiles."""
    for n_rows in (1, TILE, TILE + 1, 100 * TILE - 3):
        most = -(-n_rows // TILE)
        for count in {1, most, max(1, most // 3)}:
            slices = [slice_of(n_rows, index, count) for index in range(1, count + 1)]
            assert slices[0][0] == 0 and slices[-1][1] == n_rows
            assert all(one[1] == other[0] for one, other in pairwise(slices))
            assert all(start < stop and start % TILE == 0 for start, stop in slices)
        with pytest.raises(InvalidInputError, match="at most"):
            slice_of(n_rows, 1, most + 1)
    for index in (0, 4):
        with pytest.raises(InvalidInputError, match="write 1/3 to 3/3"):
            slice_of(10 * TILE, index, 3)


def test_a_stopped_sweep_goes_on_where_it_was(tmp_path, matrix, monkeypatch):
    """Finished blocks are not read again, and the lists are the same to the last bit; of another job it begins anew."""
    monkeypatch.setattr(streaming, "BLOCK", TILE)
    rows = open_rows(as_npy(tmp_path / "v", matrix))
    queries, state = sampled_queries(rows, 7), tmp_path / "state" / "sweep.npz"
    job = job_of(rows, queries, dims=[4], k=3)
    expected, reached, read, read_again = stream_slice(rows, queries, job), [], rows.read, []

    def stop(done, total):
        reached.append(done)
        if len(reached) == 2:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        stream_slice(rows, queries, job, state=state, block_bytes=1, progress=stop)
    assert reached == [TILE, 2 * TILE] and state.exists()
    rows.read = lambda start, stop: read_again.append(start) or read(start, stop)
    other = job_of(rows, queries, dims=[5], k=3)
    stream_slice(rows, queries, other, state=state, block_bytes=1)
    assert min(read_again) == 0
    with pytest.raises(CancelledError):
        reached.clear()
        stream_slice(rows, queries, job, state=state, block_bytes=1, progress=stop)
    read_again.clear()
    found = stream_slice(rows, queries, job, state=state, block_bytes=1)
    assert min(read_again) == 4 * TILE  # both stopped runs are in it
    np.testing.assert_array_equal(found.items, expected.items)
    np.testing.assert_array_equal(found.similarities, expected.similarities)


KILLED = """
import sys
from mrl_viz.scale import streaming
from mrl_viz.scale.rows import NpyRows
from mrl_viz.cli.main import main
streaming.KEEP_S = 0.0
streaming.stream_slice.__kwdefaults__["block_bytes"] = 1
read, n_read = NpyRows.read, 0
def slowly(rows, start, stop):
    global n_read
    if stop - start > 1:
        n_read += 1
        if n_read == 4 and sys.argv[1] == "killed":
            print("half way", flush=True)
            import time
            time.sleep(60)
    return read(rows, start, stop)
NpyRows.read = slowly
code = main(sys.argv[2:])
print("blocks read", n_read)
sys.exit(code)
"""


def test_a_killed_sweep_goes_on_in_another_process(tmp_path):
    """SIGKILL in mid-run: the same command reads only what was not done, and writes the bytes of one whole run."""
    matrix = np.random.default_rng(3).normal(size=(8 * streaming.BLOCK, 8)).astype(np.float16)
    source = as_npy(tmp_path / "v", matrix)
    command = ["sweep", str(source), "--sample-queries", "20", "--shard", "1/1", "--dims", "4", "--k", "3", "--out"]
    env = dict(os.environ, MRL_VIZ_CACHE=str(tmp_path / "cache"))

    def run(how, folder):
        return subprocess.Popen(
            [sys.executable, "-c", KILLED, how, *command, str(tmp_path / folder)], env=env, text=True,
            stdout=subprocess.PIPE,
        )  # fmt: skip

    one = run("killed", "parts")
    assert one.stdout.readline() == "half way\n"
    deadline = time.monotonic() + 60
    while not list((tmp_path / "cache" / "sweeps").glob("*.npz")) and time.monotonic() < deadline:
        time.sleep(0.05)
    one.send_signal(signal.SIGKILL)
    one.wait()
    one.stdout.close()
    assert not list((tmp_path / "parts").glob("*.npz"))
    said, _ = (again := run("again", "parts")).communicate()
    assert again.returncode == 0 and 4 < int(said.rsplit(" ", 1)[1]) < 8, said
    assert not list((tmp_path / "cache" / "sweeps").glob("*.npz"))
    run("again", "whole").communicate()
    assert part_file(tmp_path / "parts", 1, 1).read_bytes() == part_file(tmp_path / "whole", 1, 1).read_bytes()


@pytest.fixture
def made(tmp_path, matrix):
    """Five parts of one sweep, in a folder."""
    rows = open_rows(as_npy(tmp_path / "v", matrix))
    queries = sampled_queries(rows, 6)
    job = job_of(rows, queries, dims=[4], k=3)
    for index in range(1, 6):
        start, stop = slice_of(rows.n_rows, index, 5)
        lists = stream_slice(rows, queries, job, start, stop)
        write_part(part_file(tmp_path / "parts", index, 5), job, start, stop, lists)
    return rows, queries, job, tmp_path / "parts"


def test_parts_make_the_whole_also_a_few_at_a_time(made, monkeypatch):
    """Exactly one sweep's lists; a copy of a part changes nothing."""
    rows, queries, job, folder = made
    expected = stream_sweep(rows, queries, dims=[4], k=3)
    (folder / "copy.npz").write_bytes(part_file(folder, 2, 5).read_bytes())
    for fan_in in (2, 32):
        monkeypatch.setattr(parts_module, "FAN_IN", fan_in)
        found_job, lists = merge_parts(folder)
        assert found_job == job
        np.testing.assert_array_equal(lists.items, expected.indices)
        np.testing.assert_array_equal(lists.similarities, expected.similarities)


def test_missing_torn_and_foreign_parts_are_named(made):
    """Which slices to make again; which file is torn; which is of another sweep, and in what it differs."""
    rows, queries, job, folder = made
    part = part_file(folder, 4, 5)
    content = part.read_bytes()
    part.unlink()
    with pytest.raises(InvalidInputError, match=r"lacks rows 1,440 to 1,920 \(--shard 4/5\)"):
        merge_parts(folder)
    part.write_bytes(content[:-300])
    with pytest.raises(DataFormatError, match=r"part-4-of-5\.npz` is torn"):
        merge_parts(folder)
    start, stop = slice_of(rows.n_rows, 4, 5)
    assert not is_done(part, job, start, stop)
    flipped = bytearray(content)
    with np.load(folder / "part-3-of-5.npz") as other:
        n_bytes = other["scores"].nbytes
    flipped[content.index(b"\x93NUMPY", content.index(b"scores")) + n_bytes] ^= 1
    part.write_bytes(bytes(flipped))
    with pytest.raises(DataFormatError, match=r"part-4-of-5\.npz` is torn"):
        merge_parts(folder)
    for change, words in (
        ({"dims": [5]}, "other widths"), ({"k": 4}, "another k"), ({"queries": sampled_queries(rows, 5)}, "queries")
    ):  # fmt: skip
        given = {"queries": queries, "dims": [4], "k": 3} | change
        other = job_of(rows, given["queries"], dims=given["dims"], k=given["k"])
        write_part(part, other, start, stop, stream_slice(rows, given["queries"], other, start, stop))
        with pytest.raises(InvalidInputError, match=words):
            merge_parts(folder)
        with pytest.raises(InvalidInputError, match=f"is a part of .*{words}.*; choose another folder"):
            is_done(part, job, start, stop)
    empty = folder.parent / "empty"
    empty.mkdir()
    with pytest.raises(EmptyInputError, match="has no parts"):
        merge_parts(empty)


def test_the_command_sweeps_slices_and_merges_them(tmp_path, matrix, capsys):
    """Parts made by `sweep --shard`, merged, say what one `sweep` says; a part that is there is not made again."""
    source = str(as_npy(tmp_path / "v", matrix))
    asked = ["sweep", source, "--sample-queries", "50", "--k", "3", "--dims", "4,8"]
    assert main([*asked, "--json", str(tmp_path / "one.json")]) == 0
    said = capsys.readouterr().out
    assert "50 queries drawn from them (seed 0), each left out of its own list" in said
    for index in (2, 1, 3, 1):
        assert main([*asked, "--shard", f"{index}/3", "--out", str(tmp_path / "parts")]) == 0
    assert "part-1-of-3.npz is there already" in capsys.readouterr().out
    assert main(["merge", str(tmp_path / "parts"), "--json", str(tmp_path / "merged.json")]) == 0
    assert json.loads((tmp_path / "one.json").read_text()) == json.loads((tmp_path / "merged.json").read_text())
    np.save(tmp_path / "q.npy", matrix[:5] + 0.1)
    assert main(["sweep", source, "--queries", str(tmp_path / "q.npy"), "--shard", "1/1", "--out", str(tmp_path)]) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--shard", "3", "--out", "x"], "write it as 3/64"),
        (["--shard", "4/3", "--out", "x"], "write 1/3 to 3/3"),
        (["--shard", "1/999", "--out", "x"], "can be cut into 6 at most"),
        (["--shard", "1/3"], "say where it goes by --out"),
        (["--out", "x"], "for the parts of slices"),
        (["--sample-queries", "0"], "`n_queries` is 0"),
        (["--sample-queries", "5", "--queries", "q.npy"], "both say what is searched for"),
        (["--sample-queries", "5", "--arrangements", "importance"], "need all vectors in memory"),
        (["--sample-queries", "5", "--limit", "9"], "leave out --limit"),
        (["--shard", "1/2", "--out", "x", "--json", "y"], "give it to `merge`"),
    ],
)
def test_wrong_options_are_said(tmp_path, matrix, capsys, options, message):
    """Exit code 2 and one line."""
    assert main(["sweep", str(as_npy(tmp_path / "v", matrix)), *options]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_a_folder_with_texts_is_no_folder_of_rows(tmp_path, matrix):
    """A BEIR folder with vectors beside its texts is read as one; vectors alone, in parts, are rows."""
    for folder in (tmp_path / "beir", tmp_path / "parts"):
        folder.mkdir()
        as_npy(folder / "embeddings", matrix)
        as_npy(folder / "queries", matrix[:3])
    (tmp_path / "beir" / "corpus.jsonl").write_text("{}")
    assert is_rows(tmp_path / "parts") and not is_rows(tmp_path / "beir") and not is_rows(tmp_path)


def test_options_of_rows_are_not_for_texts(capsys):
    """A sample has texts; its vectors are no file."""
    assert main(["sweep", "sample", "--sample-queries", "5"]) == 2
    assert "holds no vectors on a disk" in capsys.readouterr().err
