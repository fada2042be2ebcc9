"""A user's f(t, y) as the loop calls it: the time becomes a tensor, and what f returns is looked at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from .right_hand_side import AffinePointwise, Partition, RightHandSide, Semilinear, Structured, Time, time_tensor


def prepared(f: RightHandSide) -> RightHandSide:
    """Return `f`, with the structure it declares, as a function of a tensor t whose first value is checked.

    Raises:
        TypeError, ValueError: in its first evaluation, f returns something that is not like the state.
    """
    if isinstance(f, Partition):
        return replace(f, drift=_Once(f.drift, "drift"), kick=_Once(f.kick, "kick"))
    if isinstance(f, Semilinear):
        return replace(f, remainder=_Once(f.remainder, "remainder"))
    if isinstance(f, AffinePointwise):
        return replace(f, pointwise=_Once(f.pointwise, "pointwise"))
    if isinstance(f, Structured):
        parts = (f.partition, f.semilinear, f.affine)
        partition, semilinear, affine = (None if part is None else prepared(part) for part in parts)
        return replace(f, f=prepared(f.f), partition=partition, semilinear=semilinear, affine=affine)
    return _Once(f, "f")


class _Once:
    """A function (t, y, ...) -> dy/dt that looks at its first value; the evaluation is the method's own."""

    def __init__(self, function: Callable[..., Tensor], name: str) -> None:
        self._function = function
        self._name = name
        self._seen = False

    def __call__(self, t: Time, y: Tensor, *others: Tensor) -> Tensor:
        slope = self._function(time_tensor(t, y), y, *others)
        if not self._seen:
            check_slope(self._name, slope, y)
            self._seen = True
        return slope


def check_slope(name: str, slope: object, y: Tensor) -> None:
    """Check that what a right-hand side returned is like the state: a tensor of its shape, dtype and device.

    Inside autocast the dtype may be another one: products come in half precision there, and the state keeps its own.

    Args:
        name: what to call the function in the message.
        slope: what it returned.
        y: the state that it was given.

    Raises:
        TypeError, ValueError: it is something else.
    """
    if not isinstance(slope, Tensor):
        raise TypeError(f"`{name}` returned {type(slope).__name__}; it returns dy/dt, a torch.Tensor like the state")
    device = y.device.type
    mixed = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device) and slope.is_floating_point()
    for fact in ("shape", "device") if mixed else ("shape", "dtype", "device"):
        got, wanted = getattr(slope, fact), getattr(y, fact)
        if got != wanted:
            raise ValueError(
                f"`{name}` returned {fact} {got} and the state has {fact} {wanted}; dy/dt is like the state"
            )
