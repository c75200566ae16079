"""Own texts kept on the machine on request: found again by the address alone, and deleted on request."""

import pytest
from streamlit.testing.v1 import AppTest

from mrl_viz.data.reading import read_upload
from mrl_viz.embedding.store import EmbeddingStore
from tests.app.steps import APP, again, has, said, started

TABLE = b"text,label\nThe cat sleeps,pets\nA kitten naps,pets\nTaxes are due,money\nMoney is short,money\n"


def kept_files():
    return sorted((EmbeddingStore().folder / "texts").glob("*"))


def visitor(corpus=None, **query):
    """A new visit to Start, with an address and perhaps with own data."""
    app = started(corpus)
    for name, value in query.items():
        app.query_params[name] = value
    return again(app.run()) if corpus is not None else app.run()


def test_texts_are_kept_when_asked_and_found_again_and_deleted():
    """Nothing is written before the button; then another visit finds texts and labels by a name that no one guesses."""
    corpus = read_upload("mine.csv", TABLE)
    app, before = visitor(corpus), kept_files()
    assert not app.exception and has(app, "keep_texts") and not has(app, "delete_texts")
    app.button(key="keep_texts").click().run()
    name = app.query_params["kept"]
    (file,) = [file for file in kept_files() if file not in before]
    assert len(name) == 22 and name not in file.name and file.parent.stat().st_mode & 0o077 == 0
    other = visitor(kept=name)
    assert not other.exception and other.session_state["own_corpus"] == corpus
    assert other.selectbox(key="data").value == "mine" and "Your texts are not here" not in said(other)
    other.button(key="delete_texts").click().run()
    assert not other.exception and not file.exists() and "kept" not in other.query_params
    late = visitor(kept=name)
    assert not late.exception and "own_corpus" not in late.session_state


def test_other_texts_take_the_place_of_kept_ones():
    """What is kept is shown to be other texts, and is replaced under the same name when that is asked for."""
    app = visitor(read_upload("mine.csv", TABLE))
    app.button(key="keep_texts").click().run()
    name = app.query_params["kept"]
    app.session_state["own_corpus"] = new = read_upload("mine.txt", b"one line\nanother line\na third")
    again(app)
    assert "instead" in app.button(key="keep_texts").label
    app.button(key="keep_texts").click().run()
    assert app.query_params["kept"] == name and visitor(kept=name).session_state["own_corpus"] == new


@pytest.mark.parametrize("name", ["../../etc/passwd", "x" * 22, "", "<script>", "é" * 22])
def test_names_that_are_none_show_the_sample(name):
    """A name of nobody's texts opens the sample."""
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params["kept"] = name
    app.run()
    assert not app.exception and not app.error and app.selectbox(key="data").value == "sample"
