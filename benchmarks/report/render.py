"""Tables as Markdown and in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import rich.table
from rich.console import Console, Group
from rich.text import Text

from benchmarks.report.table import Row, cells_of, columns_of
from benchmarks.support.markdown import markdown_table

LEFT = {"method"}


def to_markdown(rows: Sequence[Row]) -> str:
    """A table in Markdown."""
    columns = columns_of(rows)
    return markdown_table(columns, [cells_of(row, columns) for row in rows], LEFT)


def show(title: str, rows: Sequence[Row], notes: Sequence[str]) -> None:
    """A table in the terminal, with its notes beneath it."""
    table = rich.table.Table(title=title, title_justify="left")
    columns = columns_of(rows)
    for name in columns:
        table.add_column(name, justify="left" if name in LEFT else "right", overflow="fold")
    for row in rows:
        # Text and not str: a name in brackets is not markup.
        table.add_row(*(Text(cell) for cell in cells_of(row, columns)))
    Console().print(Group(table, *(Text(note, style="dim") for note in notes)))
