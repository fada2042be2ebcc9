"""Eigenvalues, singular values and QR factors of matrices that are checked to be finite first."""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float
from torch import Tensor

HALVES = (torch.float16, torch.bfloat16)


def check_finite(name: str, values: Tensor, cause: str) -> None:
    """Every entry is finite. LAPACK may end the interpreter on a matrix that is not. Reads one value back.

    Args:
        name: what the values are, for the message.
        values: of any shape.
        cause: what may have led to it, and what to do.

    Raises:
        ValueError: an entry is infinite or not a number; the message counts them.
    """
    wrong = int((~torch.isfinite(values)).sum())
    if wrong:
        raise ValueError(f"{name}: {wrong} of {values.numel()} entries are not finite; {cause}")


DIVERGED = "the states or their derivatives overflow: use a smaller dt, more damping, a shorter input or torch.float64"


def eigenvalues(matrices: Float[Tensor, "*batch n n"]) -> Complex[Tensor, "*batch n"]:
    """The eigenvalues of each matrix, computed on the CPU where the device is not CUDA; half precision in single.

    Raises:
        ValueError: a matrix is not finite.
    """
    check_finite("the Jacobian", matrices, DIVERGED)
    return torch.linalg.eigvals(_factorisable(matrices)).to(matrices.device)


def singular_values(matrices: Float[Tensor, "*batch m n"]) -> Float[Tensor, "*batch k"]:
    """The singular values of each matrix, the largest first.

    Raises:
        ValueError: a matrix is not finite.
    """
    check_finite("the Jacobian", matrices, DIVERGED)
    return torch.linalg.svdvals(_factorisable(matrices)).to(matrices.device)


def orthonormalised(
    matrices: Float[Tensor, "*batch m n"],
) -> tuple[Float[Tensor, "*batch m n"], Float[Tensor, "*batch n n"]]:
    """Q and R of each matrix.

    Raises:
        ValueError: a matrix is not finite.
    """
    check_finite("the Jacobian", matrices, DIVERGED)
    q, r = torch.linalg.qr(_factorisable(matrices))
    return q.to(matrices), r.to(matrices)


def _factorisable(matrices: Tensor) -> Tensor:
    """The matrices in a dtype and on a device that LAPACK or its like take."""
    wide = matrices.float() if matrices.dtype in HALVES else matrices
    return wide if wide.device.type in ("cpu", "cuda") else wide.cpu()
