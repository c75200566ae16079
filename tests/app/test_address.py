"""What stands in the address: good values are taken, bad ones fall back or are refused in a sentence."""

from streamlit.testing.v1 import AppTest

from tests.app.steps import APP, said


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
    app.selectbox(key="model").set_value("wordllama").run()
    assert not app.exception and not app.error
    assert app.metric[0].label == "Kept at ½ width (128 dims)"
