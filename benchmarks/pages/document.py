"""What a document says, in parts that become a page, Markdown, CSV, JSON or lines in a terminal."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from matplotlib.figure import Figure

Value = str | int | float | None

NONE = "–"


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        key: its name in CSV and JSON.
        head: what people read above it.
        said: what it means, a sentence or two; empty where the head says it.
        left: set to the left, as text is.
        brief: a short head for where there is little room, a terminal; the column is left out there if it is empty.
    """

    key: str
    head: str
    said: str = ""
    left: bool = False
    brief: str = ""


@dataclass(frozen=True)
class Cell:
    """A value and how people read it.

    Attributes:
        value: what is written into files and sorted by; None where there is none.
        text: what is shown.
    """

    value: Value
    text: str


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: of its file.
        columns: its columns.
        rows: a cell for each column.
    """

    name: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]

    @property
    def explained(self) -> list[Column]:
        """The columns whose meaning wants a word."""
        return [column for column in self.columns if column.said]

    def records(self) -> list[dict[str, Value]]:
        """The values, a mapping a row; what is not finite is None, since JSON has no name for it."""
        return [
            {column.key: finite(cell.value) for column, cell in zip(self.columns, row, strict=True)}
            for row in self.rows
        ]


@dataclass(frozen=True)
class Drawing:
    """A picture.

    Attributes:
        name: of its files.
        title: what it shows, which is also its text for those who cannot see it.
        figure: as matplotlib draws it.
        said: what to know of it, a sentence or two; empty where the picture says it.
    """

    name: str
    title: str
    figure: Figure
    said: str = ""


@dataclass(frozen=True)
class Rendered:
    """A picture as the contents of its files."""

    png: bytes
    svg: bytes


@dataclass(frozen=True)
class Section:
    """A part of a document: a heading, and beneath it paragraphs, a table, a picture, or some of them."""

    heading: str
    paragraphs: Sequence[str] = ()
    table: Table | None = None
    drawing: Drawing | None = None


@dataclass(frozen=True)
class Document:
    """A whole of sections.

    Attributes:
        title: of the page.
        lead: what it is, a paragraph.
        facts: what a reader must know of where it is from, by name.
        sections: its parts.
    """

    title: str
    lead: str
    facts: Mapping[str, str]
    sections: Sequence[Section]

    @property
    def tables(self) -> list[Table]:
        """Its tables, in order."""
        return [section.table for section in self.sections if section.table is not None]

    @property
    def drawings(self) -> list[Drawing]:
        """Its pictures, in order."""
        return [section.drawing for section in self.sections if section.drawing is not None]


def finite(value: Value) -> Value:
    """The value, or None for a number that is not finite."""
    return None if isinstance(value, float) and not isfinite(value) else value


def words(value: str) -> Cell:
    """A cell of text."""
    return Cell(value, value)


def whole(value: int) -> Cell:
    """A cell of a whole number."""
    return Cell(value, f"{value:,}")


def number(value: float | None, style: str, absent: str = NONE) -> Cell:
    """A cell of a number in a format; `absent` where there is none, or none that is finite."""
    if value is None or not isfinite(value):
        return Cell(None, absent)
    return Cell(value, f"{value:{style}}")


def to_csv(table: Table) -> str:
    """The values as comma-separated values, with a line of names; numbers to nine digits, nothing for None."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [column.key for column in table.columns], lineterminator="\n")
    writer.writeheader()
    for record in table.records():
        writer.writerow({key: f"{value:.9g}" if isinstance(value, float) else value for key, value in record.items()})
    return stream.getvalue()


def to_json(document: Document) -> str:
    """The facts and the values of every table."""
    content = {
        "title": document.title,
        "about": dict(document.facts),
        **{table.name: table.records() for table in document.tables},
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
