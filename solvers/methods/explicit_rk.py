"""One step of any explicit Runge-Kutta tableau."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..arithmetic import combine
from ..checks import complex_numbers
from ..right_hand_side import RightHandSide, Time
from ..solver import Carry, Solver
from .tableau import ButcherTableau


@dataclass(frozen=True)
class ExplicitRungeKutta(Solver):
    """The step that a `tableau` defines. A method is this class with its tableau: see runge_kutta.py."""

    family = "explicit Runge-Kutta"
    tableau: ClassVar[ButcherTableau]

    def __init_subclass__(cls) -> None:
        """Take order and stages from the tableau, so that they are written once."""
        cls.order = cls.tableau.order
        cls.stages = cls.tableau.stages
        cls.num_evals = cls.tableau.stages

    def init(self, f: RightHandSide, t: Time, dt: Time, y: Tensor) -> Carry:
        """Nothing: a one-step method."""
        return ()

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """Make the stages Y_i = y + dt sum_j a_ij k_j, k_i = f(t + c_i dt, Y_i), and return y + dt sum_i b_i k_i."""
        slopes: list[Tensor] = []
        for row, node in zip(self.tableau.a, self.tableau.c, strict=True):
            slopes.append(f(t if node == 0 else t + node * dt, combine(y, dt, row, slopes)))
        return combine(y, dt, self.tableau.b, slopes), carry

    def amplification(self, z: complex | Tensor) -> Tensor:
        """|R(z)|, R(z) = 1 + sum_i b_i z k_i with k_i = 1 + z sum_j a_ij k_j: the method itself on y' = z y."""
        z = complex_numbers("z", z)
        one = torch.ones_like(z)
        return self.step(lambda t, y: z * y, 0.0, 1.0, one, ())[0].abs()
