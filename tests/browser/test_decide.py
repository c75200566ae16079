"""Compare models and Choose a dimension, in a real browser."""

import re

from playwright.sync_api import expect

from tests.browser.steps import follow, headings, loaded, paste

TEXTS = ["The cat sleeps on the sofa", "A kitten naps on the couch", "Taxes are due in April", "File your tax return", "Bread rises slowly"]


def test_models_are_compared_and_never_ranked_without_labels(page):
    """Two models on pasted texts: curves per byte, neighbors side by side, and no ranking where there are no labels."""
    paste(page, TEXTS)
    follow(page, "Compare models")
    expect(headings(page, "Which model at which width, per byte?")).to_be_visible()
    loaded(page)
    page.get_by_role("button", name="Compare on 5 texts").click()
    expect(page.get_by_text(re.compile("Nothing here ranks these models")).first).to_be_visible(timeout=120_000)
    loaded(page)
    expect(headings(page, "Agreement with oneself against bytes per vector")).to_be_visible()
    expect(headings(page, "Task quality against bytes per vector")).to_have_count(0)
    expect(headings(page, "One text's neighbors side by side")).to_be_visible()
