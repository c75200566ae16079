"""What a visitor waits for in a real browser: the first view, her own texts, and a move of the focus width.

    python benchmarks/bench_browser.py [--visits 5] [--moves 8] [--pages start,neighbors]

Each visit comes with an empty cache. A move is settled when nothing on the page has changed any more for a while.
Beside its seconds stand what does not hang on who else uses the processor: charts mounted, bytes sent by the server,
and the server's processor time.
Needs a chromium, as the browser tests do (`make test` brings one).
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

WINDOW = {"width": 1280, "height": 720}
# Seconds for the first view's numbers and chart, for 60 pasted texts, and for a move on a page.
FIRST_BAR, PASTE_BAR = 3.0, 2.0
MOVE_BARS = {
    "": 0.5, "neighbors": 0.8, "similarity": 0.8, "anatomy": 0.8, "space": 0.8, "map": 0.8, "quality": 0.8,
    "search": 0.8, "choose": 0.8,
}  # fmt: skip
QUIET_MS, PATIENCE_MS = 600, 60_000
# The sentence and the chart of Start.
NUMBERS, CURVE = re.compile(r"^At \d+ of \d+ numbers"), ".st-key-start_curve .js-plotly-plot"
WATCH = """() => {
  window.changed = performance.now();
  window.mounted = 0;
  const chart = ".plot-container";
  new MutationObserver(changes => {
    window.changed = performance.now();
    for (const node of changes.flatMap(change => [...change.addedNodes]).filter(node => node.matches))
      window.mounted += node.matches(chart) + node.querySelectorAll(chart).length;
  }).observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true});
}"""


@dataclass
class Move:
    """What one move of the focus width takes: seconds until the page stands still, charts mounted in the browser,
    kilobytes that the server sent, its milliseconds of processor time."""

    seconds: float
    charts: int
    sent: float
    processor: float


def first_view(browser: Browser, url: str) -> tuple[float, float]:
    """Seconds until the headline numbers and the chart are there."""
    with browser.new_context(viewport=WINDOW) as context:
        page, started = context.new_page(), time.perf_counter()
        page.goto(url)
        page.get_by_text(NUMBERS).wait_for(timeout=PATIENCE_MS)
        numbers = time.perf_counter() - started
        page.locator(f"{CURVE} .main-svg").first.wait_for(timeout=PATIENCE_MS)
        return numbers, time.perf_counter() - started


def own_texts(browser: Browser, url: str) -> float:
    """Seconds from the press until the chart of 60 pasted texts is there."""
    words = ("river", "bread", "tax", "star", "bone", "wool")
    lines = [f"a {random.choice(words)} and a {random.choice(words)}, number {number}" for number in range(60)]
    with browser.new_context(viewport=WINDOW) as context:
        page = context.new_page()
        page.goto(url)
        page.locator(f"{CURVE} .main-svg").first.wait_for(timeout=PATIENCE_MS)
        page.get_by_label("One text a line").fill("\n".join(lines))
        started = time.perf_counter()
        page.get_by_role("button", name="Use these texts").click()
        page.get_by_test_id("stMetricValue").get_by_text("60", exact=True).wait_for(timeout=PATIENCE_MS)
        page.locator(f"{CURVE} .main-svg").first.wait_for(timeout=PATIENCE_MS)
        return time.perf_counter() - started


def moves(page: Page, url: str, n_moves: int, server: int) -> list[Move]:
    """What each takes, from a key on the slider until the page stands still."""
    sent = [0]

    def count(frame: str | bytes) -> None:
        sent[0] += len(frame)

    page.on("websocket", lambda socket: socket.on("framereceived", count))
    page.goto(url)
    page.locator(".js-plotly-plot").first.wait_for(timeout=PATIENCE_MS)
    page.evaluate(WATCH)
    slider = page.get_by_test_id("stSidebar").get_by_role("slider", name="Focus width")
    found = []
    for number in range(-2, n_moves):  # the first ones make figures that nobody has asked for yet
        stand_still(page)
        worked, mounted, sent[0] = processor_seconds(server), page.evaluate("window.mounted"), 0
        started = page.evaluate("performance.now()")
        slider.press("ArrowLeft" if number % 4 < 2 else "ArrowRight")
        page.wait_for_function("started => window.changed > started + 5", arg=started, timeout=PATIENCE_MS)
        stand_still(page)
        if number >= 0:
            waited = (page.evaluate("window.changed") - started) / 1000
            charts = page.evaluate("window.mounted") - mounted
            found.append(Move(waited, charts, sent[0] / 1e3, 1e3 * (processor_seconds(server) - worked)))
    return found


def processor_seconds(process: int) -> float:
    """Of a process and those that it started, so far."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    parts = (Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in (process, *children))
    return sum(int(part[11]) + int(part[12]) for part in parts) / os.sysconf("SC_CLK_TCK")


def stand_still(page: Page) -> None:
    page.wait_for_function(f"performance.now() - window.changed > {QUIET_MS}", timeout=PATIENCE_MS)


def chromium() -> str:
    """The browser that the tests drive."""
    path = Path(__file__).parent.parent / "tests" / "browser" / "bring_chromium.py"
    spec = importlib.util.spec_from_file_location("bring_chromium", path)
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = module.find_chromium()
    if found is None:
        sys.exit("no chromium is here; `make test` tries to bring one")
    return str(found)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--visits", type=int, default=5)
    parser.add_argument("--moves", type=int, default=8)
    parser.add_argument("--pages", default=",".join(page or "start" for page in MOVE_BARS))
    args = parser.parse_args()
    executable = chromium()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, median = f"http://127.0.0.1:{port}", statistics.median
    command = [sys.executable, "-m", "mrl_viz", "app", "--headless", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as playwright:
        assert server.stdout is not None and any("Warm" in line for line in server.stdout)
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        if args.visits:
            views = [first_view(browser, url) for _ in range(args.visits)]
            numbers, charts = (median(waits) for waits in zip(*views))
            print(f"first view, empty cache: numbers {numbers:.2f} s, chart {charts:.2f} s (bar {FIRST_BAR})")
            pastes = [own_texts(browser, url) for _ in range(args.visits)]
            print(f"60 pasted texts to their chart: {median(pastes):.2f} s (bar {PASTE_BAR})")
        with browser.new_context(viewport=WINDOW) as context:
            for name in args.pages.split(","):
                tab = context.new_page()
                page = "" if name == "start" else name
                found = moves(tab, f"{url}/{page}", args.moves, server.pid)
                tab.close()
                waits, bar = [move.seconds for move in found], MOVE_BARS[page.partition("?")[0]]
                print(
                    f"a move on {name}: {median(waits):.2f} s, at most {max(waits):.2f} (bar {bar}); "
                    f"{median(move.charts for move in found):.0f} charts mounted, "
                    f"{median(move.sent for move in found):.0f} kB sent, "
                    f"{median(move.processor for move in found):.0f} ms of the server's processor",
                    flush=True,
                )
        browser.close()
        server.terminate()


if __name__ == "__main__":
    main()
