"""Launches of the kernels on tensors: the forward sweep of a recurrence, and the recursion of a chunk."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from ..recurrence import Recurrence
from ..torch.control_path import chunk_bounds
from ..traced.trace import Trace
from .advance import advance_kernel
from .layout import Layout
from .plans import Advance, Recur
from .programs import compile_options, grid_of, spread_on
from .recur import recur_kernel
from .streaming import in_order

INPUTS = 4
"""Entries of the input up to which the kernel makes the control itself; beyond, it is one product outside."""
ENTRIES = 1 << 26
"""Entries of the control, or of what the stages keep, that a chunk of time may have: 256 MB."""


@dataclass(frozen=True, slots=True)
class Driven:
    """What the forward kernel runs.

    Attributes:
        recurrence: the tensors.
        trace: the elementwise part.
        input_weight: V (U, m) of an affine control that nothing squashes, or None for any other.
        bias: b (U,), with V.
        linear: whether the control runs in a straight line between the samples.
        substeps: solver steps a sample.
        blocks: the matrices of an exponential method (1 or time, matrices, 2, 2, n / 2), or None; of several networks
            (1 or time, models, matrices, 2, 2, n / 2).
        numbers: the numbers of the units that `pointwise` reads (numbers, n), or None.
        lengths: the samples of each row (batch,), or None if all have all.
    """

    recurrence: Recurrence
    trace: Trace
    input_weight: Tensor | None
    bias: Tensor | None
    linear: bool
    substeps: int
    blocks: Tensor | None = None
    numbers: Tensor | None = None
    lengths: Tensor | None = None

    def chunk(self, start: int, stop: int) -> Driven:
        """The samples from `start` to `stop`, with all matrices."""
        if start == 0 and stop == self.recurrence.length:
            return self
        lengths = self.lengths - start if self.lengths is not None and start else self.lengths
        return replace(self, recurrence=self.recurrence.chunk(start, stop), lengths=lengths)

    def made_inside(self, layout: Layout) -> bool:
        """Whether the kernel makes the control: with K on the chip; beside a wider state V and x take too much room."""
        return has_few_inputs(self.input_weight) and layout.stream is None


def has_few_inputs(input_weight: Tensor | None) -> bool:
    """Whether there is a V, of so few inputs that a kernel makes the control itself."""
    return input_weight is not None and input_weight.shape[-1] <= INPUTS


def advance(
    layout: Layout,
    driven: Driven,
    y0: Tensor,
    saved: Tensor | None,
    *,
    previous: Tensor | None = None,
    weights: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """The state after the last sample, and of a method that weighs two states the one before it.

    Args:
        layout: sizes and method.
        driven: what to run.
        y0: the initial state (batch, n).
        saved: a buffer for the saved states (states, batch, n), or None.
        previous: method that weighs two states: the state one solver step before `y0`.
        weights: of such a method: e, w and s of every step (steps, 3, batch), or None where all are the method's own.
    """
    layout = spread_on(layout, y0, driven.recurrence.weight)
    whole, family = driven.recurrence, layout.method.family
    width = driven.trace.controls * layout.units * len(y0)
    size = whole.length if driven.made_inside(layout) else max(1, ENTRIES // max(1, width))
    each = driven.substeps if family == "general-linear" else 1
    y, z = y0, previous
    for start, stop in chunk_bounds(whole.length, 1, size):
        part = None if saved is None else saved[start * each : stop * each]
        own = None if weights is None else weights[start * each : stop * each]
        blocks = driven.blocks
        if blocks is not None and len(blocks) > 1:
            blocks = blocks[start:stop]
        y, z = _advance(layout, driven.chunk(start, stop), y, part, z, own, blocks)
    return y, z


def _advance(
    layout: Layout,
    driven: Driven,
    y0: Tensor,
    saved: Tensor | None,
    previous: Tensor | None,
    weights: Tensor | None,
    blocks: Tensor | None,
) -> tuple[Tensor, Tensor | None]:
    inside, chunk = driven.made_inside(layout), driven.recurrence
    samples = chunk.samples if inside else chunk.scheme.control(chunk.samples)
    kind, dt = step_of(chunk.dt, len(y0))
    plan = Advance(
        layout,
        driven.trace,
        inputs=samples.shape[-1] if inside else None,
        hold="linear" if driven.linear else "zero-order",
        before=chunk.before is not None and driven.linear,
        step=kind,
        substeps=driven.substeps,
        save=saved is not None,
        blocks_vary=blocks is not None and len(blocks) > 1,
        weights=weights is not None,
        lengths=driven.lengths is not None,
    )
    last = torch.empty_like(y0)
    other = torch.empty_like(y0) if previous is not None else None
    matrices = None if blocks is None else models_first(blocks, layout)
    weight = in_order(layout, chunk.weight, transposed=True)
    grid, further = grid_of(layout, y0, chunk.weight, driven.lengths)
    with on_device(y0):
        advance_kernel(plan)[grid](
            *(y0, weight, samples.contiguous(), driven.input_weight, driven.bias, chunk.before, dt, weights, previous),
            *(matrices, driven.numbers, saved, last, other, chunk.length, len(y0), *further),
            **compile_options(layout),
        )
    return last, other


def step_of(dt: float | Tensor, batch: int) -> tuple[Literal["number", "time", "rows"], float | Tensor]:
    """Which kind of step it is, and the step as the kernel takes it."""
    if not isinstance(dt, Tensor):
        return "number", float(dt)
    flat = dt.reshape(len(dt), -1)
    if flat.shape[1] == 1 and batch != 1:
        return "time", flat[:, 0].float().contiguous()
    return "rows", flat.float().contiguous()


@dataclass(frozen=True, slots=True)
class Went:
    """What the recursion of a chunk leaves besides what it writes in place.

    Attributes:
        gradient: dL by the state before the chunk.
        carried: method that weighs two states: dL by the state before that.
    """

    gradient: Tensor
    carried: Tensor | None


def recur(
    layout: Layout,
    weight: Tensor,
    by_preactivation: Tensor,
    gradient: Tensor,
    *,
    substeps: int,
    by_state: Tensor | None = None,
    later: Tensor | None = None,
    weights: Tensor | None = None,
    blocks: Tensor | None = None,
    carried: Tensor | None = None,
    kappas: Tensor | None = None,
    ends: Tensor | None = None,
    mus: Tensor | None = None,
    lengths: Tensor | None = None,
) -> Went:
    """Go back through a chunk.

    Args:
        layout: sizes and method.
        weight: K.
        by_preactivation: the derivatives of every evaluation times the step (steps, stages, batch, preactivations),
            overwritten by dL by the preactivation.
        gradient: dL by the state after the chunk (batch, n).
        substeps: solver steps from one gradient in `later` to the next.
        by_state: the derivatives by the state itself times the step (steps, stages, batch, units), or None.
        later: dL by the states that were saved (steps / substeps, batch, n), or None.
        weights: method that weighs two states: e, w and s of every step (steps, 3, batch).
        blocks: exponential method: the matrices of the chunk's intervals, one set or one each; the models first.
        carried: method that weighs two states: dL by the state before the last.
        kappas: a buffer for dL / d(step slope) like `by_state`, or None.
        ends: exponential method: a buffer for dL by the state after every step (steps, batch, n).
        mus: exponential method: a buffer for what comes back through every stage (steps, stages, batch, n).
        lengths: the intervals of the chunk that each row has (batch,), or None if all have all.
    """
    layout = spread_on(layout, gradient, weight)
    plan = Recur(
        layout,
        substeps=substeps,
        by_state=by_state is not None,
        later=later is not None,
        kappas=kappas is not None,
        blocks_vary=blocks is not None and blocks.shape[-5] > 1,
        lengths=lengths is not None,
    )
    grid, further = grid_of(layout, gradient, weight, lengths)
    weight = in_order(layout, weight, transposed=False)
    found = torch.empty_like(gradient)
    before = torch.empty_like(gradient) if carried is not None else None
    with on_device(gradient):
        recur_kernel(plan)[grid](
            *(gradient, carried, weight, by_preactivation, by_state, later, weights, blocks, kappas, ends, mus),
            *(found, before, len(by_preactivation) // substeps, len(gradient), *further),
            **compile_options(layout),
        )
    return Went(found, before)


def models_first(blocks: Tensor, layout: Layout) -> Tensor:
    """Matrices of intervals (intervals, models, ...) as the kernels take them; of one network as they are."""
    return blocks.movedim(1, 0).contiguous() if layout.models else blocks


def on_device(y: Tensor) -> AbstractContextManager[Any]:
    """The tensor's own device, which Triton launches on; nothing if it is the present one, or the host's."""
    elsewhere = y.is_cuda and y.get_device() != torch.cuda.current_device()
    return torch.cuda.device(y.device) if elsewhere else nullcontext()
