"""The two-step midpoint rule, or leapfrog for a field without a partition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from .arithmetic import advance
from .characteristic import quadratic_radius
from .solver import Memory, Solver
from .structure import RightHandSide, Time


@final
@dataclass(frozen=True)
class LeapfrogMidpoint(Solver):
    """The explicit two-step midpoint rule: y_{n+1} = y_{n-1} + 2 dt f(t_n, y_n), order 2, one evaluation a step.

    Its memory is (y_{n-1}, dt_{n-1}). The first step is one of the explicit midpoint method, which keeps the order.
    When the step changes, with r = dt_n / dt_{n-1}, the formula of order 2 on uneven points is taken:
    y_{n+1} = r^2 y_{n-1} + (1 - r^2) y_n + dt_n (1 + r) f(t_n, y_n). Steps that grow often let its parasitic mode grow.
    Neutral on the imaginary axis up to |z| = 1; on a damped mode the parasitic root grows.

    Order 2 wants a right-hand side that is smooth from one step to the next: where the control jumps (zero-order hold)
    the two-step difference is off by dt times the jump.

    Source: Hairer, Norsett & Wanner, Solving ODEs I, sec. III.1, eq. (1.13'); for uneven steps, Taylor's formula for
    y_{n+1} - r^2 y_{n-1}.
    """

    order = 2
    stages = 1
    num_evals = 1

    def init(self, f: RightHandSide, t: Time, dt: Time, y: Tensor) -> Memory:
        """Nothing yet: the first step starts the method."""
        return ()

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """The two-step formula, or the explicit midpoint method where there is no earlier state."""
        if not memory:
            half = 0.5 * dt
            return advance(y, dt, f(t + half, advance(y, half, f(t, y)))), (y, dt)
        previous, dt_previous = memory
        slope = f(t, y)
        if isinstance(dt, float) and dt == dt_previous:
            return advance(_as_tensor(previous), 2 * dt, slope), (y, dt)
        ratio = dt / dt_previous
        square = ratio * ratio
        return advance(square * previous + (1 - square) * y, dt * (1 + ratio), slope), (y, dt)

    def amplification(self, z: complex | Tensor) -> Tensor:
        """The largest modulus of the roots of r^2 - 2 z r - 1 = 0."""
        z = torch.as_tensor(z, dtype=torch.complex128)
        return quadratic_radius(-2 * z, -torch.ones_like(z))


def _as_tensor(value: Tensor | float) -> Tensor:
    assert isinstance(value, Tensor)
    return value
