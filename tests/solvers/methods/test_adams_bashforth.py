"""Adams-Bashforth methods: their weights on uneven steps, their start-up, where they are stable."""

import pytest
import torch

from solvers import AdamsBashforth2, AdamsBashforth3, Solver
from tests.problems import START, driven

METHODS = [AdamsBashforth2(), AdamsBashforth3()]


@pytest.mark.parametrize("solver", METHODS)
def test_exact_for_polynomials_on_uneven_steps(solver: Solver) -> None:
    # The slope is a polynomial in time of the degree that the method interpolates: no error on any grid.
    degree = solver.order - 1
    t, y, carry = 0.0, torch.zeros(1, dtype=torch.float64), ()
    for dt in (0.3, 0.1, 0.7, 0.25, 0.25, 0.4):
        y, carry = solver.step(lambda t, y: torch.full_like(y, t**degree), t, dt, y, carry)
        t += dt
    assert float(y) == pytest.approx(t ** (degree + 1) / (degree + 1), rel=1e-14)


@pytest.mark.parametrize(
    ("solver", "weights"),
    [(AdamsBashforth2(), (3 / 2, -1 / 2)), (AdamsBashforth3(), (23 / 12, -16 / 12, 5 / 12))],
)
def test_weights_on_even_steps(solver: Solver, weights: tuple[float, ...]) -> None:
    one, *slopes = torch.eye(len(weights), dtype=torch.float64)
    carry = tuple(part for slope in slopes for part in (slope, 0.1))
    y, _ = solver.step(lambda t, y: one, 0.0, 0.1, torch.zeros_like(one), carry)
    assert (y / 0.1).tolist() == pytest.approx(weights, rel=1e-14)


@pytest.mark.parametrize(
    ("solver", "times"),
    [
        (AdamsBashforth2(), [0, 1, 1, 2, 3]),  # a step of Heun, then one evaluation a step
        (AdamsBashforth3(), [0, 0.5, 1, 1, 1.5, 2, 2, 3]),  # two steps of Kutta
    ],
)
def test_start_up(solver: Solver, times: list[float]) -> None:
    seen: list[float] = []
    y, carry = START, solver.init(driven, 0.0, 1.0, START)
    assert carry == ()
    for t in (0.0, 1.0, 2.0, 3.0):
        y, carry = solver.step(lambda t, y: seen.append(float(t)) or -y, t, 1.0, y, carry)
    assert seen == pytest.approx(times)


def test_stability_on_the_imaginary_axis() -> None:
    axis = 1j * torch.tensor([0.1, 0.7235, 0.7237], dtype=torch.complex128)
    stable = AdamsBashforth3().amplification(axis)
    assert (stable <= 1).tolist() == [True, True, False]
    assert AdamsBashforth2().amplification(axis).tolist()[0] == pytest.approx(1 + 0.1**4 / 4, abs=1e-6)
