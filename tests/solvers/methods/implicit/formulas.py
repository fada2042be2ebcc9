"""The equations of the implicit methods, as in the books."""

import torch
from torch import Tensor

from solvers import BackwardEuler, ImplicitMidpoint, ImplicitSolver, Structured, Trapezoidal
from solvers.methods.implicit.methods import Method

DOUBLE = torch.float64
ROUNDING = 1e-14  # a few roundings of entries of size one
METHODS = [BackwardEuler, ImplicitMidpoint, Trapezoidal]
WAYS: list[Method] = ["newton", "fixed-point"]


def residual(solver: ImplicitSolver, f: Structured, t: float, dt: float, y: Tensor, after: Tensor) -> Tensor:
    """What is left of the method's own formula, written down as in the books."""
    slopes = {
        BackwardEuler: lambda: f(t + dt, after),
        ImplicitMidpoint: lambda: f(t + dt / 2, (y + after) / 2),
        Trapezoidal: lambda: (f(t, y) + f(t + dt, after)) / 2,
    }
    return after - y - dt * slopes[type(solver)]()
