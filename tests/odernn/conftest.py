"""A field with explicit time that declares every structure."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from odernn import VectorField
from solvers.extend import Time

DOUBLE = torch.float64


class ClockedField(VectorField):
    """A nonlinear field of four units that depends on time, declares a partition and a linear part."""

    partitioned = True

    def __init__(self) -> None:
        super().__init__(2, 4)
        self.map = torch.nn.Linear(2, 4, dtype=DOUBLE)
        self.coupling = torch.nn.Parameter(0.6 * torch.randn(2, 2, dtype=DOUBLE))
        self.linear = torch.nn.Parameter(0.4 * torch.randn(4, 4, dtype=DOUBLE))

    def control(self, x: Tensor) -> Tensor:
        return self.map(x)

    def drift(self, t: Time, p: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(u[..., :2] - p @ self.coupling + torch.sin(2 * torch.as_tensor(t, dtype=DOUBLE)))

    def kick(self, t: Time, q: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(u[..., 2:] + q @ self.coupling.T + torch.cos(3 * torch.as_tensor(t, dtype=DOUBLE)))

    def forward(self, t: Time, y: Tensor, u: Tensor) -> Tensor:
        q, p = y.chunk(2, -1)
        return torch.cat((self.drift(t, p, u), self.kick(t, q, u)), -1)

    def semilinear(self) -> tuple[Tensor, Callable[[Time, Tensor, Tensor], Tensor]]:
        return self.linear, lambda t, y, u: self(t, y, u) - y @ self.linear.T


@pytest.fixture(scope="session")
def clocked_field() -> ClockedField:
    """One for all tests, which read it only."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ClockedField()
