"""The Report & notebook page: what is offered for which data, and what is in it."""

import pytest

from mrl_viz.analysis import analyse
from mrl_viz.data.corpus import corpus_from_texts, corpus_from_vectors
from mrl_viz.embedding.embedded import embed
from mrl_viz.export.pages import DEFAULT
from mrl_viz.ui.workspace import Source
from tests.app.steps import again, go, opened, said, started, tasks_of

PAGE = "take/report"
TEXTS = [
    f"a secret {thing} of {owner}" for thing in ("hat", "cat", "tax", "tea") for owner in ("mine", "yours", "hers")
]


def offered(app):
    return [button.proto.label for button in app.get("download_button")]


def made(app):
    """The report that was made: its title, and its parts as one text."""
    app.button(key="make_report").click()
    again(app)
    assert not app.exception and not app.error
    title, parts = tasks_of(app)[-1].result
    return title, "".join(parts)


def test_the_sample_is_offered_as_a_notebook_at_once():
    """No question about texts, as the sample comes with the package; the notebook is one click away."""
    app = opened(PAGE)
    assert offered(app) == ["Download the notebook"] and "needs nothing else" in said(app)
    assert app.pills(key="take_pages").value == list(DEFAULT)
    app.pills(key="take_pages").set_value([])
    assert "Choose at least one page" in said(again(app)) and not offered(app)


def test_pasted_texts_come_beside_the_notebook_unless_wished_inside():
    """Texts without a file come in an archive; inside the notebook is a choice that says who reads them."""
    app = opened(PAGE, corpus_from_texts(TEXTS, name="Pasted texts"))
    assert offered(app) == ["Download notebook and texts (zip)"]
    assert "no text is in the notebook itself" in said(app)
    assert "quality" not in app.pills(key="take_pages").value, "there are no labels to judge by"
    app.segmented_control(key="take_texts_False").set_value("in the notebook")
    again(app)
    assert offered(app) == ["Download the notebook"] and "whoever has it can read them" in said(app)


def test_files_are_named_and_vectors_stay_where_they_are():
    """An upload is read by its name; ready vectors are never put into a notebook, and nobody is asked."""
    app = started(corpus_from_texts(TEXTS, name="mine.txt"))
    app.session_state["own_source"] = Source("mine.txt", queries="asked.txt")
    go(app.run(), PAGE)
    assert not app.exception and "Put `mine.txt` and `asked.txt` beside it" in said(app)
    rows = embed(corpus_from_texts(TEXTS)).matrix
    app = started(corpus_from_vectors(rows, name="rows.npy"))
    app.session_state["own_source"] = Source("rows.npy")
    go(app.run(), PAGE)
    assert not app.exception and not app.error and offered(app) == ["Download the notebook"]
    assert "Put `rows.npy` beside it" in said(app)


@pytest.mark.parametrize("names", [False, True])
def test_a_report_is_made_beside_the_page_with_texts_only_where_wished(names):
    """Sentences are the library's at the sidebar's widths and k; texts are in it after the toggle alone."""
    app = opened(PAGE, corpus_from_texts(TEXTS, name="Pasted texts"))
    app.segmented_control(key="take").set_value("Report")
    again(app)
    app.toggle(key="take_named").set_value(names)
    again(app)
    assert not offered(app)
    title, text = made(app)
    assert offered(app) == ["Download the report (HTML)"] and "MB. It opens in any browser" in said(app)
    found = analyse(embed(corpus_from_texts(TEXTS)), dims=[8, 16, 32, 64, 128, 256], k=10)
    assert title.startswith("Pasted texts") and found.overlap.takeaway() in text
    assert ("secret" in text) == names


def test_the_last_decision_stands_in_the_report():
    """What was decided on Choose is the page's and the record at its end; for other data there is none."""
    app = opened("decide/choose")
    go(app, PAGE)
    app.segmented_control(key="take").set_value("Report")
    app.pills(key="take_pages").set_value(["choose"])
    again(app)
    _, text = made(app)
    _, decision, _, decided_at = app.session_state["last_decision"]
    plain = text.replace("&#x27;", "'")
    assert decision.takeaway() in plain and decision.chosen.plan.label in plain and "The decision record" in plain
    assert decided_at in plain and decision.fingerprint in plain and "made on other data" not in plain
    assert "Your decision stands at its end" in said(app)
    app.session_state["own_corpus"] = corpus_from_texts(TEXTS, name="Pasted texts")
    again(app)
    _, text = made(app)
    assert "No plan has been chosen yet" in text and "The decision record" not in text
