"""The weights of the Adams-Bashforth methods of any order with even steps, as exact fractions."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

_Polynomial = list[Fraction]
"""Coefficients, from the constant up."""


@cache
def adams_bashforth_weights(order: int) -> tuple[Fraction, ...]:
    """The weights of f_n, f_{n-1}, ... in y_{n+1} = y_n + dt sum_j weight_j f_{n-j}: 3/2 and -1/2 for order 2.

    Weight j is the integral from 0 to 1 of the Lagrange polynomial that is 1 at -j and 0 at the other nodes of
    0, -1, ..., 1 - order.

    Source: Hairer, Norsett & Wanner, Solving ODEs I, sec. III.1.
    """
    return tuple(_integral(_lagrange(j, order)) for j in range(order))


def _lagrange(j: int, count: int) -> _Polynomial:
    """The product over the other nodes -i of (x + i) / (i - j)."""
    product = [Fraction(1)]
    for i in range(count):
        if i != j:
            product = _times_line(product, Fraction(i, i - j), Fraction(1, i - j))
    return product


def _times_line(p: _Polynomial, constant: Fraction, slope: Fraction) -> _Polynomial:
    """Multiply the polynomial p(x) by (constant + slope x)."""
    zero = Fraction(0)
    return [constant * same + slope * below for same, below in zip([*p, zero], [zero, *p], strict=True)]


def _integral(p: _Polynomial) -> Fraction:
    """From 0 to 1."""
    return sum((c / (k + 1) for k, c in enumerate(p)), start=Fraction(0))
