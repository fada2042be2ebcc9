"""Symplectic methods for a partitioned system dq/dt = drift(t, p), dp/dt = kick(t, q): their kicks and drifts.

500 steps of 0.1 on the Hamiltonian field of 16 units and back return to the start within 1e-12, relatively, in float64.
"""

from __future__ import annotations

from typing import final

from .splitting import Shear, SplittingMethod

OUTER = 1 / (2 - 2 ** (1 / 3))
INNER = 1 - 2 * OUTER
"""The steps of Yoshida's composition: 2 OUTER + INNER = 1 and 2 OUTER^3 + INNER^3 = 0."""


def kick(share: float, node: float) -> Shear:
    """p moves by a share of the step, driven by q, at the time `node` of the step."""
    return Shear(True, share, node)


def drift(share: float, node: float) -> Shear:
    """q moves by a share of the step, driven by p, at the time `node` of the step."""
    return Shear(False, share, node)


@final
class SymplecticEuler(SplittingMethod):
    """Symplectic Euler, kick first: order 1, one kick and one drift a step.

    p <- p + dt kick(t, q); q <- q + dt drift(t, p), with the new p.

    Of a `Partition` whose kick sees p (friction, say) it is the semi-implicit Euler method: p <- p + dt kick(t, q, p)
    with the old p, and where the drift sees q, q <- q + dt drift(t, q, p) with the old q. That is of order 1 too, but
    neither symplectic nor undone in closed form.

    Source: Hairer, Lubich & Wanner, Geometric Numerical Integration, sec. I.1.2, eq. (1.9).
    """

    order = 1
    takes_own_half = True
    shears = (kick(1, 0), drift(1, 0))


@final
class Leapfrog(SplittingMethod):
    """Stoermer-Verlet in its kick-drift-kick form: order 2, symplectic, symmetric, two kicks and a drift a step.

    p <- p + dt/2 kick(t, q); q <- q + dt drift(t + dt/2, p); p <- p + dt/2 kick(t + dt, q).

    Source: Hairer, Lubich & Wanner, Geometric Numerical Integration, sec. I.1.4, eq. (1.17).
    """

    order = 2
    shears = (kick(1 / 2, 0), drift(1, 1 / 2), kick(1 / 2, 1))


@final
class Yoshida4(SplittingMethod):
    """Yoshida's method: order 4, symplectic, symmetric, four kicks and three drifts a step.

    Three steps of `Leapfrog`, of OUTER dt, INNER dt and OUTER dt, where OUTER = 1 / (2 - 2^(1/3)) = 1.3512 and
    INNER = 1 - 2 OUTER = -1.7024; the kicks where two of them meet are one. The time runs along: kicks at the nodes
    0, 1.3512, -0.3512 and 1 of the step, drifts at 0.6756, 1/2 and 0.3244. So two kicks look outside the step, and
    there a linear hold continues in its straight line. Neutral on the imaginary axis up to |z| = 1.5734.

    Source: Yoshida, Construction of higher order symplectic integrators, Phys. Lett. A 150 (1990), 262-268, eq. (2.11);
    Hairer, Lubich & Wanner, Geometric Numerical Integration, sec. II.4, eq. (4.4).
    """

    order = 4
    shears = (
        kick(OUTER / 2, 0),
        drift(OUTER, OUTER / 2),
        kick((OUTER + INNER) / 2, OUTER),
        drift(INNER, 1 / 2),
        kick((INNER + OUTER) / 2, OUTER + INNER),
        drift(OUTER, 1 - OUTER / 2),
        kick(OUTER / 2, 1),
    )
