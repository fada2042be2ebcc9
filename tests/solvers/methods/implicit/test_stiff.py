"""Stiff problems, over many steps: the numbers of Newton's method with the whole of every step, or of a closed form."""

from math import cos, exp, sin

import pytest
import torch
from torch import Tensor

from solvers import (
    BackwardEuler,
    ConvergenceError,
    ImplicitMidpoint,
    ImplicitSolver,
    Trapezoidal,
    integrate,
)
from tests.solvers.methods.implicit.formulas import DOUBLE, METHODS


def robertson(t: float, y: Tensor) -> Tensor:
    """Source: Hairer & Wanner, Solving ODEs II, sec. IV.1, eq. (1.4)."""
    a, b, c = y.unbind(-1)
    first, second, third = 0.04 * a, 1e4 * b * c, 3e7 * b * b
    return torch.stack((second - first, first - second - third, third), -1)


@pytest.mark.parametrize(
    ("solver", "steps", "expected"),
    [
        (BackwardEuler(), 400, 0.716175),
        (ImplicitMidpoint(), 800, 0.715827),
        (Trapezoidal(), 400, 0.714591),
    ],
)
def test_robertson(solver: ImplicitSolver, steps: int, expected: float) -> None:
    y0 = torch.tensor([1.0, 0.0, 0.0], dtype=DOUBLE)
    y = integrate(robertson, y0, t1=40.0, dt=40.0 / steps, solver=solver).y
    assert float(y[-1, 0]) == pytest.approx(expected, abs=6e-7)  # the digits given; exact is 0.715827
    assert (y >= 0).all()  # concentrations; the other root of the second is below zero
    torch.testing.assert_close(y.sum(-1), torch.ones(steps + 1, dtype=DOUBLE), rtol=0, atol=1e-12)  # mass, in rounding


@pytest.mark.parametrize("rate", [1e2, 1e4, 1e6])
@pytest.mark.parametrize("method", METHODS)
def test_prothero_robinson(method, rate: float) -> None:
    # y' = -rate (y^3 - sin(t + 1)^3) + cos(t + 1) from its solution: the error is that of the slow curve.
    def f(t: float, y: Tensor) -> Tensor:
        return -rate * (y**3 - sin(t + 1) ** 3) + cos(t + 1)

    y = integrate(f, torch.tensor([sin(1.0)], dtype=DOUBLE), t1=1.0, dt=0.05, solver=method()).y
    exact = torch.sin(1 + torch.linspace(0, 1, 21, dtype=DOUBLE)).unsqueeze(1)
    assert (y - exact).abs().max() < 0.05**2  # dt^2, as the defect y'' dt^2 / 2 of one step is damped or alternates


@pytest.mark.parametrize("method", METHODS)
def test_curtiss_hirschfelder(method) -> None:
    # y' = -50 (y - cos t): linear, so that a step is a formula.
    y, t, dt = 0.0, 0.0, 0.1
    got = integrate(lambda t, y: -50 * (y - cos(t)), torch.zeros(1, dtype=DOUBLE), t1=2.0, dt=dt, solver=method()).y
    for k in range(20):
        part = dt if method is BackwardEuler else dt / 2
        base = y if method is not Trapezoidal else y - 50 * part * (y - cos(t))
        node = t + (dt / 2 if method is ImplicitMidpoint else dt)
        root = (base + 50 * part * cos(node)) / (1 + 50 * part)
        y, t = (2 * root - y if method is ImplicitMidpoint else root), t + dt
        assert float(got[k + 1]) == pytest.approx(y, abs=1e-13)


def van_der_pol(t: float, y: Tensor) -> Tensor:
    """With mu = 1,000. Source: Hairer & Wanner, Solving ODEs II, sec. IV.1, eq. (1.5')."""
    a, b = y.unbind(-1)
    return torch.stack((b, 1000 * ((1 - a * a) * b) - a), -1)


@pytest.mark.parametrize("method", METHODS)
def test_van_der_pol_on_its_slow_curve(method) -> None:
    y = integrate(van_der_pol, torch.tensor([2.0, 0.0], dtype=DOUBLE), t1=400.0, dt=2.0, solver=method()).y
    assert float(y[-1, 0]) == pytest.approx(1.693209, abs=2e-3)  # by Radau to 1e-9; backward Euler is off by 1e-3
    assert (y[:, 0].diff() < 0).all()


def test_van_der_pol_past_its_knee_is_refused_where_a_step_cannot_follow() -> None:
    # The flow jumps at t = 807.6 within 1e-3. No root of a longer step continues there, and Newton's method finds none.
    y = torch.tensor([1.1, -0.0055], dtype=DOUBLE)
    with pytest.raises(ConvergenceError, match=r"does so up to .* of dt only"):
        integrate(van_der_pol, y, t1=20.0, dt=1.0, solver=BackwardEuler())


def test_van_der_pol_through_its_jump_by_short_steps() -> None:
    y = torch.tensor([0.9, -10.0], dtype=DOUBLE)
    y = integrate(van_der_pol, y, t1=0.02, dt=1e-4, solver=ImplicitMidpoint()).y
    assert float(y[-1, 0]) == pytest.approx(-2.0001, abs=1e-3)  # Radau to 1e-10; off by 7e-4, and by 4 times at 2 dt


def test_a_blow_up_is_followed_up_to_where_a_step_has_a_root() -> None:
    with pytest.raises(ConvergenceError):
        integrate(lambda t, y: y * y, torch.ones(1, dtype=DOUBLE), t1=2.0, dt=0.05, solver=BackwardEuler())
    y = integrate(lambda t, y: y * (1 - y), torch.full((1,), 1e-4, dtype=DOUBLE), t1=30.0, dt=0.1, solver=Trapezoidal())
    assert float(y.y[-1]) == pytest.approx(1 / (1 + 9999 * exp(-30)), abs=1e-6)
