"""The Monitor page: an example at once, one's own files, the server's folder, and what cannot be read."""

import contextlib
import io
import json

import plotly.graph_objects as go
import pytest

from mrl_viz.data.samples import sample_data_folder
from mrl_viz.decide.history import shipped_history
from tests.app.steps import again, code_of, data_of, open_part, opened, said

PAGE = "decide/monitor"


@pytest.fixture(scope="module")
def records():
    """The example's record files by name."""
    return json.loads((sample_data_folder() / "results" / "monitor.json").read_text(encoding="utf-8"))


def upload(app, files):
    """Give the page files by name."""
    given = [(name, json.dumps(data).encode() if not isinstance(data, bytes) else data, "application/json")
             for name, data in files.items()]  # fmt: skip
    app.file_uploader(key="monitor_files").set_value(given)
    again(app)
    assert not app.exception and not app.error


def charts(app):
    return {chart.proto.id.rsplit("-", 1)[-1]: json.loads(chart.proto.spec) for chart in app.get("plotly_chart")}


def test_an_example_is_there_at_once(records):
    """Labelled as one, with its sentence, both charts, the canaries that moved, and how to make one's own."""
    app = opened(PAGE)
    assert app.title[0].value == "Does the deployed plan still keep its promise?"
    assert ":orange-badge[Example]" in said(app) and shipped_history().takeaway() in said(app)
    assert list(charts(app)) == ["monitor_overlap", "monitor_canaries"]
    assert all(chart.proto.alt for chart in app.get("plotly_chart"))
    assert "mrl_viz monitor" in app.code[0].value and "--canary canary.npz" in app.code[0].value
    open_part(app, "Which canaries moved")
    assert len(app.dataframe[0].value) == 12
    assert len(data_of(app, "monitor_overlap")) == len(records)


def test_ones_own_files_are_shown_instead(records):
    """A file that is broken is named, the others are shown; the example and its label are gone."""
    app = opened(PAGE)
    own = dict(list(records.items())[:4])
    upload(app, own | {"torn.json": b'{"schema": 1', "plan.json": {"kind": "mrl_viz decision record"}})
    assert "Example" not in said(app) and "4 checks of your files." in said(app)
    assert "Held in 3 of 4 checks" in said(app)
    (warning,) = [one.value.replace("\\", "") for one in app.warning]
    assert "`torn.json` is no JSON" in warning and "`plan.json` is no check of a deployed plan" in warning
    upload(app, {"torn.json": b"{"})
    assert ":orange-badge[Example]" in said(app) and len(app.warning) == 1


def test_mixed_plans_are_looked_at_apart(records):
    """Of checks of two plans the latest one's is shown first, the other on request; it is said that they are two."""
    app = opened(PAGE)
    files = dict(records)
    other = files["check-2026-09-07.json"]
    files["wide.json"] = other | {"plan": {"dim": 128}, "measured_at": "2026-11-02T06:00:00+00:00"}
    upload(app, files)
    assert "of 2 different things" in said(app) and "Held in the only check" in said(app)
    box = app.selectbox(key="monitor_label")
    assert box.value.startswith("128 dims float32 exact")
    box.set_value(next(label for label in box.options if label.startswith("64 dims int8")))
    again(app)
    assert "Held in 5 of 8 checks" in said(app) and not app.exception


def test_a_history_without_canaries_says_how_to_ask_some(records):
    """One chart, and a hint in place of the other."""
    app = opened(PAGE)
    upload(app, {name: {key: value for key, value in one.items() if key != "canary"} for name, one in records.items()})
    assert list(charts(app)) == ["monitor_overlap"]
    assert any("No canaries were asked" in info.value for info in app.info)
    open_part(app, "Which canaries moved")
    assert not app.exception and not app.dataframe


def test_the_servers_folder_is_shown_to_everybody(records, tmp_path, monkeypatch):
    """What the named folder holds is there without an upload, and again when a file is added; other files are left."""
    for name in list(records)[:3]:
        (tmp_path / name).write_text(json.dumps(records[name]))
    (tmp_path / "notes.txt").write_text("not a record")
    monkeypatch.setenv("MRL_VIZ_MONITOR", str(tmp_path))
    app = opened(PAGE)
    assert "3 checks of this server’s folder." in said(app) and "Held in all of 3 checks" in said(app)
    name = list(records)[3]
    (tmp_path / name).write_text(json.dumps(records[name]))
    again(app)
    assert "4 checks of this server’s folder." in said(app)
    upload(app, {"mine.json": records[name]})
    assert "1 check of your files." in said(app)
    monkeypatch.setenv("MRL_VIZ_MONITOR", str(tmp_path / "gone"))
    upload(app, {})
    assert any("names is not there" in info.value for info in app.info) and ":orange-badge[Example]" in said(app)
    assert str(tmp_path) not in said(app)


@pytest.mark.parametrize("whose", ["example", "uploaded"])
def test_the_shown_code_draws_the_pages_charts(whose, records, tmp_path, monkeypatch):
    """Run beside the files, its figures are those of the page in their order, and it prints the page's sentence."""
    app = opened(PAGE)
    if whose == "uploaded":
        own = dict(list(records.items())[:4])
        upload(app, own)
        for name, data in own.items():
            (tmp_path / name).write_text(json.dumps(data))
    drawn = list(charts(app).values())
    app.session_state["monitor_part"] = "Which canaries moved"  # the commands are code blocks too
    again(app)
    code, *others = code_of(app)
    assert others in ([], [code])
    monkeypatch.chdir(tmp_path)
    shown, printed = [], io.StringIO()
    monkeypatch.setattr(go.Figure, "show", lambda figure: shown.append(json.loads(figure.to_json())))
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "page", "exec"), {})
    assert [figure["data"] for figure in shown] == [figure["data"] for figure in drawn] and len(shown) == 2
    assert printed.getvalue().splitlines()[0] in said(app)
