"""Anatomy, Similarity and Map with one selection, in a real browser."""

import re

from playwright.sync_api import expect

from tests.browser.steps import find, follow, headings, loaded, move_focus, paste


def test_a_selection_survives_pages_focus_and_reload(page):
    """A text found by its content stays selected on every page, at every width, and when the link is opened again."""
    page.goto("/anatomy")
    loaded(page)
    find(page, "Betelgeuse is a red")
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar.get_by_text("Betelgeuse is a red supergiant").first).to_be_visible()
    expect(sidebar.get_by_text(re.compile(r"Kept at 64 dims: \d"))).to_be_visible()
    for name, heading in (
        ("Similarity", "How do similarities drift"),
        ("Map", "Where do texts move"),
        ("Anatomy", "What does truncating do"),
    ):
        follow(page, name)
        expect(headings(page, re.compile(heading))).to_be_visible()
        loaded(page)
        expect(sidebar.get_by_text("Betelgeuse is a red supergiant").first).to_be_visible()
    move_focus(page, "ArrowLeft")
    expect(sidebar.get_by_text(re.compile(r"Kept at 32 dims: \d"))).to_be_visible()
    expect(page).to_have_url(re.compile(r"text=\d+"))
    assert "Betelgeuse" not in page.url
    page.reload()
    loaded(page)
    expect(sidebar.get_by_text(re.compile(r"Kept at 32 dims: \d"))).to_be_visible()
    expect(sidebar.get_by_text("Betelgeuse is a red supergiant").first).to_be_visible()
    page.get_by_role("button", name="Clear the selection").click()
    expect(sidebar.get_by_text(re.compile("Kept at"))).to_have_count(0)
    expect(page).not_to_have_url(re.compile(r"text="))


def test_a_typed_sentence_is_taken_apart(page):
    """Anatomy works with a sentence of one's own, which is not in the URL."""
    page.goto("/anatomy")
    loaded(page)
    page.get_by_label("Type a sentence to take it apart").fill("a sentence about whales")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("stText").get_by_text("a sentence about whales")).to_be_visible()
    loaded(page)
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(4)
    assert "whales" not in page.url


def test_the_animation_plays_without_the_server(page):
    """Play moves the points through the widths while nothing is sent to the server."""
    sent = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    page.goto("/map")
    loaded(page)
    chart = page.get_by_test_id("stPlotlyChart").first
    expect(chart.get_by_text(re.compile("^64 dims"))).to_be_visible()
    page.wait_for_load_state("networkidle")
    before = len(sent)
    chart.get_by_text("Play").click()
    expect(chart.get_by_text(re.compile("^16 dims"))).to_be_visible()
    expect(chart.get_by_text(re.compile("^8 dims"))).to_be_visible()
    assert len(sent) == before


def test_a_point_of_the_map_is_selected_by_a_click(page):
    """A click on a point selects its text, with its trail, and the side panel shows it."""
    page.goto("/map")
    loaded(page)
    point = page.get_by_test_id("stPlotlyChart").first.locator(".scatterlayer .point").first
    point.scroll_into_view_if_needed()
    point.click(force=True)
    expect(page.get_by_role("button", name="Clear the selection")).to_be_visible()
    expect(page).to_have_url(re.compile(r"text=\d+"))


def test_a_table_row_selects_its_text(page):
    """Choosing a row of the biggest movers selects its left text."""
    page.goto("/similarity")
    loaded(page)
    table = page.get_by_test_id("stDataFrame").nth(3)
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    page.mouse.click(box["x"] + 15, box["y"] + 55)
    expect(page.get_by_role("button", name="Clear the selection")).to_be_visible()


def test_back_and_forward_change_pages(page):
    """The browser's own buttons work."""
    page.goto("/")
    loaded(page)
    follow(page, "Similarity")
    expect(headings(page, re.compile("How do similarities"))).to_be_visible()
    loaded(page)
    page.go_back()
    expect(headings(page, re.compile("What does each embedding width keep"))).to_be_visible()
    page.go_forward()
    expect(headings(page, re.compile("How do similarities"))).to_be_visible()


def test_hostile_texts_are_inert_on_every_page(page):
    """HTML, markdown, formulas, right-to-left, CJK and control characters are shown as text and run nowhere."""
    hostile = [
        '<img src=x onerror="window.hacked=1"> first', '<script>window.hacked=1</script> second',
        "=HYPERLINK(\"http://x\")",
        "[link](javascript:window.hacked=1) **bold** $x$", "مرحبا بالعالم", "猫は窓辺で眠る",
        "bell\x07 and null", "z" * 10_000,
    ]  # fmt: skip
    paste(page, hostile)
    for name in ("Anatomy", "Similarity", "Neighbors", "Map"):
        follow(page, name)
        loaded(page)
        assert page.evaluate("window.hacked") is None
        assert page.locator("img[src=x], a[href^=javascript]").count() == 0
    find(page, "first")
    expect(page.get_by_test_id("stSidebar").get_by_text("<img src=x").first).to_be_visible()
    assert page.evaluate("window.hacked") is None


def test_formulas_are_inert_in_downloads(page):
    """A text that begins like a spreadsheet formula begins with an apostrophe in the CSV."""
    paste(page, ["=1+1", "@SUM(A1)", "-2+3", "+plus", "an ordinary text"])
    follow(page, "Neighbors")
    expect(headings(page, "Where this text's neighbors go")).to_be_visible()
    loaded(page)
    expander = page.locator(".st-key-per_item_data")
    expander.get_by_text("Show data").click()
    with page.expect_download() as download:
        expander.get_by_role("button", name="Download CSV").click()
    content = download.value.path().read_text()
    assert "'=1+1" in content and "'@SUM(A1)" in content and "'-2+3" in content and "'+plus" in content


def test_pages_fit_a_phone_and_the_dark(chromium, server):
    """At a phone's width and in the dark every page shows its heading and nothing is wider than the screen."""
    with chromium.new_context(
        viewport={"width": 390, "height": 844}, color_scheme="dark", base_url=server.url
    ) as context:
        tab = context.new_page()
        for path in ("/", "/anatomy", "/similarity", "/neighbors", "/map"):
            tab.goto(path)
            expect(tab.get_by_role("heading", level=1)).to_be_visible(timeout=60_000)
            expect(tab.get_by_test_id("stPlotlyChart").first).to_be_visible(timeout=60_000)
            assert tab.evaluate("document.documentElement.scrollWidth") <= 390
