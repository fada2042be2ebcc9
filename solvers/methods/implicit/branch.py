"""The branch of roots from the guess, followed through its folds: the last resort, and the definition of the root.

With G the guess, Y = G + s (image(Y) - G) is Y = G at s = 0 and the equation of the stage at s = 1; in between it is
the equation of a step of s dt. The roots (Y, s) are a curve. It is followed by its arc length, so that a fold, where s
turns back, is a point like any other: a bounded f has a curve that reaches s = 1.

Source: Keller, Numerical solution of bifurcation and nonlinear eigenvalue problems (1977), the pseudo-arclength method;
Deuflhard, Newton Methods for Nonlinear Problems, sec. 5.2, for the choice of its steps by contraction.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import inf, sqrt

import torch
from torch import Tensor

from .convergence import anywhere, norm
from .newton import factorise_rows
from .stage import ImplicitStage

CONTRACTION = 0.5
"""The most that a correction may be of the one before, the first of the predicted step: else the step is too long."""
CORRECTIONS = 6
"""Corrections of a point, each with new factors; they converge quadratically, so three mostly do."""
CLOSE = 1e-6
"""What the last correction may be of the step: small, as one entry may be small and decide which root it is."""
ROUNDINGS = 100
"""Roundings of a point below which a correction is one of rounding."""
AIM = 0.15
"""The first correction that the length of the next step aims at; it grows with that length."""
SHORTEST = 1e-10
"""The shortest step, as arc length."""
LEAST_SHARE = 1e-8
"""A branch that comes back so near to s = 0 goes to infinity, as the only root at s = 0 is the guess."""
LEAST_SCALE = 1e-6
"""What an entry of Y is measured in is itself or its change by dt f, but at least this part of the row's largest."""


@dataclass(frozen=True, slots=True)
class Points:
    """A point on the branch of each row that is still on its way; arc length weighs Y by `scale`.

    Attributes:
        row: the number of the row (m,).
        y: Y (m, n).
        s: its share of dt (m, 1).
        y_slope: dY / scale by arc length (m, n).
        s_slope: ds by arc length (m, 1).
        step: the next step (m, 1).
        scale: what Y is measured in (m, n).
        fold: the s of the first fold (m, 1), 1 before there is one.
    """

    row: Tensor
    y: Tensor
    s: Tensor
    y_slope: Tensor
    s_slope: Tensor
    step: Tensor
    scale: Tensor
    fold: Tensor

    def take(self, kept: Tensor) -> Points:
        """Those where `kept` (m,) is true."""
        return Points(*(getattr(self, part.name)[kept] for part in fields(self)))

    def reached(self) -> Tensor:
        """The share of dt up to which the root continues."""
        return torch.where(self.fold < 1, self.fold, self.s)

    def going(self) -> Tensor:
        """Whether there is hope yet (m, 1)."""
        return (self.step > SHORTEST) & ((self.fold == 1) | (self.s > LEAST_SHARE))

    def moved_to(self, others: Points, moved: Tensor) -> Points:
        """Those of `others` where `moved` (m, 1) is true; the rows stay."""
        pairs = [(getattr(others, part.name), getattr(self, part.name)) for part in fields(self)[1:]]
        return Points(self.row, *(torch.where(moved, there, here) for there, here in pairs))

    def length(self, dy: Tensor, ds: Tensor) -> Tensor:
        """The arc length (m, 1) of a small step."""
        return torch.sqrt((dy / self.scale).square().sum(-1, keepdim=True) + ds * ds)


@dataclass(frozen=True, slots=True)
class Found:
    """What the corrections of predicted points came to.

    Attributes:
        y: Y (m, n).
        s: its share of dt (m, 1).
        along: dY / ds on the branch (m, n).
        good: whether they converged, fast enough to stay on the branch (m, 1).
        first: the first correction, as part of the step (m, 1).
        reverses: whether det(I - s J) < 0 there (m, 1).
    """

    y: Tensor
    s: Tensor
    along: Tensor
    good: Tensor
    first: Tensor
    reverses: Tensor


@dataclass(frozen=True, slots=True)
class Ends:
    """Where the branches were followed to.

    Attributes:
        y: the state (rows, n), with the ends in the rows that were asked for, a few corrections short of rounding.
        arrived: whether that is the root at s = 1 (rows, 1).
        s: the share of dt up to which the root continues (rows, 1): that of the first fold, if there is one.
    """

    y: Tensor
    arrived: Tensor
    s: Tensor


def follow(stage: ImplicitStage, start: Tensor, rows: Tensor, max_points: int) -> Ends:
    """Follow the branches from `start` (rows, n) in the rows where `rows` (rows,) is true, each for itself."""
    zero = torch.zeros_like(start[:, :1])
    ends = Ends(start.clone(), zero.bool(), zero.clone())
    points = _first(stage, start, rows)
    for _ in range(max_points):
        landing, y, s = _predict(points)
        found = _correct(stage, start, points, y, s, landing)
        points, arrived = _advance(points, found, landing)
        ends.y[points.row], ends.s[points.row], ends.arrived[points.row] = points.y, points.reached(), arrived
        going = ~arrived & points.going()
        waiting, some_end = anywhere(going, ~going)
        if not waiting:
            break
        if some_end:
            points = points.take(going.squeeze(-1))
    return ends


def _first(stage: ImplicitStage, start: Tensor, rows: Tensor) -> Points:
    y = start[rows]
    along = stage.image_of_rows(start)[rows] - y
    size = torch.maximum(y.abs(), along.abs())
    scale = torch.maximum(size, LEAST_SCALE * norm(size)) * sqrt(y.shape[-1])
    zero = torch.zeros_like(scale[:, :1])
    points = Points(rows.nonzero().squeeze(-1), y, zero, torch.zeros_like(y), zero + 1, zero + 0.1, scale, zero + 1)
    return _headed(points, along)


def _headed(points: Points, along: Tensor) -> Points:
    """The same with the direction of (dY / ds, 1), forwards as before."""
    length = points.length(along, torch.ones_like(points.s))
    y_slope, s_slope = along / (points.scale * length), 1 / length
    forwards = torch.sign(_dot(y_slope, points.y_slope) + s_slope * points.s_slope)
    return replace(points, y_slope=forwards * y_slope, s_slope=forwards * s_slope)


def _predict(points: Points) -> tuple[Tensor, Tensor, Tensor]:
    """A step in the direction of the branch: whether it is cut at s = 1, and where (Y, s) it ends."""
    s = points.s + points.step * points.s_slope
    landing = s >= 1
    step = torch.where(landing, (1 - points.s) / points.s_slope, points.step)
    return landing, points.y + step * points.scale * points.y_slope, torch.where(landing, 1, s)


def _correct(stage: ImplicitStage, start: Tensor, points: Points, y: Tensor, s: Tensor, landing: Tensor) -> Found:
    """Newton's method across the branch, and at s = 1 where it lands."""
    row, guess, everywhere = points.row, start[points.row], start.clone()
    step = points.length(y - points.y, s - points.s)
    before, first, pending = step, torch.full_like(step, inf), torch.ones_like(landing)
    close = step * torch.where(landing, CLOSE * CLOSE, CLOSE)
    rounding = ROUNDINGS * torch.finfo(y.dtype).eps * points.length(y, s)
    good, along, reverses = pending, y, pending
    for count in range(CORRECTIONS):
        everywhere[row] = y
        image, factors = factorise_rows(stage, everywhere, row, s)
        ahead = image[row] - guess
        dy, slope = factors.solve(guess + s * ahead - y), factors.solve(ahead)
        across = points.s_slope + _dot(points.y_slope / points.scale, slope)
        ds = torch.where(landing, 0, -_dot(points.y_slope / points.scale, dy) / across)
        dy = dy + slope * ds
        size = points.length(dy, ds)
        first = size / step if count == 0 else first
        along = torch.where(pending, slope, along)
        reverses = torch.where(pending, factors.reverses(), reverses)
        y, s = torch.where(pending, y + dy, y), torch.where(pending, s + ds, s)
        good = good & (~pending | (size <= torch.maximum(CONTRACTION * before, rounding)))
        pending = pending & good & ~(size <= torch.maximum(close, rounding))
        before = size
        if not anywhere(pending)[0]:
            break
    return Found(y, s, along, good & ~pending, first, reverses)


def _advance(points: Points, found: Found, landing: Tensor) -> tuple[Points, Tensor]:
    """The points with their next steps, and whether they have arrived."""
    scale = torch.maximum(points.scale, found.y.abs() * sqrt(found.y.shape[-1]))
    ahead = _headed(replace(points, y=found.y, s=found.s, scale=scale), found.along)
    # det(I - s J) is positive where s grows along the branch, and changes its sign with ds at a fold: elsewhere the
    # corrections went to another branch. The only root at s = 0 is the guess, so s stays above 0.
    same = found.reverses == (ahead.s_slope < 0)
    inside = landing | ((found.s > 0) & (found.s < 1))
    good = found.good & same & inside
    growth = (AIM / found.first).nan_to_num(0.0)
    step = points.step * torch.where(good, growth.clamp(0.5, 4), growth.clamp(0.1, 0.5))
    turned = (ahead.s_slope < 0) & (points.fold == 1)
    ahead = replace(ahead, fold=torch.where(turned, found.s, points.fold))
    return replace(points.moved_to(ahead, good), step=step), good & landing


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(-1, keepdim=True)
