"""Exponential methods: their matrices, what they solve exactly, and that no matrix of theirs is stale."""

from collections.abc import Callable
from dataclasses import replace
from math import expm1, factorial

import pytest
import torch
from torch import Tensor

from odernn import ODERNN, LinearAntisymmetricField, LipschitzField, VectorField
from solvers import (
    ETDRK2,
    ExponentialEuler,
    ExponentialRungeKutta,
    LawsonEuler,
    LinearlyExactEuler,
    Semilinear,
    Solver,
    StrangSplitting,
    integrate,
    phi_functions,
)
from solvers.extend import Carry, Time
from solvers.methods import phi as phi_module

METHODS = [LinearlyExactEuler(), ExponentialEuler(), LawsonEuler(), StrangSplitting(), ETDRK2()]
# Singular: nothing may be divided by A.
LINEAR = torch.tensor([[0.0, 2.0, 1.0], [-2.0, -0.5, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
START = torch.tensor([[0.5, -0.3, 0.8], [1.0, 0.1, -0.6]], dtype=torch.float64)


def remainder(t: Time, y: Tensor) -> Tensor:
    """Nonlinear, and time enters in and outside the nonlinearity."""
    t = torch.as_tensor(t, dtype=y.dtype)
    return torch.tanh(y.roll(1, -1) + torch.sin(2 * t)) + 0.3 * torch.cos(3 * t)


DRIVEN = Semilinear(LINEAR, remainder)


class Driven(VectorField):
    """The same under a control. Its linear part is the parameter itself, not a function of one."""

    def __init__(self) -> None:
        super().__init__(3, 3)
        self.linear = torch.nn.Parameter(LINEAR.clone())

    def control(self, x: Tensor) -> Tensor:
        return x

    def forward(self, t: Time, y: Tensor, u: Tensor) -> Tensor:
        return y @ self.linear.T + remainder(t, y + u)

    def semilinear(self) -> tuple[Tensor, Callable[[Time, Tensor, Tensor], Tensor]]:
        return self.linear, lambda t, y, u: remainder(t, y + u)


# --- the phi functions ---


@pytest.mark.parametrize("z", [0.0, 1e-9, -1e-3, 0.5, -1.0, 3.0, -30.0, 10.0])
def test_phi_of_a_number(z: float) -> None:
    exp, phi_1, phi_2, phi_3 = (float(phi) for phi in phi_functions(torch.tensor([[z]], dtype=torch.float64), 3))
    series = [sum(z**j / factorial(j + k) for j in range(80)) for k in range(4)]
    if abs(z) <= 3:
        assert [exp, phi_1, phi_2, phi_3] == pytest.approx(series, rel=4e-15)
    else:  # the series of a large number cancels, its closed form does not
        assert phi_1 == pytest.approx(expm1(z) / z, rel=1e-13)
        assert phi_2 == pytest.approx((expm1(z) / z - 1) / z, rel=1e-13)
        assert phi_3 == pytest.approx(((expm1(z) / z - 1) / z - 0.5) / z, rel=1e-13)


def test_phi_of_a_nilpotent_matrix() -> None:
    n = torch.diag(torch.ones(2, dtype=torch.float64), 1)
    for k, phi in enumerate(phi_functions(n, 3)):
        exact = torch.eye(3, dtype=torch.float64) / factorial(k) + n / factorial(k + 1) + n @ n / factorial(k + 2)
        assert torch.allclose(phi, exact, rtol=0, atol=1e-15)


@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-13), (torch.float32, 1e-4)])
def test_phi_recurrence_of_batches(dtype: torch.dtype, error: float) -> None:
    z = torch.randn(4, 6, 6, dtype=dtype)
    phis = phi_functions(z, 3)
    for k in range(3):
        following = phis[k] - torch.eye(6, dtype=dtype) / factorial(k)
        assert torch.allclose(z @ phis[k + 1], following, rtol=0, atol=error)
    for row in range(4):
        assert torch.allclose(phi_functions(z[row], 3)[2], phis[2][row], rtol=0, atol=error)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_phi_in_half_precision(dtype: torch.dtype) -> None:
    z = torch.randn(4, 4).to(dtype)
    for half, full in zip(phi_functions(z, 2), phi_functions(z.float(), 2), strict=True):
        assert half.dtype == dtype
        assert torch.equal(half, full.to(dtype))


def test_phi_gradients() -> None:
    z = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: phi_functions(z, 2), (z,))


# --- what is exact ---


def exact_flow(a: Tensor, y: Tensor, start: Tensor, end: Tensor, dt: float) -> Tensor:
    """The solution of y' = A y + u(t) after dt, u a line from `start` to `end`: one exponential of (y, u, u')."""
    n = len(a)
    system = torch.zeros(3 * n, 3 * n, dtype=a.dtype)
    system[:n, :n] = a
    system[:n, n : 2 * n] = system[n : 2 * n, 2 * n :] = torch.eye(n, dtype=a.dtype)
    whole = torch.cat((y, start, (end - start) / dt), dim=-1)
    return (whole @ torch.linalg.matrix_exp(dt * system).T)[..., :n]


@pytest.mark.parametrize(
    ("solver", "hold"), [(ExponentialEuler(), "zero-order"), (ETDRK2(), "zero-order"), (ETDRK2(), "linear")]
)
@pytest.mark.parametrize("substeps", [1, 3])
def test_exact_for_a_linear_field(solver: Solver, hold: str, substeps: int) -> None:
    field = LinearAntisymmetricField(2, 5, damping=0.1, dtype=torch.float64)
    layer = ODERNN(field, solver, dt=0.8, substeps=substeps, hold=hold)
    x = torch.randn(4, 3, 2, dtype=torch.float64)
    output, _ = layer(x)
    y, u = torch.zeros(3, 5, dtype=torch.float64), field.control(x)
    for n in range(4):
        before = u[max(n - 1, 0)] if hold == "linear" else u[n]
        y = exact_flow(field.weight(), y, before, u[n], 0.8)
        assert torch.allclose(output[n], y, rtol=0, atol=1e-14 * 10)  # rounding of twelve steps


def test_exponential_euler_is_not_exact_under_a_linear_hold() -> None:
    layer = ODERNN(LinearAntisymmetricField(2, 5, dtype=torch.float64), ETDRK2(), dt=0.8, hold="linear")
    x = torch.randn(4, 3, 2, dtype=torch.float64)
    difference = layer(x)[0] - layer.with_solver(ExponentialEuler())(x)[0]
    assert float(difference.detach().abs().max()) > 1e-2


# --- the matrices: once a call, and never stale ---


def shares(solver: ExponentialRungeKutta) -> int:
    """How many matrices an exponential is taken of: dt A, and of a splitting the half of it."""
    return len({term.share for weight in solver.tableau.functions for term in weight})


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The matrices whose functions were computed, in order."""
    matrices: list[Tensor] = []

    def recorded(matrix: Tensor, highest: int) -> tuple[Tensor, ...]:
        matrices.append(matrix)
        return phi_functions(matrix, highest)

    monkeypatch.setattr(phi_module, "phi_functions", recorded)
    return matrices


@pytest.mark.parametrize("solver", METHODS)
@pytest.mark.parametrize("field", [LipschitzField(2, 4), Driven().float()])
def test_made_once_a_call_for_a_number(solver: ExponentialRungeKutta, field: VectorField, made: list[Tensor]) -> None:
    layer = ODERNN(field, solver, dt=0.1, substeps=3)
    layer(torch.randn(5, 2, field.input_size))
    assert len(made) == shares(solver)


@pytest.mark.parametrize("solver", METHODS)
@pytest.mark.parametrize("shape", [(5,), (2, 5)])
def test_made_once_an_interval_for_a_tensor(
    solver: ExponentialRungeKutta, shape: tuple[int, ...], made: list[Tensor]
) -> None:
    layer = ODERNN(LipschitzField(2, 4), solver, dt=torch.rand(shape) + 0.1, substeps=3)
    layer(torch.randn(5, 2, 2))
    assert len(made) == 5 * shares(solver)
    assert made[-1].shape == ((4, 4) if shape == (5,) else (2, 4, 4))


@pytest.mark.parametrize("solver", METHODS)
@pytest.mark.parametrize("field", [LipschitzField(3, 3, dtype=torch.float64), Driven()])
def test_matrices_are_new_after_an_optimiser_step(solver: Solver, field: VectorField) -> None:
    layer = ODERNN(field, solver, dt=0.2)
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.1)
    output, state = layer(x[:3], layer.initial_state(2))
    output.sum().backward()
    optimiser.step()
    # The carry as it was, not detached: what it holds of before must not be used.
    carried = replace(state, y=state.y.detach())
    restarted = replace(carried, carry=None)
    assert torch.equal(layer(x[3:], carried)[0], layer(x[3:], restarted)[0])


def two_steps(solver: Solver, system: Semilinear, dt: Time, carry: Carry) -> tuple[Tensor, Carry]:
    y, carry = solver.step(system, 0.0, dt, START, carry)
    return solver.step(system, dt, dt, y, carry)


@pytest.mark.parametrize("solver", METHODS)
def test_matrices_follow_a_linear_part_changed_in_place(solver: Solver) -> None:
    system = Semilinear(LINEAR.clone(), remainder)
    _, carry = two_steps(solver, system, 0.1, ())
    assert isinstance(system.linear, Tensor)
    system.linear.mul_(2)
    fresh = two_steps(solver, system, 0.1, ())[0]
    assert torch.equal(two_steps(solver, system, 0.1, carry)[0], fresh)


@pytest.mark.parametrize("solver", METHODS)
def test_matrices_follow_the_step(solver: Solver) -> None:
    length = torch.tensor(0.1, dtype=torch.float64)
    _, carry = two_steps(solver, DRIVEN, length, ())
    length.mul_(3)
    for dt in (length, 0.25, 0.5, torch.tensor([[0.1], [0.4]], dtype=torch.float64), 0.3):
        y, carry = two_steps(solver, DRIVEN, dt, carry)
        fresh, _ = two_steps(solver, DRIVEN, dt, ())
        assert torch.equal(y, fresh)


@pytest.mark.parametrize("solver", METHODS)
def test_matrices_made_without_gradients_are_not_used_with_them(solver: Solver) -> None:
    system = Semilinear(LINEAR.clone().requires_grad_(), remainder)
    with torch.no_grad():
        _, carry = two_steps(solver, system, 0.1, ())
    y, _ = two_steps(solver, system, 0.1, carry)
    fresh, _ = two_steps(solver, system, 0.1, ())
    (gradient,) = torch.autograd.grad(y.sum(), system.linear)
    assert torch.equal(gradient, torch.autograd.grad(fresh.sum(), system.linear)[0])


@pytest.mark.parametrize("solver", METHODS)
def test_inference_mode(solver: Solver) -> None:
    layer = ODERNN(Driven(), solver, dt=0.1)
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    with torch.inference_mode():
        first, state = layer(x[:2], layer.initial_state(2))
        second, _ = layer(x[2:], state)
    assert torch.allclose(torch.cat((first, second)), layer(x)[0], rtol=0, atol=1e-14)


# --- the layer ---


@pytest.mark.parametrize("solver", METHODS)
def test_gradients_where_the_matrices_are_kept(solver: Solver) -> None:
    layer = ODERNN(LipschitzField(2, 3, dtype=torch.float64), solver, dt=0.3, substeps=2)
    x = torch.randn(3, 2, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda *_: layer(x)[0], tuple(layer.parameters()))


def test_a_right_hand_side_without_a_linear_part_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ETDRK2 needs a linear part.*function declares none"):
        integrate(lambda t, y: -y, START, t1=1.0, dt=0.1, solver=ETDRK2())
