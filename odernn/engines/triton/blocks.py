"""Matrices of 2 x 2 blocks, and sums of them times tiles, as statements."""

from __future__ import annotations

from collections.abc import Sequence

from solvers.extend import Entry

from ..method import Entries
from .layout import Layout
from .source import Source


def write_matrices(source: Source, layout: Layout, entries: Entries, base: str) -> None:
    """The matrices that the entries name, as m_{place}_{row}{column}, from `base`, an address of their set."""
    every = (*entries.flows, *(entry for row in entries.a for entry in row), *entries.b)
    for place in sorted({entry.place for entry in every if entry.place >= 0}):
        for row in range(2):
            for column in range(2):
                at = ((place * 2 + row) * 2 + column) * layout.size
                load = layout.load(f"{base} + {at} + units", "unit_in")
                source(f"m_{place}_{row}{column} = {load}{layout.by_unit}")


def times(entry: Entry, tiles: Sequence[str], part: int, *, transposed: bool = False) -> str:
    """A part of the entry's matrix times a state, without its number."""
    if entry.place < 0:
        return tiles[part]
    names = [f"m_{entry.place}_{(f'{other}{part}' if transposed else f'{part}{other}')}" for other in range(2)]
    return f"({names[0]} * {tiles[0]} + {names[1]} * {tiles[1]})"


def scaled(entry: Entry, tiles: Sequence[str], part: int, *, transposed: bool = False) -> str:
    """A part of the entry times a state."""
    value = times(entry, tiles, part, transposed=transposed)
    return value if entry.coefficient == 1 else f"{entry.coefficient!r} * {value}"
