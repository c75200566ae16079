"""Models' rows on a disk compared as `compare_models` compares their vectors in memory."""

import json
from pathlib import Path

import numpy as np
import pytest

from mrl_viz.cli.main import main
from mrl_viz.comparison import compare_models
from mrl_viz.data.corpus import corpus_from_vectors
from mrl_viz.embedding.embedded import embed
from mrl_viz.errors import MrlVizError
from mrl_viz.scale.comparing import compare_rows
from mrl_viz.scale.rows import open_rows

N_ROWS = 1500


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A model, and another that sees it through noise, of fewer coordinates."""
    folder, rng = tmp_path_factory.mktemp("rows"), np.random.default_rng(0)
    one = (rng.normal(size=(N_ROWS, 16)) * np.arange(1, 17) ** -0.7).astype(np.float32)
    np.save(folder / "one.npy", one)
    np.save(folder / "other.npy", (one[:, :12] + rng.normal(0, 0.1, (N_ROWS, 12))).astype(np.float16))
    return [open_rows(folder / name) for name in ("one.npy", "other.npy")]


@pytest.fixture(scope="module")
def compared(sources):
    return compare_rows(sources, N_ROWS, dims=[4, 8], k=5)


def test_points_and_agreement_are_those_of_memory(sources, compared):
    """Every width, dtype and pair, where all rows search: codes within what other ranges and lengths change."""
    embedded = [embed(corpus_from_vectors(rows.read(0, N_ROWS), name=Path(rows.name).name)) for rows in sources]
    expected = compare_models(embedded, dims=[4, 8], k=5)
    assert compared.models == expected.models and compared.chance == expected.chance
    assert len(compared.points) == len(expected.points) == 30
    for one, other in zip(compared.points, expected.points):
        key, same = ((p.model, p.dim, p.dtype, p.bytes_per_vector, p.quality, p.is_on_front) for p in (one, other))
        assert key == same
        is_exact = one.dtype == "float32"
        assert one.overlap.value == pytest.approx(other.overlap.value, abs=1e-3 if is_exact else 0.03)
    for one, other in zip(compared.agreement, expected.agreement):
        assert one.dim == other.dim
        assert one.overlap[0][1].value == pytest.approx(other.overlap[0][1].value, abs=1e-3)
    assert compared.takeaway() == expected.takeaway()


def test_a_comparison_is_data(compared, sources):
    """Its record says what was compared, by fingerprint, as that of texts does."""
    found = json.loads(json.dumps(compared.to_dict()))
    assert found["corpus"] == {"name": "one.npy", "n_items": N_ROWS, "fingerprint": sources[0].fingerprint()}
    assert found["neighbors_of"] == "texts" and found["sources"] == [rows.fingerprint() for rows in sources]
    assert len(found["fingerprint"]) == 16 and "embedded" not in found


def test_what_cannot_be_compared_is_said(sources, tmp_path):
    """One source, one twice, sources of different lengths: a sentence each."""
    np.save(tmp_path / "short.npy", np.ones((9, 4), dtype=np.float32))
    for given, message in (
        (sources[:1], "1 sources; compare 2 to 4"),
        ([sources[0], sources[0]], "another source twice"),
        ([sources[0], open_rows(tmp_path / "short.npy")], "has 9 rows and"),
    ):
        with pytest.raises(MrlVizError, match=message):
            compare_rows(given, 5)


def test_the_command_compares_rows(sources, tmp_path, capsys):
    """A table of every point; what needs texts or one model's queries is refused."""
    command = ["compare", sources[0].name, "--vectors", sources[1].name, "--sample-queries", "60", "--dims", "4"]
    assert main([*command, "--json", str(tmp_path / "f.json")]) == 0
    said = capsys.readouterr().out
    assert "60 rows drawn at random (seed 0) search among all 1,500" in said and "other.npy" in said
    assert json.loads((tmp_path / "f.json").read_text())["n_measured"] == 60
    for more, message in (
        (["--model", "wordllama"], "are vectors already"),
        (["--queries", "q.npy"], "are of one model"),
        (["--html", "f.html"], "write --json"),
    ):
        assert main([*command, *more]) == 2
        assert message in capsys.readouterr().err
