"""Law: a solver is a value: what its hyperparameters are can be seen from outside, or it is refused."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from odernn import ODERNN, AntisymmetricField
from solvers import SOLVERS, Euler, Midpoint, Solver
from solvers.extend import Carry, RightHandSide, Time, check_solver


class _ByName(Solver):
    """Another method of one stage or two."""

    order = 1
    stages = 2
    num_evals = 2.0
    family = "explicit"

    def method(self) -> Solver:
        return {"euler": Euler(), "midpoint": Midpoint()}[vars(self)["name"]]

    @property
    def schemes(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.method().schemes

    def init(self, f: RightHandSide, t: Time, dt: Time, y: Tensor) -> Carry:
        return ()

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        return self.method().step(f, t, dt, y, carry)

    def amplification(self, z: complex | Tensor) -> Tensor:
        return self.method().amplification(z)


class _Hidden(_ByName):
    """With a hyperparameter that equality does not see."""

    def __init__(self, name: str) -> None:
        vars(self)["name"] = name


@dataclass(frozen=True)
class _Told(_ByName):
    name: str


@dataclass(frozen=True)
class _Listed(_Told):
    weights: list[float]


def _layer(solver: Solver) -> ODERNN:
    torch.manual_seed(0)
    return ODERNN(AntisymmetricField(2, 4, dtype=torch.float64), solver, dt=0.1)


def test_hyperparameters_that_are_fields() -> None:
    x = torch.randn(5, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for name, solver in (("euler", Euler()), ("midpoint", Midpoint()), ("euler", Euler())):
        torch.testing.assert_close(_layer(_Told(name))(x)[0], _layer(solver)(x)[0], rtol=0, atol=0)


REFUSED: dict[str, Callable[[], Solver]] = {
    "`name` that is not a field": lambda: _Hidden("euler"),
    "has no hash .*list": lambda: _Listed("euler", [1.0]),
}


@pytest.mark.parametrize("message", REFUSED)
def test_hyperparameters_that_cannot_be_told_apart(message: str) -> None:
    solver = REFUSED[message]()
    with pytest.raises(TypeError, match=message):
        _layer(solver)
    rnn = _layer(Euler())
    with pytest.raises(TypeError, match=message):
        rnn.solver = solver
    assert rnn.solver == Euler()


@pytest.mark.parametrize("name", SOLVERS)
def test_every_registered_solver_is_a_value(name: str) -> None:
    """Also one that derives an attribute from its fields, such as `AverageVectorField` its rule."""
    solver, other = SOLVERS[name](), SOLVERS[name]()
    check_solver(solver)
    assert (solver, hash(solver), repr(solver)) == (other, hash(other), repr(other))
