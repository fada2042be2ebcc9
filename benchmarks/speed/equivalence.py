"""Whether two contenders compute the same function: their outputs and gradients, compared."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

Answer = Mapping[str, Tensor]
"""The output, and in training the gradients by every parameter and the input, by the field's names of them."""

CHECKED = 1024
"""The most samples that are compared: every sample takes the same step, so a wrong one shows before that."""

EPSILON = torch.finfo(torch.float32).eps


def tolerance(samples: int) -> float:
    """The largest error that rounding in float32 explains, relative to the largest entry of each tensor.

    Each step rounds the state, and each sample's part of a sum, to epsilon; of `samples` of them at most that many
    times epsilon comes together, and 200 epsilon covers the products and the sums over the batch. A step of another
    function (a bias left out, damping outside dt) is off by more than dt times damping, 5e-3, at the first sample.
    """
    return (200 + 2 * samples) * EPSILON


def largest_error(answer: Answer, reference: Answer) -> float:
    """The largest difference of any tensor, relative to that tensor's largest entry; infinity where one is missing."""
    if answer.keys() != reference.keys():
        return float("inf")
    return max(_error(answer[name], wanted) for name, wanted in reference.items())


def _error(found: Tensor, wanted: Tensor) -> float:
    if found.shape != wanted.shape or not torch.isfinite(found).all():
        return float("inf")
    scale = wanted.abs().max().clamp_min(torch.finfo(wanted.dtype).tiny)
    return float((found - wanted).abs().max() / scale)
