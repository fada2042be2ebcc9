"""Weighted sums of tensors, whose weights are the rows of a linear step; zeros are left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from solvers.extend import Coefficient, Entry, Time

from ..linear_method import LinearStep

Given = Sequence[Tensor] | None
"""The coefficients that are given, of one step or of the same step of several intervals."""


class Coefficients:
    """The coefficients that are given, substep by substep.

    Args:
        given: (time, substeps, rows, numbers) of the first substeps of each interval, or None.
    """

    def __init__(self, given: Tensor | None) -> None:
        self.given = given
        substeps = [] if given is None else [each.unsqueeze(-2).unbind(-1) for each in given.unbind(1)]
        self._every = substeps
        self._each = [list(zip(*(number.unbind(0) for number in numbers), strict=True)) for numbers in substeps]

    def varies(self, entry: Entry, k: int) -> bool:
        """Whether an entry of substep k is given."""
        return entry.place >= 0 and k < len(self._every)

    def at(self, entry: Entry, k: int, place: slice) -> Coefficient:
        """An entry of substep k in several intervals, a number or (time, rows, 1)."""
        return self._every[k][entry.place][place] if self.varies(entry, k) else entry.coefficient

    def of_every_step(self, entry: Entry, substeps: int, place: slice, rows: Tensor) -> Tensor:
        """An entry of all substeps of several intervals (steps, rows), of the dtype and device of `rows` (rows,)."""
        found = rows.new_empty(place.stop - place.start, substeps, len(rows))
        for k in range(substeps):
            value = self.at(entry, k, place)
            found[:, k] = value.squeeze(-1) if isinstance(value, Tensor) else value
        return found.flatten(0, 1)

    def of_step(self, k: int, n: int) -> Given:
        """All of substep k of interval n, each (rows, 1)."""
        return self._each[k][n] if k < len(self._each) else None

    def of_steps(self, k: int, place: slice) -> Given:
        """All of substep k of several intervals, each (time, rows, 1)."""
        return [number[place] for number in self._every[k]] if k < len(self._every) else None


class Term(NamedTuple):
    """A tensor in a sum.

    Attributes:
        number: its weight.
        place: which given coefficient its weight is, if there are some; -1 for none.
        source: which tensor it is.
        with_step: whether it is multiplied by the step too.
    """

    number: float
    place: int
    source: int
    with_step: bool


Row = tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Sums:
    """A step's sums.

    Attributes:
        stages: the states of the stages, of the vectors and then the slopes.
        ends: the vectors at the end, of the same.
        kappas: dL / d(dt k_i), of dL by the vectors at the end and then what comes back through the stages.
        starts: dL by the vectors at the start, of the same; without the first stage where that is `joined`.
        joined: whether the state of the first stage is the state, so that what comes back through it goes there.
    """

    stages: list[Row]
    ends: list[Row]
    kappas: list[Row]
    starts: list[Row]
    joined: bool

    @staticmethod
    def of(step: LinearStep, *, given: bool) -> Sums:
        """The sums of a step; their coefficients are numbers where none are given."""
        if not given:
            numbers = (tuple(tuple(Entry(e[0], -1) for e in row) for row in t) for t in (step.u, step.v, step.b))
            step = replace(step, **dict(zip("uvb", numbers, strict=True)))
        before, after, a = len(step.u[0]), len(step.v), [[Entry(each, -1) for each in row] for row in step.a]
        joined = _is_state(step.u[0])
        return Sums(
            stages=[_row(u, row, before, with_step=True) for u, row in zip(step.u, a, strict=True)],
            ends=[_row(v, b, before, with_step=True) for v, b in zip(step.v, step.b, strict=True)],
            kappas=[
                _row([row[i] for row in step.b], [row[i] if i < j else _NONE for j, row in enumerate(a)], after)
                for i in range(step.stages)
            ],
            starts=[
                _row([v[m] for v in step.v], [_NONE if joined and not i else u[m] for i, u in enumerate(step.u)], after)
                for m in range(before)
            ],
            joined=joined,
        )


def weighted_sum(
    row: Row, sources: Sequence[Tensor], given: Given, dt: Time, like: Tensor, out: Tensor | None = None
) -> Tensor:
    """The sum in `out` or new memory; the one tensor itself where that is all, zeros where there is none."""
    total: Tensor | None = None
    for number, place, source, with_step in row:
        weight: Coefficient = number if given is None or place < 0 else given[place]
        if with_step:
            weight = weight * dt
        x = sources[source]
        if total is None:
            if not isinstance(weight, Tensor) and weight == 1:
                total = x
                continue
            total = torch.mul(x, weight, out=out)
        elif isinstance(weight, Tensor):
            total = torch.addcmul(total, weight, x, out=out)
        else:
            total = torch.add(total, x, alpha=weight, out=out)
        out = total
    return torch.zeros_like(like) if total is None else total


_NONE = Entry(0.0, -1)


def _row(vectors: Iterable[Entry], stages: Iterable[Entry], offset: int, *, with_step: bool = False) -> Row:
    """The terms that are not zero; one of weight 1 comes first, which saves a product."""
    terms = [Term(*entry, m, with_step=False) for m, entry in enumerate(vectors)]
    terms += [Term(*entry, offset + i, with_step) for i, entry in enumerate(stages)]
    terms = [each for each in terms if each.place >= 0 or each.number != 0]
    return tuple(sorted(terms, key=lambda each: each[0] != 1 or each.place >= 0 or each.with_step))


def _is_state(row: Sequence[Entry]) -> bool:
    return row[0] == Entry(1.0, -1) and all(entry == _NONE for entry in row[1:])
