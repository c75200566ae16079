"""The Workshop page: a lesson walked alone, a room from its presenter's and a participant's side, a teacher's own."""

import csv
import io
import json

import pytest
from streamlit.testing.v1 import AppTest

from mrl_viz.data.corpus import corpus_from_texts
from mrl_viz.lessons.lesson import SHIPPED, read_lesson
from mrl_viz.ui import workshop
from tests.app.steps import APP, again, go, opened, said, started
from tests.unit.test_lesson import LESSON

PAGE = "learn/workshop"


def visit(**address):
    """A session that comes in by this address."""
    app = AppTest.from_file(APP, default_timeout=60)
    for name, value in address.items():
        app.query_params[name] = value
    return app.switch_page(f"pages/{PAGE}.py").run()


def press(app, label):
    """Press the button of that name, and look at the page after it."""
    (button,) = [button for button in app.button if button.label == label]
    button.click()
    app.run()
    assert not app.exception, app.exception
    return app


def labels(app):
    return [button.label for button in app.button]


def slider(app):
    """The slider of the question that is asked."""
    (found,) = [slider for slider in app.slider if slider.label.startswith("Your guess")]
    return found


def why(app):
    """The line beside a first guess."""
    (found,) = [line for line in app.text_input if line.label.startswith("Why?")]
    return found


def heading(app):
    page = "What would you have guessed?"
    (name,) = [element.value for kind in (app.title, app.subheader) for element in kind if element.value != page]
    return name


def keys_of_charts(app):
    return [chart.proto.id.rsplit("-", 1)[-1] for chart in app.get("plotly_chart")]


@pytest.fixture(scope="module")
def presenting():
    """A room that was opened on the page, at its first guess: the presenter's session, and the room's code."""
    app = opened(PAGE)
    app.segmented_control(key="lesson").set_value("10 minutes").run()
    app.session_state["workshop_tab"] = "Open or join a room"
    press(app.run(), "Open a room")
    assert not app.error and app.query_params["key"] and len(app.query_params["room"]) == 4
    return app, app.query_params["room"]


def test_a_lesson_is_walked_alone_to_its_end():
    """Every question is guessed, guessed again, measured, seen and asked once more for other numbers; at the end stands
    how often the guesses were right."""
    app, lesson = opened(PAGE), read_lesson(SHIPPED["25 minutes"])
    app.text_input(key="own_sentence").set_value("How do planets form?").run()
    assert "Nearest to it:" in said(app) and len(app.text) == 1
    press(app, "Next step")
    for step in lesson.steps[1:-1]:
        assert heading(app) == step.title and step.worded(full_dim=256).question in said(app)
        assert keys_of_charts(app) == (["asked"] if step.title == "Is it the training?" else [])
        if step.options:
            press(app, "Lock")
            assert "Choose an answer first." in said(app)
            app.radio[0].set_value(step.options[0])
        else:
            slider(app).set_value(int(step.range[1]))
        press(app, "Lock")
        assert f"Locked: **{step.said(step.options[0] if step.options else step.range[1])}**" in said(app)
        press(app, "Guess again")
        press(app, "Lock the second guess")
        assert not app.error and keys_of_charts(app) == ["revealed"] and "You guessed" in said(app)
        assert not any(place for place in labels(app) if place == "Check")
        press(app, "Something else")
        if step.options:
            app.radio[0].set_value((step.twin.options or step.options)[0])
        press(app, "Check")
        assert not app.error and sum("✓" in text.value or "✗" in text.value for text in app.markdown) == 2
        assert "Look for yourself" in labels(app)
        press(app, "Next step")
    assert heading(app) == "Before you go"
    press(app, "Lock")
    assert "The first question again" not in said(app)
    press(app, "End")
    assert heading(app) == "That was the lesson"
    # The first option about the training, and all of ten for the shortlist, whose 9.3 is near enough.
    assert "Of 6 questions you were right about 2 at once and about 2 after a second thought." in said(app)
    assert "The first question again: 5 texts" in said(app)
    press(app, "Start again")
    assert heading(app) == "Your own sentence"


def test_the_lesson_on_languages_is_measured_in_the_data_that_it_names():
    """Both of its guesses are revealed with a line per language; on data without languages a sentence says what to take
    and the step can be skipped."""
    app = started().run()
    app.selectbox(key="data").set_value("sample:languages").run()
    go(app, PAGE)
    app.segmented_control(key="lesson").set_value("Languages, 8 minutes").run()
    for sentence, lines in (("each language keeps at 64: English", 4), ("64 dims in German", 3)):
        press(press(press(app, "Lock"), "Guess again"), "Lock the second guess")
        assert not app.error and keys_of_charts(app) == ["revealed"] and sentence in said(app)
        (chart,) = app.get("plotly_chart")
        assert len({trace["name"] for trace in json.loads(chart.proto.spec)["data"]}) == lines
        press(press(app, "Something else"), "Check")
        assert not app.error
        press(app, "Next step")
    assert heading(app) == "Before you go"
    press(app, "Start again")
    app.selectbox(key="data").set_value("sample").run()
    press(press(press(app, "Lock"), "Guess again"), "Lock the second guess")
    assert "or take `sample:languages`" in said(app) and not keys_of_charts(app)


def test_presenter_and_participant_see_what_they_may(presenting):
    """Votes are counted and hidden until the press that reveals them; a second press moves on; the seat stays."""
    app, code = presenting
    seat = visit(room=code)
    kept = seat.query_params["seat"]
    assert heading(seat) == "How much survives?" and "Leave the room" in labels(seat)
    slider(seat).set_value(9)
    why(seat).set_value("=1+1")
    press(seat, "Lock")
    assert "Locked: **9 texts**" in said(seat) and not keys_of_charts(seat)
    press(app, "Talk")
    assert "0 of 1 locked" not in said(app) and "1 of 1 locked" in said(app) and not keys_of_charts(app)
    # A reload: another session with the address of this one.
    again_there = visit(room=code, seat=kept)
    assert again_there.query_params["seat"] == kept and "Locked: **9 texts**" in said(again_there)
    assert len(workshop.rooms().find(code).seats) == 1
    press(app, "Guess again")
    seat.run()
    slider(seat).set_value(6)
    press(seat, "Lock the second guess")
    assert not keys_of_charts(app)
    press(app, "Reveal")
    assert keys_of_charts(app) == ["revealed", "votes"] and "After talking: 1 of 1 right (100%)." in said(app)
    seat.run()
    assert keys_of_charts(seat) == ["votes", "revealed"] and "You guessed 9 texts ✗, then 6 texts ✓" in said(seat)
    press(seat, "What I expected")
    assert "What did you see?** what I expected" in said(seat)
    press(app, "Next step")
    assert "step 2 of 4" in said(app) and keys_of_charts(app) == ["asked"]
    rows = list(csv.DictReader(io.StringIO(workshop.rooms().find(code).to_csv(app.query_params["key"]))))
    assert [(row["type"], row["answer"], row["correct"]) for row in rows] == [
        ("first", "9", "0"), ("reason", "'=1+1", ""), ("second", "6", "1"), ("saw", "what I expected", ""),
    ]  # fmt: skip


def test_bad_addresses_of_rooms_are_sentences(presenting):
    """A wrong key, an unknown room, a code that is none: what is wrong, and a way on."""
    _, code = presenting
    wrong = visit(room=code, key="guess")
    assert [error.value.replace("\\", "") for error in wrong.error] == [
        f"This is not the presenter's link of room `{code}`; use your own."
    ]
    press(wrong, "Join as a participant")
    assert not wrong.error and wrong.query_params["seat"] and "key" not in wrong.query_params
    for strange in ("NONE", "<b>x</b>", "A" * 10_000):
        lost = visit(room=strange)
        assert not lost.exception and len(lost.error) == 1 and "There is no room" in lost.error[0].value
        assert len(lost.error[0].value) < 120
    press(lost, "Go on without a room")
    assert not lost.error and lost.title[0].value == "What would you have guessed?" and not lost.query_params


def test_a_room_is_found_again_after_another_page(presenting):
    """A link of the lesson leads away within the session; the Workshop page is then in the room again."""
    _, code = presenting
    seat = visit(room=code)
    kept = seat.query_params["seat"]
    go(seat, "explore/neighbors")
    seat.query_params.clear()
    go(seat, PAGE)
    assert seat.query_params["room"] == code and seat.query_params["seat"] == kept


def test_a_step_leads_to_its_page_in_the_state_it_needs():
    """Focus width, k and tab are those of the step, whatever they were."""
    app = opened(PAGE)
    app.segmented_control(key="lesson").set_value("10 minutes").run()
    app.select_slider(key="focus").set_value(16)
    app.slider(key="k").set_value(5).run()
    for name in ("Lock", "Skip"):
        press(app, name)
    app.radio[0].set_value("A")
    for name in ("Lock", "Show me", "Something else", "Look for yourself"):
        press(app, name)
    assert (
        app.title[0].value == "Do neighbors survive?"
        and app.session_state["neighbors_tab"] == "Is it really Matryoshka?"
    )
    assert (app.select_slider(key="focus").value, app.slider(key="k").value) == (128, 10)


def test_a_teachers_own_lesson_is_taken_and_its_errors_have_lines():
    """One file, shown and walked as the others; another with an error is one sentence with its line."""
    app = opened(PAGE)
    app.segmented_control(key="lesson").set_value("A file of yours").run()
    app.file_uploader(key="lesson_file").set_value(
        ("mine.toml", LESSON.replace('kind = "vote"', 'kind = "quiz"').encode(), "")
    ).run()
    assert [error.value.replace("\\", "") for error in app.error] == [
        "`mine.toml`, line 9: `kind` is 'quiz'; choose one of join, vote, exit."
    ]
    app.file_uploader(key="lesson_file").set_value(("mine.toml", LESSON.encode(), "")).run()
    assert not app.error and heading(app) == "Come in"
    press(app, "Next step")
    assert heading(app) == "How many?" and "How many stay?" in said(app)


def test_the_twin_is_asked_of_own_texts_and_too_few_are_a_sentence():
    """Six texts have no ten neighbors: said under the question, and the lesson goes on."""
    texts = ["a river", "a lake", "the sea", "a tax form", "a bill", "an invoice"]
    app = go(started(corpus_from_texts(texts)), PAGE)
    for name in ("Next step", "Lock", "Show me"):
        press(app, name)
        again(app)
    assert len(app.error) == 1 and not app.exception and heading(app) == "How much survives?"
    press(app, "Skip")
    assert not app.error and heading(app) == "Scores or ranks?"
