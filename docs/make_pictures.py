"""Make the pictures of README and docs again: open the app on the sample, walk its pages, write them beside this.

    python -m docs.make_pictures [start neighbors map choose …]

In the repository's root, with the test tools installed (`make test` brings a browser). Training the picture's twins
takes a minute or two.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.browser.conftest import CHROMIUM, Server
from tests.browser.steps import find, headings, loaded

# A first visit measures everything, on a machine that may be busy.
MEASURING_MS = 600_000
expect.set_options(timeout=MEASURING_MS)
FOLDER = Path(__file__).parent
# A page as a laptop shows it. README puts two beside each other, where more pixels would only be scaled down.
PAGE, NARROW = {"width": 1280, "height": 800}, {"width": 960, "height": 800}
# Where the picture that matters stands below the controls.
TALL = {"width": 1280, "height": 1200}
# Of the animation: as it is drawn, as it is shown, and how many colours it has.
SMALL, MOVING_SIZE, COLORS = {"width": 1280, "height": 720}, (960, 540), 255
TEXT = "Betelgeuse is a red supergiant"


def at(page: Page, address: str, size: dict[str, int] = PAGE) -> None:
    """Open a page and wait until its pictures are drawn."""
    page.set_viewport_size(size)
    page.goto(address)
    loaded(page)
    drawn(page)


def drawn(page: Page) -> None:
    """Wait until nothing is sent any more and charts have stopped moving."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1500)


def chart(page: Page, key: str) -> Locator:
    """A chart by the name that the page gives it."""
    found = page.locator(f".st-key-{key}").get_by_test_id("stPlotlyChart")
    expect(found).to_be_visible()
    found.scroll_into_view_if_needed()
    drawn(page)
    return found


def neighbors(page: Page) -> Page:
    at(page, "/neighbors?focus=64")
    return page


def moving(page: Page) -> None:
    """The animation of README: the focus width goes down and up again on Start, twenty seconds in all."""
    at(page, "/?focus=256", SMALL)
    slider = page.get_by_role("slider", name="Focus width, dims")
    frames = []
    for width in (256, 128, 64, 32, 16, 8, 16, 32, 64, 128):
        for _ in range(8):  # one step of the slider is one width
            at_width = int(slider.get_attribute("aria-valuetext") or 0)
            if at_width == width:
                break
            slider.press("ArrowLeft" if at_width > width else "ArrowRight")
            expect(slider).not_to_have_attribute("aria-valuetext", str(at_width))
        expect(page.get_by_text(f"At {width} of 256 numbers" if width < 256 else "At all 256 numbers")).to_be_visible()
        loaded(page)
        drawn(page)
        picture = Image.open(BytesIO(page.screenshot(clip={"x": 0, "y": 0, **SMALL}))).convert("RGB")
        small = picture.resize(MOVING_SIZE, Image.Resampling.LANCZOS)
        frames.append(small.quantize(COLORS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE))
    path = FOLDER / "start.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=20_000 // len(frames), loop=0, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB", flush=True)


def controls(page: Page, model: str) -> Locator:
    at(page, f"/neighbors?model={model}", NARROW)
    return chart(page, "controls_curve")


def map_(page: Page) -> Page:
    at(page, "/map?focus=64", PAGE)
    expect(page.locator(".st-key-map").get_by_test_id("stPlotlyChart")).to_be_visible()
    find(page, TEXT)
    loaded(page)
    drawn(page)
    return page


def anatomy(page: Page) -> Page:
    at(page, "/anatomy?focus=64")
    find(page, TEXT)
    loaded(page)
    drawn(page)
    return page


def choose(page: Page) -> Page:
    at(page, "/choose")
    return page


def train(page: Page) -> Page:
    at(page, "/train")
    headings(page, "The Matryoshka model against its plain twin").scroll_into_view_if_needed()
    drawn(page)
    return page


PICTURES: dict[str, Callable[[Page], Page | Locator | None]] = {
    "start": moving,
    "neighbors": neighbors,
    "controls_wordllama": lambda page: controls(page, "wordllama"),
    "controls_minilm": lambda page: controls(page, "all-MiniLM-L6-v2"),
    "map": map_,
    "anatomy": anatomy,
    "choose": choose,
    "train": train,
}


def main() -> None:
    chosen = sys.argv[1:] or list(PICTURES)
    with tempfile.TemporaryDirectory() as cache, sync_playwright() as playwright:
        server = Server(Path(cache))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            for name in chosen:
                page = browser.new_page(base_url=server.url)
                page.set_default_timeout(MEASURING_MS)
                path, shown = FOLDER / f"{name}.png", PICTURES[name](page)
                if shown is not None:
                    shown.screenshot(path=path)
                    print(f"{path}: {path.stat().st_size / 1000:.0f} kB", flush=True)
                page.close()
        finally:
            browser.close()
            server.stop()


if __name__ == "__main__":
    main()
