"""Anatomy, Similarity and Map with one selection, in a real browser."""

import re

from playwright.sync_api import expect

from tests.browser.steps import find, follow, headings, loaded, move_focus, open_part, opened

TEXT = "Betelgeuse is a red supergiant"


def test_a_selection_survives_pages_focus_and_reload(page):
    """A text found by its content stays selected on every page, at every width, and when the link is opened again."""
    opened(page, "/anatomy")
    find(page, "Betelgeuse is a red")
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar.get_by_text(TEXT).first).to_be_visible()
    expect(sidebar.get_by_text(re.compile(r"^\d+ kept$"))).to_be_visible()
    for name, heading in (
        ("Similarity", "How do similarities drift"),
        ("Map", "Where do texts move"),
        ("Anatomy", "What does truncating do"),
    ):
        follow(page, name)
        expect(headings(page, re.compile(heading))).to_be_visible()
        expect(sidebar.get_by_text(TEXT).first).to_be_visible()
    move_focus(page, "ArrowLeft")
    expect(sidebar.get_by_text(re.compile(r"^\d+ kept$"))).to_be_visible()
    expect(page).to_have_url(re.compile(r"text=\d+"))
    assert "Betelgeuse" not in page.url
    page.reload()
    expect(sidebar.get_by_text(re.compile(r"^\d+ kept$"))).to_be_visible()
    expect(sidebar.get_by_text(TEXT).first).to_be_visible()
    page.get_by_role("button", name="Clear the selection").click()
    expect(sidebar.get_by_text(re.compile(r"^\d+ kept$"))).to_have_count(0)
    expect(page).not_to_have_url(re.compile(r"text="))
    page.get_by_label("Type a sentence to take it apart").fill("a sentence about whales")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("stText").get_by_text("a sentence about whales")).to_be_visible()
    loaded(page)
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(5)
    assert "whales" not in page.url
    # A click on a doll moves the focus width to it: 128 dims are the second of 256, 128, 64, 32, 16 and 8.
    doll = page.locator(".st-key-dolls .barlayer .point path").nth(1)
    top_right = {"x": 0.9 * doll.bounding_box()["width"], "y": 5}
    doll.hover(position=top_right, force=True)
    expect(page.locator(".st-key-dolls .hoverlayer .hovertext")).to_be_visible()
    doll.click(position=top_right, force=True)
    expect(page.get_by_role("slider", name="Focus width, dims")).to_have_attribute("aria-valuetext", "128")
    expect(page).to_have_url(re.compile("focus=128"))


def test_the_map_plays_with_the_focus_width_and_shows_a_clicked_texts_neighbors(page):
    """A click on a point selects its text and draws its neighbors; Play and the focus width move each other, the chart
    stays the same one, and little is sent."""
    received = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: received.append(len(frame))))
    opened(page, "/map")
    chart, sidebar = page.get_by_test_id("stPlotlyChart").first, page.get_by_test_id("stSidebar")
    expect(chart.get_by_text(re.compile("^64 dims"))).to_be_visible()
    inner = chart.locator(".js-plotly-plot")
    inner.evaluate("plot => window.before = plot")
    # Under the pointer: lines to ten neighbors, drawn without a word to the server.
    loaded(page)
    received.clear()
    expect(page.locator(".st-key-map_near")).to_be_attached()
    chart.locator(".scatterlayer .point").first.hover(force=True)
    expect(chart.locator(".near line")).to_have_count(10)
    page.get_by_role("heading", level=1).hover()
    expect(chart.locator(".near line")).to_have_count(0)
    assert not received
    # The points lie under the layer that takes the drags; the chart takes a click on what the pointer has found.
    chart.locator(".scatterlayer .point").first.hover(force=True)
    expect(chart.locator(".near line")).to_have_count(10)
    chart.locator(".scatterlayer .point").first.click(force=True)
    expect(page.get_by_role("button", name="Clear the selection")).to_be_visible()
    expect(page).to_have_url(re.compile(r"text=\d+"))
    loaded(page)
    page.wait_for_function("window.before.data.at(-3).x.length == 30")  # three a neighbor
    received.clear()
    move_focus(page, "ArrowRight")
    expect(chart.get_by_text(re.compile("^128 dims"))).to_be_visible()
    loaded(page)
    assert sum(received) <= 200_000
    received.clear()
    # A frame may pass between two looks from here; the browser misses none.
    page.evaluate("window.seen = []")
    chart.evaluate("""chart => new MutationObserver(() => window.seen.push(chart.textContent)).observe(
        chart, {subtree: true, childList: true, characterData: true})""")
    chart.get_by_text("Play").click()
    expect(chart.get_by_text(re.compile("^8 dims"))).to_be_visible()
    assert any("16 dims" in text for text in page.evaluate("window.seen"))
    expect(page).to_have_url(re.compile("focus=8(&|$)"))
    expect(sidebar.get_by_text(re.compile(r"^\d+ kept$")).first).to_be_visible()
    loaded(page)
    # The answers to a playing map's widths do not take it back.
    expect(chart.get_by_text(re.compile("^8 dims"))).to_be_visible()
    assert inner.evaluate("plot => window.before === plot") and sum(received) <= 6 * 200_000


def test_pictures_on_the_map_follow_the_pointer_the_selection_and_the_width(page):
    """The map of the digits shows as many pictures as there is room for, the one under the pointer, and those of a
    chosen one and its neighbors; they are sent once, and not again with the focus width."""
    received = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: received.append(len(frame))))
    opened(page, "/map")
    page.get_by_role("combobox", name="Data").click()
    page.get_by_role("option", name=re.compile(r"^Sample \(digits\)")).click()
    chart, canvas = page.get_by_test_id("stPlotlyChart").first, page.locator("canvas.pictures")
    expect(canvas).to_have_attribute("data-drawn", re.compile(r"^[2-9]\d+$"))
    loaded(page)
    # Where a picture is, the pointer finds its text.
    spot = chart.locator(".js-plotly-plot").evaluate("""plot => {
        const { x, y, customdata } = plot._fullData[0], { xaxis, yaxis } = plot._fullLayout
        return { x: xaxis.c2p(x[0]), y: yaxis.c2p(y[0]), item: String(customdata[0]) }
    }""")
    chart.locator(".nsewdrag").hover(position={"x": spot["x"], "y": spot["y"]}, force=True)
    expect(canvas).to_have_attribute("data-hovered", re.compile(r"^\d+$"))
    page.get_by_role("heading", level=1).hover()
    expect(canvas).to_have_attribute("data-hovered", "")
    received.clear()
    move_focus(page, "ArrowLeft")
    expect(chart.get_by_text(re.compile("^32 dims"))).to_be_visible()
    loaded(page)
    assert sum(received) <= 200_000
    page.get_by_text("Pictures", exact=True).click()
    expect(canvas).to_have_attribute("data-drawn", "0")
    find(page, "picture 12")
    expect(canvas).to_have_attribute("data-drawn", "11")
    expect(page.get_by_test_id("stSidebar").get_by_role("img", name="digit 2, picture 12")).to_be_visible()


def test_pages_go_back_and_forward_and_a_row_selects_its_text(page):
    """The browser's own buttons bring back what was seen, with its width, k and text; choosing a row of the biggest
    movers, by keyboard, selects its left text."""
    opened(page, "/?k=7")
    slider = page.get_by_role("slider", name="Focus width, dims")
    follow(page, "Similarity")
    move_focus(page, "ArrowLeft")
    expect(slider).to_have_attribute("aria-valuetext", "32")
    find(page, "Betelgeuse is a red")
    expect(page).to_have_url(re.compile(r"text=\d+"))
    for step, heading, width in (
        (page.go_back, "How do similarities", "32"), (page.go_back, "What does each embedding width", "64"),
        (page.go_forward, "How do similarities", "32"),
    ):  # fmt: skip
        step()
        expect(headings(page, re.compile(heading))).to_be_visible()
        expect(slider).to_have_attribute("aria-valuetext", width)
        expect(page.get_by_role("slider", name="Neighbors per text k")).to_have_attribute("aria-valuetext", "7")
        loaded(page)
        expect(page.get_by_role("button", name="Clear the selection")).to_have_count(0)
    open_part(page, "Biggest movers")
    # The table is drawn on a canvas; what it says to a screen reader takes the keyboard, too.
    page.locator(".st-key-movers_table td[role=gridcell]").first.focus()
    page.keyboard.press("Shift+Space")
    expect(page.get_by_role("button", name="Clear the selection")).to_be_visible()


def test_pages_fit_a_phone_and_the_dark(chromium, server):
    """At a phone's width and in the dark every page shows its heading and nothing is wider than the screen."""
    with chromium.new_context(
        viewport={"width": 390, "height": 844}, color_scheme="dark", base_url=server.url
    ) as context:
        tab = context.new_page()
        for path in ("/", "/anatomy", "/similarity", "/neighbors", "/map"):
            tab.goto(path)
            expect(tab.get_by_role("heading", level=1)).to_be_visible()
            expect(tab.get_by_test_id("stPlotlyChart").first).to_be_visible()
            assert tab.evaluate("document.documentElement.scrollWidth") <= 390
