"""Train MRL in a real browser: a run beside the app, its twin picture, who sees it, use and delete."""

import re

from playwright.sync_api import expect

from tests.browser.steps import TRAINING_MS, choose, follow, headings, loaded, opened

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


def test_two_runs_are_laid_over_each_other(page):
    """One choice trained, another after it: both stay, one picture shows both, and a sentence says who won where."""
    opened(page, "/train")
    page.get_by_text("More settings").click()
    for name, value in (("Epochs", "2"), ("Smallest width", "64")):
        box = page.get_by_label(name, exact=True)
        box.fill(value)
        box.press("Enter")
        loaded(page)
    expect(page.get_by_text(re.compile("^To be trained: .* widths 64 128 256 .* 2 epochs"))).to_be_visible()
    for spacing in ("Doubling", "As many, in even steps"):
        if spacing != "Doubling":
            choose(page, "Widths of the loss", spacing)
            loaded(page)
            expect(page.get_by_text(re.compile("^To be trained: .* widths 64 160 256"))).to_be_visible()
        page.get_by_role("button", name="Train both models").click()
        expect(page.get_by_role("button", name="Cancel")).to_be_visible()
        expect(headings(page, TWINS)).to_be_visible(timeout=TRAINING_MS)
        loaded(page)
    page.get_by_role("tab", name="Runs laid over each other").click()
    said = page.get_by_text(re.compile(r"^Against widths 64 160 256: widths 64 128 256"))
    expect(said).to_contain_text(re.compile(r"(better|worse) at \d+|the interval of the difference spans 0"))
    loaded(page)
    legend = page.locator(".st-key-overlay_curves .legendtext")
    expect(legend).to_have_text(["widths 64 160 256", "widths 64 128 256"])
    page.get_by_role("tab", name="Trained alone").click()
    expect(page.get_by_text("Is one nested model as good as one for each width?")).to_be_visible()
    expect(legend).to_have_count(0)


def test_a_cascade_on_digits_is_walked(page):
    """The digits come first: what the cascade saves, the paper's rule beside it, which digits need more."""
    opened(page, "/adaptive")
    said = page.get_by_text(re.compile(r"^digit \(10 classes\): right for"))
    expect(said).to_contain_text("than a fixed width of 8")
    ours = said.inner_text()
    page.get_by_text("The paper's", exact=True).click()
    expect(said).not_to_have_text(ours)
    expect(page.get_by_test_id("stMetricValue")).to_have_count(4)
    page.get_by_role("tab", name="Which classes?").click()
    expect(page.get_by_text("Where 10 classes have come within")).to_be_visible()
    expect(page.locator(".st-key-class_losses").get_by_test_id("stPlotlyChart")).to_be_visible()
    page.get_by_text("These data", exact=True).click()
    expect(page.get_by_text(re.compile(r"^topic \(80 classes\): right for"))).to_be_visible()
