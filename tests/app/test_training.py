"""The Train MRL page says what cannot be trained, shows nobody another's runs, and stops and resumes one's own."""

import json
import re
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from mrl_viz.data.corpus import corpus_from_texts
from mrl_viz.files import write_json
from mrl_viz.training.config import TrainingConfig
from tests.app.steps import said

ROOT = Path(__file__).parent.parent.parent
PAGE = "pages/train/mrl.py"
WAIT_S, POLL_S = 240, 0.5


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setenv("MRL_VIZ_JOBS", str(tmp_path / "jobs"))
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run().switch_page(PAGE).run()


def can_start(app):
    return any(button.key == "train_start" for button in app.button)


def test_the_sample_can_be_trained_at_once(app):
    """Nothing needs to be chosen; what is trained on and where it is kept is said; no run is shown."""
    assert not app.exception and not app.error and can_start(app)
    assert any("770 texts of 10 classes" in caption.value for caption in app.caption)
    assert any("until you delete it" in caption.value for caption in app.caption)
    assert any("No run of yours yet; this one came with the sample" in caption.value for caption in app.caption)
    assert len(app.get("plotly_chart")) == 3 and not any(button.key == "train_use" for button in app.button)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train_dims", "999", "999"),
        ("train_dims", "256", "no width below the full 256"),
        ("train_dims", "a few", "not a whole number"),
        ("train_batch", 1000, "`batch_size` is 1000 but 770 texts"),
    ],
)
def test_settings_that_cannot_be_are_one_sentence(app, key, value, message):
    """The sentence names the setting and the range, and there is no button to start with."""
    box = app.number_input(key=key) if key == "train_batch" else app.text_input(key=key)
    box.set_value(value).run()
    assert not app.exception and len(app.error) == 1 and message in app.error[0].value
    assert not can_start(app)


def test_one_number_a_width_is_asked_for(app):
    """Own weights of another number than the widths are refused, the right number is taken."""
    app.text_input(key="train_dims").set_value("8, 32").run()
    app.selectbox(key="train_weights").set_value("own").run()
    app.text_input(key="train_own_weights").set_value("1, 1").run()
    assert "2 numbers" in app.error[0].value and not can_start(app)
    app.text_input(key="train_own_weights").set_value("1, 0.5, 2").run()
    assert not app.error and can_start(app)


def test_one_class_is_refused(app):
    """Texts of one class have nothing to be told apart from."""
    texts = [f"text number {number}" for number in range(12)]
    app.session_state["own_corpus"] = corpus_from_texts(texts, name="mine", labels={"kind": ["same"] * 12})
    app.session_state["next_data"] = "mine"
    app.switch_page(PAGE).run()
    assert not app.exception and "has 1 classes" in app.error[0].value and not can_start(app)


def not_mine(app):
    """Whether the page says that no run is the visitor's."""
    return any("No run of yours yet" in caption.value for caption in app.caption)


def test_runs_are_shown_to_those_who_have_their_address(app, tmp_path, monkeypatch):
    """A run on this machine is not listed; its address shows it; the machine's owner can have all listed."""
    folder = tmp_path / "jobs" / "20260101-000000-0123456789abcdef"
    folder.mkdir(parents=True)
    write_json(
        folder / "job.json",
        {"name": "private", "created": "2026-01-01T00:00:00+00:00", "config": TrainingConfig().to_dict()},
    )
    write_json(folder / "outcome.json", {"state": "failed", "message": "`dims` is 999"})
    app.run()
    assert not_mine(app) and "private" not in json.dumps([error.value for error in app.error])
    app.query_params["run"] = "../jobs/20260101-000000-0123456789abcdef"
    app.switch_page(PAGE).run()
    assert not app.exception and not_mine(app)
    monkeypatch.setenv("MRL_VIZ_ALL_JOBS", "1")
    app.run()
    assert app.selectbox(key="train_run").value == folder.name
    assert "private failed after 0 of 40 epochs" in app.error[0].value


def seen(app, words):
    """Look at the page again until it says so, as its own polling does for a visitor."""
    give_up = time.monotonic() + WAIT_S
    while not re.search(words, said(app.run())):
        assert not app.exception and time.monotonic() < give_up, said(app)
        time.sleep(POLL_S)


def test_a_run_is_cancelled_and_resumed(app):
    """Losses are drawn while a long run works; Cancel stops it and keeps its epochs; Resume goes on from them."""
    app.number_input(key="train_epochs").set_value(900).run()
    app.button(key="train_start").click().run()
    seen(app, r"matryoshka, epoch \d+ of 900")
    app.button(key="train_cancel").click().run()
    seen(app, r"was cancelled after \d+ of 1800 epochs")
    assert not any("against its plain twin" in heading.value for heading in app.subheader)
    app.button(key="train_resume").click().run()
    assert not app.exception and not app.error
    app.button(key="train_cancel").click().run()
    seen(app, r"was cancelled after \d+ of 1800 epochs")
    app.button(key="train_delete").click().run()
    assert not app.exception and not app.error and not_mine(app)
