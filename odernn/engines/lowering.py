"""Which fields, holds and methods the operators know, and a call made of them."""

from __future__ import annotations

from typing import Literal, cast

from torch import Tensor

from solvers import Solver

from ..control.hold import Hold, LinearHold, ZeroOrderHold
from ..control.input_map import AffineControl
from ..fields.field import ActivatedField, VectorField, activation_of, is_block_linear
from ..fields.overrides import why_slope_is_called
from .carried import Carried
from .problem import Storage
from .program import Call, Products
from .scheme import scheme_of, unsupported_scheme

_NOTHING = Carried()


def unsupported(field: VectorField, hold: Hold, solver: Solver, dt: float | Tensor | None) -> str | None:
    """Why the operators do not take the three together, or None; `dt` is a number or has time first."""
    reason = why_slope_is_called(field, in_parts=solver.needs is not None or is_block_linear(field))
    if reason is not None:
        return f"there is no operator: {reason}"
    if hold_name(hold) is None:
        return f"there is no operator for {type(hold).__name__}"
    return unsupported_scheme(field, cast(ActivatedField, field).activation, solver, dt)


def lower(
    field: VectorField,
    hold: Hold,
    solver: Solver,
    y0: Tensor,
    weight: Tensor,
    samples: Tensor,
    control: AffineControl,
    *,
    dt: float | Tensor,
    substeps: int,
    before: Tensor | None = None,
    carried: Carried = _NOTHING,
    storage: Storage | None = None,
    packed: bool = False,
    products: Products = "float32",
) -> Call:
    """A call of a field, a hold and a solver that the operators take together; the rest is as `Call` has it.

    The `control` is that of the samples.
    """
    activation, name = activation_of(field), hold_name(hold)
    assert activation is not None
    assert name is not None
    lowered = scheme_of(field, activation, solver, weight, dt, substeps)
    bias = control.bias
    if bias is None and control.weight is not None:
        bias = control.weight.new_zeros(len(control.weight))
    return Call(
        y0=y0.contiguous(),
        weight=lowered.weight.contiguous(),
        samples=samples.contiguous(),
        method=lowered.method,
        input_weight=None if control.weight is None else control.weight.contiguous(),
        bias=bias,
        kind=lowered.kind,  # pyright: ignore[reportArgumentType]
        squash="tanh" if control.squashed else "identity",
        hold=name,
        dt=dt,
        substeps=substeps,
        before=None if before is None else before.contiguous(),
        carried=carried.vectors,
        coefficients=carried.coefficients,
        blocks=None if lowered.blocks is None else lowered.blocks.contiguous(),
        index=None if storage is None else storage.index,
        lengths=None if storage is None else storage.lengths,
        packed=packed,
        products=products,
        weight_blocks=lowered.weight_blocks,
    )


def misfit(field: VectorField, y0: Tensor, samples: Tensor, control: AffineControl) -> str | None:
    """Why the operators do not take the control that a field has computed, or None; `samples` are that control."""
    if control.weight is not None:
        return None
    activation = activation_of(field)
    assert activation is not None
    wanted = (samples.shape[0], len(y0), activation.controls * field.hidden_size)
    if tuple(samples.shape) != wanted or samples.dtype != y0.dtype or samples.device != y0.device:
        return f"there is no operator for a control of shape {tuple(samples.shape)} and {samples.dtype}"
    return None


def hold_name(hold: Hold) -> Literal["zero-order", "linear"] | None:
    """The hold as the operators know it, or None."""
    if isinstance(hold, ZeroOrderHold):
        return "zero-order"
    return "linear" if isinstance(hold, LinearHold) else None
