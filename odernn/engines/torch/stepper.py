"""The contract of a family of methods on a recurrence: forward step by step, back a chunk at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from ..method import Method
from .chunk import Chunk
from .control_path import ControlPath


class States(Protocol):
    """The states of a solution that was saved, by their number: state 0 is the initial one, -1 the one before it."""

    def window(self, first: int, stop: int) -> Tensor:
        """The states from number `first` to before `stop` (states, batch, n)."""
        ...


class Stepper(Protocol):
    """A method with its recurrence's weight and functions. Its arithmetic is in place and builds no graph.

    Attributes:
        method: the method.
        substeps: solver steps an interval.
        saved_per_interval: states saved an interval, the last of which is the one at its end.
        evaluations: evaluations of the right-hand side an interval, in a chunk's buffers.
        units: units that an evaluation moves.
        preactivations: entries of the preactivation of an evaluation.
        vectors: how many vectors a step hands on, the state among them; of each there is an adjoint.
    """

    method: Method
    substeps: int
    saved_per_interval: int
    evaluations: int
    units: int
    preactivations: int
    vectors: int

    def advance(self, path: ControlPath, start: int, y: Tensor, targets: Sequence[Tensor]) -> None:
        """Step through the path's intervals, which begin with number `start`, from `y`.

        Each saved state is written into its target, which is not the state before it, but may be the one before that.
        A stepper with a carry continues where it was.
        """
        ...

    def record(self, chunk: Chunk, states: States) -> None:
        """Make every evaluation of the chunk, for all its times at once."""
        ...

    def reverse(self, chunk: Chunk, n: int, adjoint: list[Tensor], later: Sequence[Tensor] | None) -> None:
        """Go back through the chunk's interval `n`, in place.

        Args:
            chunk: the chunk, recorded.
            n: the interval, counted in the chunk.
            adjoint: dL/dy at the end of the interval, then at its start, and dL by the other vectors of a method that
                has some; it has the length `vectors`.
            later: dL by each saved state of the interval itself, or None.
        """
        ...

    def finish_chunk(self, chunk: Chunk) -> None:
        """Add up what the method itself has gradients of, after the recursion has gone through the chunk."""
        ...

    def add_step_gradient(self, chunk: Chunk, states: States, total: Tensor) -> None:
        """Add dL/d(step), of all solver steps of an interval together, to `total` (time, batch) of all intervals."""
        ...
