"""odeint(): torchdiffeq's call, with its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..methods.torchdiffeq import torchdiffeq_package
from .arguments import Event, Func, Tolerance, checked_event, checked_start, checked_tolerance
from .fixed_steps import check_event_step, with_fixed_steps
from .handed_on import checked_options, guarded, torchdiffeq_errors, with_norm
from .methods import ADAPTIVE, IMPLICIT, checked_method
from .options import read_options
from .packing import State


def odeint(
    func: Func,
    y0: State,
    t: Tensor,
    *,
    rtol: Tolerance = 1e-7,
    atol: Tolerance = 1e-9,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    event_fn: Event | None = None,
) -> Any:
    """Integrate dy/dt = func(t, y): a drop-in for torchdiffeq.odeint.

    Its numbers, and its gradients with respect to y0, t and all that func closes over, are torchdiffeq's to rounding.
    The methods that choose their steps, and implicit_adams, are handed on to torchdiffeq itself. With the others, whose
    steps are fixed, the time of a backward pass grows with the number of times and not with its square, and spans that
    the step divides but for rounding get no further tiny step. An option that has no effect is an error.

    The result has the dtype of y0, and what func returns is converted to it. A complex slope of a real state is
    refused. An adaptive method refuses half precision, tolerances below the rounding of the state, and more than
    `max_num_steps` inner steps (10,000 unless `options` has another number) between two times.

    "explicit_adams" is Adams-Bashforth with weights for even steps: two steps of the 3/8 rule, then order 3, 4, ... up
    to `max_order` - 1, one evaluation a step. The one step of order 3 leaves an error of order 4, so that a finite time
    converges at order 4 whatever the highest order is. The default reaches order 11, which is stable on the negative
    axis to |z| = 0.0034 only: give a `max_order` of 5 or 6 to any field that is not sampled that finely. torchdiffeq
    keeps these weights on uneven grids, a shorter last step among them, and loses the order in silence; here such a
    grid is an error.

    Args:
        func: (t, y) -> dy/dt; t is a tensor () in the real dtype of y, y like y0. If it has a method
            `callback_step(t, y, dt)`, that is called before every step, and `callback_accept_step` and
            `callback_reject_step` after a step of an adaptive method; with fixed steps, which are neither accepted nor
            rejected, these two are warned about.
        y0: the state at t[0], a floating or complex tensor of any shape, an empty one too, or a tuple of them.
        t: the times to answer for, (T,), strictly increasing or decreasing, floating. With fixed steps and without a
            step size or a grid they are the grid, one step from each to the next. Moved to the device of y0 if it is on
            another.
        rtol: the relative error allowed in an inner step of an adaptive method: a number, a tensor that broadcasts
            against y0, or for a tuple y0 one of these for each part. Fixed steps have no tolerance and ignore it.
        atol: the absolute error allowed, likewise; also how exactly the time of an event is located.
        method: "dopri5" (None), "dopri8", "bosh3", "fehlberg2" or "adaptive_heun", which are adaptive; "euler",
            "midpoint", "heun2", "heun3", "rk4" (the 3/8 rule), "explicit_adams" or "implicit_adams" (its old name is
            "fixed_adams"), whose steps are fixed.
        options: of fixed steps: step_size, the length of a step in the units of t, a number or a tensor of one; or
            grid_constructor, (func, y0, t) -> the grid, from t[0] to t[-1], where a tuple state is one vector; perturb,
            whether the ends of a step are evaluated just inside of it, for a func that jumps there; interp, "linear" or
            "cubic", for times between grid points; max_order of the Adams methods, 4 to 12 (default 12), one more than
            the highest order of a step. Of adaptive methods those of torchdiffeq, such as first_step and max_num_steps.
        event_fn: (t, y) -> a tensor; the integration ends where an entry of it changes its sign. Then `t` is two times,
            of which the second only tells the direction, and fixed steps need a `step_size`.

    Returns:
        The states at the times, (T, *shape of y0), or a tuple of them. The gradient with respect to a time in t that
        falls on a point of the grid without being one is zero with linear interpolation, as in torchdiffeq. With
        `event_fn` (the time of the event, the states at the start and then, (2, *shape of y0)); the time has no
        gradient: see `odeint_event`.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range, or one that would have no effect.
        ArithmeticError: an adaptive method lost the solution or used up its steps, or the event does not come.
    """
    method = checked_method("method", method)
    start = checked_start(func, y0, t, event_fn)
    if method in (*ADAPTIVE, *IMPLICIT):
        chosen = checked_options("options", options, method)
        if start.y.numel() == 0:  # an error has no size there: any method takes it
            return odeint(func, y0, t, rtol=rtol, atol=atol, method="euler")
        if event_fn is not None:
            check_event_step(method, chosen)
        watching = guarded(func, start, method, rtol, atol)
        with torchdiffeq_errors(method, chosen, rtol, atol, event=event_fn is not None):
            return torchdiffeq_package().odeint(
                watching,
                y0,
                start.times,
                rtol=rtol,
                atol=atol,
                method=method,
                options=with_norm(chosen, start),
                event_fn=None if event_fn is None else checked_event(event_fn),
            )
    for name, value in (("rtol", rtol), ("atol", atol)):
        checked_tolerance(name, value, start.packing)
    return with_fixed_steps(func, start, method, read_options(options, method), event_fn, atol)
