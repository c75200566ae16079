"""Train MRL in a real browser: a run beside the app, its twin picture, who sees it, cancel, resume and delete."""

import re

from playwright.sync_api import expect

from tests.browser.steps import follow, headings, loaded

TWINS = "The Matryoshka model against its plain twin"
# A process that loads torch on a busy machine with two cores, then two short trainings.
RUN_TIMEOUT_MS = 240_000


def open_training(page, epochs):
    """The page, with so many epochs chosen."""
    page.goto("/train")
    loaded(page)
    expect(headings(page, "How do nested losses make a model truncatable?")).to_be_visible()
    page.get_by_text("More settings").click()
    box = page.get_by_label("Epochs", exact=True)
    box.fill(str(epochs))
    box.press("Enter")
    loaded(page)


def test_the_sample_is_trained_beside_the_app(page, chromium, server):
    """A short run goes on while its visitor is away, ends in twin pictures, survives a reload, is no one else's."""
    open_training(page, 3)
    expect(page.get_by_text("No run yet")).to_be_visible()
    page.get_by_role("button", name="Train both models").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(page).to_have_url(re.compile(r"run=\d{8}-\d{6}-[0-9a-f]{16}"))
    follow(page, "Anatomy")
    loaded(page)
    other = chromium.new_context(base_url=server.url).new_page()
    other.goto("/train")
    expect(other.get_by_text("No run yet")).to_be_visible()
    expect(other.get_by_role("combobox", name="Runs")).to_have_count(0)
    other.context.close()
    follow(page, "Train MRL")
    expect(headings(page, TWINS)).to_be_visible(timeout=RUN_TIMEOUT_MS)
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
    expect(page.get_by_text("No run yet")).to_be_visible()
    expect(page.get_by_role("combobox", name="Model")).to_have_value("wordllama")
    loaded(page)


def test_a_run_is_cancelled_and_resumed(page):
    """Cancel stops a long run and keeps its epochs; Resume goes on from them."""
    open_training(page, 900)
    page.get_by_role("button", name="Train both models").click()
    # The first epochs are drawn while the run works.
    expect(page.get_by_text(re.compile(r"matryoshka, epoch \d+ of 900"))).to_be_visible(timeout=RUN_TIMEOUT_MS)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text(re.compile(r"was cancelled after \d+ of 1800 epochs"))).to_be_visible()
    expect(headings(page, TWINS)).to_have_count(0)
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.get_by_role("button", name="Delete this run").click()
    page.get_by_role("button", name="Delete it for good").click()
    expect(page.get_by_text("No run yet")).to_be_visible()
    loaded(page)
