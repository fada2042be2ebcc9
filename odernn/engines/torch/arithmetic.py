"""y + dt k in place."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from solvers.extend import Time


def combine_into(out: Tensor, y: Tensor, dt: Time, weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    """Return y + dt sum_j weights_j slopes_j, written into `out`; `y` itself if every weight is zero.

    There may be more weights than slopes, those of later stages, which are zero.
    """
    for weight, slope in zip(weights, slopes, strict=False):
        if weight == 0:
            continue
        if isinstance(dt, Tensor):
            y = torch.addcmul(y, dt, slope, value=weight, out=out)
        else:
            y = torch.add(y, slope, alpha=weight * dt, out=out)
    return y
