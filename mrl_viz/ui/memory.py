"""What a long-running server keeps the garbage collector away from."""

from __future__ import annotations

import gc

_settled: set[str] = set()


def settle(page: str) -> None:
    """After a page's first run in this process, take all that it loaded out of the garbage collector's sight.

    Streamlit collects the whole heap after every run of a script. Most of the heap are modules, which stay anyway; with
    those frozen a run takes a third of the time. What is frozen is still freed when nothing refers to it any more.
    """
    if page not in _settled:
        _settled.add(page)
        gc.collect()
        gc.freeze()
