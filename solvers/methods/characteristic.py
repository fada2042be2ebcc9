"""Roots of the characteristic polynomials of multi-step and partitioned methods."""

from __future__ import annotations

import torch
from torch import Tensor

WEAK_INSTABILITY = (
    "weakly unstable: its second root grows wherever the flow is damped, by abs(z) + sqrt(1 + z^2) a step. On y' = -y "
    "from 1 with dt = 0.1 it has -2.9e3 at t = 20, where 2.1e-9 is right"
)
"""The caution of the methods whose roots solve r^2 - 2 z r - 1 = 0."""


def quadratic_radius(linear: Tensor, constant: Tensor) -> Tensor:
    """The largest modulus of the roots of r^2 + linear r + constant, elementwise on complex128 tensors.

    The larger root is computed without cancellation, by adding the square root with the sign of `linear`.
    """
    root = torch.sqrt(linear * linear - 4 * constant)
    return 0.5 * torch.maximum((linear + root).abs(), (linear - root).abs())


def largest_root(*coefficients: Tensor) -> Tensor:
    """The largest modulus of the roots of r^k + c_1 r^(k-1) + ... + c_k, elementwise on complex128 tensors.

    NaN where a coefficient is not finite: LAPACK must not see such a matrix, which can end the process.
    """
    row = torch.stack([-c for c in coefficients], dim=-1)
    known = torch.isfinite(row).all(dim=-1)
    companion = torch.zeros(*row.shape, row.shape[-1], dtype=row.dtype, device=row.device)
    companion[..., 0, :] = torch.where(known.unsqueeze(-1), row, 0)
    companion.diagonal(-1, -2, -1).fill_(1)
    return torch.linalg.eigvals(companion).abs().amax(dim=-1).where(known, torch.nan)
