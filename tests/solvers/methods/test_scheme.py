"""Law: an explicit method's scheme does what its step does, over uneven steps, from the start and from a carry."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from solvers import SOLVERS, Partition, make_solver
from solvers.extend import Scheme, Time

DOUBLE = torch.float64
EXPLICIT = [name for name, solver in SOLVERS.items() if solver.schemes is not None]
FAMILIES = ("explicit Runge-Kutta", "splitting", "reversible", "multi-step")
# Five steps, each a sum of some ten numbers of size one in another order: a few ulp of 2.2e-16.
ROUNDING = 1e-15


def close(one: Tensor, other: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def interpret(
    scheme: Scheme, f: Callable[[Time, Tensor], Tensor], t: Time, dt: Time, x: Sequence[Tensor]
) -> list[Tensor]:
    """One step, as the docstring of `Scheme` has it."""
    k: list[Tensor] = []
    for u, a, c, half in zip(scheme.u, scheme.a, scheme.c, scheme.half, strict=True):
        slope = f(t + c * dt, total(u, x) + dt * total(a, k))
        k.append(slope if half is None else masked(slope, half))
    return [total(v, x) + dt * total(b, k) for v, b in zip(scheme.v, scheme.b, strict=True)]


def total(weights: Sequence[float | Tensor], vectors: Sequence[Tensor]) -> Tensor:
    return sum((w * x for w, x in zip(weights, vectors, strict=True)), torch.zeros((), dtype=DOUBLE))


def masked(slope: Tensor, half: int) -> Tensor:
    halves = list(slope.chunk(2, dim=-1))
    halves[1 - half] = torch.zeros_like(halves[1 - half])
    return torch.cat(halves, dim=-1)


def steps_of(kind: str) -> list[Time]:
    numbers = [0.3, 0.2, 0.45, 0.1, 0.37]
    if kind == "numbers":
        return list(numbers)
    return [torch.tensor([[each], [0.5 - each]], dtype=DOUBLE) for each in numbers]


def slope(sign: float) -> Callable[[Time, Tensor], Tensor]:
    return lambda t, x: torch.sin(x + t) + sign * x.square()


SYSTEM = Partition(drift=slope(0.3), kick=slope(-0.2))


@pytest.mark.parametrize("name", EXPLICIT)
@pytest.mark.parametrize("kind", ["numbers", "a row each"])
@pytest.mark.parametrize("restart", range(5))
def test_it_does_what_the_step_does(name: str, kind: str, restart: int) -> None:
    """The vectors are unpacked from the solver's carry after `restart` steps and go on from there by themselves."""
    solver = make_solver(name)
    schemes = solver.schemes
    assert schemes is not None
    y = torch.tensor([[0.3, -0.4, 0.2, 0.9], [1.1, 0.5, -0.7, 0.1]], dtype=DOUBLE)
    t: Time = 0.0
    steps = steps_of(kind)
    carry = solver.init(SYSTEM, t, steps[0], y)
    for dt in steps[:restart]:
        y, carry = solver.step(SYSTEM, t, dt, y, carry)
        t = t + dt
    vectors, past = schemes.unpack(carry if restart else (), steps[restart])
    x = [y, *vectors]
    for dt in steps[restart:]:
        y, carry = solver.step(SYSTEM, t, dt, y, carry)
        every = [dt, *past]
        scheme = schemes.at(len(past), [one / other for one, other in zip(every, past, strict=False)])
        x = interpret(scheme, SYSTEM, t, dt, x)
        past = every[: len(x) - 1]
        t = t + dt
    close(x[0], y, ROUNDING)
    for got, wanted in zip(schemes.pack(x[1:], past), carry, strict=True):
        close(torch.as_tensor(got), torch.as_tensor(wanted), 10 * ROUNDING)  # a slope is divided by a step of 0.1


def test_every_explicit_method_has_a_scheme() -> None:
    """All of the families that have no part of their own to solve, to exponentiate or to draw."""
    assert set(EXPLICIT) == {name for name, solver in SOLVERS.items() if solver.family in FAMILIES}
