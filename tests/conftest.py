"""Every test run has its own embedding store and no network."""

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
# Compiled once for all runs and workers, and not beside anybody's source.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(__file__).parent.parent / ".pytest_cache" / "numba"))


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """The store of the tests, away from the user's."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["MRL_VIZ_CACHE"] = str(folder)
    os.environ["MRL_VIZ_JOBS"] = str(folder / "jobs")
    return folder
