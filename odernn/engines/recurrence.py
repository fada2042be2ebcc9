"""A driven affine-pointwise problem as tensors: what the parallel adjoint and the fast engines run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Scheme:
    """The functions of an affine-pointwise field and of its hold; no tensors but the parameters they close over.

    Attributes:
        pointwise: (y, p, u) -> dy/dt, elementwise in the units. It may overwrite p. Called again with the same
            arguments it gives the same, as `control` does.
        control: x (..., m) -> u (..., U), for all times at once.
        between: (u before, u of the sample, fraction of the interval) -> the control there.
        jumps: whether `between` ignores the sample before, as the zero-order hold does.
        partitioned: whether the state is (q, p) and K is block off-diagonal, so that q' depends only on p and
            p' only on q.
    """

    pointwise: Callable[[Tensor, Tensor, Tensor], Tensor]
    control: Callable[[Tensor], Tensor]
    between: Callable[[Tensor, Tensor, float], Tensor]
    jumps: bool
    partitioned: bool


@dataclass(frozen=True, slots=True)
class Recurrence:
    """dy/dt = pointwise(y, y K^T, u), u = control(x) held between samples.

    Attributes:
        scheme: the functions.
        weight: K (P, n).
        samples: x (time, batch, m).
        before: the control before the first sample (batch, U), or None at the start of a sequence.
        dt: the lengths of the intervals: a number, or a tensor (time,), (time, 1, 1) or (time, batch, 1).
        weight_blocks: how the halves of K are filled, as `Call` has it; empty if unknown.
    """

    scheme: Scheme
    weight: Tensor
    samples: Tensor
    before: Tensor | None
    dt: float | Tensor
    weight_blocks: tuple[int, ...] = ()

    @property
    def length(self) -> int:
        """The number of intervals."""
        return self.samples.shape[0]

    def chunk(self, start: int, stop: int) -> Recurrence:
        """The recurrence from interval `start` to `stop`; the control before it is made again."""
        if start == 0 and stop == self.length:
            return self
        before = self.before
        if start and not self.scheme.jumps:
            before = self.scheme.control(self.samples[start - 1])
        dt = self.dt[start:stop] if isinstance(self.dt, Tensor) else self.dt
        return replace(self, samples=self.samples[start:stop], before=before, dt=dt)
