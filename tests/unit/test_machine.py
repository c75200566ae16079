"""What a sweep takes of the machine: the processors it may use, and a place for compiled code that is the user's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import mrl_viz
from mrl_viz.sweep.machine import n_processors, single_threaded_blas

PACKAGE = Path(mrl_viz.__file__).parent
PROGRAM = """
import numpy as np
from mrl_viz.sweep import nested_sweep
rows = np.random.default_rng(0).normal(size=(300, 20)).astype(np.float32)
print(nested_sweep(rows, dims=[4], k=3).indices.sum())
"""


@pytest.mark.parametrize(("wish", "most"), [("1", 1), ("1000", os.cpu_count()), ("none", os.cpu_count())])
def test_threads_are_as_many_as_may_be_used(monkeypatch, wish, most):
    """OMP_NUM_THREADS lowers the number and never raises it above the processors there are."""
    monkeypatch.setenv("OMP_NUM_THREADS", wish)
    assert 1 <= n_processors() <= most


def blas_threads():
    """How many threads each BLAS in this process uses."""
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_small_products_keep_to_one_thread():
    """NumPy's BLAS and SciPy's both, and the inner of two users does not give the threads back."""
    with single_threaded_blas():
        pass  # loads SciPy's
    before = blas_threads()
    with threadpool_limits(2, "blas"), single_threaded_blas():
        with single_threaded_blas():
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def start(folder):
    """A process of its own that sweeps, with that folder for what it compiles."""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=environment | {"MRL_VIZ_CACHE": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )


def compiled(folder):
    """What was compiled into a folder, by name, with the time it was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.nb[ci]")}


def test_two_processes_may_compile_at_once_and_a_third_need_not(tmp_path):
    """Compiled code is kept in the cache folder, whole whoever writes it, and nothing in the installation."""
    before = compiled(PACKAGE)
    both = [start(tmp_path), start(tmp_path)]
    said = {process.communicate()[0] for process in both}
    assert [process.returncode for process in both] == [0, 0] and len(said) == 1
    kept = compiled(tmp_path)
    assert kept and compiled(PACKAGE) == before
    assert start(tmp_path).communicate()[0] in said
    assert compiled(tmp_path) == kept


def test_without_a_folder_to_write_the_sweep_compiles_for_itself(tmp_path):
    """A cache folder that cannot be made costs time, and nothing else."""
    (tmp_path / "file").write_text("in the way")
    process = start(tmp_path / "file")
    assert process.communicate()[0].strip().isdigit() and process.returncode == 0
    assert compiled(PACKAGE) == {}
