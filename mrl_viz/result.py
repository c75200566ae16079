"""What every result has in common: its fields as plain data, and its records, one per width."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar

import numpy as np


class Result:
    """A frozen dataclass that can be written down: the base of every result. Its `takeaway` is one sentence.

    `_also` : properties that `to_dict` adds to the fields. `_without` : fields it leaves out, such as large arrays.
    `_is_flat` : as a field it becomes one entry per field of its own: an `Estimate` is `name`, `name`_low, `name`_high.
    """

    _also: ClassVar[tuple[str, ...]] = ()
    _without: ClassVar[tuple[str, ...]] = ()
    _is_flat: ClassVar[bool] = False

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data: numbers, strings, None, tuples, lists and dicts of them."""
        names = [field.name for field in fields(self) if field.name not in self._without]  # type: ignore[arg-type]
        if self._is_flat:
            return {name: plain(getattr(self, name)) for name in names}
        return flat({name: getattr(self, name) for name in (*names, *self._also)})

    def records(self, *names: str, **columns: Any) -> list[dict[str, Any]]:
        """One record per width of `dims`, of fields and other columns that have one entry per width."""
        own = {name: getattr(self, name) for name in names}
        return records(dim=self.dims, **own, **columns)  # type: ignore[attr-defined]


class ByWidth(Result):
    """A result with one entry per width of `dims` in the fields and properties that `_columns` names."""

    _columns: ClassVar[tuple[str, ...]]

    def rows(self) -> list[dict[str, Any]]:
        """One record per width."""
        return self.records(*self._columns)


def records(**columns: Any) -> list[dict[str, Any]]:
    """One record per entry of columns of one length, as plain data."""
    return [flat(dict(zip(columns, row))) for row in zip(*columns.values(), strict=True)]


def flat(named: Mapping[str, Any]) -> dict[str, Any]:
    """Plain data by name; a flat result, or a sequence of them, becomes one entry per field of its own."""
    data: dict[str, Any] = {}
    for name, value in named.items():
        items = value if isinstance(value, (tuple, list)) else (value,)
        kind = next((type(item) for item in items if isinstance(item, Result) and item._is_flat), None)
        if kind is None:
            data[name] = plain(value)
            continue
        first, *others = (field.name for field in fields(kind))  # type: ignore[arg-type]
        for key, part in ((name, first), *((f"{name}_{other}", other) for other in others)):
            column = tuple(None if item is None else plain(getattr(item, part)) for item in items)
            data[key] = column if items is value else column[0]
    return data


def plain(value: Any) -> Any:
    """A value as plain data: arrays become lists, NumPy numbers Python's, results dicts; all others stay."""
    if isinstance(value, Result):
        return value.to_dict()
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        made = [plain(item) for item in value]
        return made if isinstance(value, list) else tuple(made)  # a named tuple as a plain one
    return value
