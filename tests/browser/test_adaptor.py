"""Make vectors truncatable, and see how few dims an example needs: the two pages in a real browser."""

import re
import zipfile

from playwright.sync_api import expect

from tests.browser.steps import follow, headings, loaded

# Training runs beside the page, on a machine that may be busy with other tests.
TRAINING_MS = 240_000


def test_fit_an_adaptor_and_see_its_verdicts(page):
    """The sample's adaptor is fitted beside the page, judged held out, downloaded, and a line among the controls."""
    page.goto("/adaptor?dims=8,16,32,64,128")
    loaded(page)
    expect(page.get_by_text("two in ten only measure it")).to_be_visible()
    page.get_by_role("button", name="Fit on 1,280 texts").click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    follow(page, "Anatomy")  # leaving the page does not end the work
    loaded(page)
    follow(page, "Adaptor")
    expect(headings(page, "Is it worth it?")).to_be_visible(timeout=TRAINING_MS)
    loaded(page)
    expect(page.get_by_text("On held-out data (overlap@10) the neighbors adaptor").first).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the adaptor (zip)").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert set(archive.namelist()) == {"adaptor.safetensors", "config.json", "README.md"}
    follow(page, "Neighbors")
    loaded(page)
    expect(
        page.get_by_text("adaptor was fitted on 1024 of these 1280 texts and is measured on the other 256")
    ).to_be_visible()
    follow(page, "Adaptor")
    page.get_by_role("button", name="Make it a model of this app").click()
    page.get_by_role("button", name="Use it on every page").click()
    expect(page.get_by_role("combobox", name="Model")).to_have_value(re.compile("adapted/wordllama-neighbors-"))
    loaded(page)
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)


def test_stop_a_fit_and_keep_what_it_has(page):
    """Stop ends a fit early with the best so far, and the page says that it was stopped."""
    page.goto("/adaptor?dims=8,16,32")
    loaded(page)
    page.get_by_role("button", name="Fit on 1,280 texts").click()
    expect(page.get_by_text("epoch").first).to_be_visible(timeout=TRAINING_MS)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("stopped by you")).to_be_visible(timeout=TRAINING_MS)


def test_walk_adaptive_classification(page):
    """Heads are trained on both label columns; the page tests the promise, shows exits and examples, for either."""
    page.goto("/adaptive?dims=8,32,64")
    loaded(page)
    page.get_by_role("button", name="Train the heads on 1,280 texts").click()
    expect(headings(page, "Easy and hard examples")).to_be_visible(timeout=TRAINING_MS)
    loaded(page)
    for words in ("domain (10 classes): right for", "topic (80 classes): right for", "exits after"):
        expect(page.get_by_text(words).first).to_be_visible()
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(3)
    page.get_by_role("radio", name="domain").click()
    loaded(page)
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(3)
    expect(page.get_by_text("NaN")).to_have_count(0)
