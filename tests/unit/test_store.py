"""The store embeds each text once and never serves a wrong row."""

import json
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from filelock import FileLock

from mrl_viz.embedding import store
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.embedding.encoders.precomputed import PrecomputedEncoder
from mrl_viz.embedding.store import EmbeddingStore
from mrl_viz.errors import CancelledError, DimensionError, StoreError

TEXTS = [f"text number {n} about {topic}" for n in range(40) for topic in ("rivers", "bread", "tax")]
SMALL_BATCH = 16

# Each run of these tests is a process of its own, to be killed: a fork of one that has imported what takes long.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["mrl_viz.embedding.encoders.precomputed", "mrl_viz.embedding.store", "pytest", "zarr"]
)


def watched_run(task, told):
    """A run that tells what it encodes and stops for good at the moment it was given, to be killed there.

    The third batch is the one that suffers.
    """
    store.FIRST_BATCH = store.BATCH = SMALL_BATCH
    batches = 0

    def reach(moment):
        if moment == task["moment"] and batches == 3:
            told.send("reached")
            time.sleep(600)

    class Watched:
        def __init__(self, encoder):
            self.encoder = encoder

        def __getattr__(self, name):
            return getattr(self.encoder, name)

        def encode(self, texts, **options):
            nonlocal batches
            batches += 1
            told.send("batch")
            reach("between batches")
            self.encoder.encode(texts[: len(texts) // 2])
            reach("inside a batch")
            time.sleep(task["pause"])
            vectors = self.encoder.encode(texts, **options)
            reach("before the write")
            for text in texts:
                told.send("encoded " + text)
            return vectors

    replace, write = Path.replace, store._Shelf._write

    def watched_replace(path, target):
        if "keys.zarr" in str(path):
            reach("before the commit")
        return replace(path, target)

    def watched_write(shelf, first, vectors):
        if task["moment"] == "in a half-written row" and batches == 3:
            shelf.vectors[first : first + len(vectors), :64] = vectors[:, :64]
        reach("in a half-written row")
        write(shelf, first, vectors)
        reach("after the write")

    Path.replace, store._Shelf._write = watched_replace, watched_write
    if task["vectors"]:
        with np.load(task["vectors"]) as file:
            encoder = PrecomputedEncoder("known", tuple(json.loads(str(file["texts"]))), file["embeddings"])
    else:
        encoder = load_encoder()
    rows = EmbeddingStore(task["folder"]).embed(Watched(encoder), task["texts"])
    if task["result"]:
        np.save(task["result"], rows)
    told.send("done")


class Counting:
    """The real encoder, counting the texts it is asked for."""

    def __init__(self, encoder):
        self._encoder, self.asked = encoder, []

    def __getattr__(self, name):
        return getattr(self._encoder, name)

    def encode(self, texts, **options):
        self.asked += texts
        return self._encoder.encode(texts, **options)


def child(folder, texts, moment="", pause=0.0, vectors="", result=""):
    """A process of `watched_run`, with these vectors or else with WordLlama, and what it tells."""
    task = {"folder": folder, "texts": texts, "moment": moment, "pause": pause, "vectors": vectors, "result": result}
    hear, told = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=watched_run, args=(task, told))
    with pytest.MonkeyPatch.context() as patch:
        # A process imports the main module of the one that starts it: after an AppTest that would be the app.
        patch.setitem(sys.modules, "__main__", ModuleType("__main__"))
        process.start()
    told.close()
    return process, hear


def words(hear):
    """What a run tells, until it ends."""
    with suppress(EOFError):
        while True:
            yield hear.recv()


def end(*children):
    for process, hear in children:
        process.kill()
        process.join()
        process.close()
        hear.close()


@pytest.fixture(scope="module")
def wordllama_run(tmp_path_factory):
    """A run with the real model and its folder, begun while this process loads the model, too: both take seconds."""
    folder = tmp_path_factory.mktemp("store")
    run = child(folder, TEXTS, moment="inside a batch")
    yield run, folder
    end(run)


@pytest.fixture(scope="module")
def wordllama(wordllama_run):
    return load_encoder()


@pytest.fixture(scope="module")
def vectors(wordllama):
    return wordllama.encode(TEXTS)


@pytest.fixture
def encoder(wordllama):
    return Counting(wordllama)


@pytest.fixture
def known(vectors):
    """An encoder of the same vectors that a fresh process builds without loading a model."""
    return Counting(PrecomputedEncoder("known", tuple(TEXTS), vectors))


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(store, "FIRST_BATCH", SMALL_BATCH)
    monkeypatch.setattr(store, "BATCH", SMALL_BATCH)


@pytest.fixture
def small_chunks(monkeypatch):
    """Eight rows a chunk, so that a few texts fill several."""
    monkeypatch.setattr(store, "ROW_CHUNK", 8)


@pytest.fixture
def start(tmp_path, vectors):
    """Starts a run in a process of its own."""
    path = tmp_path / "known.npz"
    np.savez(path, texts=json.dumps(TEXTS), embeddings=vectors)
    children = []

    def run(folder, texts=TEXTS, **options):
        children.append(child(folder, texts, vectors=path, **options))
        return children[-1]

    yield run
    end(*children)


def encoded_in(said):
    """The texts among what a run told."""
    return [word.removeprefix("encoded ") for word in said if word.startswith("encoded ")]


def kill_at(run, word, times=1):
    """Let a run say a word so many times, then SIGKILL it; returns the texts it encoded."""
    process, hear = run
    said = []
    for found in words(hear):
        said.append(found)
        if said.count(word) == times:
            break
    assert said.count(word) == times, "the run ended before it was killed"
    process.kill()
    said += words(hear)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    return encoded_in(said)


def finish(run):
    """Let a run end; returns the texts it encoded."""
    process, hear = run
    said = list(words(hear))
    process.join(timeout=60)
    assert process.exitcode == 0 and said[-1] == "done"
    return encoded_in(said)


def test_embed_encodes_nothing_the_second_time_and_one_text_after_an_edit(tmp_path, encoder, vectors):
    """Stored vectors are the encoder's own, bit by bit; only unknown texts are encoded."""
    np.testing.assert_array_equal(EmbeddingStore(tmp_path).embed(encoder, TEXTS), vectors)
    encoder.asked.clear()
    edited = ["another line", *TEXTS[1:], TEXTS[5]]
    second = EmbeddingStore(tmp_path).embed(encoder, edited)
    assert encoder.asked == ["another line"]
    np.testing.assert_array_equal(second[1:-1], vectors[1:])
    np.testing.assert_array_equal(second[-1], vectors[5])


def test_embed_equals_the_encoder_whatever_came_before(tmp_path, known, vectors, small_chunks):
    """After any sequence of partial runs each text has been encoded once and has its own vector, at every width."""
    rng = random.Random(0)
    for _ in range(25):
        rows = rng.choices(range(len(TEXTS)), k=rng.randrange(20))
        dim = rng.choice([1, 63, 64, 65, 128, 256])
        result = EmbeddingStore(tmp_path).embed(known, [TEXTS[row] for row in rows], dim=dim)
        np.testing.assert_array_equal(result, vectors[rows, :dim])
    assert len(known.asked) == len(set(known.asked))


@pytest.mark.parametrize(
    "text", ["", " ", "\ud800 alone", "a\0b", "long " * 20_000], ids=["empty", "blank", "surrogate", "nul", "long"]
)
def test_embed_takes_any_text(tmp_path, encoder, text):
    """Odd texts, also alone in a store and with a vector of zeros, are encoded once."""
    first = EmbeddingStore(tmp_path).embed(encoder, [text])
    np.testing.assert_array_equal(first, encoder.encode([text]))
    encoder.asked.clear()
    np.testing.assert_array_equal(EmbeddingStore(tmp_path).embed(encoder, [text]), first)
    assert encoder.asked == []


def test_embed_takes_no_texts(tmp_path, encoder):
    """No texts make no rows, of the model's width."""
    assert EmbeddingStore(tmp_path).embed(encoder, []).shape == (0, 256)


def test_embed_keeps_models_revisions_and_prompts_apart(tmp_path, vectors):
    """The same text under another name, revision or prompt is encoded again."""
    texts = tuple(TEXTS[:4])
    encoders = [
        Counting(PrecomputedEncoder("one", texts, vectors[:4], query_prompt="query: ")),
        Counting(PrecomputedEncoder("two", texts, vectors[:4], query_prompt="query: ")),
        Counting(PrecomputedEncoder("one", texts, vectors[4:8], query_prompt="query: ")),
    ]
    for encoder in encoders:
        for kind in ("document", "query", "document", "query"):
            EmbeddingStore(tmp_path).embed(encoder, texts, kind=kind)
        assert encoder.asked == [*texts, *texts]


def test_count_missing_counts_what_embed_would_encode(tmp_path, encoder):
    """Distinct texts that are not stored, also when the keys cannot be read."""
    cache = EmbeddingStore(tmp_path)
    assert count_missing(cache, encoder, [*TEXTS, TEXTS[0]]) == len(TEXTS)
    cache.embed(encoder, TEXTS[:50])
    assert count_missing(cache, encoder, [*TEXTS, TEXTS[0]]) == len(TEXTS) - 50
    next(tmp_path.glob("*/keys.zarr/c/0/0")).write_bytes(b"no keys" * 500)
    assert count_missing(cache, encoder, TEXTS) == len(TEXTS)


def test_embed_reports_progress_over_all_distinct_texts(tmp_path, encoder, small_batches):
    """What is stored counts as available from the start, and the last report is complete."""
    EmbeddingStore(tmp_path).embed(encoder, TEXTS[:50])
    reports = []
    EmbeddingStore(tmp_path).embed(
        encoder, [*TEXTS, TEXTS[0]], progress=lambda done, total: reports.append((done, total))
    )
    assert [done for done, _ in reports] == [66, 82, 98, 114, 120]
    assert {total for _, total in reports} == {120}


def test_embed_cancelled_keeps_finished_batches(tmp_path, encoder, small_batches):
    """After a stop, the batches before it are not encoded again."""
    answers = iter([False, False, False, True])
    with pytest.raises(CancelledError, match="48 of 120 texts are stored"):
        EmbeddingStore(tmp_path).embed(encoder, TEXTS, cancelled=lambda: next(answers))
    encoder.asked.clear()
    EmbeddingStore(tmp_path).embed(encoder, TEXTS)
    assert encoder.asked == TEXTS[48:]


def test_embed_commits_by_time(tmp_path, encoder, monkeypatch):
    """A slow model commits every first batch's worth; a fast one fills whole chunks."""
    monkeypatch.setattr(store, "FIRST_BATCH", 10)
    sizes = []
    encode = encoder.encode
    encoder.encode = lambda texts, **options: sizes.append(len(texts)) or encode(texts, **options)
    EmbeddingStore(tmp_path / "fast").embed(encoder, TEXTS)
    monkeypatch.setattr(store, "COMMIT_S", 0.0)
    EmbeddingStore(tmp_path / "slow").embed(encoder, TEXTS)
    assert sizes == [10, 110, *[10] * 12]


@pytest.mark.parametrize(
    "moment",
    [
        "between batches",
        "inside a batch",
        "before the write",
        "in a half-written row",
        "after the write",
        "before the commit",
    ],
)
def test_embed_resumes_after_a_kill(tmp_path, start, known, vectors, moment):
    """Killed at any moment of its third batch, a run leaves two batches, not encoded again, and no wrong row."""
    kill_at(start(tmp_path / "store", moment=moment), "reached")
    np.testing.assert_array_equal(EmbeddingStore(tmp_path / "store").embed(known, TEXTS[::-1]), vectors[::-1])
    assert sorted(known.asked) == sorted(TEXTS[2 * SMALL_BATCH :])
    assert not list((tmp_path / "store").rglob("*.partial"))


def test_embed_with_the_real_model_resumes_after_a_kill(wordllama_run, encoder, vectors):
    """The same holds for a process that encodes with WordLlama itself."""
    run, folder = wordllama_run
    kill_at(run, "reached")
    np.testing.assert_array_equal(EmbeddingStore(folder).embed(encoder, TEXTS), vectors)
    assert encoder.asked == TEXTS[2 * SMALL_BATCH :]


def test_embed_killed_again_and_again_ends_with_the_right_vectors(tmp_path, start, vectors):
    """Runs killed at arbitrary moments repeat at most the batch each was in."""
    encoded = []
    for n_batches in (2, 3):
        encoded += kill_at(start(tmp_path / "store", pause=0.01), "batch", n_batches)
    encoded += finish(start(tmp_path / "store", result=tmp_path / "rows.npy"))
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy"), vectors)
    assert set(encoded) == set(TEXTS)
    assert len(encoded) <= len(TEXTS) + 2 * SMALL_BATCH


def test_embed_by_two_processes_at_once_encodes_each_text_once(tmp_path, start, vectors):
    """One waits for the other and finds what it stored."""
    first = start(tmp_path / "store", TEXTS[:80], pause=0.05, result=tmp_path / "first.npy")
    second = start(tmp_path / "store", TEXTS[40:], pause=0.05, result=tmp_path / "second.npy")
    assert sorted(finish(first) + finish(second)) == sorted(TEXTS)
    np.testing.assert_array_equal(np.load(tmp_path / "first.npy"), vectors[:80])
    np.testing.assert_array_equal(np.load(tmp_path / "second.npy"), vectors[40:])


def test_embed_by_several_threads_at_once_encodes_each_text_once(tmp_path, known, vectors):
    """Sessions of one server share a store as processes do."""
    results = {}

    def run(number):
        results[number] = EmbeddingStore(tmp_path).embed(known, TEXTS[number * 20 : number * 20 + 60])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, rows in results.items():
        np.testing.assert_array_equal(rows, vectors[number * 20 : number * 20 + 60])
    assert sorted(known.asked) == sorted(TEXTS)


def count_missing(cache, encoder, texts):
    """How many distinct texts would have to be encoded."""
    return int((cache.rows(encoder, list(dict.fromkeys(texts))) < 0).sum())


def flip(content, place=None):
    """The same bytes but for one bit, in the middle unless said otherwise."""
    place = len(content) // 2 if place is None else place
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGES = {
    "flipped": flip,
    "cut": lambda content: content[:-100],
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("damage", [*DAMAGES, "missing"])
@pytest.mark.parametrize("name", ["vectors.zarr/c/3/1", "keys.zarr/c/3/0"])
def test_embed_encodes_a_damaged_chunk_again(tmp_path, known, vectors, small_chunks, name, damage):
    """The rows of a chunk that fails its checksum, or is gone, are encoded again, and no other rows."""
    EmbeddingStore(tmp_path).embed(known, TEXTS[:40])
    (chunk,) = tmp_path.glob(f"*/{name}")
    if damage == "missing":
        chunk.unlink()
    else:
        chunk.write_bytes(DAMAGES[damage](chunk.read_bytes()))
    known.asked.clear()
    np.testing.assert_array_equal(EmbeddingStore(tmp_path).embed(known, TEXTS[:40]), vectors[:40])
    assert known.asked == TEXTS[24:32]
    known.asked.clear()
    np.testing.assert_array_equal(EmbeddingStore(tmp_path).embed(known, TEXTS[:40]), vectors[:40])
    assert known.asked == []


@pytest.mark.parametrize("damage", [*DAMAGES, "missing"])
def test_embed_appends_beside_a_damaged_last_chunk(tmp_path, known, vectors, small_chunks, damage):
    """A damaged chunk that still has room is not filled up; its rows are encoded again when they are asked for."""
    EmbeddingStore(tmp_path).embed(known, TEXTS[:12])
    (chunk,) = tmp_path.glob("*/vectors.zarr/c/1/1")
    if damage == "missing":
        chunk.unlink()
    else:
        chunk.write_bytes(DAMAGES[damage](chunk.read_bytes()))
    known.asked.clear()
    np.testing.assert_array_equal(EmbeddingStore(tmp_path).embed(known, TEXTS[12:20]), vectors[12:20])
    np.testing.assert_array_equal(EmbeddingStore(tmp_path).embed(known, TEXTS), vectors)
    assert set(TEXTS[8:]) == set(known.asked)


@pytest.mark.parametrize("damage", [*DAMAGES, "missing"])
@pytest.mark.parametrize("name", ["keys.zarr/zarr.json", "vectors.zarr/zarr.json"])
def test_embed_begins_anew_without_two_sound_arrays(tmp_path, known, vectors, small_chunks, name, damage):
    """Keys and vectors mean nothing alone: without one's description all texts are encoded again, and then stay."""
    EmbeddingStore(tmp_path).embed(known, TEXTS[:100])
    (path,) = tmp_path.glob(f"*/{name}")
    if damage == "missing":
        path.unlink()
    else:
        content = path.read_bytes()
        # Some of its words say what goes without saying; a bit of this one changes what it is.
        path.write_bytes(flip(content, content.index(b"shape")) if damage == "flipped" else DAMAGES[damage](content))
    for expected in (TEXTS, []):
        known.asked.clear()
        np.testing.assert_array_equal(EmbeddingStore(tmp_path).embed(known, TEXTS[::-1]), vectors[::-1])
        assert sorted(known.asked) == sorted(expected)


def test_embed_never_serves_a_row_through_a_flipped_bit_of_the_keys(tmp_path, known, vectors):
    """A chunk of keys in which a bit changed fails its checksum."""
    EmbeddingStore(tmp_path).embed(known, TEXTS)
    (path,) = tmp_path.glob("*/keys.zarr/c/0/0")
    sound = path.read_bytes()
    used = [place for place, byte in enumerate(sound) if byte]
    for place in random.Random(0).sample(used, 12):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
        np.testing.assert_array_equal(EmbeddingStore(tmp_path).embed(known, TEXTS[::-1]), vectors[::-1])


def test_embed_reads_only_the_column_chunks_of_a_prefix(tmp_path, encoder, vectors):
    """With every later column chunk gone, a 64-d prefix is still served without encoding."""
    EmbeddingStore(tmp_path).embed(encoder, TEXTS)
    for column in (1, 2, 3):
        next(tmp_path.glob(f"*/vectors.zarr/c/0/{column}")).unlink()
    encoder.asked.clear()
    np.testing.assert_array_equal(EmbeddingStore(tmp_path).embed(encoder, TEXTS, dim=64), vectors[:, :64])
    assert encoder.asked == []


@pytest.mark.parametrize("dim", [0, -1, 257])
def test_embed_refuses_an_impossible_prefix(tmp_path, encoder, dim):
    """A prefix is 1 to full_dim wide."""
    with pytest.raises(DimensionError, match="choose 1 to 256"):
        EmbeddingStore(tmp_path).embed(encoder, TEXTS, dim=dim)


def named(name, vectors):
    return PrecomputedEncoder(name, tuple(TEXTS), vectors)


def test_embed_evicts_the_model_used_longest_ago(tmp_path, vectors):
    """Above the bound the least recently used model goes, whole; the others and the one in use stay."""
    one, two, three = (named(name, vectors) for name in ("one", "two", "three"))
    for encoder in (one, two, one):
        EmbeddingStore(tmp_path).embed(encoder, TEXTS)
    bound = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) + 1000
    cache = EmbeddingStore(tmp_path, max_bytes=bound)
    cache.embed(three, TEXTS)
    assert [count_missing(cache, encoder, TEXTS) for encoder in (one, two, three)] == [0, len(TEXTS), 0]


def test_embed_keeps_the_model_in_use_and_those_locked_elsewhere(tmp_path, vectors):
    """No bound is small enough to remove what someone is using."""
    one, two = named("one", vectors), named("two", vectors)
    cache = EmbeddingStore(tmp_path, max_bytes=1)
    cache.embed(one, TEXTS)
    assert count_missing(cache, one, TEXTS) == 0
    (lock,) = tmp_path.glob("*.lock")
    with FileLock(lock):
        cache.embed(two, TEXTS)
    assert [count_missing(cache, encoder, TEXTS) for encoder in (one, two)] == [0, 0]


def test_embed_evicts_nothing_but_models(tmp_path, vectors):
    """Whatever else lies in the folder stays, however small the bound."""
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_bytes(b"sea")
    EmbeddingStore(tmp_path, max_bytes=1).embed(named("one", vectors), TEXTS)
    assert (tmp_path / "holiday" / "photo.jpg").read_bytes() == b"sea"


def test_embed_trims_the_oldest_rows_of_the_only_model(tmp_path, known, vectors, small_chunks):
    """Many corpora through one model stay within the bound: chunks without a row of the last go, oldest first."""
    EmbeddingStore(tmp_path).embed(known, TEXTS[:80])
    bound = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    cache = EmbeddingStore(tmp_path, max_bytes=bound)
    rows = cache.embed(known, [*TEXTS[:8], *TEXTS[80:]])
    np.testing.assert_array_equal(rows, vectors[[*range(8), *range(80, 120)]])
    assert count_missing(cache, known, [*TEXTS[:8], *TEXTS[80:]]) == 0
    assert count_missing(cache, known, TEXTS[8:48]) == 40
    np.testing.assert_array_equal(EmbeddingStore(tmp_path).embed(known, TEXTS), vectors)


def test_embed_leaves_no_text_in_any_file(tmp_path, encoder):
    """The store holds vectors and hashes: a text cannot be read from its files."""
    EmbeddingStore(tmp_path).embed(encoder, TEXTS)
    contents = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(contents) >= 6
    for word in (b"text number", b"rivers", b"bread"):
        assert not any(word in content for content in contents)


def test_store_folder_comes_from_the_environment(tmp_path, monkeypatch):
    """MRL_VIZ_CACHE is where the store is, made when it is not there."""
    monkeypatch.setenv("MRL_VIZ_CACHE", str(tmp_path / "new" / "place"))
    assert EmbeddingStore().folder == tmp_path / "new" / "place"
    assert EmbeddingStore().folder.is_dir()


def test_store_refuses_a_folder_that_cannot_be_made(tmp_path):
    """A folder below a file is one clear sentence."""
    (tmp_path / "file").touch()
    with pytest.raises(
        StoreError, match=r"^`.*file/store` cannot be created \(Not a directory\); set MRL_VIZ_CACHE .*\.$"
    ):
        EmbeddingStore(tmp_path / "file" / "store")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes into any folder")
def test_store_refuses_a_folder_that_cannot_be_written(tmp_path):
    """A read-only folder is one clear sentence."""
    (tmp_path / "store").mkdir(mode=0o500)
    with pytest.raises(StoreError, match=r"^`.*store` cannot be written; set MRL_VIZ_CACHE to a folder you own\.$"):
        EmbeddingStore(tmp_path / "store")


def test_embed_says_what_the_disk_refuses(tmp_path, known):
    """A file where a model's folder has to be is a StoreError, not a traceback."""
    cache = EmbeddingStore(tmp_path)
    cache.home(known, "document").touch()
    with pytest.raises(StoreError, match=r"cannot be used \(.*\); free some space or set MRL_VIZ_CACHE"):
        cache.embed(known, TEXTS)


def test_embed_gives_up_on_a_store_that_is_held(tmp_path, known, monkeypatch):
    """A lock that is never released ends in a StoreError that says so."""
    monkeypatch.setattr(store, "LOCK_TIMEOUT_S", 0.05)
    cache = EmbeddingStore(tmp_path)
    cache.embed(known, TEXTS)
    (lock,) = tmp_path.glob("*.lock")
    with FileLock(lock), pytest.raises(StoreError, match="is held by another process; wait for it"):
        cache.embed(known, TEXTS)


def test_embed_passes_an_encoder_s_own_error_on(tmp_path, known):
    """An encoder that loses its connection is not the disk's fault."""

    def lose(texts, **options):
        raise ConnectionError("no route")

    known.encode = lose
    with pytest.raises(ConnectionError, match="no route"):
        EmbeddingStore(tmp_path).embed(known, TEXTS)
