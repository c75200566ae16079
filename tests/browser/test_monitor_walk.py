"""The Monitor page in a real browser: the example, then one's own record files."""

import json
import re

from playwright.sync_api import expect

from mrl_viz.data.samples import sample_data_folder
from tests.browser.steps import headings, loaded, opened


def test_own_record_files_take_the_examples_place(page):
    """The example says so; files given in the popover, one of them broken, are shown instead of it."""
    opened(page, "/monitor")
    expect(headings(page, "Does the deployed plan still keep its promise?")).to_be_visible()
    expect(page.get_by_text("Example", exact=True)).to_be_visible()
    expect(page.get_by_text(re.compile(r"^Held in 5 of 8 checks; since 2026-10-19"))).to_be_visible()
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(2)
    expect(page.get_by_text("mrl_viz monitor").first).to_be_visible()
    records = json.loads((sample_data_folder() / "results" / "monitor.json").read_text(encoding="utf-8"))
    files = [
        {"name": name, "mimeType": "application/json", "buffer": json.dumps(record).encode()}
        for name, record in list(records.items())[:4]
    ]
    files.append({"name": "torn.json", "mimeType": "application/json", "buffer": b"{"})
    page.get_by_role("button", name="Read my record files").click()
    page.locator(".st-key-monitor_files input[type=file]").set_input_files(files)
    expect(page.get_by_text(re.compile(r"^Held in 3 of 4 checks"))).to_be_visible()
    expect(page.get_by_text("Example", exact=True)).to_have_count(0)
    expect(page.get_by_text(re.compile("is no JSON"))).to_be_visible()
    loaded(page)
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
