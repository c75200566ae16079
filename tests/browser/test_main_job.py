"""A visitor's way from her texts to what each width keeps, in a real browser."""

import re

from playwright.sync_api import expect

from tests.browser.steps import choose, follow, headings, loaded, move_focus, paste

TEXTS = [
    "The cat sleeps on the sofa",
    "A kitten naps on the couch",
    "Taxes are due in April",
    "File your tax return",
    "Bread rises slowly",
]


def test_a_deep_link_is_a_whole_page(page):
    """A link to a page opens that page with the sidebar and no dialog over it."""
    page.goto("/neighbors")
    loaded(page)
    expect(headings(page, "Do neighbors survive?")).to_be_visible()
    expect(page.get_by_test_id("stSidebar").get_by_text("Focus width")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text("Page not found")).to_have_count(0)


def test_pasted_texts_reach_the_neighbors_page(page):
    """Paste, press, read the headline, go to Neighbors, see kept, lost and gained of one's own texts."""
    paste(page, TEXTS)
    expect(page.get_by_text("Kept at ½ width (128 dims)")).to_be_visible()
    follow(page, "Neighbors")
    expect(headings(page, "Do neighbors survive?")).to_be_visible()
    loaded(page)
    for part in ("Kept", "Lost", "Gained"):
        expect(page.get_by_text(re.compile(rf"^{part} \(\d\)$"))).to_be_visible()
    expect(page.locator("pre, [data-testid=stText]").get_by_text("A kitten naps on the couch").first).to_be_visible()
    assert "kitten" not in page.url


def test_the_url_reproduces_the_view(page, chromium, server):
    """Moving the focus width and k changes the URL; another visitor with that URL sees the same."""
    page.goto("/neighbors?focus=16&k=5")
    loaded(page)
    expect(headings(page, "Which texts? At 16 dims")).to_be_visible()
    move_focus(page, "ArrowRight")
    expect(headings(page, "Which texts? At 32 dims")).to_be_visible()
    expect(page).to_have_url(re.compile(r"focus=32"))
    expect(page).to_have_url(re.compile(r"k=5"))
    loaded(page)
    with chromium.new_context(viewport={"width": 1280, "height": 720}) as other:
        tab = other.new_page()
        tab.goto(page.url)
        expect(headings(tab, "Which texts? At 32 dims")).to_be_visible(timeout=30_000)
        expect(tab.get_by_text("of the 5 nearest survive").first).to_be_visible()


def test_bad_values_in_the_url_fall_back(page):
    """Nonsense in the URL is not an error."""
    page.goto("/neighbors?focus=banana&k=9999&model=&data=none")
    loaded(page)
    expect(headings(page, "Do neighbors survive?")).to_be_visible()
    expect(page.get_by_test_id("stAlert")).to_have_count(0)


def test_an_impossible_width_is_one_sentence(page):
    """A width above the model's is refused with what to do; mended, the sliders say what the page is computed with."""
    page.goto("/neighbors?dims=8,9999")
    expect(page.get_by_test_id("stAlert").get_by_text("choose 1 to 256")).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    page.goto("/?k=7")
    loaded(page)
    page.get_by_test_id("stSidebar").get_by_text("Widths", exact=True).click()
    box = page.get_by_role("textbox", name="Widths to measure")
    for text, shown in (("9999", "choose 1 to 256"), ("8, 64, 128", "Of the 7 nearest neighbors at 256 dims")):
        box.fill(text)
        box.press("Enter")
        expect(page.get_by_text(shown).first).to_be_visible()
    loaded(page)
    for name, value in (("Neighbors per text k", "7"), ("Focus width, dims", "64 ◆")):
        expect(page.get_by_role("slider", name=name)).to_have_attribute("aria-valuetext", value)


def test_an_unknown_model_is_one_sentence(page):
    """A model that cannot be had says so; another choice brings the page back."""
    page.goto("/?model=no-such-owner/no-such-model")
    expect(page.get_by_test_id("stAlert").get_by_text("no-such-owner/no-such-model")).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    loaded(page)
    choose(page, "Model", "wordllama")
    expect(page.get_by_text("Kept at ½ width (128 dims)")).to_be_visible()
    expect(page.get_by_test_id("stAlert")).to_have_count(0)


def test_a_hostile_text_is_inert(page):
    """HTML in a text is shown as text everywhere and runs nowhere."""
    hostile = '<img src=x onerror="window.hacked=1"> $\\LaTeX$ [link](javascript:window.hacked=1) **bold**'
    paste(page, [hostile, *TEXTS])
    follow(page, "Neighbors")
    expect(headings(page, "Where this text's neighbors go")).to_be_visible()
    loaded(page)
    expect(page.get_by_text("<img src=x").first).to_be_visible()
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x]").count() == 0 and page.locator("a[href^=javascript]").count() == 0


def test_no_chart_offers_to_upload_itself(page):
    """No button of a chart sends it anywhere, and every chart has an alternative text."""
    page.goto("/neighbors")
    loaded(page)
    charts = page.get_by_test_id("stPlotlyChart")
    expect(charts).to_have_count(6)
    expect(page.locator("[data-title*='loud' i], [data-title*='Chart Studio' i]")).to_have_count(0)
    expect(page.get_by_label(re.compile("survive|keep|rank")).first).to_be_attached()


def test_a_visit_leaves_no_text_in_the_log(page, server):
    """Texts that were pasted and looked at on two pages are nowhere in what the server has logged."""
    paste(page, [*TEXTS, "My password is swordfish"])
    follow(page, "Neighbors")
    loaded(page)
    assert "Ready:" in server.log
    assert not re.search(r"kitten|swordfish", server.log), server.log
