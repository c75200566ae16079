"""The code that the pages show makes the pages' numbers: run in a fresh process, beside the file that was uploaded."""

import base64
import csv
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from mrl_viz.data.reading import read_corpus
from tests.app.steps import choose_part, open_code, parts_of, tasks_of

ROOT = Path(__file__).parent.parent.parent
FILE = "intents.csv"
N_TEXTS, K, FOCUS = 240, 7, 24
WIDTHS = "8, 24, 100"
MODEL = "all-MiniLM-L6-v2"
# Pages of work in a thread or a process of its own are asked again until it is done.
MOST_S, POLL_S = 300, 0.5
RUNNER = """
import json, sys, contextlib, io
import plotly.graph_objects as go
shown = []
go.Figure.show = lambda figure: shown.append(json.loads(figure.to_json()))
results = {}
for page, blocks in json.load(open(sys.argv[1])).items():
    shown, said = [], io.StringIO()
    with contextlib.redirect_stdout(said):
        for code in blocks:
            exec(compile(code, page, "exec"), {})
    results[page] = {"figures": shown, "said": said.getvalue()}
json.dump(results, open(sys.argv[2], "w"))
"""
PAGES = {
    "home/start": {},
    "explore/neighbors": {"every_width": True},
    "explore/similarity": {"threshold": 0.55, "matrix_order": "intent"},
    "explore/anatomy": {},
    "explore/map": {"map_color": "displacement"},
    "explore/quality": {},
    "explore/space": {},
    "explore/search": {"stage_dim_0": 12, "stage_keep_0": 70, "stop_target": 0.9},
    "decide/compare": {"run_compare": None},
    "decide/choose": {"choose_metric": "accuracy:intent", "run_choose": None, "choose_target": 80},
    "train/adaptive": {"adaptive_space": "The vectors' own prefixes", "train_heads": None},
    "train/adaptor": {"adaptor_method": "paper", "fit_adaptor": None},
    "train/mrl": {"train_epochs": 1, "train_spacing": "own", "train_dims": "16, 64", "train_start": None},
}
# Parts that play by the clock and draw no figure, so that there is no code of one.
PLAYED = {"explore/search": {"Within a time"}}
# What a page measures by the clock, its code measures again: there words and this figure may differ.
TIMED = {"decide/choose": {"pareto"}}


def table():
    """A user's table: other columns than ours, some rows of the sample in it."""
    sample = read_corpus("sample")
    rows = range(0, sample.n_items, sample.n_items // N_TEXTS)
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(("number", "utterance", "intent", "text"))
    writer.writerows((row, sample.texts[row], sample.labels["domain"][row], "always the same") for row in rows)
    return file.getvalue().encode()


def run(what, app):
    """One run with the sidebar as chosen: AppTest has no address that would carry the choice from run to run."""
    for key, value in {"next_data": "mine", "next_model": MODEL, "dims": WIDTHS, "k": K, "focus": FOCUS}.items():
        app.session_state[key] = value
    what.run(timeout=MOST_S)
    assert not app.exception and not app.error, app.error


def use(app, values):
    """Set widgets, whatever their kind; None presses a button. Returns those that are not there."""
    missing = {}
    for key, value in values.items():
        widgets = [each for each in (*app.main, *app.sidebar) if getattr(each, "key", None) == key]
        if not widgets:
            missing[key] = value
            continue
        (widget,) = widgets
        run(widget.click() if value is None else widget.set_value(value), app)
        while working := [task for task in tasks_of(app) if task.is_running]:
            working[0].thread.join()
            run(app, app)
    return missing


def shown_part(app, name, may_hint=False):
    """The code, charts and words of a page with what is open of it; `may_hint` : it may only say what to do first."""
    give_up = time.monotonic() + MOST_S
    while not open_code(app) or not (app.get("plotly_chart") or (may_hint and app.info)):
        assert time.monotonic() < give_up, f"{name}: {[info.value for info in app.info]}"
        time.sleep(POLL_S)
        run(app, app)
    run(app, app)
    charts = {chart.proto.id.rsplit("-", 1)[-1]: json.loads(chart.proto.spec) for chart in app.get("plotly_chart")}
    charts.pop("training_losses", None)  # drawn while a run goes on, of its log
    words = " ".join(each.value for kind in (app.markdown, app.caption, app.success, app.warning) for each in kind)
    code = [block.value for block in app.code if "mrl_viz" in block.value]
    return code, charts, words.replace("\\", "")


def shown_pages(content):
    """What every page of the uploaded table shows: code, charts and words by page."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    app.file_uploader(key="upload").set_value((FILE, content, "text/csv")).run()
    app.selectbox(key="text_column").set_value("utterance").run()
    app.selectbox(key="label_column").set_value("intent").run()
    app.button(key="use_upload").click().run()
    pages = {}
    for name, values in PAGES.items():
        run(app.switch_page(f"pages/{name}.py"), app)
        values = use(app, values)
        parts = [shown_part(app, name)]
        for part in parts_of(app)[1:]:
            if part in PLAYED.get(name, ()):
                continue
            choose_part(app, part)
            run(app, app)
            values = use(app, values)
            parts.append(shown_part(app, name, may_hint=name == "train/mrl"))
        assert not values, f"{name} has no {list(values)}"
        codes, charts, words = zip(*parts)
        # What stands above the tabs is seen with each of them.
        pages[name] = {
            "code": list(dict.fromkeys(block for code in codes for block in code)),
            "charts": {key: chart for each in charts for key, chart in each.items()},
            "words": " ".join(words),
        }
    return pages


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Every page of an uploaded table at chosen settings: its code, figures, words; what that code makes elsewhere."""
    folder, content = tmp_path_factory.mktemp("elsewhere"), table()
    (folder / FILE).write_bytes(content)
    # A store of its own, as the fresh process has: what other tests embedded in other batches differs by rounding, and
    # a training makes hundredths of that.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MRL_VIZ_CACHE", str(folder / "page_cache"))
        pages = shown_pages(content)
    (folder / "code.json").write_text(json.dumps({name: page["code"] for name, page in pages.items()}))
    cache = {"MRL_VIZ_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, "-c", RUNNER, "code.json", "made.json"], cwd=folder, check=True, env=os.environ | cache
    )
    made = json.loads((folder / "made.json").read_text())
    return {name: (page, made[name]) for name, page in pages.items()}


def numbers(array):
    """An array as plotly writes it."""
    return np.frombuffer(base64.b64decode(array["bdata"]), array["dtype"])


def same(one, other, path=""):
    """Two figures as plain data agree, numbers to rounding."""
    if isinstance(one, dict) and "bdata" in one:
        np.testing.assert_allclose(*map(numbers, (one, other)), atol=2e-5, err_msg=path)
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key, value in one.items():
            same(value, other[key], f"{path}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), path
        for place, (left, right) in enumerate(zip(one, other)):
            same(left, right, f"{path}[{place}]")
    elif isinstance(one, float):
        assert one == pytest.approx(other, abs=2e-5), path
    else:
        assert one == other, path


@pytest.mark.parametrize("name", PAGES)
def test_shown_code_makes_the_pages_numbers(shown, name):
    """For an uploaded table with other widths, k, model and options, each figure of the page is what its code draws."""
    page, made = shown[name]
    assert page["code"] and all(FILE in code and MODEL in code for code in page["code"])
    for (key, chart), again in zip(page["charts"].items(), made["figures"], strict=True):
        if key not in TIMED.get(name, ()):
            same(chart["data"], again["data"], key)
    for sentence in made["said"].splitlines():
        assert name in TIMED or not sentence or sentence in page["words"], sentence
