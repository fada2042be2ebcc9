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
from ..method import Method
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
    """What both operators have in common, as they come; see `Call`."""

    y0: Tensor
    weight: Tensor
    samples: Tensor
    input_weight: Tensor | None
    bias: Tensor | None
    before: Tensor | None
    dt: Tensor
    y_previous: Tensor | None
    dt_previous: Tensor | None
    blocks: Tensor | None
    kind: str
    squash: str
    hold: str
    family: str
    a: Sequence[float]
    b: Sequence[float]
    c: Sequence[float]
    moved: Sequence[int]
    places: Sequence[int]
    substeps: int

    @property
    def control(self) -> AffineControl:
        """The map of the input."""
        return AffineControl(self.input_weight, self.bias, self.squash == "tanh")

    @property
    def method(self) -> Method:
        """The discretisation."""
        return Method(
            self.family,  # pyright: ignore[reportArgumentType]
            *(tuple(each) for each in (self.a, self.b, self.c)),
            moved=tuple(self.moved),
            places=tuple(self.places),
        )

    def recurrence(self) -> Recurrence:
        """The problem in tensors."""
        rate = FORMULAS[self.kind].rate
        hold = HOLDS[self.hold]
        scheme = Scheme(
            lambda y, p, u: rate(p, u), self.control, hold.between, hold.jumps, partitioned=self.family == "shears"
        )
        return Recurrence(scheme, self.weight, self.samples, self.before, self._steps())

    def stepper(self, recurrence: Recurrence) -> Stepper:
        """The method."""
        if self.family == "runge-kutta":
            s = len(self.b)
            rows = tuple(self.a[i * s : (i + 1) * s] for i in range(s))
            return RungeKuttaStepper(_Tableau(rows, self.b, self.c), recurrence, self.substeps, self.y0)
        if self.family == "exponential":
            assert self.blocks is not None
            scheme = BlockScheme(self.method.entries, tuple(self.c), self.blocks)
            return ExponentialStepper(scheme, recurrence, self.substeps, self.y0)
        if self.family == "shears":
            shears = [Shear(half == 1, *move) for half, *move in zip(self.moved, self.b, self.c, strict=True)]
            return SplittingStepper(shears, recurrence, self.substeps, self.y0)
        dt = None if self.dt_previous is None else self.dt_previous.unsqueeze(-1)
        return TwoStepStepper(recurrence, self.substeps, self.y0, self.y_previous, dt)

    def _steps(self) -> float | Tensor:
        """A number that came from Python, or the intervals' lengths, (time, 1, 1) or (time, batch, 1)."""
        if self.dt.ndim == 0 and self.dt.device.type == "cpu":
            return float(self.dt)  # read from the host's own memory, before the loop
        dt = self.dt.to(self.y0.dtype)
        return dt.T.unsqueeze(-1) if dt.ndim == 2 else dt.expand(len(self.samples)).reshape(-1, 1, 1)


def solve(*given: object) -> tuple[Tensor, Tensor, Tensor]:
    """(saved states or nothing, the last, the last but one of the two-step scheme); arguments as the schema says."""
    *common, save = given
    arguments = Arguments(*common)  # pyright: ignore[reportArgumentType]
    recurrence = arguments.recurrence()
    stepper = arguments.stepper(recurrence)
    y0 = arguments.y0
    saved = y0.new_empty(len(arguments.samples) * stepper.saved_per_interval, *y0.shape) if save else None
    last = forward(recurrence, stepper, arguments.substeps, y0, saved)
    two_step = isinstance(stepper, TwoStepStepper)
    other = stepper.last_but_one.clone() if two_step else y0.new_empty(0)
    return y0.new_empty(0) if saved is None else saved, last.clone(), other


def pull_back(*given: object) -> tuple[Tensor, ...]:
    """The gradients by y0, K, V, b, x, the control before, dt (time, batch), the state before, its step, the blocks."""
    return pull_back_with(one_by_one, *given)


def pull_back_with(recursion: Recursion, *given: object) -> tuple[Tensor, ...]:
    """The same with another recursion."""
    saved, grad_saved, grad_last, grad_last_but_one, *common, want_samples, want_dt = given
    arguments = Arguments(*common)  # pyright: ignore[reportArgumentType]
    recurrence = arguments.recurrence()
    stepper = arguments.stepper(recurrence)
    y0 = arguments.y0
    sums = InputGradients(arguments.control, arguments.samples, bool(want_samples))
    derivatives = ClosedFormDerivatives(recurrence, arguments.substeps, FORMULAS[arguments.kind], sums)
    assert isinstance(saved, Tensor)
    swept = backward(
        recurrence,
        stepper,
        SavedStates(y0, saved, () if arguments.y_previous is None else (arguments.y_previous,)),
        derivatives,
        [g.clone() if isinstance(g, Tensor) else torch.zeros_like(y0) for g in (grad_last, grad_last_but_one)],
        grad_saved if isinstance(grad_saved, Tensor) else None,
        Wanted(weight=True, step=bool(want_dt)),
        recursion,
    )
    continues = arguments.y_previous is not None
    found = (
        *(swept.adjoint[0], swept.weight, sums.weight, sums.bias, sums.samples, derivatives.before),
        None if swept.step is None else swept.step / arguments.substeps,
        swept.adjoint[1] if continues else None,
        _or_zero(stepper.previous_step_gradient, y0) if continues else None,
        stepper.gradient if isinstance(stepper, ExponentialStepper) else None,
    )
    return tuple(y0.new_empty(0) if one is None else one for one in found)


def _or_zero(gradient: Tensor | None, y0: Tensor) -> Tensor:
    return y0.new_zeros(len(y0)) if gradient is None else gradient.clone()
