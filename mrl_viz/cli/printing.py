"""What a verb prints: sentences, tables and progress, dressed on a terminal, plain anywhere else; and it as data."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# A column of text is not folded to less.
FEWEST_FOLDED = 12


def printable(text: str) -> str:
    """The text with its control characters replaced: a terminal obeys them, and files of texts may hold any."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def say(*sentences: str, notes: Iterable[str] = ()) -> None:
    """Print notes, each as one, and sentences, each on its line."""
    for line in (*(f"note: {note}" for note in notes), *sentences):
        print(printable(line))


def table(columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Print a table: `columns` are headers and how a cell is made of its row, such as "[{low:.4f}, {high:.4f}]".

    A terminal gets it fitted to its width, long cells folded. Anywhere else every column is as wide as its longest
    cell, so that nothing is cut or folded, and two spaces part the columns.
    """
    lines = [[printable(cell.format_map(row)) for cell in columns.values()] for row in rows]
    # Numbers have no letter but the e of 1e-05.
    is_number = [not any(c.isalpha() and c != "e" for line in lines for c in line[at]) for at in range(len(columns))]
    widths = [max(map(len, column)) for column in zip(columns, *lines)]
    if sys.stdout.isatty():
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        dressed = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
        for name, right in zip(columns, is_number):
            dressed.add_column(Text(name), justify="right" if right else "left", no_wrap=right, overflow="fold")
        for line in lines:
            dressed.add_row(*map(Text, line))
        console = Console()
        # Where that is too narrow it breaks the lines itself; rich would cut digits off.
        least = sum(width if right else min(width, FEWEST_FOLDED) for width, right in zip(widths, is_number))
        console.width = max(console.width, least + 2 * len(columns))
        console.print(dressed)
        return
    for line in ([*columns], *lines):
        cells = [
            cell.rjust(width) if right else cell.ljust(width) for cell, width, right in zip(line, widths, is_number)
        ]
        print("  ".join(cells).rstrip())


@contextmanager
def progress(label: str, unit: str = "") -> Iterator[Callable[[int, int], None] | None]:
    """A bar with the time that is left on stderr, where that is a terminal; None elsewhere.

    `unit` : of what is counted, such as "rows": then also how many of them a second.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.progress import TimeRemainingColumn as Left
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.0f} {unit}/s")

    label_column, left = TextColumn("{task.description}", markup=False), Left(elapsed_when_finished=True)
    done = BarColumn(), MofNCompleteColumn()
    columns = (label_column, *done, *([Speed()] if unit else []), left)
    # What is printed meanwhile may go to a file; redirected, it would come out beside the bar.
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=False, redirect_stderr=False) as bar:
        task = bar.add_task(printable(label), total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


def write_json(path: str | None, data: dict[str, Any]) -> None:
    """Write what was printed as data, where a file was asked for."""
    if path:
        Path(path).write_text(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
