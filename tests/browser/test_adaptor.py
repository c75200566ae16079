"""Make vectors truncatable: the page Adaptor in a real browser."""

import re
import zipfile

from playwright.sync_api import expect

from tests.browser.steps import TRAINING_MS, downloaded, follow, headings, loaded, opened


def test_fit_an_adaptor_and_see_its_verdicts(page):
    """An adaptor is fitted beside the page, judged held out, downloaded, and a line among the controls."""
    opened(page, "/adaptor?dims=8,16,32,64")  # of the default widths a fit came with the sample
    expect(page.get_by_text("two in ten only measure it")).to_be_visible()
    page.get_by_role("button", name="Fit on 1,280 texts").click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    follow(page, "Anatomy")  # leaving the page does not end the work
    follow(page, "Adaptor")
    expect(headings(page, "Is it worth it?")).to_be_visible(timeout=TRAINING_MS)
    loaded(page)
    expect(page.get_by_text("On held-out data (overlap@10) the neighbors adaptor").first).to_be_visible()
    with zipfile.ZipFile(downloaded(page, "Download the adaptor (zip)").path()) as archive:
        assert set(archive.namelist()) == {"adaptor.safetensors", "config.json", "README.md"}
    follow(page, "Neighbors")
    expect(
        page.get_by_text("adaptor was fitted on 1024 of these 1280 texts and is measured on the other 256")
    ).to_be_visible()
    follow(page, "Adaptor")
    page.get_by_role("button", name="Make it a model of this app").click()
    page.get_by_role("button", name="Use it on every page").click()
    expect(page.get_by_role("combobox", name="Model")).to_have_value(re.compile("adapted/wordllama-neighbors-"))
    loaded(page)
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
