"""Laws of the iteration: it converges, or an error says why not, each row for itself."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from solvers import (
    AffinePointwise,
    BackwardEuler,
    ConvergenceError,
    DivergenceError,
    ImplicitMidpoint,
    Structured,
    Trapezoidal,
    integrate,
)
from solvers.extend import Time
from solvers.methods.implicit.methods import Method
from tests.solvers.methods.implicit.formulas import DOUBLE, ROUNDING, WAYS


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
    calls: list[tuple[int, ...]] = []
    factorise = torch.linalg.lu_factor_ex
    monkeypatch.setattr(
        torch.linalg, "lu_factor_ex", lambda system: calls.append(tuple(system.shape)) or factorise(system)
    )
    for size in (512, 513):
        BackwardEuler().step(lambda t, y: -y, 0.0, 0.1, torch.ones(size, dtype=DOUBLE), ())
    assert calls == [(1, 512, 512)]


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
