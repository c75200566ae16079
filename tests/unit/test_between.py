"""Widths between the trained ones: deviations are what a naive interpolation leaves."""

import numpy as np
import pytest

from mrl_viz.data.corpus import corpus_from_vectors
from mrl_viz.embedding.embedded import embed
from mrl_viz.errors import DimensionError, InvalidInputError
from mrl_viz.figures import between_curve
from mrl_viz.tasks.between import between_widths
from mrl_viz.tasks.task import find_task

RNG = np.random.default_rng(0)
CODES = np.repeat(np.arange(4), 15)
ROWS = (RNG.normal(size=(60, 32)) + RNG.normal(size=(4, 32))[CODES]).astype(np.float32)
EMBEDDED = embed(corpus_from_vectors(ROWS, labels={"class": [str(code) for code in CODES]}))


def test_deviation_is_from_the_line_between_trained_widths():
    """Three widths a gap; each value less the trained ones' at its place on a logarithmic axis."""
    found = between_widths(EMBEDDED, trained=[4, 16, 32])
    assert found.dims == (6, 8, 11, 19, 23, 27) and found.trained == (4, 16, 32)
    task = find_task(EMBEDDED)
    quality = {dim: task.measure(ROWS, ROWS, [dim]).mean() for dim in (*found.dims, *found.trained)}
    for dim, value, deviation in zip(found.dims, found.value, found.deviation):
        low, high = (4, 16) if dim < 16 else (16, 32)
        line = np.interp(np.log(dim), np.log([low, high]), [quality[low], quality[high]])
        assert value.value == pytest.approx(quality[dim])
        assert deviation.value == pytest.approx(quality[dim] - line)
    assert found.mean_deviation.value == pytest.approx(np.mean([deviation.value for deviation in found.deviation]))
    assert [value.value for value in found.trained_value] == [pytest.approx(quality[dim]) for dim in found.trained]


def test_the_sentence_names_the_largest_and_what_is_surely_below():
    """The largest in size, whatever its sign."""
    found = between_widths(EMBEDDED, trained=[4, 32])
    most = max(found.deviation, key=lambda deviation: abs(deviation.value))
    assert f"{most.value:+.4f}" in found.takeaway()
    is_below = any(deviation.high < 0 for deviation in found.deviation)
    assert ("surely below it" in found.takeaway()) == is_below
    assert [row["dim"] for row in found.rows()] == list(found.dims)
    assert len(between_curve(found).data) >= 2


def test_without_a_width_between_there_is_nothing_to_measure():
    """One trained width, or two next to each other; and widths beyond the vectors."""
    for trained in ([8], [8, 9]):
        with pytest.raises(InvalidInputError, match="two widths or more with others between"):
            between_widths(EMBEDDED, trained=trained)
    with pytest.raises(DimensionError):
        between_widths(EMBEDDED, trained=[8, 64])
