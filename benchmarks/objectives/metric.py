"""A measure of quality: its name, its unit, and which direction is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """A number that says how good a network is, and how people read it.

    Attributes:
        name: its key in results and logs.
        title: in words.
        unit: in which it is shown.
        better: whether the largest or the smallest is the best.
        factor: from the stored number to the shown one, 100 for a share in per cent.
        style: the format of a shown number in a line of text.
        table_style: the same in a table, which stands for several seeds and is coarser.
    """

    name: str
    title: str
    unit: str
    better: Literal["max", "min"]
    factor: float = 1.0
    style: str = ".4f"
    table_style: str = ".4f"

    @property
    def label(self) -> str:
        """Title and unit, for an axis or a note."""
        return f"{self.title} ({self.unit})"

    def text(self, value: float) -> str:
        """`value` with its unit: "97.31 %"."""
        return f"{self.factor * value:{self.style}} {self.unit}"

    def cell(self, value: float) -> str:
        """`value` in a table, without its unit: "97.3"."""
        return f"{self.factor * value:{self.table_style}}"

    def merit(self, value: float) -> float:
        """A number that is larger the better `value` is."""
        return value if self.better == "max" else -value
