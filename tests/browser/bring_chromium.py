"""Find the browser that the tests drive; run as a program, bring one where there is none."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
DOWNLOAD_TIMEOUT_S = 300
INSTALL_TIMEOUT_S = 600


def find_chromium():
    """The path of a chromium: the system's, else the one Playwright downloaded; None where there is neither."""
    if found := next(filter(None, map(shutil.which, NAMES)), None):
        return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).is_file() else None


def _run(command, timeout, **options):
    """Whether a command came to a good end."""
    print(" ".join(command), flush=True)
    try:
        return subprocess.run(command, timeout=timeout, check=False, **options).returncode == 0
    except (OSError, subprocess.TimeoutExpired) as error:
        print(error, flush=True)
        return False


def bring_chromium():
    """Find a chromium, or download Playwright's, or install the system's as root; None when all of that fails."""
    if found := find_chromium():
        return found
    _run([sys.executable, "-m", "playwright", "install", "chromium"], DOWNLOAD_TIMEOUT_S)
    if (found := find_chromium()) or not shutil.which("apt-get") or os.geteuid() != 0:
        return found
    if _run(["apt-get", "update", "-qq"], INSTALL_TIMEOUT_S):
        quietly = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        _run(["apt-get", "install", "-y", "-qq", "chromium"], INSTALL_TIMEOUT_S, env=quietly, stdout=subprocess.DEVNULL)
    return find_chromium()


if __name__ == "__main__":
    browser = bring_chromium()
    if browser is None:
        print(
            "NO BROWSER: the browser tests will be SKIPPED. Install chromium by hand and run `make test` again.",
            flush=True,
        )
    else:
        print(f"browser: {browser}")
