"""The torch engine: the operators' arithmetic in torch, on any device, in place and without a tape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...control.hold import HOLDS
from ...control.input_map import AffineControl
from ..carried import Carried
from ..formulas import FORMULAS
from ..method import Method
from ..recurrence import Recurrence, Scheme
from .closed_form import ClosedFormDerivatives
from .exponential import ExponentialStepper
from .input_gradients import InputGradients
from .scheme_stepper import SchemeStepper
from .stepper import Stepper
from .sweep import Forward, Recursion, SavedStates, Wanted, backward, forward, one_by_one, stepper_of


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
    carried: Tensor | None
    coefficients: Tensor | None
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
        carried = Carried(self.carried, self.coefficients)
        return stepper_of(self.method, recurrence, self.substeps, self.y0, carried, self.blocks)

    def _steps(self) -> float | Tensor:
        """A number that came from Python, or the intervals' lengths, (time, 1, 1) or (time, batch, 1)."""
        if self.dt.ndim == 0 and self.dt.device.type == "cpu":
            return float(self.dt)  # read from the host's own memory, before the loop
        dt = self.dt.to(self.y0.dtype)
        return dt.T.unsqueeze(-1) if dt.ndim == 2 else dt.expand(len(self.samples)).reshape(-1, 1, 1)


def solve(*given: object) -> tuple[Tensor, ...]:
    """(saved states or nothing, the last, the other vectors at the end, what was kept of them)."""
    *common, save = given
    arguments = Arguments(*common)  # pyright: ignore[reportArgumentType]
    recurrence = arguments.recurrence()
    return solve_with(forward, recurrence, arguments.stepper(recurrence), arguments.y0, save=bool(save))


def solve_with(
    sweep: Forward, recurrence: Recurrence, stepper: Stepper, y0: Tensor, *, save: bool, size: int | None = None
) -> tuple[Tensor, ...]:
    """The same by any forward sweep; `size` is that of a chunk."""
    count = recurrence.length * stepper.saved_per_interval
    saved = y0.new_empty(count, *y0.shape) if save else None
    nothing = y0.new_empty(0)
    several = isinstance(stepper, SchemeStepper)
    if several and save and stepper.kept_vectors:
        stepper.kept = y0.new_empty(len(stepper.kept_vectors), count, *y0.shape)
    last = sweep(recurrence, stepper, stepper.substeps, y0, saved, size)
    carried = torch.stack(stepper.carried) if several and stepper.carried else nothing
    kept = stepper.kept if several else None
    return nothing if saved is None else saved, last.clone(), carried, nothing if kept is None else kept


def pull_back(*given: object) -> tuple[Tensor, ...]:
    """The gradients by y0, K, V, b, x, control before, dt (time, batch), other vectors, coefficients, blocks."""
    return pull_back_with(one_by_one, *given)


def pull_back_with(recursion: Recursion, *given: object) -> tuple[Tensor, ...]:
    """The same with another recursion."""
    saved, kept, grad_saved, grad_last, grad_carried, *common, want_samples, want_dt = given
    arguments = Arguments(*common)  # pyright: ignore[reportArgumentType]
    recurrence = arguments.recurrence()
    stepper = arguments.stepper(recurrence)
    y0 = arguments.y0
    sums = InputGradients(arguments.control, arguments.samples, bool(want_samples))
    derivatives = ClosedFormDerivatives(recurrence, arguments.substeps, FORMULAS[arguments.kind], sums)
    assert isinstance(saved, Tensor)
    if isinstance(stepper, SchemeStepper):
        stepper.take(kept if isinstance(kept, Tensor) else None, wants_coefficients=bool(want_dt))
    swept = backward(
        recurrence,
        stepper,
        SavedStates(y0, saved),
        derivatives,
        adjoints(stepper.vectors, grad_last, grad_carried, y0),
        grad_saved if isinstance(grad_saved, Tensor) else None,
        Wanted(weight=True, step=bool(want_dt)),
        recursion,
    )
    found = (
        *(swept.adjoint[0], swept.weight, sums.weight, sums.bias, sums.samples, derivatives.before),
        None if swept.step is None else swept.step / arguments.substeps,
        by_vectors(swept.adjoint, arguments.carried),
        stepper.given_gradient() if isinstance(stepper, SchemeStepper) else None,
        stepper.gradient if isinstance(stepper, ExponentialStepper) else None,
    )
    return tuple(y0.new_empty(0) if one is None else one for one in found)


def adjoints(count: int, last: object, others: object, y0: Tensor) -> list[Tensor]:
    """Buffers of dL by the vectors at the end, which the recursion works in; zeros where there is no gradient."""
    given = [last, *(others.unbind(0) if isinstance(others, Tensor) and others.numel() else ())]
    given += [None] * (count - len(given))
    return [_buffer_of(each, y0) for each in given]


def by_vectors(adjoint: Sequence[Tensor], vectors: Tensor | None) -> Tensor | None:
    """dL by the vectors after the state that the first step had, if it had any."""
    return None if vectors is None else torch.stack(list(adjoint[1 : len(vectors) + 1]))


def _buffer_of(gradient: object, y0: Tensor) -> Tensor:
    """A contiguous copy of a gradient by a state; zeros if there is none."""
    if not isinstance(gradient, Tensor) or not gradient.numel():
        return torch.zeros_like(y0, memory_format=torch.contiguous_format)
    return gradient.clone(memory_format=torch.contiguous_format)
