"""Plans over rows on a disk: the lists, values and verdicts of the same functions in memory, from blocks."""

import json
from itertools import pairwise

import numpy as np
import pytest

from mrl_viz.cli.main import main
from mrl_viz.decide import candidates, choose, metrics, plan_from_text
from mrl_viz.decide.candidates import measure_candidates
from mrl_viz.decide.history import read_history
from mrl_viz.decide.monitoring import check_deployed_plan
from mrl_viz.embedding.embedded import embed
from mrl_viz.errors import CancelledError, InvalidInputError, MrlVizError
from mrl_viz.retrieval.plan import Plan, build_plan
from mrl_viz.scale import stages
from mrl_viz.scale.plans import MOST_K, measure_rows, monitor_rows, recommend_rows, watched
from mrl_viz.scale.rows import open_rows
from mrl_viz.scale.stages import Asked, all_stages, fit_sample, picked, stage_job, stream_stages
from mrl_viz.scale.streaming import Queries, given_queries, sampled_queries
from mrl_viz.sweep.fused import BLOCK
from mrl_viz.tasks.task import sample_rows

N_ROWS, FULL_DIM = BLOCK + 1500, 16
CODES = ("float32", "float16", "int8", "binary", "rabitq2")


@pytest.fixture(scope="module")
def matrix():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(60, FULL_DIM))[rng.integers(0, 60, N_ROWS)]
    rows = (centres + 0.5 * rng.normal(size=(N_ROWS, FULL_DIM))) * np.arange(1, FULL_DIM + 1) ** -0.3
    rows[:20] = rows[BLOCK : BLOCK + 20]  # copies, in another block
    return rows.astype(np.float32)


@pytest.fixture(scope="module")
def rows(matrix, tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "vectors.npy"
    np.save(path, matrix)
    return open_rows(path)


@pytest.fixture
def quick(monkeypatch):
    """Scans timed on few vectors: these tests are not of times."""
    monkeypatch.setattr(candidates, "SCANNED_COORDINATES", 20_000)
    monkeypatch.setattr(candidates, "LEAST_SCAN_MS", 0.0)


@pytest.mark.parametrize("are_rows", [True, False])
def test_plans_measured_block_by_block_are_those_of_memory(quick, rows, matrix, are_rows, monkeypatch):
    """The same plans, values and choice, up to a query or two whose scores float32 cannot tell apart."""
    monkeypatch.setattr(metrics, "MOST_QUERIES", 200)
    asked = np.random.default_rng(1).permutation(matrix)[:200] + np.float32(0.05)
    own = sample_rows(N_ROWS, 200, 0)
    queries = Queries(matrix[own], own) if are_rows else given_queries(asked, rows)
    options = {"dims": [4, 8], "dtypes": CODES, "n_runs": 1}
    found = measure_rows(rows, queries, block_bytes=1, **options)
    in_memory = embed(matrix) if are_rows else embed(matrix, queries=asked)
    expected = measure_candidates(in_memory, kinds=("exact", "panorama"), **options)
    assert found.plans == expected.plans and found.ks == expected.ks
    assert (found.values != expected.values).mean() < 0.002
    np.testing.assert_allclose(found.qualities, expected.qualities, atol=0.002)
    np.testing.assert_allclose(found.lower_bounds, expected.lower_bounds, atol=0.005)
    assert (found.texts_are_queries, found.n_items, found.n_queries) == (are_rows, N_ROWS, expected.n_queries)
    one, other = (choose(each, target=0.9, memory_gb=1) for each in (found, expected))
    assert one.plan is not None and one.plan.memory_bytes_per_vector == other.plan.memory_bytes_per_vector
    assert any("drawn at random" in note for note in one.notes)


def test_latency_grows_by_the_scan_and_says_so(quick, rows, matrix, monkeypatch):
    """Of a sample, then so many milliseconds for every row more."""
    monkeypatch.setattr(stages, "CALIBRATION_ROWS", 1000)
    found = measure_rows(rows, sampled_queries(rows, 20), dims=[8], dtypes=["float32"], allow_rerank=False, n_runs=1)
    one = found.candidates[0]
    assert one.scan_ms > 0 and one.latency.p50_ms > one.scan_ms * (N_ROWS - 1000)
    assert any("extrapolated to 9,660" in note for note in found.notes)


def same(one, other):
    np.testing.assert_array_equal(one.items, other.items)
    np.testing.assert_array_equal(one.similarities, other.similarities)


@pytest.mark.parametrize("dtype", ["float32", "int8", "int4", "binary", "binary-rotated", "rabitq2", "turboquant4"])
def test_stages_are_the_lists_of_their_plan(rows, matrix, dtype):
    """Every code's list over blocks against the index in memory, whose codes are fitted on the same rows."""
    queries = given_queries(matrix[100:160], rows)
    asked = Asked(queries, fit_sample(rows))
    found = stream_stages(rows, asked, stage_job(rows, asked, [(12, dtype)], depth=20, block_bytes=1))
    expected = build_plan(Plan(12, dtype), matrix).search(queries.matrix, 20)
    assert (found.items[0] != expected.indices).mean() < 0.01
    assert found.items.dtype == np.int64 and (np.diff(found.similarities) <= 0).all()


def test_slices_put_together_and_stops_gone_on_from_give_the_lists_of_one_pass(rows, tmp_path, monkeypatch):
    """Byte for byte, for codes of ours, decoded ones and scored ones; a state of other passes is not taken."""
    monkeypatch.setattr(stages, "BLOCK", 960)  # more blocks
    queries = sampled_queries(rows, 30)
    asked = Asked(queries, fit_sample(rows))
    wanted = [(dim, dtype) for dim in (4, 16) for dtype in (*CODES, "int4-rotated", "turboquant4")]
    job = stage_job(rows, asked, wanted, depth=30, block_bytes=1)
    whole = stream_stages(rows, asked, job)
    assert not (whole.items == queries.own[None, :, None]).any()
    assert job.n_blocks == 11
    spans = [job.slice_of(index, 4) for index in range(1, 5)]
    assert (spans[0][0], spans[-1][1]) == (0, N_ROWS) and all(one[1] == two[0] for one, two in pairwise(spans))
    parts = [stream_stages(rows, asked, job, *span) for span in spans]
    same(stages.merged_stages([parts[2], parts[0], parts[3], parts[1], parts[0]], 30), whole)

    monkeypatch.setattr(stages, "KEEP_S", 0.0)
    state, seen = tmp_path / "state.npz", []

    def stop(done, total):
        seen.append(done)
        if len(seen) == 4:
            raise CancelledError("enough")

    with pytest.raises(CancelledError):
        all_stages(rows, asked, job, state=state, progress=stop)
    again = []
    same(all_stages(rows, asked, job, state=state, progress=lambda done, _: again.append(done)), whole)
    assert again[0] == seen[-1] == 4 * job.height  # the block of the stop is read again, those before are not
    other = stage_job(rows, asked, wanted[:2], depth=30, block_bytes=1)
    same(all_stages(rows, asked, other, state=state), stream_stages(rows, asked, other))


def test_memory_holds_blocks_and_not_the_rows(matrix, tmp_path, quick):
    """Nothing longer than a block, or than what the sample of the fit is read in, is asked for."""
    np.save(tmp_path / "v.npy", matrix)
    rows, asked = open_rows(tmp_path / "v.npy"), []
    read = rows.read
    rows.read = lambda start, stop: asked.append(stop - start) or read(start, stop)
    measure_rows(rows, sampled_queries(rows, 5), dims=[4], dtypes=["int8"], n_runs=1, block_bytes=1)
    assert max(asked) <= stages.STRETCH and BLOCK in asked


def test_rows_picked_are_those_of_their_numbers(rows, matrix):
    """One by one where they are far apart, in stretches where they are close."""
    items = np.array([0, 5, 9, 11, 12, 13, 14, 20, 21, stages.STRETCH, N_ROWS - 1])
    np.testing.assert_array_equal(picked(rows, items), matrix[items])


@pytest.mark.parametrize(
    "plan", ["4", "8,int8", "4,binary,200@16", "4,float32,300@8,50@16", "4,int8,100@8", "8,float32,panorama"]
)
def test_a_deployed_plan_is_watched_as_in_memory(rows, matrix, plan):
    """The overlap of `check_deployed_plan` for plans with no, one and several reranks."""
    queries = matrix[500:620] + np.float32(0.02)
    deployed = plan_from_text(plan)
    found = monitor_rows(rows, deployed, given_queries(queries, rows), target=0.9, block_bytes=1)
    expected = check_deployed_plan(matrix, deployed, queries, target=0.9, n_queries=1000, seed=0)
    assert abs(found.overlap.value - expected.overlap.value) < 0.002
    assert (found.n_items, found.n_queries, found.is_below_target) == (N_ROWS, 120, expected.is_below_target)
    own = np.sort(np.random.default_rng(3).choice(N_ROWS, 50, replace=False))
    by_itself = monitor_rows(rows, deployed, Queries(matrix[own], own), target=0.9)
    assert 0 < by_itself.overlap.value <= 1


def test_queries_watched_are_a_sample_of_those_given(matrix):
    """At most so many, ascending, each with its own row."""
    queries = Queries(matrix[:50], np.arange(50))
    found = watched(queries, 20, seed=1)
    assert len(found.matrix) == 20 and (np.diff(found.own) > 0).all()
    np.testing.assert_array_equal(found.matrix, matrix[found.own])
    assert watched(queries, 60) is queries
    with pytest.raises(InvalidInputError, match="n_queries"):
        watched(queries, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rows, queries: measure_rows(rows, queries, metric="ndcg@10"), "needs labels of texts"),
        (lambda rows, queries: measure_rows(rows, queries, metric=f"overlap@{MOST_K + 1}"), "choose k up to 100"),
        (lambda rows, queries: measure_rows(rows, queries, dtypes=["int3"]), "choose one or more of"),
        (lambda rows, queries: measure_rows(rows, queries, dims=[17]), "have 16 coordinates"),
        (lambda rows, queries: recommend_rows(rows, queries, target=2), "`target` is 2"),
        (lambda rows, queries: monitor_rows(rows, Plan(8, kind="hnsw"), queries, target=0.9), "is built in memory"),
        (lambda rows, queries: monitor_rows(rows, 17, queries, target=0.9), "have 16 coordinates"),
        (
            lambda rows, queries: monitor_rows(rows, Plan(8, rerank=((5, 16),)), queries, target=0.9),
            "reranks only 5",
        ),
    ],
)
def test_what_cannot_be_measured_is_said(rows, call, message):
    """One sentence each."""
    with pytest.raises(MrlVizError, match=message):
        call(rows, sampled_queries(rows, 5))


def test_commands_decide_on_rows_and_watch_them(rows, tmp_path, capsys, quick, monkeypatch):
    """`recommend` writes a record that `monitor` reads; both say how many rows were read."""
    record, source = tmp_path / "record.json", rows.name
    asked = ["--sample-queries", "100", "--seed", "3"]
    options = ["--dims", "8", "--dtypes", "float32,int8", "--target", "0.5"]
    assert main(["recommend", source, *asked, *options, "--record", str(record), "--json", str(tmp_path / "r")]) == 0
    said = capsys.readouterr().out
    assert "overlap@10 of 100 queries, 9,660 rows, 16 dims" in said and "Graphs (hnsw)" in said
    found = json.loads(record.read_text())
    assert found["data"]["n_items"] == N_ROWS and found["plan"]["dim"] == 8
    assert main(["monitor", source, *asked, "--plan", str(record), "--json", str(tmp_path / "m")]) == 0
    watched_now = json.loads((tmp_path / "m").read_text())
    assert (watched_now["n_items"], watched_now["n_queries"], watched_now["target"]) == (N_ROWS, 100, 0.5)
    (check,) = read_history([tmp_path / "m"]).checks
    assert check.fingerprint == rows.fingerprint() and check.overlap.value == watched_now["overlap"]
    np.save(tmp_path / "q.npy", rows.read(0, 40))
    folder = tmp_path / "folder"
    folder.mkdir()
    np.save(folder / "part-1.npy", rows.read(0, N_ROWS))
    assert main(["monitor", str(folder), "--queries", str(tmp_path / "q.npy"), "--plan", "4", "--target", "0.99"]) == 1
    assert "of 40 sampled queries" in capsys.readouterr().out


def test_what_was_read_is_kept_by_its_job(rows, matrix, tmp_path, quick, monkeypatch):
    """A stop leaves the lists of that job alone; another job's end neither takes nor removes them."""
    monkeypatch.setattr(stages, "KEEP_S", 0.0)
    queries = given_queries(matrix[:20], rows)

    def stop(done, _):
        if done > BLOCK:
            raise KeyboardInterrupt

    some = {"dtypes": ("float32",), "keep_in": tmp_path, "block_bytes": 1}
    with pytest.raises(KeyboardInterrupt):
        measure_rows(rows, queries, dims=[4], progress=stop, **some)
    (left,) = tmp_path.iterdir()
    measure_rows(rows, queries, dims=[8], **some)
    assert list(tmp_path.iterdir()) == [left]
    done = []
    measure_rows(rows, queries, dims=[4], progress=lambda n, _: done.append(n), **some)
    assert done[0] > BLOCK and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["recommend", "--out", "x"], "for the parts of slices or of a --cluster"),
        (["recommend", "--hybrid"], "rows on a disk have none"),
        (["recommend", "--limit", "5"], "leave out --limit"),
        (["recommend", "--keep-duplicates"], "leave out --keep-duplicates"),
        (["recommend", "--metric", "accuracy"], "needs labels of texts"),
        (["recommend", "--queries", "q.npy"], "both say what is searched for"),
        (["recommend", "--cluster", "tcp://host:8786"], "needs --out"),
        (["monitor", "--plan", "8", "--canary", "f.npz"], "`--canary` embeds texts"),
        (["monitor", "--plan", "8,float32,hnsw"], "is built in memory"),
    ],
)
def test_options_that_cannot_apply_are_refused(rows, capsys, words, message):
    """One sentence and code 2."""
    assert main([words[0], rows.name, "--sample-queries", "5", *words[1:]]) == 2
    assert message in capsys.readouterr().err
