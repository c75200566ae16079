"""Every test run has its own embedding store and no network; its workers share what is slow to load."""

import gc
import os
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

os.environ["HF_HUB_OFFLINE"] = "1"
# Compiled once for all runs and workers, and not beside anybody's source.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(__file__).parent.parent / ".pytest_cache" / "numba"))
# Files, by the beginning of their path in tests/, that keep to one worker, as each worker would pay again for the
# first of them: a server and a browser; umap compiles for half a minute; sentence-transformers and an optimizer of
# torch take seconds to import. They come first, as they take longest.
TOGETHER = {
    "a browser": ("browser/",),
    "umap": ("app/test_map", "reference/test_projection"),
    "torch": (
        "reference/test_adaptor_reference", "reference/test_learning_adaptor", "reference/test_training_processes",
        "unit/test_adaptor_arrangement", "unit/test_cli", "unit/test_contrastive", "unit/test_embedded",
        "unit/test_encoders", "unit/test_jobs", "unit/test_learning", "unit/test_static_encoder", "unit/test_twins",
    ),
}  # fmt: skip


def kept_together(nodeid):
    """The name of the group that a test keeps to one worker with; None where it is only its file."""
    for name, beginnings in TOGETHER.items():
        if nodeid.startswith(tuple(f"tests/{beginning}" for beginning in beginnings)):
            return name
    return None


class WarmScheduling(LoadFileScheduling):
    """A worker takes a whole file at once, or all files of a group."""

    def _split_scope(self, nodeid):
        return kept_together(nodeid) or super()._split_scope(nodeid)


def pytest_xdist_auto_num_workers():
    """One more than there are processors: tests wait for browsers, servers and processes of their own."""
    return (os.cpu_count() or 1) + 1


def pytest_xdist_make_scheduler(config, log):
    """Workers are given files in the order of the collection, see below."""
    config.option.loadscopereorder = False
    return WarmScheduling(config, log)


def pytest_collection_modifyitems(items):
    """What takes longest comes first, so that workers end together."""
    items.sort(key=lambda item: kept_together(item.nodeid) is None)


def pytest_collection_finish():
    """Modules stay: the collector need not look through them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """The store of the tests, away from the user's; the workers of a run share it and encode each text once."""
    of_this_process = tmp_path_factory.getbasetemp()
    folder = (of_this_process.parent if "PYTEST_XDIST_WORKER" in os.environ else of_this_process) / "cache"
    folder.mkdir(exist_ok=True)
    os.environ["MRL_VIZ_CACHE"] = str(folder)
    os.environ["MRL_VIZ_JOBS"] = str(folder / "jobs")
    return folder
