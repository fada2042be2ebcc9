"""What several tests are tried on: solvers that stand for the registry, a problem that shows every wrong node."""

from itertools import pairwise
from math import log2

import torch
from torch import Tensor

from solvers import SOLVERS, ExplicitRungeKutta, make_solver
from solvers.extend import Time

DOUBLE = torch.float64
MATRIX = torch.tensor([[0.0, 1.3, -0.4], [-1.3, 0.0, 0.8], [0.4, -0.8, -0.1]], dtype=DOUBLE)
START = torch.tensor([[0.5, -0.3, 0.8], [1.0, 0.1, -0.6]], dtype=DOUBLE)


def driven(t: Time, y: Tensor) -> Tensor:
    """Nonlinear, and time enters in and outside the nonlinearity."""
    t = torch.as_tensor(t, dtype=y.dtype)
    return torch.tanh(y @ MATRIX.T + torch.sin(2 * t)) + 0.3 * torch.cos(3 * t)


def orders(errors: list[float]) -> list[float]:
    """The slopes of errors at steps that are halved."""
    return [log2(coarse / fine) for coarse, fine in pairwise(errors)]


def tableau_shape(name: str) -> str:
    """What an engine can tell a tableau by: whether it has one stage, a stage without weight, or neither."""
    solver = make_solver(name)
    assert isinstance(solver, ExplicitRungeKutta)
    if solver.stages == 1:
        return "one stage"
    return "a stage without weight" if 0 in solver.tableau.b else "every stage with a weight"


def _coefficients(name: str) -> int:
    """How many coefficients are not zero."""
    solver = make_solver(name)
    assert isinstance(solver, ExplicitRungeKutta)
    return sum(entry != 0 for row in (*solver.tableau.a, solver.tableau.b) for entry in row)


def _representatives() -> list[str]:
    """Every solver of the registry but the tableaus, and of each shape of those the one with the most coefficients.

    Tableaus of one shape differ by numbers alone, which their own tests prove: engines and adjoints treat them alike.
    """
    tableaus = [name for name in SOLVERS if issubclass(SOLVERS[name], ExplicitRungeKutta)]
    fullest = {
        shape: max((n for n in tableaus if tableau_shape(n) == shape), key=_coefficients)
        for shape in dict.fromkeys(map(tableau_shape, tableaus))
    }
    return [name for name in SOLVERS if name not in tableaus or name in fullest.values()]


REPRESENTATIVES = _representatives()
