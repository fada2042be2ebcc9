"""The root of an implicit stage: Newton's iteration where it is tame, and the branch from the guess where it is not.

Many an equation Y = base + dt f(t, Y) has several roots, and one of them is the step: the one on the branch that
begins, at dt = 0, with the state itself. Newton's method finds that one where its changes shrink from the first and
no real eigenvalue of dt df/dy exceeds one. Elsewhere it may jump to any root; there the branch itself is followed.
Where the branch folds before the end of the step, no root continues. The one beyond its folds is taken only if Newton's
method goes there too, and the step is refused otherwise: a state that jumps is rarely that of the flow.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .branch import follow
from .convergence import Limits, anywhere, half_the_digits, near, norm
from .newton import factorise, factorise_rows, linearise
from .stage import ImplicitStage

FAST = 0.1
"""A linearisation is kept while each step with it is at most this part of the step before."""
TAME = 0.5
"""The most that a step may be of the one before: the bound of the Newton-Kantorovich theorem.

Source: Deuflhard, Newton Methods for Nonlinear Problems, sec. 2.1 and 3.3 (the natural monotonicity test)."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What Newton's iteration came to.

    Attributes:
        y: the iterate (rows, n).
        astray: the rows (rows, 1) that it gave up, as it could not tell which root it goes to.
        any_astray: whether there is one.
        residuals: the largest residual (rows, 1) before each iteration.
    """

    y: Tensor
    astray: Tensor
    any_astray: bool
    residuals: list[Tensor]


def find_root(stage: ImplicitStage, start: Tensor, limits: Limits) -> Tensor:
    """The root (rows, n) on the branch that begins at the guess `start` (rows, n), each row for itself.

    A row that has converged changes no more, whatever the others do. A row whose first residual is not finite comes
    back not finite: its state was lost before this equation.

    Raises:
        ConvergenceError: a row did not converge.
    """
    tried = newton(stage, start, None, limits)
    if not tried.any_astray:
        return tried.y
    ends = follow(stage, start, tried.astray.squeeze(-1), 10 * limits.max_iterations)
    lost = tried.astray & ~ends.arrived
    folded = tried.astray & ends.arrived & (ends.s < 1)
    some_lost, some_folded = anywhere(lost, folded)
    if some_folded and not some_lost:
        lost = folded & ~_confirmed(stage, start, ends.y, folded.squeeze(-1), limits.max_iterations)
        some_lost = anywhere(lost)[0]
    if some_lost:
        share = f"{float(ends.s[lost][0]):.3g}"
        reason = f", and the root that continues from the start of the step does so up to {share} of dt only"
        raise limits.failure(tried.residuals, lost, reason)
    polished = newton(stage, torch.where(tried.astray, ends.y, tried.y), tried.astray, limits)
    if polished.any_astray:
        raise limits.failure(polished.residuals, polished.astray, "")
    return polished.y


def _confirmed(stage: ImplicitStage, start: Tensor, ends: Tensor, rows: Tensor, max_iterations: int) -> Tensor:
    """Whether Newton's method, each step whole and with new factors, goes from `start` to `ends`, (rows, 1).

    A branch that folds leaves a choice of roots beyond: what two ways from the state lead to is taken.
    """
    y, close = start.clone(), torch.zeros_like(start[:, :1], dtype=torch.bool)
    for _ in range(max_iterations):
        image, factors = factorise_rows(stage, y, rows)
        y[rows] = y[rows] + factors.solve((image - y)[rows])
        close = norm(y - ends) <= half_the_digits(y.dtype) * norm(ends)
        if not anywhere(~close.squeeze(-1) & rows)[0]:
            break
    return close


def newton(stage: ImplicitStage, start: Tensor, known: Tensor | None, limits: Limits) -> Attempt:
    """Newton's iteration from `start` (rows, n), where `known` (rows, 1) is true close to a root; None from a guess.

    It is the simplified one: factors are kept while each step is at most `FAST` of the one before, and made again at
    the last iterate otherwise. A step with old factors that is more than `TAME` of the one before is discarded; one
    with new factors shows that the row is astray. Each iteration reads back from the device whether it was the last.

    Raises:
        ConvergenceError: a row has not converged after as many iterations as `limits` allows.
    """
    image, found = linearise(stage, start)
    rest, factors = image - start, factorise(found)
    residuals = [norm(rest)]
    pending = torch.isfinite(residuals[0]) if known is None else known
    change = factors.solve(rest) if known is None else torch.where(known, factors.solve(rest), 0)
    y, before = start + change, norm(change)
    doubtful = factors.doubtful() if known is None else torch.zeros_like(pending)
    scale = torch.maximum(norm(start), norm(y))
    allowed, small = limits.allowed(scale), half_the_digits(y.dtype)
    age, astray, any_astray = torch.ones_like(before), torch.zeros_like(pending), False
    image = stage.image_of_rows(y)
    for count in range(1, limits.max_iterations):
        rest = image - y
        residuals.append(norm(rest))
        change = torch.where(pending, factors.solve(rest), 0)
        size = norm(change)
        if count == 1:
            doubtful = doubtful & ~(size <= small * before)  # a linear equation has one root, wherever its branch goes
        tame = size <= TAME * before
        stopped = ~tame & (age <= 1)
        done = near(size, before, allowed)
        resting = stopped & (before <= small * scale)  # what is left is rounding
        gone = pending & (doubtful | (stopped & ~resting & ~done))
        astray = astray | gone
        y = torch.where(tame | done, y + change, y)
        pending = pending & ~gone & ~resting & ~done
        renew = pending & ~(size <= FAST * before)
        waiting, renewing, any_astray = anywhere(pending, renew, astray)
        if not waiting:
            return Attempt(y, astray, any_astray, residuals)
        if renewing:
            rows = renew.squeeze(-1)
            image, renewed = factorise_rows(stage, y, rows)
            factors = factors.replaced(rows, renewed)
            if known is None:
                doubtful = torch.where(renew, factors.doubtful(), doubtful)
        else:
            image = stage.image_of_rows(y)
        age = torch.where(renew, 0, age + 1)
        before = torch.where(tame, size, before)
    if anywhere(pending)[0]:
        raise limits.failure(residuals, pending, "")
    return Attempt(y, astray, any_astray, residuals)
