"""Laws of the implicit methods: the equation is solved, or an error says why not; invariants; gradients."""

from collections.abc import Callable
from math import cos, sin

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from odernn import ODERNN, AntisymmetricField
from solvers import (
    RK4,
    AffinePointwise,
    BackwardEuler,
    ConvergenceError,
    DivergenceError,
    Euler,
    ImplicitMidpoint,
    ImplicitSolver,
    Solver,
    Structured,
    Trapezoidal,
    integrate,
)
from solvers.extend import Time
from solvers.methods.implicit.methods import Method

DOUBLE = torch.float64
ROUNDING = 1e-14  # a few roundings of entries of size one
METHODS = [BackwardEuler, ImplicitMidpoint, Trapezoidal]
WAYS = ["newton", "fixed-point"]


def residual(solver: ImplicitSolver, f: Structured, t: float, dt: float, y: Tensor, after: Tensor) -> Tensor:
    """What is left of the method's own formula, written down as in the books."""
    slopes = {
        BackwardEuler: lambda: f(t + dt, after),
        ImplicitMidpoint: lambda: f(t + dt / 2, (y + after) / 2),
        Trapezoidal: lambda: (f(t, y) + f(t + dt, after)) / 2,
    }
    return after - y - dt * slopes[type(solver)]()


@pytest.fixture
def affine() -> AffinePointwise:
    """A field with two blocks of image, explicit time and a weight that wants a gradient."""
    weight = (0.6 * torch.randn(6, 3, dtype=DOUBLE)).requires_grad_()

    def pointwise(t: Time, y: Tensor, p: Tensor) -> Tensor:
        first, second = p.chunk(2, -1)
        return torch.tanh(first + torch.sin(2 * torch.as_tensor(t, dtype=y.dtype))) * torch.sigmoid(second) - 0.3 * y

    return AffinePointwise(weight, pointwise)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dt", [0.4, -0.4])
@pytest.mark.parametrize("plain", [False, True])
def test_a_step_solves_the_formula(method, way: Method, dt: float, plain: bool, nonlinear: Structured, start) -> None:
    solver = method(method=way)
    f = (lambda t, y: nonlinear(t, y)) if plain else nonlinear
    after, memory = solver.step(f, 0.3, dt, start, ())
    assert memory == ()
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


# A linear field ------------------------------------------------------------------------------------------------------


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


# Invariants ----------------------------------------------------------------------------------------------------------


def defect(solver: Solver, dt: float) -> float:
    """The largest entry of Phi^T M Phi - M after the time 2, Phi = dy(T)/dy(0), under random input."""
    torch.manual_seed(0)
    field = AntisymmetricField(2, 6, dtype=DOUBLE)
    drive = torch.randn(10, 1, 2, dtype=DOUBLE)
    rnn = ODERNN(field, solver, dt=0.2, substeps=round(0.2 / dt))
    start = torch.randn(6, dtype=DOUBLE)

    def end(y0: Tensor) -> Tensor:
        return rnn(drive, y0.expand(1, 1, 6), save="end")[1].flatten()

    phi = torch.autograd.functional.jacobian(end, start)
    m = field.weight().detach()
    return float((phi.T @ m @ phi - m).abs().max())


def test_implicit_midpoint_keeps_the_jacobian_identity_to_rounding() -> None:
    assert defect(ImplicitMidpoint(), 0.2) < 20 * ROUNDING  # ten steps
    assert defect(ImplicitMidpoint(method="fixed-point"), 0.1) < 40 * ROUNDING


def test_explicit_methods_keep_the_jacobian_identity_to_their_order() -> None:
    assert 2**3.7 < defect(RK4(), 0.1) / defect(RK4(), 0.05) < 2**5.3
    assert defect(Euler(), 0.05) > 1e-3


def drift_of_energy(solver: Solver, dt: float) -> float:
    """The largest change of E = sum log cosh(M y + c) over the time 4, under a constant input."""
    torch.manual_seed(1)
    upper = torch.randn(8, 8, dtype=DOUBLE).triu(1) / 2
    m, c, y0 = upper - upper.T, torch.randn(8, dtype=DOUBLE), torch.randn(8, dtype=DOUBLE)
    f = AffinePointwise(m, lambda t, y, p: torch.tanh(p + c))
    energy = torch.log(torch.cosh(integrate(f, y0, t1=4.0, dt=dt, solver=solver).y @ m.T + c)).sum(-1)
    return float((energy - energy[0]).abs().max())


@pytest.mark.parametrize("method", [ImplicitMidpoint, Trapezoidal])
def test_energy_is_kept_at_order_two(method) -> None:
    ratio = drift_of_energy(method(), 0.1) / drift_of_energy(method(), 0.05)
    assert ratio == pytest.approx(4, abs=0.3)


def test_trapezoidal_is_conjugate_to_the_implicit_midpoint_rule(nonlinear: Structured, start: Tensor) -> None:
    dt = 0.25
    half_euler = start + dt / 2 * nonlinear(0.0, start)
    middle = integrate(nonlinear, half_euler, t0=dt / 2, t1=5 + dt / 2, dt=dt, solver=ImplicitMidpoint()).y[-1]
    end = integrate(nonlinear, start, t1=5.0, dt=dt, solver=Trapezoidal()).y[-1]
    torch.testing.assert_close(end + dt / 2 * nonlinear(5.0, end), middle, rtol=0, atol=20 * ROUNDING)


# Gradients -----------------------------------------------------------------------------------------------------------


def unrolled(solver: ImplicitSolver, f: Structured, t: Tensor, dt: Tensor, y: Tensor) -> Tensor:
    """The step by two hundred fixed-point iterations, each under autograd."""
    after = y
    for _ in range(200):
        after = after - residual(solver, f, t, dt, y, after)
    return after


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("hidden", [False, True], ids=["affine", "structured"])
def test_gradients_are_those_of_the_converged_iteration(method, way: Method, hidden: bool, affine) -> None:
    solver = method(method=way)
    f = Structured(affine.__call__) if hidden else affine
    y, t, dt = torch.randn(4, 3, dtype=DOUBLE), torch.rand(4, 1, dtype=DOUBLE), 0.3 + 0.2 * torch.rand(4, 1).double()
    inputs = [value.requires_grad_() for value in (y, t, dt)]
    direction = torch.randn(4, 3, dtype=DOUBLE)
    after, _ = solver.step(f, t, dt, y, ())
    expected = unrolled(solver, affine, t, dt, y)
    torch.testing.assert_close(after, expected, rtol=0, atol=ROUNDING)
    wanted = torch.autograd.grad(expected, [*inputs, affine.weight], direction)
    got = torch.autograd.grad(after, [*inputs, affine.weight], direction)
    torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("way", WAYS)
def test_gradcheck(method, way: Method, affine: AffinePointwise) -> None:
    def run(y: Tensor, dt: Tensor, weight: Tensor) -> Tensor:
        f, solver = AffinePointwise(weight, affine.pointwise), method(method=way)
        for _ in range(2):
            y, _ = solver.step(f, 0.2, dt, y, ())
        return y

    y, dt = torch.randn(2, 3, dtype=DOUBLE), torch.tensor(0.4, dtype=DOUBLE)
    assert torch.autograd.gradcheck(run, (y.requires_grad_(), dt.requires_grad_(), affine.weight))


@pytest.mark.parametrize("way", WAYS)
def test_a_retained_graph_gives_every_row_of_the_jacobian(way: Method, affine: AffinePointwise) -> None:
    def step(y: Tensor) -> Tensor:
        return ImplicitMidpoint(method=way).step(affine, 0.1, 0.5, y, ())[0]

    y = torch.randn(2, 3, dtype=DOUBLE)
    plain = torch.autograd.functional.jacobian(step, y)
    after = step(y.requires_grad_())
    rows = [torch.autograd.grad(after[1, k], y, retain_graph=True)[0] for k in range(3)]
    torch.testing.assert_close(torch.stack(rows), plain[1], rtol=0, atol=ROUNDING)


def test_vectorised_jacobians_want_newton(affine: AffinePointwise) -> None:
    def step(y: Tensor, way: Method) -> Tensor:
        return ImplicitMidpoint(method=way).step(affine, 0.1, 0.5, y, ())[0]

    y, jacobian = torch.randn(2, 3, dtype=DOUBLE), torch.autograd.functional.jacobian
    plain = jacobian(lambda y: step(y, "newton"), y)
    vectorised = jacobian(lambda y: step(y, "newton"), y, vectorize=True)
    torch.testing.assert_close(vectorised, plain, rtol=0, atol=ROUNDING)
    with pytest.raises(RuntimeError):  # torch's own, of a value read back
        jacobian(lambda y: step(y, "fixed-point"), y, vectorize=True)


@pytest.mark.parametrize("way", WAYS)
def test_second_derivatives_are_refused(way: Method, affine: AffinePointwise) -> None:
    y = torch.randn(3, dtype=DOUBLE, requires_grad=True)
    after, _ = ImplicitMidpoint(method=way).step(affine, 0.0, 0.5, y, ())
    with pytest.raises(NotImplementedError, match="cannot be differentiated again"):
        torch.autograd.grad(after.sum(), y, create_graph=True)
    with pytest.raises(RuntimeError, match="functorch"):
        torch.func.grad(lambda y: ImplicitMidpoint(method=way).step(affine, 0.0, 0.5, y, ())[0].sum())(y.detach())


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")  # torch's own, as it makes a dual tensor
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("recording", [False, True])
def test_forward_mode_is_refused(way: Method, recording: bool, affine: AffinePointwise) -> None:
    solver, y = ImplicitMidpoint(method=way), torch.randn(2, 3, dtype=DOUBLE)
    f = AffinePointwise(affine.weight.detach(), affine.pointwise)
    with forward_ad.dual_level(), torch.set_grad_enabled(recording):
        for state, step in ((forward_ad.make_dual(y, y), 0.5), (y, forward_ad.make_dual(y[:1, :1], y[:1, :1]))):
            with pytest.raises(NotImplementedError, match="forward mode"):
                solver.step(f, 0.0, step, state, ())
    with pytest.raises((NotImplementedError, RuntimeError)):
        torch.func.jvp(lambda y: solver.step(f, 0.0, 0.5, y, ())[0], (y,), (y,))
    with pytest.raises(RuntimeError):
        torch.func.vmap(lambda y: solver.step(f, 0.0, 0.5, y, ())[0])(y)


def test_a_weight_changed_in_place_before_the_backward_is_noticed(affine: AffinePointwise) -> None:
    after, _ = BackwardEuler().step(affine, 0.0, 0.5, torch.randn(3, dtype=DOUBLE), ())
    with torch.no_grad():
        affine.weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        after.sum().backward()


@pytest.mark.parametrize("way", WAYS)
def test_a_field_that_does_not_depend_on_the_state(way: Method) -> None:
    rate = torch.tensor([2.0], dtype=DOUBLE, requires_grad=True)
    after, _ = Trapezoidal(method=way).step(lambda t, y: rate * 1, 0.0, 0.5, torch.zeros(1, dtype=DOUBLE), ())
    (gradient,) = torch.autograd.grad(after, rate)
    assert (after.item(), gradient.item()) == (1.0, 0.5)


# Convergence ---------------------------------------------------------------------------------------------------------


def stiff(t: Time, y: Tensor) -> Tensor:
    return -50 * y**3 + 1


def test_a_failure_is_an_error_with_its_history() -> None:
    y = torch.tensor([[1e-3], [0.8]], dtype=DOUBLE)
    with pytest.raises(
        ConvergenceError, match=r"BackwardEuler did not converge at t = 1.5 in sample \d: .*dt"
    ) as caught:
        BackwardEuler(max_iterations=1).step(Structured(stiff), 1.0, 0.5, y, ())
    assert len(caught.value.residuals) == 1
    assert caught.value.time == 1.5
    with pytest.raises(ConvergenceError, match="in sample 1: after") as caught:
        BackwardEuler(method="fixed-point").step(
            Structured(lambda t, y: -4 * y**3), torch.tensor([[0.2], [0.3]]).double(), 2.0, y, ()
        )
    assert caught.value.row == 1
    assert caught.value.time == pytest.approx(2.3)
    first = 2.0 * 4 * 0.8**3
    assert caught.value.residuals[0] == pytest.approx(first)
    assert max(caught.value.residuals) > first
    assert len(caught.value.residuals) < 20  # given up once the iterates are not finite


def test_newton_solves_what_fixed_point_iteration_cannot() -> None:
    y = torch.tensor([[1e-3], [0.8]], dtype=DOUBLE)
    after, _ = BackwardEuler().step(Structured(stiff), 1.0, 0.5, y, ())
    assert (after - y - 0.5 * stiff(1.5, after)).abs().max() < 30 * ROUNDING  # times the slope of the cubic


def test_the_backward_iteration_is_checked_too() -> None:
    y = torch.zeros(1, dtype=DOUBLE, requires_grad=True)  # an equilibrium: the step converges whatever dt is
    after, _ = BackwardEuler(method="fixed-point").step(lambda t, y: -2 * y, 0.0, 0.9, y, ())
    with pytest.raises(ConvergenceError, match="the gradient of BackwardEuler did not converge"):
        after.backward()


def test_a_state_that_is_lost_is_reported_as_divergence() -> None:
    def f(t: float, y: Tensor) -> Tensor:
        return torch.log(y)

    with pytest.raises(DivergenceError):
        integrate(f, torch.tensor([-1.0], dtype=DOUBLE), t1=1.0, dt=0.1, solver=ImplicitMidpoint())
    y = torch.tensor([[-1.0], [2.0]], dtype=DOUBLE)
    after, _ = ImplicitMidpoint().step(Structured(f), 0.0, 0.1, y, ())
    assert torch.isfinite(after).tolist() == [[False], [True]]
    after, _ = ImplicitMidpoint(max_iterations=1).step(Structured(f), 0.0, 0.1, y[:1], ())
    assert not torch.isfinite(after).any()


@pytest.mark.parametrize("way", WAYS)
def test_a_batch_gives_the_rows_of_its_samples(way: Method, affine: AffinePointwise) -> None:
    y = torch.logspace(-8, 1, 8, dtype=DOUBLE).unsqueeze(1) * torch.randn(8, 3, dtype=DOUBLE)
    solver = ImplicitMidpoint(method=way)
    together, _ = solver.step(affine, 0.0, 0.8, y, ())
    alone = torch.cat([solver.step(affine, 0.0, 0.8, row, ())[0] for row in y.split(1)])
    torch.testing.assert_close(together, alone, rtol=ROUNDING, atol=ROUNDING)


def test_a_row_that_has_converged_does_not_wait_for_the_others(affine: AffinePointwise) -> None:
    y = torch.logspace(-8, 1, 8, dtype=DOUBLE).unsqueeze(1) * torch.randn(8, 3, dtype=DOUBLE)
    solver = ImplicitMidpoint(method="fixed-point", tolerance=1e-2)
    together, _ = solver.step(affine, 0.0, 0.8, y, ())
    alone = torch.cat([solver.step(affine, 0.0, 0.8, row, ())[0] for row in y.split(1)])
    torch.testing.assert_close(together, alone, rtol=ROUNDING, atol=ROUNDING)
    strict, _ = ImplicitMidpoint().step(affine, 0.0, 0.8, y, ())
    error = (together - strict).abs().amax(1) / together.abs().amax(1)
    assert 1e-4 < error.max() < 2e-2  # twice the tolerance: the step goes twice as far as the middle


def test_large_systems_are_solved_without_a_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    factorise = torch.linalg.lu_factor_ex
    monkeypatch.setattr(torch.linalg, "lu_factor_ex", lambda system: calls.append(len(system)) or factorise(system))
    for size in (512, 513):
        BackwardEuler().step(lambda t, y: -y, 0.0, 0.1, torch.ones(size, dtype=DOUBLE), ())
    assert calls == [512]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_nothing_is_recorded_without_gradients(way: Method, context: Callable, affine: AffinePointwise) -> None:
    y = torch.randn(2, 3, dtype=DOUBLE)
    with context():
        after, _ = Trapezoidal(method=way).step(affine, 0.0, 0.5, y * 1, ())
        steep, _ = BackwardEuler().step(
            AffinePointwise(torch.eye(3).double(), lambda t, y, p: -50 * p), 0.0, 1.0, y, ()
        )
    assert not after.requires_grad
    torch.testing.assert_close(steep, y / 51)
    torch.testing.assert_close(after, Trapezoidal().step(affine, 0.0, 0.5, y, ())[0].detach(), rtol=0, atol=ROUNDING)


def test_single_precision_and_a_zero_state(affine: AffinePointwise) -> None:
    f = AffinePointwise(affine.weight.detach().float(), affine.pointwise)
    for y in (torch.zeros(2, 3), torch.randn(2, 3)):
        after, _ = ImplicitMidpoint().step(f, 0.0, 0.5, y, ())
        exact, _ = ImplicitMidpoint().step(affine, 0.0, 0.5, y.double(), ())
        assert after.dtype == torch.float32
        torch.testing.assert_close(after.double(), exact.detach(), rtol=0, atol=5e-7)  # a few roundings


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "secant"}, ValueError, "`method` is 'secant'; choose one of 'auto', 'newton', 'fixed-point'"),
        ({"tolerance": 0.0}, ValueError, "`tolerance` is 0.0; give a number above zero"),
        ({"max_iterations": 0}, ValueError, "`max_iterations` is 0; give a whole number from 1"),
        ({"max_iterations": 2.5}, TypeError, "`max_iterations` is 2.5"),
    ],
)
def test_bad_hyperparameters(arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        BackwardEuler(**arguments)
