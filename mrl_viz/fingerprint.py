"""One fingerprint for everything: what a result depends on, in cache keys and records."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def fingerprint(*values: Any) -> str:
    """Sixteen hexadecimal digits that change with any of the values, the same in every process.

    Parameters
    ----------
    values : None, numbers, strings, bytes, arrays, mappings (whose order does not count) and sequences of these

    Every part is hashed with its kind and length, so that no boundary can move unseen; TypeError for other values.
    """
    digest = hashlib.sha256()
    _feed(digest, values)
    return digest.hexdigest()[:16]


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, str):
        _part(digest, "text", value.encode("utf-8", "surrogatepass"))
    elif isinstance(value, bytes):
        _part(digest, "bytes", value)
    elif value is None or isinstance(value, (int, float, np.generic)):
        _part(digest, "value", repr(value.item() if isinstance(value, np.generic) else value).encode())
    elif isinstance(value, np.ndarray):
        _part(digest, f"array {value.dtype.str} {value.shape}", np.ascontiguousarray(value).data)
    elif isinstance(value, Mapping):
        digest.update(b"mapping %d\n" % len(value))
        for key in sorted(value):
            _feed(digest, (key, value[key]))
    elif isinstance(value, Sequence):
        digest.update(b"sequence %d\n" % len(value))
        if all(isinstance(item, str) for item in value):  # the lengths of all, then all: ten times faster
            parts = [item.encode("utf-8", "surrogatepass") for item in value]
            _part(digest, "lengths", np.array([len(part) for part in parts], dtype=np.int64).data)
            _part(digest, "texts", b"".join(parts))
        else:
            for item in value:
                _feed(digest, item)
    else:
        raise TypeError(f"a {type(value).__name__} has no fingerprint")


def _part(digest: Any, kind: str, content: bytes | memoryview) -> None:
    digest.update(f"{kind} {memoryview(content).nbytes}\n".encode())
    digest.update(content)
