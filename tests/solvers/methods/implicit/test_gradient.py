"""Laws of the gradient of an implicit step: the implicit function theorem at the solution."""

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from solvers import (
    AffinePointwise,
    BackwardEuler,
    ImplicitMidpoint,
    ImplicitSolver,
    Structured,
    Trapezoidal,
)
from solvers.methods.implicit.methods import Method
from tests.solvers.methods.implicit.formulas import DOUBLE, METHODS, ROUNDING, WAYS, residual


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
    assert torch.autograd.gradcheck(run, (y.requires_grad_(), dt.requires_grad_(), affine.weight), fast_mode=True)


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
    with pytest.raises(NotImplementedError, match=r"torch\.func"):
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
    with pytest.raises(NotImplementedError, match=r"torch\.func"):
        torch.func.jvp(lambda y: solver.step(f, 0.0, 0.5, y, ())[0], (y,), (y,))
    with pytest.raises(NotImplementedError, match=r"torch\.func"):
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
