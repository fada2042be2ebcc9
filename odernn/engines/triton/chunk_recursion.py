"""The sequential part of a chunk of any affine-pointwise field, by the kernel."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from ..program import Products, Program
from ..torch.chunk import Chunk
from ..torch.recursion_operands import by_state, by_step, run_by
from ..torch.stepper import Stepper
from ..torch.sweep import Recursion
from .availability import layout_for
from .launch import models_first, recur
from .layout import Layout


def run_backward(stepper: Stepper, chunk: Chunk, adjoint: list[Tensor], grad_saved: Tensor | None) -> None:
    """As the torch engine's `one_by_one`, in one launch."""
    run_by(partial(_by_kernel, "float32", None), stepper, chunk, adjoint, grad_saved)


def backward_of(program: Program, lengths: Tensor | None) -> Recursion:
    """The same of a program, and of rows that end early."""
    return lambda *given: run_by(partial(_by_kernel, program.products, lengths), *given)


def _layout(stepper: Stepper, chunk: Chunk, products: Products) -> Layout:
    units = chunk.weight.shape[-1]
    groups, models = chunk.weight.shape[-2] // units, chunk.weight.ndim == 3
    return layout_for(chunk.weight.device, stepper.method, units, groups, products, models=models)


def _by_kernel(
    products: Products,
    lengths: Tensor | None,
    stepper: Stepper,
    chunk: Chunk,
    adjoint: list[Tensor],
    later: Tensor | None,
    first: int,
) -> None:
    """From the end of the chunk to the start of its interval `first`."""
    layout = _layout(stepper, chunk, products)
    stages = layout.stages
    weights, blocks = _weights(stepper, chunk, first), stepper.block_operands(chunk)
    kappas = None if chunk.kappas is None else by_step(chunk.kappas[first:], stages)
    went = recur(
        layout,
        chunk.weight,
        by_step(chunk.preactivations[first:], stages),
        adjoint[0],
        substeps=stepper.evaluations // stages // stepper.saved_per_interval,
        by_state=by_state(chunk, first, stages),
        later=later,
        weights=weights,
        blocks=None if blocks is None else models_first(blocks.blocks, layout),
        carried=None if weights is None else adjoint[1],
        kappas=kappas,
        ends=None if blocks is None else blocks.ends.flatten(0, 1),
        mus=None if blocks is None or blocks.mus is None else blocks.mus.flatten(0, 1),
        lengths=_left(lengths, chunk.start + first, stepper.saved_per_interval),
    )
    adjoint[0] = went.gradient
    if went.carried is not None:
        adjoint[1] = went.carried


def _left(lengths: Tensor | None, start: int, each: int) -> Tensor | None:
    """The gradients that each row has from interval `start` on, so many an interval."""
    if lengths is None:
        return None
    left = lengths - start if start else lengths
    return left * each if each > 1 else left


def _weights(stepper: Stepper, chunk: Chunk, first: int) -> Tensor | None:
    """Of every solver step (steps, 3, batch), of a method that weighs two states."""
    times = slice(chunk.start + first, chunk.start + chunk.path.length)
    like = chunk.preactivations[0, 0]
    weights = stepper.weights_of_states(times, like, like.dtype)
    return None if weights is None else torch.stack(weights, dim=1)
