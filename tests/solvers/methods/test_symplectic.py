"""The short compositions as their docstrings write them down: every kick and drift at its own time."""

import torch
from torch import Tensor

from solvers import Leapfrog, Partition, SymplecticEuler
from solvers.extend import Time

DT, T = 0.3, 0.7
START = torch.tensor([[0.5, -0.2]], dtype=torch.float64)


def drift(t: Time, p: Tensor) -> Tensor:
    return torch.tanh(p) * (1 + 0.5 * t)


def kick(t: Time, q: Tensor) -> Tensor:
    return -torch.sin(q) + 0.3 * t


SYSTEM = Partition(drift, kick)


def test_symplectic_euler_is_its_formula() -> None:
    """With the time at the start of the step in both halves: at its order another node would not show."""
    q, p = START.chunk(2, dim=-1)
    p = p + DT * kick(T, q)
    q = q + DT * drift(T, p)
    torch.testing.assert_close(SymplecticEuler().step(SYSTEM, T, DT, START, ())[0], torch.cat((q, p), dim=-1))


def test_leapfrog_is_its_formula() -> None:
    q, p = START.chunk(2, dim=-1)
    p = p + DT / 2 * kick(T, q)
    q = q + DT * drift(T + DT / 2, p)
    p = p + DT / 2 * kick(T + DT, q)
    torch.testing.assert_close(Leapfrog().step(SYSTEM, T, DT, START, ())[0], torch.cat((q, p), dim=-1))
