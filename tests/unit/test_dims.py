"""Widths as people write them."""

import pytest

from mrl_viz.errors import DimensionError
from mrl_viz.truncation import parse_dims


@pytest.mark.parametrize(
    "text, wanted",
    [("", (8, 12)), (" 4, 2,4 ", (2, 4)), ("all", tuple(range(1, 13))), ("12", (12,))],
)
def test_parse_dims_reads_lists_all_and_nothing(text, wanted):
    """A list is sorted and distinct, `all` is every width, nothing the default ones."""
    assert parse_dims(text, 12) == wanted


@pytest.mark.parametrize(
    "text, message", [("4,x", "'x', not a whole number"), ("13", "have 12 coordinates"), (",", "is empty")]
)
def test_parse_dims_names_what_is_wrong(text, message):
    """What is no width of these vectors is an error that says so."""
    with pytest.raises(DimensionError, match=message):
        parse_dims(text, 12)
