"""Lessons are read from one file, and what is wrong with one is said with its line."""

from pathlib import Path

import pytest

from mrl_viz.errors import DataFormatError
from mrl_viz.lessons.lesson import MEASURES, PHASES, SHIPPED, read_lesson

ROOT = Path(__file__).parent.parent.parent
LESSON = """title = "A lesson"
minutes = 5

[[step]]
kind = "join"
title = "Come in"

[[step]]
kind = "vote"
title = "How many?"
question = "How many stay?"
range = [0, 10, 1]
near = 0.5
truth = { measure = "neighbors_kept", dim = 64, k = 10 }
twin = { question = "And at 32 of {full_dim}?", dim = 32 }
page = "explore/neighbors"
state = { focus = 64 }
seconds = { think = 45 }
wrong = [{ answer = 9, because = "Too hopeful." }]
"""


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_lessons_fit_their_minutes_and_open_pages_that_exist(name):
    """Every guess has its question, truth, seconds and a page; the phases take no longer than the lesson says."""
    lesson = read_lesson(SHIPPED[name])
    assert str(lesson.minutes) in name and str(lesson.minutes) in lesson.takeaway()
    assert sum(seconds for step in lesson.steps for _, seconds in step.seconds) <= lesson.minutes * 60
    assert lesson.steps[-1].kind == "exit"
    for step in lesson.steps:
        assert not step.page or (ROOT / "pages" / f"{step.page}.py").is_file()
        if step.kind == "vote":
            assert (
                step.truth is not None and step.truth[0] in MEASURES and step.say and step.misconception and step.wrong
            )
            assert all(step.seconds_of(phase) for phase in PHASES)


def test_a_lesson_is_what_its_file_says():
    """Fields stand where they were written; what was left out is empty."""
    lesson = read_lesson(LESSON.encode(), "mine.toml")
    join, vote = lesson.steps
    assert (join.kind, join.phases, vote.phases) == ("join", ("open",), PHASES)
    assert vote.range == (0, 10, 1) and vote.truth == ("neighbors_kept", (("dim", 64), ("k", 10)))
    assert vote.state == (("focus", 64),) and vote.seconds_of("think") == 45 and vote.seconds_of("talk") == 0
    assert vote.wrong == (("9", "Too hopeful."),)
    twin = vote.worded(full_dim=9, n_items=7).again().worded(full_dim=256)
    assert twin.question == "And at 32 of 256?" and twin.truth == ("neighbors_kept", (("dim", 32), ("k", 10)))
    assert (twin.range, twin.near, twin.again()) == (vote.range, vote.near, None)
    assert (
        vote.is_right(6, 6.4) and not vote.is_right(6, 6.6) and vote.is_right("A", "A") and not vote.is_right("A", "B")
    )


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ('title = "A lesson"', "title = 3", 1, "`title` has to be a text"),
        ("minutes = 5", "minutes = 0", 2, "`minutes` is 0; give a number, 1 to 600"),
        ("minutes = 5", "minutes = 5\ncolour = 1", 3, "`colour` is no part of a lesson"),
        ('kind = "vote"', 'kind = "quiz"', 9, "`kind` is 'quiz'; choose one of join, vote, exit"),
        ('title = "How many?"', 'title = ""', 10, "`title` has to be a text"),
        ('question = "How many stay?"\n', "", 8, "`question` has to be a text"),
        ("range = [0, 10, 1]", "range = [10, 0, 1]", 12, "`range` is .10, 0, 1.; give least, largest and step"),
        ("range = [0, 10, 1]", 'options = ["A", "A"]', 12, "`options` has to be a list of 2 to 6 different texts"),
        ("range = [0, 10, 1]\n", "", 8, "a vote has either `options` or a `range`"),
        ('"neighbors_kept"', '"luck"', 14, "`truth` has the measure 'luck'; choose one of neighbors_kept"),
        ("dim = 64, k = 10 }", "dim = 64 }", 14, "`truth` with neighbors_kept needs the numbers dim, k"),
        ("twin = { question", "twin = { quest", 15, "`twin` of a vote has a question"),
        (", dim = 32 }", ", width = 32 }", 15, "`twin` may change dim, k, as the truth has them"),
        ("dim = 32 }", "dim = 32.5 }", 15, "`twin` has dim = 32.5; give a whole number, 1 to 1,000,000"),
        ("dim = 64, k", "dim = -64, k", 14, "`truth` has dim = -64; give a whole number"),
        ("range = [0, 10, 1]", "range = [0, inf, 1]", 12, "`range` is .0, inf, 1.; give least, largest and step"),
        ('"explore/neighbors"', '"explore/secrets"', 16, "`page` is 'explore/secrets'; the pages are .*decide/choose"),
        ('"explore/neighbors"', '"../secrets"', 16, "`page` is '../secrets'; name one as explore/neighbors"),
        ("focus = 64 }", "password = 1 }", 17, "`state` cannot set password to 1; it may set focus"),
        ("think = 45 }", "think = 0 }", 18, "`seconds` has think = 0; it takes think, talk, revote, reveal and open"),
        ("answer = 9,", "answer = 11,", 19, "`wrong` has the answer 11, which is not on the slider"),
        ('because = "Too hopeful."', "why = 1", 19, "`wrong` has to be a list of"),
        ("near = 0.5", "near = 0.5\nhint = 1", 14, "`hint` is no part of a step"),
        ("minutes = 5", "minutes = = 5", 2, "this is not TOML"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(old, new, line, said):
    """One sentence: the file, the line, what stands there and what may."""
    assert old in LESSON
    with pytest.raises(DataFormatError, match=rf"`mine.toml`, line {line}: {said}"):
        read_lesson(LESSON.replace(old, new, 1).encode(), "mine.toml")


def test_files_that_are_no_text_or_too_long_are_refused(tmp_path):
    """Bytes that are not UTF-8, a megabyte, and a file that is not there."""
    with pytest.raises(DataFormatError, match=r"line 2: this is not UTF-8"):
        read_lesson(b"title = 'a'\n\xff", "mine.toml")
    with pytest.raises(DataFormatError, match=r"a lesson has 100,000 at most"):
        read_lesson(b"#" * 1_000_000, "mine.toml")
    for text in (b"minutes = " + b"9" * 10_000, b"a = " + b"[" * 50_000):
        with pytest.raises(DataFormatError, match=r"`mine.toml` has a number too long or lists too deep"):
            read_lesson(text, "mine.toml")
    with pytest.raises(DataFormatError, match=r"cannot be read .No such file"):
        read_lesson(tmp_path / "none.toml")
    with pytest.raises(DataFormatError, match=r"line 3: a lesson has 1 to 20 steps"):
        read_lesson(b"title = 'a'\nminutes = 3\nstep = []", "mine.toml")
