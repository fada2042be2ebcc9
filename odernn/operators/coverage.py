"""Which fields, holds and methods the operators know, and a call made of them."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from solvers import Euler, ExplicitRungeKutta, LeapfrogMidpoint, LinearlyExactEuler, Solver, SplittingMethod

from ..field import ActivatedField, VectorField
from ..hold import Hold, LinearHold, ZeroOrderHold
from ..registry import FIELDS
from .call import Call
from .formulas import FORMULAS
from .linearly_exact import KINDS, as_euler
from .method import Method, kicks_and_drifts, runge_kutta, two_step

_REGISTERED = tuple(FIELDS.values())
"""The types whose arithmetic is known. One that derives from them may compute something else."""

MOST_STAGES = 15
"""Of a tableau that the kernels take."""


def why_no_operator(field: VectorField, hold: Hold, solver: Solver, dt: float | Tensor | None) -> str | None:
    """Why the operators do not take the field, hold and solver together, or None; `dt` as the call has it."""
    activation = field.activation.name if isinstance(field, ActivatedField) else None
    if type(field) not in _REGISTERED or activation is None or activation not in FORMULAS:
        return f"there is no operator for {type(field).__name__}"
    if not isinstance(field.input_map, nn.Linear) or field.input_map.bias is None:
        return "there is no operator for a map of the input that is no torch.nn.Linear with a bias"
    if _hold_name(hold) is None:
        return f"there is no operator for {type(hold).__name__}"
    if isinstance(solver, ExplicitRungeKutta) and solver.stages > MOST_STAGES:
        return f"the operators take {MOST_STAGES} stages at most"
    if isinstance(solver, LinearlyExactEuler):
        return _why_not_linearly_exact(activation, dt)
    if _method(solver) is None:
        return f"there is no operator for {type(solver).__name__}"
    return None


def call_of(
    field: VectorField,
    hold: Hold,
    solver: Solver,
    y0: Tensor,
    weight: Tensor,
    samples: Tensor,
    *,
    dt: float | Tensor,
    substeps: int,
    before: Tensor | None = None,
    y_previous: Tensor | None = None,
    dt_previous: Tensor | None = None,
) -> Call:
    """A call of a field, a hold and a solver that the operators take together; the rest is as `Call` has it."""
    assert isinstance(field, ActivatedField)
    method, name = _method(solver), _hold_name(hold)
    assert method is not None
    assert name is not None
    control = field.affine_control()
    if isinstance(solver, LinearlyExactEuler):
        assert not isinstance(dt, Tensor)
        weight = as_euler(field, weight, dt / substeps)
    return Call(
        y0=y0.contiguous(),
        weight=weight.contiguous(),
        samples=samples.contiguous(),
        method=method,
        input_weight=None if control.weight is None else control.weight.contiguous(),
        bias=control.bias,
        kind=field.activation.name,  # pyright: ignore[reportArgumentType]
        squash="tanh" if control.squashed else "identity",
        hold=name,
        dt=dt,
        substeps=substeps,
        before=None if before is None else before.contiguous(),
        y_previous=y_previous,
        dt_previous=dt_previous,
    )


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
    if isinstance(solver, LinearlyExactEuler):
        return _method(Euler())
    return two_step() if isinstance(solver, LeapfrogMidpoint) else None


def _why_not_linearly_exact(activation: str, dt: float | Tensor | None) -> str | None:
    if activation not in KINDS:
        return f"there is no operator for LinearlyExactEuler on a field of {activation}"
    if isinstance(dt, Tensor):
        return "the operators take LinearlyExactEuler with a `dt` that is a number"
    return None
