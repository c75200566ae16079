"""What a visitor does, for all browser tests."""

from playwright.sync_api import TimeoutError, expect

expect.set_options(timeout=60_000)  # a busy machine with two cores


def loaded(page):
    """Wait until the script has run to its end, without an exception."""
    expect(page.get_by_test_id("stSidebar")).to_be_visible()
    for _ in range(2):  # a click's own run may not have begun when it is first asked
        expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
        page.wait_for_timeout(250)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def headings(page, name):
    """Headings of that name."""
    return page.get_by_role("heading", name=name)


def follow(page, name):
    """Go to another page by the navigation, and wait until its script is at work or done."""
    before = page.get_by_role("heading", level=1).first.inner_text()
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", level=1).first).not_to_have_text(before)


def move_focus(page, key):
    """Move the focus width by keyboard."""
    page.get_by_test_id("stSidebar").get_by_role("slider", name="Focus width").press(key)


def paste(page, texts):
    """Paste texts on the Start page and use them."""
    page.goto("/")
    loaded(page)
    page.get_by_label("One text a line").fill("\n".join(texts))
    page.get_by_role("button", name="Use these texts").click()
    expect(page.get_by_role("combobox", name="Data")).to_have_value("Pasted texts")
    loaded(page)


def find(page, part):
    """Select a text by a part of it, in the sidebar."""
    box = page.get_by_role("combobox", name="Find a text")
    box.click()
    box.fill(part)
    page.get_by_role("option").first.click()


def choose(page, label, option):
    """Choose an option of a select box by typing it; a rerun under way may take the list away, so look again."""
    box = page.get_by_role("combobox", name=label)
    listed = page.get_by_role("option", name=option).first
    for _ in range(5):
        box.click()
        box.fill(option)
        try:
            listed.click(timeout=5000)
            return
        except TimeoutError:
            continue
    listed.click()
