"""The march of odeint() along its grid, with torchdiffeq's stage times and its interpolation between grid points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from .explicit_rk import ExplicitRungeKutta
from .tableaus import RK38

Func = Callable[[Tensor, Tensor], Tensor]
Callback = Callable[[Tensor, Tensor, Tensor], object]


class Step(NamedTuple):
    """One step of the march: from (t0, y0) to (t1, y1), with the slope at its start."""

    t0: Tensor
    t1: Tensor
    y0: Tensor
    y1: Tensor
    slope: Tensor


def march(
    method: ExplicitRungeKutta,
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
        method: the method.
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
    for step, end in zip(_steps(method, func, y0, grid, perturb, before), ends[1:], strict=True):
        while j < len(wanted) and (end >= wanted[j] if forward else end <= wanted[j]):
            if interp == "cubic":
                path.append(_cubic(func, step, times[j]))
            else:
                path.append(step.y1 if end == wanted[j] else _line(step, times[j]))
            j += 1
    return path


def _steps(
    method: ExplicitRungeKutta, func: Func, y: Tensor, grid: Tensor, perturb: bool, before: Callback | None
) -> Iterator[Step]:
    ends = grid.unbind(0)
    for t0, t1 in pairwise(ends):
        if before is not None:
            before(t0, y, (t1 - t0).abs())
        y0, stages = y, _Stages(method, func, t0, t1, perturb)
        y, _ = method.step(stages, 0.0, (t1 - t0).to(y.real.dtype), y, ())
        yield Step(t0, t1, y0, y, stages.slopes[0])


class _Stages:
    """The right-hand side of one step, whose stages are evaluated at torchdiffeq's times, in their order."""

    def __init__(self, method: ExplicitRungeKutta, func: Func, t0: Tensor, t1: Tensor, perturb: bool) -> None:
        self.func = func
        self.times = iter([_stage_time(method, node, t0, t1) for node in method.tableau.c])
        self.nodes = iter(method.tableau.c)
        self.inside = (t1 - t0).detach().sign() if perturb else None
        self.slopes: list[Tensor] = []

    def __call__(self, _: object, y: Tensor) -> Tensor:
        """The slope of the next stage; the solver's own idea of the time is replaced."""
        time, node = next(self.times).to(y.real.dtype), next(self.nodes)
        if self.inside is not None and node in (0, 1):
            time = _nudged(time, self.inside if node == 0 else -self.inside)
        self.slopes.append(self.func(time, y))
        return self.slopes[-1]


def _stage_time(method: ExplicitRungeKutta, node: float, t0: Tensor, t1: Tensor) -> Tensor:
    """The end of a step is t1 itself in torchdiffeq's "rk4" and t0 + dt in its "heun2": not always the same number."""
    if node == 0:
        return t0
    return t1 if node == 1 and isinstance(method, RK38) else t0 + (t1 - t0) * node


def _nudged(t: Tensor, direction: Tensor) -> Tensor:
    """The next number in a direction, with the gradient of `t`."""
    place = t.detach()
    return t + (torch.nextafter(place, place + direction.to(place.dtype)) - place)


def _line(step: Step, t: Tensor) -> Tensor:
    """On the line through the states at the ends of the step."""
    return step.y0 + ((t - step.t0) / (step.t1 - step.t0)).to(step.y0.real.dtype) * (step.y1 - step.y0)


def _cubic(func: Func, step: Step, t: Tensor) -> Tensor:
    """On the cubic through the states and the slopes at the ends of the step, in Hermite's basis."""
    real = step.y0.real.dtype
    dt = step.t1 - step.t0
    x = (t - step.t0) / dt
    start, end = (1 + 2 * x) * (1 - x) * (1 - x), x * x * (3 - 2 * x)
    rise, fall = dt * x * (1 - x) * (1 - x), dt * x * x * (x - 1)
    slope = func(step.t1.to(real), step.y1)
    return start.to(real) * step.y0 + rise.to(real) * step.slope + end.to(real) * step.y1 + fall.to(real) * slope
