"""The problem that the laws of the solvers are tried on."""

from collections.abc import Callable
from dataclasses import replace
from math import cos, sin

import pytest
import torch
from torch import Tensor

from solvers import AffinePointwise, Diffusion, Need, Partition, Semilinear, Solver, Structured

DOUBLE = torch.float64
COUPLING = torch.tensor([[0.9, -0.4], [0.3, 1.1]], dtype=DOUBLE)
LINEAR = torch.tensor([[-0.2, 1.0, 0, 0], [-1.0, 0.1, 0, 0], [0, 0, 0, 0.5], [0, 0, -0.5, 0]], dtype=DOUBLE)


def drift(t: float, p: Tensor) -> Tensor:
    return torch.tanh(-p @ COUPLING + 0.7 * sin(2 * t))


def kick(t: float, q: Tensor) -> Tensor:
    return torch.tanh(q @ COUPLING.T + 0.5 * cos(3 * t))


@pytest.fixture(scope="session")
def nonlinear() -> Structured:
    """A nonlinear non-autonomous right-hand side of four unknowns that declares every structure a solver may need.

    A wrong node c is invisible on an autonomous problem, and a wrong product of coefficients on a linear one.
    """
    partition = Partition(drift, kick)
    zero = torch.zeros(2, 2, dtype=DOUBLE)
    weight = torch.cat((torch.cat((zero, -COUPLING.T), 1), torch.cat((COUPLING, zero), 1)))

    def pointwise(t: float, y: Tensor, p: Tensor) -> Tensor:
        drive = torch.tensor([0.7 * sin(2 * t)] * 2 + [0.5 * cos(3 * t)] * 2, dtype=DOUBLE)
        return torch.tanh(p + drive)

    return Structured(
        partition,
        partition=partition,
        semilinear=Semilinear(LINEAR, lambda t, y: partition(t, y) - y @ LINEAR.T),
        affine=AffinePointwise(weight, pointwise),
    )


@pytest.fixture(scope="session")
def suited() -> Callable[[Structured, Solver], Structured]:
    """A right-hand side as a solver takes it: with a diffusion, at rest, for a stochastic one."""

    def with_noise(f: Structured, solver: Solver) -> Structured:
        if solver.needs is not Need.DIFFUSION:
            return f
        return replace(f, diffusion=Diffusion(lambda t, y: torch.zeros_like(y), active=False))

    return with_noise


@pytest.fixture(scope="session")
def start() -> Tensor:
    """The initial state of the problem."""
    return torch.tensor([[0.3, -0.2, 0.5, 0.1]], dtype=DOUBLE)
