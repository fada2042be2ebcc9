"""Law: a valid call is a plain loop in float64, whatever is drawn for its arguments."""

import random
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from solvers import (
    SOLVERS,
    ButcherTableau,
    ExplicitRungeKutta,
    Partition,
    SplittingMethod,
    Structured,
    integrate,
    make_solver,
    odeint,
    odeint_adjoint,
)
from solvers.odeint.methods import METHODS

DOUBLE = torch.float64


def slope_of(matrix: Tensor) -> Callable[[Any, Tensor], Tensor]:
    return lambda t, y: torch.sin(y @ matrix + torch.as_tensor(t, dtype=y.real.dtype)) - 0.3 * y


def solved(image: Callable[[Tensor], Tensor], y: Tensor) -> Tensor:
    """The fixed point of a contraction by a tenth or so a time."""
    for _ in range(60):
        y = image(y)
    return y


def tableau_step(tableau: ButcherTableau, f: Any, t: float, dt: float, y: Tensor) -> Tensor:
    slopes: list[Tensor] = []
    for row, node in zip(tableau.a, tableau.c, strict=True):
        slopes.append(f(t + node * dt, y + dt * sum(a * k for a, k in zip(row, slopes, strict=True))))
    return y + dt * sum(b * k for b, k in zip(tableau.b, slopes, strict=True))


def shear_step(method: SplittingMethod, f: Partition, t: float, dt: float, y: Tensor) -> Tensor:
    q, p = y.chunk(2, dim=-1)
    for shear in method.shears:
        at, moved = t + shear.node * dt, shear.share * dt
        q, p = (q, p + moved * f.kick(at, q)) if shear.kick else (q + moved * f.drift(at, p), p)
    return torch.cat((q, p), dim=-1)


IMPLICIT: dict[str, Callable[[Any, float, float, Tensor], Tensor]] = {
    "backward-euler": lambda f, t, dt, y: solved(lambda z: y + dt * f(t + dt, z), y),
    "implicit-midpoint": lambda f, t, dt, y: solved(lambda z: y + dt * f(t + dt / 2, (y + z) / 2), y),
    "trapezoidal": lambda f, t, dt, y: solved(lambda z: y + dt / 2 * (f(t, y) + f(t + dt, z)), y),
}
ONE_STEP = [
    name for name, kind in SOLVERS.items() if issubclass(kind, ExplicitRungeKutta | SplittingMethod) or name in IMPLICIT
]


def plain_step(name: str, f: Any, t: float, dt: float, y: Tensor) -> Tensor:
    solver = make_solver(name)
    if isinstance(solver, ExplicitRungeKutta):
        return tableau_step(solver.tableau, f, t, dt, y)
    return shear_step(solver, f, t, dt, y) if isinstance(solver, SplittingMethod) else IMPLICIT[name](f, t, dt, y)


@pytest.mark.parametrize("seed", range(100))
def test_a_valid_call_of_integrate_is_a_plain_loop(seed: int) -> None:
    draw = random.Random(seed)
    name, n = draw.choice(ONE_STEP), 2 * draw.randint(1, 3)
    shape = draw.choice([(n,), (3, n), (2, 1, n)])
    dtype = DOUBLE if name in IMPLICIT else draw.choice([DOUBLE, torch.complex128])
    generator = torch.Generator().manual_seed(seed)
    y0 = torch.randn(shape, dtype=dtype, generator=generator)
    partitioned = issubclass(SOLVERS[name], SplittingMethod)
    width = n // 2 if partitioned else n
    drift, kick = (slope_of(torch.randn(width, width, dtype=dtype, generator=generator) / 2) for _ in range(2))
    f = Partition(drift, kick) if partitioned else draw.choice([drift, Structured(drift)])
    t0, steps, dt = draw.uniform(-2, 2), draw.randint(1, 5), draw.uniform(0.01, 0.05)
    short = draw.choice([0.0, 0.4])  # the last step is shorter
    sign = draw.choice([1, -1])
    times = [t0 + sign * k * dt for k in range(steps + 1)] + ([t0 + sign * (steps + short) * dt] if short else [])
    solver = draw.choice([name, make_solver(name)])
    adjoint = draw.choice(["autograd", "checkpointed"])
    save = draw.choice(["trajectory", "end"])
    path = [y0]
    for start, end in pairwise(times):
        path.append(plain_step(name, f, start, end - start, path[-1]))
    found = integrate(f, y0, t0=t0, t1=times[-1], dt=dt, solver=solver, adjoint=adjoint, save=save)  # pyright: ignore[reportArgumentType]
    wanted = path[-1] if save == "end" else torch.stack(path)
    # six steps of sums in another order, and an equation solved to its last digit but one
    torch.testing.assert_close(found.y, wanted, rtol=1e-12, atol=1e-13)
    assert found.t.tolist() == pytest.approx(times[-1] if save == "end" else times, abs=1e-12)
    assert bool(found.finite)


@pytest.mark.parametrize("seed", range(60))
def test_a_valid_call_of_odeint_is_a_plain_loop(seed: int) -> None:
    draw = random.Random(seed)
    method, n = draw.choice(list(METHODS)), draw.randint(1, 4)
    generator = torch.Generator().manual_seed(seed)
    f = slope_of(torch.randn(n, n, dtype=DOUBLE, generator=generator))
    parts = tuple(torch.randn(draw.randint(0, 3), n, dtype=DOUBLE, generator=generator) for _ in range(2))
    y0 = draw.choice([parts, parts[0]])
    t = torch.cumsum(torch.rand(draw.randint(1, 5), dtype=DOUBLE, generator=generator) + 0.1, 0) * draw.choice([1, -1])
    further = draw.choice([{}, {"rtol": 1e-3}, {"options": {"perturb": False, "interp": "linear"}}, {"options": None}])
    func = (lambda t, y: tuple(f(t, part) for part in y)) if isinstance(y0, tuple) else f
    found = draw.choice([odeint, partial(odeint_adjoint, adjoint_params=())])(func, y0, t, method=method, **further)
    for part, got in zip(y0, found, strict=True) if isinstance(y0, tuple) else [(y0, found)]:
        path, times = [part], t.tolist()
        for start, end in pairwise(times):
            path.append(tableau_step(METHODS[method].tableau, f, start, end - start, path[-1]))
        torch.testing.assert_close(got, torch.stack(path), rtol=1e-12, atol=1e-13)  # five steps of sums
