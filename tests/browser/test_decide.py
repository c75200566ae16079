"""Compare models and Choose a dimension, in a real browser."""

import json
import re

from playwright.sync_api import expect

from tests.browser.steps import downloaded, follow, headings, loaded, open_part, opened, paste

TEXTS = [
    "The cat sleeps on the sofa",
    "A kitten naps on the couch",
    "Taxes are due in April",
    "File your tax return",
    "Bread rises slowly",
]


def test_models_are_compared_and_never_ranked_without_labels(page):
    """Two models on pasted texts: curves per byte, neighbors side by side, and no ranking where there are no labels."""
    paste(page, TEXTS)
    follow(page, "Compare models")
    expect(headings(page, "Which model at which width, per byte?")).to_be_visible()
    page.get_by_role("button", name="Compare on 5 texts").click()
    expect(page.get_by_text(re.compile("Nothing here ranks these models")).first).to_be_visible()
    loaded(page)
    expect(headings(page, "Agreement with oneself against bytes per vector")).to_be_visible()
    expect(headings(page, "Task quality against bytes per vector")).to_have_count(0)
    expect(headings(page, "One text's neighbors side by side")).to_be_visible()
    report = downloaded(page, "Download the report (HTML)")
    assert "5 texts, fingerprint" in report.path().read_text(encoding="utf-8")


def test_a_plan_is_chosen_and_its_record_downloaded(page):
    """Move target and budget, see the plan change at once, without measuring, and take the record along."""
    opened(page, "/choose")
    expect(headings(page, "Which is the smallest plan that is good enough?")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^\d+ plans were measured"))).to_be_visible()
    verdict = page.get_by_test_id("stAlert").first
    expect(
        verdict.get_by_text(re.compile("the smallest of 124 plans that is sure to keep 90% of overlap@10"))
    ).to_be_visible()
    plan = page.get_by_text(re.compile(r"^Plan: ")).first
    expect(plan).to_have_text("Plan: 64 dims binary exact, 200 reranked at 256")
    target = page.get_by_role("slider", name="Target, % kept")
    target.press("End")
    expect(plan).to_have_text("Plan: 256 dims float32 exact")
    expect(page).to_have_url(re.compile("choose_target=100"))
    loaded(page)
    # Only choosing again, no measuring.
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    target.press("Home")
    expect(plan).to_have_text("Plan: 16 dims binary exact, 200 reranked at 256")
    expect(page).to_have_url(re.compile("choose_target=50"))
    loaded(page)
    open_part(page, "Record")
    for name, ending in (("JSON", "json"), ("Markdown", "md")):
        file = downloaded(page, f"Download the record ({name})")
        assert file.suggested_filename == f"decision.{ending}"
        content = file.path().read_text(encoding="utf-8")
        assert "16 dims binary exact, 200 reranked at 256" in content and "50% of overlap@10" in content
        if ending == "json":
            record = json.loads(content)
            assert record["plan"]["dtype"] == "binary" and record["data"]["n_items"] == 1280
            assert record["data"]["file"] == "sample"
        else:
            # In the record as on the page.
            assert f"| {page.get_by_test_id('stMetricValue').nth(4).inner_text()} |" in content
    # Bits or width: another size of vectors has another sentence, from the answer at hand.
    open_part(page, "Bits or width?")
    expect(headings(page, "Bits or width?")).to_be_visible()
    of_64, of_32 = (page.get_by_text(re.compile(f"^{size} bytes a vector: ")) for size in (64, 32))
    expect(of_64.first).to_be_visible()
    page.get_by_role("slider", name="Bytes per vector").press("ArrowLeft")
    expect(of_32.first).to_be_visible()
    expect(of_64).to_have_count(0)
    loaded(page)
    # With the least memory no plan is left: the page names memory and the nearest plan instead of a choice.
    page.get_by_role("slider", name="Memory, GB").press("Home")
    expect(page.get_by_text(re.compile("What binds: memory")).first).to_be_visible()
    expect(page.get_by_text(re.compile("^Nearest plan: ")).first).to_be_visible()
    open_part(page, "Storage")
    expect(page.get_by_text("No plan, no storage")).to_be_visible()
    loaded(page)
