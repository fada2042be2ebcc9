"""The discretisations of the kernels as in the books, one step at a time, for autograd to go through."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from odernn.engines.method import Method, runge_kutta

Rate = Callable[[Tensor, Tensor, slice, slice, float], Tensor]
"""(y, source, rows, columns, node) -> the rate of the units `rows`, whose state is `y` and whose preactivation is
made of `source`, the units `columns` of the state, at a node of the step, 0 at its start and 1 at its end."""

EVERY = slice(None)
MIDPOINT = runge_kutta([[], [0.5]], [0.0, 1.0], [0.0, 0.5])
"""The start of the two-step method."""


def one_step(method: Method, rate: Rate, dt: Tensor | float, y: Tensor) -> Tensor:
    """The state after a step of a method without a carry."""
    return shear_step(method, rate, dt, y) if method.family == "shears" else tableau_step(method, rate, dt, y)


def tableau_step(method: Method, rate: Rate, dt: Tensor | float, y: Tensor) -> Tensor:
    """An explicit tableau: k_i = f(y + dt sum_j a_ij k_j), y + dt sum_i b_i k_i."""
    rates: list[Tensor] = []
    stages = len(method.b)
    for i in range(stages):
        stage = y + dt * sum(method.a[i * stages + j] * rates[j] for j in range(i))
        rates.append(rate(stage, stage, EVERY, EVERY, method.c[i]))
    return y + dt * sum(b * k for b, k in zip(method.b, rates, strict=True))


def shear_step(method: Method, rate: Rate, dt: Tensor | float, y: Tensor) -> Tensor:
    """Kicks and drifts: each moves one half of the state along a rate of the other."""
    half = y.shape[-1] // 2
    halves = [slice(None, half), slice(half, None)]
    state = [y[:, each] for each in halves]
    for moved, coefficient, node in zip(method.moved, method.b, method.c, strict=True):
        other = 1 - moved
        k = rate(torch.zeros_like(state[moved]), state[other], halves[moved], halves[other], node)
        state[moved] = state[moved] + coefficient * dt * k
    return torch.cat(state, -1)


def midpoint_step(weights: tuple[Tensor | float, ...], rate: Rate, y: Tensor, previous: Tensor) -> Tensor:
    """y_next = e y_previous + w y + s f(y)."""
    e, w, s = weights
    return e * previous + w * y + s * rate(y, y, EVERY, EVERY, 0.0)


def midpoint_weights(dt: Tensor | float, dt_previous: Tensor | float) -> tuple[Tensor | float, ...]:
    """Those of the two-step midpoint rule on uneven steps: r^2, 1 - r^2 and dt (1 + r), r = dt / dt_previous."""
    ratio = dt / dt_previous
    return ratio**2, 1 - ratio**2, dt * (1 + ratio)


def assert_close(have: Tensor | None, want: Tensor, bound: float, name: str) -> None:
    """The largest difference, relative to the largest entry or to one, is below the bound."""
    assert have is not None
    assert have.shape == want.shape, name
    error = float((have.double() - want.detach()).abs().max() / (1 + want.detach().abs().max()))
    assert error < bound, f"{name}: {error:.1e}"
