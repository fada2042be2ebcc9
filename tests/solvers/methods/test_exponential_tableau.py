"""The exponential tableaus: what is refused when one is written down, and what the methods are where A is zero."""

import pytest
import torch

from solvers import (
    ETDRK2,
    Euler,
    ExponentialEuler,
    ExponentialRungeKutta,
    Heun,
    LawsonEuler,
    LinearlyExactEuler,
    Midpoint,
    Semilinear,
    Solver,
    StrangSplitting,
)
from solvers.methods.exponential_tableau import ZERO, Entry, ExponentialTableau, number, phi

DOUBLE = torch.float64


def test_a_misprint_is_refused() -> None:
    with pytest.raises(ValueError, match="`order` 2 needs it"):
        ExponentialTableau(order=2, flows=(0, 1), a=((), (phi(1),)), b=(phi(1), phi(2)), c=(0, 1))
    with pytest.raises(ValueError, match=r"`c\[1\]` is 0.5"):
        ExponentialTableau(order=1, flows=(0, 1), a=((), (phi(1),)), b=(phi(1), ZERO), c=(0, 0.5))
    with pytest.raises(ValueError, match="`flows` has 2 entries and `b` 1"):
        ExponentialTableau(order=1, flows=(0, 1), a=((),), b=(phi(1),), c=(0,))


def test_every_function_is_listed_once() -> None:
    tableau = ETDRK2.tableau
    assert tableau.functions == (phi(0), phi(1), (*phi(1), *phi(2, coefficient=-1)), phi(2))
    assert tableau.flow_entries == (Entry(1.0, -1), Entry(1.0, 0), Entry(1.0, 0))
    assert tableau.a_entries == ((), (Entry(1.0, 1),))
    assert tableau.b_entries == (Entry(1.0, 2), Entry(1.0, 3))
    lawson = LawsonEuler.tableau
    assert lawson.functions == (phi(0),)
    assert lawson.b_entries == (Entry(1.0, 0),)


def test_a_multiple_of_the_identity_is_a_number() -> None:
    tableau = ExponentialTableau(order=1, flows=(0,), a=((),), b=((*number(0.5), *phi(1, 0.0, 0.5)),), c=(0,))
    assert tableau.b_entries == (Entry(1.0, -1),)


@pytest.mark.parametrize(
    ("method", "classical"),
    [
        (LinearlyExactEuler(), Euler()),
        (ExponentialEuler(), Euler()),
        (LawsonEuler(), Euler()),
        (StrangSplitting(), Midpoint()),
        (ETDRK2(), Heun()),
    ],
)
def test_without_a_linear_part_it_is_the_classical_method(method: ExponentialRungeKutta, classical: Solver) -> None:
    def remainder(t: object, y: torch.Tensor) -> torch.Tensor:
        return torch.tanh(y.roll(1, -1)) + torch.sin(torch.as_tensor(t, dtype=DOUBLE))

    y = torch.randn(3, 4, dtype=DOUBLE)
    system = Semilinear(torch.zeros(4, 4, dtype=DOUBLE), remainder)
    found, _ = method.step(system, 0.3, 0.2, y, ())
    expected, _ = classical.step(remainder, 0.3, 0.2, y, ())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-15)
