"""Laws of the implicit methods: a step solves the method's own formula."""

from math import cos, sin

import pytest
import torch
from torch import Tensor

from solvers import (
    AffinePointwise,
    BackwardEuler,
    ImplicitMidpoint,
    Structured,
    Trapezoidal,
    integrate,
)
from solvers.methods.implicit.methods import Method
from tests.solvers.methods.implicit.formulas import DOUBLE, METHODS, ROUNDING, WAYS, residual


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dt", [0.4, -0.4])
@pytest.mark.parametrize("plain", [False, True])
def test_a_step_solves_the_formula(method, way: Method, dt: float, plain: bool, nonlinear: Structured, start) -> None:
    solver = method(method=way)
    f = (lambda t, y: nonlinear(t, y)) if plain else nonlinear
    after, carry = solver.step(f, 0.3, dt, start, ())
    assert carry == ()
    assert residual(solver, nonlinear, 0.3, dt, start, after).abs().max() < ROUNDING


@pytest.mark.parametrize("structured", [False, True])
def test_a_complex_field_that_is_not_holomorphic(structured: bool) -> None:
    def f(t: float, y: Tensor) -> Tensor:
        return 1j * y.conj() + 0.2 * y * y.abs()

    y = torch.tensor([[0.3 + 0.1j, -0.2j], [0.5 + 0.5j, 1.0 + 0j]], dtype=torch.complex128)
    y = y.conj()  # a lazy view, until somebody looks at its parts
    after, _ = ImplicitMidpoint().step(Structured(f) if structured else f, 0.0, 0.5, y, ())
    assert (after - y - 0.5 * f(0.0, (y + after) / 2)).abs().max() < ROUNDING


def test_a_plain_callable_may_couple_everything() -> None:
    matrix, y = torch.randn(3, 3, dtype=DOUBLE), torch.randn(3, 2, dtype=DOUBLE)
    inverse = torch.linalg.inv(torch.eye(3, dtype=DOUBLE) - 0.5 * matrix)

    def step(y: Tensor) -> Tensor:
        return BackwardEuler().step(lambda t, y: matrix @ y, 0.0, 0.5, y, ())[0]

    torch.testing.assert_close(step(y), inverse @ y, rtol=1e-13, atol=1e-13)  # the condition of the inverse
    jacobian = torch.autograd.functional.jacobian(step, y)
    expected = torch.einsum("ij,kl->ikjl", inverse, torch.eye(2, dtype=DOUBLE))
    torch.testing.assert_close(jacobian, expected, rtol=1e-13, atol=1e-13)


def test_a_scalar_state() -> None:
    y = torch.tensor(2.0, dtype=DOUBLE)
    after, _ = BackwardEuler().step(lambda t, y: -y, 0.0, 1.0, y, ())
    assert after.shape == ()
    assert float(after) == pytest.approx(1.0, abs=ROUNDING)


def cayley(matrix: Tensor, dt: float) -> Tensor:
    identity = torch.eye(len(matrix), dtype=DOUBLE)
    return torch.linalg.solve(identity - dt / 2 * matrix, identity + dt / 2 * matrix)


@pytest.mark.parametrize("declared", [True, False])
def test_a_linear_field_takes_one_factorisation_and_the_cayley_transform(
    declared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    upper = 5 * torch.randn(6, 6, dtype=DOUBLE)
    matrix, dt = upper - upper.T, 0.7
    factorise, calls = torch.linalg.lu_factor_ex, []
    monkeypatch.setattr(torch.linalg, "lu_factor_ex", lambda system: calls.append(1) or factorise(system))
    f = AffinePointwise(matrix, lambda t, y, p: p) if declared else Structured(lambda t, y: y @ matrix.T)
    steps, _ = ImplicitMidpoint(max_iterations=2).step(f, 0.0, dt, torch.eye(6, dtype=DOUBLE), ())
    assert len(calls) == 1
    tolerance = 1e-13  # the condition of I - dt/2 K is about ten
    torch.testing.assert_close(steps.T, cayley(matrix, dt), rtol=0, atol=tolerance)
    torch.testing.assert_close(steps @ steps.T, torch.eye(6, dtype=DOUBLE), rtol=0, atol=tolerance)


@pytest.mark.parametrize("method", METHODS)
def test_one_step_is_the_amplification(method) -> None:
    y = torch.ones(1, dtype=torch.complex128)
    for z in (0.3 + 2j, -5 + 1j, 40j, -300 + 0j):
        after, _ = method().step(lambda t, y, z=z: z * y, 0.0, 1.0, y, ())
        torch.testing.assert_close(after.abs()[0], method().amplification(z), rtol=1e-13, atol=0)


@pytest.mark.parametrize("method", [ImplicitMidpoint, Trapezoidal])
def test_the_imaginary_axis_is_neutral(method) -> None:
    modulus = method().amplification(1j * torch.logspace(-3, 6, 50, dtype=DOUBLE))
    assert torch.equal(modulus, torch.ones_like(modulus))


def test_backward_euler_is_stable_on_a_stiff_problem() -> None:
    def f(t: float, y: Tensor) -> Tensor:
        return -1e6 * (y - cos(t))

    y = integrate(f, torch.tensor([3.0], dtype=DOUBLE), t1=2.0, dt=0.1, solver=BackwardEuler()).y
    # One step takes the start, off by 2, to within 2e-5 of the slow curve cos t + O(1e-6).
    assert all(abs(float(y[k]) - cos(0.1 * k)) < 3e-5 for k in range(1, 21))
    assert float(y[-1]) == pytest.approx(cos(2.0) + 1e-6 * sin(2.0), abs=2e-7)  # the step adds 1e-6 dt/2 at most
