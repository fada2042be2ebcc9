"""Yoshida's method: its times, its symplectic form, and what it keeps of the energy."""

import pytest
import torch
from torch import Tensor

from odernn import ODERNN, HamiltonianField
from solvers import Leapfrog, Partition, Yoshida4, integrate
from tests.problems import orders


def wave(t: float | Tensor) -> Tensor:
    return torch.sin(torch.as_tensor(t, dtype=torch.float64))


# Nonlinear in both halves, and time enters both: a wrong node of a kick or of a drift lowers the order.
PENDULUM = Partition(
    drift=lambda t, p: torch.tanh(p) * (1 + 0.5 * wave(2 * t)),
    kick=lambda t, q: -torch.sin(q) + 0.3 * wave(3 * t + 1),
)
START = torch.tensor([[1.0, 0.2], [-0.4, 0.9]], dtype=torch.float64)
HARMONIC = Partition(drift=lambda t, p: p, kick=lambda t, q: -q)


def test_it_is_three_steps_of_leapfrog() -> None:
    outer = 1 / (2 - 2 ** (1 / 3))
    dt, t, y = 0.3, 0.7, START
    for part in (outer * dt, (1 - 2 * outer) * dt, outer * dt):
        y, _ = Leapfrog().step(PENDULUM, t, part, y, ())
        t += part
    # Rounding of a few operations on numbers of size one.
    assert torch.allclose(Yoshida4().step(PENDULUM, 0.7, dt, START, ())[0], y, rtol=0, atol=1e-14)


def test_times_of_kicks_and_drifts() -> None:
    drifts: list[float] = []
    kicks: list[float] = []
    seen = Partition(
        drift=lambda t, p: drifts.append(float(t)) or p,
        kick=lambda t, q: kicks.append(float(t)) or -q,
    )
    Yoshida4().step(seen, 2.0, 0.5, START, ())
    assert drifts == pytest.approx([2 + 0.5 * node for node in (0.675603596, 0.5, 0.324396404)], abs=1e-8)
    assert kicks == pytest.approx([2 + 0.5 * node for node in (0, 1.351207192, -0.351207192, 1)], abs=1e-8)
    assert (len(drifts) + len(kicks)) / 2 == Yoshida4.num_evals


def test_symplectic() -> None:
    jacobian = torch.autograd.functional.jacobian(lambda y: Yoshida4().step(PENDULUM, 0.3, 0.4, y, ())[0], START[0])
    form = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    assert isinstance(jacobian, Tensor)
    assert torch.allclose(jacobian.T @ form @ jacobian, form, rtol=0, atol=1e-14)


def test_harmonic_energy_error_is_bounded_and_of_order_4() -> None:
    def worst(dt: float, t1: float) -> float:
        y = integrate(HARMONIC, START[:1], t1=t1, dt=dt, solver=Yoshida4()).y
        energy = 0.5 * (y * y).sum(-1)
        return float((energy - energy[0]).abs().max())

    # The error runs round an ellipse: a time eight times as long sees the same worst value.
    assert worst(0.2, 200.0) == pytest.approx(worst(0.2, 25.0), rel=0.05)
    assert orders([worst(0.2, 25.0), worst(0.1, 25.0), worst(0.05, 25.0)]) == pytest.approx([4, 4], abs=0.2)


def test_hamiltonian_energy_of_the_field() -> None:
    field = HamiltonianField(2, 8, dtype=torch.float64)
    layer = ODERNN(field, Yoshida4(), dt=0.5)
    x = torch.randn(1, 3, 2, dtype=torch.float64).expand(20, 3, 2)
    y0 = torch.randn(1, 3, 8, dtype=torch.float64)

    def drift(substeps: int) -> float:
        y = torch.cat((y0, layer.with_solver(Yoshida4(), substeps=substeps)(x, y0)[0]))
        energy = torch.log(torch.cosh(y @ field.weight().T + field.control(x[0]))).sum(-1)
        return float((energy - energy[0]).detach().abs().max())

    assert orders([drift(2), drift(4), drift(8)]) == pytest.approx([4, 4], abs=0.2)


def test_neutral_up_to_its_limit() -> None:
    assert float(Yoshida4().amplification(1.5734j)) == pytest.approx(1, abs=1e-12)
    assert float(Yoshida4().amplification(1.58j)) > 1.01
