"""What every result has in common: its fields as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar

import numpy as np


class Result:
    """A frozen dataclass that can be written down: the base of every result.

    `_also` : properties that `to_dict` adds to the fields. `_without` : fields it leaves out, such as large arrays.
    """

    _also: ClassVar[tuple[str, ...]] = ()
    _without: ClassVar[tuple[str, ...]] = ()

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data: numbers, strings, None, tuples, lists and dicts of them."""
        names = [field.name for field in fields(self) if field.name not in self._without]  # type: ignore[arg-type]
        return {name: plain(getattr(self, name)) for name in (*names, *self._also)}


def plain(value: Any) -> Any:
    """A value as plain data: arrays become lists, NumPy numbers Python's, results and dataclasses dicts; all others stay."""
    if isinstance(value, Result):
        return value.to_dict()
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(plain(item) for item in value)
    return value
