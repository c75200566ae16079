"""A real server and a real browser; without a chromium the tests skip and say so."""

import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.browser.bring_chromium import find_chromium
from tests.browser.steps import TIMEOUT_MS

ROOT = Path(__file__).parent.parent.parent
CHROMIUM = find_chromium()
START_TIMEOUT_S = 120


def pytest_collection_modifyitems(items):
    """Every test here needs the browser."""
    skip = pytest.mark.skip(reason="no chromium is here; `make test` tries to bring one, see what it printed")
    for item in items:
        if CHROMIUM is None and "browser" in item.path.parts:
            item.add_marker(skip)


NEVER_LOGGED = r"Please replace|eprecat|Traceback|kitten|hacked"


class Server:
    """The app, started as a user starts it, with what it logged."""

    def __init__(self, cache):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.lines, self._cache = [], cache
        self._start()

    def _start(self):
        starts = self.log.count("Ready:")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mrl_viz", "app", "--headless", "--port", str(self.port)], cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            env=os.environ | {"MRL_VIZ_CACHE": str(self._cache), "MRL_VIZ_JOBS": str(self._cache / "jobs")},
        )  # fmt: skip
        self._reader = threading.Thread(
            target=lambda: self.lines.extend(iter(self._process.stdout.readline, "")), daemon=True
        )
        self._reader.start()
        give_up = time.monotonic() + START_TIMEOUT_S
        while self.log.count("Ready:") == starts:
            assert self._process.poll() is None and time.monotonic() < give_up, self.log
            time.sleep(0.1)

    def restart(self):
        """End it and start it again at the same address, with what it keeps on the disk."""
        self.stop()
        self._start()

    def stop(self):
        os.killpg(self._process.pid, 15)
        self._process.wait(timeout=20)
        self._reader.join(timeout=5)
        self._process.stdout.close()

    @property
    def log(self):
        return "".join(self.lines)


@pytest.fixture(scope="package")
def server(tmp_path_factory):
    """One server for all browser tests; of all visits together it logs no deprecation, traceback or text."""
    started = Server(tmp_path_factory.mktemp("browser_cache"))
    yield started
    started.stop()
    assert not re.search(NEVER_LOGGED, started.log), started.log


@pytest.fixture(scope="package")
def chromium():
    """One browser for all tests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def window(chromium, server):
    """A window at a projector's size; its tabs share what the browser keeps of the client's four megabytes of code."""
    with chromium.new_context(viewport={"width": 1280, "height": 720}, base_url=server.url) as context:
        context.set_default_timeout(TIMEOUT_MS)
        yield context


@pytest.fixture
def page(window, server):
    """A fresh visitor: every tab is a session. What the browser complained about or asked elsewhere fails the test."""
    tab = window.new_page()
    complaints = []

    def hear(message):
        # On a deep link streamlit's client first asks for its own address below the page's, which is not there.
        if message.type == "error" and "/_stcore/" not in message.location["url"]:
            complaints.append(f"{message.text} {message.location['url']}")

    tab.on("console", hear)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on(
        "request",
        lambda request: (
            None if request.url.startswith((server.url, "data:", "blob:")) else complaints.append(request.url)
        ),
    )
    yield tab
    tab.close()
    assert not complaints
