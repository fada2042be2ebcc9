"""Matrices of 2 x 2 blocks, and a tableau whose entries name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from solvers.extend import Entry

from ..method import Entries
from .arithmetic import combine_into


class Matrix(NamedTuple):
    """A matrix of 2 x 2 blocks as two elementwise factors: M x = own * x + other * (x with its halves swapped).

    Attributes:
        own: the diagonals of the blocks, those of q and those of p (..., n).
        other: the entries beside them (..., n).
    """

    own: Tensor
    other: Tensor

    @staticmethod
    def of_blocks(blocks: Tensor) -> Matrix:
        """The matrix of blocks (..., 2, 2, n / 2)."""
        flat = blocks.flatten(-3, -2)
        return Matrix(flat[..., ::3, :].flatten(-2), flat[..., 1:3, :].flatten(-2))

    def times(self, x: Tensor) -> Tensor:
        """M x; of several networks x has rows (..., models * batch, n) and the matrix (..., models, 1, n)."""
        if self.own.ndim == x.ndim + 1:
            return self.times(x.unflatten(-2, (self.own.shape[-3], -1))).flatten(-3, -2)
        return torch.mul(x, self.own).addcmul_(swapped(x), self.other)

    def transposed(self) -> Matrix:
        """The transposed matrix."""
        return Matrix(self.own, swapped(self.other))


@dataclass(frozen=True, slots=True)
class BlockScheme:
    """A tableau whose entries name blocks that are given.

    Attributes:
        entries: of the tableau.
        c: the nodes.
        blocks: the matrices that the entries name (steps, matrices, 2, 2, n / 2), one set for all intervals or one
            each; of several networks (steps, models, matrices, 2, 2, n / 2).
    """

    entries: Entries
    c: tuple[float, ...]
    blocks: Tensor

    @property
    def stages(self) -> int:
        """The number of stages."""
        return len(self.entries.b)

    def matrices(self, start: int, stop: int) -> list[Matrix]:
        """The matrices of the intervals from `start` to `stop`, for states (time, batch, n)."""
        blocks = self.blocks if len(self.blocks) == 1 else self.blocks[start:stop]
        return _matrices(blocks)

    def matrices_of_each(self, start: int, stop: int) -> list[list[Matrix]]:
        """The matrices of each interval, for states (batch, n)."""
        if len(self.blocks) == 1:
            return [_matrices(self.blocks[0])] * (stop - start)
        return [_matrices(step) for step in self.blocks[start:stop].unbind(0)]


def _matrices(blocks: Tensor) -> list[Matrix]:
    """The matrices of blocks (..., matrices, 2, 2, n / 2), for all rows."""
    return [Matrix.of_blocks(matrix.unsqueeze(-4)) for matrix in blocks.unbind(-4)]


def swapped(x: Tensor) -> Tensor:
    """The halves of the last dimension, the second first."""
    return x.roll(x.shape[-1] // 2, -1)


def applied(entry: Entry, matrices: Sequence[Matrix], x: Tensor) -> Tensor:
    """The entry's matrix times x; x itself where that is the identity."""
    return x if entry.place < 0 else matrices[entry.place].times(x)


def scaled(entry: Entry, matrices: Sequence[Matrix], x: Tensor) -> Tensor:
    """The entry times x."""
    found = applied(entry, matrices, x)
    return found if entry.coefficient == 1 else entry.coefficient * found


def combined(
    y: Tensor,
    dt: float | Tensor,
    entries: Sequence[Entry],
    matrices: Sequence[Matrix],
    slopes: Sequence[Tensor],
    out: Tensor | None = None,
) -> Tensor:
    """Return y + dt sum_j entry_j slope_j, in `out` or in new memory if there is anything to add."""
    pairs = [(e, slope) for e, slope in zip(entries, slopes, strict=False) if e.coefficient != 0]
    if not pairs:
        return y
    sources = [applied(entry, matrices, slope) for entry, slope in pairs]
    buffer = torch.empty_like(y) if out is None else out
    return combine_into(buffer, y, dt, [entry.coefficient for entry, _ in pairs], sources)


def transposes(each: list[list[Matrix]]) -> list[list[Matrix]]:
    """The transposes, made once where all intervals share their matrices."""
    found = [matrix.transposed() for matrix in each[0]]
    if len(each) == 1 or each[0] is each[1]:
        return [found] * len(each)
    return [[matrix.transposed() for matrix in matrices] for matrices in each]
