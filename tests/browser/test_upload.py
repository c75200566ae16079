"""One's own file in a real browser: upload it, choose its columns, read its numbers, stop and continue embedding it."""

import re
from uuid import uuid4

from playwright.sync_api import expect

from tests.browser.steps import TRAINING_MS, choose, follow, headings, loaded, opened, paste

WORDS = ("river", "bread", "tax", "song")
ROWS = [f"{n},the {word} of day {n},{word}" for n in range(30) for word in WORDS]
TABLE = "\n".join(["number,utterance,intent", *ROWS])
# A model that takes its time over texts of this length, on a machine with two cores.
SLOW_MODEL, N_SLOW = "all-MiniLM-L6-v2", 200


def test_an_uploaded_table_becomes_ones_own_numbers(page):
    """Upload, choose the label column, use it: counts, curve, labels on the next page, its name in the code."""
    opened(page, "/")
    page.get_by_role("tab", name="Upload texts or vectors").click()
    file = {"name": "intents.csv", "mimeType": "text/csv", "buffer": TABLE.encode()}
    page.get_by_test_id("stFileUploaderDropzoneInput").first.set_input_files(file)
    expect(page.get_by_role("button", name="Use this file")).to_be_visible()  # what the upload's run draws last
    choose(page, "Text column", "utterance")
    choose(page, "Label column", "intent")
    expect(page.get_by_text("Labels found: intent.")).to_be_visible()
    page.get_by_role("button", name="Use this file").click()
    expect(page.get_by_role("combobox", name="Data")).to_have_value("intents.csv")
    loaded(page)
    expect(page.get_by_text("Kept at 128 dims, 50% of the width")).to_be_visible()
    page.locator(".st-key-start_curve_row").get_by_role("button", name="Code").click()
    shown = page.get_by_test_id("stCode").get_by_text("read_corpus('intents.csv'")
    expect(shown).to_contain_text("text_column='utterance', label_column='intent'")
    page.keyboard.press("Escape")
    follow(page, "Task quality")
    expect(headings(page, "Does the task still work at a smaller width?")).to_be_visible()
    expect(page.get_by_text(re.compile("knn_accuracy:intent")).first).to_be_visible()
    assert "river" not in page.url


def test_embedding_is_stopped_and_continued(page):
    """Stop ends an embedding and offers to continue; what is continued is finished and shown."""
    # Texts that no earlier attempt has left in the store.
    paste(page, [f"{uuid4()}: {'many words about the weather of that day ' * 6}" for _ in range(N_SLOW)])
    choose(page, "Model", SLOW_MODEL)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Embedding was stopped. What was finished is kept")).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("Kept at 256 dims, 67% of the width")).to_be_visible(timeout=TRAINING_MS)
    loaded(page)
    expect(page.get_by_role("slider", name="Neighbors per text k")).to_have_attribute("aria-valuetext", "10")
