"""What a kernel for the recursion takes of a chunk, and which part of a chunk it takes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..linear_method import linear_method
from ..method import Method
from .chunk import Chunk
from .stepper import Stepper
from .sweep import one_by_one

Kernel = Callable[[Stepper, Chunk, list[Tensor], Tensor | None, int], None]
"""(stepper, recorded chunk, adjoint, dL by each saved state, first) goes back to the start of interval `first`."""


def run_by(kernel: Kernel, stepper: Stepper, chunk: Chunk, adjoint: list[Tensor], grad_saved: Tensor | None) -> None:
    """As `one_by_one`, by a kernel where it knows the method.

    The intervals in which a method that weighs two states starts go by torch: the steps there are of other methods.
    """
    if not knows_recursion(stepper.method):
        one_by_one(stepper, chunk, adjoint, grad_saved)
        return
    first = stepper.starting_intervals(chunk.start, chunk.path.length)
    each = stepper.saved_per_interval
    if chunk.path.length > first:
        later = None if grad_saved is None else grad_saved[first * each :].contiguous()
        kernel(stepper, chunk, adjoint, later, first)
        stepper.take_kappas(chunk, first)
    for n in reversed(range(first)):
        own = None if grad_saved is None else grad_saved[n * each : (n + 1) * each].unbind(0)
        stepper.reverse(chunk, n, adjoint, own)


def knows_recursion(method: Method) -> bool:
    """Whether the kernels' recursion knows a method: of those that carry several vectors it does if they are states."""
    return method.family != "general-linear" or linear_method(method).weighs_two_states


def by_step(buffer: Tensor, evaluations: int) -> Tensor:
    """A buffer (time, evaluations, ...) as (solver steps, evaluations of one, ...)."""
    return buffer.reshape(-1, evaluations, *buffer.shape[2:])


def by_state(chunk: Chunk, first: int, evaluations: int) -> Tensor | None:
    """The derivatives by the state (solver steps, evaluations of one, batch, units), or None if it never enters.

    Args:
        chunk: recorded.
        first: the interval of the chunk to begin with.
        evaluations: of a solver step.
    """
    found = [stage.state for stage in chunk.stages]
    if all(one is None for one in found):
        return None
    zeros = torch.zeros_like(next(one for one in found if one is not None))
    return by_step(torch.stack([zeros if one is None else one for one in found], dim=1)[first:], evaluations)
