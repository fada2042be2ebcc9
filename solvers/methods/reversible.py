"""Methods of order 2 that can be undone in closed form for any right-hand side, by carrying a second state.

The right-hand side changes from sample to sample (zero-order hold), and `inverse_step` is given the one of the step
that it undoes. So what a method carries must not hold a slope that only the step before could recompute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..arithmetic import advance
from ..checks import complex_numbers
from ..right_hand_side import RightHandSide, Time
from ..scheme import Coefficient, Scheme, Schemes, whole
from ..solver import Carry, ReversibleSolver
from .characteristic import WEAK_INSTABILITY, quadratic_radius


def _heun(ratios: Sequence[Coefficient]) -> Scheme:
    """The scheme on (y, s)."""
    return Scheme(
        u=((0.0, 1.0), (2.0, -1.0)),
        a=((), (1.0,)),
        v=((1.0, 0.0), (2.0, -1.0)),
        b=((0.5, 0.5), (1.0, 0.0)),
        c=(0.0, 1.0),
        half=whole(2),
    )


_HEUN_START = Scheme(((1.0,), (1.0,)), ((), (1.0,)), ((1.0,), (1.0,)), ((0.5, 0.5), (1.0, 0.0)), (0.0, 1.0), whole(2))
"""The same where s is y still."""


def _leapfrog(ratios: Sequence[Coefficient]) -> Scheme:
    """The scheme on (y, dt v), v times the step before."""
    (r,) = ratios
    return Scheme(((1.0, 0.5 * r),), ((),), ((1.0, 0.0), (0.0, -r)), ((1.0,), (2.0,)), (0.5,), whole(1))


_LEAPFROG_START = Scheme(
    ((1.0,), (1.0,)), ((), (0.5,)), ((1.0,), (0.0,)), ((0.0, 1.0), (-1.0, 2.0)), (0.0, 0.5), whole(2)
)
"""With v = f(t, y), evaluated here."""


@final
@dataclass(frozen=True)
class ReversibleHeun(ReversibleSolver):
    """The reversible Heun method: order 2, two evaluations a step, undone in closed form for any right-hand side.

    With s the second state, which starts as y, and the slopes k = f(t, s), k_next = f(t + dt, s_next) of one step:
    s_next = 2 y - s + dt k, y_next = y + dt/2 (k + k_next).

    Its carry is (s,). The paper carries k_next too, and so takes one evaluation a step where f stays the same. Where f
    changes between two steps, y, s and an old slope are three vectors that a step maps to two free ones (the new slope
    follows from s_next): no inverse exists, and the old slope makes an error of dt/2 times the jump, which is order 1.
    Here both slopes are those of the step's own f: the step is reversible whatever f does between steps, and order 2
    holds across jumps at the ends of steps (zero-order hold, measured). Where f stays the same the numbers are the
    paper's.

    The difference s - y changes its sign every step and is not damped. Neutral on the imaginary axis up to |z| = 1; on
    a damped mode it grows. Measured: 500 steps of 0.1 and back on random antisymmetric fields of 16 units under random
    input return to the start within 1e-13, relatively, in float64. Damping amplifies rounding by `amplification` a
    step, out and back: on y' = -y 100 steps of 0.1 and back are off by 1e-11, 200 by 4e-3.

    Source: Kidger, Foster, Li & Lyons, Efficient and accurate gradients for neural SDEs (NeurIPS 2021), algorithms 1
    and 2, without noise.
    """

    family = "reversible"
    order = 2
    stages = 2
    num_evals = 2
    caution = WEAK_INSTABILITY
    schemes = Schemes(_heun, (_HEUN_START,))

    def init(self, f: RightHandSide, t: Time, dt: Time, y: Tensor) -> Carry:
        """The second state, which starts as the first."""
        return (y,)

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """A reflection of the second state, then the trapezoidal rule along it."""
        second = _tensor(carry)
        slope = f(t, second)
        reflected = advance(2 * y - second, dt, slope)
        return advance(y, 0.5 * dt, slope + f(t + dt, reflected)), (reflected,)

    def inverse_step(
        self, f: RightHandSide, t: Time, dt: Time, y: Tensor, carry: Carry, dt_before: Time | None
    ) -> tuple[Tensor, Carry]:
        """The step with the sign of time turned: s = 2 y_next - s_next - dt k_next, y = y_next - dt/2 (k + k_next)."""
        reflected = _tensor(carry)
        slope = f(t + dt, reflected)
        second = advance(2 * y - reflected, -dt, slope)
        return advance(y, -0.5 * dt, slope + f(t, second)), (second,)

    def amplification(self, z: complex | Tensor) -> Tensor:
        """The spectral radius of [[1 + z, z^2/2], [2, z - 1]] on (y, s): r^2 - 2 z r - 1 = 0."""
        return _neutral_radius(z)


@final
@dataclass(frozen=True)
class AsynchronousLeapfrog(ReversibleSolver):
    """The asynchronous leapfrog method: order 2, one evaluation a step, undone in closed form for any right-hand side.

    With v a velocity, which starts as f(t, y): middle = y + dt/2 v; v_next = 2 f(t + dt/2, middle) - v;
    y_next = middle + dt/2 v_next. Its carry is (v,).

    The one slope of a step is taken inside it, by its own f: the step is reversible whatever f does between steps. But
    v is a velocity of the f before: a jump J of f leaves v - f = -J, which changes its sign every step and is never
    damped. It moves y by dt^2/2 f' J, to and fro, so order 2 holds across jumps at the ends of steps (zero-order hold,
    measured), with an error that grows as the jumps add up in v.

    Neutral on the imaginary axis up to |z| = 1; on a damped mode v - f grows. Measured: 500 steps of 0.1 and back on
    random antisymmetric fields of 16 units under random input return to the start within 1e-13, relatively, in float64.
    Damping amplifies rounding by `amplification` a step, out and back: on y' = -y 100 steps of 0.1 and back are off by
    1e-11, 200 by 4e-3.

    Source: Mutze, An asynchronous leapfrog method II, arXiv 1311.6602 (2013); Zhuang, Dvornek, Tatikonda & Duncan,
    MALI: a memory efficient and reverse accurate integrator for neural ODEs (ICLR 2021), sec. 3.1.
    """

    family = "reversible"
    order = 2
    stages = 1
    num_evals = 1
    caution = WEAK_INSTABILITY
    schemes = Schemes(_leapfrog, (_LEAPFROG_START,), ratios=1, slopes=True)

    def init(self, f: RightHandSide, t: Time, dt: Time, y: Tensor) -> Carry:
        """The velocity f(t, y): one evaluation, once."""
        return (f(t, y),)

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """Half a step with the old velocity, half a step with the reflected one."""
        velocity = _tensor(carry)
        half = 0.5 * dt
        middle = advance(y, half, velocity)
        velocity = 2 * f(t + half, middle) - velocity
        return advance(middle, half, velocity), (velocity,)

    def inverse_step(
        self, f: RightHandSide, t: Time, dt: Time, y: Tensor, carry: Carry, dt_before: Time | None
    ) -> tuple[Tensor, Carry]:
        """The same three lines with the sign of time turned."""
        velocity = _tensor(carry)
        half = 0.5 * dt
        middle = advance(y, -half, velocity)
        velocity = 2 * f(t + half, middle) - velocity
        return advance(middle, -half, velocity), (velocity,)

    def amplification(self, z: complex | Tensor) -> Tensor:
        """The spectral radius of [[1 + z, z/2], [2 z, z - 1]] on (y, dt v): r^2 - 2 z r - 1 = 0."""
        return _neutral_radius(z)


def _neutral_radius(z: complex | Tensor) -> Tensor:
    """The larger root of r^2 - 2 z r - 1 = 0, the polynomial of the two-step midpoint rule."""
    z = complex_numbers("z", z)
    return quadratic_radius(-2 * z, -torch.ones_like(z))


def _tensor(carry: Carry) -> Tensor:
    (carried,) = carry
    assert isinstance(carried, Tensor)
    return carried
