"""Heun's method of order 3."""

from __future__ import annotations

from typing import final

from .explicit_rk import ExplicitRungeKutta
from .tableau import ButcherTableau


@final
class Heun3(ExplicitRungeKutta):
    """Heun's method of order 3: explicit Runge-Kutta, three stages. torchdiffeq's "heun3".

    Source: Hairer, Norsett & Wanner, Solving ODEs I, sec. II.1, table 1.1 (Heun, order 3).
    """

    tableau = ButcherTableau(order=3, a=((), (1 / 3,), (0, 2 / 3)), b=(1 / 4, 0, 3 / 4), c=(0, 1 / 3, 2 / 3))
