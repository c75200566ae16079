"""Vectors in an object store, on a server like S3 in this process and in fsspec's memory: read, written, refused."""

import json
import logging
import sys

import fsspec
import numpy as np
import pytest
import zarr
from moto import settings
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer
from zarr.core.sync import sync

from mrl_viz.cli.main import main
from mrl_viz.errors import DataFormatError, InvalidInputError, MrlVizError, OptionalDependencyError, StoreError
from mrl_viz.scale import embedding, streaming
from mrl_viz.scale.addresses import is_address, place_of
from mrl_viz.scale.embedding import embed_file
from mrl_viz.scale.rows import is_rows, open_rows
from mrl_viz.scale.streaming import job_of, sampled_queries, stream_slice
from mrl_viz.scale.texts import TextFile
from mrl_viz.sweep.fused import TILE
from tests.unit.test_scale import as_folder, as_npy, as_parquet, as_zarr
from tests.unit.test_scale_embedding import encoder, files_of, written

N_ROWS, FULL_DIM, BUCKET = 3 * TILE + 33, 20, "vectors-of-ours"
# aiohttp's connectors are closed with the loop that they were made in, which ends with the process.
pytestmark = [pytest.mark.filterwarnings("ignore:Unclosed:ResourceWarning")]
TEXTS = [f"text {number}" for number in range(300)]


@pytest.fixture(scope="module")
def matrix():
    return np.random.default_rng(0).normal(size=(N_ROWS, FULL_DIM)).astype(np.float32)


class Server:
    """One that can go and come back at the same address, with what it has."""

    def __init__(self):
        self.port, self.running = 0, None
        self.start()

    def start(self):
        self.running = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self.running.start()
        self.port = self.running.get_host_and_port()[1]
        forget()

    def stop(self):
        if self.running is not None:
            self.running.stop()
            self.running = None


@pytest.fixture
def s3(monkeypatch):
    """A server with one bucket, and the environment that says where it is and who asks."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = Server()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret of hers")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    forget()
    fsspec.filesystem("s3").mkdir(BUCKET)
    yield server
    server.stop()
    s3_backends.reset()
    forget()


def forget():
    """Clients keep the endpoint and the credentials of their making; each is closed in the loop of it."""
    kind = fsspec.get_filesystem_class("s3")
    for client in filter(lambda one: one._s3 is not None, kind._cache.values()):
        sync(client._s3.close()) if client.asynchronous else fsspec.asyn.sync(client.loop, client._s3.close)
        client._s3 = None
    kind.clear_instance_cache()


@pytest.fixture
def memory():
    yield "memory://"
    fsspec.filesystem("memory").store.clear()


def put(path, url):
    """A file or folder at an address."""
    fs, there = fsspec.url_to_fs(url)
    fs.put(str(path), there, recursive=True)
    return url


def all_of(url):
    """What `files_of` finds on a disk."""
    fs, there = fsspec.url_to_fs(url)
    fs.invalidate_cache()
    return {name.removeprefix(f"{there}/"): fs.cat_file(name) for name in fs.find(there)}


def kinds(tmp_path, matrix, root):
    """The same rows as four kinds of source at addresses."""
    for save in (as_npy, as_zarr, as_parquet, as_folder):
        path = save(tmp_path / save.__name__, matrix)
        yield put(path, f"{root}/{path.name}")


@pytest.mark.parametrize("where", ["s3", "memory"])
def test_every_kind_of_source_gives_the_rows_of_a_disk(request, tmp_path, matrix, where):
    """Any stretch, rows taken one by one, and one fingerprint: that of the same numbers on a disk."""
    root = f"s3://{BUCKET}/deep" if request.getfixturevalue(where) != "memory://" else "memory://deep"
    expected = open_rows(as_npy(tmp_path / "expected", matrix)).fingerprint()
    for url in kinds(tmp_path, matrix, root):
        rows = open_rows(url)
        assert is_rows(url) and rows.name == url and (rows.n_rows, rows.full_dim) == matrix.shape
        for start, stop in ((0, N_ROWS), (0, 1), (499, 1402), (N_ROWS - 1, N_ROWS)):
            np.testing.assert_array_equal(rows.read(start, stop), matrix[start:stop])
        np.testing.assert_array_equal(rows.take([3, 700, 1400]), matrix[[3, 700, 1400]])
        np.testing.assert_array_equal(np.concatenate([block for _, block in rows.blocks(0, N_ROWS, 500)]), matrix)
        assert rows.fingerprint() == expected


def test_the_commands_take_addresses(s3, tmp_path, matrix, capsys):
    """Sweep, slices and merge say of an array in a store what they say of it on a disk."""
    disk = as_zarr(tmp_path / "v", matrix)
    url, queries = put(disk, f"s3://{BUCKET}/v.zarr"), put(as_npy(tmp_path / "q", matrix[:9]), f"s3://{BUCKET}/q.npy")
    asked = ["--sample-queries", "50", "--k", "3", "--dims", "4,8", "--json"]
    found = {}
    for name, source in (("disk", str(disk)), ("store", url), ("file", disk.as_uri())):
        assert main(["sweep", source, *asked, str(tmp_path / name)]) == 0
        found[name] = json.loads((tmp_path / name).read_text())
    assert found["disk"] == found["store"] == found["file"]
    parts = str(tmp_path / "parts")
    for shard in ("1/2", "2/2"):
        assert main(["sweep", url, *asked[:-1], "--shard", shard, "--out", parts]) == 0
    assert main(["merge", parts, "--json", str(tmp_path / "merged")]) == 0
    assert json.loads((tmp_path / "merged").read_text()) == found["disk"]
    assert main(["sweep", str(disk), "--queries", queries, "--k", "3"]) == 0
    capsys.readouterr()
    assert main(["sweep", url, "--shard", "1/2", "--out", f"s3://{BUCKET}/parts"]) == 2
    assert "`--out` of parts is a folder on a disk" in capsys.readouterr().err


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(embedding, "SHARD_ROWS", 64)
    monkeypatch.setattr(embedding, "CHUNK_ROWS", 16)


@pytest.mark.parametrize("where", ["s3", "memory"])
def test_texts_are_embedded_into_a_store(request, tmp_path, small_shards, where):
    """By two machines, with a shard-file torn in between: the files of one machine's disk, byte for byte."""
    is_s3 = request.getfixturevalue(where) != "memory://"
    url = f"s3://{BUCKET}/out/v.zarr" if is_s3 else "memory://out/v.zarr"
    source = TextFile(written(tmp_path / "texts.txt", TEXTS))
    embed_file(source, encoder(), tmp_path / "one.zarr")
    for index in (2, 1):
        made = embed_file(source, encoder(), place_of(url), index=index, count=2)
        assert made.n_made == made.stop - made.start
    fs, there = fsspec.url_to_fs(url)
    fs.pipe_file(f"{there}/c/2/0", fs.cat_file(f"{there}/c/2/0")[:-9])
    assert embed_file(source, encoder(), place_of(url)).n_made == 64
    assert all_of(url) == files_of(tmp_path / "one.zarr")
    with pytest.raises(InvalidInputError, match="of another model"):
        embed_file(source, encoder("2"), place_of(url))
    fs.pipe_file(there.replace("v.zarr", "other/notes.txt"), b"mine")
    with pytest.raises(StoreError, match="holds other files"):
        embed_file(source, encoder(), place_of(url.replace("v.zarr", "other")))


def test_the_command_embeds_into_a_store(s3, tmp_path, capsys):
    """With the default model; texts themselves are read from a disk."""
    texts, url = str(written(tmp_path / "texts.txt", TEXTS)), f"s3://{BUCKET}/v.zarr"
    assert main(["embed", texts, "--out", url, "--dtype", "float16"]) == 0
    assert f"{url}: 300 rows of 256 coordinates" in capsys.readouterr().out
    assert open_rows(url).read(0, 300).any(axis=1).all()
    assert main(["embed", f"s3://{BUCKET}/texts.txt", "--out", url]) == 2
    assert "copy them onto a disk" in capsys.readouterr().err


def refused(source, message, kind=StoreError):
    with pytest.raises(kind, match=message) as said:
        rows = open_rows(source)
        rows.read(0, rows.n_rows)
    assert "\n" not in str(said.value) and "secret" not in str(said.value)


def test_a_store_that_refuses_is_one_sentence(s3, tmp_path, matrix, monkeypatch):
    """No bucket, no such name, a wrong key, no key, a server that is gone: said, and no secret with it."""
    url = put(as_npy(tmp_path / "v", matrix), f"s3://{BUCKET}/v.npy")
    refused("s3://no-such-bucket/v.npy", "is not there .*bucket does not exist", DataFormatError)
    refused(f"s3://{BUCKET}/other.npy", r"other.npy` is not there; give a", DataFormatError)
    monkeypatch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)
    refused(url, r"v.npy`: the store refuses \(Forbidden\); check address, endpoint and the credentials")
    with pytest.raises(StoreError, match=r"v.zarr/zarr.json`: the store refuses"):
        embed_file(TextFile(written(tmp_path / "t.txt", TEXTS)), encoder(), place_of(f"s3://{BUCKET}/v.zarr"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    forget()
    refused(url, r"the store refuses \(Unable to locate credentials\)")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "her secret")
    forget()
    refused(url, r"the store refuses \(Could not connect")


@pytest.mark.parametrize("save", [as_npy, as_zarr, as_parquet])
def test_a_server_gone_in_the_middle_keeps_finished_blocks(s3, tmp_path, matrix, monkeypatch, save):
    """The sweep ends in a sentence; when the server is there again it reads only what was not done."""
    monkeypatch.setattr(streaming, "BLOCK", TILE)
    path = save(tmp_path / "v", matrix)
    url, state = put(path, f"s3://{BUCKET}/{path.name}"), tmp_path / "state.npz"
    rows = open_rows(url)
    queries = sampled_queries(rows, 7)
    job = job_of(rows, queries, dims=[4], k=3)
    expected, read = stream_slice(rows, queries, job), rows.stretch

    def gone_after_one(start, stop):
        if start >= TILE:
            s3.stop()
        return read(start, stop)

    monkeypatch.setattr(rows, "stretch", gone_after_one)
    with pytest.raises(StoreError, match=f"{path.name}`: the store refuses .*what is finished is kept"):
        stream_slice(rows, queries, job, state=state, block_bytes=1)
    assert state.exists()
    s3.start()
    rows, asked = open_rows(url), []
    read = rows.stretch
    monkeypatch.setattr(rows, "stretch", lambda start, stop: asked.append(start) or read(start, stop))
    found = stream_slice(rows, queries, job, state=state, block_bytes=1)
    assert min(asked) == TILE
    np.testing.assert_array_equal(found.items, expected.items)
    np.testing.assert_array_equal(found.similarities, expected.similarities)


def test_a_server_gone_while_embedding_keeps_shard_files(s3, tmp_path, small_shards):
    """What is there stays, is not taken for torn, and is not made again."""
    source, url = TextFile(written(tmp_path / "texts.txt", TEXTS)), f"s3://{BUCKET}/v.zarr"
    embed_file(source, encoder(), place_of(url), index=1, count=2)
    before = all_of(url)
    s3.stop()
    with pytest.raises(StoreError, match="the store refuses"):
        embed_file(source, encoder(), place_of(url))
    s3.start()
    assert all_of(url) == before
    assert embed_file(source, encoder(), place_of(url)).n_made == 300 - 128


@pytest.mark.parametrize(
    ("url", "kind", "message"),
    [
        ("s3://someone:secret@bucket/v.npy", InvalidInputError, "this `s3://` address has credentials"),
        ("s3://someone:a/secret@bucket/v.npy", InvalidInputError, "credentials"),
        ("https://token@host/v.npy", InvalidInputError, "credentials"),
        ("https://host/v.npy?X-Amz-Signature=secret", InvalidInputError, "a question mark"),
        ("nothing://bucket/v.npy", DataFormatError, "`nothing://` is no kind of store"),
        ("memory://v.csv", DataFormatError, "is not there"),
    ],
)
def test_addresses_that_cannot_be_used(capsys, url, kind, message):
    """Said in a sentence that repeats no secret, by the library and the command."""
    with pytest.raises(kind, match=message) as said:
        open_rows(url)
    assert main(["sweep", url]) == 2
    shown = capsys.readouterr().err
    assert shown == f"mrl_viz: {said.value}\n" and "secret" not in shown and "token@" not in shown


def test_what_is_no_address():
    """A path, also one with a colon; file:// is this machine's disk; a container before an @ is no user."""
    assert not any(map(is_address, ("v.npy", "/a/b.npy", "c:/b.npy", "file:///a/b.npy", "a:b.npy")))
    assert str(place_of("file:///a/b%20c.npy")) == "/a/b c.npy"
    assert is_address("S3://bucket/v.npy") and is_address("memory://v.npy")


def test_a_missing_client_is_said(monkeypatch):
    """With the command that installs it."""

    def missing(url):
        raise ImportError("Please install gcsfs to access Google Storage")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(OptionalDependencyError, match=r"needs s3fs; pip install 'mrl_viz\[object-store\]'"):
        open_rows("s3://bucket/v.npy")
    with pytest.raises(OptionalDependencyError, match=r"needs another package \(Please install gcsfs"):
        open_rows("gs://bucket/v.npy")
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "fsspec.core", None)
        with pytest.raises(OptionalDependencyError, match=r"need fsspec; pip install"):
            open_rows("s3://bucket/v.npy")


def test_damage_in_a_store_is_no_refusal(memory, tmp_path, matrix):
    """A file cut off and a damaged chunk are said as they are on a disk."""
    whole = as_npy(tmp_path / "v", matrix)
    whole.write_bytes(whole.read_bytes()[:-8])
    with pytest.raises(DataFormatError, match="ends after"):
        open_rows(put(whole, "memory://v.npy"))
    url = put(as_zarr(tmp_path / "z", matrix), "memory://z.zarr")
    fsspec.filesystem("memory").pipe_file("/z.zarr/0.0", b"nothing of the kind")
    with pytest.raises(MrlVizError, match="damaged chunk"):
        open_rows(url).read(0, N_ROWS)
    assert zarr.open_array(url, mode="r").shape == matrix.shape
