"""What an adjoint cannot do it refuses, and says what `auto` takes instead."""

import logging
from collections.abc import Iterator
from logging.handlers import BufferingHandler

import pytest
import torch

from odernn import (
    ADJOINTS,
    FIELDS,
    ODERNN,
    DiscreteAdjoint,
)
from solvers import (
    RK4,
    Autograd,
    Checkpointed,
    Euler,
    ReconstructionError,
    Reversible,
    make_solver,
)
from tests.odernn.layer.under_adjoints import (
    DOUBLE,
    layer,
)


def test_reversible_refuses_a_solver_without_an_inverse() -> None:
    rnn = layer("antisymmetric", "rk4", Reversible())
    with pytest.raises(ValueError, match="RK4 has none"):
        rnn(torch.randn(4, 3, 2, dtype=DOUBLE))


def test_reversible_refuses_states_that_it_could_not_make_again() -> None:
    torch.manual_seed(0)
    field = FIELDS["antisymmetric"](1, 16, damping=2.0)
    rnn = ODERNN(field, make_solver("reversible-heun"), dt=0.1, adjoint=Reversible())
    x = 0.01 * torch.randn(300, 2, 1)
    with pytest.raises(ReconstructionError, match="missed the first state by") as caught:
        rnn(x)[1].sum().backward()
    assert caught.value.error > caught.value.tolerance == 1e-3
    rnn.adjoint = Reversible(tolerance=float("inf"))
    rnn(x)[1].sum().backward()


@pytest.fixture
def logged() -> Iterator[list[logging.LogRecord]]:
    """What the package logs."""
    handler, logger = BufferingHandler(1000), logging.getLogger("odernn")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel("DEBUG")
    yield handler.buffer
    logger.setLevel(before)
    logger.removeHandler(handler)


def test_auto_says_what_it_picks(logged: list[logging.LogRecord]) -> None:
    x = torch.randn(4, 3, 2, dtype=DOUBLE)
    for solver, picked in (("rk4", DiscreteAdjoint()), ("implicit-midpoint", Autograd())):
        rnn = layer("antisymmetric", solver, "auto")
        assert rnn.choice(x).adjoint == picked
        rnn(x)
        said = [record.getMessage() for record in logged]
        assert any(f"{picked!r}: there is no operator: Unregistered is not a registered field" in each for each in said)


def test_every_adjoint_has_a_name() -> None:
    assert set(ADJOINTS) == {"autograd", "discrete", "checkpointed", "reversible", "continuous", "auto"}
    rnn = ODERNN(FIELDS["antisymmetric"](2, 4), Euler(), dt=0.1, adjoint="discrete")
    assert rnn.with_solver(RK4()).adjoint == DiscreteAdjoint()


@pytest.mark.parametrize("every", [0, -1, 1.5, "root"])
def test_bad_arguments_of_checkpointed(every: object) -> None:
    with pytest.raises((ValueError, TypeError), match="`every`"):
        Checkpointed(every=every)


@pytest.mark.parametrize("tolerance", [0, -1.0, float("nan")])
def test_bad_arguments_of_reversible(tolerance: float) -> None:
    with pytest.raises(ValueError, match="`tolerance`"):
        Reversible(tolerance=tolerance)
