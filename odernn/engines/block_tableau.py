"""An explicit method on dy/dt = A y + remainder, A made of 2 x 2 blocks, as a scheme of blocks.

With Z = dt A, Y_i = y + sum_j a_ij (Z Y_j + dt k_j), where k_j is the remainder at Y_j. Put in for the Y_j, this is
Y_i = U_i y + dt sum_l A_il k_l with U_i = I + sum_j a_ij Z U_j and A_il = a_il I + sum_j a_ij Z A_jl, polynomials in Z;
and so for y_next with the b_i. Of kicks and drifts, whose remainder moves p only, the kicks are the stages: a kick adds
a share of Z (q, p) + dt k to p, and a drift one of Z (q, p) to q, which gives polynomials in Z again. Nothing is
multiplied by the zeros between the blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from solvers import Shear
from solvers.extend import Entry

from .method import Tableau

Polynomial = float | Tensor
"""A multiple of the identity, or blocks (..., 2, 2, n / 2)."""


class BlockEntries(NamedTuple):
    """A scheme's entries and the matrices that they name.

    Attributes:
        flows: what y is multiplied by in each stage and, last, over the whole step.
        a: one row a stage, with the entries before the diagonal.
        b: the weights.
        matrices: each (..., 2, 2, n / 2).
    """

    flows: tuple[Entry, ...]
    a: tuple[tuple[Entry, ...], ...]
    b: tuple[Entry, ...]
    matrices: list[Tensor]


def block_entries(tableau: Tableau, scaled: Tensor) -> BlockEntries:
    """The scheme of a tableau for the blocks `scaled` of dt A (..., 2, 2, n / 2)."""
    flows: list[Polynomial] = []
    rows: list[list[Polynomial]] = []
    for i, row in enumerate((*tableau.a, tableau.b)):
        flows.append(_sum(1.0, row, flows, scaled))
        rows.append([_sum(row[j], row[j + 1 :], [later[j] for later in rows[j + 1 : i]], scaled) for j in range(i)])
    matrices: list[Tensor] = []
    flow_entries = tuple(_entry(flow, matrices) for flow in flows)
    *a, b = (tuple(_entry(weight, matrices) for weight in row) for row in rows)
    return BlockEntries(flow_entries, tuple(a), b, matrices)


def shear_entries(shears: Sequence[Shear], scaled: Tensor) -> BlockEntries:
    """The scheme of kicks and drifts for the blocks `scaled` of dt A; its stages are the kicks."""
    matrices: list[Tensor] = []
    flow: Polynomial = 1.0
    weights: list[Polynomial] = []
    flows: list[Entry] = []
    rows: list[tuple[Entry, ...]] = []
    for shear in shears:
        if shear.kick:
            flows.append(_entry(flow, matrices))
            rows.append(tuple(_entry(weight, matrices) for weight in weights))
        flow, *weights = (_sheared(factor, shear, scaled) for factor in (flow, *weights))
        if shear.kick:
            weights.append(shear.share)
    flows.append(_entry(flow, matrices))
    return BlockEntries(tuple(flows), tuple(rows), tuple(_entry(weight, matrices) for weight in weights), matrices)


def scaled_entries(entries: BlockEntries, scale: Tensor) -> BlockEntries:
    """The scheme with every k_j multiplied by numbers (n,), one a unit."""
    matrices, known = list(entries.matrices), dict[Entry, Entry]()
    columns = scale.unflatten(-1, (1, 2, -1))
    diagonal = torch.eye(2, dtype=scale.dtype, device=scale.device).unsqueeze(-1) * columns

    def found(entry: Entry) -> Entry:
        if entry.coefficient == 0:
            return entry
        if entry not in known:
            matrix = diagonal.expand_as(matrices[0]) if entry.place < 0 else matrices[entry.place] * columns
            known[entry] = _entry(entry.coefficient * matrix, matrices)
        return known[entry]

    a = tuple(tuple(map(found, row)) for row in entries.a)
    return BlockEntries(entries.flows, a, tuple(map(found, entries.b)), matrices)


def _sheared(factor: Polynomial, shear: Shear, scaled: Tensor) -> Polynomial:
    """A factor after a kick or a drift, which adds a share of one row of Z times it."""
    moved = scaled.new_tensor([[0.0], [1.0]] if shear.kick else [[1.0], [0.0]]).unsqueeze(-1)
    return _plus(factor, shear.share * _times(moved * scaled, factor))


def _sum(number: float, weights: Sequence[float], factors: Sequence[Polynomial], scaled: Tensor) -> Polynomial:
    """Number I + sum_j weights_j Z factors_j."""
    total: Polynomial = float(number)
    for weight, factor in zip(weights, factors, strict=True):
        if weight != 0 and (isinstance(factor, Tensor) or factor != 0):
            total = _plus(total, weight * _times(scaled, factor))
    return total


def _times(scaled: Tensor, factor: Polynomial) -> Tensor:
    if not isinstance(factor, Tensor):
        return factor * scaled
    return torch.einsum("...rkh,...kch->...rch", scaled, factor)


def _plus(total: Polynomial, matrix: Tensor) -> Tensor:
    if isinstance(total, Tensor):
        return total + matrix
    return matrix + total * torch.eye(2, dtype=matrix.dtype, device=matrix.device).unsqueeze(-1)


def _entry(weight: Polynomial, matrices: list[Tensor]) -> Entry:
    if not isinstance(weight, Tensor):
        return Entry(weight, -1)
    matrices.append(weight)
    return Entry(1.0, len(matrices) - 1)
