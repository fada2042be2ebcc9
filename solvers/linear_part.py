"""The linear part A of dy/dt = A y + remainder: a dense matrix, or blocks that couple the two halves of the state."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .checks import check_tensor


@dataclass(frozen=True, slots=True)
class BlockDiagonal:
    """A matrix of 2 x 2 blocks: the state is (q, p), and block i takes q_i and p_i to their images.

    A diagonal matrix is one whose blocks are diagonal. Functions of such a matrix are such matrices.

    Attributes:
        blocks: entry (r, c) of every block (..., 2, 2, n / 2); dimensions before them broadcast against the state's.
    """

    blocks: Tensor

    def __post_init__(self) -> None:
        """Check the shape."""
        check_tensor("blocks", self.blocks)
        if self.blocks.ndim < 3 or self.blocks.shape[-3:-1] != (2, 2):
            raise ValueError(f"`blocks` has shape {tuple(self.blocks.shape)}; give (..., 2, 2, n / 2)")

    @staticmethod
    def of_dense(matrix: Tensor) -> BlockDiagonal:
        """The blocks of a dense (n, n) matrix; what lies outside them is left out."""
        check_tensor("matrix", matrix)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) % 2:
            raise ValueError(f"`matrix` has shape {tuple(matrix.shape)}; give (n, n), n even")
        half = matrix.shape[-1] // 2
        quarters = matrix.unflatten(-1, (2, half)).unflatten(0, (2, half))  # row half, row, column half, column
        return BlockDiagonal(quarters.diagonal(dim1=1, dim2=3))

    def dense(self) -> Tensor:
        """The whole matrix (..., n, n)."""
        quarters = torch.diag_embed(self.blocks)
        return quarters.transpose(-3, -2).flatten(-4, -3).flatten(-2)


LinearPart = Tensor | BlockDiagonal
"""The matrix A (n, n), or its blocks. It multiplies the last dimension of the state, y A^T in rows."""


def tensor_of(linear: LinearPart) -> Tensor:
    """The entries, as they are stored."""
    return linear.blocks if isinstance(linear, BlockDiagonal) else linear


def apply_matrix(matrix: LinearPart, y: Tensor) -> Tensor:
    """A matrix, or one a sample, times the last dimension of `y` (..., n)."""
    if isinstance(matrix, BlockDiagonal):
        halves = y.unflatten(-1, (2, -1)).unsqueeze(-3)
        return (matrix.blocks * halves).sum(-2).flatten(-2)
    if matrix.ndim == 2:
        return functional.linear(y, matrix)
    return (matrix @ y.unsqueeze(-1)).squeeze(-1)
