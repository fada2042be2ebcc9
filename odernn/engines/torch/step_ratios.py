"""The ratios of the solver steps of a sequence, and the gradient by the steps of what is a function of the ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from solvers.extend import Time

from ..recurrence import Recurrence


@dataclass(frozen=True, slots=True)
class StepRatios:
    """The lengths of all solver steps, a leaf of a graph, and of those before the first.

    Attributes:
        lengths: (past + steps, batch, 1), in the order of time.
        past: how many of them come before the first step.
        substeps: solver steps an interval.
    """

    lengths: Tensor
    past: int
    substeps: int

    @staticmethod
    def of(recurrence: Recurrence, substeps: int, past: Sequence[Time], like: Tensor) -> StepRatios | None:
        """Those of a recurrence, or None where all steps, with those in the past, are one number."""
        dt = recurrence.dt
        step = dt / substeps
        if not isinstance(step, Tensor) and all(not isinstance(each, Tensor) and each == step for each in past):
            return None
        rows = like.shape[0]
        early = [_column(each, like) for each in reversed(past)]
        if isinstance(step, Tensor):
            every = step.detach().to(like.dtype).reshape(recurrence.length, -1, 1).expand(-1, rows, 1)
            every = every.repeat_interleave(substeps, dim=0)
        else:
            every = like.new_full((1, 1, 1), step).expand(recurrence.length * substeps, rows, 1)
        return StepRatios(torch.cat((*early, every)).requires_grad_(), len(past), substeps)

    def latest(self, count: int) -> list[Tensor]:
        """For every step its length over that of the one before, of that one over the one before it, and so on."""
        with torch.enable_grad():
            ratio = self.lengths[1:] / self.lengths[:-1]
            return [ratio[self.past - 1 - i : len(ratio) - i] for i in range(count)]


class RatioGradient:
    """dL/d(step) through coefficients that are functions of the ratios, gathered chunk by chunk.

    Args:
        ratios: the ratios.
        coefficients: the functions of them, with their graph, each (steps, batch, 1).

    Attributes:
        past: dL by the steps before the first (past, batch), the latest first; None before `close`.
    """

    def __init__(self, ratios: StepRatios, coefficients: Sequence[Tensor]) -> None:
        self.past: Tensor | None = None
        self._ratios = ratios
        self._coefficients = coefficients
        self._gradients = [torch.zeros_like(each) for each in coefficients]

    def add(self, places: slice, found: Sequence[Tensor]) -> None:
        """Take dL by each coefficient (time, batch) in the steps at some places."""
        for total, each in zip(self._gradients, found, strict=True):
            total[places] += each.unsqueeze(-1)

    def close(self, total: Tensor) -> None:
        """Add it to `total` (time, batch), all steps of an interval together."""
        lengths, past = self._ratios.lengths, self._ratios.past
        (by_length,) = torch.autograd.grad(self._coefficients, lengths, self._gradients)
        by_length = by_length.squeeze(-1)
        self.past = by_length[:past].flip(0)
        total += by_length[past:].unflatten(0, (-1, self._ratios.substeps)).sum(1)


def _column(value: Time, like: Tensor) -> Tensor:
    """A number or a tensor (), (1, 1) or (batch, 1) as (1, batch, 1)."""
    wide = value.detach().to(like.dtype) if isinstance(value, Tensor) else like.new_full((), value)
    return wide.reshape(-1, 1).expand(like.shape[0], 1).unsqueeze(0)
