"""Which fields, holds and methods the operators know, and a call made of them."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from solvers import Solver

from ..control.hold import Hold, LinearHold, ZeroOrderHold
from ..fields.field import ActivatedField, VectorField
from ..fields.registry import FIELDS
from .program import Call
from .scheme import scheme_of, unsupported_scheme

_REGISTERED = tuple(FIELDS.values())
"""The types whose arithmetic is known. One that derives from them may compute something else."""


def unsupported(field: VectorField, hold: Hold, solver: Solver, dt: float | Tensor | None) -> str | None:
    """Why the operators do not take the three together, or None; `dt` is a number or has time first."""
    if type(field) not in _REGISTERED or not isinstance(field, ActivatedField):
        return f"there is no operator for {type(field).__name__}"
    if not isinstance(field.input_map, nn.Linear) or field.input_map.bias is None:
        return "there is no operator for a map of the input that is no torch.nn.Linear with a bias"
    if _hold_name(hold) is None:
        return f"there is no operator for {type(hold).__name__}"
    return unsupported_scheme(field, field.activation, solver, dt)


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
    name = _hold_name(hold)
    assert name is not None
    lowered = scheme_of(field, field.activation, solver, weight, dt, substeps)
    control = field.affine_control()
    return Call(
        y0=y0.contiguous(),
        weight=lowered.weight.contiguous(),
        samples=samples.contiguous(),
        method=lowered.method,
        input_weight=None if control.weight is None else control.weight.contiguous(),
        bias=control.bias,
        kind=lowered.kind,  # pyright: ignore[reportArgumentType]
        squash="tanh" if control.squashed else "identity",
        hold=name,
        dt=dt,
        substeps=substeps,
        before=None if before is None else before.contiguous(),
        y_previous=y_previous,
        dt_previous=dt_previous,
        blocks=None if lowered.blocks is None else lowered.blocks.contiguous(),
    )


def _hold_name(hold: Hold) -> Literal["zero-order", "linear"] | None:
    """The hold as the operators know it, or None."""
    if isinstance(hold, ZeroOrderHold):
        return "zero-order"
    return "linear" if isinstance(hold, LinearHold) else None
