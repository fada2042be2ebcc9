"""A picture with its numbers, and the three files that it becomes."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.support.atomic import write_atomically, write_text
from benchmarks.support.plotting import to_png_and_svg

Cell = str | int | float


@dataclass(frozen=True)
class Picture:
    """A figure, and what it shows in numbers.

    Attributes:
        figure: as matplotlib draws it.
        columns: the names of the numbers.
        rows: the numbers, a line each.
    """

    figure: Figure
    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]


def write_picture(folder: Path, name: str, picture: Picture) -> list[Path]:
    """Writes `name`.png, .svg and .csv, each whole or not at all.

    Raises:
        OSError: the folder cannot be written to.
    """
    paths = [folder / f"{name}.{kind}" for kind in ("png", "svg", "csv")]
    for path, content in zip(paths, to_png_and_svg(picture.figure), strict=False):
        write_atomically(path, lambda stream, content=content: [stream.write(content)].clear())
    write_text(paths[2], to_csv(picture))
    return paths


def to_csv(picture: Picture) -> str:
    """The numbers as comma-separated values, with a line of names; numbers to nine digits."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(picture.columns)
    writer.writerows([f"{cell:.9g}" if isinstance(cell, float) else cell for cell in row] for row in picture.rows)
    return stream.getvalue()
