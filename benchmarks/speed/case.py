"""What is measured: a shape, a field under a solver, and the work that is timed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Work = Literal["training", "inference", "streaming", "memory"]
Output = Literal["end", "trajectory"]

WORKS: dict[Work, str] = {
    "training": "forward + backward",
    "inference": "forward alone, without gradients",
    "streaming": "one sample a call, without gradients",
    "memory": "peak memory of forward + backward",
}

FLOAT_BYTES = 4  # everything is float32


@dataclass(frozen=True)
class Shape:
    """The size of a problem: samples T, sequences B, units N and features m of a sample."""

    time: int
    batch: int
    units: int
    inputs: int

    def __str__(self) -> str:
        return f"({self.time}, {self.batch}, {self.units}, {self.inputs})"

    @property
    def trajectory_bytes(self) -> int:
        """What the states after all samples take."""
        return self.time * self.batch * self.units * FLOAT_BYTES


@dataclass(frozen=True)
class Case:
    """One thing to measure.

    Attributes:
        shape: its size.
        field: a name of `odernn.FIELDS`, or that of the field of a user's own.
        solver: a name of `solvers.SOLVERS`, one step a sample.
        output: only the last state, or the states after all samples.
        work: what is timed.
    """

    shape: Shape
    field: str = "antisymmetric"
    solver: str = "euler"
    output: Output = "end"
    work: Work = "training"

    @property
    def title(self) -> str:
        """The case in a line."""
        return f"{self.shape} {self.field}, {self.solver}, {WORKS[self.work]}, {self.output}"

    @property
    def papers(self) -> bool:
        """Whether this is the paper's network, the one that peers compute too."""
        return self.field == "antisymmetric" and self.solver == "euler"
