"""Files are written whole or not at all, and what a disk refuses is one sentence."""

import json
import os

import pytest

from mrl_viz.errors import StoreError
from mrl_viz.files import disk_errors, replaced_file, replaced_folder, write_json


def test_a_failed_write_leaves_what_was_there(tmp_path):
    """An error inside the block: file and folder as they were, and nothing beside them."""
    write_json(tmp_path / "a.json", {"old": 1})
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "marker").write_text("old")
    with pytest.raises(KeyError, match="half"), replaced_file(tmp_path / "a.json") as aside:
        aside.write_text("half")
        raise KeyError("half")
    with pytest.raises(KeyError, match="half"), replaced_folder(tmp_path / "kept", "marker") as fresh:
        (fresh / "marker").write_text("half")
        raise KeyError("half")
    assert json.loads((tmp_path / "a.json").read_text()) == {"old": 1}
    assert (tmp_path / "kept" / "marker").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["a.json", "kept"]


def test_a_folder_takes_the_place_of_an_earlier_one(tmp_path, monkeypatch):
    """Also of an empty one, of the working folder, and below folders that do not exist; files of before are gone."""
    for folder in (tmp_path / "deep" / "a", tmp_path / "deep" / "a", tmp_path / "empty"):
        folder.mkdir(parents=True, exist_ok=True)
        with replaced_folder(folder, "marker") as fresh:
            (fresh / "marker").write_text("new")
            (fresh / f"file {len(os.listdir(folder))}").write_text("")
    assert sorted(os.listdir(tmp_path / "deep" / "a")) == ["file 2", "marker"]
    assert sorted(os.listdir(tmp_path / "empty")) == ["file 0", "marker"]
    monkeypatch.chdir(tmp_path / "empty")
    with replaced_folder(tmp_path.__class__("."), "marker") as fresh:
        (fresh / "marker").write_text("newer")
    assert (tmp_path / "empty" / "marker").read_text() == "newer"
    assert sorted(os.listdir(tmp_path)) == ["deep", "empty"] and os.listdir(tmp_path / "deep") == ["a"]


def test_a_folder_of_other_files_is_refused(tmp_path):
    """Neither a folder without the marker nor a file is replaced."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    for path in (tmp_path / "mine", tmp_path / "mine" / "notes.txt"):
        with pytest.raises(StoreError, match="holds other files; choose a new folder"), replaced_folder(path, "marker"):
            pass
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"


def test_what_the_disk_refuses_is_one_sentence(tmp_path):
    """An OSError, and other errors where asked, become a StoreError of path, reason and advice; others pass."""
    with (
        pytest.raises(
            StoreError, match=r"^`x` cannot be written \(No such file or directory\); free some space or choose"
        ),
        disk_errors("x"),
    ):
        (tmp_path / "no" / "a").write_text("")
    with (
        pytest.raises(StoreError, match=r"^`x` cannot be used \(odd\); ask\.$"),
        disk_errors("x", "ask", doing="used", also=(RuntimeError,)),
    ):
        raise RuntimeError("odd")
    with pytest.raises(ValueError, match="mine"), disk_errors("x"):
        raise ValueError("mine")


def test_json_is_json(tmp_path):
    """Any text comes back, half a surrogate pair too; NaN, which JSON does not know, is refused and nothing written."""
    path = tmp_path / "a.json"
    content = {"text": "Grüße 😀 \ud800", "none": None, "rows": [[1, 2.5], []]}
    write_json(path, content)
    assert json.loads(path.read_text(encoding="utf-8")) == content
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"value": float("nan")})
    assert json.loads(path.read_text(encoding="utf-8")) == content
