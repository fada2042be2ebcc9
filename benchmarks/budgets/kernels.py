"""The kernels whose budgets are kept: each method on the field that is its own, at the sizes that matter."""

from __future__ import annotations

from ast import parse, unparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from odernn.engines.linear_method import general_linear
from odernn.engines.method import EULER, LEAPFROG, Method, exponential, runge_kutta
from odernn.engines.triton import launch
from odernn.engines.triton.advance import advance_kernel, advance_text
from odernn.engines.triton.elementwise import KINDS
from odernn.engines.triton.layout import WORDS, Layout, Precision
from odernn.engines.triton.plans import Advance, Recur
from odernn.engines.triton.programs import spread_over
from odernn.engines.triton.recur import recur_kernel, recur_text
from odernn.engines.triton.streaming import stream_of
from solvers import RK4
from solvers.extend import Entry
from solvers.methods.leapfrog_midpoint import MIDPOINT_RULE

Direction = Literal["forward", "backward"]
Variant = Literal["", "many networks", "several lengths", "large batch", "spread", "spread, streamed"]

FUNCTIONS = Path(launch.__file__).with_name("functions.py")
"""The text of the functions that the kernels call."""

METHODS: Mapping[str, tuple[Method, str]] = MappingProxyType(
    {
        "euler": (EULER, "tanh"),
        "gated euler": (EULER, "gated-tanh"),
        "rk4": (runge_kutta(RK4.tableau.a, RK4.tableau.b, RK4.tableau.c), "tanh"),
        "leapfrog": (LEAPFROG, "tanh"),
        "exact flow and euler": (exponential([Entry(1.0, -1), Entry(1.0, 0)], [[]], [Entry(1.0, -1)], [0.0]), "tanh"),
        "two-step midpoint": (general_linear(MIDPOINT_RULE), "tanh"),
    }
)
"""By name, with the activation."""
SIZES: tuple[tuple[int, Precision], ...] = ((64, "tf32x3"), (128, "tf32x3"), (128, "tf32"), (256, "bf16"))
STREAMED: tuple[tuple[int, Precision], ...] = ((256, "tf32x3"), (512, "tf32x3"), (512, "tf32"), (512, "bf16"))
"""Those whose K fits on no card."""
PROCESSORS = 132
"""Of an H100."""
ARCHITECTURES: Mapping[int, int] = MappingProxyType({80: 163, 86: 99, 90: 227, 100: 227, 120: 99})
"""Compute capabilities times ten, each with the kilobytes of shared memory that a block may have (NVIDIA, CUDA C++
Programming Guide, technical specifications per compute capability)."""


@dataclass(frozen=True)
class Kernel:
    """A kernel whose budget is kept.

    Attributes:
        method: by its name.
        units: of the state.
        precision: of the products.
        direction: which of the two kernels.
        variant: "many networks" for that of many at once, "several lengths" for rows that end early, "large batch" for
            more rows a program, "spread" where several programs share a block of rows, as for a small batch, and
            "spread, streamed" likewise on a card with less shared memory.
    """

    method: str
    units: int
    precision: Precision
    direction: Direction
    variant: Variant = ""

    @property
    def layout(self) -> Layout:
        """The sizes of the kernel."""
        method, kind = METHODS[self.method]
        layout = Layout(method, self.units, len(KINDS[kind].p), self.precision, self.variant == "many networks")
        streamed = replace(layout, stream=stream_of(layout))
        if self.variant == "spread":
            return spread_over(streamed, 128, 1, PROCESSORS, ARCHITECTURES[90] << 10)
        if self.variant == "spread, streamed":
            return spread_over(streamed, 128, 1, PROCESSORS, 0)
        if self.is_streamed:
            return streamed
        layout = replace(layout, registers=layout.words <= WORDS)
        return layout if self.variant == "large batch" else spread_over(layout, 128, 1, PROCESSORS, 0)

    @property
    def is_streamed(self) -> bool:
        """Whether K is read from memory."""
        return (self.units, self.precision) in STREAMED and self.variant != "spread"

    @property
    def plan(self) -> Advance | Recur:
        """What it is written for: one input, zero-order hold, one step a sample, states stored, as in training.

        Where K is streamed, the control comes from outside.
        """
        layout, trace = self.layout, KINDS[METHODS[self.method][1]]
        lengths = self.variant == "several lengths"
        if self.direction == "backward":
            return Recur(
                layout, 1, by_state=False, later=False, kappas=len(trace.u) > 1, blocks_vary=False, lengths=lengths
            )
        inputs = None if self.is_streamed else 1
        return Advance(
            layout, trace, inputs, "zero-order", False, "number", 1, save=True, blocks_vary=False, lengths=lengths
        )

    @property
    def compiled(self) -> Any:
        """The Triton function."""
        plan = self.plan
        return advance_kernel(plan) if isinstance(plan, Advance) else recur_kernel(plan)

    @property
    def fingerprint(self) -> str:
        """A checksum of the kernel's text and of the functions in which it multiplies."""
        plan = self.plan
        text = advance_text(plan) if isinstance(plan, Advance) else recur_text(plan)
        text += unparse(parse(FUNCTIONS.read_text("utf-8")))
        return sha256(text.encode()).hexdigest()[:16]

    def absent(self) -> set[str]:
        """The arguments of the kernel that are None."""
        family, plan = self.layout.method.family, self.plan
        two, blocks = family == "general-linear", family == "exponential"
        if isinstance(plan, Advance):
            gone = {"before", "numbers", "weights"} | (set() if two else {"previous", "other"})
            gone |= {"input_weight", "bias"} if plan.inputs is None else set()
            return gone | (set() if blocks else {"blocks"})
        gone = {"by_state", "later", "mus"} | (set() if two else {"carried", "weights", "carried_out"})
        return gone | (set() if blocks else {"blocks", "ends"}) | (set() if plan.kappas else {"kappas"})


def all_kernels() -> Iterator[Kernel]:
    """All kernels; of variants, which differ in a few addresses and masks, only Euler's method."""
    for method in METHODS:
        for units, precision in (*SIZES, *STREAMED):
            for direction in ("forward", "backward"):
                yield Kernel(method, units, precision, direction)
    for variant in ("many networks", "several lengths", "large batch"):
        for units, precision in SIZES:
            for direction in ("forward", "backward"):
                yield Kernel("euler", units, precision, direction, variant)
    for variant in ("spread", "spread, streamed"):
        for method in ("euler", "rk4"):
            for units, precision in STREAMED:
                for direction in ("forward", "backward"):
                    yield Kernel(method, units, precision, direction, variant)


def architectures(kernel: Kernel) -> list[int]:
    """The architectures that a kernel is compiled for: all for Euler's method, the two server cards for others."""
    return list(ARCHITECTURES) if kernel.method == "euler" and not kernel.variant else [80, 90]
