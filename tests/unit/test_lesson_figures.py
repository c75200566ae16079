"""The workshop's figures draw the votes, the truth and the bound that they are given."""

import numpy as np
import pytest

from mrl_viz import figures
from mrl_viz.lessons.lesson import Step, Truth
from mrl_viz.lessons.room import Tally
from mrl_viz.lessons.truth import promise

SLIDER = Step("vote", "How many?", "How many?", range=(0, 10, 1), unit="texts", near=0.5)
CHOICE = Step(
    "vote", "Which?", "Which?", options=("<b>A</b>", "a very long option " * 3 + "1", "a very long option " * 3 + "2")
)


def tally(round, *counts):
    return Tally(0, round, counts, sum(count for _, count in counts), None)


def test_votes_on_a_slider_stand_where_they_were_given():
    """Bars of both rounds at their answers, the truth as a line with its interval, the whole slider as axis."""
    figure = figures.votes(
        SLIDER, [tally("first", (3.0, 2), (9.0, 5)), tally("second", (6.0, 7))], Truth(6.1, "so", 5.9, 6.3)
    )
    assert [list(bar.x) for bar in figure.data] == [[3, 9], [6]] and [list(bar.y) for bar in figure.data] == [
        [2, 5],
        [7],
    ]
    assert [bar.name for bar in figure.data] == ["alone (7)", "after talking (7)"]
    shapes = {shape.type: (shape.x0, shape.x1) for shape in figure.layout.shapes}
    assert shapes == {"rect": (5.9, 6.3), "line": (6.1, 6.1)}
    low, high = figure.layout.xaxis.range
    assert low < 0 and high > 10 and figure.layout.annotations[0].text == "6.1"


def test_votes_on_options_name_the_right_one_and_escape_all():
    """Each option has a bar of its own, also where their beginnings are alike; a tag is text."""
    counts = [(option, number) for number, option in enumerate(CHOICE.options)]
    figure = figures.votes(CHOICE, [tally("first", *counts)], Truth(CHOICE.options[1], "so"))
    (bar,) = figure.data
    assert list(bar.x) == [0, 1, 2] and list(bar.y) == [0, 1, 2] and bar.orientation == "h"
    ticks = figure.layout.yaxis.ticktext
    assert ticks[0] == "&lt;b&gt;A&lt;/b&gt;" and [tick.startswith("<b>✓ ") for tick in ticks] == [False, True, False]


@pytest.mark.parametrize("step", [SLIDER, CHOICE])
def test_a_room_where_nobody_voted_has_a_figure(step):
    """No bar, and still the truth."""
    truth = Truth(step.options[0] if step.options else 6.1, "so")
    empty = [tally("first", *((option, 0) for option in step.options)), tally("second")]
    assert len(figures.votes(step, empty, truth).data) == 2


def test_the_bound_is_drawn_below_what_was_measured():
    """Its line is the result's, and rises towards the share with more queries."""
    found = promise(0.95, 40)
    line = figures.promised(found).data[-1]
    assert list(line.x) == list(found.sizes) and list(line.y) == list(found.lows)
    assert np.all(np.diff(line.y) > 0) and max(line.y) < 95
