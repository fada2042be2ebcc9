"""One step of any explicit Runge-Kutta tableau."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..arithmetic import combine
from ..checks import complex_numbers
from ..right_hand_side import RightHandSide, Time
from ..scheme import Row, Scheme, one_step, whole
from ..solver import Carry, Solver
from .tableau import ButcherTableau


@dataclass(frozen=True)
class ExplicitRungeKutta(Solver):
    """The step that a `tableau` defines. A method is this class with its tableau: see runge_kutta.py."""

    family = "explicit Runge-Kutta"
    tableau: ClassVar[ButcherTableau]

    def __init_subclass__(cls) -> None:
        """Take order, stages and scheme from the tableau, so that they are written once."""
        cls.order = cls.tableau.order
        cls.stages = cls.tableau.stages
        cls.num_evals = cls.tableau.stages
        cls.schemes = one_step(scheme_of_tableau(cls.tableau))

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


def scheme_of_tableau(tableau: ButcherTableau) -> Scheme:
    """A tableau as a scheme of a method that carries the state only."""
    n = tableau.stages
    return Scheme(((1.0,),) * n, tableau.a, ((1.0,),), (tableau.b,), tableau.c, whole(n))


def starting_scheme(tableau: ButcherTableau, v: tuple[Row, ...], b: tuple[Row, ...]) -> Scheme:
    """A tableau as the first steps of a method that carries more than the state: its scheme with further rows.

    Args:
        tableau: what moves the state.
        v: the rows of the other vectors, as `Scheme` has them.
        b: the same.
    """
    n, vectors = tableau.stages, len(v)
    state = (1.0, *(0.0,) * (vectors - 1))
    return Scheme((state,) * n, tableau.a, (state, *v), (tableau.b, *b), tableau.c, whole(n))
