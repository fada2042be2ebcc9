"""Law: one step multiplies a mode of y' = z y by |R(z)|, and where on the imaginary axis that is at most 1."""

from math import inf, sqrt

import pytest
import torch
from torch import Tensor

from solvers import (
    SOLVERS,
    Diffusion,
    Need,
    Partition,
    Semilinear,
    Solver,
    Structured,
    TorchdiffeqSolver,
    imaginary_stability,
    make_solver,
)

MODES = [0.1 + 0.3j, -0.1 + 0.5j, 0.4 + 0j, 0.05 - 0.8j]


def linear(z: complex, solver: Solver) -> Structured:
    """y' = z y, as a pair (q, p) with the modes exp(+-z t) for a solver that needs a partition."""

    def f(t: object, y: Tensor) -> Tensor:
        return z * y

    if solver.needs is Need.PARTITION:
        partition = Partition(drift=f, kick=f)
        return Structured(partition, partition=partition)
    matrix = z * torch.eye(2, dtype=torch.complex128)
    return Structured(
        f,
        semilinear=Semilinear(matrix, lambda t, y: torch.zeros_like(y)),
        diffusion=Diffusion(lambda t, y: torch.zeros_like(y), active=False) if solver.needs is Need.DIFFUSION else None,
    )


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("z", MODES)
def test_growth_a_step_is_the_amplification(name: str, z: complex) -> None:
    solver = make_solver(name)
    f = linear(z, solver)
    y = torch.tensor([[0.6 + 0.1j, 0.3 - 0.4j]], dtype=torch.complex128)
    carry = solver.init(f, 0.0, 1.0, y)
    # The other roots of a multi-step or partitioned method have died out to below 1e-8 after half of the steps. A
    # one-step method has none: it multiplies by R(z), and an adaptive one follows exp(z) to its tolerance.
    adaptive = isinstance(solver, TorchdiffeqSolver)
    several = solver.needs is Need.PARTITION or bool(solver.step(f, 0.0, 1.0, y, carry)[1])
    half, norms = 200 if several else 10, []
    for n in range(2 * half):
        y, carry = solver.step(f, float(n), 1.0, y, carry)
        norms.append(torch.linalg.vector_norm(y))
    growth = (norms[-1] / norms[half - 1]) ** (1 / half)
    rounding = 1e-5 if adaptive else 1e-8
    torch.testing.assert_close(growth, solver.amplification(z), rtol=rounding, atol=0)


@pytest.mark.parametrize("name", SOLVERS)
def test_amplification_keeps_the_shape_of_its_argument(name: str) -> None:
    z = torch.tensor([MODES, MODES], dtype=torch.complex128)
    amplification = make_solver(name).amplification(z)
    assert amplification.shape == z.shape
    assert amplification.dtype == torch.float64


@pytest.mark.parametrize(
    ("name", "interval"),
    [
        ("euler", 0),
        ("midpoint", 0),
        ("heun", 0),
        ("ralston", 0),
        ("kutta3", sqrt(3)),
        ("ssprk3", sqrt(3)),
        ("rk4", sqrt(8)),
        ("rk38", sqrt(8)),
        ("leapfrog-midpoint", 1),
        ("leapfrog", 2),
        ("symplectic-euler", 2),
        ("implicit-midpoint", inf),
    ],
)
def test_stability_on_the_imaginary_axis(name: str, interval: float) -> None:
    # |R| leaves 1 as a square root at the end of a neutral interval, so rounding of 1e-12 shows in the sixth digit
    assert imaginary_stability(make_solver(name)) == pytest.approx(interval, abs=1e-5)


def test_rk2_grows_as_the_fourth_power() -> None:
    s = torch.linspace(0.1, 2, 20, dtype=torch.float64)
    for name in ("midpoint", "heun", "ralston"):
        squared = make_solver(name).amplification(1j * s) ** 2
        torch.testing.assert_close(squared, 1 + s**4 / 4)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("z", [complex("nan"), complex("inf"), complex(0, float("-inf"))])
def test_what_is_not_finite_does_not_end_the_process(name: str, z: complex) -> None:
    factor = make_solver(name).amplification(torch.tensor([z, 0j]))
    assert factor.shape == (2,)
    assert not bool(factor[0] < 1) or bool(factor[0] == 0)  # never called damped by accident, but where R(z) is 0
    assert float(factor[1]) == pytest.approx(1.0)


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), -1.0, 0, "far"])
def test_the_axis_is_searched_up_to_a_finite_limit(limit: object) -> None:
    with pytest.raises((TypeError, ValueError), match="`limit`"):
        imaginary_stability(make_solver("adams-bashforth3"), limit=limit)
