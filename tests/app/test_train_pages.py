"""The Adaptive classification and Adaptor pages say in a sentence what they cannot do, and why."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from mrl_viz.data.corpus import corpus_from_texts

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
