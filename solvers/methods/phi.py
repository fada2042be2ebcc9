"""The phi functions of a matrix, of which exponential integrators are made."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..checks import check_count, check_tensor
from ..linear_part import BlockDiagonal, LinearPart

_HALF = (torch.float16, torch.bfloat16)

MOST_PHI = 20
"""The number of the last function. The matrix that all are read off grows with it."""


def phi_functions(matrix: Tensor, highest: int) -> tuple[Tensor, ...]:
    """exp(Z) = phi_0(Z), phi_1(Z), ..., phi_highest(Z) of Z = `matrix`.

    phi_k(Z) = sum_j Z^j / (j + k)!, so phi_k(0) = I / k! and Z phi_{k+1}(Z) = phi_k(Z) - I / k!. All of them are read
    off the first block row of one exponential, of Z bordered by identities above the diagonal. Nothing is divided by
    Z: a singular Z is not a special case. Differentiable. In half precision the work is done in float32: torch's
    exponential of a half-precision matrix is silently wrong (2.13, by a factor of 1e30).

    Args:
        matrix: Z (..., n, n), floating or complex.
        highest: the number of the last function, from 0 to 20.

    Returns:
        `highest` + 1 tensors of the shape of `matrix`.

    Raises:
        TypeError, ValueError: an argument of the wrong type, shape or range.

    Source: Al-Mohy & Higham, Computing the action of the matrix exponential, with an application to exponential
    integrators, SIAM J. Sci. Comput. 33 (2011), 488-511, theorem 2.1.
    """
    check_tensor("matrix", matrix)
    if not (matrix.is_floating_point() or matrix.is_complex()):
        raise TypeError(f"`matrix` has dtype {matrix.dtype}; give a floating dtype, as `matrix.float()`")
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise ValueError(f"`matrix` has shape {tuple(matrix.shape)}; give square matrices (..., n, n)")
    check_count("highest", highest, least=0, most=MOST_PHI)
    size = matrix.shape[-1]
    border = highest * size
    z = matrix.float() if matrix.dtype in _HALF else matrix
    identities = torch.diag(torch.ones(border, dtype=z.dtype, device=z.device), diagonal=size)
    bordered = functional.pad(z, (0, border, 0, border)) + identities
    return torch.linalg.matrix_exp(bordered)[..., :size, :].to(matrix.dtype).split(size, dim=-1)


def phi_of(linear: LinearPart, dt: float | Tensor, highest: int) -> tuple[Tensor, ...]:
    """exp(dt A), phi_1(dt A), ..., phi_highest(dt A), stored as A is. A `dt` (batch, 1) gives one a sample."""
    if isinstance(linear, BlockDiagonal):
        scaled = _scaled(linear.blocks.movedim(-1, -3), dt, 2).contiguous()  # torch.linalg.matrix_exp takes no other
        return tuple(phi.movedim(-3, -1) for phi in phi_functions(scaled, highest))
    return phi_functions(_scaled(linear, dt, 1), highest)


def _scaled(matrices: Tensor, dt: float | Tensor, dimensions: int) -> Tensor:
    """The matrices times dt, each entry of which gets `dimensions` dimensions more after its own."""
    if isinstance(dt, Tensor) and dt.ndim:
        dt = dt.reshape(*dt.shape, *(1,) * dimensions)
    return dt * matrices
