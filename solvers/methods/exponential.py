"""The exponential methods: the linear part of dy/dt = A y + remainder(t, y) exactly, the remainder step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from .exponential_rk import ExponentialRungeKutta
from .exponential_tableau import ZERO, ExponentialTableau, number, phi


@final
@dataclass(frozen=True)
class LinearlyExactEuler(ExponentialRungeKutta):
    """The linearly exact Euler method: order 1, one evaluation of the remainder a step.

    y_next = exp(dt A) y + dt remainder(t, y). In the variation of constants, y_next = exp(dt A) y + the integral of
    exp((dt - s) A) remainder(t + s, y(t + s)) over s from 0 to dt, the remainder is taken at the start of the step, as
    by exponential Euler, and the exponential in the integral at its end, where it is the identity. So a remainder that
    is constant is integrated with an error of order dt A, and one that is zero exactly: an oscillation of A keeps its
    amplitude at any frequency. With A = 0 it is Euler's method.

    Source: Hochbruck & Ostermann, Exponential integrators, Acta Numerica 19 (2010), 209-286, the variation of constants
    (1.5), with the rectangle rule of the right end for its exponential; our own arrangement.
    """

    tableau = ExponentialTableau(order=1, flows=(0,), a=((),), b=(number(1),), c=(0,))


@final
@dataclass(frozen=True)
class ExponentialEuler(ExponentialRungeKutta):
    """The exponential Euler method, or ETD1: order 1, one evaluation of the remainder a step.

    y_next = exp(dt A) y + dt phi_1(dt A) remainder(t, y). Exact, to rounding, where the remainder is constant within
    the step: a linear field under a zero-order hold.

    Source: Cox & Matthews, Exponential time differencing for stiff systems, J. Comput. Phys. 176 (2002), 430-455, the
    scheme ETD1.
    """

    tableau = ExponentialTableau(order=1, flows=(0,), a=((),), b=(phi(1),), c=(0,))


@final
@dataclass(frozen=True)
class LawsonEuler(ExponentialRungeKutta):
    """The Lawson-Euler method, or the integrating factor method: order 1, one evaluation of the remainder a step.

    y_next = exp(dt A) (y + dt remainder(t, y)): Euler's method in the variable exp(-t A) y, where the linear part has
    gone. It is also the Lie splitting of the two parts.

    Source: Lawson, Generalized Runge-Kutta processes for stable systems with large Lipschitz constants, SIAM J. Numer.
    Anal. 4 (1967), 372-380.
    """

    tableau = ExponentialTableau(order=1, flows=(0,), a=((),), b=(phi(0),), c=(0,))


@final
@dataclass(frozen=True)
class StrangSplitting(ExponentialRungeKutta):
    """Strang's splitting: half a step of the linear flow, a step of the explicit midpoint method, the other half.

    Order 2, two evaluations of the remainder a step. With z = exp(dt A / 2) y and k = remainder(t + dt / 2, z + dt / 2
    remainder(t, z)), y_next = exp(dt A / 2) (z + dt k). Time continues with the remainder.

    Source: Strang, On the construction and comparison of difference schemes, SIAM J. Numer. Anal. 5 (1968), 506-517;
    McLachlan & Quispel, Splitting methods, Acta Numerica 11 (2002), 341-434.
    """

    tableau = ExponentialTableau(
        order=2, flows=(1 / 2, 1 / 2), a=((), (number(1 / 2),)), b=(ZERO, phi(0, 1 / 2)), c=(0, 1 / 2)
    )


@final
@dataclass(frozen=True)
class ETDRK2(ExponentialRungeKutta):
    """Exponential time differencing Runge-Kutta: order 2, two evaluations of the remainder a step.

    a = exp(dt A) y + dt phi_1(dt A) remainder(t, y), which is a step of exponential Euler; then
    y_next = a + dt phi_2(dt A) (remainder(t + dt, a) - remainder(t, y)). Exact, to rounding, where the remainder is a
    straight line in time: a linear field whose control is held linearly.

    Source: Cox & Matthews, Exponential time differencing for stiff systems, J. Comput. Phys. 176 (2002), 430-455, the
    scheme ETD2RK.
    """

    tableau = ExponentialTableau(
        order=2, flows=(0, 1), a=((), (phi(1),)), b=((*phi(1), *phi(2, coefficient=-1)), phi(2)), c=(0, 1)
    )
