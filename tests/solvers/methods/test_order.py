"""Law: every registered solver converges at its order on a nonlinear, non-autonomous problem."""

from collections.abc import Callable
from math import log2

import pytest
import torch
from torch import Tensor

from solvers import RK4, SOLVERS, Structured, TorchdiffeqSolver, integrate, make_solver

WITHIN = 0.2  # the slope between two steps is off its limit by a term that is itself of the size of dt
END = 1.0
STEPS = {1: 0.01, 2: 0.02, 3: 0.04, 4: 0.05}  # small enough for the leading term, large enough to stay above rounding


def error(name: str, f: Structured, y0: Tensor, exact: Tensor, end: float, dt: float) -> float:
    solution = integrate(f, y0, t1=end, dt=dt, solver=make_solver(name), save="end")
    return float(torch.linalg.vector_norm(solution.y - exact))


@pytest.fixture(scope="module")
def exact(nonlinear: Structured, start: Tensor) -> dict[float, Tensor]:
    """The solution forward and backward, by short steps."""
    return {end: integrate(nonlinear, start, t1=end, dt=0.001, solver=RK4(), save="end").y for end in (END, -END)}


ADAPTIVE = [name for name in SOLVERS if issubclass(SOLVERS[name], TorchdiffeqSolver)]


@pytest.mark.parametrize("name", [name for name in SOLVERS if name not in ADAPTIVE])
@pytest.mark.parametrize("end", [END, -END], ids=["forward", "backward"])
def test_converges_at_its_order(
    name: str, end: float, nonlinear: Structured, start: Tensor, suited: Callable, exact: dict[float, Tensor]
) -> None:
    order = make_solver(name).order
    f = suited(nonlinear, make_solver(name))
    coarse = error(name, f, start, exact[end], end, STEPS[order])
    fine = error(name, f, start, exact[end], end, STEPS[order] / 2)
    assert abs(log2(coarse / fine) - order) < WITHIN


@pytest.mark.parametrize("name", ADAPTIVE)
def test_an_adaptive_method_meets_its_tolerance(
    name: str, nonlinear: Structured, start: Tensor, exact: dict[float, Tensor]
) -> None:
    # relative 1e-7 a step and ten steps, with an allowance for how the problem stretches errors
    assert error(name, nonlinear, start, exact[END], END, 0.2) < 1e-5
