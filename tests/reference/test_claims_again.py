"""Every claim that shipped data can test, measured again: none has another verdict than the one that is published."""

import json

import pytest

from mrl_viz.claims.claim import shipped_table
from mrl_viz.claims.measures import digit_heads
from mrl_viz.cli.main import main
from tests.reference.test_sample_results import answer, assert_same_heads, maker  # noqa: F401

MEASURED = [one.claim.id for one in shipped_table().records if one.claim.measure]


@pytest.mark.parametrize("claim", MEASURED)
def test_a_claim_has_the_verdict_that_is_published(tmp_path, claim, capsys):
    """The verb's exit code is 1 where a verdict flips; its record says what was measured now."""
    assert main(["claims", "--only", claim, "--json", str(tmp_path / "claims.json")]) == 0, capsys.readouterr().out
    (record,) = json.loads((tmp_path / "claims.json").read_text(encoding="utf-8"))["records"]
    assert record["id"] == claim and record["verdict"]


def test_most_claims_are_measured():
    """What is published is not only said: eighteen of them come from here."""
    assert len(MEASURED) >= 18


def test_the_digits_that_claims_are_measured_on_are_those_of_the_page(maker):  # noqa: F811
    """The heads just trained for two claims are the answer that Adaptive classification ships."""
    shipped = answer(maker, maker.digits(), "adaptive_digits")
    assert [one.label for one in shipped] == ["digit"]
    assert_same_heads(shipped, (digit_heads(),))
