"""K as the products that an evaluation makes with it: all of it, a quarter of it, or its blocks that are not zero."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, final

import torch
from torch import Tensor

from solvers.checks import is_readable

from ...control.stacked_weights import add_outer, add_times, times
from ..recurrence import Recurrence
from ..weight_blocks import NUMBERS

EVERY = slice(None)
ZERO, DIAGONAL, DENSE = (NUMBERS[filling] for filling in ("zero", "diagonal", "dense"))


class Coupling(ABC):
    """The rows of K that one evaluation multiplies, with their transpose and their gradient.

    Attributes:
        rows: which entries of the preactivation, and of the control, the evaluation has.
    """

    rows: slice = EVERY

    @abstractmethod
    def times(self, source: Tensor, out: Tensor | None = None) -> Tensor:
        """The preactivation of the states `source` (..., rows, sources), in `out` of one interval's (rows, sources)."""

    @abstractmethod
    def pull_back(self, cotangent: Tensor) -> Tensor:
        """dL/dsource (batch, sources) from dL/dpreactivation (batch, preactivations)."""

    @abstractmethod
    def pull_back_onto(self, cotangent: Tensor, total: Tensor) -> None:
        """Add that to `total`."""

    @abstractmethod
    def add_gradient(self, total: Tensor | None, cotangent: Tensor, source: Tensor) -> Tensor:
        """dL/dK (P, n), of all times (time, batch, ...), added to `total` or, if there is none, the first."""


@final
class Part(Coupling):
    """A rectangle of K, or of each network's, whose sources and preactivations are an evaluation's own.

    Args:
        weight: K (P, n) or (models, P, n).
        rows: of K.
        columns: of K.
    """

    def __init__(self, weight: Tensor, rows: slice = EVERY, columns: slice = EVERY) -> None:
        self.rows, self._columns = rows, columns
        self._whole, self._weight = weight, weight[..., rows, columns]
        self._transposed = self._weight.mT

    def times(self, source: Tensor, out: Tensor | None = None) -> Tensor:
        """One product."""
        return times(source, self._transposed, out)

    def pull_back(self, cotangent: Tensor) -> Tensor:
        """One product."""
        return times(cotangent, self._weight)

    def pull_back_onto(self, cotangent: Tensor, total: Tensor) -> None:
        """One product."""
        add_times(total, cotangent, self._weight)

    def add_gradient(self, total: Tensor | None, cotangent: Tensor, source: Tensor) -> Tensor:
        """One product; what lies outside of the rectangle is zero."""
        if self.rows == self._columns == EVERY:
            return add_outer(total, cotangent, source, self._weight)
        total = torch.zeros_like(self._whole) if total is None else total
        add_outer(total[..., self.rows, self._columns], cotangent, source, self._weight)
        return total


class Block(NamedTuple):
    """Where K is not zero: a matrix (rows, columns), or the diagonal of a square."""

    rows: slice
    columns: slice
    matrix: Tensor
    is_diagonal: bool


@final
class Blocks(Coupling):
    """The blocks of K that are not zero and drive the units that an evaluation moves; the other entries are zero.

    Args:
        weight: K (P, n).
        fillings: how the halves of its rows and columns are filled, as `Call.weight_blocks`; empty: all dense.
        half: the half of the units that the evaluation moves, or None.
    """

    def __init__(self, weight: Tensor, fillings: Sequence[int], half: int | None) -> None:
        self._weight = weight
        self._blocks = list(_blocks(weight, fillings, half))

    def times(self, source: Tensor, out: Tensor | None = None) -> Tensor:
        """A product a block."""
        shape = (*source.shape[:-1], len(self._weight))
        found = source.new_zeros(shape) if out is None else out.zero_()
        y, p = source.reshape(-1, source.shape[-1]), found.view(-1, shape[-1])
        for rows, columns, matrix, is_diagonal in self._blocks:
            if is_diagonal:
                p[:, rows].addcmul_(y[:, columns], matrix)
            else:
                p[:, rows].addmm_(y[:, columns], matrix.T)
        return found

    def pull_back(self, cotangent: Tensor) -> Tensor:
        """A product a block."""
        found = cotangent.new_zeros(len(cotangent), self._weight.shape[1])
        self.pull_back_onto(cotangent, found)
        return found

    def pull_back_onto(self, cotangent: Tensor, total: Tensor) -> None:
        """A product a block."""
        for rows, columns, matrix, is_diagonal in self._blocks:
            if is_diagonal:
                total[:, columns].addcmul_(cotangent[:, rows], matrix)
            else:
                total[:, columns].addmm_(cotangent[:, rows], matrix)

    def add_gradient(self, total: Tensor | None, cotangent: Tensor, source: Tensor) -> Tensor:
        """A product a block; zeros have no gradient."""
        total = torch.zeros_like(self._weight) if total is None else total
        left, right = cotangent.flatten(0, 1), source.flatten(0, 1)
        for rows, columns, _, is_diagonal in self._blocks:
            if is_diagonal:
                total[rows, columns].diagonal().add_((left[:, rows] * right[:, columns]).sum(0))
            else:
                total[rows, columns].addmm_(left[:, rows].T, right[:, columns])
        return total


def couplings_of(recurrence: Recurrence, halves: Sequence[int | None]) -> list[Coupling]:
    """The coupling of each evaluation of a step, which moves all units or one half of them.

    On a device all of K is multiplied at once, as launches cost more there than products.

    Raises:
        ValueError: K is not filled as the recurrence says.
    """
    weight, fillings = recurrence.weight, recurrence.weight_blocks
    plain = not fillings and all(half is None for half in halves)
    if plain or weight.ndim > 2 or weight.device.type != "cpu" or weight.shape[1] % 2 or not is_readable(weight):
        return [Part(weight)] * len(halves)
    _check_filled(weight, fillings)
    made = {half: Blocks(weight, fillings, half) for half in set(halves)}
    return [made[half] for half in halves]


def _blocks(weight: Tensor, fillings: Sequence[int], half: int | None) -> list[Block]:
    n = weight.shape[1] // 2
    found = []
    for row in range(len(weight) // n):
        if half is not None and row % 2 != half:
            continue
        left, right = fillings[2 * row : 2 * row + 2] if fillings else (DENSE, DENSE)
        rows = slice(row * n, (row + 1) * n)
        if left == right == DENSE:
            found.append(Block(rows, EVERY, weight[rows], is_diagonal=False))
            continue
        for filling, columns in ((left, slice(n)), (right, slice(n, None))):
            block = weight[rows, columns]
            if filling == DENSE:
                found.append(Block(rows, columns, block, is_diagonal=False))
            elif filling == DIAGONAL:
                found.append(Block(rows, columns, block.diagonal().contiguous(), is_diagonal=True))
    return found


def _check_filled(weight: Tensor, fillings: Sequence[int]) -> None:
    if not fillings or not weight.masked_fill(_inside(tuple(fillings), weight.shape[1] // 2), 0).nan_to_num_().any():
        return  # what is not a number breaks no promise: the state will say so
    n = weight.shape[1] // 2
    for place, filling in enumerate(fillings):
        row, column = divmod(place, 2)
        block = weight[row * n : (row + 1) * n, column * n : (column + 1) * n]
        if filling != DENSE and (block if filling == ZERO else block - block.diagonal().diag()).nan_to_num().any():
            name = "zero" if filling == ZERO else "diagonal"
            raise ValueError(
                f"`weight_blocks` says that block {column} of row {row} is '{name}', and `weight` has other "
                "entries there"
            )


@lru_cache(maxsize=64)
def _inside(fillings: tuple[int, ...], half: int) -> Tensor:
    """Where K may be other than zero."""
    kinds = {ZERO: torch.zeros(half, half), DIAGONAL: torch.eye(half), DENSE: torch.ones(half, half)}
    rows = [torch.cat([kinds[each] for each in fillings[i : i + 2]], dim=1) for i in range(0, len(fillings), 2)]
    return torch.cat(rows).bool()
