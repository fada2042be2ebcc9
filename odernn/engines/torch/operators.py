"""The torch engine: the operators' arithmetic in torch, on any device, in place and without a tape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from solvers import Shear

from ...control.hold import HOLDS
from ...control.input_map import AffineControl
from ..formulas import FORMULAS
from ..operators import Cotangents, Wants
from ..program import Operands, Program
from ..recurrence import Recurrence, Scheme
from .closed_form import ClosedFormDerivatives
from .exponential import BlockScheme, ExponentialStepper
from .input_gradients import InputGradients
from .runge_kutta import RungeKuttaStepper
from .splitting import SplittingStepper
from .stepper import Stepper
from .sweep import Recursion, SavedStates, Wanted, backward, forward, one_by_one
from .two_step import TwoStepStepper


@dataclass(frozen=True, slots=True)
class _Tableau:
    a: tuple[Sequence[float], ...]
    b: Sequence[float]
    c: Sequence[float]

    @property
    def stages(self) -> int:
        return len(self.b)


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
        return Recurrence(scheme, operands.weight, operands.samples, operands.before, self._steps())

    def stepper(self, recurrence: Recurrence) -> Stepper:
        """The method."""
        method, substeps, operands = self.program.method, self.program.substeps, self.operands
        if method.family == "runge-kutta":
            s = len(method.b)
            rows = tuple(method.a[i * s : (i + 1) * s] for i in range(s))
            return RungeKuttaStepper(_Tableau(rows, method.b, method.c), recurrence, substeps, operands.y0)
        if method.family == "exponential":
            assert operands.blocks is not None
            blocks = operands.blocks.movedim(0, 1) if operands.weight.ndim == 3 else operands.blocks
            scheme = BlockScheme(method.entries, method.c, blocks)
            return ExponentialStepper(scheme, recurrence, substeps, operands.y0)
        if method.family == "shears":
            shears = [Shear(half == 1, *move) for half, *move in zip(method.moved, method.b, method.c, strict=True)]
            return SplittingStepper(shears, recurrence, substeps, operands.y0)
        dt = None if operands.dt_previous is None else operands.dt_previous.unsqueeze(-1)
        return TwoStepStepper(recurrence, substeps, operands.y0, operands.y_previous, dt)

    def _steps(self) -> float | Tensor:
        """A number that came from Python, or the intervals' lengths, (time, 1, 1) or (time, batch, 1)."""
        dt, samples = self.operands.dt, self.operands.samples
        if dt.ndim == 0 and dt.device.type == "cpu":
            return float(dt)  # read from the host's own memory, before the loop
        dt = dt.to(self.operands.y0.dtype)
        return dt.T.unsqueeze(-1) if dt.ndim == 2 else dt.expand(len(samples)).reshape(-1, 1, 1)


def solve(operands: Operands, program: Program, save: bool) -> tuple[Tensor, Tensor, Tensor]:
    """As `Solve` has it."""
    arguments = Arguments(operands, program)
    recurrence = arguments.recurrence()
    stepper = arguments.stepper(recurrence)
    y0 = operands.y0
    saved = y0.new_empty(len(operands.samples) * stepper.saved_per_interval, *y0.shape) if save else None
    last = forward(recurrence, stepper, program.substeps, y0, saved)
    two_step = isinstance(stepper, TwoStepStepper)
    other = stepper.last_but_one.clone() if two_step else y0.new_empty(0)
    return y0.new_empty(0) if saved is None else saved, last.clone(), other


def pull_back(operands: Operands, program: Program, given: Cotangents, wants: Wants) -> tuple[Tensor, ...]:
    """As `PullBack` has it."""
    return pull_back_with(one_by_one, operands, program, given, wants)


def pull_back_with(
    recursion: Recursion, operands: Operands, program: Program, given: Cotangents, wants: Wants
) -> tuple[Tensor, ...]:
    """The same with another recursion."""
    arguments = Arguments(operands, program)
    recurrence = arguments.recurrence()
    stepper = arguments.stepper(recurrence)
    y0 = operands.y0
    sums = InputGradients(arguments.control, operands.samples, wants.samples)
    derivatives = ClosedFormDerivatives(recurrence, program.substeps, FORMULAS[program.kind], sums)
    swept = backward(
        recurrence,
        stepper,
        SavedStates(y0, given.saved, operands.y_previous),
        derivatives,
        [torch.zeros_like(y0) if g is None else g.clone() for g in (given.of_last, given.of_last_but_one)],
        given.of_saved,
        Wanted(weight=True, step=wants.dt),
        recursion,
    )
    continues = operands.y_previous is not None
    found = (
        *(swept.adjoint[0], swept.weight, sums.weight, sums.bias, sums.samples, derivatives.before),
        None if swept.step is None else swept.step / program.substeps,
        swept.adjoint[1] if continues else None,
        _or_zero(stepper.previous_step_gradient, y0) if continues else None,
        _by_blocks(stepper, operands) if isinstance(stepper, ExponentialStepper) else None,
    )
    return tuple(y0.new_empty(0) if one is None else one for one in found)


def _by_blocks(stepper: ExponentialStepper, operands: Operands) -> Tensor:
    """The gradient by the blocks, in their order."""
    return stepper.gradient.movedim(1, 0).contiguous() if operands.weight.ndim == 3 else stepper.gradient


def _or_zero(gradient: Tensor | None, y0: Tensor) -> Tensor:
    return y0.new_zeros(len(y0)) if gradient is None else gradient.clone()
