"""What a sweep takes of the machine: the processors it may use, and a place for compiled code that is the user's."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import mrl_viz
from mrl_viz.sweep import machine

PACKAGE = Path(mrl_viz.__file__).parent
# Compiled as the kernels of the sweep are, in a tenth of their time.
PROGRAM = """
import numba
import numpy as np
from mrl_viz.sweep.machine import compiled

def total(rows, out):
    for row in rows:
        out[0] += row

out = np.zeros(1, dtype=np.float32)
compiled(total, numba.void(numba.float32[::1], numba.float32[::1]), ())(np.arange(9, dtype=np.float32), out)
print(out[0])
"""


@pytest.mark.parametrize(("wish", "most"), [("1", 1), ("1000", os.cpu_count()), ("none", os.cpu_count())])
def test_threads_are_as_many_as_may_be_used(monkeypatch, wish, most):
    """OMP_NUM_THREADS lowers the number and never raises it above the processors there are."""
    monkeypatch.setenv("OMP_NUM_THREADS", wish)
    assert 1 <= machine.n_processors() <= most


def blas_threads():
    """How many threads NumPy's BLAS and SciPy's use; a process may have loaded others, such as faiss's."""
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return [pool["num_threads"] for pool in pools if re.search("numpy|scipy", pool["filepath"])]


def test_small_products_keep_to_one_thread():
    """NumPy's BLAS and SciPy's both, and the inner of two users does not give the threads back."""
    with machine.single_threaded_blas():
        pass  # loads SciPy's
    before = blas_threads()
    with threadpool_limits(2, "blas"), machine.single_threaded_blas():
        with machine.single_threaded_blas():
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


@pytest.fixture
def program(tmp_path):
    """The program as a file: what stands in no file cannot be kept."""
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


def start(program, folder):
    """A process of its own that compiles and computes, with that folder for what it compiles."""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    return subprocess.Popen(
        [sys.executable, str(program)],
        env=environment | {"MRL_VIZ_CACHE": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )


def compiled(folder):
    """What was compiled into a folder, by name, with the time it was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.nb[ci]")}


def test_two_processes_may_compile_at_once_and_a_third_need_not(program, tmp_path):
    """Compiled code is kept in the cache folder, whole whoever writes it, and nothing in the installation."""
    before = compiled(PACKAGE)
    both = [start(program, tmp_path), start(program, tmp_path)]
    assert [process.communicate()[0] for process in both] == ["36.0\n"] * 2
    kept = compiled(tmp_path)
    assert kept and compiled(PACKAGE) == before
    assert start(program, tmp_path).communicate()[0] == "36.0\n"
    assert compiled(tmp_path) == kept


def total(rows, out):
    """As in the program."""
    for row in rows:
        out[0] += row


def test_without_a_folder_to_write_a_process_compiles_for_itself(tmp_path, monkeypatch):
    """A cache folder that cannot be made costs time, and nothing else."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MRL_VIZ_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    out = np.zeros(1, dtype=np.float32)
    made = machine.compiled(total, numba.void(numba.float32[::1], numba.float32[::1]), ())
    made(np.arange(9, dtype=np.float32), out)
    assert out[0] == 36
    assert compiled(PACKAGE) == {} == compiled(Path(__file__).parent) == compiled(tmp_path)
