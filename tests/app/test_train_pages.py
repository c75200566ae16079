"""The Adaptive classification and Adaptor pages: what they do beside the page, and what they cannot do."""

import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from mrl_viz.data.corpus import corpus_from_texts
from mrl_viz.data.reading import read_corpus
from tests.app.steps import again, choose_part, once, opened, said

APP = str(Path(__file__).parent.parent.parent / "app.py")


def open_with(corpus, page):
    """A page with a session's own corpus."""
    app = AppTest.from_file(APP, default_timeout=60)
    app.session_state["own_corpus"] = corpus
    app.session_state["next_data"] = "mine"
    app.run()
    app.session_state["next_data"] = "mine"
    app.switch_page(page).run()
    assert not app.exception and not app.error
    return app


def test_too_few_texts_for_an_adaptor_is_a_sentence_without_a_button():
    """Under 200 texts the page says how many there are and are needed, and offers no fit."""
    app = open_with(corpus_from_texts([f"text number {row}" for row in range(30)]), "pages/train/adaptor.py")
    assert "There are 30 texts here. An adaptor needs at least 200" in app.info[0].value
    assert "fit_adaptor" not in [button.key for button in app.button]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (None, "Your data have no label column"),
        ({"topic": ["one"] * 30}, "one class"),
        ({"id": [str(row) for row in range(30)]}, "no text twice in a class"),
    ],
    ids=["none", "one class", "all different"],
)
def test_labels_that_cannot_be_classified_are_a_sentence_without_a_button(labels, words):
    """No labels, one class, or a class per text: the page says what is missing, and offers no training."""
    corpus = corpus_from_texts([f"text number {row}" for row in range(30)], labels=labels)
    app = open_with(corpus, "pages/train/adaptive.py")
    assert words in app.info[0].value
    assert "train_heads" not in [button.key for button in app.button]


def background_work(app):
    """The one piece of work that the page has started beside itself."""
    (work,) = app.session_state["background_tasks"].values()
    return work


def test_stop_a_fit_and_keep_what_it_has():
    """Stop ends a fit early with the best so far, and the page says that it was stopped."""
    app = opened("train/adaptor")
    app.text_input(key="dims").set_value("8, 16, 32").run()
    app.button(key="fit_adaptor").click().run()
    work = background_work(app)
    give_up = time.monotonic() + 120
    while "epoch" not in work.words:
        assert work.is_running and time.monotonic() < give_up
        time.sleep(0.05)
    next(button for button in app.run().button if button.label == "Stop").click().run()
    work.thread.join()
    app.run()
    assert not app.exception and not app.error and "stopped by you" in said(app)


def test_walk_adaptive_classification():
    """Heads are trained on both label columns; the page tests the promise by either rule, and shows classes, coarse
    beside fine labels, and examples."""
    sample = read_corpus("sample")
    few = {name: values[:320] for name, values in sample.labels.items()}
    app = opened("train/adaptive", corpus_from_texts(sample.texts[:320], labels=few))
    app.text_input(key="dims").set_value("8, 32, 64")
    app.radio(key="adaptive_space").set_value("The vectors' own prefixes")
    once(app)
    app.button(key="train_heads").click()
    again(app)
    assert "topic (80 classes): right for" in said(app) and "than a fixed width of" in said(app)
    loss = said(app)
    app.segmented_control(key="adaptive_rule").set_value("The paper's")
    once(app)
    assert said(app) != loss
    for part, n_charts, words in (
        ("Heads", 2, "Against a head trained for each width alone"),
        ("Which classes?", 2, "Where 80 classes have come"),
        ("Coarse and fine labels", 3, "exits after"),
        ("Easy and hard examples", 1, "Right from"),
    ):  # fmt: skip
        choose_part(app, part)
        once(app)
        assert not app.exception and not app.error and words in said(app)
        charts = [chart.proto.spec for chart in app.get("plotly_chart")]
        assert len(charts) == n_charts and not any("NaN" in chart for chart in charts) and "NaN" not in said(app)
    app.segmented_control(key="adaptive_label").set_value("domain")
    once(app)
    assert not app.exception and not app.error and "domain (10 classes): right for" in said(app)
