"""The discretisations of the kernels as in the books, one step at a time, for autograd to go through."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from odernn.engines.linear_method import LinearStep, general_linear
from odernn.engines.method import Method
from solvers import SOLVERS
from solvers.extend import Coefficient, Entry, Scheme, Schemes

Rate = Callable[[Tensor, Tensor, slice, slice, float], Tensor]
"""(y, source, rows, columns, node) -> the rate of the units `rows`, whose state is `y` and whose preactivation is
made of `source`, the units `columns` of the state, at a node of the step, 0 at its start and 1 at its end."""

EVERY = slice(None)


def _everything(ratios: Sequence[Coefficient]) -> Scheme:
    """Three vectors and two stages that all see each other, by coefficients of every kind."""
    r, earlier = ratios
    u = ((1.1, 0.2 * r, -0.3), (0.4, 1.0, 0.1 * earlier))
    v = ((0.9, 0.3, 0.1 * r * earlier), (0.2 * r, 0.5, 0.0), (0.1, 0.7, 0.4))
    return Scheme(u, ((), (0.3,)), v, ((0.6 * r, 0.5), (1.0, 0.2), (0.3, 0.4 * earlier)), (0.2, 0.7), (None, None))


_STARTS = (
    Scheme(((1.0,), (0.8,)), ((), (0.5,)), ((1.0,), (0.3,)), ((0.4, 0.6), (0.7, 0.2)), (0.0, 0.5), (None, None)),
    Scheme(((0.6, 0.5),), ((),), ((1.0, 0.1), (0.2, 0.8), (0.5, 0.5)), ((1.0,), (0.3,), (0.9,)), (0.25,), (None,)),
)

LINEAR_METHODS = {
    name: general_linear(solver.schemes)
    for name, solver in SOLVERS.items()
    if solver.schemes is not None and solver.schemes.vectors > 1
} | {"everything": general_linear(Schemes(_everything, _STARTS, ratios=2))}
"""The methods that carry several vectors, and one that has all that such a method may have."""


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


def linear_step(
    step: LinearStep, given: Tensor | None, rate: Rate, dt: Tensor | float, x: Sequence[Tensor]
) -> list[Tensor]:
    """The vectors after a step from the vectors x, by the given coefficients (rows, numbers, 1) if there are some."""

    def total(row: Sequence[Entry], vectors: Sequence[Tensor]) -> Tensor:
        weights = [e.coefficient if given is None or e.place < 0 else given[:, e.place] for e in row]
        return sum((w * v for w, v in zip(weights, vectors, strict=True)), torch.zeros_like(x[0]))

    slopes: list[Tensor] = []
    for u, a, c in zip(step.u, step.a, step.c, strict=True):
        stage = total(u, x) + dt * sum(weight * k for weight, k in zip(a, slopes, strict=True))
        slopes.append(rate(stage, stage, EVERY, EVERY, c))
    return [total(v, x) + dt * total(b, slopes) for v, b in zip(step.v, step.b, strict=True)]


def assert_close(have: Tensor | None, want: Tensor, bound: float, name: str) -> None:
    """The largest difference, relative to the largest entry or to one, is below the bound."""
    assert have is not None
    assert have.shape == want.shape, name
    error = float((have.double() - want.detach()).abs().max() / (1 + want.detach().abs().max()))
    assert error < bound, f"{name}: {error:.1e}"
