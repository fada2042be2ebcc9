"""What the writers of both kernels have in common: the head of a kernel, the tiles of states, and the matrices."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..method import Entries
from .blocks import write_matrices
from .layout import Layout
from .source import Source


class Writer(ABC):
    """Writes the text of a kernel.

    Args:
        layout: sizes and method.
        substeps: solver steps an interval.
        blocks_vary: whether every interval has matrices of its own.
        lengths: whether rows end early: from interval number `lengths` of a row on, nothing happens to it.
    """

    def __init__(self, layout: Layout, substeps: int, blocks_vary: bool, lengths: bool) -> None:
        self.source, self.layout, self.lengths = Source(), layout, lengths
        self.substeps, self.blocks_vary = substeps, blocks_vary
        self.parts = range(layout.parts)
        self.two_states = layout.method.family == "general-linear"
        self.entries = Entries((), (), ()) if self.two_states else layout.method.entries

    def text(self, name: str, signature: str, unspecialised: Sequence[str]) -> str:
        """The whole kernel, which is not compiled anew for other values of the numbers `unspecialised`."""
        if self.layout.models:
            signature, unspecialised = f"{signature}, each", (*unspecialised, "each")
        if self.lengths:
            signature = f"{signature}, lengths"
        if self.layout.meets:
            signature = f"{signature}, scratch, arrived"
        numbers = ", ".join(f'"{each}"' for each in unspecialised)
        self.source(f"@triton.jit(do_not_specialize=[{numbers}])")
        with self.source.block(f"def {name}({signature}):"):
            self.write()
        return self.source.text()

    @abstractmethod
    def write(self) -> None:
        """The body."""

    @abstractmethod
    def write_tableau(self) -> None:
        """A solver step of an explicit tableau, with matrices or without."""

    @abstractmethod
    def write_shears(self) -> None:
        """One of kicks and drifts."""

    @abstractmethod
    def write_two_states(self) -> None:
        """One of a method that weighs two states."""

    def write_solver_step(self) -> None:
        """One of the method's family."""
        match self.layout.method.family:
            case "shears":
                self.write_shears()
            case "general-linear":
                self.write_two_states()
            case _:
                self.write_tableau()

    @contextmanager
    def each(self, number: str, count: str) -> Iterator[None]:
        """A loop. With K in registers it is not a `for`: Triton would load K again in it, from shared memory."""
        if not self.layout.registers:
            with self.source.block(f"for {number} in range({count}):"):
                yield
            return
        self.source(f"{number} = tl.zeros((), tl.int32)")
        with self.source.block(f"while {number} < {count}:"):
            yield
            self.source(f"{number} += 1")

    def load_states(self, tiles: str, pointer: str) -> None:
        """The parts of a state into tiles, as y for y_0 and y_1."""
        for part in self.parts:
            self.source(f"{tiles}_{part} = {self.layout.load(self.layout.of_state(pointer, part))}")

    def store_states(self, tiles: Sequence[str], pointer: str) -> None:
        """Tiles, one a part, into a state."""
        for part, tile in enumerate(tiles):
            self.source(f"tl.store({self.layout.of_state(pointer, part)}, {tile}, mask=inside)")

    def named(self, tiles: str) -> list[str]:
        """The names of the parts of a state."""
        return [f"{tiles}_{part}" for part in self.parts]

    def write_places(self) -> None:
        """The places of the layout, and where rows end."""
        self.layout.write_places(self.source)
        if self.lengths:
            self.source(f"until = {self.layout.load('lengths + rows', 'row_in')}{self.layout.by_row}")

    def write_common_matrices(self, intervals: str) -> None:
        """The matrices of all intervals, before the loop; `intervals` names how many there are."""
        if self.layout.method.family != "exponential":
            return
        if self.layout.models:
            self.source(f"blocks += model * {self._set}" + (f" * {intervals}" if self.blocks_vary else ""))
        if not self.blocks_vary:
            write_matrices(self.source, self.layout, self.entries, "blocks")

    def write_own_matrices(self) -> None:
        """The matrices of the interval number `at`."""
        if self.layout.method.family == "exponential" and self.blocks_vary:
            write_matrices(self.source, self.layout, self.entries, f"blocks + at * {self._set}")

    @property
    def _set(self) -> int:
        """Numbers in the matrices of an interval."""
        return (max(self.layout.method.places) + 1) * 4 * self.layout.size
