"""What drives a chunk of intervals: the control at any moment of each, and the lengths of the steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..recurrence import Recurrence

ENTRIES = 1 << 19
"""Entries of the state that a chunk's stages may have together: about 2 MB, so that they stay near the processor."""
ENTRIES_BESIDE = 1 << 24
"""The same on any other device: 64 MB a buffer, so that a chunk's few launches cost little beside its work."""


def chunk_bounds(length: int, each: int, size: int | None = None, entries: int = ENTRIES) -> list[tuple[int, int]]:
    """The chunks of a sequence, in order.

    Args:
        length: its intervals.
        each: the entries that the stages of one interval have together.
        size: intervals a chunk; None for as many as have `entries`.
        entries: what a chunk's stages may have together.
    """
    size = max(1, entries // each) if size is None else size
    return [(start, min(start + size, length)) for start in range(0, length, size)]


@dataclass(frozen=True, slots=True)
class ControlPath:
    """The control and the steps of a chunk of intervals.

    Attributes:
        controls: the control of the samples (time, batch, U).
        earlier: that of the samples before, or the controls themselves if the hold ignores it.
        between: (u before, u of the sample, fraction of the interval) -> the control there.
        dt: the lengths of the intervals, a number or a tensor (time, 1, 1) or (time, batch, 1).
        substeps: solver steps an interval.
    """

    controls: Tensor
    earlier: Tensor
    between: Callable[[Tensor, Tensor, float], Tensor]
    dt: float | Tensor
    substeps: int

    @property
    def length(self) -> int:
        """The number of intervals."""
        return len(self.controls)

    @property
    def step(self) -> float | Tensor:
        """The length of a solver step: a number or a tensor (time, 1, 1) or (time, batch, 1)."""
        return self.dt / self.substeps

    def step_of_first(self, count: int) -> float | Tensor:
        """The same of the first `count` intervals."""
        step = self.step
        return step[:count] if isinstance(step, Tensor) else step

    def steps(self) -> Sequence[float | Tensor]:
        """The length of a solver step in every interval: numbers or tensors (1, 1) or (batch, 1)."""
        step = self.step
        return step.unbind(0) if isinstance(step, Tensor) else [step] * self.length

    def at(self, fraction: float) -> Tensor:
        """The control at a fraction of every interval (time, batch, U)."""
        return self.between(self.earlier, self.controls, fraction)


def control_path(recurrence: Recurrence, substeps: int) -> ControlPath:
    """The control path of all intervals of a recurrence, its control made here."""
    scheme = recurrence.scheme
    controls = earlier = scheme.control(recurrence.samples)
    if not scheme.jumps:
        first = controls[0] if recurrence.before is None else recurrence.before
        earlier = torch.cat((first.unsqueeze(0), controls[:-1]))
    dt = recurrence.dt
    if isinstance(dt, Tensor):
        dt = dt.detach().reshape(len(dt), -1, 1)
    return ControlPath(controls, earlier, scheme.between, dt, substeps)
