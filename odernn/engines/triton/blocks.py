"""Matrices of 2 x 2 blocks, and sums of them times tiles, as statements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from solvers.extend import Entry

from ..method import Method
from .layout import Layout
from .source import Source


class Entries(NamedTuple):
    """A tableau whose entries may name matrices.

    Attributes:
        flows: of the stages, and of the step.
        a: one row a stage.
        b: one entry a stage.
    """

    flows: tuple[Entry, ...]
    a: tuple[tuple[Entry, ...], ...]
    b: tuple[Entry, ...]


def entries_of(method: Method) -> Entries:
    """The entries of an explicit tableau, with matrices or without."""
    s = len(method.b)
    places = iter(method.places or (-1,) * (s + 1 + s * s + s))
    flows = tuple(Entry(1.0, next(places)) for _ in range(s + 1))
    a = tuple(Entry(coefficient, next(places)) for coefficient in method.a)
    b = tuple(Entry(coefficient, next(places)) for coefficient in method.b)
    return Entries(flows, tuple(a[i * s : (i + 1) * s] for i in range(s)), b)


def is_made_by_a_matrix(entries: Entries, stage: int) -> bool:
    """Whether the state of a stage is."""
    return any(entry.place >= 0 for entry in (entries.flows[stage], *entries.a[stage]))


def write_matrices(source: Source, layout: Layout, entries: Entries, base: str) -> None:
    """The matrices that the entries name, as m_{place}_{row}{column}, from `base`, an address of their set."""
    every = (*entries.flows, *(entry for row in entries.a for entry in row), *entries.b)
    for place in sorted({entry.place for entry in every if entry.place >= 0}):
        for row in range(2):
            for column in range(2):
                at = ((place * 2 + row) * 2 + column) * layout.size
                load = layout.load(f"{base} + {at} + units", "unit_in")
                source(f"m_{place}_{row}{column} = {load}[None, :]")


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
