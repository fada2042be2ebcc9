"""The iteration that solves the equation of an implicit step: its stopping rule, and the error when it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, sqrt

import torch
from torch import Tensor

from ...right_hand_side import Time

Correction = Callable[[Tensor], Tensor]
"""From the residual to the change of the unknown."""

FAST = 0.1
"""A linearisation is kept while each step with it is at most this part of the step before."""


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


def iterate(
    residual: Callable[[Tensor], Tensor], start: Tensor, linearise: Callable[[Tensor], Correction], limits: Limits
) -> Tensor:
    """Solve residual(y) = 0 by y <- y + correction(residual(y)), each row of the last dimension for itself.

    A row that has converged changes no more, whatever the others do. A row whose first residual is not finite comes
    back not finite: its state was lost before this equation. Each iteration reads back from the device whether it was
    the last.

    Args:
        residual: of a tensor (..., n), of the same shape.
        start: the first guess (..., n).
        linearise: from y to the correction there; asked again once convergence is slower than `FAST`.
        limits: the stopping rule.

    Raises:
        ConvergenceError: a row did not converge, or its iterates stopped being finite.
    """
    residuals = [residual(start)]
    correction = linearise(start)
    change = correction(residuals[0])
    y, before, pending = start + change, _norm(change), torch.isfinite(_norm(residuals[0]))
    scale = torch.maximum(_norm(start), _norm(y))
    allowed = limits.allowed(scale)
    for _ in range(1, limits.max_iterations):
        residuals.append(residual(y))
        change = torch.where(pending, correction(residuals[-1]), 0)
        y, size = y + change, _norm(change)
        pending = pending & ~_near(size, before, allowed)
        waiting, slow = _any(pending, pending & ~(size <= FAST * before))
        if waiting and slow:
            pending = pending & ~_at_rounding(size, before, scale)
            waiting, broken = _any(pending, pending & ~torch.isfinite(size))
            if broken:
                break
            correction = linearise(y)
        if not waiting:
            return y
        before = size
    if _any(pending)[0]:
        raise _failure(residuals, pending, limits)
    return y


def as_it_is(y: Tensor) -> Correction:
    """The correction of fixed-point iteration: the residual."""
    return lambda residual: residual


def _near(size: Tensor, before: Tensor, allowed: Tensor) -> Tensor:
    """Whether all further steps together would be at most what is allowed.

    Steps that fall by the ratio q = size / before add up to size q / (1 - q) = size^2 / (before - size) more.

    Source: Hairer & Wanner, Solving ODEs II, sec. IV.8, the stopping criterion.
    """
    return size * size <= allowed * (before - size)


def _at_rounding(size: Tensor, before: Tensor, scale: Tensor) -> Tensor:
    """Whether the steps shrink no more, and are so small that rounding is the reason."""
    return (size >= before) & (before <= sqrt(torch.finfo(size.dtype).eps) * scale)


def _norm(y: Tensor) -> Tensor:
    """The largest modulus of each row, (..., 1)."""
    return torch.linalg.vector_norm(y, inf, dim=-1, keepdim=True)


def _any(*conditions: Tensor) -> list[bool]:
    """Whether each condition holds anywhere, read back from the device at once."""
    return torch.stack(conditions).reshape(len(conditions), -1).any(1).tolist()


def _failure(residuals: list[Tensor], pending: Tensor, limits: Limits) -> ConvergenceError:
    row = int(pending.flatten().nonzero()[0])
    history = tuple(float(_norm(rest).flatten()[row]) for rest in residuals)
    times = torch.as_tensor(limits.t, device="cpu").flatten()
    time = float(times[row if row < len(times) else 0])
    shown = ", ".join(f"{value:.3g}" for value in history[-5:])
    return ConvergenceError(
        f"{limits.owner} did not converge at t = {time:.6g} in sample {row}: after {len(history)} of "
        f"{limits.max_iterations} iterations the residuals end with {shown}; use a smaller dt or more substeps, "
        'method="newton", more `max_iterations` or a looser `tolerance`',
        history,
        time,
        row,
    )
