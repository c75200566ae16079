"""The pages run on the sample without exceptions and say what they measured."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

APP = str(Path(__file__).parent.parent.parent / "app.py")


@pytest.fixture
def app():
    return AppTest.from_file(APP, default_timeout=60).run()


def test_start_shows_the_sample_analysed(app):
    """The first visit has the headline numbers of the sample and a chart with alt text."""
    assert not app.exception and not app.error
    assert app.metric[0].label == "Kept at ½ width (128 dims)"
    assert app.metric[0].value.endswith("%")
    assert len(app.get("plotly_chart")) == 1


def test_neighbors_follow_the_focus_width(app):
    """Moving the focus width changes the cards, not the curve's data."""
    app.switch_page("pages/explore/neighbors.py").run()
    assert not app.exception and not app.error
    assert len(app.get("plotly_chart")) == 4
    app.select_slider(key="focus").set_value(32).run()
    assert not app.exception
    assert any("At 32 dims this text keeps" in caption.value for caption in app.caption)


def test_pasted_texts_become_the_data(app):
    """Pasting lines and pressing the button analyses them."""
    app.text_area(key="pasted").set_value("A cat sleeps\nA dog runs\nTax is due\nBread rises\n")
    next(button for button in app.button if button.label == "Use these texts").click()
    app.run()
    assert not app.exception and not app.error
    assert app.selectbox(key="data").value == "mine"
