"""The folders that a machine's owner named: what lies in them, what does not, and a sample of it."""

import os

import numpy as np
import pytest

from mrl_viz.data.corpus import Corpus
from mrl_viz.errors import InvalidInputError, MrlVizError
from mrl_viz.scale import folders
from mrl_viz.scale.folders import found_sources, sample_of
from tests.unit.test_scale import as_npy, as_parquet, as_zarr

ROWS = np.random.default_rng(0).normal(size=(700, 8)).astype(np.float32)


@pytest.fixture
def owned(tmp_path):
    """A folder with three kinds of source, one of them deeper and one in parts, beside what is none."""
    root = tmp_path / "vectors"
    (root / "deep" / "parts").mkdir(parents=True)
    as_npy(root / "a", ROWS)
    as_zarr(root / "deep" / "b", ROWS)
    as_npy(root / "deep" / "parts" / "1", ROWS[:300])
    as_parquet(root / "deep" / "parts" / "2", ROWS[300:])
    (root / "notes.txt").write_text("none")
    as_npy(root / ".hidden", ROWS)
    return root


def test_what_lies_in_the_folders_is_found_by_name(owned, tmp_path):
    """Also deeper, and in parts as one; a folder that is not there holds nothing."""
    expected = {"vectors/a.npy": "a.npy", "vectors/deep/b.zarr": "deep/b.zarr", "vectors/deep/parts": "deep/parts"}
    assert found_sources([owned, tmp_path / "gone"]) == {name: owned / way for name, way in expected.items()}
    assert found_sources([]) == {}
    assert set(found_sources([owned / "deep" / ".." / "deep"])) == {"deep/b.zarr", "deep/parts"}


def test_links_that_lead_out_are_not_followed(owned, tmp_path):
    """To a file, to a folder, by a part, in a circle, to nothing; a link inside is a source like others."""
    secret = tmp_path / "secret"
    secret.mkdir()
    as_npy(secret / "theirs", ROWS)
    before = set(found_sources([owned]))
    os.symlink(secret / "theirs.npy", owned / "out.npy")
    os.symlink(owned / ".." / "secret" / "theirs.npy", owned / "dots.npy")
    os.symlink(secret, owned / "out")
    os.symlink(owned, owned / "deep" / "circle")
    os.symlink(tmp_path / "gone.npy", owned / "gone.npy")
    os.symlink(owned / "loop.npy", owned / "loop.npy")
    assert set(found_sources([owned])) == before
    os.symlink(secret / "theirs.npy", owned / "deep" / "parts" / "3.npy")
    assert set(found_sources([owned])) == before - {"vectors/deep/parts"} | {
        "vectors/deep/parts/1.npy", "vectors/deep/parts/2.parquet",
    }  # fmt: skip
    os.makedirs(owned / "named.npy" / "deep")
    os.symlink(secret / "theirs.npy", owned / "named.npy" / "1.npy")
    as_zarr(owned / "chunk", ROWS)
    os.symlink(secret / "theirs.npy", owned / "chunk.zarr" / "theirs")
    assert not [name for name in found_sources([owned]) if "named" in name or "chunk" in name]
    os.symlink(owned / "a.npy", owned / "again.npy")
    assert "vectors/again.npy" in found_sources([owned])


def test_a_folder_is_looked_through_so_far(owned, monkeypatch):
    """No deeper, no more entries and no more sources than stated."""
    monkeypatch.setattr(folders, "MOST_DEPTH", 0)
    assert set(found_sources([owned])) == {"vectors/a.npy"}
    monkeypatch.undo()
    monkeypatch.setattr(folders, "MOST_SOURCES", 2)
    assert len(found_sources([owned])) == 2
    monkeypatch.undo()
    monkeypatch.setattr(folders, "MOST_LOOKED_AT", 2)
    assert set(found_sources([owned])) == {"vectors/a.npy"}


def test_a_sample_says_what_it_is_of(owned):
    """Rows drawn by seed, in order, each by its number; all of them where there are no more, and then no caveat."""
    corpus = sample_of(owned / "a.npy", 100, name="vectors/a.npy")
    assert isinstance(corpus, Corpus) and corpus.name == "100 of 700 rows of vectors/a.npy, seed 0"
    items = [int(identifier) for identifier in corpus.ids]
    assert items == sorted(set(items)) and corpus.texts[3] == f"row {items[3]:,}"
    np.testing.assert_array_equal(corpus.embeddings, ROWS[items])
    assert [note for note in corpus.check.notes if "100 rows drawn at random from all 700 (seed 0)" in note]
    assert sample_of(owned / "a.npy", 100, seed=1).ids != corpus.ids
    whole = sample_of(owned / "deep" / "parts", 5000)
    np.testing.assert_array_equal(whole.embeddings, ROWS)
    assert whole.name == f"700 of 700 rows of {owned / 'deep' / 'parts'}" and not whole.check.notes
    with pytest.raises(InvalidInputError, match="`n_rows` is 1; neighbors need at least 2"):
        sample_of(owned / "a.npy", 1)


def test_what_is_wrong_is_said_by_the_offered_name(owned):
    """Where a machine's folders lie is nobody's business."""
    (owned / "torn.npy").write_bytes(b"nothing")
    as_npy(owned / "deep" / "parts" / "3", ROWS[:, :4])
    for way in ("torn.npy", "deep/parts"):
        with pytest.raises(MrlVizError) as error:
            sample_of(owned / way, name=f"vectors/{way}")
        assert str(owned) not in str(error.value) and f"vectors/{way}" in str(error.value)
