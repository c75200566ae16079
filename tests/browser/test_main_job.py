"""A visitor's way from her texts to what each width keeps, in a real browser."""

import re
import statistics
import time
from http.client import HTTPConnection

from playwright.sync_api import expect

from tests.browser.steps import downloaded, find, follow, headings, loaded, move_focus, open_part, opened, paste

# Systems delay their word that data has come by 40 ms or more.
DELAY_S, FILE_TIMEOUT_S = 0.035, 60
TEXTS = [
    "The cat sleeps on the sofa",
    "A kitten naps on the couch",
    "Taxes are due in April",
    "My password is swordfish",
    "Bread rises slowly",
]
FORMULAS = ["=1+1", "@SUM(A1)", "-2+3", "+plus"]
HOSTILE = [
    '<img src=x onerror="window.hacked=1"> first', '<script>window.hacked=1</script> second',
    "=HYPERLINK(\"http://x\")",
    "[link](javascript:window.hacked=1) **bold** $\\LaTeX$", "مرحبا بالعالم", "猫は窓辺で眠る",
    "bell\x07 and null", "z" * 10_000,
]  # fmt: skip


def test_a_deep_link_is_a_whole_page_and_the_url_reproduces_the_view(page, window):
    """A link opens its page with the sidebar and no dialog; focus width, k and the open tab are in the URL."""
    opened(page, "/neighbors?focus=16&k=5")
    expect(headings(page, "Do neighbors survive?")).to_be_visible()
    expect(page.get_by_test_id("stSidebar").get_by_text("Focus width")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text("Page not found")).to_have_count(0)
    open_part(page, "Which texts?")
    expect(headings(page, "Which texts? At 16 dims")).to_be_visible()
    move_focus(page, "ArrowRight")
    expect(headings(page, "Which texts? At 32 dims")).to_be_visible()
    expect(page).to_have_url(re.compile(r"focus=32"))
    expect(page).to_have_url(re.compile(r"k=5"))
    loaded(page)
    other = window.new_page()
    other.goto(page.url)
    expect(headings(other, "Which texts? At 32 dims")).to_be_visible()
    expect(other.get_by_text("of the 5 nearest survive").first).to_be_visible()
    other.close()


def test_a_first_view_waits_for_no_chart_code(page):
    """The code that draws charts is asked for with the page, before its script runs, and only once."""
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    opened(page, "/")
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    (early,) = [place for place, url in enumerate(asked) if "/PlotlyChart." in url]
    (starts,) = [place for place, url in enumerate(asked) if url.endswith("/_stcore/health")]
    assert early < starts


def test_files_are_sent_at_once(server):
    """No small file waits for the browser's word that its beginning has come, which takes 40 ms."""
    connection, waits = HTTPConnection("127.0.0.1", server.port, timeout=FILE_TIMEOUT_S), []
    for _ in range(31):
        started = time.perf_counter()
        connection.request("GET", "/favicon.png")
        assert connection.getresponse().read()
        waits.append(time.perf_counter() - started)
    connection.close()
    assert statistics.median(waits) < DELAY_S, waits


def test_no_chart_offers_to_upload_itself(page):
    """No button of a chart sends it anywhere, and every chart has an alternative text."""
    opened(page, "/neighbors")
    n_charts = {"Is it really Matryoshka?": 2, "Every list length": 1, "Which texts?": 1, "Where they go": 1}
    assert 1 + sum(n_charts.values()) == 6
    for part, n_below in n_charts.items():
        open_part(page, part)
        expect(page.get_by_test_id("stPlotlyChart")).to_have_count(1 + n_below)
        expect(page.locator("[data-title*='loud' i], [data-title*='Chart Studio' i]")).to_have_count(0)
        expect(page.get_by_label(re.compile("survive|keep|rank")).first).to_be_attached()


def test_pasted_texts_reach_the_neighbors_page(page, server):
    """Paste, read the headline, see kept, lost and gained of one's own texts, take them along; no log has any."""
    paste(page, [*TEXTS, *FORMULAS])
    expect(page.get_by_text("Kept at 128 dims, 50% of the width")).to_be_visible()
    follow(page, "Neighbors")
    expect(headings(page, "Do neighbors survive?")).to_be_visible()
    for part in ("Kept", "Lost", "Gained"):
        expect(page.get_by_text(re.compile(rf"^{part} \(\d\)$"))).to_be_visible()
    expect(page.locator("pre, [data-testid=stText]").get_by_text("A kitten naps on the couch").first).to_be_visible()
    open_part(page, "Which texts?")
    page.locator(".st-key-per_item_row").get_by_role("button", name="Data").click()
    content = downloaded(page, "Download CSV").path().read_text()
    # What begins like a formula of a spreadsheet begins with an apostrophe.
    assert all(f"'{formula}" in content for formula in FORMULAS)
    assert "kitten" not in page.url and "Ready:" in server.log
    assert not re.search(r"kitten|swordfish", server.log), server.log


def test_hostile_texts_are_inert_on_every_page(page):
    """HTML, markdown, formulas, right-to-left, CJK and control characters are shown as text and run nowhere."""
    paste(page, HOSTILE)
    for name in ("Anatomy", "Similarity", "Neighbors", "Map"):
        follow(page, name)
        if name == "Neighbors":
            expect(page.get_by_text("<img src=x").first).to_be_visible()
            open_part(page, "Which texts?")
            expect(page.get_by_role("tabpanel").get_by_text("<img src=x").first).to_be_visible()
        if name == "Similarity":
            open_part(page, "Biggest movers")
        assert page.evaluate("window.hacked") is None
        assert page.locator("img[src=x], a[href^=javascript]").count() == 0
    find(page, "first")
    expect(page.get_by_test_id("stSidebar").get_by_text("<img src=x").first).to_be_visible()
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x], a[href^=javascript]").count() == 0


def test_widths_that_cannot_be_are_mended_where_they_were_typed(page):
    """After a refused list of widths and a good one the sliders say what the page is computed with."""
    opened(page, "/?k=7")
    page.get_by_test_id("stSidebar").get_by_text("Widths", exact=True).click()
    box = page.get_by_role("textbox", name="Widths to measure")
    for text, shown in (("9999", "choose 1 to 256"), ("8, 64, 128", "At 64 of 256 numbers")):
        box.fill(text)
        box.press("Enter")
        expect(page.get_by_text(shown).first).to_be_visible()
    expect(page.get_by_text("choose 1 to 256")).to_have_count(0)
    loaded(page)
    for name, value in (("Neighbors per text k", "7"), ("Focus width, dims", "64")):
        expect(page.get_by_role("slider", name=name)).to_have_attribute("aria-valuetext", value)
