"""The explicit Runge-Kutta methods: coefficients and where they come from."""

from __future__ import annotations

from typing import final

from .explicit_rk import ExplicitRungeKutta
from .tableau import ButcherTableau


@final
class Euler(ExplicitRungeKutta):
    """Euler's method: explicit Runge-Kutta, order 1, one stage. The paper's recurrent network, its equation (10).

    Source: Hairer, Norsett & Wanner, Solving ODEs I, sec. I.7, eq. (7.3).
    """

    tableau = ButcherTableau(order=1, a=((),), b=(1,), c=(0,))


@final
class Midpoint(ExplicitRungeKutta):
    """The explicit midpoint method, or Runge's: explicit Runge-Kutta, order 2, two stages.

    Source: Hairer, Norsett & Wanner, Solving ODEs I, sec. II.1, eq. (1.4).
    """

    tableau = ButcherTableau(order=2, a=((), (1 / 2,)), b=(0, 1), c=(0, 1 / 2))


@final
class Heun(ExplicitRungeKutta):
    """Heun's method of order 2, or the explicit trapezoidal rule: explicit Runge-Kutta, two stages.

    Source: Hairer, Norsett & Wanner, Solving ODEs I, sec. II.1, table 1.1 (Runge, order 2).
    """

    tableau = ButcherTableau(order=2, a=((), (1,)), b=(1 / 2, 1 / 2), c=(0, 1))


@final
class Ralston(ExplicitRungeKutta):
    """Ralston's method of order 2: explicit Runge-Kutta, two stages, with the smallest bound on the local error.

    Source: Ralston, Runge-Kutta methods with minimum error bounds, Math. Comp. 16 (1962), 431-437.
    """

    tableau = ButcherTableau(order=2, a=((), (2 / 3,)), b=(1 / 4, 3 / 4), c=(0, 2 / 3))


@final
class Kutta3(ExplicitRungeKutta):
    """Kutta's method of order 3: explicit Runge-Kutta, three stages.

    Source: Butcher, Numerical Methods for Ordinary Differential Equations, sec. 233.
    """

    tableau = ButcherTableau(order=3, a=((), (1 / 2,), (-1, 2)), b=(1 / 6, 2 / 3, 1 / 6), c=(0, 1 / 2, 1))


@final
class Heun3(ExplicitRungeKutta):
    """Heun's method of order 3: explicit Runge-Kutta, three stages. torchdiffeq's "heun3".

    Source: Hairer, Norsett & Wanner, Solving ODEs I, sec. II.1, table 1.1 (Heun, order 3).
    """

    tableau = ButcherTableau(order=3, a=((), (1 / 3,), (0, 2 / 3)), b=(1 / 4, 0, 3 / 4), c=(0, 1 / 3, 2 / 3))


@final
class SSPRK3(ExplicitRungeKutta):
    """The strong-stability-preserving method of order 3: explicit Runge-Kutta, three stages, of Shu and Osher.

    Source: Shu & Osher, Efficient implementation of essentially non-oscillatory shock-capturing schemes,
    J. Comput. Phys. 77 (1988), 439-471, written as a tableau.
    """

    tableau = ButcherTableau(order=3, a=((), (1,), (1 / 4, 1 / 4)), b=(1 / 6, 1 / 6, 2 / 3), c=(0, 1, 1 / 2))


@final
class RK4(ExplicitRungeKutta):
    """The classical Runge-Kutta method: explicit, order 4, four stages.

    Source: Hairer, Norsett & Wanner, Solving ODEs I, sec. II.1, table 1.2, left.
    """

    tableau = ButcherTableau(
        order=4,
        a=((), (1 / 2,), (0, 1 / 2), (0, 0, 1)),
        b=(1 / 6, 1 / 3, 1 / 3, 1 / 6),
        c=(0, 1 / 2, 1 / 2, 1),
    )


@final
class RK38(ExplicitRungeKutta):
    """The 3/8 rule: explicit Runge-Kutta, order 4, four stages. torchdiffeq calls this one "rk4".

    Source: Hairer, Norsett & Wanner, Solving ODEs I, sec. II.1, table 1.2, right.
    """

    tableau = ButcherTableau(
        order=4,
        a=((), (1 / 3,), (-1 / 3, 1), (1, -1, 1)),
        b=(1 / 8, 3 / 8, 3 / 8, 1 / 8),
        c=(0, 1 / 3, 2 / 3, 1),
    )
