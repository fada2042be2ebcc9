"""odeint_event(): integration up to an event whose time is differentiable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..checks import check_flag, check_number, check_tensor
from .arguments import Event, Func, Tolerance, checked_event, checked_start
from .call import odeint
from .event import combined, with_event_gradient
from .packing import State


def odeint_event(
    func: Func,
    y0: State,
    t0: Tensor,
    *,
    event_fn: Event,
    reverse_time: bool = False,
    odeint_interface: Callable[..., Any] = odeint,
    rtol: Tolerance = 1e-7,
    atol: Tolerance = 1e-9,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    adjoint_rtol: Tolerance | None = None,
    adjoint_atol: Tolerance | None = None,
    adjoint_method: str | None = None,
    adjoint_options: Mapping[str, Any] | None = None,
    adjoint_params: Iterable[Tensor] | None = None,
) -> tuple[Tensor, Any]:
    """Integrate up to an event whose time is differentiable: a drop-in for torchdiffeq.odeint_event.

    The gradients of the time and of the state then are those of the implicit function theorem, of first order: they
    flow to y0, t0, all that func closes over and, unlike in torchdiffeq, to what `event_fn` closes over.

    Args:
        func: as `odeint`.
        y0: as `odeint`, at t0.
        t0: the start time, a floating tensor of one number.
        event_fn: (t, y) -> a tensor; the event is where an entry of it changes its sign.
        reverse_time: whether to go back in time.
        odeint_interface: what integrates: `odeint`, `odeint_adjoint`, one of torchdiffeq, or a functools.partial.
        rtol: as `odeint`.
        atol: as `odeint`.
        method: as `odeint`.
        options: as `odeint`.
        adjoint_rtol: as `odeint_adjoint`, which must be the `odeint_interface` then; so must the others.
        adjoint_atol: likewise.
        adjoint_method: likewise.
        adjoint_options: likewise.
        adjoint_params: likewise.

    Returns:
        The time of the event, (), and the states at the start and then, (2, *shape of y0), or a tuple of them.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.
        ArithmeticError: the event does not come, or the solution is lost before.
    """
    check_tensor("t0", t0)
    if t0.numel() != 1 or not t0.is_floating_point():
        raise ValueError(f"`t0` has shape {tuple(t0.shape)} and dtype {t0.dtype}; give one floating number")
    check_number("t0", float(t0.detach()))
    check_flag("reverse_time", reverse_time)
    first = t0.reshape(1)
    times = torch.cat((first, first.detach() + (-1 if reverse_time else 1)))
    start = checked_start(func, y0, times, event_fn)
    of_adjoint = {
        "adjoint_rtol": adjoint_rtol,
        "adjoint_atol": adjoint_atol,
        "adjoint_method": adjoint_method,
        "adjoint_options": adjoint_options,
        "adjoint_params": adjoint_params,
    }
    given = {name: value for name, value in of_adjoint.items() if value is not None}
    _check_interface(odeint_interface, given)
    event_t, solution = odeint_interface(
        func, y0, times, rtol=rtol, atol=atol, method=method, options=options, event_fn=event_fn, **given
    )
    ends = solution if isinstance(solution, Tensor) else tuple(solution)
    last = ends[-1] if isinstance(ends, Tensor) else torch.cat([part[-1].reshape(-1) for part in ends])
    event = combined(checked_event(event_fn), start.times[0], start.y, start.packing)
    event_t, last = with_event_gradient(start.packing.wrap(func), event, event_t.reshape(()), last)
    return event_t, start.packing.unpack(torch.stack((start.y, last)), leading=1)


def _check_interface(interface: object, given: Mapping[str, object]) -> None:
    if not callable(interface):
        raise TypeError(f"`odeint_interface` is {type(interface).__name__}; give odeint or odeint_adjoint")
    if given and interface is odeint:
        name = next(iter(given))
        raise ValueError(
            f"`{name}` is given, and `odeint_interface` is odeint, without an adjoint: give odeint_adjoint"
        )
