"""Vectors on the server's disk: offered only where its owner named folders, looked at as a sample, swept whole."""

import json
import os

import numpy as np
import pytest

from mrl_viz.cli.main import main
from mrl_viz.export.scripts import start_code, whole_code
from mrl_viz.scale.rows import NpyRows
from mrl_viz.sweep.fused import BLOCK
from mrl_viz.ui import disk
from mrl_viz.ui.background import Task
from tests.app.steps import again, go, said, started

N_ROWS, DIM = 12_000, 16


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that the owner named, in a process with a cache of its own."""
    path = tmp_path / "vectors"
    path.mkdir()
    rows = np.random.default_rng(0).normal(size=(N_ROWS, DIM)) * 0.8 ** np.arange(DIM)
    np.save(path / "wiki.npy", rows.astype(np.float16))
    monkeypatch.setenv(disk.FOLDERS, os.pathsep.join(["", str(path)]))
    monkeypatch.setattr(disk, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(disk, "FEWEST_QUERIES", 1)
    return path


def opened_tab():
    """Start, with the tab of the disk open."""
    app = started()
    app.session_state["own_texts"] = "Vectors on disk"
    app.run()
    assert not app.exception and not app.error
    return app


def test_nothing_is_offered_where_no_folder_was_named(monkeypatch):
    """No tab, whatever lies on the disk."""
    for value in ("", os.pathsep):
        monkeypatch.setenv(disk.FOLDERS, value)
        app = started().run()
        assert not app.exception and [tab.label for tab in app.tabs if "disk" in tab.label] == []


def test_a_sample_is_the_data_and_all_rows_are_swept(folder, tmp_path, monkeypatch):
    """Its name says what it is of on every page; the sweep of all rows is that of the command line and of its code."""
    app = opened_tab()
    assert app.selectbox(key="disk_source").options == ["vectors/wiki.npy"]
    assert "12,000 rows of 16 float16 coordinates" in said(app)
    app.number_input(key="disk_rows").set_value(400)
    app.run()
    app.button(key="use_disk").click()
    app.run()
    assert not app.exception and not app.error and app.selectbox(key="data").value == "mine"
    assert app.session_state["own_corpus"].name == "400 of 12,000 rows of vectors/wiki.npy, seed 0"
    assert "These are 400 rows drawn at random from all 12,000 (seed 0)" in said(app)
    app.number_input(key="disk_queries").set_value(60)
    app.run()
    app.button(key="sweep_disk").click()
    again(app)
    assert not app.exception and not app.error
    assert "Among all 12,000: Of the 10 nearest neighbors at 16 dims" in said(again(app))
    assert "60 rows searched among all 12,000, each left out of its own list" in said(app)
    (task,) = [task for task in app.session_state["background_tasks"].values() if task.result is not None]
    source, widths = str(folder / "wiki.npy"), ",".join(map(str, task.result.dims))
    asked = ["--sample-queries", "60", "--dims", widths, "--json", str(tmp_path / "one.json")]
    assert main(["sweep", source, *asked]) == 0
    expected = json.loads((tmp_path / "one.json").read_text())
    assert {name: expected[name] for name in task.result.to_dict()} == json.loads(json.dumps(task.result.to_dict()))
    assert not list((tmp_path / "cache" / "sweeps").glob("*"))
    monkeypatch.chdir(tmp_path)
    workspace, made = app.session_state["workspace"], {}
    exec(str(whole_code(workspace, 60)).replace(".show()", ""), made)
    assert made["overlap"].to_dict() == task.result.to_dict()
    exec(str(start_code(workspace, None)).replace(".show()", ""), made)
    assert made["corpus"].fingerprint == workspace.corpus.fingerprint
    go(app, "explore/neighbors")
    assert not app.exception and not app.error
    assert "400 of 12,000 rows of vectors/wiki.npy, seed 0" in app.selectbox(key="data").options


def test_a_stopped_sweep_goes_on(folder, tmp_path, monkeypatch):
    """What was swept is kept: the next one reads only the rest."""
    monkeypatch.setitem(disk.stream_slice.__kwdefaults__, "block_bytes", 1)
    app = opened_tab()
    app.button(key="use_disk").click()
    app.run()
    read, asked = NpyRows.read, []

    def reading(rows, start, stop):
        asked.append(start)
        return read(rows, start, stop)

    monkeypatch.setattr(Task, "_is_stopped", lambda task: True)
    monkeypatch.setattr(NpyRows, "read", reading)
    app.button(key="sweep_disk").click()
    again(again(app))
    assert f"Stopped after {BLOCK:,} of 12,000 rows, which are kept" in said(app) and not app.error
    assert len(list((tmp_path / "cache" / "sweeps").glob("*"))) == 1
    monkeypatch.setattr(Task, "_is_stopped", lambda task: False)
    asked.clear()
    app.button(key="sweep_disk").click()
    again(app)
    assert asked == [BLOCK] and "searched among all 12,000" in said(app)


def test_a_source_that_is_gone_is_said(folder):
    """In a sentence, on the page that had it."""
    app = opened_tab()
    app.button(key="use_disk").click()
    app.run()
    (folder / "wiki.npy").unlink()
    app.run()
    (message,) = app.error
    assert "`vectors/wiki.npy` is not offered by this server any more" in message.value.replace("\\", "")
