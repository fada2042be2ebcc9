"""The margin to a solver's stability, and how much longer or shorter its step could be."""

from math import inf, sqrt

import pytest
import torch

from odernn import ODERNN, AntisymmetricField, LinearAntisymmetricField
from odernn.analysis import stability_margin, stable_scale
from solvers import RK4, Euler, Heun, ImplicitMidpoint, Kutta3, LeapfrogMidpoint, Solver, make_solver

DOUBLE = torch.float64


def rotation(omega: float, damping: float = 0.0) -> LinearAntisymmetricField:
    field = LinearAntisymmetricField(1, 2, damping=damping, dtype=DOUBLE)
    with torch.no_grad():
        field.recurrent.upper.fill_(omega)
    return field


X = torch.zeros(4, 3, 1, dtype=DOUBLE)


@pytest.mark.parametrize(
    ("solver", "amplification"),
    [
        (Euler(), sqrt(1 + 0.3**2)),
        (Heun(), sqrt(1 + 0.3**4 / 4)),
        (RK4(), sqrt((1 - 0.3**2 / 2 + 0.3**4 / 24) ** 2 + (0.3 - 0.3**3 / 6) ** 2)),
        (LeapfrogMidpoint(), 1.0),
        (ImplicitMidpoint(), 1.0),
    ],
    ids=str,
)
def test_the_margin_of_a_rotation(solver: Solver, amplification: float) -> None:
    rnn = ODERNN(rotation(3.0), solver, dt=0.2, substeps=2)
    margin = stability_margin(rnn, X)
    assert margin.shape == (4, 3)
    assert margin.dtype == DOUBLE
    torch.testing.assert_close(margin, torch.full((4, 3), 1 - amplification, dtype=DOUBLE), rtol=0, atol=1e-14)


def test_another_solver_can_be_asked_along_the_same_trajectory() -> None:
    torch.manual_seed(0)
    rnn = ODERNN(AntisymmetricField(1, 8, sigma_w=2.0, dtype=DOUBLE), Euler(), dt=0.2)
    x = torch.randn(6, 2, 1, dtype=DOUBLE)
    assert bool((stability_margin(rnn, x) < 0).all())
    assert bool((stability_margin(rnn, x, solver=RK4()) >= -1e-14).all())
    torch.testing.assert_close(stability_margin(rnn, x, at=[4]), stability_margin(rnn, x)[4:5])


def test_damping_of_the_papers_proposition_2() -> None:
    """Euler holds a damped rotation if (1 - dt damping)^2 + (dt omega)^2 <= 1."""
    omega, dt = 2.0, 0.1
    needed = (1 - sqrt(1 - (dt * omega) ** 2)) / dt
    for damping, inside in ((0.99 * needed, False), (1.01 * needed, True)):
        margin = stability_margin(ODERNN(rotation(omega, damping), Euler(), dt=dt), X)
        assert bool((margin >= 0).all()) == inside


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("euler", 0.0),
        ("kutta3", sqrt(3)),
        ("rk4", sqrt(8)),
        ("leapfrog", 2.0),
        ("leapfrog-midpoint", 1.0),
        ("implicit-midpoint", inf),
    ],
)
def test_the_scale_of_a_neutral_mode_is_the_stability_interval(name: str, scale: float) -> None:
    found = stable_scale(make_solver(name), torch.tensor([1j, -0.5j]))
    assert found == pytest.approx(
        scale, rel=1e-5
    )  # |R| leaves 1 as a square root, so rounding shows in the sixth digit


def test_the_scale_of_a_damped_mode() -> None:
    assert stable_scale(Euler(), torch.tensor([-1.0 + 0j])) == pytest.approx(2.0)
    # (1 - s/2)^2 + s^2 = 1 at s = 4/5.
    assert stable_scale(Euler(), torch.tensor([-0.5 + 1j])) == pytest.approx(0.8)


def test_no_step_holds_a_mode_that_grows() -> None:
    assert stable_scale(Kutta3(), torch.tensor([0.1 + 1j])) == 0.0


@pytest.mark.parametrize(
    ("solver", "z", "error", "said"),
    [
        ("rk4", torch.zeros(2), TypeError, "`solver` is the name 'rk4'"),
        (RK4(), 1j, TypeError, "`z` is complex; give a torch.Tensor"),
        (RK4(), torch.tensor([1j, complex("nan")]), ValueError, "`z`: 1 of 2 entries are not finite"),
    ],
)
def test_bad_arguments_are_named(solver: object, z: object, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        stable_scale(solver, z)  # pyright: ignore[reportArgumentType]


def test_a_solver_that_is_none_is_named() -> None:
    with pytest.raises(TypeError, match="`solver` is the class RK4; give an instance"):
        stability_margin(ODERNN(rotation(1.0), Euler(), dt=0.1), X, solver=RK4)  # pyright: ignore[reportArgumentType]
