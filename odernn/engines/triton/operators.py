"""The operators of the Triton engine: forward one kernel, backward torch's with a kernel for the recursion."""

from __future__ import annotations

from torch import Tensor

from ..operators import TRITON, register_engine
from ..torch import operators as by_torch
from ..torch.operators import Arguments
from .availability import precision_of, why_not
from .chunk_recursion import run_backward
from .elementwise import KINDS
from .forward import run_forward
from .launch import Driven
from .layout import Layout


def solve(*given: object) -> tuple[Tensor, ...]:
    """As the torch engine's operator of the same schema, which runs in its place where the kernels cannot."""
    *common, save = given
    arguments = Arguments(*common)  # pyright: ignore[reportArgumentType]
    layout = _layout(arguments)
    if why_not(arguments.y0, layout.method, layout.groups) is not None:
        return by_torch.solve(*given)
    recurrence = arguments.recurrence()
    stepper = arguments.stepper(recurrence)
    y0 = arguments.y0
    saved = y0.new_empty(len(arguments.samples) * stepper.saved_per_interval, *y0.shape) if save else None
    squashed = arguments.squash == "tanh"
    driven = Driven(
        recurrence,
        KINDS[arguments.kind],
        None if squashed else arguments.input_weight,
        arguments.bias,
        linear=arguments.hold == "linear",
        substeps=arguments.substeps,
        blocks=arguments.blocks,
    )
    last, other = run_forward(layout, driven, stepper, y0, saved)
    nothing = y0.new_empty(0)
    others = nothing if other is None else other.unsqueeze(0)
    return nothing if saved is None else saved, last, others, nothing


def pull_back(*given: object) -> tuple[Tensor, ...]:
    """As the torch engine's operator, its recursion by a kernel."""
    arguments = Arguments(*given[5:-2])  # pyright: ignore[reportArgumentType]
    layout = _layout(arguments)
    if why_not(arguments.y0, layout.method, layout.groups) is not None:
        return by_torch.pull_back(*given)
    return by_torch.pull_back_with(run_backward, *given)


def _layout(arguments: Arguments) -> Layout:
    units = arguments.y0.shape[-1]
    return Layout(arguments.method, units, len(arguments.weight) // units, precision_of(arguments.y0.device))


def register() -> None:
    """Define the operators in torch.ops."""
    register_engine(TRITON, solve, pull_back)
