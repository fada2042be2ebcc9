"""Compositions of kicks and drifts on a partitioned recurrence: each moves one half of the state along the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from solvers import Shear

from ..method import Method
from ..recurrence import Recurrence
from .arithmetic import combine_into
from .chunk import Chunk
from .control_path import ControlPath, half_of
from .coupling import Part
from .stepper import States, Stepper


@final
class SplittingStepper(Stepper):
    """A composition of kicks and drifts as a Stepper."""

    def __init__(self, method: Method, recurrence: Recurrence, substeps: int, like: Tensor) -> None:
        self.method = method
        self.substeps = substeps
        self.half = like.shape[-1] // 2
        self.moves = [(k, shear) for k in range(substeps) for shear in method.shears]
        self.evaluations = len(self.moves)
        self.preactivations, self.units = recurrence.weight.shape[-2] // 2, self.half
        self._pointwise = recurrence.scheme.pointwise
        n = self.half
        first, second = slice(None, n), slice(n, None)
        self._couplings = [Part(recurrence.weight, first, second), Part(recurrence.weight, second, first)]
        self._buffer = like.new_empty(*like.shape[:-1], self.preactivations)

    def advance(self, path: ControlPath, start: int, y: Tensor, targets: Sequence[Tensor]) -> None:
        """Every kick and drift in its turn, on a copy of the state."""
        controls = [half_of(path.at(self._fraction(k, s)), _half(s), self.half).unbind(0) for k, s in self.moves]
        for n, (dt, target) in enumerate(zip(path.steps(), targets, strict=True)):
            halves = target.copy_(y).split(self.half, dim=-1)
            for (_, shear), control in zip(self.moves, controls, strict=True):
                half = _half(shear)
                preactivation = self._couplings[half].times(halves[1 - half], self._buffer)
                slope = self._pointwise(halves[half], preactivation, control[n])
                combine_into(halves[half], halves[half], dt, (shear.share,), (slope,))
            y = target

    def record(self, chunk: Chunk, states: States) -> None:
        """Every kick and drift, for all times at once."""
        halves = list(states.window(chunk.start, chunk.start + chunk.path.length).split(self.half, dim=-1))
        for k, shear in self.moves:
            half = _half(shear)
            given = halves[half], halves[1 - half], self._couplings[half]
            stage = chunk.evaluate(*given, self._fraction(k, shear), half)
            slope, buffer = stage.linearised.slope.detach(), torch.empty_like(stage.linearised.slope)
            halves[half] = combine_into(buffer, halves[half], chunk.path.step, (shear.share,), (slope,))

    def reverse(self, chunk: Chunk, n: int, adjoint: list[Tensor], later: Sequence[Tensor] | None) -> None:
        """The kicks and drifts from the last to the first."""
        if later is not None:
            adjoint[0].add_(later[0])
        halves = adjoint[0].split(self.half, dim=-1)
        for (_, shear), stage in zip(reversed(self.moves), reversed(chunk.stages), strict=True):
            half = _half(shear)
            back = stage.pull_back(n, shear.share * halves[half])
            halves[1 - half].add_(back)

    def _fraction(self, k: int, shear: Shear) -> float:
        return (k + shear.node) / self.substeps


def _half(shear: Shear) -> int:
    """The half that it moves."""
    return 1 if shear.kick else 0
