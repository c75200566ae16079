"""Plans measured by a Dask cluster of this machine's processes: the lists of one process, parts made once."""

import json

import numpy as np
import pytest

from mrl_viz.cli.main import main
from mrl_viz.errors import MrlVizError
from mrl_viz.scale import cluster, stages
from mrl_viz.scale.cluster import cluster_at, stages_on
from mrl_viz.scale.rows import open_rows
from mrl_viz.scale.stages import Asked, fit_sample, stage_file, stage_job, stream_stages
from mrl_viz.scale.streaming import sampled_queries
from mrl_viz.sweep.fused import BLOCK

N_SLICES = 10
pytestmark = pytest.mark.filterwarnings("ignore")  # Dask's own, of sockets and loops at its end


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "vectors.npy"
    np.save(path, np.random.default_rng(0).normal(size=((N_SLICES - 1) * BLOCK + 77, 8)).astype(np.float16))
    return path


@pytest.fixture(scope="module")
def client():
    with cluster_at("local:2") as found:
        yield found


def test_two_workers_make_the_lists_of_one_process(client, source, tmp_path):
    """To the last bit, through a tree of merges; a part that is torn is made again, and only that."""
    rows = open_rows(source)
    asked = Asked(sampled_queries(rows, 40), fit_sample(rows))
    wanted = [(dim, dtype) for dim in (4, 8) for dtype in ("float32", "int8", "binary", "rabitq2")]
    job = stage_job(rows, asked, wanted, depth=20, block_bytes=1)
    expected, seen = stream_stages(rows, asked, job), []
    for _ in range(2):
        found = stages_on(
            client, str(source), asked, job, tmp_path, n_slices=N_SLICES, progress=lambda *s: seen.append(s)
        )
        np.testing.assert_array_equal(found.items, expected.items)
        np.testing.assert_array_equal(found.similarities, expected.similarities)
        made = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npz")}
        assert len(made) == N_SLICES and not list((tmp_path / "merged").glob("*.npz"))
        torn = stage_file(tmp_path, job, *job.slice_of(3, N_SLICES))
        torn.write_bytes(b"torn")
    assert seen == [(done, N_SLICES) for done in range(1, N_SLICES + 1)] * 2
    stages_on(client, str(source), asked, job, tmp_path, n_slices=N_SLICES)
    assert [path for path, at in made.items() if path.stat().st_mtime_ns != at] == [torn]
    with pytest.raises(MrlVizError, match="is not there"):
        stages_on(client, str(tmp_path / "gone.npy"), asked, job, tmp_path / "other", n_slices=2)


def test_the_command_recommends_the_same_by_a_cluster(source, tmp_path, monkeypatch):
    """Every plan's quality and bound, and the plan chosen; the parts stay where they were asked for."""
    command = ["recommend", str(source), "--sample-queries", "60", "--dims", "4", "--dtypes", "float32,int8"]
    command += ["--target", "0.3", "--no-rerank"]
    monkeypatch.setattr(cluster, "STAGE_ROWS", 20_000)
    monkeypatch.setattr(stages, "BLOCK_BYTES", 1)
    found = []
    for more in ([], ["--cluster", "local:1", "--out", str(tmp_path / "parts")]):
        assert main([*command, *more, "--json", str(tmp_path / "found.json")]) == 0
        told = json.loads((tmp_path / "found.json").read_text())
        found.append([(row["plan"], row["quality"], row["low"]) for row in told["evidence"]])
    assert sorted(found[0]) == sorted(found[1]) and len(found[0]) > 2
    assert list((tmp_path / "parts").glob("plans-*.npz"))
