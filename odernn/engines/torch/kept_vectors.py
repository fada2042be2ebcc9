"""The vectors that a method carries besides the state, solver step by solver step, for the pass backward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..linear_method import Role
from .stepper import States


@dataclass(frozen=True, slots=True)
class KeptVectors:
    """Where each vector is after each solver step: kept, or made again of the states.

    Vector 0 is the state. Where `kept` is asked for, it is the memory (vectors, steps, batch, n) of those that are
    kept, in the order of `numbers`, or None in a pass that nothing goes backward from.

    Attributes:
        roles: of the vectors besides the state.
        numbers: the vectors that are kept.
        given: the vectors besides the state that the sequence continues from, each (batch, n).
        substeps: solver steps an interval.
    """

    roles: Sequence[Role]
    numbers: Sequence[int]
    given: Sequence[Tensor]
    substeps: int

    def place(self, kept: Tensor | None, vector: int, number: int, like: Tensor) -> Tensor | None:
        """Where a vector goes after step `number`: into `kept` or new memory; nowhere if it is the state before."""
        if self.roles[vector - 1] == Role.STATE_BEFORE:
            return None
        if kept is None or vector not in self.numbers:
            return torch.empty_like(like)
        return kept[self.numbers.index(vector), number]

    def clear(self, kept: Tensor | None, vector: int, number: int) -> None:
        """What is kept of a vector that is not there yet after step `number`."""
        if kept is not None and vector in self.numbers:
            kept[self.numbers.index(vector), number] = 0

    def before(self, kept: Tensor | None, vector: int, number: int, length: int, states: States) -> Tensor:
        """A vector before step `number` and the same substep of the intervals after it; any where it is not read."""
        s = self.substeps
        now = states.window(number, number + (length - 1) * s + 1)[::s]
        if vector and self.roles[vector - 1] == Role.STATE_BEFORE:
            return self._states_before(vector, number, length, states)
        if vector not in self.numbers:
            return now
        assert kept is not None
        own = kept[self.numbers.index(vector)]
        if number:
            return own[number - 1 : number + (length - 1) * s : s]
        first = self.given[vector - 1] if vector <= len(self.given) else now[0]
        return torch.cat((first.unsqueeze(0), own[s - 1 : (length - 1) * s : s]))

    def _states_before(self, vector: int, number: int, length: int, states: States) -> Tensor:
        s = self.substeps
        if number:
            return states.window(number - 1, number + (length - 1) * s)[::s]
        first = self.given[vector - 1].unsqueeze(0) if vector <= len(self.given) else states.window(0, 1)
        return first if length == 1 else torch.cat((first, states.window(s - 1, (length - 1) * s)[::s]))
