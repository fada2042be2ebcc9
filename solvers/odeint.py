"""odeint(): torchdiffeq's call for the fixed-step methods that we have in common, with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from .checks import check_state, check_tensor
from .explicit_rk import ExplicitRungeKutta
from .odeint_march import march
from .odeint_options import read_options
from .packing import Packing, State
from .tableaus import RK38, Euler, Heun, Heun3, Midpoint

METHODS: Mapping[str, ExplicitRungeKutta] = MappingProxyType(
    {"euler": Euler(), "midpoint": Midpoint(), "heun2": Heun(), "heun3": Heun3(), "rk4": RK38()}
)
"""torchdiffeq's names. Its "rk4" is the 3/8 rule, which we call RK38."""

_ELSEWHERE = {
    "explicit_adams": "torchdiffeq raises its order step by step to 11, started by the 3/8 rule, and we have orders 2 "
    "and 3 with other starts (AdamsBashforth2, AdamsBashforth3 in `integrate`)",
    "implicit_adams": "we have no implicit Adams method",
}


def odeint(
    func: Callable[[Tensor, Any], Any],
    y0: State,
    t: Tensor,
    *,
    method: str,
    rtol: None = None,
    atol: None = None,
    options: Mapping[str, Any] | None = None,
    event_fn: None = None,
) -> State:
    """Integrate dy/dt = func(t, y) with fixed steps: a drop-in for torchdiffeq.odeint with a fixed-step method.

    Its numbers, and its gradients with respect to y0, t and all that func closes over, are torchdiffeq's to rounding.
    Unlike there the time of a backward pass grows with the number of times and not with its square, an option that has
    no effect is an error, and spans that the step divides but for rounding get no further tiny step.

    Args:
        func: (t, y) -> dy/dt; t is a tensor () in the real dtype of y, y like y0. If it is a module with a method
            `callback_step(t, y, dt)`, that is called before every step.
        y0: the state at t[0], a floating or complex tensor of any shape, or a tuple of them.
        t: the times to answer for, (T,), strictly increasing or decreasing, floating. Without a step size or a grid
            they are the grid, one step from each to the next. Moved to the device of y0 if it is on another.
        method: "euler", "midpoint", "heun2", "heun3" or "rk4" (the 3/8 rule).
        rtol: a tolerance; a fixed-step method has none, so it must be None.
        atol: likewise.
        options: step_size, the length of a step, in the units of t; or grid_constructor, (func, y0, t) -> the grid,
            from t[0] to t[-1], where a tuple state is one vector; perturb, whether the ends of a step are evaluated
            just inside of it, for a func that jumps there; interp, "linear" or "cubic", for times between grid points.
        event_fn: events are not handled; must be None.

    Returns:
        The states at the times, (T, *shape of y0), or a tuple of them. The gradient with respect to a time in t that
        falls on a point of the grid without being one is zero with linear interpolation, as in torchdiffeq.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range, or one that would have no effect.
    """
    _refuse(method, rtol, atol, event_fn)
    chosen = read_options(options)
    packing = Packing.of(y0)
    y = packing.pack(y0)
    check_state("y0", y)
    times = _checked_times(t).to(y.device)
    flat = packing.wrap(func)
    grid = chosen.grid(flat, y, times)
    callback = getattr(func, "callback_step", None)
    before = None if callback is None else lambda time, state, dt: callback(time, packing.unpack(state), dt)
    path = march(METHODS[method], flat, y, times, grid, perturb=chosen.perturb, interp=chosen.interp, before=before)
    return packing.unpack(torch.stack(path), leading=1)


def _refuse(method: object, rtol: object, atol: object, event_fn: object) -> None:
    names = ", ".join(map(repr, METHODS))
    if method in _ELSEWHERE:
        raise ValueError(f"`method` is {method!r}: {_ELSEWHERE[str(method)]}; choose one of {names}")
    if method not in METHODS:
        raise ValueError(
            f"`method` is {method!r}; choose one of {names}, or for an adaptive method `integrate` with a "
            "TorchdiffeqSolver"
        )
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        if tolerance is not None:
            raise ValueError(f"`{name}` is {tolerance} and {method!r} has fixed steps, no tolerance; leave it away")
    if event_fn is not None:
        raise ValueError("`event_fn` is given; events are not handled here: use torchdiffeq for them")


def _checked_times(t: object) -> Tensor:
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
