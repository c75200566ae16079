"""A report, made in the app and opened as a file, by a real browser."""

import json
import re
import zipfile

from playwright.sync_api import expect

from tests.browser.steps import TIMEOUT_MS, downloaded, follow, loaded, paste

TEXTS = ["The cat sleeps on the sofa", "A kitten naps on the couch", "Taxes are due in April", "File your tax return",
         "Bread rises slowly", "Trains run late in the rain"]  # fmt: skip


def test_texts_are_taken_along_and_the_report_opens_from_a_file(page, chromium, tmp_path):
    """Pasted texts come beside the notebook; the report asks for nothing, is light and dark, and saves its figures."""
    paste(page, TEXTS)
    follow(page, "Report & notebook")
    archive = downloaded(page, "Download notebook and texts (zip)")
    with zipfile.ZipFile(archive.path()) as files:
        assert files.read("texts.txt").decode().splitlines() == TEXTS
        assert json.loads(files.read("analysis.ipynb"))["nbformat"] == 4
    page.get_by_role("radio", name="Report", exact=True).click()
    page.get_by_role("button", name="Make the report").click()
    expect(page.get_by_role("button", name="Download the report (HTML)")).to_be_visible()
    loaded(page)
    file = tmp_path / "report.html"
    downloaded(page, "Download the report (HTML)").save_as(file)

    complaints = []
    with chromium.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark") as elsewhere:
        report = elsewhere.new_page()
        report.set_default_timeout(TIMEOUT_MS)
        report.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        report.on("pageerror", lambda error: complaints.append(str(error)))
        report.on("request", lambda request: complaints.append(request.url))
        report.goto(file.as_uri())
        figures = report.locator(".js-plotly-plot .main-svg .xtick text")
        expect(figures.first).to_be_visible()
        expect(report.get_by_text(re.compile("nearest neighbors at 256 dims")).first).to_be_visible()
        # What is written on figures can be read in the dark, on paper and in the light.
        expect(figures.first).to_have_css("fill", "rgb(230, 230, 230)")
        report.evaluate("dispatchEvent(new Event('beforeprint'))")
        expect(figures.first).to_have_css("fill", "rgb(34, 34, 34)")
        report.evaluate("dispatchEvent(new Event('afterprint'))")
        expect(figures.first).to_have_css("fill", "rgb(230, 230, 230)")
        report.emulate_media(color_scheme="light")
        expect(figures.first).to_have_css("fill", "rgb(34, 34, 34)")
        assert report.evaluate("document.documentElement.scrollWidth") <= 390
        for kind, start in (("PNG", b"\x89PNG"), ("SVG", b"<svg")):
            with report.expect_download() as saved:
                report.get_by_role("button", name=kind, exact=True).first.click()
            assert saved.value.suggested_filename == f"start-0.{kind.lower()}"
            assert saved.value.path().read_bytes().startswith(start)
    # Figures are drawn into images on their way to a file; nothing else is asked for.
    assert [url for url in complaints if not url.startswith(("blob:", "data:"))] == [file.as_uri()]
