"""Law: under constant input the antisymmetric flow keeps its energy; damping makes it fall as told."""

from math import log, log2

import pytest
import torch
from torch import Tensor

from odernn import (
    ODERNN,
    AntisymmetricField,
    GatedAntisymmetricField,
    HamiltonianField,
    LinearAntisymmetricField,
    LipschitzField,
    NoisyField,
    UnstructuredField,
    VectorField,
)
from odernn.analysis import energy
from solvers import RK4, ExponentialEuler, ImplicitMidpoint, Leapfrog, Solver

DOUBLE = torch.float64


def drift_of_energy(field: VectorField, solver: Solver, dt: float) -> float:
    """The largest change of E over the time 4."""
    torch.manual_seed(1)
    x = torch.randn(1, 3, 2, dtype=DOUBLE)
    y0 = torch.randn(1, 3, field.hidden_size, dtype=DOUBLE)
    rnn = ODERNN(field, solver, dt=dt)
    output, _ = rnn(x.expand(round(4 / dt), -1, -1), y0)
    change = energy(rnn, output, x[0]) - energy(rnn, y0[0], x[0])
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


@pytest.mark.parametrize("solver", [ImplicitMidpoint(), ExponentialEuler()], ids=str)
def test_the_quadratic_energy_of_a_linear_field_is_kept_to_rounding(solver: Solver) -> None:
    """By the exact flow, and by the implicit midpoint rule, which keeps every quadratic invariant."""
    assert drift_of_energy(LinearAntisymmetricField(2, 6, dtype=DOUBLE), solver, 0.2) < 1e-12


@pytest.mark.parametrize("kind", [AntisymmetricField, LinearAntisymmetricField])
def test_damping_takes_energy_at_the_stated_rate(
    kind: type[AntisymmetricField] | type[LinearAntisymmetricField],
) -> None:
    damping = 0.3
    field = kind(2, 6, damping=damping, dtype=DOUBLE)
    x, y = torch.randn(1, 2, dtype=DOUBLE), torch.randn(5, 6, dtype=DOUBLE, requires_grad=True)
    slope = field(0.0, y, field.control(x))
    (gradient,) = torch.autograd.grad(energy(field, y, x).sum(), y)
    torch.testing.assert_close((gradient * slope).sum(-1), -damping * (slope**2).sum(-1))


@pytest.mark.parametrize("name", ["antisymmetric", "hamiltonian"])
def test_the_image_matrix_is_antisymmetric(name: str) -> None:
    field = {"antisymmetric": AntisymmetricField, "hamiltonian": HamiltonianField}[name](2, 6)
    assert torch.equal(field.weight(), -field.weight().T)


def test_it_is_the_sum_of_log_cosh_and_does_not_overflow() -> None:
    field = AntisymmetricField(2, 6, dtype=DOUBLE)
    x, y = torch.randn(2, dtype=DOUBLE), torch.randn(4, 6, dtype=DOUBLE)
    drive = y @ field.weight().T + field.control(x)
    torch.testing.assert_close(energy(field, y, x), torch.log(torch.cosh(drive)).sum(-1))
    far = energy(field, 1e6 * y, x).detach()
    drive = ((1e6 * y) @ field.weight().T + field.control(x)).detach()
    # log cosh p is |p| - log 2 to rounding; cosh itself overflows at 711.
    torch.testing.assert_close(far, drive.abs().sum(-1) - 6 * log(2))


def test_the_hamiltonian_energy_is_of_both_halves() -> None:
    field = HamiltonianField(2, 6, dtype=DOUBLE)
    k, u = field.recurrent(), field.control(torch.ones(2, dtype=DOUBLE))
    q, p = torch.randn(4, 3, dtype=DOUBLE), torch.randn(4, 3, dtype=DOUBLE)
    expected = torch.log(torch.cosh(q @ k.T + u[3:])).sum(-1) + torch.log(torch.cosh(u[:3] - p @ k)).sum(-1)
    torch.testing.assert_close(energy(field, torch.cat((q, p), -1), torch.ones(2, dtype=DOUBLE)), expected)


@pytest.mark.parametrize(
    "field",
    [
        UnstructuredField(2, 6),
        GatedAntisymmetricField(2, 6),
        LipschitzField(2, 6),
        NoisyField(AntisymmetricField(2, 6)),
    ],
    ids=lambda field: type(field).__name__,
)
def test_a_field_without_an_energy_is_named(field: VectorField) -> None:
    with pytest.raises(ValueError, match=f"`model` is of a {type(field).__name__}, whose flow keeps no energy"):
        energy(field, torch.zeros(6), torch.zeros(2))


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"model": "antisymmetric"}, TypeError, "`model` is str; give an ODERNN or a VectorField"),
        ({"y": None}, TypeError, "`y` is NoneType"),
        ({"y": torch.zeros(3, 5)}, ValueError, r"`y` has shape \(3, 5\); its last dimension is 6"),
        ({"x": torch.zeros(3)}, ValueError, r"`x` has shape \(3,\); its last dimension is 2"),
    ],
)
def test_bad_arguments_are_named(change: dict[str, Tensor], error: type[Exception], said: str) -> None:
    arguments = {"model": AntisymmetricField(2, 6), "y": torch.zeros(6), "x": torch.zeros(2)} | change
    with pytest.raises(error, match=said):
        energy(**arguments)
