"""Weighted sums of tensors, whose weights are the rows of a linear step; zeros are left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from solvers.extend import Coefficient, Entry

from ..linear_method import LinearStep

Weights = tuple[tuple[Entry, int], ...]
"""The entries of a row that are not zero, each with its place in the row."""


class Coefficients:
    """The coefficients that are given, substep by substep.

    Args:
        given: (time, substeps, rows, numbers) of the first substeps of each interval, or None.
    """

    def __init__(self, given: Tensor | None) -> None:
        self.given = given
        substeps = [] if given is None else [each.unsqueeze(-2).unbind(-1) for each in given.unbind(1)]
        self._every = substeps
        self._each = [[number.unbind(0) for number in numbers] for numbers in substeps]

    def varies(self, entry: Entry, k: int) -> bool:
        """Whether an entry of substep k is given."""
        return entry.place >= 0 and k < len(self._every)

    def at(self, entry: Entry, k: int, place: int | slice) -> Coefficient:
        """An entry of substep k in one interval, a number or (rows, 1), or in several, a number or (time, rows, 1)."""
        if not self.varies(entry, k):
            return entry.coefficient
        if isinstance(place, int):
            return self._each[k][entry.place][place]
        return self._every[k][entry.place][place]


class Row(NamedTuple):
    """The weights of vectors and of stages in a sum."""

    vectors: Weights
    stages: Weights


@dataclass(frozen=True, slots=True)
class Sums:
    """A step's sums: states of stages and vectors at the end; going back, kappas and dL by vectors at the start."""

    stages: list[Row]
    ends: list[Row]
    kappas: list[Row]
    starts: list[Row]

    @staticmethod
    def of(step: LinearStep) -> Sums:
        """Those of a step."""
        a = [[Entry(each, -1) for each in row] for row in step.a]
        return Sums(
            stages=[Row(_weights(u), _weights(row)) for u, row in zip(step.u, a, strict=True)],
            ends=[Row(_weights(v), _weights(b)) for v, b in zip(step.v, step.b, strict=True)],
            kappas=[
                Row(_weights(row[i] for row in step.b), _weights(row[i] if i < j else _NONE for j, row in enumerate(a)))
                for i in range(step.stages)
            ],
            starts=[
                Row(_weights(row[m] for row in step.v), _weights(row[m] for row in step.u))
                for m in range(len(step.u[0]))
            ],
        )


def weighted_sum(terms: Sequence[tuple[Coefficient, Tensor]], like: Tensor, out: Tensor | None = None) -> Tensor:
    """The sum of the products in `out` or new memory; the one vector itself where that is all, zeros for no vector.

    A vector with the weight 1 comes first, which saves a product.
    """
    if not terms:
        return torch.zeros_like(like)
    unit = next((i for i, (weight, _) in enumerate(terms) if not isinstance(weight, Tensor) and weight == 1), 0)
    (first, total), rest = terms[unit], (*terms[:unit], *terms[unit + 1 :])
    if isinstance(first, Tensor) or first != 1:
        total = out = torch.mul(total, first, out=out)
    for coefficient, x in rest:
        if isinstance(coefficient, Tensor):
            total = torch.addcmul(total, coefficient, x, out=out)
        else:
            total = torch.add(total, x, alpha=coefficient, out=out)
        out = total
    return total


_NONE = Entry(0.0, -1)


def _weights(row: Iterable[Entry]) -> Weights:
    return tuple((entry, i) for i, entry in enumerate(row) if entry.place >= 0 or entry.coefficient != 0)
