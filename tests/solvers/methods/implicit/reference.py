"""The root of an implicit step by the plainest means, for one row: short steps in dt, and Newton's method undamped."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tests.solvers.methods.implicit.formulas import DOUBLE


@dataclass(frozen=True)
class Stage:
    """Y = base + dt f(Y) with the guess from which it is solved; `slope` is df/dy."""

    f: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    dt: float
    base: Tensor
    guess: Tensor

    def image(self, y: Tensor) -> Tensor:
        return self.base + self.dt * self.f(y)

    def change(self, y: Tensor, s: float) -> Tensor:
        """Newton's, for the equation of s dt: Y = guess + s (image(Y) - guess)."""
        rest = self.guess + s * (self.image(y) - self.guess) - y
        return torch.linalg.solve(self.matrix(y, s), rest)

    def matrix(self, y: Tensor, s: float) -> Tensor:
        return torch.eye(len(y), dtype=DOUBLE) - s * self.dt * self.slope(y)


def plain_newton(stage: Stage) -> Tensor | None:
    """Newton's method with the whole of every step; None where a hundred do not converge."""
    y = stage.guess
    for _ in range(100):
        change = stage.change(y, 1.0)
        y = y + change
        if change.abs().max() < 1e-13 * y.abs().max().clamp(min=1):
            return y
    return None


def continued(stage: Stage) -> Tensor | None:
    """The root that continues from the guess by short steps in dt; None where that branch ends before dt.

    A step is halved unless the first change is a twentieth of it and the next ones fall, so that no other root is near.
    """
    y, s, step = stage.guess, 0.0, 0.01
    while s < 1:
        step = min(step, 1 - s)
        ahead = torch.linalg.solve(stage.matrix(y, s), stage.image(y) - stage.guess)
        new = _corrected(stage, y + step * ahead, s + step, (step * ahead).abs().max())
        if new is None:
            step /= 2
            if step < 1e-7:
                return None
        else:
            y, s, step = new, s + step, 1.5 * step
    return y


def _corrected(stage: Stage, y: Tensor, s: float, step: Tensor) -> Tensor | None:
    before = step
    for _ in range(8):
        change = stage.change(y, s)
        size = change.abs().max()
        if size > 0.05 * before and size > 1e-12 * y.abs().max():
            return None
        y, before = y + change, size
        if size <= 1e-13 * y.abs().max():
            break
    return y if torch.det(stage.matrix(y, s)) > 0 else None
