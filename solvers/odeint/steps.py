"""One step of odeint(): the methods that it offers, with torchdiffeq's stage times and its starts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from ..arithmetic import advance
from ..methods.explicit_rk import ExplicitRungeKutta
from ..methods.runge_kutta import RK38
from .adams_weights import adams_bashforth_weights

Func = Callable[[Tensor, Tensor], Tensor]

LOWEST = 3
"""The order at which torchdiffeq's explicit_adams takes over from the 3/8 rule."""


class Stepper(ABC):
    """What steps through one call of odeint(): it may remember earlier steps."""

    @abstractmethod
    def step(self, func: Func, t0: Tensor, t1: Tensor, y: Tensor, perturb: bool) -> tuple[Tensor, Tensor]:
        """The state at t1 from `y` at t0, and the slope at t0.

        Args:
            func: dy/dt.
            t0: the time at the start of the step, ().
            t1: the time at its end, ().
            y: the state at t0.
            perturb: whether the ends of the step are evaluated just inside of it.
        """


@final
class RungeKuttaStepper(Stepper):
    """Steps of one explicit Runge-Kutta method."""

    def __init__(self, method: ExplicitRungeKutta) -> None:
        self.method = method

    def step(self, func: Func, t0: Tensor, t1: Tensor, y: Tensor, perturb: bool) -> tuple[Tensor, Tensor]:
        """A step of the method, its stages at torchdiffeq's times."""
        stages = _Stages(self.method, func, t0, t1, perturb)
        end, _ = self.method.step(stages, 0.0, (t1 - t0).to(y.real.dtype), y, ())
        return end, stages.slopes[0]


@final
class AdamsStepper(Stepper):
    """Adams-Bashforth steps, whose order rises by one with every step, from 3 up to `order`, on an even grid.

    y_{n+1} = y_n + dt sum_j weight_j f_{n-j} with the weights of the order that the slopes so far allow; before there
    are three of them, a step of the 3/8 rule.

    Args:
        order: the highest order, from 3.
    """

    def __init__(self, order: int) -> None:
        self.slopes: deque[Tensor] = deque(maxlen=order)  # the newest first
        self.start = RungeKuttaStepper(RK38())

    def step(self, func: Func, t0: Tensor, t1: Tensor, y: Tensor, perturb: bool) -> tuple[Tensor, Tensor]:
        """A step of the 3/8 rule at first, of Adams-Bashforth when there are slopes enough."""
        if len(self.slopes) + 1 < LOWEST:
            end, slope = self.start.step(func, t0, t1, y, perturb)
            self.slopes.appendleft(slope)
            return end, slope
        slope = func(_inside(t0, (t1 - t0).detach().sign(), y) if perturb else t0.to(y.real.dtype), y)
        self.slopes.appendleft(slope)
        return advance(y, (t1 - t0).to(y.real.dtype), self._mean()), slope

    def _mean(self) -> Tensor:
        """The slopes, weighted."""
        first, *others = (float(weight) for weight in adams_bashforth_weights(len(self.slopes)))
        newest, *earlier = self.slopes
        mean = first * newest
        for weight, slope in zip(others, earlier, strict=True):
            mean = torch.add(mean, slope, alpha=weight)
        return mean


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
        time, node = next(self.times), next(self.nodes)
        if self.inside is not None and node in (0, 1):
            time = _inside(time, self.inside if node == 0 else -self.inside, y)
        self.slopes.append(self.func(time.to(y.real.dtype), y))
        return self.slopes[-1]


def _stage_time(method: ExplicitRungeKutta, node: float, t0: Tensor, t1: Tensor) -> Tensor:
    """The end of a step is t1 itself in torchdiffeq's "rk4" and t0 + dt in its "heun2": not always the same number."""
    if node == 0:
        return t0
    return t1 if node == 1 and isinstance(method, RK38) else t0 + (t1 - t0) * node


def _inside(t: Tensor, direction: Tensor, y: Tensor) -> Tensor:
    """The next number in the real dtype of `y` in a direction, with the gradient of `t`."""
    time = t.to(y.real.dtype)
    place = time.detach()
    return time + (torch.nextafter(place, place + direction.to(place.dtype)) - place)
