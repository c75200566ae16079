"""Claims: the file, the rule of a verdict, what is kept, and the verb that compares."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from docs import make_claims
from mrl_viz.claims import claim as claims
from mrl_viz.claims.claim import (
    NOT_HERE,
    NOT_TESTABLE,
    NOT_YET,
    REPRODUCED,
    Claim,
    ClaimsTable,
    Finding,
    Part,
    Record,
    read_claims,
    shipped_table,
)
from mrl_viz.claims.measures import MEASURES, measure
from mrl_viz.cli.main import main
from mrl_viz.errors import DataFormatError, EmptyInputError
from mrl_viz.measures.estimate import Estimate

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("how", "low", "high", "holds"),
    [
        ("reaches", 0.90, 0.97, False), ("reaches", 0.97, 0.98, True), ("reaches", 0.99, 1.0, True),
        ("exceeds", 0.97, 0.99, False), ("exceeds", 0.981, 0.99, True),
        ("does not exceed", 0.97, 0.99, True), ("does not exceed", 0.90, 0.97, True),
        ("does not exceed", 0.981, 0.99, False),
    ],
)  # fmt: skip
def test_a_part_holds_by_where_its_interval_lies(how, low, high, holds):
    """Against 98 %: contains or exceeds it, lies above it, or does not lie above it."""
    part = Part("kept", 0.98, Estimate((low + high) / 2, low, high), "share", how)
    assert part.holds is holds
    finding = Finding("one", (part, replace(part, theirs=0.0, how="reaches")), "", "", "", 0)
    assert finding.verdict == (REPRODUCED if holds else NOT_HERE)


def test_every_claim_has_a_source_a_rule_and_a_page():
    """Each has what its verdict needs: something that measures it, or why there is none; ids are told apart."""
    found = read_claims()
    assert len({one.id for one in found}) == len(found) >= 15
    assert {one.measure for one in found} - {""} == set(MEASURES)
    for one in found:
        assert (ROOT / "pages" / f"{one.page}.py").is_file(), one.id
        assert one.url.startswith("https://") or one.source == "source not found by us", one.id
        assert bool(one.url) == bool(one.seen), one.id
        assert bool(one.measure) != bool(one.why), one.id
        assert one.rule.startswith("Reproduced when") == bool(one.measure), one.id


def test_what_comes_with_the_project_is_of_these_claims():
    """Every claim that can be measured has its finding, and no other; the sentence counts them."""
    table = shipped_table()
    assert [bool(one.finding) for one in table.records] == [bool(one.claim.measure) for one in table.records]
    n = len(table.only(REPRODUCED))
    assert table.takeaway().startswith(f"{n} of {n + len(table.only(NOT_HERE))} claims measured here were reproduced")
    assert sum(len(table.only(verdict)) for verdict in claims.VERDICTS) == len(table.records)
    again = [Finding.from_dict(json.loads(json.dumps(one.finding.to_dict()))) for one in table.records if one.finding]
    assert again == [one.finding for one in table.records if one.finding]


def test_the_page_of_the_documentation_is_written_from_it():
    """docs/claims.md is what docs/make_claims.py writes."""
    assert make_claims.PAGE.read_text(encoding="utf-8") == make_claims.made(), "run python -m docs.make_claims"


def test_without_a_finding_the_verdict_says_why():
    """What nothing can measure here is not testable; what could be and is not yet says so."""
    one = Claim("x", "It flies", "high", "Nobody 2020, Title", "air", "none", "home/start", why="No wings.")
    assert Record(one, None).verdict == NOT_TESTABLE
    assert Record(one, None).takeaway() == "Not testable here. No wings."
    assert Record(replace(one, is_pending=True), None).verdict == NOT_YET and one.who == "Nobody 2020"
    with pytest.raises(EmptyInputError, match="not measured here: No wings"):
        measure(one)
    table = ClaimsTable((Record(one, None),))
    assert table.takeaway() == "0 of 0 claims measured here were reproduced; 1 is not testable here."
    assert "## It flies" in table.markdown()


def test_a_broken_file_is_one_sentence(tmp_path):
    """A claim with a field too many, and findings that are none."""
    file = tmp_path / "claims.toml"
    file.write_text('[[claim]]\nid = "x"\nwings = 2\n', encoding="utf-8")
    with pytest.raises(DataFormatError, match="holds no claims"):
        read_claims(file)
    with pytest.raises(DataFormatError, match="measure the claims again"):
        Finding.from_dict({"id": "x", "parts": [{"what": "y"}]})


def test_the_verb_shows_what_is_kept_and_refuses_what_is_not(tmp_path, capsys):
    """`claims --kept` prints the table and writes a record a claim; an unknown id is one sentence."""
    out = tmp_path / "claims.json"
    assert main(["claims", "--kept", "--json", str(out)]) == 0
    records, table = json.loads(out.read_text(encoding="utf-8"))["records"], shipped_table()
    assert [(one["id"], one["verdict"]) for one in records] == [(one.claim.id, one.verdict) for one in table.records]
    printed = capsys.readouterr().out
    assert table.takeaway() in printed and all(one.claim.id in printed for one in table.records)
    assert main(["claims", "--only", "perpetual-motion"]) == 2
    assert "choose from smaller-14" in capsys.readouterr().err


def test_the_verb_fails_when_a_verdict_flips(tmp_path, monkeypatch, capsys):
    """Code 0 where the verdict is the kept one, 1 where what is kept says otherwise; by the clock it is a note."""
    assert main(["claims", "--only", "in-between"]) == 0
    table = shipped_table()
    kept = {one.claim.id: one for one in table.records}
    own = kept["in-between"].finding
    far = Estimate(-0.5, -0.6, -0.4) if own.verdict == REPRODUCED else Estimate(0.5, 0.4, 0.6)
    flipped = replace(own, parts=tuple(replace(part, ours=far) for part in own.parts))
    monkeypatch.setattr(claims, "shipped_file", lambda: tmp_path / "claims.json")
    claims.ship(ClaimsTable((replace(kept["in-between"], finding=flipped),)))
    capsys.readouterr()
    assert main(["claims", "--only", "in-between"]) == 1
    assert f"in-between is {own.verdict} now, and was {flipped.verdict}" in capsys.readouterr().out
    clocked = Claim("t", "Faster", "9 ×", "N 2020", "air", "none", "home/start", measure="in_between", is_timed=True)
    monkeypatch.setattr(claims, "read_claims", lambda: (clocked,))
    claims.ship(ClaimsTable((Record(clocked, replace(flipped, id="t")),)))
    assert main(["claims"]) == 0
    assert "this machine may differ" in capsys.readouterr().out
