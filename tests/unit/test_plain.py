"""Messages show a name in backticks as it is, and nothing of a user's text as markdown."""

import pytest

from mrl_viz.ui.charts import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`n_items` is *3*", "`n_items` is \\*3\\*"),
        ("`openai:model` costs $1", "`openai:model` costs \\$1"),
        ("a `b_c` and `d_e`", "a `b_c` and `d_e`"),
        ("an open `b_c", "an open `b\\_c"),
        ("``` [l](u) `", "``` \\[l\\](u) `"),
        ("`a\n\n[l](u)`", "`a\n\n\\[l\\](u)`"),
        ("` `` `[l](u)`", "` `` `\\[l\\](u)`"),
    ],
)
def test_only_names_between_single_backticks_stay_as_they_are(text, shown):
    """What is between a pair of single backticks on one line needs no escape; where pairs are unsure all is escaped."""
    assert plain(text) == shown
