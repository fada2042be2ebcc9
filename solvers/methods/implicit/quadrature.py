"""Gauss-Legendre quadrature on [0, 1]."""

from __future__ import annotations

from math import cos, pi

Rule = tuple[tuple[float, float], ...]
"""The nodes of a quadrature, each with its weight."""


def gauss_legendre(count: int) -> Rule:
    """The rule of `count` nodes, exact for polynomials of degree 2 count - 1.

    Source: Abramowitz & Stegun, Handbook of Mathematical Functions, eq. 25.4.30; the roots by Newton's method from
    cos(pi (k + 3/4) / (count + 1/2)).
    """
    pairs = (_node(cos(pi * (k + 0.75) / (count + 0.5)), count) for k in reversed(range(count)))
    return tuple(((1 + x) / 2, 1 / ((1 - x * x) * slope * slope)) for x, slope in pairs)


def _node(x: float, count: int) -> tuple[float, float]:
    """The root of the Legendre polynomial next to `x`, and the slope there."""
    for _ in range(10):  # quadratic from the start; five reach rounding for any count
        value, slope = _legendre(x, count)
        x -= value / slope
    return x, _legendre(x, count)[1]


def _legendre(x: float, count: int) -> tuple[float, float]:
    """Evaluate the Legendre polynomial P and its derivative at x, of degree `count`, by the three-term recurrence."""
    before, value = 0.0, 1.0
    for k in range(1, count + 1):
        before, value = value, ((2 * k - 1) * x * value - (k - 1) * before) / k
    return value, count * (x * value - before) / (x * x - 1)
