"""Operator: a problem run as one registered operator, whose gradient is the exact discrete adjoint."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Literal, final

import torch
from torch import Tensor, nn

from solvers import (
    Adjoint,
    ExplicitRungeKutta,
    LeapfrogMidpoint,
    Problem,
    Save,
    Solved,
    Solver,
    SplittingMethod,
    ends_of,
    memory_after,
    step_before,
)

from ..field import ActivatedField, VectorField
from ..hold import Hold, LinearHold, ZeroOrderHold
from ..registry import FIELDS
from .call import Call
from .formulas import FORMULAS
from .method import Method, kicks_and_drifts, runge_kutta, two_step

_REGISTERED = tuple(FIELDS.values())
"""The types whose arithmetic is known. One that derives from them may compute something else."""

MOST_STAGES = 15
"""Of a tableau that the kernels take."""


@final
@dataclass(frozen=True)
class Operator(Adjoint):
    """The exact discrete adjoint as a registered operator of one engine.

    It takes the fields made of a registered activation and an affine control, the explicit Runge-Kutta methods, the
    compositions of kicks and drifts and the two-step midpoint rule, and the two registered holds. It can be
    differentiated once. Inside autocast it works in float32.

    Args:
        namespace: the engine's operators in torch.ops.
        field: the field, which names its activation and its map of the input.
        hold: the hold of the control.
    """

    namespace: str
    field: VectorField = dataclass_field(repr=False)
    hold: Hold = dataclass_field(repr=False)

    def solve(self, problem: Problem, save: Save) -> Solved:
        """Run, keeping the states at the samples if they or gradients are wanted."""
        call = self._call(problem)
        kept, last, last_but_one = getattr(torch.ops, self.namespace).solve(
            *call.arguments(), save == "trajectory" or _needs_gradient(call)
        )
        every = problem.substeps if call.method.family == "two-step" else 1
        trajectory = ends_of(kept, every) if save == "trajectory" else None
        return Solved(trajectory, last, memory_after(problem, last_but_one))

    def _call(self, problem: Problem) -> Call:
        recurrence, field, method = problem.recurrence, self.field, _method(problem.solver)
        assert recurrence is not None
        assert isinstance(field, ActivatedField)
        assert method is not None
        hold = _hold_name(self.hold)
        assert hold is not None
        control = field.affine_control()
        previous, dt_previous = _before(problem)
        return Call(
            y0=problem.y0.contiguous(),
            weight=recurrence.weight.contiguous(),
            samples=recurrence.samples.contiguous(),
            method=method,
            dt=_steps(recurrence.dt),
            input_weight=None if control.weight is None else control.weight.contiguous(),
            bias=control.bias,
            kind=field.activation.name,  # pyright: ignore[reportArgumentType]
            squash="tanh" if control.squashed else "identity",
            hold=hold,
            before=None if recurrence.before is None else recurrence.before.contiguous(),
            substeps=problem.substeps,
            y_previous=previous,
            dt_previous=dt_previous,
        )


def why_no_operator(problem: Problem, field: VectorField, hold: Hold) -> str | None:
    """Why the operators do not take the problem, or None."""
    known = isinstance(field, ActivatedField) and field.activation.name in FORMULAS
    if problem.tensor_form is None or type(field) not in _REGISTERED or not known:
        return f"there is no operator for {type(field).__name__}"
    if not isinstance(field.input_map, nn.Linear) or field.input_map.bias is None:
        return "there is no operator for a map of the input that is no torch.nn.Linear with a bias"
    if _hold_name(hold) is None:
        return f"there is no operator for {type(hold).__name__}"
    if isinstance(problem.solver, ExplicitRungeKutta) and problem.solver.stages > MOST_STAGES:
        return f"the operators take {MOST_STAGES} stages at most"
    if _method(problem.solver) is None:
        return f"there is no operator for {type(problem.solver).__name__}"
    return None


def _hold_name(hold: Hold) -> Literal["zero-order", "linear"] | None:
    """The hold as the operators know it, or None."""
    if isinstance(hold, ZeroOrderHold):
        return "zero-order"
    return "linear" if isinstance(hold, LinearHold) else None


def _method(solver: Solver) -> Method | None:
    """The solver as the operators know it, or None."""
    if isinstance(solver, ExplicitRungeKutta):
        return runge_kutta(solver.tableau.a, solver.tableau.b, solver.tableau.c)
    if isinstance(solver, SplittingMethod):
        return kicks_and_drifts(solver.sweeps)
    return two_step() if isinstance(solver, LeapfrogMidpoint) else None


def _needs_gradient(call: Call) -> bool:
    tensors = (part for part in call.arguments() if isinstance(part, Tensor))
    return torch.is_grad_enabled() and any(part.requires_grad for part in tensors)


def _before(problem: Problem) -> tuple[Tensor | None, Tensor | None]:
    """The state and the step before, of the two-step rule that goes on; the step (batch,)."""
    previous, dt = step_before(problem)
    if previous is None or dt is None:
        return None, None
    if not isinstance(dt, Tensor):
        return previous.contiguous(), previous.new_full((len(previous),), dt)
    rows = dt.to(previous.dtype).reshape(-1)
    return previous.contiguous(), rows.expand(len(previous)).contiguous()


def _steps(dt: float | Tensor) -> float | Tensor:
    """The steps as the operators take them: a number, (time,) or (batch, time)."""
    if not isinstance(dt, Tensor):
        return dt
    flat = dt.reshape(len(dt), -1)
    return (flat[:, 0] if flat.shape[1] == 1 else flat.T).contiguous()
