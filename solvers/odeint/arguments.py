"""The checks of what odeint() and its kin are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..checks import check_arithmetic, check_not_negative, check_tensor
from .packing import Packing, State

Func = Callable[[Tensor, Any], Any]
Event = Callable[[Tensor, Any], Tensor]
Tolerance = float | Tensor | tuple[float | Tensor, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """Where an integration starts, checked.

    Attributes:
        packing: how the state becomes one tensor.
        y: the packed state.
        times: the times to answer for, on its device.
    """

    packing: Packing
    y: Tensor
    times: Tensor


def checked_start(func: object, y0: State, t: Tensor, event_fn: object) -> Start:
    """The start of an integration of `func`.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.
    """
    if not callable(func):
        raise TypeError(f"`func` is {type(func).__name__}; give a callable (t, y) -> dy/dt")
    packing = Packing.of(y0)
    y = packing.pack(y0)
    if not (y.is_floating_point() or y.is_complex()):
        raise TypeError(f"`y0` has dtype {y.dtype}; give a floating dtype, as `y0.float()`")
    check_arithmetic("y0", y.dtype)
    times = checked_times(t).to(y.device)
    if event_fn is not None:
        if not callable(event_fn):
            raise TypeError(f"`event_fn` is {type(event_fn).__name__}; give a callable (t, y) -> the event's tensor")
        if y.numel() == 0:
            raise ValueError("`y0` is empty and `event_fn` is given; give a state that an event can be told by")
        if len(times) != 2:
            raise ValueError(
                f"`t` has {len(times)} times and `event_fn` is given; give two, the start and any on the side to go to"
            )
    return Start(packing, y, times)


def checked_times(t: object) -> Tensor:
    """Times (T,), in one direction.

    Raises:
        TypeError, ValueError: something else.
    """
    check_tensor("t", t)
    assert isinstance(t, Tensor)
    if not t.is_floating_point():
        raise TypeError(f"`t` has dtype {t.dtype}; give floating times, as `t.double()`")
    if t.ndim != 1 or len(t) == 0:
        raise ValueError(f"`t` has shape {tuple(t.shape)}; give the times in one dimension, at least one of them")
    steps = t.detach().diff()
    if not (bool(torch.isfinite(t).all()) and (bool((steps > 0).all()) or bool((steps < 0).all()))):
        raise ValueError(f"`t` is {t.tolist()[:8]}...; give finite times that all increase or all decrease")
    return t


def checked_tolerance(name: str, value: Tolerance, packing: Packing) -> float | Tensor:
    """A tolerance, from zero, as one number or a tensor that broadcasts against the packed state.

    Raises:
        TypeError, ValueError: something else.
    """
    if isinstance(value, tuple | list) or (packing.shapes is not None and isinstance(value, Tensor) and value.ndim):
        return _tolerances_of_parts(name, tuple(value), packing)
    if not isinstance(value, Tensor):
        check_not_negative(name, value)
        return float(value)
    if value.requires_grad or not value.is_floating_point():
        raise TypeError(f"`{name}` is a tensor of dtype {value.dtype}; give a floating one that needs no gradient")
    try:
        torch.broadcast_to(value, packing.shape)
    except RuntimeError as error:
        raise ValueError(f"`{name}` has shape {tuple(value.shape)}; give one that broadcasts to `y0`") from error
    if not bool((torch.isfinite(value) & (value >= 0)).all()):
        raise ValueError(f"`{name}` has an entry that is negative or not finite; give tolerances from zero")
    return value


def _tolerances_of_parts(name: str, values: tuple[float | Tensor, ...], packing: Packing) -> Tensor:
    """One tolerance for each part of a tuple state, end to end."""
    shapes = packing.shapes
    if shapes is None or len(values) != len(shapes):
        raise ValueError(f"`{name}` has {len(values)} parts, and `y0` has others; give a number, or one a part")
    parts = []
    for value, shape in zip(values, shapes, strict=True):
        flat = torch.Size([shape.numel()])
        part = checked_tolerance(name, value, Packing(None, flat))
        parts.append(torch.as_tensor(part, dtype=torch.float64, device="cpu").expand(flat))
    return torch.cat(parts)


def checked_event(event_fn: Callable[[Tensor, Any], Tensor]) -> Callable[[Tensor, Any], Tensor]:
    """The event function, whose value is looked at."""

    def checked(t: Tensor, y: Any) -> Tensor:
        value = event_fn(t, y)
        if not isinstance(value, Tensor) or value.is_complex() or value.numel() == 0:
            raise TypeError(f"`event_fn` returned {value!r:.40}; it returns a real tensor, zero at the event")
        return value

    return checked
