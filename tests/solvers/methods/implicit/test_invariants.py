"""Laws of the implicit methods: what each keeps along the flow."""

import pytest
import torch
from torch import Tensor

from odernn import ODERNN, AntisymmetricField
from solvers import (
    RK4,
    AffinePointwise,
    Euler,
    ImplicitMidpoint,
    Solver,
    Structured,
    Trapezoidal,
    integrate,
)
from tests.solvers.methods.implicit.formulas import DOUBLE, ROUNDING


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
