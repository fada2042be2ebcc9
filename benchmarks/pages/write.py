"""A document as files and in the terminal."""

from __future__ import annotations

from pathlib import Path

import rich.box
import rich.table
from rich.console import Console
from rich.text import Text

from benchmarks.pages.document import Document, Drawing, Rendered, Section, Table, to_csv, to_json
from benchmarks.pages.page import to_html
from benchmarks.support.atomic import write_atomically, write_text
from benchmarks.support.markdown import markdown_table
from benchmarks.support.plotting import to_png_and_svg

WIDEST = 22
"""Letters of a cell that a narrow terminal does not break."""


def write_document(folder: Path, document: Document, name: str) -> list[Path]:
    """Writes the page, the Markdown, the numbers and the pictures, each whole or not at all; the page comes first.

    Args:
        folder: where they go.
        document: what they say.
        name: of the page, the Markdown and the JSON; tables and pictures have their own.

    Raises:
        OSError: the folder cannot be written to.
    """
    pictures = {drawing.name: _render(drawing) for drawing in document.drawings}
    pages = [folder / f"{name}.{kind}" for kind in ("html", "md", "json")]
    texts = to_html(document, pictures), to_markdown(document), to_json(document)
    for path, text in zip(pages, texts, strict=True):
        write_text(path, text)
    for table in document.tables:
        write_text(folder / f"{table.name}.csv", to_csv(table))
    for name, picture in pictures.items():
        _write(folder / f"{name}.png", picture.png)
        _write(folder / f"{name}.svg", picture.svg)
    return pages


def _render(drawing: Drawing) -> Rendered:
    return Rendered(*to_png_and_svg(drawing.figure))


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, lambda stream: [stream.write(content)].clear())


def to_markdown(document: Document) -> str:
    """The document in Markdown; its pictures are the files beside it."""
    facts = "\n".join(f"- **{name}**: {_plain(fact)}" for name, fact in document.facts.items())
    parts = [f"# {_plain(document.title)}", _plain(document.lead), facts]
    for section in document.sections:
        parts += _section(section)
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> list[str]:
    parts = [f"## {_plain(section.heading)}", *map(_plain, section.paragraphs)]
    if section.table is not None:
        table = section.table
        heads = [_plain(column.head) for column in table.columns]
        left = {_plain(column.head) for column in table.columns if column.left}
        parts.append(markdown_table(heads, [[_plain(cell.text) for cell in row] for row in table.rows], left))
        if table.explained:
            parts.append("\n".join(f"- *{_plain(each.head)}*: {_plain(each.said)}" for each in table.explained))
    if section.drawing is not None:
        parts.append(f"![{_plain(section.drawing.title)}]({section.drawing.name}.png)")
    return parts


def _plain(text: str) -> str:
    """A text that Markdown shows as it is: no mark-up of HTML, no line of its own."""
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").split())


def show_document(document: Document) -> None:
    """The tables in the terminal, with what came out above them."""
    console = Console()
    console.print(Text(document.title, style="bold"))
    for section in document.sections[:1]:
        for paragraph in section.paragraphs:
            console.print(Text(paragraph))
    for section in document.sections:
        if section.table is not None:
            console.print(_terminal_table(section.heading, section.table))


def _terminal_table(title: str, table: Table) -> rich.table.Table:
    shown = rich.table.Table(
        title=title, title_justify="left", box=rich.box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    places = [index for index, column in enumerate(table.columns) if column.brief]
    for index in places:
        column = table.columns[index]
        widest = max((len(row[index].text) for row in table.rows), default=0)
        shown.add_column(column.brief, justify="left" if column.left else "right", min_width=min(widest, WIDEST))
    for row in table.rows:
        # Text and not str: a name in brackets is not markup.
        shown.add_row(*(Text(row[index].text) for index in places))
    return shown
