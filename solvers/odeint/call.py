"""odeint(): torchdiffeq's call for the fixed-step methods that we have in common, with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from ..checks import check_state, check_tensor
from ..methods.explicit_rk import ExplicitRungeKutta
from ..methods.runge_kutta import RK38, Euler, Heun, Heun3, Midpoint
from .march import march
from .options import ADAMS, Options, check_even, read_options
from .packing import Packing, State
from .steps import AdamsStepper, RungeKuttaStepper, Stepper

METHODS: Mapping[str, ExplicitRungeKutta] = MappingProxyType(
    {"euler": Euler(), "midpoint": Midpoint(), "heun2": Heun(), "heun3": Heun3(), "rk4": RK38()}
)
"""torchdiffeq's names of Runge-Kutta methods. Its "rk4" is the 3/8 rule, which we call RK38."""


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

    "explicit_adams" is Adams-Bashforth with weights for even steps: two steps of the 3/8 rule, then order 3, 4, ... up
    to `max_order` - 1, one evaluation a step. The one step of order 3 leaves an error of order 4, so that a finite time
    converges at order 4 whatever the highest order is. The default reaches order 11, which is stable on the negative
    axis only to |z| = 0.0034: give a `max_order` of 5 or 6 to any field that is not sampled that finely. torchdiffeq
    keeps these weights on uneven grids, a shorter last step among them, and loses the order in silence; here such a
    grid is an error. "implicit_adams" is not offered.

    Args:
        func: (t, y) -> dy/dt; t is a tensor () in the real dtype of y, y like y0. If it is a module with a method
            `callback_step(t, y, dt)`, that is called before every step.
        y0: the state at t[0], a floating or complex tensor of any shape, or a tuple of them.
        t: the times to answer for, (T,), strictly increasing or decreasing, floating. Without a step size or a grid
            they are the grid, one step from each to the next. Moved to the device of y0 if it is on another.
        method: "euler", "midpoint", "heun2", "heun3", "rk4" (the 3/8 rule) or "explicit_adams".
        rtol: a tolerance; a fixed-step method has none, so it must be None.
        atol: likewise.
        options: step_size, the length of a step, in the units of t; or grid_constructor, (func, y0, t) -> the grid,
            from t[0] to t[-1], where a tuple state is one vector; perturb, whether the ends of a step are evaluated
            just inside of it, for a func that jumps there; interp, "linear" or "cubic", for times between grid points;
            max_order of explicit_adams, 4 to 12 (default 12), one more than the highest order of a step.
        event_fn: events are not handled; must be None.

    Returns:
        The states at the times, (T, *shape of y0), or a tuple of them. The gradient with respect to a time in t that
        falls on a point of the grid without being one is zero with linear interpolation, as in torchdiffeq.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range, or one that would have no effect.
    """
    _refuse(method, rtol, atol, event_fn)
    chosen = read_options(options, method)
    packing = Packing.of(y0)
    y = packing.pack(y0)
    check_state("y0", y)
    times = _checked_times(t).to(y.device)
    flat = packing.wrap(func)
    grid = chosen.grid(flat, y, times)
    callback = getattr(func, "callback_step", None)
    before = None if callback is None else lambda time, state, dt: callback(time, packing.unpack(state), dt)
    if method == ADAMS:
        check_even(grid)
    path = march(
        _stepper(method, chosen), flat, y, times, grid, perturb=chosen.perturb, interp=chosen.interp, before=before
    )
    return packing.unpack(torch.stack(path), leading=1)


def _stepper(method: str, options: Options) -> Stepper:
    if method == ADAMS:
        return AdamsStepper(options.max_order - 1)
    return RungeKuttaStepper(METHODS[method])


def _refuse(method: object, rtol: object, atol: object, event_fn: object) -> None:
    names = ", ".join(map(repr, (*METHODS, ADAMS)))
    if method == "implicit_adams":
        raise ValueError(
            f"`method` is {method!r}, which is not offered here; choose one of {names}, or `integrate` with "
            "TorchdiffeqSolver('implicit_adams', steps=...)"
        )
    if method not in (*METHODS, ADAMS):
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
