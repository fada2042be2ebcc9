"""The sequential part of a chunk of any affine-pointwise field, by the kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from ..stepper_method import method_of
from ..torch.chunk import Chunk
from ..torch.exponential import ExponentialStepper
from ..torch.recursion_operands import by_state, by_step
from ..torch.stepper import Stepper
from ..torch.two_step import TwoStepStepper
from .availability import precision_of
from .launch import recur
from .layout import Layout


def run_backward(stepper: Stepper, chunk: Chunk, adjoint: list[Tensor], grad_saved: Tensor | None) -> None:
    """As the torch engine's `one_by_one`, in one launch.

    The first interval of a two-step method that starts goes by torch: its first step is of another method.
    """
    first = 1 if isinstance(stepper, TwoStepStepper) and stepper.cold and chunk.start == 0 else 0
    each = stepper.saved_per_interval
    if chunk.path.length > first:
        later = None if grad_saved is None else grad_saved[first * each :].contiguous()
        _by_kernel(_layout(stepper, chunk), stepper, chunk, adjoint, later, first)
    if first:
        stepper.reverse(chunk, 0, adjoint, None if grad_saved is None else grad_saved[:each].unbind(0))


def _layout(stepper: Stepper, chunk: Chunk) -> Layout:
    units = chunk.weight.shape[-1]
    return Layout(method_of(stepper), units, len(chunk.weight) // units, precision_of(chunk.weight.device))


def _by_kernel(
    layout: Layout, stepper: Stepper, chunk: Chunk, adjoint: list[Tensor], later: Tensor | None, first: int
) -> None:
    """From the end of the chunk to the start of its interval `first`."""
    stages = layout.stages
    weights = _weights(stepper, chunk, first) if isinstance(stepper, TwoStepStepper) else None
    exponential = stepper if isinstance(stepper, ExponentialStepper) else None
    kappas = None if chunk.kappas is None else by_step(chunk.kappas[first:], stages)
    went = recur(
        layout,
        chunk.weight.contiguous(),
        by_step(chunk.preactivations[first:], stages),
        adjoint[0],
        substeps=stepper.evaluations // stages // stepper.saved_per_interval,
        by_state=by_state(chunk, first, stages),
        later=later,
        weights=weights,
        blocks=None if exponential is None else exponential.blocks_of(chunk),
        carried=None if weights is None else adjoint[1],
        kappas=kappas,
        ends=None if exponential is None else exponential.ends.flatten(0, 1),
        mus=None if exponential is None or exponential.mus is None else exponential.mus.flatten(0, 1),
    )
    adjoint[0].copy_(went.gradient)
    if went.carried is not None:
        adjoint[1].copy_(went.carried)


def _weights(stepper: TwoStepStepper, chunk: Chunk, first: int) -> Tensor:
    """r^2, 1 - r^2 and 1 + r of every solver step (steps, 3, batch), r being 1 between the samples."""
    like = chunk.preactivations[0, 0]
    ratios = stepper.ratios(chunk.start + first, chunk.start + chunk.path.length, like)
    r = ratios.new_ones(len(ratios), stepper.saved_per_interval, len(like))
    r[:, 0] = ratios
    r = r.flatten(0, 1)
    return torch.stack((r * r, 1 - r * r, 1 + r), dim=1).contiguous()
