"""One step of any composition of kicks and drifts of a partitioned system dq/dt = drift(t, p), dp/dt = kick(t, q)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..arithmetic import advance
from ..checks import check_flag, check_number, complex_numbers
from ..requirements import refuse_inverse, required_partition
from ..right_hand_side import Need, RightHandSide, Time
from ..scheme import Scheme, one_step
from ..solver import Carry, ReversibleSolver
from .characteristic import quadratic_radius


@dataclass(frozen=True, slots=True)
class Shear:
    """A kick or a drift: one half of the state moves, driven by the other.

    Attributes:
        kick: whether p moves (a kick) or q (a drift).
        share: by how much of the step.
        node: at what time, as a share of the step from its start.
    """

    kick: bool
    share: float
    node: float

    def __post_init__(self) -> None:
        """Check the facts."""
        check_flag("kick", self.kick)
        check_number("share", self.share)
        check_number("node", self.node)


@dataclass(frozen=True)
class SplittingMethod(ReversibleSolver):
    """The composition that `shears` lists. A method is this class with its shears: see symplectic.py.

    A shear is undone by the same shear with the opposite sign, so every such method is reversible, whatever the
    right-hand side does between steps. A partitioned system cannot be damped (its flow keeps volume), so rounding grows
    no faster backward than the flow itself stretches.
    """

    shears: ClassVar[tuple[Shear, ...]]
    family = "splitting"
    symplectic = True
    needs = Need.PARTITION

    def __init_subclass__(cls) -> None:
        """Count stages and evaluations and make the scheme, so that they are written once."""
        cls.stages = sum(not shear.kick for shear in cls.shears)
        cls.num_evals = len(cls.shears) / 2
        cls.schemes = one_step(scheme_of_shears(cls.shears))

    def init(self, f: RightHandSide, t: Time, dt: Time, y: Tensor) -> Carry:
        """Nothing: a one-step method."""
        return ()

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """The shears in their order."""
        return self._compose(self.shears, 1.0, f, t, dt, y), carry

    def inverse_step(
        self, f: RightHandSide, t: Time, dt: Time, y: Tensor, carry: Carry, dt_before: Time | None
    ) -> tuple[Tensor, Carry]:
        """The shears from the last to the first, with the opposite sign."""
        refuse_inverse(self, f)
        return self._compose(self.shears[::-1], -1.0, f, t, dt, y), carry

    def amplification(self, z: complex | Tensor) -> Tensor:
        """The spectral radius of the step on q' = z p, p' = z q, whose modes are exp(+-z t).

        A kick multiplies (q, p) by [[1, 0], [s z, 1]] and a drift by [[1, s z], [0, 1]]. The product has determinant 1,
        so its eigenvalues are r and 1 / r with the trace r + 1 / r.
        """
        z = complex_numbers("z", z)
        one, zero = torch.ones_like(z), torch.zeros_like(z)
        (a, b), (c, d) = (one, zero), (zero, one)
        for shear in self.shears:
            share = shear.share * z
            if shear.kick:
                c, d = c + share * a, d + share * b
            else:
                a, b = a + share * c, b + share * d
        return quadratic_radius(-(a + d), one)

    def _compose(
        self, shears: tuple[Shear, ...], sign: float, f: RightHandSide, t: Time, dt: Time, y: Tensor
    ) -> Tensor:
        partition = required_partition(self, f)
        q, p = y.chunk(2, dim=-1)
        for shear in shears:
            time = t + shear.node * dt if shear.node else t
            if shear.kick:
                p = advance(p, sign * shear.share * dt, partition.kick_of(time, q, p))
            else:
                q = advance(q, sign * shear.share * dt, partition.drift_of(time, q, p))
        return torch.cat((q, p), dim=-1)


def scheme_of_shears(shears: tuple[Shear, ...]) -> Scheme:
    """Kicks and drifts as a scheme: each sees what all those before it have moved."""
    shares = tuple(shear.share for shear in shears)
    return Scheme(
        u=((1.0,),) * len(shears),
        a=tuple(shares[:i] for i in range(len(shears))),
        v=((1.0,),),
        b=(shares,),
        c=tuple(shear.node for shear in shears),
        half=tuple(int(shear.kick) for shear in shears),
    )
