"""What every result has in common: its fields as plain data, and its records, one per width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from html import escape
from importlib import import_module
from itertools import islice
from typing import Any, ClassVar

import numpy as np

# Of a table that a notebook shows, and a cell of it.
MOST_ROWS, MOST_CHARACTERS = 50, 300


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

    def _repr_html_(self) -> str:
        """What a notebook shows: the sentence, and the first records as a table."""
        parts = [f"<p><b>{escape(self.takeaway())}</b></p>"] if hasattr(self, "takeaway") else []
        if hasattr(self, "rows"):
            rows = self.rows()
        else:
            named = ((field.name, getattr(self, field.name)) for field in fields(self))  # type: ignore[arg-type]
            rows = [{name: value for name, value in named if isinstance(value, (str, int, float))}]
        return "".join([*parts, html_table(rows, MOST_ROWS)])

    def show(self) -> None:
        """Draw the result where it has a figure of its own; else say its sentence."""
        # By its name: drawing lies above every result, and most programs never draw.
        figure = import_module("mrl_viz.figures").figure_of(self)
        if figure is not None:
            figure.show()
        elif hasattr(self, "takeaway"):
            print(self.takeaway())
        else:
            print(self)

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


def html_table(rows: Sequence[Mapping[str, Any]], most: int | None = None) -> str:
    """Records as an HTML table of at most so many rows, every text escaped; what is left out is counted."""
    if not rows or not rows[0]:
        return ""
    head = "".join(f"<th{_side(value)}>{escape(name.replace('_', ' '))}</th>" for name, value in rows[0].items())
    body = "".join(
        f"<tr>{''.join(f'<td{_side(value)}>{escape(_shown(value))}</td>' for value in row.values())}</tr>"
        for row in islice(rows, most)
    )
    left = 0 if most is None else max(0, len(rows) - most)
    more = f"<p>… and {left:,} more rows.</p>" if left else ""
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{more}'


def _side(value: object) -> str:
    return ' class="text"' if isinstance(value, str) else ""


def _shown(value: object) -> str:
    """A value as a reader wants it; what is not known is a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 10 else f"{value:,.0f}"
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"
