"""odeint_event(): integration up to an event whose time is differentiable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..checks import check_flag, check_tensor
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
        odeint_interface: what integrates: `odeint`, `odeint_adjoint` or functools.partial of it with its further
            arguments, or one of torchdiffeq.
        rtol: as `odeint`.
        atol: as `odeint`.
        method: as `odeint`.
        options: as `odeint`.

    Returns:
        The time of the event, (), and the states at the start and then, (2, *shape of y0), or a tuple of them.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.
        ArithmeticError: the event does not come, or the solution is lost before.
    """
    check_tensor("t0", t0)
    if t0.numel() != 1 or not t0.is_floating_point():
        raise ValueError(f"`t0` has shape {tuple(t0.shape)} and dtype {t0.dtype}; give one floating number")
    check_flag("reverse_time", reverse_time)
    first = t0.reshape(1)
    times = torch.cat((first, first.detach() + (-1 if reverse_time else 1)))
    start = checked_start(func, y0, times, event_fn)
    event_t, solution = odeint_interface(
        func, y0, times, rtol=rtol, atol=atol, method=method, options=options, event_fn=event_fn
    )
    ends = solution if isinstance(solution, Tensor) else tuple(solution)
    last = ends[-1] if isinstance(ends, Tensor) else torch.cat([part[-1].reshape(-1) for part in ends])
    event = combined(checked_event(event_fn), start.times[0], start.y, start.packing)
    event_t, last = with_event_gradient(start.packing.wrap(func), event, event_t.reshape(()), last)
    return event_t, start.packing.unpack(torch.stack((start.y, last)), leading=1)
