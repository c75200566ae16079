"""What the machine gives a sweep: processors, a BLAS that keeps to one of them, and a place for compiled code."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from mrl_viz.files import cache_folder


def n_processors() -> int:
    """How many processors this process may use: by affinity, the container's quota and `OMP_NUM_THREADS`."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wished = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(allowed, _quota(allowed), int(wished) if wished.isdigit() else allowed))


@lru_cache
def _quota(otherwise: int) -> int:
    """Whole processors of a Linux control group (version 2, else 1), rounded up."""
    try:
        group = Path("/sys/fs/cgroup")
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = ((group / f"cpu/cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return -(-int(quota) // int(period)) if int(quota) > 0 else otherwise
    except (OSError, ValueError):  # not Linux, or no limit: "max"
        return otherwise


_blas_lock = threading.Lock()
_blas_users = 0


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Keep BLAS to the calling threads; several may be inside at once, and the last to leave restores it.

    For many products of small matrices: its threads would wait for each other at every one, on a busy machine for ten
    times as long as the work takes.
    """
    global _blas_users
    with _blas_lock:
        if _blas_users == 0:
            for set_threads, _ in _openblas():
                set_threads(1)
        _blas_users += 1
    try:
        yield
    finally:
        with _blas_lock:
            _blas_users -= 1
            if _blas_users == 0:
                for set_threads, usual in _openblas():
                    set_threads(usual)


@lru_cache
def _openblas() -> tuple[tuple[Callable[[int], object], int], ...]:
    """What sets the number of threads of NumPy's and SciPy's OpenBLAS, and the number it had; none where it is another.

    threadpoolctl finds them, but lets only one thread of a process change them, and drops what others wish.
    """
    import scipy.linalg.cython_blas  # noqa: F401 # loads it
    from threadpoolctl import ThreadpoolController

    found = []
    for library in ThreadpoolController().lib_controllers:
        for name in ("openblas_set_num_threads", "openblas_set_num_threads64_"):
            for spelling in (f"scipy_{name}", name):
                if library.internal_api == "openblas" and hasattr(library.dynlib, spelling):
                    found.append((getattr(library.dynlib, spelling), library.num_threads))
    return tuple(found)


@contextmanager
def compiled_code_kept() -> Iterator[bool]:
    """Numba functions made inside keep their compiled code in the cache folder for the next process; whether they can.

    Numba would keep it beside the source, which may be an installation that is not ours to write.
    """
    import numba

    settings: Any = numba.config
    before = settings.CACHE_DIR
    folder = Path(before) if before else cache_folder() / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_kept = os.access(folder, os.W_OK)
    except OSError:
        is_kept = False  # then every process compiles its own
    settings.CACHE_DIR = str(folder)
    try:
        yield is_kept
    finally:
        settings.CACHE_DIR = before


def _jit(signature: Any, is_kept: bool, fastmath: Collection[str]) -> Any:
    import numba

    return numba.njit(signature, nogil=True, cache=is_kept, fastmath=set(fastmath))


def compiled(function: Callable[..., None], signature: Any, fastmath: Collection[str]) -> Callable[..., None]:
    """The function compiled for this processor, without Python's lock; kept, where it can be, for the next process."""
    with compiled_code_kept() as is_kept:
        try:
            made: Callable[..., None] = _jit(signature, is_kept, fastmath)(function)
        except OSError:  # a full disk
            made = _jit(signature, False, fastmath)(function)
    return made
