"""The two sweeps over a sequence: forward with nothing saved but states, backward chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..carried import Carried
from ..method import Method
from ..recurrence import Recurrence
from .chunk import Chunk, Derivatives
from .control_path import ENTRIES, ENTRIES_BESIDE, ControlPath, chunk_bounds
from .exponential import ExponentialStepper
from .runge_kutta import RungeKuttaStepper
from .scheme_stepper import SchemeStepper
from .splitting import SplittingStepper
from .stepper import Stepper

Recursion = Callable[[Stepper, Chunk, list[Tensor], Tensor | None], None]
"""(stepper, recorded chunk, adjoint, dL by each saved state of the chunk) goes back through the chunk, in place."""

Forward = Callable[[Recurrence, Stepper, int, Tensor, Tensor | None, int | None], Tensor]
"""What does the forward sweep: as `forward`, which it stands in for."""


def stepper_of(
    method: Method, recurrence: Recurrence, substeps: int, y0: Tensor, carried: Carried, blocks: Tensor | None = None
) -> Stepper:
    """The stepper of a method; `blocks` are the matrices of an exponential one."""
    match method.family:
        case "runge-kutta":
            return RungeKuttaStepper(method, recurrence, substeps, y0)
        case "shears":
            return SplittingStepper(method, recurrence, substeps, y0)
        case "exponential":
            assert blocks is not None
            return ExponentialStepper(method, blocks, recurrence, substeps, y0)
        case "general-linear":
            return SchemeStepper(method, recurrence, substeps, y0, carried)


@dataclass(frozen=True, slots=True)
class SavedStates:
    """The states of a solution by number: 0 is the initial one, the others were saved."""

    y0: Tensor
    saved: Tensor

    def window(self, first: int, stop: int) -> Tensor:
        """The states from number `first` to before `stop` (states, batch, n)."""
        if first > 0:
            return self.saved[first - 1 : stop - 1]
        return torch.cat((self.y0.unsqueeze(0), self.saved[: stop - 1]))


def forward(
    recurrence: Recurrence,
    stepper: Stepper,
    substeps: int,
    y0: Tensor,
    saved: Tensor | None,
    size: int | None = None,
) -> Tensor:
    """The state at the end, which lies in `saved` if that is given.

    Args:
        recurrence: what to solve, without a graph.
        stepper: the method on it, new.
        substeps: solver steps an interval.
        y0: the initial state (batch, n).
        saved: a buffer for the saved states (intervals * stepper.saved_per_interval, batch, n), or None to keep nothing
            but the state.
        size: intervals a chunk, as `chunk_bounds` takes it.
    """
    rotation = [torch.empty_like(y0) for _ in range(3)] if saved is None else []
    y = y0
    for start, stop in _bounds(recurrence, stepper, y0, size):
        path = ControlPath(recurrence.chunk(start, stop), substeps)
        first, last = start * stepper.saved_per_interval, stop * stepper.saved_per_interval
        targets = [rotation[j % 3] for j in range(first, last)] if saved is None else saved[first:last].unbind(0)
        stepper.advance(path, start, y, targets)
        y = targets[-1]
    return y


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which gradients are asked for, of those that the sweep itself adds up."""

    weight: bool
    step: bool


@dataclass(frozen=True, slots=True)
class Swept:
    """What the backward sweep finds, besides what it gives to its derivatives.

    Attributes:
        adjoint: dL/dy0, and dL by the other vectors that the method goes on from, where there are some.
        weight: dL/dK, or None if not asked for.
        step: dL/d(step) of every interval (time, batch), or None if not asked for.
    """

    adjoint: tuple[Tensor, ...]
    weight: Tensor | None
    step: Tensor | None


def backward(
    recurrence: Recurrence,
    stepper: Stepper,
    states: SavedStates,
    derivatives: Derivatives,
    adjoint: list[Tensor],
    grad_saved: Tensor | None,
    wanted: Wanted,
    recursion: Recursion,
    size: int | None = None,
) -> Swept:
    """Go back from the end to the start.

    Args:
        recurrence: what was solved, without a graph.
        stepper: the method on it.
        states: its states.
        derivatives: where derivatives come from, and where the gradients by control and parameters go.
        adjoint: dL by the last state, and by the other vectors of a method that has some; overwritten.
        grad_saved: dL by each saved state, or None.
        wanted: which gradients to add up.
        recursion: what does the sequential part.
        size: intervals a chunk, as `chunk_bounds` takes it.
    """
    weight: Tensor | None = None
    step = states.y0.new_zeros(recurrence.length, len(states.y0)) if wanted.step else None
    buffers = _Buffers(stepper, wanted.step or derivatives.wants_kappa)
    for start, stop in reversed(_bounds(recurrence, stepper, states.y0, size)):
        path = derivatives.begin_chunk(start, stop)
        chunk = Chunk(start, recurrence.weight, path, derivatives, *buffers.of(stop - start, states.y0))
        stepper.record(chunk, states)
        later = (
            None
            if grad_saved is None
            else grad_saved[start * stepper.saved_per_interval : stop * stepper.saved_per_interval]
        )
        recursion(stepper, chunk, adjoint, later)
        stepper.finish_chunk(chunk)
        if wanted.weight:
            weight = _add_weight(chunk, weight)
        if step is not None:
            stepper.add_step_gradient(chunk, step)
        derivatives.end_chunk(path, chunk.every_stage(), start, stop)
    return Swept(tuple(adjoint), weight, step)


def one_by_one(stepper: Stepper, chunk: Chunk, adjoint: list[Tensor], grad_saved: Tensor | None) -> None:
    """The recursion interval by interval, in torch."""
    later = None if grad_saved is None else grad_saved.unbind(0)
    for n in reversed(range(chunk.path.length)):
        own = None if later is None else later[n * stepper.saved_per_interval : (n + 1) * stepper.saved_per_interval]
        stepper.reverse(chunk, n, adjoint, own)


class _Buffers:
    """Buffers for the derivatives of a chunk, the same for every chunk."""

    def __init__(self, stepper: Stepper, with_kappa: bool) -> None:
        self.stepper = stepper
        self.with_kappa = with_kappa
        self.taken: tuple[Tensor, Tensor | None] | None = None

    def of(self, length: int, y: Tensor) -> tuple[Tensor, Tensor | None]:
        """Buffers for preactivations and kappas of a chunk of `length` intervals."""
        if self.taken is None or len(self.taken[0]) < length:
            shape = (length, self.stepper.evaluations, len(y))
            kappas = y.new_empty(*shape, self.stepper.units) if self.with_kappa else None
            self.taken = y.new_empty(*shape, self.stepper.preactivations), kappas
        preactivations, kappas = self.taken
        return preactivations[:length], None if kappas is None else kappas[:length]


def _add_weight(chunk: Chunk, total: Tensor | None) -> Tensor:
    """dL/dK: one product an evaluation, over all times, added to that of the chunks before or the first of all."""
    for stage in chunk.every_stage():
        total = stage.coupling.add_gradient(total, stage.preactivation, stage.source)
    assert total is not None
    return total


def _bounds(recurrence: Recurrence, stepper: Stepper, y: Tensor, size: int | None) -> list[tuple[int, int]]:
    entries = ENTRIES if y.device.type == "cpu" else ENTRIES_BESIDE
    return chunk_bounds(recurrence.length, y.numel() * stepper.evaluations, size, entries)
