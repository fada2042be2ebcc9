"""The march of odeint() along its grid, with torchdiffeq's interpolation between grid points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

from torch import Tensor

from .steps import Func, Stepper

Callback = Callable[[Tensor, Tensor, Tensor], object]


class Step(NamedTuple):
    """One step of the march: from (t0, y0) to (t1, y1), with the slope at its start."""

    t0: Tensor
    t1: Tensor
    y0: Tensor
    y1: Tensor
    slope: Tensor


def march(
    stepper: Stepper,
    func: Func,
    y0: Tensor,
    t: Tensor,
    grid: Tensor,
    *,
    perturb: bool,
    interp: str,
    before: Callback | None,
) -> list[Tensor]:
    """The states at the times `t`, the first of them `y0`, stepping along `grid`.

    Args:
        stepper: the method.
        func: dy/dt.
        y0: the state at t[0].
        t: the times, (T,), in one direction.
        grid: the ends of the steps, from t[0] to t[-1].
        perturb: whether the ends of a step are evaluated just inside of it.
        interp: "linear" or "cubic".
        before: called as (t, y, dt) before every step; dt is positive.
    """
    times, path, j = t.unbind(0), [y0], 1
    wanted = t.detach().tolist()
    ends = grid.detach().tolist()
    forward = len(wanted) < 2 or wanted[0] < wanted[1]
    for step, end in zip(_steps(stepper, func, y0, grid, perturb, before), ends[1:], strict=True):
        while j < len(wanted) and (end >= wanted[j] if forward else end <= wanted[j]):
            meets = interp == "linear" and end == wanted[j]
            path.append(step.y1 if meets else interpolated(func, step, times[j], interp))
            j += 1
    return path


def _steps(
    stepper: Stepper, func: Func, y: Tensor, grid: Tensor, perturb: bool, before: Callback | None
) -> Iterator[Step]:
    ends = grid.unbind(0)
    for t0, t1 in pairwise(ends):
        if before is not None:
            before(t0, y, (t1 - t0).abs())
        y0 = y
        y, slope = stepper.step(func, t0, t1, y0, perturb)
        yield Step(t0, t1, y0, y, slope)


def interpolated(func: Func, step: Step, t: Tensor, interp: str) -> Tensor:
    """The state at a time within a step."""
    return _cubic(func, step, t) if interp == "cubic" else _line(step, t)


def _line(step: Step, t: Tensor) -> Tensor:
    """The point on the line through the states at the ends of the step."""
    return step.y0 + ((t - step.t0) / (step.t1 - step.t0)).to(step.y0.real.dtype) * (step.y1 - step.y0)


def _cubic(func: Func, step: Step, t: Tensor) -> Tensor:
    """The point on the cubic through the states and the slopes at the ends of the step, in Hermite's basis."""
    real = step.y0.real.dtype
    dt = step.t1 - step.t0
    x = (t - step.t0) / dt
    start, end = (1 + 2 * x) * (1 - x) * (1 - x), x * x * (3 - 2 * x)
    rise, fall = dt * x * (1 - x) * (1 - x), dt * x * x * (x - 1)
    slope = func(step.t1.to(real), step.y1)
    return start.to(real) * step.y0 + rise.to(real) * step.slope + end.to(real) * step.y1 + fall.to(real) * slope
