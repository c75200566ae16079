"""The wheel, installed away from the repository, is the whole product: command line, app and every page."""

import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import threading
import urllib.request
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TIMEOUT_S = 180

# Runs in the installed environment: every page's first run, by its own path.
PAGES = """
import json, sys
from streamlit.testing.v1 import AppTest
from mrl_viz.home import home
app = AppTest.from_file(str(home() / "app.py"), default_timeout=170).run()
pages = sorted(path.relative_to(home()).as_posix() for path in (home() / "pages").rglob("*.py"))
seen = {}
for page in pages:
    app.switch_page(page).run()
    seen[page] = [str(error.value) for error in app.exception] + ([] if app.title else ["no title"])
json.dump({"home": str(home()), "pages": seen}, sys.stdout)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A fresh environment with the wheel, built from a copy of the repository; third parties are this environment's."""
    folder = tmp_path_factory.mktemp("wheel")
    skipped = shutil.ignore_patterns(
        ".*venv*", ".git", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis"
    )
    shutil.copytree(ROOT, folder / "source", ignore=skipped, symlinks=True)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", str(folder), "."], cwd=folder / "source", check=True, timeout=TIMEOUT_S)
    shutil.rmtree(folder / "source")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "env"), "platbase": str(folder / "env")}))
    # Third parties by path: .pth files of that folder are not read, so this repository's editable install stays out.
    (site / "third_parties.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    (wheel,) = folder.glob("*.whl")
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, str(wheel)], check=True, timeout=TIMEOUT_S)
    (folder / "elsewhere").mkdir()
    return folder


def environment(installed):
    """That of somebody who has never seen the repository, with a cache folder of the fresh environment."""
    ours = ("PYTHONPATH", "NUMBA_CACHE_DIR")
    return {name: value for name, value in os.environ.items() if name not in ours} | {
        "MRL_VIZ_CACHE": str(installed / "user")
    }


def run(installed, *command, **options):
    """The output of a command of the fresh environment, run in a folder that knows nothing of the repository."""
    found = subprocess.run(
        [str(installed / "env" / "bin" / command[0]), *command[1:]],
        cwd=installed / "elsewhere",
        env=environment(installed),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        **options,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_wheel_is_small_and_holds_the_app(installed):
    """The wheel is below 6 MB and holds the app, its pages, its settings and the sample with both models' vectors."""
    (wheel,) = installed.glob("*.whl")
    assert wheel.stat().st_size < 6e6
    app = Path(run(installed, "python", "-c", "from mrl_viz.home import home; print(home())").strip())
    assert app.is_relative_to(installed) and app.name == "_app"
    for path in ("app.py", ".streamlit/config.toml", "docs/icon.png", "sample_data/corpus.jsonl"):
        assert (app / path).is_file(), path


def test_wheel_sweeps_the_sample(installed):
    """`sweep sample` of the installed wheel gives the repository's numbers and compiles beside the user's data."""
    run(installed, "mrl_viz", "sweep", "sample", "--dims", "16,64", "--json", "out.json")
    assert list((installed / "user" / "compiled").rglob("*.nbc")) and not list((installed / "env").rglob("*.nbc"))
    found = json.loads((installed / "elsewhere" / "out.json").read_text(encoding="utf-8"))
    from mrl_viz.analysis import analyse
    from mrl_viz.data.reading import read_corpus
    from mrl_viz.embedding.embedded import embed

    expected = analyse(embed(read_corpus("sample")), dims=[16, 64])
    assert [row["overlap"] for row in found["arrangements"]["prefix"]] == pytest.approx(
        [row["overlap"] for row in expected.rows()]
    )


def test_wheel_opens_every_page(installed):
    """The first run of every page of the installed app shows its title and no exception."""
    found = json.loads(run(installed, "python", "-c", PAGES).splitlines()[-1])
    assert found["home"].startswith(str(installed))
    assert len(found["pages"]) >= 13
    assert {page: errors for page, errors in found["pages"].items() if errors} == {}


def test_wheel_serves_the_app(installed):
    """`mrl_viz app --headless` of the installed wheel answers and says it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [str(installed / "env" / "bin" / "mrl_viz"), "app", "--headless", "--port", str(port)],
        cwd=installed / "elsewhere",
        env=environment(installed),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    stop = threading.Timer(TIMEOUT_S, lambda: os.killpg(process.pid, 9))
    stop.start()
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ready:" in line:
                break
        assert "Ready:" in lines[-1], "".join(lines)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            assert b"<title>" in answer.read()
    finally:
        stop.cancel()
        os.killpg(process.pid, 15)
        process.wait(timeout=30)
        process.stdout.close()
