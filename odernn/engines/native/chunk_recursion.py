"""The sequential part of a chunk of any affine-pointwise field, by the native kernels."""

from __future__ import annotations

import torch
from torch import Tensor

from ..torch.chunk import Chunk
from ..torch.recursion_operands import by_state, by_step, run_by
from ..torch.stepper import Stepper
from .bindings import Recursion, TwoStepWeights, recursion


def run_backward(stepper: Stepper, chunk: Chunk, adjoint: list[Tensor], grad_saved: Tensor | None) -> None:
    """As the torch engine's `one_by_one`, for tensors on the CPU in float32 or float64."""
    run_by(_by_kernel, stepper, chunk, adjoint, grad_saved)


def _by_kernel(stepper: Stepper, chunk: Chunk, adjoint: list[Tensor], grad_saved: Tensor | None, first: int) -> None:
    """From the end of the chunk to the start of its interval `first`. The derivatives have the step in them."""
    method = stepper.method
    weights = _weights(stepper, chunk, first)
    a_step = len(method.b) or 1
    preactivations = chunk.preactivations[first:]
    found = recursion(
        adjoint[0],
        chunk.weight.contiguous(),
        by_step(preactivations, a_step),
        1.0 if weights is None else weights,
        method,
        state_derivative=by_state(chunk, first, a_step),
        trajectory=grad_saved,
        substeps=stepper.evaluations // a_step // stepper.saved_per_interval,
        carried=adjoint[1] if weights is not None else None,
    )
    preactivations.copy_(found.preactivation.view_as(preactivations))
    if chunk.kappas is not None:
        chunk.kappas[first:].copy_(found.kappa.view_as(chunk.kappas[first:]))
    _take(adjoint, found)


def _weights(stepper: Stepper, chunk: Chunk, first: int) -> TwoStepWeights | None:
    """Of every solver step (batch, steps), of a method that weighs two states."""
    times = slice(chunk.start + first, chunk.start + chunk.path.length)
    weights = stepper.weights_of_states(times, chunk.preactivations[0, 0], torch.float64)
    return None if weights is None else TwoStepWeights(*(each.T.contiguous() for each in weights))


def _take(adjoint: list[Tensor], found: Recursion) -> None:
    adjoint[0].copy_(found.lambda_)
    if found.carried is not None:
        adjoint[1].copy_(found.carried)
