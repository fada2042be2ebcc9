"""The times of an integration from t0 to t1 with the step dt."""

from __future__ import annotations

from math import ceil

WHOLE = 1e-9
"""A quotient of two rounded times this close to a whole number, relatively, is meant to be one."""


def uniform_grid(t0: float, t1: float, dt: float) -> list[tuple[float, float]]:
    """The (start, step) of every step from `t0` to `t1`, steps negative when going back in time.

    All steps are `dt` long. Where `dt` does not divide the span the last one is shorter and ends on `t1` exactly.
    """
    span = t1 - t0
    quotient = abs(span) / dt
    count = round(quotient)
    if count and abs(quotient - count) <= WHOLE * count:
        return [(t0 + span * (k / count), span / count) for k in range(count)]
    step = dt if span > 0 else -dt
    count = ceil(quotient)
    grid = [(t0 + k * step, step) for k in range(count)]
    grid[-1] = (grid[-1][0], t1 - grid[-1][0])
    return grid
