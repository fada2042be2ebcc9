"""What a field's `pointwise` is to the kernels: expressions of a unit's entries, or the reason why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from .expressions import Expression


class UntraceableError(ValueError):
    """A `pointwise` has no kernel.

    Attributes:
        reason: why, in a sentence.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Trace:
    """The elementwise part of a field.

    Attributes:
        slope: dy/dt of a unit.
        y: the state's entry.
        p: the preactivation's entries.
        u: the control's, and after them the numbers of the unit.
        numbers: (parameters and buffers) -> the numbers of the units (numbers, n), with a graph; or None.
        controls: the control's entries.
    """

    slope: Expression
    y: Expression
    p: tuple[Expression, ...]
    u: tuple[Expression, ...]
    numbers: Callable[..., Tensor] | None
    controls: int


@dataclass(frozen=True, slots=True)
class TracedRate:
    """dy/dt of a trace in torch, as a second derivative wants it: (y, p, u) -> dy/dt, of rows.

    Attributes:
        namespace: of the operators that were made of the trace; equal ones have equal traces.
        trace: the trace.
    """

    namespace: str
    trace: Trace = field(compare=False)

    def __call__(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        """The slope; the numbers of the units are the last entries of the control."""
        trace, leaves = self.trace, {self.trace.y.index: y}
        for entries, whole in ((trace.p, p), (trace.u, u)):
            groups = whole.unflatten(-1, (len(entries), y.shape[-1])).unbind(-2) if entries else ()
            leaves |= {entry.index: group for entry, group in zip(entries, groups, strict=True)}
        return trace.slope.of.value(trace.slope, leaves, y)
