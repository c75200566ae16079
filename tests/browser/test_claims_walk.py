"""The Claims page in a real browser: from a verdict to the page that shows it."""

import re

from playwright.sync_api import expect

from tests.browser.steps import loaded, opened


def test_from_a_claim_to_the_page_that_shows_it(page):
    """Claims of one verdict, one by its address, and its page with the state; nothing is wider than a telephone."""
    opened(page, "/claims?claim=first-carry-more")
    expect(page.get_by_text(re.compile(r"^\d+ of \d+ claims measured here were reproduced"))).to_be_visible()
    shown = page.locator(".st-key-claim_shown")
    expect(shown.get_by_text("The first coordinates carry more")).to_be_visible()
    rows = page.locator(".st-key-claims_table tbody tr")
    n_all = rows.count()
    verdicts = page.locator(".st-key-claim_verdict")  # the table has the same words, and may be there first
    verdicts.get_by_text("not testable here", exact=True).click()
    expect(rows).not_to_have_count(n_all)
    expect(shown).to_have_count(0)
    expect(page).not_to_have_url(re.compile("claim="))
    verdicts.get_by_text("all", exact=True).click()
    expect(rows).to_have_count(n_all)
    loaded(page)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1280, "height": 720})
    opened(page, "/claims?claim=fewer-128")
    page.get_by_role("button", name="See it on its page").click()
    expect(page.get_by_role("heading", name="What would a search return at each width?")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/search\?.*focus=16"))
