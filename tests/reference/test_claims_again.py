"""Every claim that shipped data can test, measured again: none has another verdict than the one that is published."""

import json

import pytest

from mrl_viz.claims.claim import shipped_table
from mrl_viz.cli.main import main

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
