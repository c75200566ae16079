"""The Claims page: the sentence first, the table by verdict, one claim, and the page that shows it."""

from mrl_viz.claims.claim import REPRODUCED, shipped_table
from tests.app.steps import again, opened, said


def test_claims_by_verdict_and_one_by_one():
    """All claims stand in the table, then those of one verdict; the chosen one has its source, rule and numbers."""
    app, table = opened("learn/claims"), shipped_table()
    assert app.title[0].value == "What was claimed, and does it hold here?"
    assert table.takeaway() in said(app)
    assert all(one.claim.claim in said(app) for one in table.records)
    app.segmented_control(key="claim_verdict").set_value(REPRODUCED)
    again(app)
    (shown,) = [one.value for one in app.markdown if one.value.startswith("| verdict | claim |")]
    assert shown.count("\n") == 1 + len(table.only(REPRODUCED))
    for one in table.only(REPRODUCED)[:3]:
        app.selectbox(key="claim_chosen").set_value(one.claim.id)
        again(app)
        assert one.claim.rule in said(app) and all(part.said in said(app) for part in one.finding.parts)


def test_a_claim_opens_the_page_that_shows_it():
    """The button opens the claim's page with its data, widths, focus and tab."""
    app = opened("learn/claims")
    app.selectbox(key="claim_chosen").set_value("first-carry-more")
    again(app)
    app.button(key="claim_page").click()
    again(app)
    assert not app.exception and app.title[0].value == "Do neighbors survive?"
    assert app.select_slider(key="focus").value == 64
    assert app.session_state["neighbors_tab"] == "Is it really Matryoshka?"
