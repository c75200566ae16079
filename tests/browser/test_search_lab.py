"""A designed funnel in a real browser: stages by keyboard, what they lose, where a neighbor falls out; and widening."""

import re

from playwright.sync_api import expect

from tests.browser.steps import choose, loaded, open_part, opened


def set_field(page, label, value):
    """Type a number into a field of a stage, and wait until the page has taken it."""
    field = page.get_by_label(label, exact=True)
    field.fill(str(value))
    field.press("Enter")
    loaded(page)


def test_a_designed_funnel_shows_where_a_neighbor_falls_out(page):
    """A stage is added and made too narrow: its rank and the list that loses it are said and drawn with a cross; a
    design that is none is one sentence, and mended it is drawn again. The open tab is part of the address."""
    opened(page, "/search?k=10")
    drawn = page.get_by_test_id("stPlotlyChart").first
    expect(drawn.get_by_text("64 dims, keep 64")).to_be_visible()
    page.get_by_role("button", name="Add a stage").click()
    expect(page.get_by_label("Returns, stage 3", exact=True)).to_have_value("10")
    loaded(page)
    set_field(page, "Keeps, stage 1", 70)
    expect(drawn.get_by_text("8 dims, keep 70")).to_be_visible()
    said = page.get_by_text(re.compile(r"At 8 dims it has rank [\d,]+ and 70 are kept"))
    expect(said).to_be_visible()
    expect(drawn.get_by_text("falls out", exact=True)).to_be_visible()
    # Another neighbor, and with it another sentence.
    choose(page, "Follow a true neighbor of this query", "comes through")
    expect(page.get_by_text(re.compile(r"Neighbor \d+, “.*”: Found: rank \d+ at 256 dims"))).to_be_visible()
    expect(said).to_have_count(0)
    set_field(page, "Dims, stage 1", 64)
    expect(page.get_by_role("alert").get_by_text("widths have to rise from stage to stage")).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    page.get_by_role("button", name="Remove", exact=True).first.click()
    expect(page.get_by_test_id("stPlotlyChart").first.get_by_text("64 dims, keep 64")).to_be_visible()
    expect(page.get_by_label("Dims, stage 3", exact=True)).to_have_count(0)
    loaded(page)
    open_part(page, "Within a time")
    expect(page).to_have_url(re.compile("search_part="))
    page.get_by_role("button", name="Widen from 8 dims").click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    # It goes on by itself, and ends by itself.
    expect(page.get_by_text(re.compile("Looking back from"))).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
