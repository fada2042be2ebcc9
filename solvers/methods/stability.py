"""Where a method is stable on the imaginary axis."""

from __future__ import annotations

from math import inf

import torch

from ..checks import check_count, check_positive
from ..solver import Solver, check_solver

ROUNDING = 1e-12
"""|R| of a neutral method is 1 up to this."""

NONE = 0.05
"""An interval shorter than this is none: |R|^2 = 1 + s^4 / 4 of an unstable method of order 2 passes `ROUNDING` only
at s = 0.0017, and that of one of order 4 or more, s^6 / 72 and the like, at 0.03."""

MOST_POINTS = 10_000_000
"""A grid that still fits into memory: 160 MB of complex numbers."""


def imaginary_stability(solver: Solver, limit: float = 100.0, points: int = 100_000) -> float:
    """The largest r such that |R(i s)| <= 1 for all s in [0, r]: 0 if there is none, infinity if it reaches `limit`.

    Args:
        solver: the method.
        limit: how far to look; a method stable up to it is taken to be stable on the whole axis.
        points: grid points up to `limit`; the answer is that of the grid, refined by bisection.

    Raises:
        TypeError, ValueError: not a solver, a limit that is not positive and finite, or a number of grid points
            below 1 or above ten million.
    """
    check_solver(solver)
    check_positive("limit", limit)
    check_count("points", points, most=MOST_POINTS)
    grid = torch.linspace(0, limit, points + 1, dtype=torch.float64, device="cpu")
    unstable = (_excess(solver, grid) > 0).nonzero()
    if len(unstable) == 0:
        return inf
    first = int(unstable[0])
    low, high = float(grid[first - 1]), float(grid[first])
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (low, middle)
            if float(_excess(solver, torch.tensor([middle], dtype=torch.float64, device="cpu"))) > 0
            else (middle, high)
        )
    return low if low > NONE else 0.0


def _excess(solver: Solver, s: torch.Tensor) -> torch.Tensor:
    return solver.amplification(torch.complex(torch.zeros_like(s), s).to(torch.complex128)) - 1 - ROUNDING
