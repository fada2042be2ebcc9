"""Law: under constant input the antisymmetric flow keeps E = sum log cosh(M y + c); damping makes it fall as told."""

from math import log2

import pytest
import torch
from torch import Tensor

from odernn import ODERNN, AntisymmetricField, HamiltonianField
from solvers import RK4, Leapfrog, Solver

DOUBLE = torch.float64


def energy(field: AntisymmetricField | HamiltonianField, y: Tensor, x: Tensor) -> Tensor:
    """E (...) of the states (..., hidden) under the constant input x (batch, input)."""
    drive = y @ field.weight().T + field.control(x)
    return torch.log(torch.cosh(drive)).sum(-1)


def drift_of_energy(field: AntisymmetricField | HamiltonianField, solver: Solver, dt: float) -> float:
    """The largest change of E over the time 4."""
    torch.manual_seed(1)
    x = torch.randn(1, 3, 2, dtype=DOUBLE)
    y0 = torch.randn(1, 3, field.hidden_size, dtype=DOUBLE)
    steps = round(4 / dt)
    output, _ = ODERNN(field, solver, dt=dt)(x.expand(steps, -1, -1), y0)
    change = energy(field, output, x[0]) - energy(field, y0[0], x[0])
    return float(change.detach().abs().max())


def test_rk4_keeps_the_energy_at_its_order() -> None:
    field = AntisymmetricField(2, 6, dtype=DOUBLE)
    coarse, fine = drift_of_energy(field, RK4(), 0.1), drift_of_energy(field, RK4(), 0.05)
    assert log2(coarse / fine) > 3.8  # order 4; the energy error of RK4 may be of order 5
    assert fine < 1e-6


def test_leapfrog_keeps_the_hamiltonian_energy_at_its_order() -> None:
    field = HamiltonianField(2, 6, dtype=DOUBLE)
    coarse, fine = drift_of_energy(field, Leapfrog(), 0.1), drift_of_energy(field, Leapfrog(), 0.05)
    assert log2(coarse / fine) == pytest.approx(2, abs=0.2)


def test_damping_takes_energy_at_the_stated_rate() -> None:
    damping = 0.3
    field = AntisymmetricField(2, 6, damping=damping, dtype=DOUBLE)
    x, y = torch.randn(1, 2, dtype=DOUBLE), torch.randn(5, 6, dtype=DOUBLE, requires_grad=True)
    slope = field(0.0, y, field.control(x))
    (gradient,) = torch.autograd.grad(energy(field, y, x).sum(), y)
    torch.testing.assert_close((gradient * slope).sum(-1), -damping * (slope**2).sum(-1))


@pytest.mark.parametrize("name", ["antisymmetric", "hamiltonian"])
def test_the_image_matrix_is_antisymmetric(name: str) -> None:
    field = {"antisymmetric": AntisymmetricField, "hamiltonian": HamiltonianField}[name](2, 6)
    assert torch.equal(field.weight(), -field.weight().T)
