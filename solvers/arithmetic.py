"""y + dt k for a step that is a number or a tensor, in one operation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .right_hand_side import Time


def advance(y: Tensor, dt: Time, k: Tensor) -> Tensor:
    """Return y + dt k. A tensor `dt` broadcasts against `y`: () for one step, (batch, 1) for one a sample."""
    if isinstance(dt, Tensor):
        return torch.addcmul(y, dt, k)
    return torch.add(y, k, alpha=dt)


def combine(y: Tensor, dt: Time, weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    """Return y + dt sum_j weights_j slopes_j, skipping the weights that are zero."""
    for weight, slope in zip(weights, slopes, strict=True):
        if weight != 0:
            y = advance(y, weight * dt, slope)
    return y
