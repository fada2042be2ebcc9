"""What the table of solvers warns of is so: the weak instability of the methods whose second root grows."""

import pytest
import torch

from solvers import SOLVERS, Need, integrate, make_solver

UNSTRUCTURED = [name for name in SOLVERS if make_solver(name).needs is None]


@pytest.mark.parametrize("name", UNSTRUCTURED)
def test_the_methods_that_amplify_a_damped_mode_are_warned_of(name: str) -> None:
    """A step of -0.1 on a damped mode is small to any method that is stable near zero."""
    solver = make_solver(name)
    grows = float(solver.amplification(-0.1)) > 1
    assert bool(solver.caution) == grows
    if grows:
        assert float(solver.amplification(-0.1)) == pytest.approx(0.1 + 1.01**0.5, rel=1e-12)  # as the caution says


@pytest.mark.parametrize("name", [name for name in UNSTRUCTURED if make_solver(name).caution])
def test_the_measured_case_is_reproduced(name: str) -> None:
    """Y' = -y from 1 with dt = 0.1."""
    y = integrate(lambda t, y: -y, torch.ones((), dtype=torch.float64), t1=20.0, dt=0.1, solver=name, save="end").y
    caution = make_solver(name).caution
    assert "-2.9e3 at t = 20, where 2.1e-9 is right" in caution
    assert float(y) == pytest.approx(-2.9e3, rel=0.01)  # the two digits of the text
    assert float(torch.exp(torch.tensor(-20.0))) == pytest.approx(2.1e-9, rel=0.02)


def test_methods_of_a_structure_have_no_such_root() -> None:
    assert not any(make_solver(name).caution for name in SOLVERS if isinstance(make_solver(name).needs, Need))
