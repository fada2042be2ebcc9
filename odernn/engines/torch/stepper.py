"""The contract of a family of methods on a recurrence: forward step by step, back a chunk at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ..method import Method
from .chunk import Chunk
from .control_path import ControlPath


class States(Protocol):
    """The states of a solution that was saved, by their number: state 0 is the initial one, -1 the one before it."""

    def window(self, first: int, stop: int) -> Tensor:
        """The states from number `first` to before `stop` (states, batch, n)."""
        ...


class BlockOperands(NamedTuple):
    """What a kernel for the recursion of an exponential method takes of a recorded chunk, and fills.

    Attributes:
        blocks: the matrices of its intervals, one set for all or one each.
        ends: for dL by the state after every solver step (time, substeps, batch, n).
        mus: for what comes back through the state of each stage that a matrix made (time, substeps, such stages, batch,
            n), or None if there is no such stage.
    """

    blocks: Tensor
    ends: Tensor
    mus: Tensor | None


class Stepper(ABC):
    """A method with its recurrence's weight and functions. Its arithmetic is in place and builds no graph.

    One class for each family of methods. What only one family has, the others answer as a method does that hands on
    nothing but the state and has no tensors of its own.

    Attributes:
        method: the method.
        substeps: solver steps an interval.
        saved_per_interval: states saved an interval, the last of which is the one at its end.
        evaluations: evaluations of the right-hand side an interval, in a chunk's buffers.
        units: units that an evaluation moves.
        preactivations: entries of the preactivation of an evaluation.
        vectors: how many vectors a step hands on, the state among them; of each there is an adjoint.
        carried: the vectors after the state: before the first step, and after `advance` at the end.
        kept: what is saved of them, in memory that `keep` makes, `advance` fills and `record` reads; or None.
        weighs_by_row: whether coefficients are given, which may differ from step to step and from row to row.
    """

    method: Method
    substeps: int
    saved_per_interval: int = 1
    evaluations: int
    units: int
    preactivations: int
    vectors: int = 1
    carried: tuple[Tensor, ...] = ()
    kept: Tensor | None = None
    weighs_by_row: bool = False

    @abstractmethod
    def advance(self, path: ControlPath, start: int, y: Tensor, targets: Sequence[Tensor]) -> None:
        """Step through the path's intervals, which begin with number `start`, from `y`.

        Each saved state is written into its target, which is not the state before it, but may be the one before that.
        A stepper with a carry continues where it was.
        """

    @abstractmethod
    def record(self, chunk: Chunk, states: States) -> None:
        """Make every evaluation of the chunk, for all its times at once."""

    @abstractmethod
    def reverse(self, chunk: Chunk, n: int, adjoint: list[Tensor], later: Sequence[Tensor] | None) -> None:
        """Go back through the chunk's interval `n`, in place.

        Args:
            chunk: the chunk, recorded.
            n: the interval, counted in the chunk.
            adjoint: dL/dy at the end of the interval, then at its start, and dL by the other vectors of a method that
                has some; it has the length `vectors`.
            later: dL by each saved state of the interval itself, or None.
        """

    def keep(self, count: int, like: Tensor) -> None:
        """Make memory for what is saved, of so many states, of the vectors besides them."""
        return

    def take(self, kept: Tensor | None, *, wants_coefficients: bool) -> None:
        """Take what a forward sweep has kept, before going back."""
        return

    def finish_chunk(self, chunk: Chunk) -> None:
        """Add up what the method itself has gradients of, after the recursion has gone through the chunk."""
        return

    def add_step_gradient(self, chunk: Chunk, total: Tensor) -> None:
        """Add dL/d(step), of all solver steps of an interval together, to `total` (time, batch) of all intervals.

        A slope enters multiplied by its share of dt, which kappa has; coefficients and blocks have their own gradients.
        """
        chunk.add_slope_products(total[chunk.start : chunk.start + chunk.path.length])

    def gradient_by_coefficients(self) -> Tensor | None:
        """dL by the coefficients, in the shape in which they were given; None if there are none or nobody asks."""
        return None

    def gradient_by_blocks(self) -> Tensor | None:
        """dL by the blocks, in the shape in which they were given, or None if there are none."""
        return None

    def starting_intervals(self, start: int, length: int) -> int:
        """How many of so many intervals from number `start` on have steps that start the method."""
        return 0

    def weights_of_states(self, times: slice, like: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...] | None:
        """The weights e, w and s of every solver step in some intervals, of a method that weighs two states.

        They are y_next = e y_before + w y + s dt f(t, y), each (steps, batch), for rows like those of `like`.
        """
        return None

    def take_kappas(self, chunk: Chunk, first: int) -> None:
        """Take what a kernel's recursion has left in the kappas of the chunk's intervals from `first` on."""
        return

    def block_operands(self, chunk: Chunk) -> BlockOperands | None:
        """What a kernel takes of the recorded chunk, for an exponential method on blocks."""
        return None
