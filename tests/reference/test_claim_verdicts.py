"""The verdicts that come with the project are those of today: what is neither slow nor by the clock, measured again."""

import pytest

from mrl_viz.claims.claim import shipped_table
from mrl_viz.claims.measures import measure

QUICK = [one for one in shipped_table().records if one.finding and not (one.claim.is_slow or one.claim.is_timed)]


@pytest.mark.parametrize("kept", QUICK, ids=lambda one: one.claim.id)
def test_a_verdict_is_the_one_that_is_kept(kept):
    """The same parts, numbers within two hundredths, and the same verdict."""
    found = measure(kept.claim)
    assert found.verdict == kept.verdict, f"{kept.claim.id}: python -m docs.make_claims --measure {kept.claim.id}"
    assert [(part.what, part.theirs, part.how) for part in found.parts] == [
        (part.what, part.theirs, part.how) for part in kept.finding.parts
    ]
    for part, before in zip(found.parts, kept.finding.parts):
        for end in ("value", "low", "high"):
            assert getattr(part.ours, end) == pytest.approx(getattr(before.ours, end), abs=0.02), part.what
