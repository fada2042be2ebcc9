"""The operators of the Triton engine: forward one kernel, backward torch's with a kernel for the recursion."""

from __future__ import annotations

from torch import Tensor

from ..operators import TRITON, Cotangents, Wants, register_engine
from ..program import Operands, Program
from ..torch import operators as by_torch
from ..torch.operators import Arguments
from .availability import precision_of, why_not
from .chunk_recursion import run_backward
from .elementwise import KINDS
from .forward import run_forward
from .launch import Driven
from .layout import Layout


def solve(operands: Operands, program: Program, save: bool) -> tuple[Tensor, Tensor, Tensor]:
    """As `Solve` has it; the torch engine's runs in its place where the kernels cannot."""
    layout = _layout(operands, program)
    if why_not(operands.y0, layout.method, layout.groups) is not None:
        return by_torch.solve(operands, program, save)
    arguments = Arguments(operands, program)
    recurrence = arguments.recurrence()
    stepper = arguments.stepper(recurrence)
    y0 = operands.y0
    saved = y0.new_empty(len(operands.samples) * stepper.saved_per_interval, *y0.shape) if save else None
    driven = Driven(
        recurrence,
        KINDS[program.kind],
        None if program.squash == "tanh" else operands.input_weight,
        operands.bias,
        linear=program.hold == "linear",
        substeps=program.substeps,
        blocks=operands.blocks,
    )
    last, other = run_forward(layout, driven, stepper, y0, saved)
    nothing = y0.new_empty(0)
    return nothing if saved is None else saved, last, nothing if other is None else other


def pull_back(operands: Operands, program: Program, given: Cotangents, wants: Wants) -> tuple[Tensor, ...]:
    """As `PullBack` has it, the recursion by a kernel."""
    layout = _layout(operands, program)
    if why_not(operands.y0, layout.method, layout.groups) is not None:
        return by_torch.pull_back(operands, program, given, wants)
    return by_torch.pull_back_with(run_backward, operands, program, given, wants)


def _layout(operands: Operands, program: Program) -> Layout:
    units = operands.y0.shape[-1]
    return Layout(program.method, units, len(operands.weight) // units, precision_of(operands.y0.device))


def register() -> None:
    """Define the operators in torch.ops."""
    register_engine(TRITON, solve, pull_back)
