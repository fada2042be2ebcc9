"""The sequential part of a chunk of any affine-pointwise field, by the native kernels."""

from __future__ import annotations

import torch
from torch import Tensor

from ..stepper_method import method_of
from ..torch.chunk import Chunk
from ..torch.recursion_operands import by_state, by_step
from ..torch.stepper import Stepper
from ..torch.two_step import TwoStepStepper
from .bindings import Recursion, TwoStepWeights, recursion


def run_backward(stepper: Stepper, chunk: Chunk, adjoint: list[Tensor], grad_saved: Tensor | None) -> None:
    """As `solvers.parallel.one_by_one`, for tensors on the CPU in float32 or float64.

    The first interval of a two-step method that starts goes by torch: its first step is of another method.
    """
    first = 1 if isinstance(stepper, TwoStepStepper) and stepper.cold and chunk.start == 0 else 0
    if chunk.path.length > first:
        _by_kernel(
            stepper,
            chunk,
            adjoint,
            None if grad_saved is None else grad_saved[first * stepper.saved_per_interval :],
            first,
        )
    if first:
        own = None if grad_saved is None else grad_saved[: stepper.saved_per_interval].unbind(0)
        stepper.reverse(chunk, 0, adjoint, own)


def _by_kernel(stepper: Stepper, chunk: Chunk, adjoint: list[Tensor], grad_saved: Tensor | None, first: int) -> None:
    """From the end of the chunk to the start of its interval `first`. The derivatives have the step in them."""
    method = method_of(stepper)
    weights = _two_step_weights(stepper, chunk, first) if isinstance(stepper, TwoStepStepper) else None
    a_step = len(method.b) or 1
    preactivations = chunk.preactivations[first:]
    found = recursion(
        adjoint[0],
        chunk.weight.contiguous(),
        by_step(preactivations, a_step),
        1.0 if weights is None else weights,
        method,
        state_derivative=by_state(chunk, first, a_step),
        trajectory=None if grad_saved is None else grad_saved.contiguous(),
        substeps=stepper.evaluations // a_step // stepper.saved_per_interval,
        carried=adjoint[1] if weights is not None else None,
    )
    preactivations.copy_(found.preactivation.view_as(preactivations))
    if chunk.kappas is not None:
        chunk.kappas[first:].copy_(found.kappa.view_as(chunk.kappas[first:]))
    _take(adjoint, found)


def _two_step_weights(stepper: TwoStepStepper, chunk: Chunk, first: int) -> TwoStepWeights:
    """r^2, 1 - r^2 and 1 + r of every solver step (batch, steps), r being 1 between the samples."""
    like = chunk.preactivations.new_empty(chunk.preactivations.shape[2], dtype=torch.float64)
    ratios = stepper.ratios(chunk.start + first, chunk.start + chunk.path.length, like).T.unsqueeze(-1)
    ones = ratios.new_ones(1, 1, 1).expand(len(like), ratios.shape[1], stepper.saved_per_interval - 1)
    r = torch.cat((ratios, ones), dim=-1).flatten(1)
    return TwoStepWeights((r * r).contiguous(), 1 - r * r, 1 + r)


def _take(adjoint: list[Tensor], found: Recursion) -> None:
    adjoint[0].copy_(found.lambda_)
    if found.carried is not None:
        adjoint[1].copy_(found.carried)
