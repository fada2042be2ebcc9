"""What a kernel for the recursion takes of a chunk, and which part of a chunk it takes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .chunk import Chunk
from .stepper import Stepper
from .two_step import TwoStepStepper

Kernel = Callable[[Stepper, Chunk, list[Tensor], Tensor | None, int], None]
"""(stepper, recorded chunk, adjoint, dL by each saved state, first) goes back to the start of interval `first`."""


def run_by(kernel: Kernel, stepper: Stepper, chunk: Chunk, adjoint: list[Tensor], grad_saved: Tensor | None) -> None:
    """As `one_by_one`, by a kernel.

    The first interval of a two-step method that starts goes by torch: its first step is of another method.
    """
    first = 1 if isinstance(stepper, TwoStepStepper) and stepper.cold and chunk.start == 0 else 0
    each = stepper.saved_per_interval
    if chunk.path.length > first:
        later = None if grad_saved is None else grad_saved[first * each :].contiguous()
        kernel(stepper, chunk, adjoint, later, first)
    if first:
        stepper.reverse(chunk, 0, adjoint, None if grad_saved is None else grad_saved[:each].unbind(0))


def two_step_weights(
    stepper: TwoStepStepper, chunk: Chunk, first: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """r^2, 1 - r^2 and 1 + r of every solver step (steps, batch), r being 1 between the samples."""
    like = chunk.preactivations.new_empty(chunk.preactivations.shape[2], dtype=dtype)
    ratios = stepper.ratios(chunk.start + first, chunk.start + chunk.path.length, like)
    r = ratios.new_ones(len(ratios), stepper.saved_per_interval, len(like))
    r[:, 0] = ratios
    r = r.flatten(0, 1)
    return r * r, 1 - r * r, 1 + r


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
