"""Roots of the characteristic polynomials of multi-step and partitioned methods."""

from __future__ import annotations

import torch
from torch import Tensor


def quadratic_radius(linear: Tensor, constant: Tensor) -> Tensor:
    """The largest modulus of the roots of r^2 + linear r + constant, elementwise on complex128 tensors.

    The larger root is computed without cancellation, by adding the square root with the sign of `linear`.
    """
    root = torch.sqrt(linear * linear - 4 * constant)
    return 0.5 * torch.maximum((linear + root).abs(), (linear - root).abs())
