"""When the equation of an implicit step counts as solved, and the error when it is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, sqrt

import torch
from torch import Tensor

from ...right_hand_side import Time


class ConvergenceError(ArithmeticError):
    """The equation of an implicit step was not solved.

    Attributes:
        residuals: the largest entry of the residual of the sample that failed, before each iteration.
        time: the time within the step at which the equation evaluates f, in the units of dt.
        row: the sample that failed, counted through the leading dimensions; 0 where the state is solved as a whole.
    """

    def __init__(self, message: str, residuals: tuple[float, ...], time: float, row: int) -> None:
        super().__init__(message, residuals, time, row)  # all of them, so that a process pool can send the error on
        self.residuals = residuals
        self.time = time
        self.row = row

    def __str__(self) -> str:
        """The message."""
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Limits:
    """When an iteration stops, and on whose account.

    Attributes:
        owner: what is being solved, for the error.
        t: the time at which the equation evaluates f, for the error.
        tolerance: the error allowed, relative to the largest entry of the row; None for one rounding, the dtype's eps.
        max_iterations: the most iterations; the last of them is the check of the one before.
    """

    owner: str
    t: Time
    tolerance: float | None
    max_iterations: int

    def allowed(self, scale: Tensor) -> Tensor:
        """The error allowed at rows whose largest entries are `scale`."""
        return scale * (torch.finfo(scale.dtype).eps if self.tolerance is None else self.tolerance)

    def failure(self, residuals: list[Tensor], failed: Tensor, reason: str) -> ConvergenceError:
        """The error for the first row where `failed` is true; `residuals` (rows, 1) of each iteration."""
        row = int(failed.flatten().nonzero()[0])
        history = tuple(float(size.flatten()[row]) for size in residuals)
        times = torch.as_tensor(self.t, device="cpu").flatten()
        time = float(times[row if row < len(times) else 0])
        shown = ", ".join(f"{value:.3g}" for value in history[-5:])
        message = (
            f"{self.owner} did not converge at t = {time:.6g} in sample {row}: after {len(history)} of "
            f"{self.max_iterations} iterations the residuals end with {shown}{reason}; use a smaller dt or more "
            'substeps, method="newton", more `max_iterations` or a looser `tolerance`'
        )
        return ConvergenceError(message, history, time, row)


def fixed_point(residual: Callable[[Tensor], Tensor], start: Tensor, limits: Limits) -> Tensor:
    """Solve residual(y) = 0 by y <- y + residual(y), each row for itself.

    A row that has converged changes no more, whatever the others do. A row whose first residual is not finite comes
    back not finite: its state was lost before this equation. Each iteration reads back from the device whether it was
    the last.

    Args:
        residual: of a tensor (rows, n), of the same shape.
        start: the first guess (rows, n).
        limits: the stopping rule.

    Raises:
        ConvergenceError: a row did not converge, or its iterates stopped being finite.
    """
    change = residual(start)
    y, before = start + change, norm(change)
    residuals, pending = [before], torch.isfinite(before)
    scale = torch.maximum(norm(start), norm(y))
    allowed = limits.allowed(scale)
    for _ in range(1, limits.max_iterations):
        change = residual(y)
        residuals.append(norm(change))
        change = torch.where(pending, change, 0)
        y, size = y + change, norm(change)
        resting = (size >= before) & (before <= RESTING * torch.finfo(size.dtype).eps * scale)
        pending = pending & ~near(size, before, allowed) & ~resting
        waiting, broken = anywhere(pending, pending & ~torch.isfinite(size))
        if not waiting:
            return y
        if broken:
            break
        before = size
    if anywhere(pending)[0]:
        raise limits.failure(residuals, pending, "")
    return y


RESTING = 1000
"""Roundings of the largest entry of a row within which a residual that shrinks no more is one of rounding."""


def near(size: Tensor, before: Tensor, allowed: Tensor) -> Tensor:
    """Whether all further steps together would be at most what is allowed.

    Steps that fall by the ratio q = size / before add up to size q / (1 - q) = size^2 / (before - size) more.

    Source: Hairer & Wanner, Solving ODEs II, sec. IV.8, the stopping criterion.
    """
    return size * size <= allowed * (before - size)


def norm(y: Tensor) -> Tensor:
    """The largest modulus of each row, (rows, 1)."""
    return torch.linalg.vector_norm(y, inf, dim=-1, keepdim=True)


def half_the_digits(dtype: torch.dtype) -> float:
    """The square root of a rounding: to how much a double root is known, and how much a derivative of first order."""
    return sqrt(torch.finfo(dtype).eps)


def anywhere(*conditions: Tensor) -> list[bool]:
    """Whether each condition holds anywhere, read back from the device at once."""
    return torch.stack(conditions).reshape(len(conditions), -1).any(1).tolist()
