"""A lesson on paper: everything is on it, nothing of it runs or is loaded."""

import re
from html.parser import HTMLParser

import pytest

from mrl_viz.lessons.lesson import MOST_CHARACTERS, MOST_STEPS, SHIPPED, read_lesson
from mrl_viz.lessons.worksheet import teacher_page, worksheet

SCRIPT = "<script>alert(1)</script><img src=http://example.org/x>"


class Seen(HTMLParser):
    """The tags, their attributes and the words of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.words, self.addresses = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href")]

    def handle_data(self, data):
        self.words.append(data)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_worksheet_has_every_question_with_its_boxes(name):
    """A row a question, with its choices; three empty boxes for a guess, one for the sentence at the door."""
    lesson = read_lesson(SHIPPED[name]).worded(full_dim=256, n_items=1280)
    seen = Seen(worksheet(lesson))
    words = " ".join(seen.words)
    for step in lesson.steps:
        assert (step.question in words) == (step.kind != "join")
        assert all(option in words for option in step.options)
    votes = sum(step.kind == "vote" for step in lesson.steps)
    assert worksheet(lesson).count("<td></td>") == 3 * votes and seen.tags.count("tr") == 1 + votes + 1
    assert "3 Scores or ranks?" in words or name != "25 minutes"


@pytest.mark.parametrize("name", SHIPPED)
def test_the_teachers_notes_have_what_the_lesson_says(name):
    """Misconceptions, answers to expect, what to say, and when each step begins."""
    lesson = read_lesson(SHIPPED[name])
    words = " ".join(Seen(teacher_page(lesson)).words)
    for step in lesson.steps:
        for said in (step.title, step.question, step.misconception, step.say, *(because for _, because in step.wrong)):
            assert said in words
    begins = [int(minutes) * 60 + int(seconds) for minutes, seconds in re.findall(r"(\d+):(\d\d) \d+ ", words)]
    lengths = [sum(seconds for _, seconds in step.seconds) for step in lesson.steps]
    assert begins == [sum(lengths[:place]) for place in range(len(lengths))]


def test_texts_of_a_lesson_are_words_and_nothing_is_loaded():
    """A script in a title, a question or an option is shown as it was written."""
    text = f"""
title = "{SCRIPT}"
minutes = 5
[[step]]
kind = "vote"
title = "{SCRIPT}"
question = "{SCRIPT}?"
options = ["{SCRIPT}", "B"]
truth = {{ measure = "neighbors_kept", dim = 64, k = 10 }}
say = "{SCRIPT}"
"""
    lesson = read_lesson(text.encode(), "mine.toml")
    for page in (worksheet(lesson), teacher_page(lesson)):
        seen = Seen(page)
        assert "script" not in seen.tags and "img" not in seen.tags and not seen.addresses
        assert SCRIPT in "".join(seen.words) and "default-src 'none'" in page


def longest():
    """A lesson as long as one may be."""
    step = (
        f'[[step]]\nkind = "vote"\ntitle = "{"long title " * 5}"\nquestion = "{"a word " * (MOST_CHARACTERS // 7)}"\n'
        'range = [0, 10, 1]\ntruth = { measure = "neighbors_kept", dim = 64, k = 10 }\n'
    )
    return read_lesson(f'title = "Long"\nminutes = 60\n{step * MOST_STEPS}'.encode(), "long.toml")


def test_letters_shrink_with_the_lesson():
    """A short lesson has the usual size, the longest one the smallest that is needed."""

    def points(lesson):
        return float(re.search(r"font-size: ([\d.]+)pt; line-height", worksheet(lesson))[1])

    short, middle = (points(read_lesson(SHIPPED[name])) for name in ("10 minutes", "25 minutes"))
    assert short == 11 >= middle > points(longest()) >= 3
