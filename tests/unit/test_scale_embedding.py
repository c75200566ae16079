"""Texts read one after the other and embedded a shard-file at a time: by one machine, by several, after a kill."""

import hashlib
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr

from mrl_viz.cli.main import main
from mrl_viz.embedding.encoders import CallableEncoder
from mrl_viz.errors import CancelledError, DataFormatError, EmptyInputError, InvalidInputError, MrlVizError, StoreError
from mrl_viz.scale import embedding
from mrl_viz.scale.embedding import embed_file, shards_of
from mrl_viz.scale.rows import open_rows
from mrl_viz.scale.texts import TextFile

N_TEXTS, FULL_DIM = 300, 12
# Text that a careless reader would take apart: commas, quotes, a line break where the format allows one.
TEXTS = [f'row {number}, "quoted" and ü 猫' for number in range(N_TEXTS)]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(embedding, "SHARD_ROWS", 64)
    monkeypatch.setattr(embedding, "CHUNK_ROWS", 16)
    monkeypatch.setattr(embedding, "CHUNK_DIMS", 8)


def vector(text):
    digest = hashlib.sha256(text.encode()).digest()
    return np.frombuffer(digest, dtype=np.int8)[:FULL_DIM].astype(np.float32) / 100


def encoder(revision="1", calls=None):
    def call(texts):
        if calls is not None:
            calls.extend(texts)
        return np.array([vector(text) for text in texts])

    return CallableEncoder(call, "digests", revision)


def written(path, texts=TEXTS):
    """The texts in a file of the kind that its name says."""
    if path.suffix == ".txt":
        path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"id": n, "text": text}) + "\n\n" for n, text in enumerate(texts)))
    elif path.suffix == ".parquet":
        pq.write_table(pa.table({"id": np.arange(len(texts)), "text": texts}), path, row_group_size=37)
    else:
        import csv

        with path.open("w", encoding="utf-8-sig", newline="") as file:
            rows = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
            rows.writerows([("id", "text"), *enumerate(texts)])
    return path


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".tsv", ".jsonl", ".parquet"])
def test_rows_of_vectors_are_rows_of_texts(tmp_path, suffix):
    """Every kind of file, any start; empty texts are rows of zeros and are counted."""
    texts = [*TEXTS[:150], "", "  ", *TEXTS[152:]]
    if suffix in (".csv", ".parquet", ".jsonl"):
        texts[5] = "two\nlines"
    source = TextFile(written(tmp_path / f"texts{suffix}", texts))
    assert source.count() == N_TEXTS and list(source.texts()) == texts
    for start, stop in ((0, 1), (36, 75), (N_TEXTS - 1, N_TEXTS), (149, None)):
        assert list(source.texts(start, stop)) == texts[start:stop]
    made = embed_file(source, encoder(), tmp_path / "v.zarr")
    assert (made.n_rows, made.n_made, made.n_empty) == (N_TEXTS, N_TEXTS, 2)
    expected = np.array([vector(text) if text.strip() else np.zeros(FULL_DIM) for text in texts], dtype=np.float32)
    np.testing.assert_array_equal(open_rows(tmp_path / "v.zarr").read(0, N_TEXTS), expected)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_machines_make_the_files_that_one_makes(tmp_path, dtype):
    """Two and five of them, in any order, byte for byte; what is there is not embedded again."""
    source = TextFile(written(tmp_path / "texts.txt"))
    embed_file(source, encoder(), tmp_path / "one.zarr", dtype=dtype)
    for count in (2, 5):
        folder = tmp_path / f"{count}.zarr"
        for index in reversed(range(1, count + 1)):
            made = embed_file(source, encoder(), folder, index=index, count=count, dtype=dtype)
            assert made.n_made == made.stop - made.start
        assert files_of(folder) == files_of(tmp_path / "one.zarr")
    calls = []
    assert embed_file(source, encoder(calls=calls), tmp_path / "one.zarr", dtype=dtype).n_made == 0
    assert len(calls) <= 1  # the word that says how wide vectors are


def test_a_torn_shard_file_is_found_and_made_again(tmp_path):
    """A flipped bit, a file cut off, a file that is gone: those rows are embedded, and no others."""
    source, folder = TextFile(written(tmp_path / "texts.txt")), tmp_path / "v.zarr"
    embed_file(source, encoder(), folder)
    whole = files_of(folder)
    shards = sorted(name for name in whole if name.startswith("c"))
    assert len(shards) == 5
    for name, damage in (
        (shards[0], lambda content: content[:100] + bytes([content[100] ^ 1]) + content[101:]),
        (shards[1], lambda content: b""),
        (shards[2], lambda content: content[:-20]),
        (shards[3], lambda content: content[:3]),
        (shards[4], lambda content: None),
    ):
        content = damage(whole[name])
        (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
        calls = []
        made = embed_file(source, encoder(calls=calls), folder)
        first = 64 * shards.index(name)
        assert made.n_made == min(64, N_TEXTS - first) and set(TEXTS[first : first + 64]) <= {*calls}
        assert len(set(calls) & set(TEXTS)) == made.n_made and files_of(folder) == whole


def test_a_stop_keeps_what_is_finished(tmp_path):
    """Between batches; the next run goes on, and the array is the one of an undisturbed run."""
    source, folder, looks = TextFile(written(tmp_path / "texts.txt")), tmp_path / "v.zarr", []
    with pytest.raises(CancelledError, match="after 128 rows"):
        embed_file(source, encoder(), folder, cancelled=lambda: looks.append(1) or len(looks) > 2)
    seen = []
    made = embed_file(source, encoder(), folder, progress=lambda *step: seen.append(step))
    assert made.n_made == N_TEXTS - 128 and seen[-1] == (N_TEXTS, N_TEXTS) and seen[0][0] == 192
    embed_file(source, encoder(), tmp_path / "whole.zarr")
    assert files_of(folder) == files_of(tmp_path / "whole.zarr")


KILLED = """
import sys
from mrl_viz.scale import embedding
from mrl_viz.cli.main import main
embedding.SHARD_ROWS, embedding.CHUNK_ROWS, how = 64, 16, sys.argv[1]
before = embedding.islice
n_batches = 0
def counted(*arguments):
    global n_batches
    n_batches += 1
    if how == "killed" and n_batches == 4:
        print("half way", flush=True)
        import time
        time.sleep(60)
    return before(*arguments)
embedding.islice = counted
sys.exit(main(sys.argv[2:]))
"""


def test_a_killed_command_goes_on(tmp_path):
    """SIGKILL after three of five shard-files, with the default model: the same command makes the two others."""
    texts = written(tmp_path / "texts.txt")

    def run(how, out):
        command = ["embed", str(texts), "--out", str(tmp_path / out), "--dtype", "float16"]
        return subprocess.Popen([sys.executable, "-c", KILLED, how, *command], stdout=subprocess.PIPE, text=True)

    with run("killed", "v.zarr") as one:
        assert one.stdout.readline() == "half way\n"
        one.send_signal(signal.SIGKILL)
    with run("again", "v.zarr") as again:
        said = again.stdout.read()
    assert again.returncode == 0 and "108 of them made now" in said, said
    with run("again", "whole.zarr") as whole:
        whole.stdout.read()
    assert files_of(tmp_path / "v.zarr") == files_of(tmp_path / "whole.zarr")


def test_another_array_is_not_written_over(tmp_path):
    """Other texts, another model, another type, other files: said, and left as they are."""
    source, folder = TextFile(written(tmp_path / "texts.txt")), tmp_path / "v.zarr"
    embed_file(source, encoder(), folder)
    before = files_of(folder)
    other = TextFile(written(tmp_path / "other.txt", ["changed", *TEXTS[1:]]))
    longer = TextFile(written(tmp_path / "longer.txt", [*TEXTS, "one more"]))
    for given, model, dtype, words in (
        (other, encoder(), "float32", "of other texts"), (longer, encoder(), "float32", "of other texts"),
        (source, encoder("2"), "float32", "of another model"), (source, encoder(), "float16", "is float32 of shape"),
    ):  # fmt: skip
        with pytest.raises(InvalidInputError, match=words):
            embed_file(given, model, folder, dtype=dtype)
    assert files_of(folder) == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="holds other files"):
        embed_file(source, encoder(), tmp_path / "full")
    large = CallableEncoder(lambda texts: np.full((len(texts), 3), 1e6), "large", "1")
    with pytest.raises(InvalidInputError, match="float16 cannot hold"):
        embed_file(source, large, tmp_path / "large.zarr", dtype="float16")


def test_a_disk_that_refuses_loses_nothing(tmp_path, monkeypatch):
    """What cannot be read just now is not taken for torn: a sentence, and the files stay."""
    source, folder = TextFile(written(tmp_path / "texts.txt")), tmp_path / "v.zarr"
    embed_file(source, encoder(), folder)
    before = files_of(folder)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(zarr.Array, "__getitem__", refuse)
        with pytest.raises(StoreError, match=r"cannot be read \(Permission denied\)"):
            embed_file(source, encoder(), folder)
    assert files_of(folder) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_not_ours_is_said(tmp_path):
    """A disk that refuses is one sentence."""
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="cannot be written"):
        embed_file(TextFile(__file__), encoder(), tmp_path / "v.zarr")


def test_slices_are_whole_shard_files():
    """All rows once; no more slices than shard-files."""
    assert [shards_of(300, index, 5) for index in range(1, 6)] == [
        (0, 64),
        (64, 128),
        (128, 192),
        (192, 256),
        (256, 300),
    ]
    assert [shards_of(300, index, 2) for index in (1, 2)] == [(0, 128), (128, 300)]
    with pytest.raises(InvalidInputError, match="300 texts make 5 shard-files"):
        shards_of(300, 1, 6)
    with pytest.raises(InvalidInputError, match="write 1/2 to 2/2"):
        shards_of(300, 3, 2)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.xml", b"<a/>", "is no .txt, .csv"),
        ("t.csv", b"name,place\na,b\n", "has the columns name, place"),
        ("t.jsonl", b'{"text": "a"}\nnothing\n', "line 2 is not JSON"),
        ("t.jsonl", b'{"text": "a"}\n[1]\n', "line 2 is no JSON object"),
        ("t.parquet", b"PAR1 nothing", "is no parquet file"),
        ("t.txt", b"fine\n\xff\xfe\xff", "is not UTF-8"),
        ("t.txt", b"", "has no texts"),
        ("t.csv", b"text\n", "has no texts"),
        ("missing.txt", None, "is not there"),
    ],
)
def test_what_is_no_file_of_texts_is_said(tmp_path, name, content, message):
    """One sentence each."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises((DataFormatError, EmptyInputError), match=message) as said:
        TextFile(tmp_path / name).count()
    assert isinstance(said.value, MrlVizError)


def test_the_command_says_what_it_made(tmp_path, capsys):
    """Two slices of one array with the default model; options that do not go together are one line."""
    texts = str(written(tmp_path / "texts.csv"))
    for index in (1, 2):
        asked = ["embed", texts, "--out", str(tmp_path / "v.zarr"), "--shard", f"{index}/2"]
        assert main([*asked, "--json", str(tmp_path / "made.json")]) == 0
    assert json.loads((tmp_path / "made.json").read_text())["start"] == 128
    said = capsys.readouterr().out
    assert "300 rows of 256 coordinates; rows 0 to 128 are there, 128 of them made now" in said
    for options, message in (
        (["--out", "v.npy", "--shard", "1/2"], "let --out end in .zarr"),
        (["--out", "v.zarr", "--limit", "3"], "takes every text as it is"),
        (["--out", "v.bin"], "ends in .npy, .npz or .zarr"),
        (["--out", "v.zarr", "--model", "openai:text-embedding-3-small"], "for models on this machine"),
        (["--out", str(tmp_path / "w.zarr"), "--shard", "1/9"], "300 texts make 5 shard-files"),
    ):
        assert main(["embed", texts, *options]) == 2
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1
