"""What a field's functions return, looked at the first time that a call evaluates each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from jaxtyping import Float
from torch import Tensor

from solvers import AffinePointwise, Structured
from solvers.extend import RightHandSide, check_slope

from ..fields.field import VectorField


class FirstValue:
    """A function whose first value is looked at: dy/dt is like the state.

    Args:
        function: any function with the state among its arguments.
        name: what to call it in a message.
        place: of the state among the arguments.
    """

    def __init__(self, function: Callable[..., Any], name: str, place: int) -> None:
        self._function = function
        self._name = name
        self._place = place
        self._seen = False

    def __call__(self, *arguments: Any) -> Any:
        """The value.

        Raises:
            TypeError, ValueError: the first one is not like the state.
        """
        slope = self._function(*arguments)
        if not self._seen:
            check_slope(self._name, slope, arguments[self._place])
            self._seen = True
        return slope


def looked_at(field: VectorField, f: RightHandSide) -> RightHandSide:
    """A right-hand side of the field, each function of which is looked at in its first evaluation.

    Raises:
        TypeError, ValueError: in that evaluation, one returns something that is not like the state.
    """
    of = type(field).__name__
    if isinstance(f, AffinePointwise):
        return replace(f, pointwise=FirstValue(f.pointwise, f"{of}.pointwise", 1))
    if not isinstance(f, Structured):
        return FirstValue(f, f"{of}.forward", 1)
    partition, semilinear = f.partition, f.semilinear
    if partition is not None:
        drift, kick = (FirstValue(getattr(partition, name), f"{of}.{name}", 1) for name in ("drift", "kick"))
        partition = replace(partition, drift=drift, kick=kick)
    if semilinear is not None:
        remainder = FirstValue(semilinear.remainder, f"the remainder of {of}.semilinear", 1)
        semilinear = replace(semilinear, remainder=remainder)
    whole = looked_at(field, f.f)
    affine = whole if f.affine is not None and isinstance(whole, AffinePointwise) else f.affine
    return replace(f, f=whole, affine=affine, partition=partition, semilinear=semilinear)


def check_control(field: VectorField, u: object, x: Float[Tensor, "*batch input"]) -> None:
    """The control is a tensor with the leading dimensions of the input.

    Raises:
        TypeError, ValueError: it is something else.
    """
    name = f"{type(field).__name__}.control"
    if not isinstance(u, Tensor):
        raise TypeError(f"`{name}` returned {type(u).__name__}; it returns the control, a torch.Tensor")
    if u.ndim < x.ndim or u.shape[: x.ndim - 1] != x.shape[:-1]:
        raise ValueError(
            f"`{name}` returned shape {tuple(u.shape)} for an input of shape {tuple(x.shape)}; it maps the last "
            "dimension and keeps the others"
        )
