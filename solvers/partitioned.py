"""Symplectic methods for a partitioned system dq/dt = drift(t, p), dp/dt = kick(t, q)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from .arithmetic import advance
from .characteristic import quadratic_radius
from .requirements import required_partition
from .solver import Memory, Solver
from .structure import Need, RightHandSide, Time


@final
@dataclass(frozen=True)
class SymplecticEuler(Solver):
    """Symplectic Euler, kick first: order 1, one kick and one drift a step.

    p <- p + dt kick(t, q); q <- q + dt drift(t, p), with the new p.

    Source: Hairer, Lubich & Wanner, Geometric Numerical Integration, sec. I.1.2, eq. (1.9).
    """

    order = 1
    stages = 1
    num_evals = 1
    needs = Need.PARTITION

    def init(self, f: RightHandSide, t: Time, dt: Time, y: Tensor) -> Memory:
        """Nothing: a one-step method."""
        return ()

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """A kick with the old q, then a drift with the new p, both at the time `t`."""
        partition = required_partition(self, f)
        q, p = y.chunk(2, dim=-1)
        p = advance(p, dt, partition.kick(t, q))
        q = advance(q, dt, partition.drift(t, p))
        return torch.cat((q, p), dim=-1), memory

    def amplification(self, z: complex | Tensor) -> Tensor:
        """The spectral radius on q' = z p, p' = z q, whose modes are exp(+-z t): r^2 - (2 + z^2) r + 1 = 0."""
        z = torch.as_tensor(z, dtype=torch.complex128)
        return quadratic_radius(-(2 + z * z), torch.ones_like(z))


@final
@dataclass(frozen=True)
class Leapfrog(Solver):
    """Stoermer-Verlet in its kick-drift-kick form: order 2, symplectic, symmetric, two kicks and a drift a step.

    p <- p + dt/2 kick(t, q); q <- q + dt drift(t + dt/2, p); p <- p + dt/2 kick(t + dt, q).

    Source: Hairer, Lubich & Wanner, Geometric Numerical Integration, sec. I.1.4, eq. (1.17).
    """

    order = 2
    stages = 2
    num_evals = 1.5
    needs = Need.PARTITION

    def init(self, f: RightHandSide, t: Time, dt: Time, y: Tensor) -> Memory:
        """Nothing: a one-step method."""
        return ()

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Half a kick, a drift, half a kick."""
        partition = required_partition(self, f)
        q, p = y.chunk(2, dim=-1)
        half = 0.5 * dt
        p = advance(p, half, partition.kick(t, q))
        q = advance(q, dt, partition.drift(t + half, p))
        p = advance(p, half, partition.kick(t + dt, q))
        return torch.cat((q, p), dim=-1), memory

    def amplification(self, z: complex | Tensor) -> Tensor:
        """The spectral radius on q' = z p, p' = z q, whose modes are exp(+-z t): r^2 - (2 + z^2) r + 1 = 0."""
        z = torch.as_tensor(z, dtype=torch.complex128)
        return quadratic_radius(-(2 + z * z), torch.ones_like(z))
