"""Integration up to an event, a zero of a function of time and state, and the gradient of the time when it happens."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log2
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from ..divergence import DivergenceError
from .march import Callback, Step, interpolated
from .packing import Packing
from .steps import Func, Stepper

MOST_STEPS = 20_000
"""Steps after which the event is taken not to come, as in torchdiffeq."""
MOST_HALVINGS = 64
"""More do not move a float64 within a step."""


def combined(event_fn: Callable[[Tensor, Any], Tensor], t0: Tensor, y0: Tensor, packing: Packing) -> Func:
    """One number that changes its sign as soon as an entry of the event function does, of packed states."""
    with torch.no_grad():
        signs = torch.sign(event_fn(t0, packing.unpack(y0)))

    def smallest(t: Tensor, y: Tensor) -> Tensor:
        return (event_fn(t, packing.unpack(y)) * signs).min()

    return smallest


def march_to_event(
    stepper: Stepper,
    func: Func,
    y: Tensor,
    t: Tensor,
    dt: Tensor,
    event: Func,
    *,
    perturb: bool,
    interp: str,
    before: Callback | None,
    tolerance: float,
) -> tuple[Tensor, Tensor]:
    """The time of the event, without a gradient, and the state then, with that of the steps and of the interpolation.

    Args:
        stepper: the method.
        func: dy/dt.
        y: the state at the start.
        t: the time of the start, ().
        dt: the step, (), negative to go back in time.
        event: (t, y) -> a number that changes its sign at the event.
        perturb: whether the ends of a step are evaluated just inside of it.
        interp: "linear" or "cubic", for the states within the last step.
        before: called as (t, y, dt) before every step; dt is positive.
        tolerance: the error of the time within the last step, as it is interpolated.

    Raises:
        ArithmeticError: the event does not come, or the state stops being finite before.
    """
    sign = _sign(event, t, y)
    if sign == 0:
        return t.detach(), y
    for _ in range(MOST_STEPS):
        if before is not None:
            before(t, y, dt.abs())
        end = t + dt
        y1, slope = stepper.step(func, t, end, y, perturb)
        _check_finite(end, y1)
        if _sign(event, end, y1) != sign:
            return _located(func, Step(t, end, y, y1, slope), event, sign, interp, tolerance)
        t, y = end, y1
    raise ArithmeticError(
        f"`event_fn` did not change its sign in {MOST_STEPS} steps, up to t = {float(t):.6g}: is the event on this "
        "side of the start? Give a larger `step_size`, or an event that comes"
    )


def _check_finite(t: Tensor, y: Tensor) -> None:
    if not bool(torch.isfinite(y.detach()).all()):
        raise DivergenceError(
            f"the state stopped being finite at t = {float(t):.6g}, before the event of `event_fn`: give a smaller "
            "`step_size`, or an event that comes earlier",
            None,
            float(t),
            None,
        )


@torch.no_grad()
def _sign(event: Func, t: Tensor, y: Tensor) -> float:
    value = float(event(t, y))
    if value != value:
        raise ValueError(f"`event_fn` is not a number at t = {float(t):.6g}, in a finite state: give one that is")
    return (value > 0) - (value < 0)


def _located(func: Func, step: Step, event: Func, sign: float, interp: str, tolerance: float) -> tuple[Tensor, Tensor]:
    """Bisection between the ends of a step, on its interpolation."""
    low, high = step.t0.detach(), step.t1.detach()
    width = abs(float(high - low))
    halvings = MOST_HALVINGS if tolerance == 0 else min(MOST_HALVINGS, max(0, ceil(log2(width / tolerance))))
    with torch.no_grad():
        for _ in range(halvings):
            middle = (low + high) / 2
            same = _sign(event, middle, interpolated(func, step, middle, interp)) == sign
            low, high = (middle, high) if same else (low, middle)
    time = (low + high) / 2
    return time, interpolated(func, step, time, interp)


def with_event_gradient(func: Func, event: Func, t: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The time of an event and the state then, differentiable: the time moves so that the event function stays zero.

    With c(t, y) = 0 at the event and y' = f, dt = -dc / (c_t + c_y f), dc the change of c at a fixed time, and the
    state changes by f dt more: the implicit function theorem. It is infinite where the event is touched, not crossed.

    Args:
        func: f.
        event: c.
        t: the time of the event, ().
        y: the state then, with its gradient at a fixed time.

    Source: Chen, Amos & Nickel, Learning neural event functions for ordinary differential equations (ICLR 2021),
    sec. 3.1.
    """
    time, place = t.detach(), y.detach()
    with torch.enable_grad():
        moving = (time.clone().requires_grad_(), place.clone().requires_grad_())
        value = event(*moving)
        by_t, by_y = torch.zeros_like(time), torch.zeros_like(place)
        if value.requires_grad:
            by_t, by_y = torch.autograd.grad(value, moving, allow_unused=True, materialize_grads=True)
    with torch.no_grad():
        slope = func(time, place)
        rate = by_t + (by_y.conj() * slope).real.sum().to(time.dtype)
    value = event(time, y)
    event_t = time - ((value - value.detach()) / rate).to(time.dtype)
    moved = y + slope * (event_t - time).to(y.real.dtype)
    return _FirstDerivative.apply(event_t), _FirstDerivative.apply(moved)  # pyright: ignore[reportReturnType]


class _FirstDerivative(Function):
    """The identity, whose derivative is not differentiated."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            raise NotImplementedError(
                "the gradient of `odeint_event` cannot be differentiated again, and `create_graph=True` asks for that: "
                "leave it out"
            )
        return grads[0]
