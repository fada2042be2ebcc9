"""How a state lies in a program of the kernels: rows, parts, padding, and the names of tiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ..method import Method
from .source import Source

Precision = Literal["ieee", "tf32", "tf32x3", "bf16"]
"""How a product rounds its operands; sums, state and elementwise part are float32 always."""
_HALVES: Mapping[Precision, int] = MappingProxyType({"tf32x3": 4, "tf32": 2, "bf16": 1, "ieee": 2})
"""Halves of a register that an entry of K takes."""

ROWS = 16
"""Rows of the batch a program whose state is the left operand of its products: the smallest such tile of the tensor
cores, so that a small batch fills many processors."""
FEWEST = 8
"""The same of a program whose state is the right operand."""
WORDS = 128
"""Registers of a thread that K may take, of 255: the state and what is made of it take up to a hundred."""


@dataclass(frozen=True, slots=True)
class Stream:
    """How a kernel reads K from memory, again in every product, where K does not fit on the chip.

    Attributes:
        tile: terms of a product's sums that are read at once.
        ahead: tiles that are under way or in use at once.
        warps: of a program.
    """

    tile: int
    ahead: int
    warps: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of a kernel.

    A state is one part of all units, or two parts, the halves (q, p), for methods that move or rotate them apart.
    K is blocks by group, part moved and part that moves it.

    Attributes:
        method: the discretisation.
        units: of the state.
        groups: entries of a unit's preactivation.
        precision: of the products.
        registers: whether K stays in registers.
        rows: of the batch a program.
        spread: programs that share a block of rows, each with its own of the units and what K has for them; in every
            product they wait for one another's states.
        models: whether the rows are those of several networks, one after the other, each with weights of its own. The
            kernels then take `each`, the rows of a network, and the grid has the networks as its second dimension.
        stream: how K is read from memory, or None where it stays on the chip. The kernels then take K as
            `streaming.in_order` lays it out.

    The tiles of states are (units, rows) where K stays on the chip, the right operands of products whose left one is K;
    where it is streamed they are (rows, units), and K is the right operand.
    """

    method: Method
    units: int
    groups: int
    precision: Precision
    models: bool = False
    registers: bool = False
    rows: int = ROWS
    spread: int = 1
    stream: Stream | None = None

    @property
    def parts(self) -> int:
        """Parts of the state."""
        return 2 if self.method.family in ("shears", "exponential") or self.method.moved else 1

    @property
    def size(self) -> int:
        """Units of a part."""
        return self.units // self.parts

    @property
    def padded(self) -> int:
        """Units of a tile: a power of two, at least what a product takes."""
        return self.whole // self.spread

    @property
    def meets(self) -> bool:
        """Whether states go through memory in every product; the kernels then take what `scratch_for` makes."""
        return self.stream is not None or self.spread > 1

    @property
    def whole(self) -> int:
        """Units of the tiles of all programs that share the rows of a block."""
        return max(16, 1 << (self.size - 1).bit_length())

    @property
    def stages(self) -> int:
        """Evaluations a step."""
        return 1 if self.method.family == "general-linear" else len(self.method.b)

    @property
    def warps(self) -> int:
        """Warps of a program."""
        if self.stream is not None:
            return self.stream.warps
        return min(8, max(4, self.padded // ROWS))

    @property
    def words(self) -> int:
        """Registers of a thread that K would take: the warps have 16 units each, and further ones the same again."""
        entries = sum(1 for _ in self.blocks()) * self.whole * self.padded
        threads = 32 * min(self.warps, self.padded // ROWS)
        return entries * _HALVES[self.precision] // (2 * threads)

    @property
    def by_unit(self) -> str:
        """What makes a tile of one number a unit."""
        return "[:, None]" if self.stream is None else "[None, :]"

    @property
    def by_row(self) -> str:
        """What makes a tile of one number a row."""
        return "[None, :]" if self.stream is None else "[:, None]"

    @property
    def sums(self) -> int:
        """Terms of a product's sums, filled up with zeros to whole tiles where K is read from memory."""
        tile = 1 if self.stream is None else self.stream.tile
        return -(-self.size // tile) * tile

    def moved(self, stage: int) -> tuple[int, ...]:
        """The parts that an evaluation moves."""
        return (self.method.moved[stage],) if self.method.moved else tuple(range(self.parts))

    def sources(self, part: int) -> tuple[int, ...]:
        """The parts that the preactivation of a part is made of."""
        return (1 - part,) if self.method.family == "shears" else tuple(range(self.parts))

    def blocks(self) -> Iterator[tuple[int, int, int]]:
        """The blocks of K that are used: (group, part moved, part that moves it)."""
        for group in range(self.groups):
            for part in range(self.parts):
                for source in self.sources(part):
                    yield group, part, source

    def write_places(self, source: Source) -> None:
        """The rows and units of a program, its masks, and the offset of its first part in a state (batch, units)."""
        spread, block, first = self.spread, "tl.program_id(0)", ""
        if spread > 1:
            block, first = f"{block} // {spread}", f"{block} % {spread} * {self.padded} + "
        source(
            f"rows = {block} * {self.rows} + tl.arange(0, {self.rows})",
            f"units = {first}tl.arange(0, {self.padded})",
            f"row_in = rows < {'each' if self.models else 'batch'}",
        )
        if self.models:
            source("rows += tl.program_id(1) * each", "model = tl.program_id(1).to(tl.int64)")
            source(f"weight += model * {self.groups * self.parts**2 * self.size * self.sums}")
        if self.meets:
            block = f"({block}).to(tl.int64)"
            block += f" + model * (tl.num_programs(0) // {spread})" if self.models else ""
            source(f"block = {block}", f"scratch += block * {2 * self.rows * self.whole}", "arrived += block")
            source("turn = tl.zeros((), tl.int32)")
        source(
            f"unit_in = units < {self.size}",
            f"inside = row_in{self.by_row} & unit_in{self.by_unit}",
            f"place = rows.to(tl.int64){self.by_row} * {self.units} + units{self.by_unit}",
            f"state = batch.to(tl.int64) * {self.units}",
        )

    def write_weight(self, source: Source, *, transposed: bool) -> None:
        """The blocks of K, if they stay on the chip, as w_{group}_{part}_{source}.

        Of a tile (units, sums) entry (j, k) is what unit j of a product has of unit k of a state: K for the forward
        kernel, where products are with K^T from the right, and K^T for the backward one.
        """
        if self.stream is not None:
            return
        row, column = "units[:, None]", "terms[None, :]"
        if not transposed:
            row, column = column, row
        source(f"terms = tl.arange(0, {self.whole})")
        source(f"both_in = unit_in[:, None] & (terms < {self.size})[None, :]")
        for group, part, other in self.blocks():
            first, beside = group * self.units + part * self.size, other * self.size
            at = f"weight + ({first} + {row}) * {self.units} + ({beside} + {column})"
            name = f"w_{group}_{part}_{other}"
            source(f"{name} = {self.operand(f'tl.load({at}, mask=both_in, other=0.0)')}")
            if self.precision in ("tf32", "tf32x3"):
                source(f"h_{name} = odernn_rounded({name})")
            if self.precision == "tf32x3":
                source(f"l_{name} = h_{name} - {name}")

    def operand(self, value: str) -> str:
        """A tile as a product takes it."""
        return f"{value}.to(tl.bfloat16)" if self.precision == "bf16" else value

    def write_product(
        self, source: Source, name: str, left: str, block: tuple[int, int, int], onto: str | None = None
    ) -> None:
        """The product of a tile and a block of K, which `blocks` names, added to another tile."""
        group, part, other = block
        if self.stream is None:
            right = left if self.spread == 1 else self._write_gathered(source, left)
            product = self._product(f"w_{group}_{part}_{other}", right)
            source(f"{name} = " + (product if onto is None else f"{onto} + {product}"))
            return
        first = ((group * self.parts + part) * self.parts + other) * self.size * self.sums
        precision = "ieee" if self.precision == "bf16" else self.precision
        sizes = f"{self.size}, {self.sums}, {self.whole}, {self.stream.tile}, {self.stream.ahead}"
        given = f"{left}, {onto or f'tl.zeros_like({left})'}, units, scratch, arrived, turn, weight + {first}"
        source(f"{name} = odernn_streamed({given}, {sizes}, {self.spread}, {precision!r})", "turn += 1")

    def _write_gathered(self, source: Source, state: str) -> str:
        """A tile of the units of all programs that share the rows."""
        given = f"{state}, units, scratch, arrived, turn, {self.whole}, {self.spread}"
        source(f"gathered = odernn_gathered({given})", "turn += 1")
        return "gathered"

    def _product(self, weight: str, right: str) -> str:
        """A block of K times a tile. TF32 operands are rounded here: the tensor cores would cut them."""
        match self.precision:
            case "tf32x3":
                return f"odernn_of_three(h_{weight}, l_{weight}, {right})"
            case "tf32":
                return f"tl.dot(h_{weight}, odernn_rounded({right}), input_precision='tf32')"
            case _:
                return f"tl.dot({weight}, {self.operand(right)}, input_precision='ieee')"

    def of_state(self, pointer: str, part: int) -> str:
        """The address of a part of a state."""
        return f"{pointer} + place" + (f" + {part * self.size}" if part else "")

    def load(self, address: str, mask: str = "inside") -> str:
        """A tile from memory; zero outside."""
        return f"tl.load({address}, mask={mask}, other=0.0)"

    def apart(self, value: str) -> str:
        """Zero in the units that only fill the tile, so that no infinity of theirs meets a zero of K."""
        return value if self.size == self.whole else f"tl.where(unit_in{self.by_unit}, {value}, 0.0)"
