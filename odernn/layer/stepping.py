"""What takes a stream one sample on: the field and the solver in torch, or an engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, final

import torch
from jaxtyping import Float
from torch import Tensor

from solvers import Solver
from solvers.checks import check_positive
from solvers.extend import Carry, RightHandSide, Schemes, Time, check_solver

from ..control.hold import Control, Hold, control_of
from ..control.input_map import GIVEN
from ..control.time_grid import TimeSpan
from ..engines.carried import carried_by
from ..engines.engine import Advance
from ..engines.lowering import lower
from ..engines.program import Call
from ..fields.field import ActivatedField, AffinePointwiseField, VectorField
from ..fields.overrides import affine_control_of, is_affine
from .returned import check_control, looked_at
from .right_hand_side import is_elementwise, make_affine_right_hand_side, make_right_hand_side
from .settings import as_setting, check_structure

_NO_SPAN = TimeSpan(0.0, 1.0)
"""For a hold that jumps, to which time means nothing."""


class StepResult(NamedTuple):
    """What comes of a sample.

    Attributes:
        y: the state after it.
        carry: what the solver carries.
        control: the sample's, for a hold that looks back; else None.
        is_finite: whether all of `y` is; None where that was not looked at, as a device would be waited for.
    """

    y: Float[Tensor, "batch hidden"]
    carry: Carry
    control: Float[Tensor, "batch control"] | None
    is_finite: bool | None


class SampleStepper(Protocol):
    """(sample, state before it, its time, what the solver carries, the control before) -> what comes of it."""

    def __call__(
        self,
        x: Float[Tensor, "batch input"],
        y: Float[Tensor, "batch hidden"],
        t: Time,
        carry: Carry | None,
        before: Float[Tensor, "batch control"] | None,
    ) -> StepResult:
        """One sample on."""
        ...


@dataclass(frozen=True)
class Discretisation:
    """A field and how it is stepped from sample to sample.

    Attributes:
        field: the field.
        hold: the hold of the control.
        solver: the solver.
        dt: from one sample to the next.
        substeps: solver steps a sample.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range, or a solver that needs a structure that
            the field does not have.
    """

    field: VectorField
    hold: Hold
    solver: Solver
    dt: float
    substeps: int = 1

    def __post_init__(self) -> None:
        """Check the arguments."""
        for name in ("field", "substeps"):
            as_setting(name, getattr(self, name), lambda other: None)
        check_positive("dt", self.dt)
        if not isinstance(self.hold, Hold):
            raise TypeError(f"`hold` is {type(self.hold).__name__}; give a Hold, such as ZeroOrderHold()")
        check_solver(self.solver)
        check_structure(self.field, self.solver)


@final
class TorchStepper:
    """Any field, hold and solver, its weights built once."""

    def __init__(self, scheme: Discretisation) -> None:
        self._scheme = scheme
        self._control = affine_control_of(scheme.field)[0] or scheme.field.control
        with torch.no_grad():
            self._weight = scheme.field.weight() if isinstance(scheme.field, AffinePointwiseField) else None
        self._make: Callable[[Control], RightHandSide] | None = None
        self._looked = False

    @torch.no_grad()  # a function put into the field may close over parameters that the copy does not have
    def __call__(self, x: Tensor, y: Tensor, t: Time, carry: Carry | None, before: Tensor | None) -> StepResult:
        """One sample on."""
        scheme = self._scheme
        u = self._control(x)
        if not self._looked:
            check_control(scheme.field, u, x)
        if self._make is None:
            self._make = _maker(scheme.field, scheme.solver, self._weight, u.shape[-1])
        f, dt = self._make(self._held(u, before, t)), scheme.dt / scheme.substeps
        if not self._looked:
            f, self._looked = looked_at(scheme.field, f), True
        carry = scheme.solver.init(f, t, dt, y) if carry is None else carry
        for k in range(scheme.substeps):
            y, carry = scheme.solver.step(f, t + k * dt if k else t, dt, y, carry)
        return StepResult(y, carry, None if scheme.hold.jumps else u, None)

    def _held(self, u: Tensor, before: Tensor | None, t: Time) -> Control:
        """The control in the interval that ends with the sample's."""
        hold = self._scheme.hold
        if hold.jumps:
            return control_of(hold, u, u, _NO_SPAN)
        return control_of(hold, u if before is None else before, u, TimeSpan(t, self._scheme.dt))


@final
class EngineStepper:
    """What an engine takes sample by sample: its weights are packed once."""

    def __init__(
        self, scheme: Discretisation, y: Float[Tensor, "batch hidden"], prepare: Callable[[Call], Advance]
    ) -> None:
        field = scheme.field
        assert isinstance(field, AffinePointwiseField)
        assert isinstance(field, ActivatedField)
        control = affine_control_of(field)[0]
        self._control = None if control is not None and scheme.hold.jumps else control or field.control
        self._shape = (len(y), field.activation.controls * field.hidden_size)
        # A control that is computed here: by the field itself, or for a hold, whose next sample's control before it is.
        width = field.input_size if self._control is None else self._shape[1]
        call = lower(
            *(field, scheme.hold, scheme.solver, y, field.weight(), y.new_zeros(1, len(y), width)),
            GIVEN if self._control is not None or control is None else control,
            dt=scheme.dt,
            substeps=scheme.substeps,
        )
        self._advance = prepare(call)
        self._carries = not scheme.hold.jumps
        self._schemes, self._substeps = scheme.solver.schemes, scheme.substeps
        self._step = scheme.dt / scheme.substeps

    def __call__(self, x: Tensor, y: Tensor, t: Time, carry: Carry | None, before: Tensor | None) -> StepResult:
        """One sample on."""
        u = None if self._control is None else self._control(x).expand(self._shape).contiguous()
        schemes, carry = self._schemes, carry or ()
        carried = carried_by(schemes, carry, self._step, self._substeps, y)
        y, vectors, is_finite = self._advance(x if u is None else u, y, before, *carried)
        carry = () if schemes is None else self._carry(schemes, vectors, carry)
        return StepResult(y, carry, u if self._carries else None, is_finite)

    def _carry(self, schemes: Schemes, vectors: Tensor, carry: Carry) -> Carry:
        """What the solver carries on."""
        count = len(vectors)
        if not count:
            return ()
        steps: list[Time] = [self._step] * min(count, self._substeps)
        if len(steps) < count:
            steps += schemes.unpack(carry, self._step)[1]
        return schemes.pack(vectors.unbind(0), steps[:count])


def _maker(
    field: VectorField, solver: Solver, weight: Tensor | None, controls: int
) -> Callable[[Control], RightHandSide]:
    """From a control to the right-hand side, with no more structure than the solver asks for."""
    if solver.needs is None and weight is not None and solver.schemes is not None and is_affine(field):
        assert isinstance(field, AffinePointwiseField)
        return make_affine_right_hand_side(field, weight)
    elementwise = is_elementwise(field, solver, weight, controls)
    return make_right_hand_side(field, weight, elementwise=elementwise)
