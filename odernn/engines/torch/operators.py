"""The torch engine: the operators' arithmetic in torch, on any device, in place and without a tape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...control.hold import HOLDS
from ...control.input_map import AffineControl
from ..carried import Carried
from ..formulas import FORMULAS
from ..operators import Cotangents, Wants
from ..program import Operands, Program
from ..recurrence import Recurrence, Scheme
from .closed_form import ClosedFormDerivatives
from .input_gradients import InputGradients
from .stepper import Stepper
from .sweep import Forward, Recursion, SavedStates, Wanted, backward, forward, one_by_one, stepper_of


@dataclass(frozen=True, slots=True)
class Arguments:
    """A call's tensors and its program, as this engine and the Triton one read them."""

    operands: Operands
    program: Program

    @property
    def control(self) -> AffineControl:
        """The map of the input."""
        return AffineControl(self.operands.input_weight, self.operands.bias, self.program.squash == "tanh")

    def recurrence(self) -> Recurrence:
        """The problem in tensors."""
        rate = FORMULAS[self.program.kind].rate
        hold = HOLDS[self.program.hold]
        partitioned = self.program.method.family == "shears"
        scheme = Scheme(lambda y, p, u: rate(p, u), self.control, hold.between, hold.jumps, partitioned=partitioned)
        operands = self.operands
        given = operands.weight, operands.samples, operands.before, self._steps()
        return Recurrence(scheme, *given, self.program.weight_blocks)

    def stepper(self, recurrence: Recurrence) -> Stepper:
        """The method."""
        operands, program = self.operands, self.program
        carried = Carried(operands.carried, operands.coefficients)
        return stepper_of(program.method, recurrence, program.substeps, operands.y0, carried, operands.blocks)

    def _steps(self) -> float | Tensor:
        """A number that came from Python, or the intervals' lengths, (time, 1, 1) or (time, batch, 1)."""
        dt, samples = self.operands.dt, self.operands.samples
        if dt.ndim == 0 and dt.device.type == "cpu":
            return float(dt)  # read from the host's own memory, before the loop
        dt = dt.to(self.operands.y0.dtype)
        return dt.T.unsqueeze(-1) if dt.ndim == 2 else dt.expand(len(samples)).reshape(-1, 1, 1)


def solve(operands: Operands, program: Program, save: bool) -> tuple[Tensor, ...]:
    """As `Solve` has it."""
    arguments = Arguments(operands, program)
    recurrence = arguments.recurrence()
    return solve_with(forward, recurrence, arguments.stepper(recurrence), operands.y0, save=save)


def solve_with(
    sweep: Forward, recurrence: Recurrence, stepper: Stepper, y0: Tensor, *, save: bool, size: int | None = None
) -> tuple[Tensor, ...]:
    """The same by any forward sweep; `size` is that of a chunk."""
    count = recurrence.length * stepper.saved_per_interval
    saved = y0.new_empty(count, *y0.shape) if save else None
    if save:
        stepper.keep(count, y0)
    last = sweep(recurrence, stepper, stepper.substeps, y0, saved, size).clone()
    found = (saved, last, torch.stack(stepper.carried) if stepper.carried else None, stepper.kept)
    return tuple(y0.new_empty(0) if one is None else one for one in found)


def pull_back(operands: Operands, program: Program, given: Cotangents, wants: Wants) -> tuple[Tensor, ...]:
    """As `PullBack` has it."""
    return pull_back_with(one_by_one, operands, program, given, wants)


def pull_back_with(
    recursion: Recursion,
    operands: Operands,
    program: Program,
    given: Cotangents,
    wants: Wants,
    derivatives_of: Callable[..., ClosedFormDerivatives] = ClosedFormDerivatives,
) -> tuple[Tensor, ...]:
    """The same with another recursion, and with derivatives from elsewhere."""
    arguments = Arguments(operands, program)
    recurrence = arguments.recurrence()
    stepper = arguments.stepper(recurrence)
    y0 = operands.y0
    sums = InputGradients(arguments.control, operands.samples, wants.samples)
    derivatives = derivatives_of(recurrence, program.substeps, FORMULAS[program.kind], sums)
    stepper.take(given.kept, wants_coefficients=wants.dt)
    swept = backward(
        recurrence,
        stepper,
        SavedStates(y0, given.saved),
        derivatives,
        adjoints(stepper.vectors, given.of_last, given.of_carried, y0),
        given.of_saved,
        Wanted(weight=True, step=wants.dt),
        recursion,
    )
    found = (
        *(swept.adjoint[0], swept.weight, sums.weight, sums.bias, sums.samples, derivatives.before),
        None if swept.step is None else swept.step / program.substeps,
        by_vectors(swept.adjoint, operands.carried),
        *(stepper.gradient_by_coefficients(), stepper.gradient_by_blocks()),
    )
    nothing = y0.new_empty(0)
    return tuple(nothing if one is None else one for one in found)


def adjoints(count: int, last: Tensor | None, others: Tensor | None, y0: Tensor) -> list[Tensor]:
    """Buffers of dL by the vectors at the end, which the recursion works in; zeros where there is no gradient."""
    given = [last, *(() if others is None or not others.numel() else others.unbind(0))]
    given += [None] * (count - len(given))
    return [_buffer_of(each, y0) for each in given]


def by_vectors(adjoint: Sequence[Tensor], vectors: Tensor | None) -> Tensor | None:
    """dL by the vectors after the state that the first step had, if it had any."""
    return None if vectors is None else torch.stack(list(adjoint[1 : len(vectors) + 1]))


def _buffer_of(gradient: Tensor | None, y0: Tensor) -> Tensor:
    """A contiguous copy of a gradient by a state; zeros if there is none."""
    if gradient is None or not gradient.numel():
        return torch.zeros_like(y0, memory_format=torch.contiguous_format)
    return gradient.clone(memory_format=torch.contiguous_format)
