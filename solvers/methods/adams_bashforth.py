"""Explicit multi-step methods: a polynomial through the slopes of earlier steps, integrated over the next one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from torch import Tensor

from ..arithmetic import advance, combine
from ..checks import complex_numbers
from ..right_hand_side import RightHandSide, Time
from ..scheme import Coefficient, Scheme, Schemes, whole
from ..solver import Carry, Solver
from .characteristic import largest_root, quadratic_radius
from .explicit_rk import starting_scheme
from .runge_kutta import Heun, Kutta3
from .tableau import ButcherTableau


def _steady2(ratios: Sequence[Coefficient]) -> Scheme:
    (r,) = ratios
    return Scheme(((1.0, 0.0),), ((),), ((1.0, -0.5 * r * r), (0.0, 0.0)), ((1 + 0.5 * r,), (1.0,)), (0.0,), whole(1))


def _steady3(ratios: Sequence[Coefficient]) -> Scheme:
    """With d = 1, so that d1 = 1 / r; the vectors have their own steps in them."""
    r, earlier = ratios
    bend = r * (2 * r + 3) * earlier / (6 * (1 + earlier))
    first, second = -r * (0.5 * r + bend * (1 + earlier)), r * earlier * earlier * bend
    v = ((1.0, first, second), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    return Scheme(((1.0, 0.0, 0.0),), ((),), v, ((1 + 0.5 * r + bend,), (1.0,), (0.0,)), (0.0,), whole(1))


_START2 = starting_scheme(Heun.tableau, ((0.0,),), ((1.0, 0.0),))
"""From y to (y_next, dt f)."""
_FIRST3 = starting_scheme(Kutta3.tableau, ((0.0,),), ((1.0, 0.0, 0.0),))
_SECOND3 = starting_scheme(Kutta3.tableau, ((0.0, 0.0), (0.0, 1.0)), ((1.0, 0.0, 0.0), (0.0, 0.0, 0.0)))
"""From (y, dt_{n-1} f_{n-1}) to (y_next, dt_n f_n, dt_{n-1} f_{n-1})."""


@final
@dataclass(frozen=True)
class AdamsBashforth2(Solver):
    """The two-step Adams-Bashforth method: order 2, one evaluation a step.

    y_next = y + dt ((1 + r/2) f_n - r/2 f_{n-1}), r = dt_n / dt_{n-1}: 3/2 and -1/2 for even steps. The first step is
    one of Heun's method. Its carry is (f_{n-1}, dt_{n-1}).

    Order 2 wants a right-hand side that is smooth from one step to the next. Where the control jumps (zero-order hold),
    f_{n-1} is of the control before, and the step is off by r dt/2 times the jump: order 1. A kink (linear hold) leaves
    order 2. No part of the imaginary axis is stable: |R| is about 1 + |z|^4 / 4.

    Source: Hairer, Norsett & Wanner, Solving ODEs I, sec. III.1, and sec. III.5 for uneven steps.
    """

    family = "multi-step"
    order = 2
    stages = 1
    num_evals = 1
    schemes = Schemes(_steady2, (_START2,), ratios=1, slopes=True, remembers_steps=True)

    def init(self, f: RightHandSide, t: Time, dt: Time, y: Tensor) -> Carry:
        """Nothing yet: the first step starts the method."""
        return ()

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """The integral of the line through two slopes; Heun's method where there is only one."""
        slope = f(t, y)
        if not carry:
            return _start(Heun.tableau, f, t, dt, y, slope), (slope, dt)
        before, dt_before = carry
        ratio = dt / dt_before
        y = advance(y, dt * (1 + 0.5 * ratio), slope)
        return advance(y, -0.5 * dt * ratio, _tensor(before)), (slope, dt)

    def amplification(self, z: complex | Tensor) -> Tensor:
        """The largest modulus of the roots of r^2 - (1 + 3z/2) r + z/2 = 0."""
        z = complex_numbers("z", z)
        return quadratic_radius(-(1 + 1.5 * z), 0.5 * z)


@final
@dataclass(frozen=True)
class AdamsBashforth3(Solver):
    """The three-step Adams-Bashforth method: order 3, one evaluation a step.

    The parabola through f_n, f_{n-1}, f_{n-2}, in Newton's form: with the steps d = dt_n, d1 = dt_{n-1}, d2 = dt_{n-2},
    F1 = (f_n - f_{n-1}) / d1 and F2 = (F1 - (f_{n-1} - f_{n-2}) / d2) / (d1 + d2),
    y_next = y + d f_n + d^2/2 F1 + (d^3/3 + d^2 d1/2) F2: 23/12, -16/12 and 5/12 for even steps. The first two steps
    are of Kutta's method of order 3. Its carry is (f_{n-1}, dt_{n-1}, f_{n-2}, dt_{n-2}).

    Order 3 wants a right-hand side that is smooth over three steps. Where the control jumps (zero-order hold) the
    earlier slopes are of the controls before: order 1; where it has a kink (linear hold): order 2. Stable on the
    imaginary axis up to |z| = 0.7236.

    Source: Hairer, Norsett & Wanner, Solving ODEs I, sec. III.1, and sec. III.5 for uneven steps.
    """

    family = "multi-step"
    order = 3
    stages = 1
    num_evals = 1
    schemes = Schemes(_steady3, (_FIRST3, _SECOND3), ratios=2, slopes=True, remembers_steps=True)

    def init(self, f: RightHandSide, t: Time, dt: Time, y: Tensor) -> Carry:
        """Nothing yet: the first two steps start the method."""
        return ()

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """The integral of the parabola through three slopes; Kutta's method where there are fewer."""
        slope = f(t, y)
        if len(carry) < 4:
            return _start(Kutta3.tableau, f, t, dt, y, slope), (slope, dt, *carry)
        first, d1, second, d2 = carry
        one, two, three = _weights(dt, d1, d2)
        y = advance(y, one, slope)
        y = advance(y, two, _tensor(first))
        return advance(y, three, _tensor(second)), (slope, dt, first, d1)

    def amplification(self, z: complex | Tensor) -> Tensor:
        """The largest modulus of the roots of r^3 - (1 + 23z/12) r^2 + 16z/12 r - 5z/12 = 0."""
        z = complex_numbers("z", z)
        return largest_root(-(1 + 23 / 12 * z), 16 / 12 * z, -5 / 12 * z)


def _weights(d: Time, d1: Time, d2: Time) -> tuple[Time, Time, Time]:
    """The weights of the slopes at the times 0, -d1 and -(d1 + d2), exact for parabolas on the step from 0 to d."""
    line = d * d / (2 * d1)
    bend = d * d * (2 * d + 3 * d1) / (6 * (d1 + d2))
    two = -line - bend / d1 - bend / d2
    return d + line + bend / d1, two, bend / d2


def _start(tableau: ButcherTableau, f: RightHandSide, t: Time, dt: Time, y: Tensor, slope: Tensor) -> Tensor:
    """A step of an explicit Runge-Kutta method whose first slope is known."""
    slopes = [slope]
    for row, node in zip(tableau.a[1:], tableau.c[1:], strict=True):
        slopes.append(f(t + node * dt, combine(y, dt, row, slopes)))
    return combine(y, dt, tableau.b, slopes)


def _tensor(part: Tensor | float) -> Tensor:
    assert isinstance(part, Tensor)
    return part
