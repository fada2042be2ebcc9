"""Weighted sums of tensors whose weights are the rows of a scheme: zeros are left out, the rest is added in place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from solvers.extend import Coefficient, Scheme


@dataclass(frozen=True, slots=True)
class PerStep:
    """A coefficient that is another one in each step.

    Attributes:
        every: all of them (steps, batch, 1), without a graph.
        each: the same, one by one.
    """

    every: Tensor
    each: tuple[Tensor, ...]

    def at(self, place: int | slice) -> Tensor:
        """Those of one step (batch, 1), or of several (steps, batch, 1)."""
        return self.each[place] if isinstance(place, int) else self.every[place]


Weight = float | PerStep
Weights = tuple[tuple[Weight, int], ...]
"""The entries of a row that are not zero, each with its place in the row."""


def weights_of(row: Iterable[Coefficient]) -> Weights:
    """The entries of a row that are not zero."""
    return tuple((_weight(c), i) for i, c in enumerate(row) if isinstance(c, Tensor) or c != 0)


class Row(NamedTuple):
    """The weights of vectors and of stages in a sum."""

    vectors: Weights
    stages: Weights


@dataclass(frozen=True, slots=True)
class Rows:
    """A scheme's sums: states of stages and vectors at the end; going back, kappas and dL by vectors at the start."""

    stages: list[Row]
    ends: list[Row]
    kappas: list[Row]
    starts: list[Row]

    @staticmethod
    def of(scheme: Scheme) -> Rows:
        """Those of a scheme."""
        return Rows(
            stages=[Row(weights_of(u), weights_of(a)) for u, a in zip(scheme.u, scheme.a, strict=True)],
            ends=[Row(weights_of(v), weights_of(b)) for v, b in zip(scheme.v, scheme.b, strict=True)],
            kappas=[
                Row(weights_of(row[i] for row in scheme.b), weights_of(row[i] if i < j else 0.0 for j, row in later))
                for i, later in ((i, list(enumerate(scheme.a))) for i in range(scheme.stages))
            ],
            starts=[
                Row(weights_of(row[m] for row in scheme.v), weights_of(row[m] for row in scheme.u))
                for m in range(len(scheme.v))
            ],
        )


def at(weight: Weight, place: int | slice) -> Coefficient:
    """The number, or the tensor of the steps."""
    return weight.at(place) if isinstance(weight, PerStep) else weight


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


def _weight(coefficient: Coefficient) -> Weight:
    if not isinstance(coefficient, Tensor):
        return float(coefficient)
    every = coefficient.detach()
    return PerStep(every, every.unbind(0))
