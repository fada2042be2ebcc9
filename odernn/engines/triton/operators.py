"""The operators of the Triton engine: forward one kernel, backward torch's with a kernel for the recursion."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from ..mapping import map_as_rows
from ..operators import TRITON, Cotangents, Wants, define_engine, flat_pull_back, flat_solve, of_one_length
from ..program import Operands, Program
from ..torch import operators as by_torch
from ..torch.operators import Arguments
from .availability import layout_for, why_not
from .chunk_recursion import backward_of
from .derivatives import KernelDerivatives
from .elementwise import KINDS
from .forward import run_forward
from .launch import Driven
from .layout import Layout
from .lengths import pull_back_any_length, solve_any_length


def solve(operands: Operands, program: Program, save: bool) -> tuple[Tensor, ...]:
    """As `Solve` has it; the torch engine's runs in its place where the kernels cannot."""
    layout = _layout(operands, program)
    if why_not(operands.y0, layout.method, layout.groups, program.products) is not None:
        return by_torch.solve(of_one_length(TRITON, operands), program, save)
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
        blocks=operands.blocks.movedim(0, 1) if layout.models and operands.blocks is not None else operands.blocks,
        lengths=operands.lengths,
    )
    last, other = run_forward(layout, driven, stepper, y0, saved)
    found = (saved, last, None if other is None else other.unsqueeze(0), None)
    return tuple(y0.new_empty(0) if one is None else one for one in found)


def pull_back(operands: Operands, program: Program, given: Cotangents, wants: Wants) -> tuple[Tensor, ...]:
    """As `PullBack` has it, the recursion by a kernel."""
    layout = _layout(operands, program)
    if why_not(operands.y0, layout.method, layout.groups, program.products) is not None:
        return by_torch.pull_back(of_one_length(TRITON, operands), program, given, wants)
    recursion, derivatives = backward_of(program, operands.lengths), partial(KernelDerivatives, KINDS[program.kind])
    return by_torch.pull_back_with(recursion, operands, program, given, wants, derivatives)


def _layout(operands: Operands, program: Program) -> Layout:
    units = operands.y0.shape[-1]
    groups, models = operands.weight.shape[-2] // units, operands.weight.ndim == 3
    return layout_for(operands.y0.device, program.method, units, groups, program.products, models=models)


def register() -> None:
    """Define the operators in torch.ops."""
    define_engine(TRITON, flat_solve(solve_any_length(solve)), flat_pull_back(pull_back_any_length(pull_back)))
    map_as_rows(TRITON)
