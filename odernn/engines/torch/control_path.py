"""What drives a chunk of intervals: the control at any moment of each, and the lengths of the steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

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


@dataclass(frozen=True)
class ControlPath:
    """The control and the steps of a chunk of intervals.

    Attributes:
        recurrence: of the chunk.
        substeps: solver steps an interval.
    """

    recurrence: Recurrence
    substeps: int

    @property
    def length(self) -> int:
        """The number of intervals."""
        return self.recurrence.length

    @cached_property
    def controls(self) -> Tensor:
        """The control of the samples (time, batch, U), made when it is first asked for."""
        return self.recurrence.scheme.control(self.recurrence.samples)

    @cached_property
    def earlier(self) -> Tensor:
        """That of the samples before, or the controls themselves if the hold ignores it."""
        if self.recurrence.scheme.jumps:
            return self.controls
        first = self.controls[0] if self.recurrence.before is None else self.recurrence.before
        return torch.cat((first.unsqueeze(0), self.controls[:-1]))

    @cached_property
    def dt(self) -> float | Tensor:
        """The lengths of the intervals, a number or a tensor (time, 1, 1) or (time, batch, 1)."""
        dt = self.recurrence.dt
        return dt.detach().reshape(len(dt), -1, 1) if isinstance(dt, Tensor) else dt

    @property
    def step(self) -> float | Tensor:
        """The length of a solver step: a number or a tensor (time, 1, 1) or (time, batch, 1)."""
        return self.dt if self.substeps == 1 else self.dt / self.substeps

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
        return self.recurrence.scheme.between(self.earlier, self.controls, fraction)


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment in each of the first intervals of a path, for all units or one half of them.

    Attributes:
        path: the path.
        fraction: of the interval.
        count: intervals.
        half: 0 or 1 for the first or second half of the units, None for all.
    """

    path: ControlPath
    fraction: float
    count: int
    half: int | None

    @property
    def step(self) -> float | Tensor:
        """The length of a solver step there: a number or a tensor (count, 1, 1) or (count, batch, 1)."""
        return self.path.step_of_first(self.count)

    def control(self, units: int) -> Tensor:
        """The control there (count, batch, U or that of the half); `units` are all or those of the half."""
        control = self.path.at(self.fraction)[: self.count]
        return control if self.half is None else half_of(control, self.half, units)


def half_of(u: Tensor, half: int, n: int) -> Tensor:
    """The control of one half of the units; a control has one or more entries per unit, in blocks of 2 n."""
    return u.unflatten(-1, (-1, 2, n))[..., half, :].flatten(-2)
