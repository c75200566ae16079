"""The Train MRL page says what cannot be trained, shows nobody another's runs, and stops and resumes one's own."""

import json
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from mrl_viz.data.corpus import corpus_from_texts
from mrl_viz.data.reading import read_corpus
from mrl_viz.data.samples import sample_data_folder
from mrl_viz.files import write_json
from mrl_viz.training.config import TrainingConfig
from mrl_viz.ui import training as page
from mrl_viz.ui.training import EPOCHS
from tests.app.steps import code_of, open_part, said

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
    if key == "train_dims":
        app.selectbox(key="train_spacing").set_value("own").run()
    box = app.number_input(key=key) if key == "train_batch" else app.text_input(key=key)
    box.set_value(value).run()
    assert not app.exception and len(app.error) == 1 and message in app.error[0].value
    assert not can_start(app)


def test_one_number_a_width_is_asked_for(app):
    """Own weights of another number than the widths are refused, the right number is taken."""
    app.selectbox(key="train_spacing").set_value("own").run()
    app.text_input(key="train_dims").set_value("8, 32").run()
    app.selectbox(key="train_weights").set_value("own").run()
    app.text_input(key="train_own_weights").set_value("1, 1").run()
    assert "2 numbers" in app.error[0].value and not can_start(app)
    app.text_input(key="train_own_weights").set_value("1, 0.5, 2").run()
    assert not app.error and can_start(app)


def set_all(app, **values):
    """Choose in selectboxes and number boxes by key, one after the other as a visitor does."""
    for key, value in values.items():
        box = next(each for each in (*app.selectbox, *app.number_input) if each.key == f"train_{key}")
        box.set_value(value).run()


def test_the_choices_of_nesting_reach_the_run(app):
    """Even steps from another width, alpha, one sampled width a step, models alone: what is to be trained says so."""
    assert to_be_trained(app) == jobs_config()
    set_all(app, spacing="even", smallest=32)
    assert to_be_trained(app).dims == (32, 107, 181, 256)
    set_all(app, spacing="log", weights="importance", alpha=0.5, schedule="sampled", sampled=1)
    config = to_be_trained(app)
    assert config.dims == (32, 64, 128, 256) and (config.weights, config.alpha) == ("importance", 0.5)
    assert (config.schedule, config.n_dims_per_step) == ("sampled", 1)
    app.checkbox(key="train_alone").check().run()
    assert to_be_trained(app).alone == (21, 32, 64, 128)
    set_all(app, base="whole")
    assert app.checkbox(key="train_alone").disabled and to_be_trained(app).alone == ()
    set_all(app, weights="boost")
    assert to_be_trained(app).weights == "boost" and not app.error and can_start(app)


def jobs_config(**changes):
    """What the page trains before anything was chosen."""
    return TrainingConfig(model="wordllama", epochs=EPOCHS, **changes)


def to_be_trained(app):
    """The settings that the button would start, taken where it hands them over."""
    with pytest.MonkeyPatch.context() as patch:
        taken = []
        patch.setattr(page, "_start_button", lambda workspace, data, config, code: taken.append(config))
        app.run()
    app.run()
    assert not app.exception
    return taken[0]


def chart(app, key):
    """A chart's lines by name."""
    (found,) = [one for one in app.get("plotly_chart") if one.proto.id.endswith(f"-{key}")]
    return {trace.get("name"): trace for trace in json.loads(found.proto.spec)["data"]}


def test_the_shipped_runs_are_kept_alone_and_laid_over(app):
    """Every part shows the sample's answer at once: the share kept, models alone, and five other choices laid over."""
    open_part(app, "What 8.3 % keeps")
    assert not app.exception and not app.error
    assert re.search(
        r"At 21 of 256 dims, 8\.2% of the size, the Matryoshka model keeps \d+\.\d+% \[.* of its own kNN", said(app)
    )
    assert set(chart(app, "twin_kept")) >= {"Matryoshka", "plain twin"}
    open_part(app, "Trained alone")
    assert "Against trained alone: one nested model" in said(app)
    assert set(chart(app, "alone_curves")) == {"trained alone", "one nested model"}
    open_part(app, "Runs laid over each other")
    assert not app.exception and not app.error
    lines = chart(app, "overlay_curves")
    assert len(lines) == 6 and "widths 32 64 128 256" in lines
    assert "Against widths 8 16 32 64 128 256, equal weights, all in every step:" in said(app)
    assert "- widths 32 64 128 256 worse at 8, 16 dims (" in said(app) and "- 1 sampled a step worse at 8" in said(app)
    (chosen,) = app.multiselect
    chosen.set_value(chosen.value[:1]).run()
    lines = chart(app, "overlay_curves")
    assert list(lines) == ["widths 8 16 32 64 128 256", "widths 8 58 107 157 206 256"]
    assert "Against widths 8 16 32 64 128 256: widths 8 58 107 157 206 256 worse at " in said(app)
    assert any("lay_over_runs(" in code for code in code_of(app))


def scored(app, corpus):
    """The page with a session's own pairs."""
    app.session_state["own_corpus"] = corpus
    app.session_state["next_data"] = "mine"
    app.switch_page(PAGE).run()
    assert not app.exception
    return app


def test_pairs_with_scores_are_judged_by_spearman(app):
    """The pairs in four languages come first by their scores; one language can be chosen; what is shown is shipped."""
    app.selectbox(key="data").set_value("sample:languages").run()
    assert not app.exception and not app.error and app.selectbox(key="train_source").value == "scores"
    assert "384 scored pairs to train on and 256 held out" in said(app) and "Spearman on 256 held-out items" in said(
        app
    )
    open_part(app, "What 8.3 % keeps")
    assert "of its own Spearman, its plain twin" in said(app) and "with 256 held-out items" in said(app)
    app.selectbox(key="train_language").set_value("German").run()
    assert not app.error and "96 scored pairs to train on and 64 held out" in said(app) and can_start(app)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pair_ids": ()}, "640 of them without an id that tells translations"),
        ({"pairs": [1, 1]}, "`scores` are all 1"),
        ({"n": 2}, "`scores` has 2 pairs"),
        ({"n": 8, "pair_ids": ()}, "choose a smaller one or add pairs"),
    ],
)
def test_pairs_that_cannot_be_trained_on_are_one_sentence(app, changes, message):
    """Ids missing, constant scores, too few pairs: one sentence, no button, and another choice is still there."""
    corpus = read_corpus("sample:languages" if changes.keys() == {"pair_ids"} else sample_data_folder() / "pairs.csv")
    pairs = corpus.pairs[: changes.get("n", len(corpus.pairs))]
    if "pairs" in changes:
        pairs = tuple((left, right, 1.0) for left, right, _ in pairs)
    scored(app, replace(corpus, pairs=pairs, pair_ids=changes.get("pair_ids", corpus.pair_ids)))
    assert len(app.error) == 1 and message in app.error[0].value and not can_start(app)
    assert app.selectbox(key="train_source").value == "scores"
    if "language" in app.error[0].value:
        app.selectbox(key="train_language").set_value("Spanish").run()
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
