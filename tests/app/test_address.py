"""What stands in the address: good values are taken, bad ones fall back or are refused in a sentence."""

import pytest
from streamlit.testing.v1 import AppTest

from mrl_viz.data.corpus import corpus_from_texts
from tests.app.steps import APP, go, opened, said


def visited(page="home/start", **query):
    """The app opened by an address with these values."""
    app = AppTest.from_file(APP, default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    return app.switch_page(f"pages/{page}.py").run()


def test_good_values_are_taken():
    """Focus width and k of the address are those of the page."""
    app = visited("explore/neighbors", focus="16", k="5")
    assert not app.exception and not app.error
    assert (app.select_slider(key="focus").value, app.slider(key="k").value) == (16, 5)


def test_bad_values_fall_back():
    """Nonsense in the address is not an error."""
    app = visited("explore/neighbors", focus="banana", k="9999", model="", data="none")
    assert not app.exception and not app.error
    assert app.title[0].value == "Do neighbors survive?" and app.get("plotly_chart")


def test_an_impossible_width_is_one_sentence():
    """A width above the model's is refused with what to do."""
    app = visited("explore/neighbors", dims="8,9999")
    assert not app.exception and len(app.error) == 1 and "choose 1 to 256" in app.error[0].value


def test_an_unknown_model_is_one_sentence():
    """A model that cannot be had says so; another choice brings the page back."""
    app = visited(model="no-such-owner/no-such-model")
    assert not app.exception and len(app.error) == 1 and "no-such-owner/no-such-model" in said(app)
    assert app.get("plotly_chart"), "the page stays, of a model that can be had"
    app.selectbox(key="model").set_value("wordllama").run()
    assert not app.exception and not app.error and app.get("plotly_chart")


def test_a_mistyped_model_is_guessed_and_nothing_else_is_lost():
    """The name that was perhaps meant is said; focus width and k are those of before, then and afterwards."""
    app = visited("explore/neighbors", focus="16", k="5")
    for model, n_errors in (("all-minilm-l6", 1), ("wordllama", 0)):
        app.session_state["next_model"] = model
        app.run()
        assert not app.exception and len(app.error) == n_errors
        assert (app.select_slider(key="focus").value, app.slider(key="k").value) == (16, 5)
        assert n_errors == 0 or "Did you mean `all-MiniLM-L6-v2`?" in app.error[0].value


@pytest.mark.parametrize(("given", "shown"), [("16 ◆", 16), ("50", 64), ("100000", 256)])
def test_a_width_that_is_not_measured_becomes_the_nearest(given, shown):
    """Widths of addresses that once had a sign are read; others become the nearest there is, which is said."""
    app = visited("explore/neighbors", focus=given)
    assert not app.exception and app.select_slider(key="focus").value == shown
    assert (f"{given} is not among these widths; {shown} is the nearest." in said(app)) == (given != "16 ◆")


def test_a_width_comes_back_with_the_data_that_have_it():
    """Other widths show the nearest to the one wanted; with the usual widths it is that one again."""
    app = visited("explore/neighbors", focus="32")
    for dims, shown in (("40, 100", 40), ("", 32)):
        app.text_input(key="dims").set_value(dims).run()
        assert not app.exception and app.select_slider(key="focus").value == shown


def test_a_samples_name_in_an_address_is_that_sample():
    """`?data=sample:digits`, as the command line calls it, opens the digits; another word opens the sample."""
    assert visited(data="sample:digits").selectbox(key="data").value == "sample:digits"
    assert visited(data="sample:nonsense").selectbox(key="data").value == "sample"


def test_a_link_to_own_texts_says_that_they_are_not_here():
    """A reload begins a new visit without the texts: the sample is shown, and that it is the sample."""
    app = visited(data="mine")
    assert not app.exception and not app.error and "Your texts are not here" in said(app)
    app.selectbox(key="data").set_value("sample:hard").run()
    assert "Your texts are not here" not in said(app)


def test_one_text_leaves_the_form_to_give_more():
    """Start says what is missing, and keeps the ways to give texts."""
    app = opened("home/start", corpus_from_texts(["only one line"], name="Pasted texts"))
    assert "There is one text only" in said(app) and app.text_area(key="pasted")
    app = go(app, "explore/neighbors")
    assert "There is one text only" in said(app)
