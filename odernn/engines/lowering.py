"""Which fields, holds and methods the operators know, and a call made of them."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from solvers import ExplicitRungeKutta, LeapfrogMidpoint, Solver, SplittingMethod

from ..control.hold import Hold, LinearHold, ZeroOrderHold
from ..fields.field import ActivatedField, VectorField
from ..fields.registry import FIELDS
from .formulas import FORMULAS
from .method import Method, kicks_and_drifts, runge_kutta, two_step
from .program import Call

_REGISTERED = tuple(FIELDS.values())
"""The types whose arithmetic is known. One that derives from them may compute something else."""

MOST_STAGES = 15
"""Of a tableau that the kernels take."""


def unsupported(field: VectorField, hold: Hold, solver: Solver) -> str | None:
    """Why the operators do not take the three together, or None."""
    known = isinstance(field, ActivatedField) and field.activation.name in FORMULAS
    if type(field) not in _REGISTERED or not known:
        return f"there is no operator for {type(field).__name__}"
    if not isinstance(field.input_map, nn.Linear) or field.input_map.bias is None:
        return "there is no operator for a map of the input that is no torch.nn.Linear with a bias"
    if _hold_name(hold) is None:
        return f"there is no operator for {type(hold).__name__}"
    if isinstance(solver, ExplicitRungeKutta) and solver.stages > MOST_STAGES:
        return f"the operators take {MOST_STAGES} stages at most"
    if _method(solver) is None:
        return f"there is no operator for {type(solver).__name__}"
    return None


def lower(
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
        return kicks_and_drifts(solver.shears)
    return two_step() if isinstance(solver, LeapfrogMidpoint) else None
