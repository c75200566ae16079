"""Train MRL in a real browser: a run beside the app, its twin picture, who sees it, use and delete."""

import re

from playwright.sync_api import expect

from tests.browser.steps import TRAINING_MS, follow, headings, loaded, opened

TWINS = "The Matryoshka model against its plain twin"


def test_the_sample_is_trained_beside_the_app(page, window):
    """A short run goes on while its visitor is away, ends in twin pictures, survives a reload, is no one else's."""
    opened(page, "/train")
    expect(headings(page, "How do nested losses make a model truncatable?")).to_be_visible()
    page.get_by_text("More settings").click()
    box = page.get_by_label("Epochs", exact=True)
    box.fill("3")
    box.press("Enter")
    expect(page.get_by_text(re.compile("^To be trained: .* 3 epochs"))).to_be_visible()
    expect(page.get_by_text("No run of yours yet")).to_be_visible()
    loaded(page)
    page.get_by_role("button", name="Train both models").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(page).to_have_url(re.compile(r"run=\d{8}-\d{6}-[0-9a-f]{16}"))
    follow(page, "Anatomy")
    other = window.new_page()
    other.goto("/train")
    expect(other.get_by_text("No run of yours yet")).to_be_visible()
    expect(other.get_by_role("combobox", name="Runs")).to_have_count(0)
    other.close()
    follow(page, "Train MRL")
    expect(headings(page, TWINS)).to_be_visible(timeout=TRAINING_MS)
    loaded(page)
    expect(
        page.get_by_text(
            re.compile(r"At 21 of 256 dims, 8\.2% of the size, the Matryoshka model has kNN accuracy 0\.")
        ).first
    ).to_be_visible()
    expect(page.get_by_text(re.compile("The classic picture (shows|does not show)")).first).to_be_visible()
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(3)
    page.reload()
    expect(headings(page, TWINS)).to_be_visible()
    loaded(page)
    page.get_by_role("button", name="Use the Matryoshka model in the app").click()
    expect(page.get_by_role("combobox", name="Model")).to_have_value(re.compile("result/matryoshka$"))
    loaded(page)
    page.get_by_role("button", name="Delete this run").click()
    page.get_by_role("button", name="Delete it for good").click()
    expect(page.get_by_text("No run of yours yet")).to_be_visible()
    expect(page.get_by_role("combobox", name="Model")).to_have_value("wordllama")
    loaded(page)
