"""What a visitor does, for all browser tests. Each step waits for what it brings about, never for the clock."""

from playwright.sync_api import expect

TIMEOUT_MS, TRAINING_MS = 120_000, 300_000  # two cores, both busy with other tests
expect.set_options(timeout=TIMEOUT_MS)


def loaded(page):
    """Wait until the script that is at work has run to its end, without an exception.

    After a click wait first for something that this click brings about: its own run may not have begun.
    """
    expect(page.get_by_test_id("stSidebar")).to_be_visible()
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    expect(page.get_by_test_id("stException")).to_have_count(0)


def opened(page, address):
    """Open an address, and wait until its page is whole."""
    page.goto(address)
    expect(page.get_by_role("heading", level=1).first).to_be_visible()
    loaded(page)


def headings(page, name):
    """Headings of that name."""
    return page.get_by_role("heading", name=name)


def follow(page, name):
    """Go to another page by the navigation, and wait until it is whole."""
    before = page.get_by_role("heading", level=1).first.inner_text()
    for group in page.get_by_test_id("stTopNavSection").all():
        group.click()
        menu = page.get_by_role("menu")
        expect(menu).to_be_visible()
        entry = menu.get_by_role("menuitem", name=name)
        if entry.count():
            entry.click()
            break
        page.keyboard.press("Escape")
        expect(menu).to_have_count(0)
    else:
        page.get_by_test_id("stTopNav").get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", level=1).first).not_to_have_text(before)
    loaded(page)


def open_part(page, name):
    """Open a tab below a page's main figure, and wait for what is in it."""
    page.get_by_role("tab", name=name, exact=True).click()
    expect(
        page.get_by_role("tabpanel", name=name, exact=True).get_by_test_id("stElementContainer").first
    ).to_be_visible()
    loaded(page)


def move_focus(page, key):
    """Move the focus width by keyboard."""
    page.get_by_test_id("stSidebar").get_by_role("slider", name="Focus width").press(key)


def paste(page, texts):
    """Paste texts on the Start page and use them."""
    opened(page, "/")
    page.get_by_label("One text a line").fill("\n".join(texts))
    page.get_by_role("button", name="Use these texts").click()
    expect(page.get_by_role("combobox", name="Data")).to_have_value("Pasted texts")
    loaded(page)


def find(page, part):
    """Select a text by a part of it, in the sidebar."""
    choose(page, "Find a text", part)
    expect(page.get_by_role("button", name="Clear the selection")).to_be_visible()
    loaded(page)


def choose(page, label, option):
    """Choose the first option that matches what is typed; no run is under way that could take the list away."""
    box = page.get_by_role("combobox", name=label)
    expect(box).to_be_visible()  # what went before may have brought it about, in a run that is not over
    loaded(page)
    # A click would scroll the box into sight and open its list, which the end of the scrolling closes again.
    box.scroll_into_view_if_needed()
    box.focus()
    box.press("ArrowDown")
    expect(page.get_by_role("listbox")).to_be_visible()
    box.fill(option)
    page.get_by_role("option", name=option).first.click()


def downloaded(page, button, within=None):
    """What a button downloads; `within` a part of the page where there are several of that name."""
    with page.expect_download() as download:
        (within or page).get_by_role("button", name=button).click()
    return download.value
